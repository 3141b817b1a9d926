"""A hook whose own files may hold it is judged by a child, which its parent does not wait for.

What hangs for good is in the campaign's family "servers" (tests/unit/test_campaign.py plays some of it).
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from preflight.facts import mounted
from preflight.files import NOWHERE
from preflight.hooks import apart, supervised
from preflight.hooks.apart import Own
from preflight.hooks.run import is_apart
from preflight.hooks.supervised import Asked
from preflight.policy.model import Policy
from preflight.report.schema import schema
from preflight.slurm.gres.cache import conf_directory
from unit.hook_site import JOB, Site

MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:20 / /run rw shared:2 - tmpfs tmpfs rw
24 22 0:30 / /shared rw - fuse.glusterfs server:/v rw
25 24 8:2 / /shared/local rw - xfs /dev/sdb rw
26 22 0:31 / /with\\040blank rw - nfs4 server:/x rw
27 22 0:32 / /over rw - ext4 /dev/sdc rw
28 27 0:33 / /over rw - gpfs gpfs0 rw
29 22
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setattr(mounted, "MOUNTS", str(tmp_path / "mountinfo"))


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ("/etc/preflight/preflight.toml", False),
        ("/run/preflight", False),
        ("/shared", True),
        ("/shared/etc/preflight.toml", True),
        ("/shared/local/spool", False),
        ("/sharedby/none", False),
        ("/with blank/etc", True),
        ("/over/x", True),
    ],
)
def test_what_stands_on_a_server(path: str, holds: bool) -> None:
    assert mounted.may_hold(path) is holds


@pytest.mark.usefixtures("mounts")
def test_links_are_followed_to_a_server(tmp_path: Path) -> None:
    link = tmp_path / "p.toml"
    link.symlink_to("/shared/etc/p.toml")
    assert mounted.served([str(link), "/etc"]) == [str(link)]
    assert not mounted.may_hold(str(link))
    (tmp_path / "policy-n1.json").touch()
    Own(str(link), "n1", str(tmp_path), "").mark(Policy())
    assert json.loads((tmp_path / "apart-n1.json").read_text()) == [str(link)]
    assert is_apart(str(tmp_path), "n1")
    Own("/etc/p.toml", "n1", str(tmp_path), "").mark(Policy())
    assert not is_apart(str(tmp_path), "n1")


@pytest.mark.usefixtures("mounts")
def test_slurm_conf_that_slurmd_named_to_a_prolog_is_a_health_checks_too(tmp_path: Path) -> None:
    """A health check is not told where it stands, and forgot that it stands on a server."""
    Own("/etc/p.toml", "n1", str(tmp_path), "/shared/slurm/slurm.conf").mark(Policy())
    marked = json.loads((tmp_path / "apart-n1.json").read_text())
    assert marked == ["/shared/slurm/gres.conf", "/shared/slurm/slurm.conf"]
    (tmp_path / "cluster-n1.json").write_text('{"cluster": "lab", "conf": "/shared/slurm/slurm.conf"}')
    Own("/etc/p.toml", "n1", str(tmp_path), "").mark(Policy())
    assert json.loads((tmp_path / "apart-n1.json").read_text()) == marked


def asked(place: Path, seconds: float = 5, phase: str = "health") -> Asked:
    now = time.monotonic()
    return Asked(phase, "/etc/p.toml", str(place), "n1", now, now + seconds)


@pytest.mark.parametrize(
    ("hook", "code"),
    [
        (lambda _: 0, 0),
        (lambda _: 10, 10),
        (lambda _: 1 // 0, supervised.NOT_JUDGED),
        (lambda _: os.kill(os.getpid(), signal.SIGKILL) or 0, 128 + signal.SIGKILL),
    ],
)
def test_how_a_child_ended_is_how_the_hook_ended(hook: object, code: int, tmp_path: Path) -> None:
    assert supervised.supervised(asked(tmp_path), hook) == code  # type: ignore[arg-type]


def test_the_child_has_nothing_open_but_the_line_to_its_parent(tmp_path: Path) -> None:
    """slurmd waits for the end of a hook's output, and of whatever else it has open, and not for its exit."""

    def hook(line: supervised.Line) -> int:
        open_files = {int(name): os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")[:-1]}
        (tmp_path / "open").write_text(json.dumps(open_files))
        return 0

    with (tmp_path / "mine").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        assert supervised.supervised(asked(tmp_path), hook) == 0
    found = json.loads((tmp_path / "open").read_text())
    assert {found.pop(name) for name in "012"} == {"/dev/null"}
    assert [name.partition(":")[0] for name in found.values()] == ["pipe"]


def test_a_childs_own_children_say_nothing_to_its_parent(tmp_path: Path) -> None:
    line = supervised.Line(os.open(tmp_path / "line", os.O_CREAT | os.O_WRONLY))
    pid = os.fork()
    if pid == 0:
        line.on_record()
        os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / "line").stat().st_size == 0
    line.on_record()
    assert (tmp_path / "line").stat().st_size == 8


