"""[recover] in a policy: what is refused with its line, and which steps a finding asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from preflight.catalog.xids import cure
from preflight.checks.finding import Finding, failed
from preflight.checks.names import unknown_checks
from preflight.facts.document import FactsDocument
from preflight.hooks.recover.ladder import asked, failing
from preflight.policy.cache import cached_policy
from preflight.policy.load import PolicyError, parse_policy
from preflight.policy.model import Policy, from_cache, to_cache
from preflight.policy.write import to_toml
from preflight.slurm.node import NodeState

TOP = 'version = 1\nmode = "enforce"\n'
STEPS = """
[recover]
hold_down = "12h"
[recover.steps]
"gpu.recovery" = ["reboot", "ticket"]
"xid:79" = ["ticket"]
"xid:REBOOT" = ["reboot"]
"xid:RESET" = ["reset-gpu"]
"gpu.*" = ["ticket"]
[recover.commands]
ticket = ["/usr/local/sbin/open-ticket", "--queue", "gpu; true"]
reset-gpu = ["/usr/local/sbin/reset"]
"""


def read(more: str) -> Policy:
    return parse_policy(TOP + more, "p.toml")


def test_nothing_is_done_unless_it_is_written() -> None:
    assert read("").recover.steps == {}


def test_a_policy_is_read_and_written_back_the_same() -> None:
    policy = read(STEPS)
    assert from_cache(to_cache(policy)) == policy
    again = parse_policy(to_toml(policy), "p.toml")
    assert again.recover == policy.recover
    assert list(again.recover.steps) == list(policy.recover.steps)
    assert policy.recover.commands["ticket"][2] == "gpu; true"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[recover.steps]\n"gpu.*" = ["rebot"]',
            "p.toml:4: recover.steps.\"gpu.*\": no step is named 'rebot'; did you mean reboot?",
        ),
        ('[recover.steps]\n"gpu.*" = "reboot"', 'needs a list of steps such as ["reboot"]'),
        ('[recover.steps]\n"gpu.*" = []', "needs a list of steps"),
        ('[recover.steps]\n"gpu.*" = ["reboot", "reboot"]', "names a step twice"),
        ('[recover.steps]\n"xid:LATER" = ["reboot"]', "after xid: stands a number, RESET or REBOOT"),
        ('[recover.commands]\nreboot = ["/bin/true"]', "and is not reboot"),
        ('[recover.commands]\nticket = "/bin/true"', "needs a list of program and arguments"),
        ('[recover.commands]\nticket = ["true"]', "needs the absolute path"),
        ('[recover]\nhold_down = "soon"', "needs a time"),
        ('[recover]\nevidence_size = "much"', "p.toml:4: recover.evidence_size"),
        ("[recover]\nsteps = 3", "needs a table such as"),
    ],
)
def test_what_is_wrong_gets_file_line_and_key(text: str, line: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read(text)
    (said,) = caught.value.lines
    assert line in said
    assert said.startswith("p.toml:")


def test_a_step_may_stand_in_a_drop_in_and_its_command_in_another() -> None:
    more = (
        ('[recover.commands]\nticket = ["/bin/true"]\n', "a.toml"),
        ('[recover.steps]\n"*" = ["ticket", "x"]\n', "b.toml"),
    )
    with pytest.raises(PolicyError) as caught:
        parse_policy(TOP, "p.toml", more)
    assert caught.value.lines == [
        "b.toml:2: recover.steps.\"*\": no step is named 'x'; steps are reboot, ticket ([recover.commands])"
    ]


def test_a_pattern_that_no_check_matches_is_a_doubt(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(TOP + '[recover.steps]\n"gpu.recovry" = ["reboot"]\n"host.*" = ["reboot"]\n')
    policy = parse_policy(path.read_text(), str(path))
    (line,) = unknown_checks(policy)
    assert line.startswith(f'{path}:4: recover.steps."gpu.recovry": no check has a name like this')


def test_the_cached_policy_has_the_same_steps(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(TOP + STEPS)
    first = cached_policy(str(path), "n1", str(tmp_path))
    again = cached_policy(str(path), "n1", str(tmp_path))
    assert first.recover == again.recover == read(STEPS).recover


def finding(check: str, observed: str = "", status: str = "fail", blame: str = "node") -> Finding:
    return failed("x", subject="gpu0", observed=observed)._replace(check=check, status=status, blame=blame)


def document(*levels: tuple[int, str]) -> FactsDocument:
    events = [{"kind": "xid", "code": 154, "level": level, "state": state} for level, state in levels]
    return FactsDocument("n1", "2026-01-01T00:00:00Z", {"kernel_log": {"events": events}}, {}, {})


@pytest.mark.parametrize(
    ("check", "observed", "levels", "steps"),
    [
        ("gpu.recovery", "2", [], ["reboot", "ticket"]),
        ("gpu.bus", "", [], ["ticket"]),
        ("node.tmp", "", [], []),
        ("gpu.xid", "79", [], ["ticket"]),  # by its number, which stands first
        ("gpu.xid", "151", [], ["reboot"]),
        ("gpu.xid", "95", [], ["reset-gpu"]),
        ("gpu.xid", "95, 151", [], ["reboot"]),
        ("gpu.xid", "95, 154", [(2, "")], ["reboot"]),  # the driver's own word
        ("gpu.xid", "95, 154", [(2, "cleared"), (1, "")], ["reset-gpu"]),
        ("gpu.xid", "31", [], ["ticket"]),
    ],
)
def test_the_first_pattern_that_matches_counts(
    check: str, observed: str, levels: list[tuple[int, str]], steps: list[str]
) -> None:
    assert asked(finding(check, observed), document(*levels), read(STEPS)) == steps


def test_the_catalog_names_one_cure_for_each_xid_that_drains() -> None:
    assert (cure(79), cure(46), cure(13), cure(154, 7), cure(154, 3), cure(None)) == (
        "REBOOT",
        "RESET",
        "",
        "REBOOT",
        "",
        "",
    )


def test_only_what_failed_by_the_nodes_fault_and_is_acted_on_counts() -> None:
    policy = read('[checks."gpu.bus"]\nmode = "observe"\n')
    found = [
        finding("gpu.xid"),
        finding("gpu.bus"),
        finding("node.tmp", blame="user"),
        finding("gpu.link", status="warn"),
    ]
    assert [one.check for one in failing(found, policy)] == ["gpu.xid"]


@pytest.mark.parametrize(
    ("flags", "reason", "counts"),
    [
        ("idle+drain", "preflight:a:b: c", True),
        ("down+drain+reboot_issued", "preflight:a:b: c : reboot issued", True),
        ("down+not_responding", "preflight:a:b: c : reboot issued : reboot timed out", True),
        ("down+drain", "preflight:a:b: c : reboot issued : Not responding", True),
        ("idle", "preflight:a:b: c : reboot issued", False),  # 24.11 keeps it on a node that was resumed
        ("down+not_responding", "preflight:a:b: c : Not responding", False),  # and appends to it
        ("idle+drain", "fan : reboot issued", False),
        ("idle+drain", "preflight:a:b: c : fan", False),
    ],
)
def test_which_nodes_are_away_because_of_us(flags: str, reason: str, counts: bool) -> None:
    state = NodeState(tuple(flags.upper().split("+")), reason, "root", "2026-01-01T00:00:00")
    assert state.ours is counts
