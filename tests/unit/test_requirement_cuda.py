"""`cuda>=X` on a node with GPUs: the catalog's word on the GPU, the driver and the cuda-compat that is there."""

from __future__ import annotations

from typing import Any

import pytest

from preflight.catalog.tables import Tables
from preflight.facts.view import View
from preflight.requirements.evaluate import ClauseResult, evaluate
from preflight.requirements.grammar import parse

H100 = {"index": 0, "name": "NVIDIA H100 80GB HBM3", "compute_capability": "9.0"}
A100 = {"index": 1, "name": "NVIDIA A100-SXM4-40GB", "compute_capability": "8.0"}
V100 = {"index": 2, "name": "Tesla V100-SXM2-32GB", "compute_capability": "7.0"}
RTX = {"index": 3, "name": "NVIDIA GeForce RTX 3090", "compute_capability": "8.6"}
A6000 = {"index": 4, "name": "NVIDIA RTX A6000", "compute_capability": "8.6"}
B200 = {"index": 6, "name": "NVIDIA B200", "compute_capability": "10.0"}
LOST = {"index": 5, "error": "GpuIsLost"}
HERE = {"path": "/usr/local/cuda-12.4/compat", "driver": "550.54.15"}


def ask(
    text: str,
    driver: tuple[str, str],
    *devices: dict[str, Any],
    compat: list[dict[str, str]] | None = None,
    seen: tuple[int, ...] | None = None,
    unknown: dict[str, str] | None = None,
    minor: str = "warn",
    tables: Tables | None = None,
) -> ClauseResult:
    facts: dict[str, dict[str, Any]] = {"driver": {"version": driver[0], "cuda": driver[1]}}
    facts["gpus"] = {"devices": list(devices)}
    facts["toolkits"] = {"versions": [], "items": [], "compat": compat or []}
    view = View(facts, unknown or {}, seen)
    [result] = evaluate(parse(text), view, cuda_minor=minor, **({"tables": tables} if tables else {}))
    return result


D470, D525, D550, D570, D580 = (
    ("470.256.02", "11.4"),
    ("525.60.13", "12.0"),
    ("550.54.15", "12.4"),
    ("570.124.06", "12.8"),
    ("580.95.05", "13.0"),
)


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [
        (ask("cuda>=12.4", D550, H100), "pass", "natively"),
        (ask("cuda>=12.4", D525, H100, minor="accept"), "pass", "by minor-version compatibility"),
        (ask("cuda>=12.4", D525, H100), "warn", "by minor-version compatibility alone"),
        (ask("cuda>=12.4", D525, A100, minor="reject"), "fail", "does not count minor-version compatibility"),
        (
            ask("cuda>=12.4", D525, A100, minor="reject", compat=[HERE]),
            "pass",
            "by cuda-compat-12-4 in /usr/local/cuda",
        ),
        (ask("cuda>=12.4", D470, A100, compat=[HERE]), "pass", "by cuda-compat-12-4 in /usr/local/cuda-12.4/compat"),
        (ask("cuda>=12.4", D470, A100), "fail", "runs programs up to CUDA 11.4"),
        (ask("cuda>=12.4", D470, RTX, compat=[HERE]), "fail", "runs programs up to CUDA 11.4"),
        (ask("cuda>=12.4", D470, A100, RTX, compat=[HERE]), "fail", "runs programs up to CUDA 11.4"),
        (ask("cuda>=12.4", D470, A100, RTX, compat=[HERE], seen=(0,)), "pass", "by cuda-compat-12-4"),
        (ask("cuda>=12.4", D470, A6000, compat=[HERE]), "unknown", "is not listed"),
        (ask("cuda>=12.5", D470, A100, compat=[HERE]), "fail", "up to CUDA 11.4"),
        (ask("cuda>=12.4", D470, A100, unknown={"toolkits": "Timeout"}), "unknown", "cuda-compat-12-4 works"),
        (ask("cuda>=12.4", D470, RTX, unknown={"toolkits": "Timeout"}), "fail", "up to CUDA 11.4"),
        (ask("cuda>=11.0", D550, H100), "warn", "the first toolkit for it is 11.8"),
        (ask("cuda>=12.4", D570, B200), "warn", "holds with a caveat: CUDA 12.4 has no code for B200"),
        (ask("cuda=12.4", D570, B200), "warn", "a program runs if it holds PTX"),
        (ask("cuda~=12.4", D570, H100, B200), "warn", "a program runs if it holds PTX"),
        (ask("cuda>=12.4", D570, H100, B200, seen=(0,)), "pass", "natively"),
        (ask("cuda>=12.4", D570, B200, LOST), "unknown", "nothing is known of a GPU"),
        (ask("cuda>=12.4", D570, B200, minor="reject"), "warn", "holds with a caveat"),
        (ask("cuda>=12.8", D570, B200), "pass", "natively"),
        (ask("!cuda>=12.4", D570, B200), "fail", "runs such programs"),
        (ask("cuda>=11.0", D570, RTX), "warn", "if it holds code for 8.0 or PTX"),
        (ask("cuda>=12.4", D550, B200), "fail", "driver 550.54.15 does not drive B200"),
        (ask("cuda>=11.8", D550, H100), "pass", "natively"),
        (ask("cuda>=11", D550, H100), "pass", "natively"),
        (ask("cuda>=13.0", D580, V100), "fail", "the last toolkit for it is 12.9"),
        (ask("cuda>=12.9", D580, V100), "pass", "natively"),
        (ask("cuda>=13.0", D580, H100, V100), "fail", "dropped Tesla V100"),
        (ask("cuda>=13.0", D580, H100, V100, seen=(0,)), "pass", "natively"),
        (ask("!cuda=13.0", D580, V100), "pass", ""),
        (ask("cuda>=12.4", D550, H100, LOST), "unknown", "nothing is known of a GPU"),
        (ask("cuda>=13.0", D580, LOST, V100), "fail", "dropped Tesla V100"),
        (ask("cuda>=12.4", D550, seen=()), "pass", "natively"),
        (ask("cuda>=14.0", ("990.1", "14.0"), H100), "unknown", "newer than the catalog"),
    ],
)
def test_cuda_with_gpus(result: ClauseResult, status: str, said: str) -> None:
    assert result.status == status, result
    assert said in result.message


def test_a_failure_says_what_would_help() -> None:
    assert "525.60.13 or newer" in (ask("cuda>=12.4", D470, A100).remedy or "")
    assert "CUDA 11.8 or newer" in (ask("cuda>=11.0", D550, H100).remedy or "")
    assert "CUDA 12.9 or older" in (ask("cuda>=13.0", D580, V100).remedy or "")


def test_a_sites_row_decides() -> None:
    row = {"version": "14.0.0", "capabilities": ["9.0"], "minimum_driver": "650.1.1", "branch": 650, "source": ["us"]}
    own = Tables({"toolkits": [row]})
    assert ask("cuda>=14.0", ("990.1", "14.0"), H100, tables=own).status == "pass"
    assert ask("cuda>=14.0", ("990.1", "14.0"), A100, tables=own).status == "fail"


def test_a_hostile_name_stays_one_printable_line() -> None:
    evil = {"index": 0, "name": "NVIDIA H100\n\x1b[31m" + "x" * 500, "compute_capability": "9.0"}
    message = ask("cuda>=11.0", D550, evil).message
    assert message.isprintable()
    assert message.isascii()
    assert len(message) < 400
