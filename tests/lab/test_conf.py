"""The lab's configuration files, without starting anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab import releases
from lab.conf import LabNode, Scripts, Settings, free_ports, give_back, slurm_conf, with_ports


def _settings(**changes: object) -> Settings:
    nodes, port = with_ports(
        [LabNode("n1", gpus=2, gpu_type="h100", features=("a", "b")), LabNode("n2", cpus=8, memory_mb=123)]
    )
    return Settings(directory="/tmp/somewhere", nodes=nodes, port=port, **changes)  # type: ignore[arg-type]


def _values(text: str, key: str) -> list[str]:
    return [line.split("=", 1)[1] for line in text.splitlines() if line.split("=")[0].lower() == key.lower()]


def test_extra_key_replaces_ours_whatever_its_case() -> None:
    text = slurm_conf(_settings(extra="# a comment\nprologflags=NoHold\nKillWait = 30\nPartitionName=more Nodes=n1"))
    assert _values(text, "PrologFlags") == ["NoHold"]
    assert "KillWait = 30" in text.splitlines()
    assert "KillWait=1" not in text.splitlines()
    assert [line.split()[0] for line in _values(text, "PartitionName")] == ["main", "urgent", "more"]


def test_node_lines() -> None:
    first, second = _values(slurm_conf(_settings()), "NodeName")
    assert first.startswith("n1 NodeAddr=127.0.0.1 ")
    assert first.endswith("Gres=gpu:h100:2 Features=a,b")
    assert "CPUs=8 RealMemory=123 " in second
    assert "Gres" not in second
    assert "Features" not in second


def test_scripts_are_named_only_if_given(tmp_path: Path) -> None:
    script = tmp_path / "hook"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    text = slurm_conf(_settings(scripts=Scripts(epilog=script, healthcheck=str(script)), health_interval=7))
    assert _values(text, "Epilog") == [str(script)]
    assert _values(text, "HealthCheckInterval") == ["7"]
    assert _values(text, "Prolog") == []
    script.chmod(0o644)
    with pytest.raises(ValueError, match=r"Epilog .*hook: not the absolute path of an executable"):
        _settings(scripts=Scripts(epilog=script))


def test_ports_are_distinct_and_outside_the_ephemeral_range() -> None:
    nodes, port = with_ports(LabNode(f"n{i}") for i in range(20))
    ports = [node.port for node in nodes] + [port]
    assert len(set(ports)) == 21
    assert all(20000 <= one < 32000 for one in ports)


def test_a_port_is_no_other_labs_while_nothing_listens_on_it() -> None:
    """Its slurmctld may be stopped just now: another process that asks for ports does not get it."""
    ours = free_ports(400)
    try:
        ask = [sys.executable, "-c", "from lab.conf import free_ports; print(*free_ports(400))"]
        done = subprocess.run(ask, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True)
    finally:
        give_back(ours)
    assert not set(ours) & set(map(int, done.stdout.split()))


def test_minors_give_the_number_of_gpus() -> None:
    assert LabNode("n1", minors=[3, 1]).gpus == 2
    assert LabNode("n1", gpus=2).minors == (0, 1)
    with pytest.raises(ValueError, match="node n1: 2 GPUs, minors"):
        LabNode("n1", gpus=2, minors=[1, 1])


def test_too_short_a_requeue_delay_is_refused() -> None:
    with pytest.raises(ValueError, match="requeue_delay 4"):
        _settings(requeue_delay=4)


def test_a_slurm_built_by_hand_is_its_prefix_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it lacks is not taken from the machine's own Slurm; munged and setpriv are the machine's."""
    for name in ("bin/sinfo", "sbin/slurmd"):
        program = tmp_path / "prefix" / name
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv(releases.VARIABLE, f"{tmp_path}/prefix/")
    release = releases.chosen()
    assert release.argv("sinfo", ["-h"]) == [f"{tmp_path}/prefix/bin/sinfo", "-h"]
    assert release.find("slurmd") == f"{tmp_path}/prefix/sbin/slurmd"
    assert release.find("setpriv") is not None
    missing = release.missing()
    assert f"scontrol (in {tmp_path}/prefix)" in missing
    assert not any(one.startswith(("sinfo", "slurmd")) for one in missing)
    monkeypatch.setenv(releases.VARIABLE, "25.11")
    with pytest.raises(ValueError, match="give one of host, 24"):
        releases.chosen()
