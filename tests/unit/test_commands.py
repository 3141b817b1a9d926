"""[[command]] rows: the site's own programs, judged by status and output, each costing its own result only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from preflight.checks.finding import Finding
from preflight.checks.registry import Context
from preflight.checks.run import run_checks
from preflight.facts.collect import begin, collect
from preflight.facts.commands import AT_A_TIME, unlike
from preflight.facts.source import Source
from preflight.policy.load import PolicyError, for_node, parse_policy
from preflight.policy.model import Policy
from unit.hook_site import Site, settle

HEAD = 'version = 1\nmode = "enforce"\n'
ENDS = {
    'run = ["true"]': ("pass", "ended with status 0"),
    'run = ["false"]': ("warn", "ended with status 1, not 0"),
    'run = ["false"]\naction = "drain"': ("fail", "ended with status 1, not 0"),
    'run = ["false"]\nstatus = 1': ("pass", "ended with status 1"),
    'shell = "exit 3"\nstatus = [0, 3]': ("pass", "ended with status 3"),
    'shell = "echo why >&2; exit 2"': ("warn", "ended with status 2, not 0: why"),
    'run = ["echo", "all well"]\noutput = "all*"': ("pass", "ended with status 0"),
    'run = ["echo", "all well"]\noutput = ["/well$/", "!/bad/"]': ("pass", "ended with status 0"),
    'run = ["echo", "all bad"]\noutput = "!/bad/"': ("warn", "a line of its output matches /bad/: all bad"),
    'run = ["echo", "x"]\noutput = "y"': ("warn", "no line of its output matches y"),
    'run = ["echo", "$(id)", "*"]\noutput = "$(id) [*]"': ("pass", "ended with status 0"),  # no shell reads it
    'run = ["no-such-program"]': ("unknown", "no-such-program: no such program"),
    'run = ["/etc/passwd"]': ("unknown", "cannot be started"),
    'run = ["sleep", "600"]\ntimeout = "1s"': ("unknown", "did not end in time"),
    'run = ["yes"]': ("unknown", "wrote more than 64 KiB"),
    'shell = "kill -11 $$"': ("unknown", "was ended by signal 11"),
    'run = ["true"]\nuser = "nobody-of-that-name"': ("unknown", "nobody-of-that-name"),
}


def policy(*rows: str) -> Policy:
    return for_node(parse_policy(HEAD + "".join(f"[[command]]\n{row}\n" for row in rows), "p.toml"), "n1")


def judge(said: Policy, deadline_s: float = 30) -> list[Finding]:
    source = Source(node="n1", host=said.host_asked("health"))
    view = collect(["commands"], source, deadline_s).view()
    found = run_checks(Context("health", view, view, said))
    return [one for one in found if "command" in one.check]


@pytest.mark.parametrize("row", ENDS)
def test_a_command_is_judged_by_status_and_output(row: str) -> None:
    (found,) = judge(policy(row))
    status, message = ENDS[row]
    assert (found.check, found.status, message in found.message) == ("host.command", status, True), found


def test_rows_run_side_by_side_and_cost_only_their_own_result() -> None:
    began = time.monotonic()
    rows = ['run = ["sleep", "600"]\ntimeout = "2s"'] * 6 + ['run = ["true"]\nname = "fine"']
    rows = [row.replace("sleep", "/bin/sleep").replace("600", str(600 + at)) for at, row in enumerate(rows)]
    found = judge(policy(*rows))
    assert [one.status for one in found] == ["unknown"] * 6 + ["pass"]
    assert time.monotonic() - began < 12  # one after the other they take more than that


def test_a_row_with_a_name_is_a_check_of_its_own() -> None:
    said = policy('name = "sssd"\nrun = ["false"]\naction = "drain"')
    assert [(one.check, one.status, one.subject) for one in judge(said)] == [("command.sssd", "fail", "sssd")]
    for action, statuses in (("warn", ["warn"]), ("off", [])):
        table = f'[checks."command.sssd"]\naction = "{action}"\n'
        softer = parse_policy(f'{HEAD}{table}[[command]]\nname = "sssd"\nrun = ["false"]\naction = "drain"\n', "p.toml")
        assert [one.status for one in judge(for_node(softer, "n1"))] == statuses


def test_what_a_command_forks_ends_with_it() -> None:
    mark = f"{700 + os.getpid() / 1e7:.7f}"
    row = f"""shell = "for i in 1 2 3; do setsid sh -c 'sleep {mark} & sleep {mark}' & done; exit 0" """
    assert [one.status for one in judge(policy(row))] == ["pass"]
    running = subprocess.run(["ps", "axo", "args"], capture_output=True, text=True, check=True).stdout
    assert mark not in running


def test_a_hook_that_is_ended_leaves_no_command_behind(tmp_path: Path) -> None:
    mark = f"{800 + os.getpid() / 1e7:.7f}"
    text = f'{HEAD}[[command]]\nshell = "touch {tmp_path}/began; setsid sleep {mark} & sleep {mark}"\ntimeout = "9s"\n'
    (tmp_path / "p.toml").write_text(text)
    command = [sys.executable, "-m", "preflight", "check", "--phase", "health", "--config", str(tmp_path / "p.toml")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as hook:
        _until(lambda: (tmp_path / "began").exists())
        hook.kill()
    _until(lambda: mark not in subprocess.run(["ps", "axo", "args"], capture_output=True, text=True).stdout)


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it never held")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_it_runs_as_another_user_with_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    row = 'shell = "id -u; env | cut -d= -f1 | sort | xargs; ls /proc/self/fd | xargs"\nuser = "nobody"\n'
    row += 'output = ["65534", "HOME LC_ALL PATH PWD SLURMD_NODENAME*", "0 1 2 3", "!/SECRET/"]'
    (found,) = judge(policy(row))
    assert found.status == "pass", found


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("how", ["mode", "owner", "directory", "link", "fine", "user"])
def test_what_others_can_write_does_not_run_as_root(tmp_path: Path, how: str) -> None:
    tmp_path.chmod(0o755)
    place = tmp_path / "bin"
    place.mkdir(mode=0o755)
    program, asked = place / "ours", place / "ours"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    if how == "mode":
        program.chmod(0o777)
    elif how == "owner":
        os.chown(program, 1000, 0)
    elif how == "directory":
        place.chmod(0o777)
    elif how == "link":
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
        asked = tmp_path / "open/ours"
        asked.symlink_to(program)
    user = '\nuser = "root"' if how == "user" else ""
    program.chmod(0o777) if how == "user" else None
    (found,) = judge(policy(f'run = ["{asked}"]{user}'))
    assert found.status == ("pass" if how == "fine" else "unknown"), found
    assert how == "fine" or "must be root's" in found.message or "can be written by others" in found.message


def test_each_row_is_told_as_it_ends() -> None:
    """The reader is ended amid the batch: what had answered by then counts."""
    said = policy('shell = "sleep 60; :"\ntimeout = "50s"\nname = "slow"', 'run = ["true"]\nname = "fine"')
    source = Source(node="n1", host=said.host_asked("health"))
    collection = begin(["commands"], source, 60.0)
    child = collection.probes["commands"].child
    assert child is not None
    _until(lambda: any("told" in one.get("item", ()) for one in child.so_far()))
    assert sum("told" in one.get("item", ()) for one in child.so_far()) == 1
    os.kill(child.pid, 9)
    view = collection.finish(time.monotonic() + 30).view()
    found = run_checks(Context("health", view, view, said))
    assert {one.check: one.status for one in found if "command" in one.check} == {
        "command.slow": "unknown",
        "command.fine": "pass",
    }


def test_a_slow_row_holds_up_none_that_waits_its_turn() -> None:
    rows = ['shell = "sleep 60; :"\ntimeout = "50s"'] + [f'run = ["true"]\nname = "n{at}"' for at in range(AT_A_TIME)]
    assert [one.status for one in judge(policy(*rows), 6.0)] == ["unknown"] + ["pass"] * AT_A_TIME


def test_it_does_not_run_in_another_root(tmp_path: Path) -> None:
    said = policy('run = ["true"]')
    source = Source(str(tmp_path), live=False, host=said.host_asked("health"))
    assert collect(["commands"], source).unknown["commands"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("status = 1", "needs one of the keys run, shell"),
        ('run = ["true"]\nname = "a b"', "needs a name of letters"),
        ('run = ["true"]\ntimeout = 5', "needs a time"),
        ('run = ["true"]\noutput = "/(/"', "is no regular expression"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(row: str, why: str) -> None:
    with pytest.raises(PolicyError, match=r"p.toml:\d+: command.0") as error:
        policy(row)
    assert why in str(error.value)


def test_patterns_are_of_lines() -> None:
    assert unlike(["a", "!c*"], ["a", "b"]) == ""
    assert unlike(["!/./"], []) == ""
    assert unlike(["a"], []) == "no line of its output matches a"


def test_commands_know_the_names(tmp_path: Path) -> None:
    config = tmp_path / "p.toml"
    text = f'{HEAD}[[command]]\nname = "sssd"\nnodes = "other"\nrun = "true"\n'
    text += '[[command]]\nname = "ours"\nrun = "true"\n'
    config.write_text(f'{text}[checks."command.sssd"]\nmode = "observe"\n')
    settle(config)
    command = [sys.executable, "-m", "preflight"]
    checked = subprocess.run([*command, "config", "check", str(config)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    shown = [*command, "checks", "command.ours", "--json", "--config", str(config)]
    row = json.loads(subprocess.run(shown, capture_output=True, text=True, check=True).stdout)
    assert (row["help"], row["action"]) == ("true ends as its row in the policy asks.", "warn")


def test_the_real_health_check_runs_them_and_no_prolog_does(hooked: Site) -> None:
    hooked.policy('[[command]]\nname = "ours"\nrun = ["false"]\n')
    for _ in range(2):  # the second time by the cached policy
        assert hooked.hook("health").returncode == 0
    newest = max(hooked.spool.rglob("*health*.json"), key=lambda path: path.stat().st_mtime_ns)
    found: list[dict[str, Any]] = json.loads(newest.read_text())["findings"]
    assert [(one["check"], one["status"]) for one in found if "command" in one["check"]] == [("command.ours", "warn")]
    assert hooked.hook("prolog", SLURM_JOB_ID="7", SLURM_JOB_UID="4242").returncode == 0
    assert [one for one in hooked.report()["findings"] if "command" in one["check"]] == []