@pytest.mark.parametrize("recorded", [False, True])
def test_one_that_does_not_end_is_not_waited_for_nor_joined_by_another(
    recorded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom no signal ends looks, to its parent, like a child that it may not kill."""
    monkeypatch.setattr(supervised, "SIGNAL", 0)
    monkeypatch.setattr(supervised, "RECORD_S", 20)
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    pids = tmp_path / "pid"

    def hook(line: supervised.Line) -> int:
        pids.write_text(str(os.getpid()))
        signal.setitimer(signal.ITIMER_REAL, 0)
        if recorded:
            line.on_record()
        time.sleep(600)
        return 0

    ended = supervised.supervised(asked(tmp_path, 0.2, "prolog"), hook)
    pid = int(pids.read_text())
    waiting = tmp_path / "unkept/7.n1.0.prolog.json"
    try:
        assert ended == supervised.ENDED_BY_ALARM
        assert waiting.exists() is not recorded
        pids.unlink()
        waiting.unlink(missing_ok=True)
        again = supervised.supervised(asked(tmp_path, 0.2, "prolog"), hook)
        assert (again, pids.exists()) == (supervised.NOT_JUDGED, False)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    report = json.loads(waiting.read_text())
    jsonschema.validate(report, schema())
    assert (report["verdict"], report["action"]["kind"]) == ("unknown", "none")
    assert f"pid {pid}" in report["findings"][0]["message"]
    assert supervised.supervised(asked(tmp_path), lambda _: 0) == 0


def test_a_hook_that_its_alarm_ends_leaves_a_report_that_a_health_check_delivers(hooked: Site) -> None:
    code = (
        "import sys, time\n"
        f"sys.path.insert(0, {str(Path(hooked.main).parents[1])!r})\n"
        "from preflight.hooks import main, run, passing\n"
        "passing.passes = lambda _: time.sleep(60)\n"
        f"words = ['prolog', '--config', {str(hooked.config)!r}, '--run-dir', {str(hooked.run_dir)!r}]\n"
        "from preflight.hooks import supervised\n"
        "supervised.RECORD_S = 20\n"
        "sys.exit(main.main(words, alone=True))\n"
    )
    hooked.policy(deadline_s=1)
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, env=hooked.environment(**JOB), check=False, timeout=50)
    assert done.returncode == supervised.ENDED_BY_ALARM
    assert (hooked.run_dir / "unkept/7.n1.0.prolog.json").exists()
    hooked.policy()
    hooked.hook("health")
    report = hooked.report()
    assert (report["verdict"], report["cluster"]) == ("unknown", "lab")
    assert "was ended by its alarm" in report["findings"][0]["message"]


def test_a_usual_node_is_supervised_once(hooked: Site) -> None:
    assert is_apart(str(hooked.run_dir), "n1")
    hooked.hook("prolog")
    assert not is_apart(str(hooked.run_dir), "n1")


def test_what_does_not_answer_is_done_without(hooked: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a policy that named another spool, and whose own file may hang, what was read last is known."""
    hooked.hook("prolog", **JOB)
    own = Own(str(hooked.config), "n1", str(hooked.run_dir), "")
    hangs: set[str] = set()
    monkeypatch.setattr(apart, "served", lambda paths, **_: [path for path in paths if path in hangs])
    monkeypatch.setattr(apart, "silent", lambda _, paths: frozenset(hangs.intersection(paths)))
    good = own.policy(lambda _: [])
    assert (good.mode, good.problem) == ("enforce", "")
    hangs.add(str(hooked.spool))
    policy = own.policy(lambda _: [])
    assert (policy.mode, policy.report.spool) == ("enforce", NOWHERE)
    assert str(hooked.spool) in policy.problem
    assert is_apart(str(hooked.run_dir), "n1")
    hangs.add(f"{hooked.place}/gres.conf")
    policy = own.policy(lambda _: [])
    assert (policy.mode, policy.hook.slurm_conf, policy.cluster) == ("observe", NOWHERE, "lab")
    assert conf_directory(NOWHERE) == "/dev/null"  # and in no usual place
    hooked.config.unlink()  # it hangs: nobody may look
    hangs.add(str(hooked.config))
    policy = own.policy(lambda _: [])
    assert (policy.mode, policy.report.spool, policy.hook.deadline_s) == ("observe", NOWHERE, good.hook.deadline_s)
    hangs.clear()
    assert own.policy(lambda _: []).mode == "observe"  # the file is gone
    assert not is_apart(str(hooked.run_dir), "n1")
