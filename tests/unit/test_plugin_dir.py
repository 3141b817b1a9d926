"""Which plugins slurmd has where slurm.conf's PluginDir names several directories."""

from __future__ import annotations

from pathlib import Path

from preflight.slurm.gres.installed import installed


def test_each_plugin_is_looked_for_in_one_directory_after_another(tmp_path: Path) -> None:
    ours, more = tmp_path / "slurm-wlm", tmp_path / "contrib"
    for place in (ours, more):
        place.mkdir()
    (ours / "gres_gpu.so").touch()
    both = f"{ours}:{more}/"
    assert installed(both, "").nvml is False
    (more / "gpu_nvml.so").touch()
    found = installed(both, "")
    assert found.nvml is True
    assert f"{more}/gpu_nvml.so" in found.paths
    assert installed(str(ours), "").nvml is False
    assert installed(str(more), "").nvml is None, "no directory with Slurm's own plugins"
