"""Distributions as their own os-release files have them, read through the real facts, asked of the real catalog."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from preflight.catalog import families, lifecycle
from preflight.catalog.toolkit_os import System, toolkit_on
from preflight.facts import cuda_toolkits as toolkits
from preflight.facts import os as facts_os
from preflight.facts.rootfs import Root
from preflight.facts.view import View
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import parse

# ID, VERSION_ID and the rest of real files, as which-distro/os-release collected them (2026-01-26).
with (Path(__file__).parent / "data" / "os-release.tsv").open(encoding="utf-8", newline="") as file:
    RELEASES = list(csv.DictReader(file, delimiter="\t"))
FIELDS = ("ID", "VERSION_ID", "ID_LIKE", "VERSION_CODENAME", "PLATFORM_ID", "PRETTY_NAME", "SUPPORT_END")


def release(tmp_path: Path, row: dict[str, str], quote: str = '"', end: str = "\n") -> Root:
    lines = [f"{name}={quote}{row[name]}{quote}" for name in FIELDS if row[name]]
    (tmp_path / "etc").mkdir(exist_ok=True)
    (tmp_path / "etc" / "os-release").write_bytes((end.join(lines) + end).encode())
    return Root(str(tmp_path), live=False)


@pytest.mark.parametrize("row", RELEASES, ids=[row["file"] for row in RELEASES])
def test_every_collected_release(tmp_path: Path, row: dict[str, str]) -> None:
    for quote, end in (('"', "\n"), ("'", "\r\n")):
        values = facts_os.read(release(tmp_path, row, quote, end)).values
        template = "TEMPLATE" in row["VERSION_ID"]
        assert values["id"] == row["ID"].lower()
        assert values["version"] == (None if template or not row["VERSION_ID"] else row["VERSION_ID"])
        assert values["like"] == row["ID_LIKE"].lower().split()
        assert values["support_end"] == (row["SUPPORT_END"] or None)
        assert values["l4t"] is None
    stream = values["variant"] == "stream"
    life = lifecycle.operating_system(values["id"], values["version"], "2026-11-24", stream=stream)
    assert life.answer in ("supported", "extended", "eol", "unknown")
    assert toolkit_on("13.4", System(values["id"], values["version"], stream=stream)).why


@pytest.mark.parametrize(
    ("os_id", "version", "asked", "holds"),
    [
        ("rocky", "9.4", "rhel>=9.4", "pass"),
        ("ol", "8.10", "rhel>=8.9", "pass"),
        ("almalinux", "9.10", "rhel>=9.4", "pass"),
        ("centos", "9", "rhel>=9", "pass"),
        ("centos", "9", "rhel>=9.4", "unknown"),
        ("amzn", "2", "rhel>=7", "fail"),
        ("opensuse-leap", "15.6", "sles>=15.5", "pass"),
        ("opensuse-leap", "16.0", "sles>=15.5", "fail"),
        ("sle_hpc", "15.5", "sles>=15.4", "pass"),
        ("sle_hpc", "15.3", "sles>=15.4", "fail"),
        ("sle_hpc", "15.5", "os=sle_hpc", "pass"),
        ("sle-hpc", "15.2", "sles=15", "pass"),
        ("sle_rt", "15.5", "sles>=15.4", "pass"),
        ("sles_sap", "15.6", "sles>=15.4", "pass"),
        ("sle-micro", "5.5", "sles>=5", "fail"),
        ("eurolinux", "9.3", "rhel>=9", "pass"),
        ("anolis", "8.6", "rhel>=8", "pass"),
        ("anolis", "23", "rhel>=8", "fail"),
        ("ubuntu", "24.04", "debian>=12", "fail"),
        ("debian", None, "debian>=12", "unknown"),
        ("arch", None, "os=arch", "pass"),
        ("azurelinux", "3.0", "azurelinux>=3", "pass"),
        ("alpine", "3.20.7", "alpine>=3.20", "pass"),
        ("fedora", "42", "rhel>=9", "fail"),
    ],
)
def test_families(os_id: str, version: str | None, asked: str, holds: str) -> None:
    view = View({"os": {"id": os_id, "version": version, "like": []}}, {})
    assert [one.status for one in evaluate(parse(asked), view)] == [holds]


def test_every_distribution_of_the_issue_is_known() -> None:
    named = [
        "rhel",
        "centos",
        "rocky",
        "almalinux",
        "ol",
        "fedora",
        "debian",
        "ubuntu",
        "sles",
        "opensuse-leap",
        "amzn",
    ]
    named += ["azurelinux", "alpine"]
    assert [one for one in named if families.title(one) == one] == []
    for one in named:
        version = {"centos": "7", "debian": "12", "fedora": "43", "azurelinux": "3.0"}.get(one)
        example = next(row.release for row in families.DISTRIBUTIONS if row.id == one)
        answer = lifecycle.operating_system(one, version or example, "2026-11-24")
        assert answer.source, one


@pytest.mark.parametrize(
    ("text", "l4t"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: x\n", "36.4.3"),
        ("# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64\n", "35.4.1"),
        ("# R38 (release), REVISION: 2.0\n", "38.2.0"),
        ("# R36 (release)\n", "36"),
        ("", None),
        ("something else\n", None),
    ],
)
def test_a_jetson(tmp_path: Path, text: str, l4t: str | None) -> None:
    row = dict.fromkeys(FIELDS, "") | {"ID": "ubuntu", "VERSION_ID": "22.04"}
    root = release(tmp_path, row)
    (tmp_path / "etc" / "nv_tegra_release").write_text(text)
    values = facts_os.read(root).values
    assert (values["l4t"], values["id"]) == (l4t, "ubuntu")


def test_an_embedded_root_without_os_release(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "busybox").write_text("")
    bare = facts_os.read(Root(str(tmp_path), live=False))
    assert bare.values == {}
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 1\n")
    jetson = facts_os.read(Root(str(tmp_path), live=False))
    assert jetson.values == {"l4t": "36.4.3"}
    assert "no os-release" in jetson.unknown["id"]


def test_compat_directories(tmp_path: Path) -> None:
    compat = tmp_path / "usr/local/cuda-12.4/compat"
    compat.mkdir(parents=True)
    (compat / "libcuda.so.550.54.15").write_text("elf")
    (compat / "libcuda.so.1").symlink_to("libcuda.so.550.54.15")
    (compat / "libcuda.so.555.42.02").write_text("")  # empty: packages were removed half way
    (compat / "libcuda.so.560.28.03").symlink_to("nowhere")
    (tmp_path / "usr/local/cuda").symlink_to("cuda-12.4")
    values = toolkits.read(Root(str(tmp_path), live=False)).values
    assert values["compat"] == [{"path": "/usr/local/cuda-12.4/compat", "driver": "550.54.15"}]
    assert values["versions"] == []
