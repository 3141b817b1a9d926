"""What a scenario's GPUs have outside of NVML."""

from __future__ import annotations

from pathlib import Path

from nvml import devices, sim

CUT = {"gpu.0.minor": 3, "gpu.1.minor": 0, "gpu.1.mig.1.ci": 2}


def test_minors_and_mig_devices_of_a_scenario() -> None:
    found = devices.of(sim.scenario(sim.example("mig"), CUT))
    assert found.minors == (3, 0)
    assert found.migs == (devices.Mig(0, 1, 0), devices.Mig(0, 5, 2), devices.Mig(0, 9, 0))
    # GPU instance 1 of the GPU with minor 0 is nvidia-cap12, as NVIDIA's MIG user guide shows.
    assert found.files() == [
        "nvidia3", "nvidia0", "nvidia-caps/nvidia-cap12", "nvidia-caps/nvidia-cap13", "nvidia-caps/nvidia-cap48",
        "nvidia-caps/nvidia-cap51", "nvidia-caps/nvidia-cap84", "nvidia-caps/nvidia-cap85",
    ]  # fmt: skip
    off = devices.of(sim.scenario(sim.example("mig"), {"gpu.1.mig.mode": 0}))
    assert off == devices.Devices((0, 1), ())
    assert devices.of("driver = 1 # gpus = 4\n") == devices.Devices((), ())


def test_mig_minors_name_each_file_once() -> None:
    lines = devices.mig_minors(8).splitlines()
    assert len({line.split()[1] for line in lines}) == len(lines) == 2 + 8 * 15 * 9
    assert "gpu0/gi1/access 12" in lines
    assert "gpu0/gi1/ci0/access 13" in lines
    for one in devices.of(sim.scenario(sim.example("mig"), CUT)).migs:
        assert f"gpu{one.minor}/gi{one.gi}/access {one.caps[0]}" in lines
        assert f"gpu{one.minor}/gi{one.gi}/ci{one.ci}/access {one.caps[1]}" in lines


def test_what_the_driver_shows_in_proc_and_sys(tmp_path: Path) -> None:
    devices.write_root(tmp_path, sim.scenario(sim.example("mig"), CUT))
    text = (tmp_path / "proc/driver/nvidia/gpus/0000:02:00.0/information").read_text()
    assert "Device Minor: \t 0\n" in text
    assert "Model: \t\t NVIDIA A100-SXM4-80GB\n" in text
    assert (tmp_path / "proc/driver/nvidia-caps/mig-minors").read_text() == devices.mig_minors(4)
    assert (tmp_path / "sys/bus/pci/drivers/nvidia/0000:01:00.0/local_cpulist").read_text() == "0\n"
