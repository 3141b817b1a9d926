"""[[host]] rows: validated by what a kind declares, read where this node asks, judged each by its own action."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from preflight.checks.run import checks_for, run_checks
from preflight.facts.collect import collect
from preflight.facts.host.kind import every_kind
from preflight.facts.source import Source
from preflight.facts.view import View
from preflight.policy.load import PolicyError, for_node, parse_policy
from preflight.policy.model import CheckPolicy, Policy, from_cache, to_cache
from preflight.policy.rows import rule_of
from preflight.policy.selector import SelectorError, parse_selector, selects
from preflight.policy.write import to_toml
from preflight.verdict import decide
from unit.check_fixtures import Case, context
from unit.check_fixtures_host import ROWS, case
from unit.hook_site import JOB, Site

HEAD = 'version = 1\nmode = "enforce"\n'
MOUNT = HEAD + '[[host]]\ncheck = "mount"\npath = "/home"\ntype = "nfs*"\naction = "drain"\n'


def mistakes(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(HEAD + text, "p.toml")
    return caught.value.lines


def judged(policy: Policy, facts: dict[str, Any], phase: str = "health") -> list[Any]:
    view = View({"host": {"rows": [], "stuck_at": None}, **facts}, {})
    made = context(Case(policy=policy), phase)._replace(node=view, job=view)
    return [one for one in run_checks(made) if one.check.startswith("host.")]


def test_a_row_keeps_its_keys_its_place_and_its_kinds_phases() -> None:
    (row,) = parse_policy(MOUNT, "p.toml").host
    assert row.args == {"path": "/home", "type": "nfs*"}
    assert (row.check, row.action, row.place) == ("mount", "drain", "p.toml:3")
    assert row.phases == ("prolog", "epilog", "health")


@pytest.mark.parametrize(
    ("text", "line"),
    [  # what stands behind [[host]], from the policy's third line on
        ('path = "/"', "p.toml:3: host.0: needs a key check"),
        ('check = "mount"', "p.toml:3: host.0: mount needs a key path"),
        ('check = "space"\npath = "tmp"\nfree_min = "1%"', "p.toml:5: host.0.path: needs an absolute path"),
        ('check = "space"\npath = "/tmp"', "p.toml:3: host.0: space needs one of the keys free_min"),
        ('check = "space"\npath = "/"\nfree_min = "5 apples"', 'p.toml:6: host.0.free_min: needs a size such as "10G"'),
        ('check = "space"\npath = "/"\nfree_min = "101%"', "p.toml:6: host.0.free_min: needs a share"),
        ('check = "mount"\npath = "/("\naction = "stop"', "p.toml:6: host.0.action: needs one of drain, warn, off"),
        ('check = "mount"\npath = "/(/"', "p.toml:5: host.0.path: is no regular expression"),
        ('check = "mount"\npath = "/"\nphases = ["boot"]', "p.toml:6: host.0.phases: needs one of prolog"),
        ('check = "mount"\npath = "/"\nnodes = "/("', "p.toml:6: host.0.nodes: is no selector of nodes"),
    ],
)  # fmt: skip
def test_a_mistake_has_file_line_and_key(text: str, line: str) -> None:
    assert mistakes(f"[[host]]\n{text}")[0].startswith(line)


def test_rows_are_written_with_two_brackets() -> None:
    assert mistakes('[host]\ncheck = "mount"') == ["p.toml:3: host: write [[host]], with two brackets"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[[host]]\ncheck = "mout"\npath = "/"',
            "p.toml:4: host.0.check: no kind is named 'mout'; did you mean mount?",
        ),
        ('[[host]]\ncheck = "mount"\npath = "/"\ntyp = "x"', "p.toml:6: host.0.typ: unknown key; did you mean type?"),
    ],
)
def test_what_is_not_known_is_a_doubt_that_a_hook_goes_on_with(text: str, line: str) -> None:
    assert parse_policy(HEAD + text, "p.toml").doubts() == (line,)


def test_rows_of_drop_ins_are_added_and_those_of_other_nodes_cost_nothing() -> None:
    more = '[[host]]\ncheck = "mount"\npath = "/scratch"\nnodes = "gpu[001-064]"\n'
    policy = parse_policy(MOUNT, "p.toml", ((more, "p.d/1.toml"),))
    assert [row.place for row in policy.host] == ["p.toml:3", "p.d/1.toml:1"]
    assert [row.args["path"] for row in for_node(policy, "cpu1").host] == ["/home"]
    assert len(for_node(policy, "gpu064").host) == 2


def test_the_cached_form_and_the_written_one_give_the_same_rows() -> None:
    policy = parse_policy(MOUNT + 'nodes = "a*"\noptions = "rw"\nphases = "health"\n', "p.toml")
    assert from_cache(to_cache(policy)).host == policy.host
    again = parse_policy(to_toml(policy), "p.toml").host
    assert [row._replace(place="") for row in again] == [row._replace(place="") for row in policy.host]


@pytest.mark.parametrize(
    ("selector", "yes", "no"),
    [
        ("", ["n1", "x"], []),
        ("gpu[1-8]", ["gpu1", "gpu8"], ["gpu9", "gpu[1-8]"]),
        ("gpu1,cpu*", ["gpu1", "cpu77"], ["gpu2"]),
        ("gpu*", ["gpu1", "gpu"], ["xgpu1"]),
        ("/^s(has|gpu)/", ["shas1", "sgpu2"], ["xshas1"]),
        ("!gpu*", ["cpu1"], ["gpu1"]),
        ("gpu* && !gpu[1-3]", ["gpu4"], ["gpu1", "cpu1"]),
        ("gpu1 || /^c/ && !cpu9", ["gpu1", "cpu1"], ["cpu9", "x"]),
        ("/a&&b|c/", ["c1", "a&&b"], ["a"]),
        ("gpu[12]*", ["gpu1", "gpu2x"], ["gpu3"]),
    ],
)
def test_a_selector_selects(selector: str, yes: list[str], no: list[str]) -> None:
    assert [one for one in yes + no if selects(selector, one)] == yes


@pytest.mark.parametrize("text", ["gpu[1-", "gpu[01-16]*", "a &&", "|| a", "!", "/a", "//", "/[/", "a" * 9000])
def test_what_selects_nothing_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_selector(text)


def test_each_row_has_its_own_action_and_the_table_can_only_soften_it() -> None:
    policy = parse_policy(MOUNT + '[[host]]\ncheck = "mount"\npath = "/scratch"\n', "p.toml")
    rows = [{"kind": "mount", "args": row.args, "told": {"mounts": []}} for row in policy.host]
    facts = {"host": {"rows": rows, "stuck_at": None}}
    found = judged(policy, facts)
    assert [(one.subject, one.status, one.blame) for one in found] == [
        ("/home", "fail", "node"),
        ("/scratch", "warn", "node"),
    ]
    decision = decide("health", found, policy)
    assert decision.detail == "preflight:host.mount:/home: nothing is mounted at /home"
    softer = policy._replace(checks={"host.mount": CheckPolicy("warn")})
    assert [one.status for one in judged(softer, facts)] == ["warn", "warn"]
    assert judged(policy._replace(checks={"host.mount": CheckPolicy("off")}), facts) == []
    harder = policy._replace(checks={"host.mount": CheckPolicy("drain")})
    assert [one.status for one in judged(harder, facts)] == ["fail", "fail"]


def test_what_users_can_fill_never_drains_and_config_check_says_so() -> None:
    text = HEAD + '[[host]]\ncheck = "space"\npath = "%s"\nfree_min = "5%%"\naction = "drain"\n'
    tmp, var = parse_policy(text % "/tmp", "p.toml"), parse_policy(text % "/var/log", "p.toml")
    assert tmp.notes[0].startswith('p.toml:3: host.space: action = "drain" only warns here')
    assert for_node(tmp, "n1").notes == tmp.notes
    assert var.notes == ()
    by_table = HEAD + '[checks."host.load"]\naction = "drain"\n[[host]]\ncheck = "load"\none_max = 9\nnodes = "x"\n'
    assert for_node(parse_policy(by_table, "p.toml"), "n1").notes[0].startswith("p.toml:5: host.load: action")
    full = {**ROWS["space"][1], "free": 0}
    for policy, public, status, blame in (
        (tmp, None, "warn", "user"),
        (var, None, "fail", "node"),
        (var, "/var/tmp", "warn", "user"),  # seen on the node: users may write to the same file system
    ):
        rows = [{"kind": "space", "args": policy.host[0].args, "told": {**full, "public": public}}]
        (found,) = judged(policy, {"host_waiting": {"rows": rows, "stuck_at": None}})
        assert (found.status, found.blame) == (status, blame)


def test_a_row_that_could_not_be_told_changes_nothing() -> None:
    policy = parse_policy(MOUNT, "p.toml")
    args = policy.host[0].args
    for told, message in (
        ({"rows": [], "stuck_at": "no answer at host: dmi /sys before the deadline"}, "no answer at host: dmi"),
        ({"rows": [{"kind": "mount", "args": args, "hung": "/home"}], "stuck_at": None}, "no answer from /home"),
        ({"rows": [{"kind": "mount", "args": args, "error": "no permission"}], "stuck_at": None}, "no permission"),
    ):
        found = judged(policy, {"host": told})
        assert [one.status for one in found] == ["unknown"]
        assert message in found[0].message
        assert decide("health", found, policy).kind == "none"


def test_without_rows_nothing_is_asked() -> None:
    reads = {name for check, _, _ in checks_for(context(Case(), "health")) for name in check.reads}
    assert reads.isdisjoint({"host", "host_waiting"})


def test_every_kind_declares_what_the_policy_can_read() -> None:
    for kind in every_kind().values():
        assert kind.help
        assert kind.fact
        assert set(kind.names) <= set(kind.keys)
        assert {key for group in kind.needs for key in group} <= set(kind.keys)
        assert not (kind.dear and "prolog" in kind.phases)
        for declared in kind.keys.values():
            rule_of(declared)
            assert declared.partition(":")[2]


def test_each_kind_has_its_fixtures() -> None:
    assert sorted(ROWS) == sorted(every_kind())
    assert case("mount", {})["policy"].host[0].check == "mount"


def test_a_path_that_hangs_costs_its_own_row(tmp_path: Path) -> None:
    """A FUSE file system whose daemon does not answer, where it can be mounted here."""
    fuse = hung_mount(tmp_path / "dead")
    if fuse is None:
        pytest.skip("no FUSE here")
    dead, sound = str(tmp_path / "dead"), str(tmp_path)
    rows = tuple(("space", {"path": path, "free_min": "0"}) for path in (dead, sound))
    began = time.monotonic()
    try:
        document = collect(["host_waiting"], Source(host=rows, run_dir=str(tmp_path / "run")), 2.0)
    finally:
        fuse.close()
    told = {one["args"]["path"]: one for one in document.facts["host_waiting"]["rows"]}
    assert told[dead]["hung"] == dead
    assert told[sound]["told"]["free"] > 0
    assert time.monotonic() - began < 60


class Mounted:
    """A FUSE mount whose requests nobody answers."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor

    def close(self) -> None:
        import ctypes

        libc = ctypes.CDLL(None)
        libc.umount2(str(self.path).encode(), 2)
        os.close(self.descriptor)


