"""A spool that hangs holds no hook: a file system that is frozen, a policy on a server that is gone."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from preflight.hooks.rundir import _Watch
from unit.hook_site import H100X2, JOB, REQUIRE, Site, settle
from unit.test_hooks_run import slurm_of

GPUS = {**JOB, "SLURM_JOB_GPUS": "0,1"}
DEADLINE_S = 3.0
TOOLS = ("mkfs.ext4", "mount", "umount", "fsfreeze")


@pytest.fixture
def disk(hooked: Site) -> Iterator[Path]:
    """A file system of its own for the spool, which a test may freeze."""
    if os.geteuid() != 0 or not all(shutil.which(tool) for tool in TOOLS):
        pytest.skip("root and mkfs.ext4 alone make a file system to freeze")
    image, place = hooked.place / "image", hooked.place / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, check=False).returncode:
        pytest.skip("no loop device to be had")
    hooked.spool = place / "spool"
    hooked.policy(deadline_s=DEADLINE_S)
    yield place
    subprocess.run(["fsfreeze", "-u", place], capture_output=True, check=False)
    for _ in range(50):  # what was stuck in it ends first
        if subprocess.run(["umount", place], capture_output=True, check=False).returncode == 0:
            break
        time.sleep(0.1)


def test_a_frozen_spool_costs_no_hook_its_deadline_and_no_report(hooked: Site, disk: Path) -> None:
    assert hooked.hook("prolog", **GPUS).returncode == 0
    subprocess.run(["fsfreeze", "-f", disk], check=True)
    for job in ("8", "9"):
        began = time.monotonic()
        assert hooked.hook("prolog", **{**GPUS, "SLURM_JOB_ID": job}).returncode == 0
        assert time.monotonic() - began < DEADLINE_S + 5  # a frozen disk holds a writer for ever
    assert hooked.hook("health").returncode == 0
    stuck = list(hooked.run_dir.glob("stuck-spool-*.json"))
    assert len(stuck) == 1
    waiting = sorted(path.name for path in (hooked.run_dir / "unkept").iterdir())
    assert [name.partition(".")[0] for name in waiting] == ["8", "9", "node"]
    subprocess.run(["fsfreeze", "-u", disk], check=True)
    pid = json.loads(stuck[0].read_text())["pid"]
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}"):
            break
        time.sleep(0.1)
    assert hooked.hook("health").returncode == 0
    assert list((hooked.run_dir / "unkept").iterdir()) == []
    for job in ("7", "8", "9"):
        assert (hooked.spool / f"reports/{job}/n1.0.prolog.json").exists()


@pytest.mark.parametrize("what", ["misfit", "sick", "sick-epilog"])
def test_a_frozen_spool_holds_no_hook_that_acts(hooked: Site, disk: Path, what: str) -> None:
    """What is under way is written down before it is begun: in memory then, and no signal would end a writer."""
    assert hooked.hook("prolog", **GPUS).returncode == 0
    subprocess.run(["fsfreeze", "-f", disk], check=True)
    if what != "misfit":
        hooked.scenario(H100X2, {"gpu.1.ecc.uncorrected.volatile": 2})
        slurm_of(hooked, "idle", "idle+drain")
    more = {REQUIRE: "gpu=a100"} if what == "misfit" else {}
    command = [sys.executable, "-I", "-S", hooked.main, "hook", "epilog" if "epilog" in what else "prolog"]
    command += ["--config", str(hooked.config), "--run-dir", str(hooked.run_dir)]
    environment = hooked.environment(**{**GPUS, "SLURM_JOB_ID": "8", **more})
    hook = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        said = hook.communicate(timeout=60)
    finally:
        subprocess.run(["fsfreeze", "-u", disk], check=True)
    # Where this machine is slow nothing is drained: counting and undoing would not fit.
    drained = any("State=DRAIN" in call for call in hooked.slurm_calls())
    assert (hook.returncode, said) == (10 if what == "sick" and drained else 0, (b"", b""))
    assert hooked.slurm_calls() != []
    assert [path.name.partition(".")[0] for path in (hooked.run_dir / "unkept").iterdir()] == ["8"]
    if what == "misfit":
        assert (hooked.run_dir / "pending/move-n1-8.json").exists()
    else:
        assert (hooked.run_dir / "drain-n1.json").exists() == drained


@pytest.mark.parametrize("both", [False, True], ids=["alone", "with the spool"])
@pytest.mark.parametrize("phase", ["prolog", "misfit", "epilog", "health"])
def test_a_frozen_runtime_directory_holds_no_hook(hooked: Site, disk: Path, phase: str, both: bool) -> None:
    """It belongs in memory; on a disk that hangs a hook does without its caches, and leaves one child there at most."""
    hooked.run_dir = disk / "run"
    if not both:
        hooked.spool = hooked.place / "spool"
        hooked.policy(deadline_s=12)  # a child that hangs is waited for, and this machine may be slow
    assert hooked.hook("prolog", **GPUS).returncode == 0
    assert (hooked.run_dir / "task/n1.7").exists()
    subprocess.run(["fsfreeze", "-f", disk], check=True)
    try:
        hooks = []
        for job in ("8", "9"):
            of_job = {**GPUS, "SLURM_JOB_ID": job, **({REQUIRE: "gpu=a100"} if phase == "misfit" else {})}
            variables = {} if phase == "health" else of_job
            command = [sys.executable, "-I", "-S", hooked.main, "hook", "prolog" if phase == "misfit" else phase]
            command += ["--config", str(hooked.config), "--run-dir", str(hooked.run_dir)]
            hooks.append(subprocess.Popen(command, env=hooked.environment(**variables)))
            hooks[-1].wait(timeout=60)
        stuck = [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_stuck(pid, str(hooked.run_dir))]
    finally:
        subprocess.run(["fsfreeze", "-u", disk], check=True)
    assert [hook.returncode for hook in hooks] == [0, 0]
    if not both:
        assert len(stuck) == 1
        folder = "node" if phase == "health" else "8"
        assert list((hooked.spool / "reports" / folder).iterdir()) != []


def _is_stuck(pid: str, run_dir: str) -> bool:
    try:
        stat = Path("/proc", pid, "stat").read_text()
        return run_dir in Path("/proc", pid, "cmdline").read_text() and stat.rpartition(")")[2].split()[0] == "D"
    except OSError:
        return False


def test_a_full_spool_keeps_the_report_in_memory(hooked: Site, disk: Path) -> None:
    hooked.hook("prolog", **GPUS)
    filler = disk / "filler"
    with filler.open("wb") as file:
        while True:
            try:
                file.write(b"x" * (1 << 20))
                file.flush()
            except OSError:
                break
    for size in (4096, 1):
        try:
            with filler.open("ab") as file:
                while True:
                    file.write(b"x" * size)
                    file.flush()
        except OSError:
            continue
    assert hooked.hook("prolog", **{**GPUS, "SLURM_JOB_ID": "8"}).returncode == 0
    assert [path.name for path in (hooked.run_dir / "unkept").iterdir()] == ["8.n1.0.prolog.json"]
    filler.unlink()
    assert hooked.hook("health").returncode == 0
    assert (hooked.spool / "reports/8/n1.0.prolog.json").exists()


def test_a_policy_that_hangs_ends_the_hook_and_not_the_job(hooked: Site) -> None:
    """A FUSE server that is stopped, or NFS that is gone: opening the policy sleeps, and the alarm is set before."""
    code = (
        "import os, sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2] / 'src')!r})\n"
        "from preflight.hooks import apart, main\n"
        "main.DEADLINE_S = 1.0\n"
        "apart.cached_policy = lambda *_: time.sleep(60)\n"
        f"words = ['prolog', '--config', {str(hooked.config)!r}, '--run-dir', {str(hooked.run_dir)!r}]\n"
        "sys.exit(main.main(words, alone=True))\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], env=GPUS, check=False, timeout=50)
    assert done.returncode == 128 + 14  # its child was ended by SIGALRM; the script makes 0 of it
    assert time.monotonic() - began < 30


def test_a_fifo_for_a_policy_is_a_broken_policy(hooked: Site) -> None:
    hooked.hook("prolog", **GPUS)
    hooked.config.unlink()
    os.mkfifo(hooked.config)
    assert hooked.hook("prolog", **GPUS).returncode == 0
    (said,) = [one for one in hooked.report()["findings"] if one["check"] == "policy"]
    assert "not a regular file" in said["message"]


@pytest.mark.parametrize("text", ["", "{", '{"a', "[" * 200000, "[]", "4", '{"format": "preflight.report/1"}', "\0\0"])
def test_what_the_prolog_left_torn_blinds_no_epilog(hooked: Site, text: str) -> None:
    hooked.hook("prolog", **GPUS)
    (hooked.spool / "reports/7/n1.0.prolog.json").write_text(text)
    assert hooked.hook("epilog", **GPUS).returncode == 0
    assert hooked.report(phase="epilog")["verdict"] == "ready"


def test_a_torn_copy_in_the_outbox_is_set_aside_and_holds_up_no_other(hooked: Site) -> None:
    shared = hooked.place / "shared"
    hooked.policy()
    hooked.config.write_text(hooked.config.read_text().replace("[report]", f'[report]\ndir = "{shared}"'))
    settle(hooked.config)
    hooked.hook("prolog", **GPUS)
    outbox = hooked.spool / "outbox"
    assert [path.name for path in outbox.iterdir()] == ["7.n1.0.prolog.json"]
    for number, text in enumerate(("{", "[]", '{"job": 4}')):
        (outbox / f"{number}.n1.0.prolog.json").write_text(text)
    shared.mkdir(mode=0o755)
    assert hooked.hook("health").returncode == 0
    assert sorted(path.name for path in outbox.iterdir()) == [f"{at}.n1.0.prolog.json.unreadable" for at in range(3)]
    assert (shared / "7/n1.0.prolog.json").exists()


def test_a_user_who_locks_the_runtime_directory_takes_nothing_from_the_hooks(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    assert _Watch(str(tmp_path)).answers()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert _Watch(str(tmp_path)).answers()
    os.close(descriptor)
    assert (tmp_path / ".alive").stat().st_mode & 0o777 == 0o600
