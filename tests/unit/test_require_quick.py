"""`preflight require --to …` without Click: the same answers as the long way, and nothing heavy imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import preflight
from preflight.cli.placing import quick
from preflight.cli.require import require

MAIN = str(Path(preflight.__file__).with_name("__main__.py"))
FEATURES = "--features=os_ubuntu_22.04,cuda_runs_12.999,gpu_h100,driver_550"
PLAIN = [
    ["--to", "extra", "--with=", "--", "cuda>=12.4, mount=/scratch"],
    ["--to", "constraint", "--with=a|b", FEATURES, "--", "cuda>=12.4, ubuntu>=22.04|rhel>=9"],
    ["--to=constraint", "--with=[a*2]", FEATURES, "gpu=h100"],
    ["--to", "constraint", FEATURES, "gpu=a100"],
    ["ubuntu>=22.04", "--to", "extra"],
    ["--to", "extra", "--with=ö>1", "!mig"],
    ["--to", "extra", "--gres=gres:gpu:a100_3g.20gb:1", "gpu.count>=1, gpu=3g.20gb"],
    ["--to", "json", "--", 'cuda>=12.4|!mig, mount="/a, \\"b\\" ö", nvlink'],
    ["cuda>=12.4", "--to", "json"],
    ["--to", "json", "--", "cuda"],
    ["--to", "json", "--", "a, cudda>=12.4 \x1b[2J\u202e ö"],
    ["--to", "json", "--", ""],
    ["--to", "constraint", FEATURES, "h100"],
    ["--to", "extra", "gpu.memory>=80X"],
]
LONG_WAY = [
    ["cuda>=12.4"],
    ["--to", "extra"],
    ["--to", "extra", "--help"],
    ["--to", "extra", "a", "b"],
    ["--to", "nothing", "mig"],
    ["--to"],
]
HEAVY = ("click", "tomllib", "json", "typing", "re", "subprocess", "dataclasses", "logging")


@pytest.mark.parametrize("arguments", PLAIN)
def test_both_ways_answer_the_same(arguments: list[str]) -> None:
    short = quick(arguments)
    assert short is not None
    long = CliRunner().invoke(require, arguments, standalone_mode=False)
    code = long.return_value if long.exception is None else long.exit_code
    stdout = "" if short.text is None else f"{short.text}\n"
    stderr = "".join(f"{one}\n" for one in short.remarks)
    assert (stdout, stderr, short.code) == (long.stdout, long.stderr, code)


@pytest.mark.parametrize("arguments", LONG_WAY)
def test_all_else_goes_the_long_way(arguments: list[str]) -> None:
    assert quick(arguments) is None


@pytest.mark.parametrize("gres", ["gpu:1g.5gb:2", "gres/gpu:a100_1g.5gb=2", "lustre:1,gpu:1g.10gb+me"])
def test_a_mig_device_is_not_placed_by_what_whole_gpus_are(gres: str) -> None:
    found = quick(["--to", "extra", f"--gres={gres}", "--", "gpu.count>=2, gpu.memory>=5G|mig, driver>=550, gpu=a100"])
    assert found is not None
    assert found.text == "driver>=550000000&gpu_name_a100=1"
    assert [one.partition("verifies ")[2].partition(":")[0] for one in found.remarks] == [
        "gpu.count>=2",
        "gpu.memory>=5G|mig",
    ]
    whole = quick(["--to", "extra", "--gres=gpu:a100:2", "--", "gpu.count>=2"])
    assert whole is not None
    assert whole.text == "gpu_count>=2"


def imported(*asked: str) -> tuple[str, set[str]]:
    """Return what the command prints, and the modules that it imports."""
    command = [sys.executable, "-I", "-S", "-X", "importtime", MAIN, "require", *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_it_imports_little() -> None:
    said, modules = imported("--to", "constraint", FEATURES, "--", "cuda>=12.4, ubuntu>=22.04|rhel>=9")
    assert said == "cuda_runs_12.999&os_ubuntu_22.04\n"
    assert "preflight.requirements.features" in modules
    assert modules.isdisjoint(HEAVY)


def test_what_the_plugin_runs_at_each_submit_imports_still_less() -> None:
    """slurm_plugin/launch.c has these words."""
    said, modules = imported("--to", "json", "--", "cuda>=12.4, ubuntu>=22.04|rhel>=9")
    assert [len(clause) for clause in json.loads(said)] == [1, 2]
    assert "preflight.requirements.grammar" in modules
    assert modules.isdisjoint((*HEAVY, "preflight.requirements.features", "preflight.policy.model"))
    assert "preflight.slurm.commands" not in modules


def test_a_mistake_is_told_as_fast() -> None:
    command = [sys.executable, "-I", "-S", "-X", "importtime", MAIN, "require", "--to", "json", "--", "cuda>=12.4, gpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert (done.returncode, done.stdout) == (2, "")
    assert lines[0].startswith("gpu needs an operator and words of the GPU's name, such as h100")
    assert "| click" not in done.stderr


def test_a_reader_that_went_away_changes_nothing() -> None:
    command = f"exec 3>&1; {{ {sys.executable} {MAIN} require --to extra mig; echo $? >&3; }} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["0"], "")
