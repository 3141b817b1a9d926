"""Facts for other programs: Node Feature Discovery's feature file, Ansible's local facts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.cli.facts import facts
from preflight.cli.facts_formats import MOST_BYTES, ansible, nfd
from preflight.facts.document import FactsDocument
from preflight.policy.model import Policy

GPU = {"index": 0, "minor": 0, "name": "NVIDIA H100 80GB HBM3", "memory": 85520809984, "compute_capability": "9.0"}
FACTS: dict[str, Any] = {
    "arch": {"machine": "x86_64"},
    "os": {"id": "ubuntu", "version": "22.04", "like": ["debian"], "name": "Ubuntu", "codename": None, "variant": None},
    "driver": {"version": "550.54.15", "cuda": "12.4", "module": "550.54.15", "nvml": "ok"},
    "gpus": {"count": 1, "devices": [GPU], "stuck_at": None},
    "memory": {"total": 1 << 40, "available": 1 << 39},
}


def document(**changed: Any) -> FactsDocument:
    return FactsDocument("n1", "2026-11-24T14:00:00Z", FACTS | changed, {"tmp": "not live"}, {})


def labels(text: str) -> dict[str, str]:
    """Read a feature file as Node Feature Discovery does, and hold each label to what Kubernetes takes."""
    assert len(text.encode()) <= 65536
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        assert sign
        assert name == name.strip()
        assert value == value.strip()
        for part in (name, value):
            assert 1 <= len(part) <= 63
            assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?", part, re.ASCII), line
        assert name not in found
        found[name] = value
    return found


def test_a_node_s_labels_say_what_slurm_is_told() -> None:
    found = labels(nfd(document(), Policy()))
    assert found["preflight-gpu_h100"] == found["preflight-os_ubuntu_22.04"] == "true"
    assert found["preflight-cuda"] == "12004000"
    assert found["preflight-memory"] == str(1 << 20)
    assert not any(name.endswith("_parts") for name in found)


def test_what_no_label_can_hold_is_left_out() -> None:
    found = labels(nfd(document(driver={"version": None, "cuda": None, "module": None, "nvml": "x"}), Policy()))
    assert "preflight-cuda" not in found  # -1: a value begins with a letter or a digit
    assert found["preflight-cuda_none"] == "true"


@settings(deadline=None)
@given(st.text(max_size=80), st.lists(st.text(min_size=1, max_size=70), max_size=6))
def test_names_that_a_node_gives_itself_never_break_the_file(system: str, gpus: list[str]) -> None:
    devices = [GPU | {"index": number, "name": name} for number, name in enumerate(gpus)]
    changed = {"os": FACTS["os"] | {"id": system}, "gpus": {"count": len(gpus), "devices": devices, "stuck_at": None}}
    labels(nfd(document(**changed), Policy()))


def test_a_file_is_never_larger_than_is_read() -> None:
    words = " ".join(f"w{number:05}" for number in range(9000))
    text = nfd(document(gpus={"count": 1, "devices": [GPU | {"name": words}], "stuck_at": None}), Policy())
    assert len(text) <= MOST_BYTES
    assert labels(text)


def test_ansible_gets_the_facts_by_their_names() -> None:
    found = json.loads(ansible(document()))
    assert found["driver"]["cuda"] == "12.4"
    assert found["unknown"] == {"tmp": "not live"}


@pytest.mark.parametrize(("form", "start"), [("nfd", "# Made by"), ("ansible", "{"), ("json", "{")])
def test_the_command_prints_each_form(form: str, start: str, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text('version = 1\nmode = "observe"\n')
    ended = CliRunner().invoke(facts, ["--root", str(tmp_path), "--config", str(policy), "--format", form])
    assert ended.exit_code == 0
    assert ended.output.startswith(start)


def test_the_whole_command_on_an_embedded_root_and_a_jetson(tmp_path: Path) -> None:
    """A root of busybox, without systemd, and one of L4T: every format, and a check that goes to its end."""
    from preflight.cli.main import group

    busybox, jetson = tmp_path / "busybox", tmp_path / "jetson"
    for root in (busybox, jetson):
        for name in ("etc", "bin", "usr/local"):
            (root / name).mkdir(parents=True)
    (busybox / "etc/os-release").write_text('ID=buildroot\nVERSION_ID=2024.02\nPRETTY_NAME="Buildroot 2024.02"\n')
    (busybox / "bin/sh").symlink_to("busybox")
    (jetson / "etc/os-release").write_text('ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n')
    (jetson / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n")
    (jetson / "usr/local/cuda-12.6").mkdir()
    (jetson / "usr/local/cuda-12.6/version.json").write_text('{"cuda": {"version": "12.6.68"}}')
    policy = tmp_path / "p.toml"
    policy.write_text('version = 1\nmode = "observe"\n')

    def run(root: Path, *command: str) -> tuple[int, str]:
        done = CliRunner().invoke(
            group, [*command, "--root", str(root), "--config", str(policy)], standalone_mode=False
        )
        return done.return_value or 0, done.stdout

    assert "Buildroot 2024.02 (buildroot 2024.02)" in run(busybox, "facts")[1]
    assert "Ubuntu 22.04.5 LTS (ubuntu 22.04), L4T 36.4.3" in run(jetson, "facts")[1]
    assert "preflight-os=buildroot\n" in run(busybox, "facts", "--format", "nfd")[1]
    assert json.loads(run(jetson, "facts", "--format", "ansible")[1])["os"]["l4t"] == "36.4.3"
    for root in (busybox, jetson):
        assert run(root, "check", "--phase", "health")[0] in (0, 4)
    assert run(jetson, "check", "--require", "ubuntu>=22.04, os!=rhel")[0] == 0
