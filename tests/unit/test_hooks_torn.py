"""Files of root's own that a power cut tore, or that hold something strange: set aside, and no hook stumbles."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from preflight import files
from preflight.hooks.drained import ours
from preflight.hooks.pending import begin, left_over
from unit.hook_site import H100X2, JOB, Site
from unit.test_hooks_run import slurm_of

STRANGE = [
    "",
    "{",
    '{"node',
    "[" * 100000,
    "null",
    "[]",
    "4",
    '"x"',
    '{"node": 4}',
    '{"node": "n1", "move": 3}',
    "\0\0\0",
]
GPUS = {**JOB, "SLURM_JOB_GPUS": "0,1"}


@pytest.mark.parametrize("text", STRANGE)
def test_a_torn_entry_of_an_action_is_set_aside_and_hides_no_other(tmp_path: Path, text: str) -> None:
    spool, run_dir = str(tmp_path / "spool"), str(tmp_path / "run")
    good = begin(spool, run_dir, "move-n1-8", {"node": "n1", "move": {}})
    entry = json.loads(Path(good.path).read_text())
    Path(good.path).write_text(json.dumps({**entry, "pid": 2**22 + 1}))  # its hook is gone
    (tmp_path / "spool/pending/a.json").write_text(text)
    assert [one.path for one in left_over(spool, run_dir, "n1")] == [good.path]
    assert (tmp_path / "spool/pending/a.json.unreadable").read_text() == text
    assert [one.path for one in left_over(spool, run_dir, "n1")] == [good.path]


@pytest.mark.parametrize("text", STRANGE)
def test_hooks_go_on_whatever_is_in_the_files_that_they_keep(hooked: Site, text: str) -> None:
    assert hooked.hook("prolog", **GPUS).returncode == 0
    assert hooked.hook("health").returncode == 0
    kept = [path for path in hooked.run_dir.iterdir() if path.suffix == ".json"]
    kept += [hooked.spool / "drain-n1.json", hooked.spool / "reports/7/n1.0.prolog.json"]
    for folder in ("pending", "released", "outbox"):
        (hooked.spool / folder).mkdir(exist_ok=True)
        kept.append(hooked.spool / folder / "7.n1.0.prolog.json")
    assert {"policy-n1.json", "clock-n1.json"} <= {path.name for path in kept}
    for path in kept:
        path.write_text(text)
    assert hooked.hook("epilog", **GPUS).returncode == 0
    assert hooked.report(phase="epilog")["verdict"] in ("ready", "degraded")
    for path in kept:
        path.write_text(text)
    assert hooked.hook("health").returncode == 0
    assert hooked.hook("prolog", **{**GPUS, "SLURM_JOB_ID": "8"}).returncode == 0
    assert hooked.report(8)["verdict"] in ("ready", "degraded")


@pytest.mark.parametrize("text", STRANGE[:5] + STRANGE[-1:])
def test_what_no_run_can_ever_read_is_damaged(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert files.damaged(str(path))


def test_a_disk_that_fails_for_a_moment_costs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = begin(str(tmp_path), str(tmp_path / "run"), "move-n1-8", {"node": "n1", "move": {}}).path
    whole = Path(path).read_bytes()
    monkeypatch.setattr("preflight.hooks.pending.read_json", lambda path: None)
    assert list(left_over(str(tmp_path), str(tmp_path / "run"), "n1")) == []  # it is whole on the second look

    def fails(path: str, limit: int) -> bytes:
        raise OSError(5, "Input/output error", path)

    for read in (fails, lambda path, limit: whole[:5]):
        monkeypatch.setattr(files, "read_plain", read)
        assert list(left_over(str(tmp_path), str(tmp_path / "run"), "n1")) == []
    assert Path(path).read_bytes() == whole


@pytest.mark.parametrize("full", [False, True])
def test_a_job_that_was_released_and_is_released_again_goes_on_being_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    begin(str(tmp_path), str(tmp_path / "run"), "move-n1-8", {"node": "n1", "move": {}}).ended("requeue")
    (again,) = left_over(str(tmp_path), str(tmp_path / "run"), "n1", "released")
    if full:
        monkeypatch.setattr("preflight.files.os.rename", lambda path, to: (_ for _ in ()).throw(OSError(28, "full")))
    again.ended("requeue", "anew")
    (entry,) = left_over(str(tmp_path), str(tmp_path / "run"), "n1", "released")
    assert entry.entry["detail"] == ("" if full else "anew")


def test_the_drains_record_outlives_a_torn_one(hooked: Site) -> None:
    """Without it nobody could undo a drain past the limit: it stands on the disk and in memory."""
    hooked.scenario(H100X2, {"gpu.1.ecc.uncorrected.volatile": 2})
    slurm_of(hooked, "idle", "idle+drain")
    assert hooked.hook("prolog", **GPUS).returncode == 10
    record = (hooked.spool / "drain-n1.json").read_text()
    (hooked.spool / "drain-n1.json").write_text(record[:20])
    run: Any = SimpleNamespace(
        policy=SimpleNamespace(report=SimpleNamespace(spool=str(hooked.spool))), run_dir=str(hooked.run_dir), node="n1"
    )
    assert ours(run) == json.loads(record)
    assert (hooked.spool / "drain-n1.json.unreadable").exists()


@pytest.mark.parametrize("module", ["hooks/main.py", "bundle.py", "files.py"])
def test_half_an_installation_is_one_line_and_stops_no_job(hooked: Site, tmp_path: Path, module: str) -> None:
    """As an upgrade that was cut off leaves it."""
    package = tmp_path / "half/preflight"
    shutil.copytree(Path(hooked.main).parent, package, ignore=shutil.ignore_patterns("__pycache__", "modules.bundle"))
    shutil.copytree(package, tmp_path / "whole/preflight")
    (package / module).unlink()
    hooked.main = str(package / "__main__.py")
    done = hooked.hook("prolog", **GPUS)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1
    hooked.main = str(tmp_path / "whole/preflight/__main__.py")
    assert hooked.hook("prolog", **GPUS).stderr == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
@pytest.mark.parametrize(("phase", "code"), [("prolog", 10), ("epilog", 0), ("health", 0)])
def test_whatever_output_is_closed_the_drain_and_the_exit_code_are_right(
    hooked: Site, closed: str, phase: str, code: int
) -> None:
    hooked.scenario(H100X2, {"gpu.1.ecc.uncorrected.volatile": 2})
    slurm_of(hooked, "idle", "idle+drain")
    command = [sys.executable, "-I", "-S", hooked.main, "hook", phase, "--config", str(hooked.config)]
    shell = ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command, "--run-dir", str(hooked.run_dir)]
    done = subprocess.run(shell, env=hooked.environment(**GPUS), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert any("state=drain" in call.lower() for call in hooked.slurm_calls())
