"""What an image needs: from files, packages and variables, and the page that says it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from preflight.cli.image import image as command
from preflight.report.clean import width
from preflight.requirements.grammar import parse
from preflight.submit.image.needs import needs, requirement
from preflight.submit.image.open import read
from unit.image_samples import ALPINE, CUDA, REQUIRE, UBUNTU, Tree, configuration, layer, layout, unpacked

ENFORCED = "NVIDIA_REQUIRE_CUDA=cuda>=12.4\nNVIDIA_VISIBLE_DEVICES=all\n"
SITE = "usr/local/lib/python3.11/dist-packages"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), prog_name="preflight image")


def asked(tmp_path: Path, tree: Tree) -> str:
    return requirement(needs(read(str(unpacked(tmp_path, {"etc/os-release": UBUNTU.encode()} | tree)))))


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({f"{SITE}/nvidia_cuda_runtime_cu12-12.4.127.dist-info/METADATA": b""}, "cuda>=12.4"),
        ({f"{SITE}/nvidia_cuda_runtime-13.0.96.dist-info/METADATA": b""}, "cuda>=13.0"),
        ({f"{SITE}/torch/version.py": b"cuda: Optional[str] = '12.1'\n"}, "cuda>=12.1"),
        ({f"{SITE}/torch/version.py": b"cuda = None\n"}, ""),
        ({"opt/conda/conda-meta/cuda-cudart-12.6.77-h5888daf_0.json": b"{}"}, "cuda>=12.6"),
        ({"opt/conda/conda-meta/cudatoolkit-11.8.0-h6a678d5_0.json": b"{}"}, "cuda>=11.8"),
        ({"usr/lib64/libcudart.so.12": b""}, "cuda>=12.0"),
        ({"usr/lib64/libcudart.so.11.0": "libcudart.so.11.8.89", "usr/lib64/libcudart.so.11.8.89": b""}, "cuda>=11.0"),
        # which of them a job uses is not known: the lowest
        (CUDA | {f"{SITE}/torch/version.py": b"cuda = '11.8'\n"}, "arch=x86_64, cuda>=11.8"),
        # cuda-compat lets it run on older drivers
        (CUDA | {"usr/local/cuda-12.4/compat/libcuda.so.550.54.15": b""}, "arch=x86_64"),
        (CUDA | {"etc/environment": b'NVIDIA_REQUIRE_CUDA="cuda>=9.0"\n'}, "arch=x86_64, cuda>=9.0, cuda>=12.4"),
        ({"etc/environment": b"CUDA_VERSION=12.4.1\n"}, "cuda>=12.4"),
        ({"etc/environment": b"NVIDIA_REQUIRE_CUDA=cuda>=12.4\nNVIDIA_DISABLE_REQUIRE=true\n"}, ""),
        ({"etc/environment": b"NVIDIA_REQUIRE_CUDA=cuda>=12.4\nNVIDIA_DISABLE_REQUIRE=no\n"}, "cuda>=12.4"),
        ({".singularity.d/env/90-environment.sh": b"export NVIDIA_REQUIRE_CUDA=$(date)\n"}, ""),
        ({".singularity.d/env/90-environment.sh": b"NVIDIA_REQUIRE_CUDA='cuda>=12.4'\n"}, "cuda>=12.4"),
    ],
)
def test_evidence_becomes_a_requirement(tree: Tree, said: str, tmp_path: Path) -> None:
    assert asked(tmp_path, tree) == said


def test_the_full_name_of_a_library_wins_over_its_short_one(tmp_path: Path) -> None:
    tree: Tree = {"usr/lib64/libcudart.so.12": "libcudart.so.12.8.57", "usr/lib64/libcudart.so.12.8.57": b""}
    assert asked(tmp_path, tree) == "cuda>=12.8"


def test_musl_has_no_cuda(tmp_path: Path) -> None:
    tree: Tree = {
        "etc/os-release": ALPINE.encode(),
        "lib/ld-musl-aarch64.so.1": b"",
        "usr/lib/libcudart.so.12.4.127": b"",
    }
    image = read(str(unpacked(tmp_path, tree)))
    found = needs(image)
    assert any("NVIDIA publishes no CUDA for musl" in need.text for need in found)
    assert any("do not load" in need.text for need in found)
    assert requirement(found) == "arch=aarch64"


def test_the_tools_differences_are_told(tmp_path: Path) -> None:
    environment = {
        "NVIDIA_REQUIRE_CUDA": "cuda==12.4",
        "NVIDIA_DISABLE_REQUIRE": "false",
        "NVIDIA_VISIBLE_DEVICES": "all",
    }
    texts = [need.text for need in needs(read(str(layout(tmp_path / "i", [layer(CUDA)], configuration(environment)))))]
    assert any("invalid expression" in text and "skips it" in text for text in texts)
    assert any("enroot takes any value as yes" in text for text in texts)
    assert any("enroot gives utility only" in text for text in texts)


@pytest.mark.parametrize(
    ("value", "said"),
    [("all", "all GPUs"), ("void", "no NVIDIA support"), ("none", "no GPU"), ("0,1", "the GPUs 0,1")],
)
def test_which_gpus_it_wants(value: str, said: str, tmp_path: Path) -> None:
    environment = {"NVIDIA_VISIBLE_DEVICES": value, "NVIDIA_DRIVER_CAPABILITIES": "compute"}
    found = needs(read(str(layout(tmp_path / "i", [], configuration(environment)))))
    assert any(need.subject == "gpus" and said in need.text for need in found)


def test_the_page(tmp_path: Path) -> None:
    environment = {"NVIDIA_REQUIRE_CUDA": REQUIRE, "NVIDIA_VISIBLE_DEVICES": "all"}
    compat: Tree = {"usr/local/cuda-12.4/compat/libcuda.so.550.54.15": b""}
    result = run(str(layout(tmp_path / "image", [layer(CUDA | compat)], configuration(environment))))
    assert result.exit_code == 0
    assert all(width(line) <= 80 for line in result.output.splitlines()), result.output
    assert "Ubuntu 22.04.4 LTS" in result.output
    written = result.output.partition('--require="')[2].partition('"')[0].replace("\\\n", "")
    assert [clause.text for clause in parse(written).clauses][:2] == ["arch=x86_64", "cuda>=12.4|driver>=470"]


def test_json(tmp_path: Path) -> None:
    environment = {"NVIDIA_REQUIRE_CUDA": "cuda>=12.4", "HF_TOKEN": "hf_secret"}
    result = run(str(layout(tmp_path / "image", [layer(CUDA)], configuration(environment))), "--json")
    value = json.loads(result.output)
    assert value["format"] == "preflight.image/1"
    assert value["requirement"] == "arch=x86_64, cuda>=12.4"
    assert value["needs"][0].keys() == {"subject", "text", "evidence", "requirement"}
    assert "hf_secret" not in result.output


def test_an_empty_image_needs_nothing(tmp_path: Path) -> None:
    result = run(str(layout(tmp_path / "i", [], b"{}")))
    assert "None of it can be said as a requirement" in result.output


def test_a_reference_is_an_error_of_one_line() -> None:
    result = run("docker://ubuntu:22.04")
    assert result.exit_code == 1  # Click's own; the command line makes it 2
    assert result.output.count("\n") == 1
    assert "downloads nothing" in result.output


def test_hostile_text_is_cleaned(tmp_path: Path) -> None:
    bad = "\x1b]0;owned\x07\u202e中" * 30
    release = f'ID=ubuntu\nPRETTY_NAME="{bad}"\n'.encode()
    environment = {
        "NVIDIA_REQUIRE_CUDA": f"cuda>=12.4 {bad}",
        "NVIDIA_VISIBLE_DEVICES": bad,
        "NVIDIA_DRIVER_CAPABILITIES": bad,
    }
    root = layout(tmp_path / "image", [layer({"etc/os-release": release})], configuration(environment, bad))
    for arguments in ((str(root),), (str(root), "--json")):
        output = run(*arguments).output
        assert "owned" in output
        assert not set(output) & {"\x1b", "\x07", "\u202e"}
    assert all(width(line) <= 80 for line in run(str(root)).output.splitlines())


@pytest.mark.parametrize(
    ("variables", "checked_by", "said"),
    [
        ({}, "", "cuda>=12.4"),
        ({}, "toolkit", "driver.cuda>=12.4"),
        ({}, "enroot", "driver.cuda>=12.4"),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, "enroot", "driver.cuda>=12.4"),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, "enroot", "cuda>=12.4"),  # its hook ends before it looks at them
        ({"NVIDIA_DISABLE_REQUIRE": "false"}, "enroot", "cuda>=12.4"),
        ({"NVIDIA_DISABLE_REQUIRE": "false"}, "toolkit", "driver.cuda>=12.4"),
        ({"NVIDIA_DISABLE_REQUIRE": "true"}, "toolkit", ""),
        ({"NVIDIA_REQUIRE_CUDA": "", "CUDA_VERSION": "12.4.1"}, "toolkit", "driver.cuda>=12.4"),
        ({"NVIDIA_REQUIRE_CUDA": "", "CUDA_VERSION": "12.4.1"}, "enroot", "cuda>=12.4"),  # nor does it know that one
    ],
)
def test_what_checks_it_asks_for_the_drivers_own_cuda(
    variables: dict[str, str], checked_by: str, said: str, tmp_path: Path
) -> None:
    every = {"NVIDIA_REQUIRE_CUDA": "cuda>=12.4", "NVIDIA_VISIBLE_DEVICES": "all", **variables}
    text = "".join(f"{name}={value}\n" for name, value in every.items() if value)
    root = unpacked(tmp_path, {"etc/os-release": UBUNTU.encode(), "etc/environment": text.encode()})
    assert requirement(needs(read(str(root)), checked_by)) == said


def test_the_page_says_what_a_runtime_that_checks_asks(tmp_path: Path) -> None:
    root = unpacked(tmp_path, {"etc/os-release": UBUNTU.encode(), "etc/environment": ENFORCED.encode()})
    page = run(str(root)).output
    assert "Under pyxis, enroot or Docker" in page
    assert '--require="driver.cuda>=12.4"' in page
    assert json.loads(run("--json", str(root)).stdout)["requirement_checked"] == "driver.cuda>=12.4"
