"""Publishing to a Slurm of stand-ins: what is read, what is written, what is kept."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from preflight.cli.publish import publish as command
from preflight.cli.require import require
from preflight.facts.document import FactsDocument
from preflight.facts.view import View
from preflight.policy.load import PolicyError, parse_policy
from preflight.policy.model import Policy, PublishPolicy, from_cache, to_cache
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.publish import Publication, clear, cluster_features, publish, uses_extra
from unit.hook_site import Site

VIEW = View({"os": {"id": "ubuntu", "version": "22.04"}, "arch": {"machine": "x86_64"}}, {})
OURS = "arch_x86_64,os_ubuntu_22.04"
READ = "sinfo -h -N -n n1 -O Extra:MARK,Features:MARK,features_act:MARK"


class Stand:
    """scontrol and sinfo that answer from files and write down how they were called."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("scontrol", "sinfo"):
            path = place / name
            path.write_text(
                f'#!/bin/sh\necho "{name} $*" >>{place}/calls\ncat {place}/{name}.out 2>/dev/null\nexit 0\n'
            )
            path.chmod(0o755)
        # Fields with a mark between them, as of `sinfo -O`: Extra, available and active features.
        (place / "sinfo").write_text(
            f'#!/bin/sh\necho "sinfo $*" | sed "s/:0|[0-9a-f]*|/:MARK/g" >>{place}/calls\n'
            f'mark="$*" mark=${{mark##*:0}}\nsed "s/MARK/$mark/g" {place}/sinfo.out 2>/dev/null\nexit 0\n'
        )
        (place / "slurm.conf").write_text("ClusterName=x\n")

    def answer(self, name: str, text: str) -> None:
        (self.place / f"{name}.out").write_text(text)

    def has(self, extra: str = "(null)", features: str = "(null)", active: str | None = None) -> None:
        """Let the node have these."""
        fields = (extra, features, features if active is None else active)
        self.answer("sinfo", "".join(f"{one}MARK" for one in fields) + "\n")

    def slurm(self) -> Slurm:
        return Slurm(str(self.place), f"{self.place}/slurm.conf", time.monotonic() + 30)

    def calls(self) -> list[str]:
        path = self.place / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def test_features_are_set_together_and_the_sites_kept(stand: Stand) -> None:
    stand.has(features="big,os_debian_12,gold")
    told = publish(stand.slurm(), "n1", VIEW, Policy(), "features")
    assert told.after == f"big,gold,{OURS}"
    assert stand.calls() == [
        READ,
        f"scontrol update NodeName=n1 AvailableFeatures=big,gold,{OURS} ActiveFeatures=big,gold,{OURS}",
    ]


@pytest.mark.parametrize("have", [f"big,{OURS}", "os_ubuntu_22.04,big,arch_x86_64"])
def test_what_is_there_already_is_one_read(stand: Stand, have: str) -> None:
    stand.has(features=have)
    assert not publish(stand.slurm(), "n1", VIEW, Policy(), "features").changed
    assert len(stand.calls()) == 1


def test_ours_switched_off_are_set_again(stand: Stand) -> None:
    stand.has("(null)", OURS, "(null)")
    assert publish(stand.slurm(), "n1", VIEW, Policy(), "features").changed
    assert len(stand.calls()) == 2


def test_features_that_a_site_switches_are_not_touched(stand: Stand) -> None:
    stand.has("(null)", "cache,flat", "cache")
    with pytest.raises(SlurmError, match="flat are available but not active"):
        publish(stand.slurm(), "n1", VIEW, Policy(), "features")
    assert len(stand.calls()) == 1


def test_extra_keeps_other_keys_and_drops_our_old_ones(stand: Stand) -> None:
    stand.has('{"rack":"r1","driver":550054015,"gpu_name_h100":1}')
    told = publish(stand.slurm(), "n1", VIEW, Policy(), "extra")
    assert json.loads(told.after) == {
        "rack": "r1", "arch": "x86_64", "os": "ubuntu", "os_version": 22004000, "os_version_parts": 2,
    }  # fmt: skip
    assert stand.calls()[1] == f"scontrol update NodeName=n1 Extra={told.after}"
    (stand.place / "calls").unlink()
    stand.has(told.after)
    assert not publish(stand.slurm(), "n1", VIEW, Policy(), "extra").changed
    assert len(stand.calls()) == 1


@pytest.mark.parametrize("text", ["free text", "[1]", "{broken"])
def test_an_extra_that_is_no_object_is_left_alone(stand: Stand, text: str) -> None:
    stand.has(text)
    with pytest.raises(SlurmError, match="the Extra of n1 is no JSON object"):
        publish(stand.slurm(), "n1", VIEW, Policy(), "extra")
    assert len(stand.calls()) == 1


