"""[recover]: evidence, a reboot once, a command once; killed at any instant, under any clock."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from preflight.facts import isolate
from preflight.hooks import spool
from preflight.hooks.recover import command as steps_command
from preflight.hooks.recover import record
from preflight.hooks.recover import run as steps_run
from unit.hook_site import Site
from unit.recover_site import MOUNTED, Node

REBOOT = '[recover.steps]\n"host.*" = ["reboot"]\n'
REASON = "preflight:host.mount:/scratch"
DAY_S = 86400.0


@pytest.fixture
def node(site: Site) -> Node:
    """A node that our health check has drained, for a mount that is missing."""
    made = Node(site, REBOOT)
    assert made.action()["kind"] == "drain"
    assert made.slurm()["Reason"].startswith(REASON)
    made.pass_time(300)
    return made


def test_a_node_is_rebooted_once_verified_and_resumed(node: Node) -> None:
    action = node.action()
    assert (action["kind"], action["enforced"]) == ("reboot", True)
    (kept,) = node.evidence()
    assert f"evidence: {kept}" in action["detail"]
    report = json.loads((kept / "report.json").read_text())
    assert any(one["check"] == "host.mount" and one["status"] == "fail" for one in report["findings"])
    node.pass_time(60)
    assert node.action()["kind"] == "none"  # asked for: nothing more until it is made
    node.booted()
    node.mounts.write_text(MOUNTED)
    assert node.action()["kind"] == "resume"
    assert node.slurm()["StateComplete"] == "idle"
    assert node.reboots == 1
    assert node.calls("scontrol reboot") == ["scontrol reboot n1"]


def test_a_reboot_that_did_not_cure_is_not_repeated_and_the_finding_says_so(node: Node) -> None:
    node.action()
    node.booted()
    for _ in range(2):
        assert node.action()["kind"] == "none"
        node.pass_time(DAY_S / 2)
    message = next(one["message"] for one in node.reports()[-1]["findings"] if one["check"] == "host.mount")
    assert "; rebooted at " in message
    assert message.endswith(", not cured")
    node.pass_time(DAY_S)
    node.action()
    assert node.reboots == 1  # rebooted since the drain: it would cure it no more the second time


def test_within_the_hold_down_a_fault_that_comes_back_reboots_no_more(node: Node) -> None:
    node.action()
    node.booted()
    node.mounts.write_text(MOUNTED)
    assert node.action()["kind"] == "resume"
    node.mounts.write_text("")
    node.pass_time(3600)
    assert node.action()["kind"] == "drain"
    node.pass_time(3600)
    assert node.action()["kind"] == "none"
    node.pass_time(DAY_S)
    assert (node.action()["kind"], node.reboots) == ("reboot", 2)


@pytest.mark.parametrize("jump", [400 * DAY_S, -400 * DAY_S])
@pytest.mark.parametrize("when", ["in this boot", "over the reboot"])
def test_a_clock_that_jumps_shortens_no_hold_down(node: Node, jump: float, when: str) -> None:
    node.action()
    if when == "over the reboot":
        node.wall += jump
    node.booted()
    node.mounts.write_text(MOUNTED)
    node.action()
    if when == "in this boot":
        node.wall += jump
    node.mounts.write_text("")
    node.action()
    node.pass_time(3600)
    node.action()
    assert node.reboots == 1


def test_never_with_a_job_running_also_a_suspended_one(node: Node) -> None:
    for state in ("mixed+drain", "allocated+drain", "idle+drain+completing", "idle+drain+maint", "down+drain"):
        node.slurm(StateComplete=state)
        assert node.action()["kind"] == "none"
    node.slurm(StateComplete="idle+drain", jobs="41\n42")
    assert "job 41 is on the node, and 1 others" in node.action()["detail"]
    assert node.reboots == 0
    node.slurm(jobs="")
    assert node.action()["kind"] == "reboot"


def test_nothing_without_our_own_drain_nor_in_observe_mode_nor_with_the_kill_switch(node: Node) -> None:
    (node.site.place / "off").touch()
    assert node.action()["detail"].endswith("; then, by [recover]: reboot")
    (node.site.place / "off").unlink()
    node.policy(REBOOT, top='mode = "observe"')
    assert "observe mode: preflight:host.mount" in node.action()["detail"]
    assert node.reports()[-1]["action"]["detail"].endswith("; then, by [recover]: reboot")
    node.policy(REBOOT)
    node.slurm(Reason="fan 3 is broken")
    assert node.action()["kind"] == "none"
    assert node.reboots == 0
    assert node.evidence() == []


def test_without_steps_nothing_of_it_is_imported_or_done(site: Site) -> None:
    node = Node(site, "")
    assert node.action()["kind"] == "drain"
    assert node.action()["kind"] == "none"
    assert node.reboots == 0
    assert not list(site.spool.glob("recover-*"))


def test_the_breaker_counts_nodes_that_reboot_or_never_came_back_because_of_us(node: Node) -> None:
    node.policy(REBOOT, drain="max_nodes = 1\nresume_after = 1")
    other = {"NodeList": "n0", "User": "slurm", "Timestamp": "2026-01-01T00:00:00"}
    for state, tail in (("down+drain+reboot_issued", "issued"), ("down+not_responding", "issued : reboot timed out")):
        node.slurm(others=[{**other, "StateComplete": state, "Reason": f"preflight:gpu.bus:gpu0: x : reboot {tail}"}])
        node.health()
    assert node.reboots == 0
    assert node.slurm()["StateComplete"] == "idle"  # past the limit, its own drain is undone
    node.action()
    assert node.reports()[-1]["action"]["detail"].startswith("drain breaker:")
    assert node.reboots == 0


def test_what_slurm_refuses_or_cannot_do_is_said_and_tried_again_later(node: Node) -> None:
    node.slurm(program="(null)")
    assert "slurm.conf names no RebootProgram" in node.action()["detail"]
    node.slurm(program="/sbin/reboot", refuses="Invalid user")
    assert "Invalid user" in node.action()["detail"]
    node.slurm(refuses="")
    assert "may still take effect" in node.action()["detail"]
    assert node.reboots == 1
    node.pass_time(400)
    assert (node.action()["enforced"], node.reboots) == (True, 2)
    assert len(node.evidence()) == 1


def test_killed_at_each_instant_the_node_is_rebooted_once(node: Node) -> None:
    drained, instants, killed = node.keep(), 0, True
    while killed:
        node.back_to(drained)
        killed = node.health(kill_at=instants) == signal.SIGKILL
        node.pass_time(400)
        assert node.health() == 0
        assert "reboot_requested" in node.slurm()["StateComplete"], instants
        assert node.reboots == 1, instants
        node.booted()
        assert node.health() == 0
        assert node.reboots == 1, instants
        instants += 1
    assert instants > 10  # four writes of the record, the child, the command: before and after each


def test_killed_after_the_command_and_rebooted_at_once_it_is_not_rebooted_again(node: Node) -> None:
    assert any(node.health(kill_at=number) and node.reboots for number in range(40))
    node.booted()
    node.pass_time(400)
    assert node.action()["kind"] == "none"
    assert node.reboots == 1
    assert "not cured" in next(one["message"] for one in node.reports()[-1]["findings"] if one["check"] == "host.mount")


@pytest.mark.parametrize("text", ["{", '{"steps": [{"step": "reboot"}]}'])
def test_a_record_that_cannot_be_read_holds_every_step(node: Node, text: str) -> None:
    (node.site.spool / "recover-n1.json").write_text(text)
    node.health()
    node.pass_time(3600)
    node.health()
    assert node.reboots == 0
    node.pass_time(DAY_S)
    node.health()
    assert node.reboots == 1


def test_what_cannot_be_put_on_record_is_not_done(node: Node) -> None:
    (node.site.spool / "recover-n1.json").mkdir()
    node.health()
    assert node.reboots == 0


def _script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_ladder_goes_on_where_the_reboot_did_not_help(site: Site, tmp_path: Path) -> None:
    ticket = _script(tmp_path / "ticket", f"env | sort >>{tmp_path}/told; echo opened T-17")
    steps = '[recover.steps]\n"host.mount" = ["reboot", "ticket"]\n[recover.commands]\nticket = '
    node = Node(site, f'{steps}["{ticket}", "--queue", "gpu; rm -rf /"]\n')
    node.action()
    assert node.action()["kind"] == "reboot"
    node.pass_time(60)
    assert node.action()["kind"] == "none"
    node.booted()
    action = node.action()
    assert (action["kind"], action["enforced"]) == ("command", True)
    assert "command ticket for host.mount:/scratch: done: opened T-17" in action["detail"]
    told = dict(line.split("=", 1) for line in (tmp_path / "told").read_text().splitlines())
    assert (told["PREFLIGHT_NODE"], told["PREFLIGHT_CHECK"]) == ("n1", "host.mount")
    assert told["PREFLIGHT_EVIDENCE"] == str(node.evidence()[-1])
    assert told["PREFLIGHT_MESSAGE"].endswith("not cured")
    assert set(told) <= {
        *(one for one in told if one.startswith("PREFLIGHT_")),
        "PATH",
        "LC_ALL",
        "HOME",
        "PWD",
        "SLURMD_NODENAME",
    }
    node.pass_time(3600)
    assert node.action()["kind"] == "none"
    assert (tmp_path / "told").read_text().count("PREFLIGHT_NODE") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [("exit 3", "exit status 3"), ("kill -9 $$", "signal 9"), ("yes", "wrote more than"), ("sleep 60", "did not end")],
)
def test_a_command_that_goes_wrong_costs_only_itself_and_is_not_repeated(
    site: Site, tmp_path: Path, text: str, said: str
) -> None:
    program = _script(tmp_path / "replace", f"echo x >>{tmp_path}/ran; {text}")
    node = Node(
        site,
        '[recover]\ncommand_s = 0.5\n[recover.steps]\n"*" = ["replace"]\n'
        f'[recover.commands]\nreplace = ["{program}"]\n',
    )
    node.action()
    assert said in node.action()["detail"]
    node.pass_time(3600)
    node.action()
    assert (tmp_path / "ran").read_text() == "x\n"


def test_a_command_that_others_may_write_is_not_run(site: Site, tmp_path: Path) -> None:
    program = _script(tmp_path / "ticket", f"touch {tmp_path}/ran")
    program.chmod(0o777)
    node = Node(site, f'[recover.steps]\n"*" = ["t"]\n[recover.commands]\nt = ["{program}"]\n')
    node.action()
    assert "can be written by others" in node.action()["detail"]
    assert not (tmp_path / "ran").exists()


def test_a_bug_report_is_waited_for_bounded_and_kept(site: Site, tmp_path: Path) -> None:
    go = tmp_path / "go"
    text = f'while [ ! -e {go} ]; do sleep 0.05; done; echo "$@" >{tmp_path}/asked; echo report | gzip >"$3.gz"'
    program = _script(tmp_path / "nvidia-bug-report.sh", text)
    node = Node(site, f'[recover]\nbug_report = "{program}"\n{REBOOT}')
    node.action()
    action = node.action()
    assert (action["kind"], node.reboots) == ("none", 0)
    assert "evidence is collected in" in action["detail"]
    go.touch()
    for _ in range(200):
        if node.evidence() and not node.evidence()[-1].name.endswith(".partial"):
            break
        os.system("sleep 0.05")
    assert node.action()["kind"] == "reboot"
    (kept,) = node.evidence()
    assert (kept / "nvidia-bug-report.log.gz").stat().st_size > 0
    assert (tmp_path / "asked").read_text().split()[:2] == ["--safe-mode", "--output-file"]


def test_a_bug_report_that_hangs_costs_its_time_and_is_named(site: Site, tmp_path: Path) -> None:
    program = _script(tmp_path / "nvidia-bug-report.sh", "sleep 600 & sleep 600")
    node = Node(site, f'[recover]\nbug_report = "{program}"\nbug_report_s = 1\n{REBOOT}')
    node.action()
    for _ in range(20):
        if node.action()["kind"] == "reboot":
            break
        os.system("sleep 0.3")
    (kept,) = node.evidence()
    assert "did not end in time" in (kept / "missing.txt").read_text()
    assert node.reboots == 1


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Path]:
    """A bug report that does not end, and says how often it was begun; it ends with the test."""
    yield _script(tmp_path / "bug", f"echo x >>{tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done")
    (tmp_path / "go").touch()


@pytest.mark.parametrize(("bug_report_s", "every_s", "checks"), [(600, 700, 1), (120, 4000, 1), (3600, 3610, 2)])
def test_evidence_that_does_not_end_is_given_up_whatever_the_interval_and_not_begun_twice(
    site: Site, tmp_path: Path, hanging: Path, bug_report_s: int, every_s: int, checks: int
) -> None:
    steps = '[recover.steps]\n"*" = ["one", "two"]\n[recover.commands]\none = ["/bin/true"]\ntwo = ["/bin/true"]\n'
    node = Node(site, f'[recover]\nbug_report = "{hanging}"\nbug_report_s = {bug_report_s}\n{steps}')
    node.action()
    assert "evidence is collected in" in node.action()["detail"]
    for _ in range(checks - 1):
        node.pass_time(every_s)
        assert "evidence is collected in" in node.action()["detail"]
    node.pass_time(every_s)
    action = node.action()
    assert (action["kind"], action["detail"].partition(" for ")[0]) == ("command", "command one")
    node.pass_time(every_s)
    assert node.action()["detail"].startswith("command two")
    assert (tmp_path / "begun").read_text() == "x\n"


@pytest.mark.parametrize(("save_s", "runs"), [(0.0, True), (2.0, True), (4.5, False)])
def test_what_the_record_took_is_not_the_commands_and_time_is_left_for_the_report(
    monkeypatch: pytest.MonkeyPatch, save_s: float, runs: bool
) -> None:
    now, given, saved = 100.0, [], []

    def save() -> None:
        nonlocal now
        now += save_s
        saved.append(row["state"])

    def ran(run: object, rung: object, path: str, seconds: float) -> steps_command.Ran:
        given.append(now + seconds)
        return steps_command.Ran("", "")

    monkeypatch.setattr(steps_command, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(steps_run, "command", ran)
    row = {"state": record.EVIDENCE}
    run = SimpleNamespace(policy=SimpleNamespace(recover=SimpleNamespace(command_s=60.0)), deadline=106.0)
    came = steps_run._command(run, SimpleNamespace(save=save), None, row, "")  # type: ignore[arg-type]
    assert given == ([106.0 - steps_command.LEFT_S] if runs else [])
    assert (came.made, came.waits, row["state"]) == (runs, not runs, record.DONE if runs else record.EVIDENCE)
    assert saved[-1] == row["state"]
    assert steps_command.LEFT_S >= steps_command.CLEAN_S + isolate.REAP_S + spool.BUDGET_S


def test_evidence_is_bounded_in_number_and_size_oldest_first(tmp_path: Path) -> None:
    from preflight.hooks.recover.evidence import prune

    for number in range(1, 7):
        folder = tmp_path / f"{number:06d}.n1.x.y"
        folder.mkdir()
        (folder / "kernel.log").write_bytes(bytes(1000))
    (tmp_path / "notes").mkdir()
    prune(str(tmp_path), 4, "1M")
    assert sorted(path.name[:6] for path in tmp_path.glob("0*")) == ["000003", "000004", "000005", "000006"]
    prune(str(tmp_path), 4, "2500")
    assert sorted(path.name[:6] for path in tmp_path.glob("0*")) == ["000005", "000006"]
    assert (tmp_path / "notes").is_dir()
