"""GPU code in container images: what is found is what the unpacked root holds."""

from __future__ import annotations

import io
import json
import os
import platform
import random
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from preflight.artifacts.gpu_code import CodeError, places
from preflight.artifacts.gpu_code.survey import Survey, survey
from preflight.cli.code import code
from preflight.submit.image import code as image_code
from preflight.submit.image.code import is_image, survey_image
from unit.gpu_code_samples import container, image, install, library, ptx
from unit.image_samples import configuration, docker_save, layer, layout, partition, sif, squashfs

X86 = platform.machine() == "x86_64"
CODE = library(
    [container(image(80, data=bytes(200_000)), ptx(80)), container(image(90))],
    needed=["libcudart.so.12", "libelse.so"],
    versions=["GLIBC_2.28"],
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("root")
    site = place / "opt/venv/lib/python3.11/site-packages"
    install(site, "torch", "2.8.0", {"torch/lib/libtorch_cuda.so": CODE, "torch/x.py": b"x" * 99})
    (place / "usr/lib").mkdir(parents=True)
    (place / "usr/lib/liba.so").write_bytes(library(versions=["GLIBC_2.31"]))
    (place / "usr/lib/libelse.so").symlink_to("liba.so")
    return place


def same(found: Survey) -> tuple[object, ...]:
    return found.packages, found.machines, found.glibc, found.missing, found.cudas, found.files, found.notes


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", "xz"])
def test_a_squashfs(root: Path, tmp_path: Path, compression: str) -> None:
    place = squashfs(root, tmp_path / "image.sqsh", "-comp", compression)
    assert is_image(str(place))
    found, wanted = survey_image(str(place)), survey(str(root))
    assert same(found) == same(wanted)
    assert [one.owner for one in found.packages] == [("torch", "2.8.0")]
    assert found.kind == "image"
    answer = CliRunner().invoke(code, [str(place), "--gpu", "v100", "--json"])
    assert answer.exit_code == 3
    assert json.loads(answer.output)["places"][0]["asked"][0]["answer"] == "no"


def test_a_sif(root: Path, tmp_path: Path) -> None:
    inside = squashfs(root, tmp_path / "root.sqsh").read_bytes()
    place = sif(tmp_path / "image.sif", [(0x4004, partition(), inside)])
    assert is_image(str(place))
    assert same(survey_image(str(place))) == same(survey(str(root)))


def layers(root: Path) -> list[bytes]:
    """Return layers of which the unpacked root is ``root``: what is replaced and removed stood in the first ones."""
    every = {str(one.relative_to(root)): one for one in sorted(root.rglob("*")) if one.is_symlink() or one.is_file()}
    tree = {name: os.readlink(one) if one.is_symlink() else one.read_bytes() for name, one in every.items()}
    old = library([container(image(60))], needed=["libgone.so"], versions=["GLIBC_2.99"])
    site = "opt/venv/lib/python3.11/site-packages"
    below: dict[str, bytes | str | None] = {"usr/lib/liba.so": old, "usr/lib/gone.so": old, f"{site}/old/x.so": old}
    above: dict[str, bytes | str | None] = {"usr/lib/.wh.gone.so": b"", f"{site}/.wh.old": b"", **tree}
    return [layer(below), layer(above)]


@pytest.mark.parametrize("kind", ["tar", "gzip", "zstd", "xz", "bzip2"])
def test_an_oci_layout(root: Path, tmp_path: Path, kind: str) -> None:
    place = layout(tmp_path / "layout", layers(root), configuration({}), kind)
    assert is_image(str(place))
    assert same(survey_image(str(place))) == same(survey(str(root)))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_what_docker_save_writes(root: Path, tmp_path: Path, packed: bool, reverse: bool) -> None:
    place = docker_save(tmp_path / "image.tar", layers(root), configuration({}), packed, reverse)
    assert is_image(str(place))
    assert same(survey_image(str(place))) == same(survey(str(root)))
    answer = CliRunner().invoke(code, [str(place), "--gpu", "a100", "--json"])
    assert json.loads(answer.output)["places"][0]["asked"][0]["answer"] == "no"  # one of two units is for 9.0 alone


def test_an_image_by_its_tag() -> None:
    place = str(Path(__file__).parents[1] / "images/umoci-tags.tar")
    assert is_image(f"{place}:12.6")
    assert survey_image(f"{place}:12.6").packages == ()
    with pytest.raises(CodeError, match="no image is tagged 9"):
        survey_image(f"{place}:9")
    with pytest.raises(CodeError, match="several images are tagged"):
        survey_image(place)


def test_what_an_image_does_not_hold_leaves_it_in_doubt(root: Path, tmp_path: Path) -> None:
    place = layout(tmp_path / "layout", layers(root), configuration({}, "arm64" if X86 else "amd64"))
    found = survey_image(str(place))
    assert found.packages
    data = json.loads((place / "index.json").read_text())
    name = data["manifests"][0]["digest"].partition(":")[2]
    manifest = json.loads((place / "blobs/sha256" / name).read_text())
    manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    (place / "blobs/sha256" / name).write_text(json.dumps(manifest))
    (note,) = survey_image(str(place)).notes
    assert note == "layer 1: is not part of the image file and was not read"


def test_a_hard_link_is_one_file_and_a_bomb_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        info = tarfile.TarInfo("a.so")
        info.size = len(CODE)
        tar.addfile(info, io.BytesIO(CODE))
        link = tarfile.TarInfo("lib/b.so")
        link.type, link.linkname = tarfile.LNKTYPE, "a.so"
        tar.addfile(link)
    place = str(docker_save(tmp_path / "image.tar", [made.getvalue()], configuration({})))
    found = survey_image(place)
    assert (found.files, [one.name for one in found.packages[0].libraries]) == (1, ["a.so"])
    monkeypatch.setattr(places, "budget", lambda size: 1000)
    assert survey_image(place).notes == ("a.so: too large to be unpacked",)


@pytest.mark.parametrize("form", ["layout", "archive", "packed"])
def test_damaged_layers_are_told_in_one_line(root: Path, tmp_path: Path, form: str) -> None:
    if form == "layout":
        top = layout(tmp_path / "x", layers(root), configuration({}))
        place, damaged = top, max((top / "blobs/sha256").iterdir(), key=lambda one: one.stat().st_size)
    else:
        place = damaged = docker_save(tmp_path / "x.tar", layers(root), configuration({}), form == "packed")
    whole, chance, said = damaged.read_bytes(), random.Random(3), []
    for turn in range(40):
        data = bytearray(whole)
        for _ in range(1 + turn % 6):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        damaged.write_bytes(data[: chance.randrange(600, len(data))] if turn % 4 == 0 else data)
        try:
            survey_image(str(place))
        except CodeError as error:
            said.append(str(error))
    assert said
    assert all(one.isprintable() for one in said)


def test_a_damaged_image_is_told_in_one_line(root: Path, tmp_path: Path) -> None:
    whole = squashfs(root, tmp_path / "image.sqsh").read_bytes()
    wanted = same(survey_image(str(tmp_path / "image.sqsh")))
    place, chance = tmp_path / "damaged.sqsh", random.Random(7)
    changed = 0
    said: list[str] = []
    for turn in range(120):
        data = bytearray(whole)
        for _ in range(1 + turn % 6):
            at = chance.randrange(len(data)) if turn % 2 else chance.randrange(len(data) - 3000, len(data))
            data[at] ^= 1 << chance.randrange(8)
        place.write_bytes(data[: chance.randrange(4, len(data))] if turn % 10 == 0 else data)
        try:
            changed += same(survey_image(str(place))) != wanted
        except CodeError as error:
            said.append(str(error))
    assert changed + len(said) > 60
    assert said
    assert all(one.isprintable() for one in said)


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_bytes(CODE)
    assert [is_image(str(one)) for one in (tmp_path / "x.so", tmp_path, tmp_path / "none")] == [False] * 3


def test_a_fifo_is_no_image_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    answer = CliRunner().invoke(code, [str(tmp_path / "fifo")])
    assert answer.exit_code
    assert "neither a file nor a directory" in answer.output


def test_a_file_that_unpacks_to_too_much_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file takes no byte in a squashfs; what libraries unpack to together is bounded as well."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.so").write_bytes(CODE)
    with open(root / "sparse.so", "wb") as file:
        file.write(CODE)
        file.truncate(places.SMALL + 4096)
    unpacked: list[str] = []
    real = places.read_as
    monkeypatch.setattr(places, "read_as", lambda place, shown: unpacked.append(shown) or real(place, shown))
    place = str(squashfs(root, tmp_path / "image.sqsh"))
    found = survey_image(place)
    assert [note.partition(":")[0] for note in found.notes] == ["sparse.so"]
    assert "100 times its size" in found.notes[0]
    assert unpacked == ["a.so"]
    monkeypatch.setattr(places, "budget", lambda size: size)
    assert len(survey_image(place).notes) == 2


def test_a_layout_whose_other_blobs_are_gone(root: Path, tmp_path: Path) -> None:
    place = layout(tmp_path / "layout", layers(root), configuration({}))
    sound = survey_image(str(place))
    huge = tmp_path / "huge"
    huge.touch()
    os.truncate(huge, 1 << 40)
    (place / "blobs/sha256/gone").symlink_to("nowhere")
    (place / "blobs/sha256/elsewhere").symlink_to(huge)
    (place / "blobs/sha512").mkdir()
    (place / "blobs/sha512/some").write_bytes(b"x" * 100)
    before = sum(one.lstat().st_size for one in (place / "blobs").glob("*/*") if not one.is_symlink())
    assert same(survey_image(str(place))) == same(sound)
    assert image_code._size(str(place / "blobs")) == before


def test_a_layout_of_other_digests_says_what_is_missing(root: Path, tmp_path: Path) -> None:
    place = layout(tmp_path / "layout", layers(root), configuration({}))
    (place / "blobs/sha256").rename(place / "blobs/sha512")
    with pytest.raises(CodeError, match="is missing in the OCI layout"):
        survey_image(str(place))
