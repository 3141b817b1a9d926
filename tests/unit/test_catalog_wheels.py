"""Builds of Python packages: which have code for a GPU, and where that is told."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from click.testing import CliRunner

from preflight.catalog import targets, versions
from preflight.catalog.tables import SHIPPED, Tables
from preflight.catalog.wheels import builds, family_of
from preflight.cli.code import code
from preflight.cli.support import support
from unit.gpu_code_samples import container, image, library, ptx, wheel

FAMILIES = (
    "torch", "torchvision", "torchaudio", "jax", "cupy", "tensorflow", "vllm", "bitsandbytes", "onnxruntime", "xgboost",
    "faiss", "ctranslate2",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


def test_the_rows_are_sound() -> None:
    rows = SHIPPED.rows("wheels")
    assert {row["family"] for row in rows} == set(FAMILIES)
    for row in rows:
        named = [targets.parse(one) for one in row["targets"]]
        assert all(one is not None and targets.is_known(one.arch) for one in named), row
        assert versions.minor(row["cuda"])
        assert row["arch"] in ("x86_64", "aarch64")


# Sources: PyTorch's RELEASE.md (CUDA support matrix), the wheels; the driver floors are NVIDIA's.
@pytest.mark.parametrize(
    ("family", "capability", "driver", "machine", "answer"),
    [
        ("torch", "7.0", "550.54.15", "x86_64", ["torch 2.14 (cu126), driver 525.60.13 or newer"]),
        ("torch", "7.0", "470.57.02", "x86_64", ["torch 2.7 (cu118), driver 450.80.02 or newer"]),
        ("torch", "9.0", "580.65.06", "x86_64", ["cu126", "cu130", "cu132"]),
        ("torch", "12.0", "570.124.06", "x86_64", ["torch 2.11 (cu128), driver 570 or newer"]),
        ("torch", "10.0", None, "aarch64", ["cu130", "cu132"]),
        ("torch", "8.9", "550.54.14", "aarch64", ["torch 2.14 (cu126)"]),
        # PyTorch packs only its builds of CUDA 13 by zstd, which drivers before CUDA 12.4 do not know.
        ("torch", "8.9", "535.54.03", "aarch64", ["torch 2.14 (cu126)"]),
        ("torch", "8.9", "535.54.03", "x86_64", ["torch 2.14 (cu126), driver 525.60.13 or newer"]),
        ("torch", "11.0", None, "x86_64", ["a driver of CUDA 13.0", "a driver of CUDA 13.2"][:0]),
        ("faiss", "8.0", "470.57.02", "x86_64", ["faiss-gpu-cu11 1.14.1, driver 450.80.02 or newer"]),
        ("faiss", "9.0", None, "x86_64", []),
        ("ctranslate2", "9.0", "550.54.15", "x86_64", []),  # by PTX of CUDA 12.8
        ("ctranslate2", "9.0", "570.124.06", "x86_64", ["ctranslate2 4.8.5, a driver of CUDA 12.8 or newer"]),
        ("vllm", "7.0", None, "x86_64", []),
        ("onnxruntime", "9.0", "550.54.15", "x86_64", []),
        ("torch", "15.0", None, "x86_64", []),
        ("torch", "9.0", "1.0", "x86_64", []),
        ("nothing", "9.0", None, "x86_64", []),
    ],
)
def test_builds(family: str, capability: str, driver: str | None, machine: str, answer: list[str]) -> None:
    found = [one.shown for one in builds(family, capability, driver, machine)]
    assert len(found) == len(answer)
    assert all(part in one for part, one in zip(answer, found))


def test_a_package_is_of_a_family() -> None:
    names = ("faiss-gpu-cu12", "faiss_gpu_cu12", "PyTorch", "jax-cuda12-plugin", "cupy-cuda13x", "numpy", "")
    assert [family_of(one) for one in names] == ["faiss", "faiss", "torch", "jax", "cupy", "", ""]


def test_a_sites_own_build_counts() -> None:
    row = {
        "family": "torch", "version": "3.0", "build": "cu126", "arch": "x86_64", "cuda": "12.6", "targets": ["sm_70"],
        "source": ["site"],
    }  # fmt: skip
    assert [one.version for one in builds("torch", "7.0", None, "x86_64", Tables({"wheels": [row]}))] == ["3.0"]


def test_code_and_support_name_them(tmp_path: Path) -> None:
    place = str(
        wheel(
            tmp_path / "torch-2.14.0-cp311-cp311-manylinux_2_28_x86_64.whl",
            {"torch/x.so": library([container(image(90))])},
        )
    )
    page = CliRunner().invoke(code, [place, "--gpu", "v100", "--driver", "550.54.15"])
    assert page.exit_code == 3
    assert "would run: torch 2.14 (cu126), driver 525.60.13 or newer" in " ".join(page.output.split())
    told = json.loads(CliRunner().invoke(code, [place, "--gpu", "v100", "--json"]).output)
    assert [one["build"] for one in told["places"][0]["asked"][0]["packages"][0]["builds"]] == ["cu126"]
    told = json.loads(CliRunner().invoke(code, [place, "--gpu", "h100", "--json"]).output)
    assert told["places"][0]["asked"][0]["packages"][0]["builds"] == []
    text = " ".join(CliRunner().invoke(support, ["--gpu", "v100"]).output.split())
    assert "Python wheels with code for V100: ok torch 2.14 (cu126), driver 525.60.13 or newer" in text
    assert "None in the catalog: onnxruntime, vllm" in text
    assert "wheels" not in CliRunner().invoke(support, ["--cuda", "12.4", "--gpu", "v100"]).output


def test_the_script_prints_a_wheels_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = runpy.run_path(str(ROOT / "scripts/wheel_row.py"))["rows"]
    some = library([container(image(80), image(90), ptx(90))], needed=["libcudart.so.12"], versions=["GLIBC_2.28"])
    files = {
        "bits/lib_cuda118.so": some,
        "bits/lib_cuda130.so": library([container(image(75))]),
        "x.libs/libnv.so": some,
    }
    found = rows(str(wheel(tmp_path / "bits-1.0-py3-none-manylinux_2_28_x86_64.whl", files)))
    assert [one.partition("targets = ")[2].partition(", glibc")[0] for one in found] == [
        '["sm_80", "sm_90", "compute_90"]',
        '["sm_75"]',
    ]
    assert all(f'build = "cu{cuda}"' in row for cuda, row in zip(("118", "130"), found))
    odd = wheel(
        tmp_path / "odd-1.0-py3-none-manylinux_2_28_x86_64.whl", {"odd.so": library([container(image(90, kind=16))])}
    )
    assert rows(str(odd)) == []
    assert "no row: images of kind 16" in capsys.readouterr().err
