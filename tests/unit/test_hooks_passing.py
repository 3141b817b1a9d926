"""A job that starts as it should is judged by one child; whatever becomes of it, the prolog's answer is the same."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvml import sim
from preflight.facts import isolate
from preflight.facts.stuck import StuckGuard
from preflight.hooks.rundir import _Watch
from unit.hook_site import H100X2, JOB, REQUIRE, Site, settle

GPUS = {**JOB, "SLURM_JOB_GPUS": "0,1"}
SOUND = {**GPUS, REQUIRE: "gpu=h100"}
# The prolog of an installed package, one of whose functions does something else; it says how often it forked.
RUN = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
fork, forks = os.fork, []
def counted():
    forks.append(1)
    return fork()
os.fork = counted
import preflight.hooks.passing as passing
from preflight.facts import isolate
{harm}
if {disk}:
    from preflight.hooks import rundir
    rundir.in_memory = lambda path: False
from preflight.hooks.main import main
code = main(sys.argv[2:])
print(code, len(forks), passing.Last.why)
"""
NEVER = "def never(*_): raise AssertionError\npassing.isolate.expendable = never"


@pytest.fixture(params=["memory", "disk"])
def node(request: pytest.FixtureRequest, hooked: Site) -> Iterator[Site]:
    """A site whose runtime directory is in memory, or is guarded as one on a disk is; a prolog has run."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="preflight-test-") as place:
        if request.param == "memory":
            hooked.run_dir = Path(place, "run")
        prolog(hooked, **JOB)  # nothing is cached yet
        prolog(hooked, **{**SOUND, "SLURM_JOB_ID": "6"})
        yield hooked


def prolog(site: Site, harm: str = "", **environment: str) -> tuple[int, int]:
    """Run a prolog; return its exit code and how many children it forked."""
    return asked(site, harm, **environment)[:2]


def asked(site: Site, harm: str = "", **environment: str) -> tuple[int, int, str]:
    """Run a prolog; return its exit code, how many children it forked, and why one child did not judge it."""
    package = str(Path(site.main).parents[1])
    disk = not str(site.run_dir).startswith("/dev/shm/")
    command = [sys.executable, "-I", "-S", "-c", RUN.format(harm=harm, disk=disk), package, "prolog"]
    command += ["--config", str(site.config), "--run-dir", str(site.run_dir)]
    done = subprocess.run(command, env=site.environment(**environment), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    code, forks, why = done.stdout.rstrip("\n").split(" ", 2)
    return int(code), int(forks), why


def test_one_child_judges_a_job_that_starts_as_it_should(node: Site) -> None:
    hooked = node
    assert asked(hooked, **JOB) == (0, 1, "")
    assert hooked.report()["verdict"] == "ready"
    assert asked(hooked, **{**SOUND, "SLURM_JOB_ID": "8"}) == (0, 2, "")  # NVML has its own
    report = hooked.report(8)
    assert report["verdict"] == "ready"
    assert len(report["facts"]["gpus"]["devices"]) == 2
    assert sorted(path.name for path in hooked.run_dir.iterdir() if path.name[:4] in ("slow", "stuc")) == []
    note = json.loads((hooked.run_dir / "task/n1.8").read_text())
    assert note["verdict"] == "ready"


END = "passing._judge = lambda *_: {end}"
ENDS = {
    "killed": END.format(end="os.kill(os.getpid(), 9)"),
    "out of memory": END.format(end="bytearray(1 << 60)"),
    "ended": END.format(end="os._exit(0)"),
    "a bug": END.format(end="1 / 0"),
    "a probe that failed": "import preflight.facts.child as child\nread = child.read\n"
    "def broken(fact, root):\n    if isolate._Here.on and fact.child: raise ValueError('x')\n"
    "    return read(fact, root)\nchild.read = broken",
    "no process": "def no(*_): raise OSError(11, 'no process')\npassing.isolate.expendable = no",
}

WHY = {
    "killed": "^ended without a word$",
    "out of memory": "^MemoryError: .*at <string>",
    "ended": "^ended without a word$",
    "a bug": "^ZeroDivisionError: division by zero at",
    "a probe that failed": "^ValueError: x at <string>",
    "no process": "^no process: ",
}


@pytest.mark.parametrize("how", ENDS)
def test_a_child_that_ends_otherwise_says_nothing(hooked: Site, how: str) -> None:
    code, forks, why = asked(hooked, ENDS[how], **SOUND)
    assert code == 0
    assert forks > 2  # all was done anew
    assert re.search(WHY[how], why), why
    report = hooked.report()
    assert (report["verdict"], report["action"]["kind"]) == ("ready", "none")
    assert report["facts"]["toolkits"]["items"] == []
    assert not list(hooked.run_dir.glob("slow-*"))


def test_an_nvml_that_crashed_is_named_as_ever(hooked: Site) -> None:
    prolog(hooked, "import preflight.facts.gpu as gpu\ngpu.probe = lambda *_, **__: os.kill(os.getpid(), 11)", **SOUND)
    unknown = hooked.report()["unknown"]
    assert any("signal 11" in why for why in unknown.values()), unknown


def test_a_child_that_is_late_is_ended_and_none_is_started_for_a_while(hooked: Site) -> None:
    prolog(hooked, **SOUND)
    seen = hooked.place / "pid"
    hang = f"def hang(*_):\n    open({str(seen)!r}, 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    assert prolog(hooked, f"{hang}passing._judge = hang", **SOUND)[0] == 0
    assert hooked.report()["verdict"] == "ready"
    assert not Path("/proc", seen.read_text()).exists()
    slow = hooked.run_dir / "slow-n1.json"
    assert slow.exists()
    assert asked(hooked, NEVER, **SOUND)[::2] == (0, "slow-n1.json")
    slow.write_text('{"until": 1}')  # long ago
    assert prolog(hooked, **SOUND) == (0, 2)


def test_a_child_that_is_ready_to_run_is_not_late(hooked: Site) -> None:
    prolog(hooked, **SOUND)
    busy = "passing.LATE_S = 0.0\njudge = passing._judge\ndef busy(*a):\n    until = time.monotonic() + 0.2\n"
    busy += "    while time.monotonic() < until: pass\n    return judge(*a)\npassing._judge = busy"
    assert prolog(hooked, busy, **JOB)[0] == 0
    assert hooked.report()["verdict"] == "ready"


@pytest.mark.parametrize("lives", [True, False])
@pytest.mark.parametrize("name", ["nvml", "files", "passing-n1", "copy-n1"])
def test_where_something_hangs_no_child_that_may_hang_is_started(hooked: Site, name: str, lives: bool) -> None:
    prolog(hooked, **SOUND)
    prolog(hooked, **JOB)
    start = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    record = {"pid": 1, "start": int(start) + (not lives), "boot": boot, "doing": "x", "since": 1.0}
    StuckGuard(str(hooked.run_dir), name).remember(os.getpid(), "x")
    (path,) = hooked.run_dir.glob("stuck-*")
    path.write_text(json.dumps({**record, "board": None, "hung": True}))
    code, _, why = asked(hooked, f"{NEVER}\nos.killpg = never" if lives else "", **JOB)
    assert (code, why) == (0, path.name if lives else "")


def test_a_call_that_hung_is_no_child_that_hangs(node: Site) -> None:
    StuckGuard(str(node.run_dir), "nvml").prove("gpu 3")
    assert asked(node, **JOB)[::2] == (0, "")
    assert asked(node, NEVER, **SOUND)[::2] == (0, "stuck-nvml-call.json")


HANG = """
import preflight.hooks.record as record
note = record.note_for_tasks
def hang(*a):
    if isolate._Here.on:
        open({seen!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    return note(*a)
record.note_for_tasks = hang
"""


def test_a_child_that_cannot_be_ended_is_remembered_and_holds_up_no_other(node: Site) -> None:
    """It hangs in another file system than the runtime directory, which must be free."""
    seen = node.place / "pid"
    assert asked(node, f"{HANG.format(seen=str(seen))}isolate.end = lambda pid: False", **JOB)[::2] == (
        0,
        "was late, not ended",
    )
    try:
        names = {path.name for path in node.run_dir.iterdir() if path.name[:4] in ("slow", "stuc")}
        assert names == {"slow-n1.json", "stuck-passing-n1.json"}
        assert json.loads((node.run_dir / "stuck-passing-n1.json").read_text())["pid"] == int(seen.read_text())
        assert (node.run_dir / "task/n1.7").exists()
        code, _, why = asked(node, NEVER, **{**JOB, "SLURM_JOB_ID": "9"})
        assert (code, why in names) == (0, True)
        assert (node.run_dir / "task/n1.9").exists()
        (node.run_dir / "slow-n1.json").unlink()
        assert asked(node, NEVER, **JOB)[::2] == (0, "stuck-passing-n1.json")
    finally:
        os.kill(int(seen.read_text()), 9)


def test_the_lock_is_free_once_the_directory_has_answered(hooked: Site) -> None:
    prolog(hooked, **JOB)
    code = "import fcntl\njudge = passing.rundir.answers_here\ndef look():\n    assert judge()\n"
    code += f"    lock = os.open({str(hooked.run_dir / '.alive')!r}, os.O_RDONLY)\n"
    code += "    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n    os.close(lock)\n    return True\n"
    assert asked(hooked, f"{code}passing.rundir.answers_here = look", **JOB) == (0, 1, "")


def test_commands_of_the_policy_run_once(node: Site) -> None:
    calls = node.place / "calls"
    node.policy(f'[[host]]\ncheck = "command"\nshell = "echo x >>{calls}"\nphases = ["prolog"]\n')
    prolog(node, **JOB)
    calls.unlink()
    assert asked(node, NEVER, **JOB)[::2] == (0, "[[host]] rows that may not be asked twice")
    assert calls.read_text() == "x\n"
    calls.unlink()
    code, _, why = asked(node, "passing._does_more_than_read = lambda policy: False", **JOB)
    assert (code, why) == (0, "unfinished: command needs a child of its own")
    assert calls.read_text() == "x\n"


def test_rows_that_only_read_are_no_hindrance(node: Site) -> None:
    node.policy('[[host]]\ncheck = "mount"\npath = "/"\nphases = ["prolog"]\n')
    prolog(node, **JOB)
    assert asked(node, **JOB) == (0, 1, "")
    assert len(node.report()["facts"]["host"]["rows"]) == 1


def test_a_copy_is_given_its_own_time(node: Site) -> None:
    copies = node.place / "copies"
    copies.mkdir()
    text = node.config.read_text()
    node.config.write_text(text.replace("[report]", f'[report]\ndir = "{copies}"\nwrite_s = 0.1'))
    settle(node.config)
    prolog(node, **JOB)
    hang = "import preflight.hooks.keep as keep\nkeep.write_copy = lambda *_: time.sleep(600)\n"
    assert asked(node, hang + NEVER, **JOB)[::2] == (0, "report.dir")
    assert [path.name for path in (node.spool / "outbox").iterdir()] == ["7.n1.0.prolog.json"]
    assert node.report()["verdict"] == "ready"


SHIPPED = {
    "hangs before": HANG,
    "is killed after": "import preflight.hooks.record as record\nsay = record.say\ndef end(*a):\n"
    "    if isolate._Here.on: os.kill(os.getpid(), 9)\n    return say(*a)\nrecord.say = end\n",
    "hangs after": "import preflight.report.queue as queue\nwrite = queue._write_number\ndef hang(*a):\n"
    "    if isolate._Here.on: time.sleep(600)\n    return write(*a)\nqueue._write_number = hang\n",
}


@pytest.mark.parametrize("how", ["", *SHIPPED])
def test_one_record_is_queued_and_that_is_the_last(node: Site, how: str) -> None:
    node.policy('[ship]\nurl = "https://c.example.org"\n')
    prolog(node, **JOB)
    other = {path.name for path in (node.spool / "ship").glob("*.json")}
    seen = str(node.place / "pid")
    code, _, why = asked(node, SHIPPED[how].format(seen=seen) if how else "", **{**JOB, "SLURM_JOB_ID": "9"})
    assert (code, bool(why)) == (0, bool(how))
    queued = [path for path in sorted((node.spool / "ship").glob("*.json")) if path.name not in other]
    assert [json.loads(path.read_text()) for path in queued] == [node.report(9)]
    assert len(other) == 1


@pytest.mark.parametrize(
    ("what", "verdict"), [("gpu.0.ecc.uncorrected.volatile", "unhealthy"), ("", "mismatch"), ("streaks", "ready")]
)
def test_what_is_to_be_acted_on_is_decided_by_the_hook_itself(hooked: Site, what: str, verdict: str) -> None:
    """The child has no part in it: were it to act, its pid would be the one that acts."""
    prolog(hooked, **SOUND)
    asked = {**SOUND, REQUIRE: "gpu=a100"} if verdict == "mismatch" else SOUND
    if what == "streaks":
        (hooked.spool / "streaks-n1.json").write_text("{}")
    elif what:
        hooked.scenario(H100X2, {what: 2, what.replace("volatile", "aggregate"): 2})
    harm = "import preflight.hooks.prolog as p\nact = p.act\ndef mine(*a):\n"
    harm += "    assert not isolate._Here.on\n    return act(*a)\np.act = mine"
    prolog(hooked, harm, **asked)
    assert hooked.report()["verdict"] == verdict


def test_a_child_that_hangs_elsewhere_does_not_keep_the_runtime_directory_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk its lock says that somebody hangs in it: all hooks did without, while a mount was dead."""
    watch = _Watch(str(tmp_path), ahead=False)
    with monkeypatch.context() as patch:
        patch.setattr(isolate._Here, "on", True)
        assert watch.look_here()
    others = _Watch(str(tmp_path))
    assert others.answers()


def test_gpus_in_a_fabric_are_judged_by_one_child_too(node: Site) -> None:
    """All that eight GPUs with NVLink tell is read by the hooks' own binding to NVML."""
    node.scenario(sim.example("h100x8"))
    (node.place / "gres.conf").write_text("Name=gpu File=/dev/nvidia[0-7]\n")
    job = {**JOB, "SLURM_JOB_ID": "8", "SLURM_JOB_GPUS": "0,1,2,3,4,5,6,7", REQUIRE: "gpu=h100"}
    prolog(node, **{**job, "SLURM_JOB_ID": "7"})
    assert asked(node, **job) == (0, 2, "")
    report = node.report(8)
    assert report["verdict"] == "ready"
    assert set(report["unknown"]) <= {"cuda"}, report["unknown"]  # toolkits: no health check has run