def test_what_was_published_the_other_way_is_taken_back(stand: Stand) -> None:
    stand.has('{"rack":"r1","driver":550054015,"cuda_runs":12004000}', "big")
    told = publish(stand.slurm(), "n1", VIEW, Policy(), "features")
    assert told.taken_back
    assert stand.calls()[1:] == [
        f'scontrol update NodeName=n1 AvailableFeatures=big,{OURS} ActiveFeatures=big,{OURS} Extra={{"rack":"r1"}}'
    ]
    (stand.place / "calls").unlink()
    stand.has('{"rack":"r1"}', f"big,{OURS}")
    assert not publish(stand.slurm(), "n1", VIEW, Policy(), "features").taken_back
    stand.has("(null)", f"big,gpu_count_8,{OURS}")
    told = publish(stand.slurm(), "n1", VIEW, Policy(), "extra")
    assert (
        stand.calls()[-1] == f"scontrol update NodeName=n1 Extra={told.after} AvailableFeatures=big ActiveFeatures=big"
    )


@pytest.mark.parametrize(
    ("extra", "features", "active", "via"),
    [
        ('{"memory":"big","os":"mine"}', "(null)", "(null)", "features"),  # the site's, though ours have these names
        ("mine", "(null)", "(null)", "features"),
        ("(null)", "gpu_a100,os_mine", "gpu_a100,os_mine", "extra"),
        ("(null)", "flat,gpu_count_8", "gpu_count_8", "extra"),  # one that the site switches
    ],
)
def test_what_others_wrote_is_never_taken_back(stand: Stand, extra: str, features: str, active: str, via: str) -> None:
    stand.has(extra, features, active)
    told = publish(stand.slurm(), "n1", VIEW, Policy(), via)
    assert not told.taken_back
    other = "Extra=" if via == "features" else "Features="
    assert not any(other in call for call in stand.calls()[1:])


def test_an_unknown_node_is_said(stand: Stand) -> None:
    stand.answer("sinfo", "")
    for via in ("extra", "features"):
        with pytest.raises(SlurmError, match="does not know node n9"):
            publish(stand.slurm(), "n9", VIEW, Policy(), via)


@pytest.mark.parametrize(
    ("conf", "answer", "expected", "asks"),
    [
        ("SchedulerParameters=bf_x=1, Extra_Constraints # no\n", "", True, False),
        ("schedulerparameters=bf_x=1\n", "", False, False),
        ("#SchedulerParameters=extra_constraints\n", "", False, False),
        ("Include other.conf\n", "SchedulerParameters     = extra_constraints\n", True, True),
        (None, "SchedulerParameters     = (null)\n", False, True),
    ],
)
def test_how_extra_is_found_to_be_in_use(
    stand: Stand, conf: str | None, answer: str, expected: bool, asks: bool
) -> None:
    path = stand.place / "slurm.conf"
    path.unlink()
    if conf is not None:
        path.write_text(conf)
    stand.answer("scontrol", answer)
    assert uses_extra(stand.slurm()) is expected
    assert bool(stand.calls()) is asks


def test_features_of_the_cluster(stand: Stand) -> None:
    stand.answer("sinfo", "a,b\n(null)\nb,c\n")
    assert cluster_features(stand.slurm()) == ["a", "b", "c"]


def policy_file(stand: Stand) -> str:
    path = stand.place / "preflight.toml"
    path.write_text(f'version = 1\n[hook]\nslurm_bin = "{stand.place}"\nslurm_conf = "{stand.place}/slurm.conf"\n')
    return str(path)


def test_the_command_for_another_node(stand: Stand) -> None:
    facts = stand.place / "facts.json"
    facts.write_text(json.dumps(FactsDocument("n7", "", VIEW.facts, {}, {}).to_dict()))
    stand.has()
    options = ["--facts", str(facts), "--config", policy_file(stand)]
    dry = CliRunner().invoke(command, [*options, "--dry-run"])
    assert (dry.exit_code, dry.stdout) == (0, f"n7: features would be: {OURS}\n")
    assert [call.split()[0] for call in stand.calls()] == ["sinfo"]
    done = CliRunner().invoke(command, [*options, "--node", "n8"])
    assert done.stdout == f"n8: features now: {OURS}\n"
    assert stand.calls()[-1].startswith("scontrol update NodeName=n8 ")
    assert CliRunner().invoke(command, ["--node", "n8"]).exit_code != 0


def test_require_to_constraint_asks_the_cluster(stand: Stand) -> None:
    stand.answer("sinfo", "os_ubuntu_22.04,x\nos_debian_12\n")
    options = ["--to", "constraint", "--config", policy_file(stand), "--with", "x|y"]
    done = CliRunner().invoke(require, ["ubuntu>=22.04, mount=/data", *options])
    assert (done.exit_code, done.stdout) == (0, "(x|y)&os_ubuntu_22.04\n")
    assert "the prolog verifies mount=/data" in done.stderr
    assert CliRunner().invoke(require, ["fedora>=40", *options], standalone_mode=False).return_value == 3


