"""Images of Apptainer 1.4, umoci, skopeo, buildah, Charliecloud, pzstd (tests/images/make); Apptainer's answers."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from preflight.submit.image.environment import from_definition
from preflight.submit.image.model import ImageError
from preflight.submit.image.needs import needs, requirement
from preflight.submit.image.open import read
from preflight.submit.image.sif import read as read_sif
from unit import infer_samples
from unit.image_samples import REQUIRE, UBUNTU, partition, sif, unpacked

IMAGES = Path(__file__).parents[1] / "images"
BASE = {"NVIDIA_REQUIRE_CUDA": "cuda>=12.4 brand=tesla,driver>=470,driver<471", "NVIDIA_VISIBLE_DEVICES": "all"}


def referee() -> dict[str, dict[str, str]]:
    """What `apptainer exec --cleanenv IMAGE env` printed, by image."""
    found: dict[str, dict[str, str]] = {}
    for line in (IMAGES / "referee.txt").read_text(encoding="utf-8").splitlines():
        image, _, pair = line.partition(" ")
        name, _, value = pair.partition("=")
        found.setdefault(image, {})[name] = value
    return found


@pytest.mark.parametrize("name", ["default", "unset", "line", "stages"])
def test_variables_are_those_that_apptainer_gives(name: str) -> None:
    image = read(str(IMAGES / f"{name}.sif"))
    assert (image.environment, image.notes) == (referee()[name], ())


def test_a_branch_is_not_certain() -> None:
    """The shell did not take it here; whether it does elsewhere nobody knows, so neither value is asked."""
    image = read(str(IMAGES / "branch.sif"))
    assert image.environment == {"NVIDIA_VISIBLE_DEVICES": "all"}
    assert ["NVIDIA_REQUIRE_CUDA" in note and "under a condition" in note for note in image.notes] == [True]
    assert requirement(needs(image)) == "arch=x86_64"


def test_of_two_stages_the_last_where_only_the_definition_can_be_read(tmp_path: Path) -> None:
    with open(IMAGES / "stages.sif", "rb") as file:
        definition = read_sif(file).definition
    assert definition.count("Bootstrap:") == 2
    assert from_definition(definition)[0] == {"NVIDIA_REQUIRE_ARCH": "arch>=7.0"}
    encrypted = sif(tmp_path / "x.sif", [(0x4001, b"", definition.encode()), (0x4004, partition(5), b"\0" * 100)])
    assert read(str(encrypted)).environment == {"NVIDIA_REQUIRE_ARCH": "arch>=7.0"}


def test_an_encrypted_image_is_named_and_what_it_holds_is_unread(tmp_path: Path) -> None:
    """By Apptainer 1.4.5 as a user: its definition can be read, and nothing else."""
    image = read(str(IMAGES / "encrypted.sif"))
    assert image.notes == ("the SIF's file system is a squashfs encrypted by gocryptfs, which Preflight does not read",)
    assert (image.environment, image.os) == ({"NVIDIA_REQUIRE_CUDA": "cuda>=12.4"}, None)
    infer_samples.put(tmp_path, "/home/alice/project/x")
    shutil.copy(IMAGES / "encrypted.sif", tmp_path / "home/alice/project/e.sif")
    found = infer_samples.read("srun apptainer exec --nv e.sif ./a", tmp_path)
    assert [one.clause for one in found.needs] == ["gpu.count>=1", "container=apptainer", "arch=x86_64", "cuda>=12.4"]
    assert [(one.line, "encrypted by gocryptfs" in one.why) for one in found.unread] == [(3, True)]


def test_what_is_uncertain_in_an_image_is_unread_in_a_script(tmp_path: Path) -> None:
    infer_samples.put(tmp_path, "/home/alice/project/x")
    shutil.copy(IMAGES / "branch.sif", tmp_path / "home/alice/project/e.sif")
    found = infer_samples.read("srun apptainer exec --nv e.sif ./a", tmp_path)
    assert ["under a condition" in one.why for one in found.unread] == [True]
    assert infer_samples.read("srun apptainer exec e.sif ./a", tmp_path).unread == ()


def test_a_default_in_a_definition_alone_settles_nothing() -> None:
    text = (
        'Bootstrap: docker\nFrom: x\n%environment\n export NVIDIA_REQUIRE_CUDA="${NVIDIA_REQUIRE_CUDA:-"cuda>=13.0"}"\n'
    )
    variables, _, notes = from_definition(text)
    assert variables == {}
    assert len(notes) == 1


def test_pzstd_begins_with_a_frame_to_be_skipped() -> None:
    path = IMAGES / "pzstd.tar.zst"
    assert path.read_bytes()[1:4] == b"\x2a\x4d\x18"
    assert read(str(path)).environment == BASE


@pytest.mark.parametrize(
    ("name", "kind", "environment"),
    [
        ("buildah.tar", "oci", BASE | {"NVIDIA_REQUIRE_CUDA": "cuda>=12.4"}),
        ("skopeo.tar", "oci", BASE | {"NVIDIA_REQUIRE_CUDA": "cuda>=12.6"}),
        ("two-names.tar", "docker", BASE),  # two tags of one image
        ("charliecloud.sqsh", "squashfs", {}),
        (
            "charliecloud-env.sqsh",
            "squashfs",
            {
                "NVIDIA_VISIBLE_DEVICES": "all",
                "NVIDIA_REQUIRE_CUDA": "cuda>=12.4 brand=tesla,driver>=470",
                "CUDA_VERSION": "12.4.1",
                "NVIDIA_PATHS": "12.4.1/x",
            },
        ),
    ],
)
def test_images_of_other_tools(name: str, kind: str, environment: dict[str, str]) -> None:
    image = read(str(IMAGES / name))
    assert (image.kind, image.environment, image.os and image.os["id"]) == (kind, environment, "debian")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    shutil.unpack_archive(IMAGES / "umoci-tags.tar", tmp_path / "layout")
    return tmp_path / "layout"


@pytest.mark.parametrize("packed", [True, False])
def test_of_several_tags_the_one_that_is_asked(layout: Path, packed: bool) -> None:
    path = str(IMAGES / "umoci-tags.tar") if packed else str(layout)
    with pytest.raises(ImageError, match=r"several images are tagged \(12.4, 12.6, stable\): say which, PATH:TAG"):
        read(path)
    assert read(f"{path}:12.4").environment == BASE
    assert read(f"{path}:stable").environment == BASE
    assert read(f"{path}:12.6").environment["NVIDIA_REQUIRE_CUDA"] == "cuda>=12.6"
    with pytest.raises(ImageError, match=r"no image is tagged 13; there are: 12.4, 12.6, stable"):
        read(f"{path}:13")
    assert read(f"{path}:12.4").notes == ()


def test_what_has_no_tags_takes_none(tmp_path: Path) -> None:
    for path in (IMAGES / "default.sif", unpacked(tmp_path, {"etc/os-release": UBUNTU.encode()})):
        with pytest.raises(ImageError, match="without :12"):
            read(f"{path}:12")


@pytest.fixture
def others() -> Iterator[Path]:
    """A directory that every user can enter, and this process as a user who owns nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root can read as another user")
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    os.seteuid(0)
    shutil.rmtree(place)


