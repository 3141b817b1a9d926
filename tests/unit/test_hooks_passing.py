"""A job that starts as it should is judged by one child; whatever becomes of it, the prolog's answer is the same."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from preflight.facts import isolate
from preflight.hooks.rundir import _Watch
from unit.hook_site import H100X2, JOB, REQUIRE, Site

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
from preflight.hooks.main import main
code = main(sys.argv[2:])
print(code, len(forks))
"""


def prolog(site: Site, harm: str = "", **environment: str) -> tuple[int, int]:
    """Run a prolog; return its exit code and how many children it forked."""
    package = str(Path(site.main).parents[1])
    command = [sys.executable, "-I", "-S", "-c", RUN.format(harm=harm), package, "prolog"]
    command += ["--config", str(site.config), "--run-dir", str(site.run_dir)]
    done = subprocess.run(command, env=site.environment(**environment), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    code, forks = done.stdout.split()
    return int(code), int(forks)


@pytest.fixture(params=["memory", "disk"])
def run_dir(request: pytest.FixtureRequest, hooked: Site) -> Iterator[None]:
    """A runtime directory in memory, as /run is, and on a disk, where it is locked."""
    if request.param == "disk":
        yield
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="preflight-test-") as place:
        hooked.run_dir = Path(place, "run")
        yield


@pytest.mark.usefixtures("run_dir")
def test_one_child_judges_a_job_that_starts_as_it_should(hooked: Site) -> None:
    prolog(hooked, **JOB)  # nothing is cached yet
    assert prolog(hooked, **JOB) == (0, 1)
    assert hooked.report()["verdict"] == "ready"
    assert prolog(hooked, **{**SOUND, "SLURM_JOB_ID": "8"}) == (0, 2)  # NVML has its own
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


@pytest.mark.parametrize("how", ENDS)
def test_a_child_that_ends_otherwise_says_nothing(hooked: Site, how: str) -> None:
    code, forks = prolog(hooked, ENDS[how], **SOUND)
    assert code == 0
    assert forks > 2  # all was done anew
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
    harm = "def never(*_): raise AssertionError\npassing.isolate.expendable = never"
    assert prolog(hooked, harm, **SOUND)[0] == 0
    slow.write_text('{"until": 1}')  # long ago
    assert prolog(hooked, **SOUND) == (0, 2)


def test_a_child_that_is_ready_to_run_is_not_late(hooked: Site) -> None:
    prolog(hooked, **SOUND)
    busy = "passing.LATE_S = 0.0\njudge = passing._judge\ndef busy(*a):\n    until = time.monotonic() + 0.2\n"
    busy += "    while time.monotonic() < until: pass\n    return judge(*a)\npassing._judge = busy"
    assert prolog(hooked, busy, **JOB)[0] == 0
    assert hooked.report()["verdict"] == "ready"


@pytest.mark.parametrize(
    "name", ["stuck-nvml.json", "stuck-files.json", "stuck-nvml-call.json", "stuck-passing-n1.json"]
)
def test_where_something_hangs_no_child_that_may_hang_is_started(hooked: Site, name: str) -> None:
    prolog(hooked, **SOUND)
    start = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    record = {"pid": 1, "start": int(start), "boot": boot, "doing": "x", "since": 1.0, "board": None, "hung": True}
    (hooked.run_dir / f"stuck-{name}.json").write_text(json.dumps(record))
    harm = "def never(*_): raise AssertionError\npassing.isolate.expendable = never\nos.killpg = never"
    assert prolog(hooked, harm, **JOB)[0] == 0


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