def hung_mount(path: Path) -> "Mounted | None":
    import ctypes

    path.mkdir()
    try:
        descriptor = os.open("/dev/fuse", os.O_RDWR)
    except OSError:
        return None
    options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"dead", str(path).encode(), b"fuse.dead", 0, options.encode()):
        os.close(descriptor)
        return None
    return Mounted(path, descriptor)


def test_a_hook_reads_the_rows_of_its_phase_only(hooked: Site) -> None:
    row = '[[host]]\ncheck = "mount"\npath = "/nowhere"\n%s\n'
    hooked.policy(row % 'nodes = "n1"' + row.replace("/nowhere", "/other") % 'phases = ["health"]')
    assert hooked.hook("prolog", **JOB).returncode == 0
    report = hooked.report()
    found = [(one["subject"], one["status"]) for one in report["findings"] if one["check"] == "host.mount"]
    assert found == [("/nowhere", "warn")]
    assert [one["args"]["path"] for one in report["facts"]["host"]["rows"]] == ["/nowhere"]


def test_rows_are_read_beside_each_other_without_harm(tmp_path: Path) -> None:
    rows = tuple(("space", {"path": str(tmp_path), "free_min": str(number)}) for number in range(150))
    told = collect(["host_waiting"], Source(host=rows), 20.0).facts["host_waiting"]["rows"]
    assert len(told) == 150
    assert threading.active_count() < 50


