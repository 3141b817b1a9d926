"""Files of root's own that a power cut tore, or that hold something strange: set aside, and no hook stumbles."""

import json
from pathlib import Path

import pytest

from preflight.hooks.pending import begin, left_over
from unit.hook_site import JOB, Site

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
