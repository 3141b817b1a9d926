"""Slurm's own NVML plugin over the simulated driver: a slurmd with devices of its own, and what is left of it."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import Lab, LabNode, places, unavailable
from lab.driver import Driver
from nvml import devices, sim

pytestmark = pytest.mark.lab

WHOLE = sim.scenario(
    sim.example("h100x2"),
    sim.near_every_cpu(),
    {"gpu.1.name": "NVIDIA A100-SXM4-80GB", "gpu.0.minor": 7, "gpu.1.minor": 4},
)
CUT = sim.scenario(sim.example("mig"), sim.near_every_cpu(), {"gpu.0.minor": 1, "gpu.1.minor": 0})
PROLOG = """#!/bin/sh
export PATH=/usr/bin:/bin
{ env; ls /dev /dev/nvidia-caps; cat /proc/driver/nvidia/gpus/*/information; } >DIR/work/$SLURM_JOB_ID.prolog 2>&1
"""


@dataclass
class Shared:
    lab: Lab

    def seen(self, node: str, *options: str) -> str:
        """Run a job on the node; return what its prolog saw."""
        job = self.lab.sbatch("true", "-w", node, *options)
        self.lab.wait_job(job, "COMPLETED")
        return Path(self.lab.work, f"{job}.prolog").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    if reason := unavailable():
        pytest.skip(reason)
    directory = Path(places.temporary())
    directory.chmod(0o755)
    library = sim.build(directory / "nvml")
    nodes = []
    for name, gres, scenario in (("whole", "gpu:h100:1,gpu:a100:1", WHOLE), ("cut", "gpu:4", CUT)):
        path = sim.write(directory / "nvml" / "scenarios" / f"{name}.scenario", scenario)
        root = devices.write_root(directory / "nodes" / name / "root", scenario)
        nodes.append(LabNode(name, gres=gres, driver=Driver(str(library), str(path), str(root))))
    prolog = directory / "prolog"
    prolog.write_text(PROLOG.replace("DIR", str(directory)), encoding="utf-8")
    prolog.chmod(0o755)
    before = _of_this_machine()
    with Lab(directory, nodes, prolog=prolog, slurm_conf_extra="DebugFlags=Gres") as lab:
        assert _of_this_machine() == before, "what one slurmd sees is nobody else's"
        yield Shared(lab)
    left = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(directory) in line]
    assert left == []


def _of_this_machine() -> list[str]:
    # Of the rest, other labs that run meanwhile may add something.
    places = ("/dev", "/proc/driver", "/sys/bus/pci/drivers")
    return [f"{place}/{name}" for place in places for name in sorted(os.listdir(place)) if "nvidia" in name]


def test_slurmd_finds_the_gpus_by_the_plugin(shared: Shared) -> None:
    log = Path(shared.lab.directory, "log", "slurmd-whole.log").read_text(encoding="utf-8")
    assert re.findall(r"Gres Name=gpu Type=(\w+) .*?File=(\S+)", log)[:2] == [
        ("h100", "/dev/nvidia7"),
        ("a100", "/dev/nvidia4"),
    ]


def test_each_node_has_its_own_devices(shared: Shared) -> None:
    whole, cut = shared.seen("whole", "--gres=gpu:a100:1"), shared.seen("cut", "--gres=gpu:1")
    assert {"nvidia4", "nvidia7"} <= set(whole.splitlines())
    assert "nvidia0" not in whole
    assert re.findall(r"Device Minor: \t (\d+)", whole) == ["7", "4"]
    assert {"nvidia0", "nvidia1", "nvidia-cap12", "nvidia-cap13"} <= set(cut.splitlines())
    assert "nvidia4" not in cut


def test_a_hook_has_nothing_of_slurmds_variables(shared: Shared) -> None:
    seen = shared.seen("whole", "--gres=gpu:a100:1")
    assert "SLURM_JOB_GPUS=1\n" in seen
    assert "LD_LIBRARY_PATH" not in seen
    assert "NVML_SIM" not in seen


def test_a_mig_device_is_named_by_its_uuid(shared: Shared) -> None:
    seen = shared.seen("cut", "--gres=gpu:4")
    visible = re.search(r"^CUDA_VISIBLE_DEVICES=(.*)$", seen, re.MULTILINE)
    assert visible
    assert len(re.findall(r"MIG-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", visible[1])) == 3
    assert "SLURM_JOB_GPUS=0,1,2,3\n" in seen
