"""What starts a container decides which of its conditions are asked; plan passes no node where it will not start."""

from pathlib import Path

import pytest

from unit.image_samples import UBUNTU, squashfs, unpacked
from unit.infer_samples import read
from unit.plan_samples import cluster, part

CONDITION = "cuda>=12.4 brand=tesla,driver>=470,driver<471"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A file system with an image of which enroot's hook checks the variables."""
    text = f"NVIDIA_REQUIRE_CUDA={CONDITION}\nNVIDIA_VISIBLE_DEVICES=all\n"
    tree = unpacked(tmp_path, {"etc/os-release": UBUNTU.encode(), "etc/environment": text.encode()})
    (tmp_path / "site").mkdir()
    squashfs(tree, tmp_path / "site" / "t.sqsh")
    return tmp_path / "site"


CHECKED = {"driver.cuda>=12.4|driver>=470", "driver.cuda>=12.4|driver<471", "driver.cuda>=12.4|gpu!=geforce"}
BY_LIBRARY = {"cuda>=12.4|driver>=470", "cuda>=12.4|driver<471"}


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("srun --container-image=/t.sqsh true", CHECKED),
        ("enroot start /t.sqsh true", CHECKED),
        ("apptainer exec --nv /t.sqsh true", BY_LIBRARY),
        ("apptainer exec --nvccli /t.sqsh true", CHECKED),
        ("apptainer exec /t.sqsh true", set()),
        ("docker run --gpus all /t.sqsh true", CHECKED),
        ("podman run --device nvidia.com/gpu=all /t.sqsh true", BY_LIBRARY),
    ],
)
def test_by_what_starts_it(root: Path, line: str, asked: set[str]) -> None:
    found = {one.clause for one in read(line, root).needs}
    brands = {"driver.cuda>=12.4|gpu!=quadro", "driver.cuda>=12.4|gpu!=titan"} if asked is CHECKED else set()
    assert {one for one in found if "cuda" in one} == asked | brands


def test_an_image_of_ngc_asks_no_cuda_by_its_name(root: Path) -> None:
    found = read("srun --container-image=nvcr.io#nvidia/pytorch:25.08-py3 true", root)
    assert [one.clause for one in found.needs] == ["gpu.count>=1", "container=enroot"]
    assert ["CUDA 13.0" in one.why and "cuda-compat" in one.why for one in found.notes] == [True]
    assert found.unread == ()


@pytest.mark.parametrize("extra", [True, False], ids=["extra", "features"])
def test_plan_passes_no_node_where_it_does_not_start(extra: bool) -> None:
    """a1, a2: driver 535, CUDA 12.2, on which programs of CUDA 12.4 run by minor-version compatibility."""
    state = cluster(extra)
    runs = part("--gpus-per-node=1", "--require=cuda>=12.4", state=state).nodes
    starts = part("--gpus-per-node=1", "--require=driver.cuda>=12.4", state=state)
    assert runs is not None
    assert starts.nodes is not None
    assert set(runs.fit) > set(starts.nodes.fit) > set()
    assert starts.verified == ()  # Slurm itself is asked
    assert starts.placement is not None
    assert starts.placement.value
