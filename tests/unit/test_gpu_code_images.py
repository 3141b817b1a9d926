"""GPU code in container images: what is found is what the unpacked root holds."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from preflight.artifacts.gpu_code import CodeError, places
from preflight.artifacts.gpu_code.survey import Survey, survey
from preflight.cli.code import code
from preflight.submit.image.code import is_image, survey_image
from unit.gpu_code_samples import container, image, install, library, ptx
from unit.image_samples import partition, sif, squashfs

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