def test_the_policys_section() -> None:
    policy = parse_policy('version = 1\n[publish]\nenabled = true\nvia = "extra"\n', "p.toml")
    assert policy.publish == PublishPolicy(True, "extra")
    assert from_cache(to_cache(policy)).publish == policy.publish
    assert Policy().publish == PublishPolicy(False, "auto")
    with pytest.raises(PolicyError, match="via: needs one of auto, extra, features"):
        parse_policy('version = 1\n[publish]\nvia = "both"\n', "p.toml")


def test_a_name_that_slurm_does_not_know_says_how_to_give_another(site: Site) -> None:
    (site.place / "bin/sinfo").write_text("#!/bin/sh\nexit 0\n")
    done = site.run("publish", "--via", "features")
    assert done.returncode == 2
    assert "does not know node n1 (--node with --facts, or SLURMD_NODENAME)\n" in done.stderr
    assert len(done.stderr.splitlines()) == 1


ALL = "arch_x86_64,gpu_count_2,os_ubuntu_22.04"  # by gpu_count_ it is known that they are Preflight's


@pytest.mark.parametrize(
    ("has", "written", "via"),
    [
        ({"features": f"big,{ALL},gold"}, ["AvailableFeatures=big,gold", "ActiveFeatures=big,gold"], "features"),
        ({"features": ALL}, ["AvailableFeatures=", "ActiveFeatures="], "features"),
        ({"extra": '{"pf":1,"os_ubuntu":22004000,"rack":"a7"}'}, ['Extra={"rack":"a7"}'], "extra"),
        ({"extra": '{"rack":"a7"}', "features": "big"}, [], ""),
        ({"extra": "free text"}, [], ""),
        ({"features": "big,gpu_a100"}, [], ""),  # the site's own word, though it begins as ours do
        ({}, [], ""),
    ],
)
def test_clearing_takes_back_what_is_ours_and_nothing_else(
    stand: Stand, has: dict[str, str], written: list[str], via: str
) -> None:
    if "pf" in has.get("extra", ""):  # as it is really published
        has = {"extra": json.dumps({**extra_of_ours(), "rack": "a7"})}
    stand.has(**has)
    assert clear(stand.slurm(), "n1", dry_run=True).via == via
    assert stand.calls() == [READ]
    done = clear(stand.slurm(), "n1")
    assert done.via == via
    updates = [call for call in stand.calls() if call.startswith("scontrol update")]
    assert updates == ([f"scontrol update NodeName=n1 {' '.join(written)}"] if written else [])


def extra_of_ours() -> dict[str, object]:
    from preflight.requirements.encode import extra_of

    return dict(extra_of(VIEW, "warn", Policy().tables()))


def test_both_ways_are_cleared_in_one_write(stand: Stand) -> None:
    stand.has(extra=json.dumps(extra_of_ours()), features=f"{ALL},big")
    assert clear(stand.slurm(), "n1").via == "both"
    assert stand.calls()[1:] == ["scontrol update NodeName=n1 Extra= AvailableFeatures=big ActiveFeatures=big"]


def test_features_that_a_site_switches_are_not_cleared_behind_it(stand: Stand) -> None:
    stand.has(features=f"knl,{ALL}", active=ALL)
    with pytest.raises(SlurmError, match="take those of Preflight out by hand"):
        clear(stand.slurm(), "n1")
    assert stand.calls() == [READ]


def test_uninstalling_withdraws_where_slurm_knows_the_node(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    from preflight.deploy.uninstall import withdraw
    from preflight.policy.model import HookPolicy

    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    hook = HookPolicy(slurm_bin=str(stand.place), slurm_conf=f"{stand.place}/slurm.conf")
    stand.answer("sinfo", "")
    assert withdraw(Policy(hook=hook)) is None  # a login node
    stand.has(features=f"big,{ALL}")
    done = withdraw(Policy(hook=hook))
    assert done == Publication("features", f"big,{ALL}", "big")
    assert stand.calls()[-1] == "scontrol update NodeName=n1 AvailableFeatures=big ActiveFeatures=big"
    assert withdraw(Policy(hook=hook._replace(slurm_bin="/nowhere"))) is None  # no Slurm here
    (stand.place / "sinfo").write_text("#!/bin/sh\necho 'sinfo: error: no controller' >&2\nexit 1\n")
    with pytest.raises(SlurmError, match="no controller"):
        withdraw(Policy(hook=hook))


def test_the_command_clears_and_says_what_stays(stand: Stand, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(
        f'version = 1\nmode = "observe"\n[hook]\nslurm_bin = "{stand.place}"\nslurm_conf = "{stand.place}/slurm.conf"\n'
        "[publish]\nenabled = true\n"
    )
    stand.has(features=f"big,{ALL}")
    done = CliRunner().invoke(command, ["--clear", "--node", "n1", "--config", str(policy)])
    assert done.exit_code == 0
    assert "n1: what Preflight published in features is taken back; of others there: big\n" in done.output
    assert "the next health check publishes again" in done.output
    stand.has(features="big")
    done = CliRunner().invoke(command, ["--clear", "--node", "n1", "--config", str(policy)])
    assert "n1: unchanged: nothing is published by Preflight\n" in done.output