def latest(site: Site) -> dict[str, dict[str, Any]]:
    """Return the findings of the latest health check by name."""
    report = json.loads(max((site.spool / "reports/node").glob("n1.*.json")).read_text())
    return {one["check"]: one for one in report["findings"]}


def test_a_window_counts_from_one_health_check_to_the_next(hooked: Site) -> None:
    hooked.policy('[[host]]\ncheck = "edac"\ncorrected_max = 10\nwindow = "1h"\n')
    errors = "sys/devices/system/edac/mc/mc0"
    for number, status in ((100, "pass"), (111, "warn")):
        hooked.files({f"{errors}/ce_count": f"{number}\n", f"{errors}/ue_count": "0\n"})
        assert hooked.hook("health").returncode == 0
        assert latest(hooked)["host.edac"]["status"] == status
    assert latest(hooked)["host.edac"]["message"] == "11 corrected memory errors in 1h"


def test_a_node_that_keeps_killing_jobs_is_found_by_the_health_check(hooked: Site) -> None:
    hooked.policy('[checks."node.kills-jobs"]\nlimit = 3\nwindow = "2h"\n')
    for number in range(3):
        job = {**JOB, "SLURM_JOB_ID": str(50 + number), "SLURM_JOB_UID": str(5000 + number)}
        assert hooked.hook("epilog", **job, SLURM_JOB_EXIT_CODE2="1:0").returncode == 0
    assert hooked.hook("health").returncode == 0
    found = latest(hooked)["node.kills-jobs"]
    assert (found["status"], found["blame"]) == ("warn", "node")
    assert found["message"].startswith("3 of 3 jobs failed here in 2h, of 3 users: 52, 51, 50")
    assert hooked.slurm_calls() == []