SITE = "usr/local/lib/python3.11/dist-packages/nvidia_cuda_runtime_cu12-12.6.77.dist-info/METADATA"


@pytest.mark.parametrize("denied", ["root", "opt", "opt/other", "home/alice", "usr/local/lib/python3.9"])
def test_a_place_that_may_not_be_read_skips_itself_alone(others: Path, denied: str) -> None:
    """Debian's own /root is 0700; what lies elsewhere counts all the same."""
    tree = {"etc/os-release": UBUNTU.encode(), "etc/environment": REQUIRE.encode(), SITE: b""}
    if not denied.startswith("opt"):
        tree["opt/conda/conda-meta/cuda-cudart-12.8.57-h0_0.json"] = b"{}"
    tree[f"{denied}/.local/lib/python3.11/site-packages/torch/version.py"] = b"cuda = '11.8'\n"
    root = unpacked(others, tree)
    (root / denied).chmod(0o700)
    os.seteuid(65534)
    image = read(str(root))
    assert {one.version for one in image.cuda} == {"12.6.77"} | ({"12.8.57"} if not denied.startswith("opt") else set())
    assert [note for note in image.notes if "cannot be read as this user" in note] == [
        f"/{denied} cannot be read as this user, and was left out"
    ]
    assert "cuda>=12.6" in requirement(needs(image))
