"""Damaged and hostile images: an error of one line, nothing outside the image read, nothing written, no end missed."""

import contextlib
import gzip
import io
import json
import os
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.submit.image import layered
from preflight.submit.image.model import ImageError
from preflight.submit.image.needs import needs, requirement
from preflight.submit.image.open import read
from preflight.submit.image.unpack import Budget, block, lz4
from unit.image_samples import (
    CUDA,
    GLIBC,
    REQUIRE,
    UBUNTU,
    Tree,
    blob,
    configuration,
    docker_save,
    index,
    layer,
    layout,
    partition,
    sif,
    squashfs,
    unpacked,
)


def small_budget(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    monkeypatch.setattr(layered, "Budget", lambda: Budget(**limits))


def error(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One sound image of each kind that is a file."""
    root = tmp_path_factory.mktemp("samples")
    tree = unpacked(root / "tree", CUDA | {"etc/environment": f"NVIDIA_REQUIRE_CUDA={REQUIRE}\n".encode()})
    made = {}
    for kind in ("gzip", "lzo", "lz4", "xz", "zstd"):
        made[kind] = squashfs(tree, root / f"{kind}.sqsh", "-comp", kind).read_bytes()
    made["sif"] = sif(
        root / "i.sif", [(0x4001, b"", b"%environment\n"), (0x4004, partition(), made["lzo"])]
    ).read_bytes()
    made["docker"] = docker_save(root / "i.tar", [layer(CUDA)], configuration({})).read_bytes()
    made["packed"] = docker_save(root / "i.tgz", [layer(CUDA)], configuration({}), packed=True).read_bytes()
    return made


KINDS = ("gzip", "lzo", "lz4", "xz", "zstd", "sif", "docker", "packed")


@settings(max_examples=400, deadline=None)
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_damage_is_an_error_or_a_note(
    samples: dict[str, bytes], data: st.DataObject, kind: str, tmp_path_factory: Any
) -> None:
    image = bytearray(samples[kind])
    interesting = (
        st.integers(0, 700) | st.integers(0, len(image) - 1) | st.integers(max(0, len(image) - 5000), len(image) - 1)
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = min(data.draw(interesting), len(image) - 1)
        if data.draw(st.booleans()):
            image[at] = data.draw(st.integers(0, 255))
        else:
            image[at : at + 4] = data.draw(
                st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x80", b"\x7f\xff\xff\xff"])
            )
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(image[: data.draw(st.sampled_from([len(image), len(image) // 2, len(image) - 1]))])
    said = ""
    try:
        requirement(needs(read(str(path))))
    except ImageError as caught:
        said = str(caught)
    assert "\n" not in said


@given(st.binary(max_size=300), st.sampled_from([1, 2, 3, 4, 5, 6, 9]))
def test_any_block_is_unpacked_or_refused(data: bytes, kind: int) -> None:
    with contextlib.suppress(ImageError):
        assert len(block(kind, data, 1000)) <= 1000


def test_lz4_by_its_description() -> None:
    assert lz4(b"\x11a\x01\x00\x10b", 100) == b"a" + b"a" * 5 + b"b"  # a match that overlaps what it writes
    with pytest.raises(ValueError, match="outside"):
        lz4(b"\x10a\x02\x00", 100)


def test_a_squashfs_whose_directory_contains_itself(samples: dict[str, bytes], tmp_path: Path) -> None:
    # Point every reference at the root: the directory table's entries get the root's place in the inode table.
    tree = unpacked(tmp_path / "tree", {"usr/lib/a/b": b""})
    image = bytearray(squashfs(tree, tmp_path / "i.sqsh", "-noI").read_bytes())
    root = struct.unpack_from("<Q", image, 32)[0]
    directories, end = struct.unpack_from("<QQ", image, 72)
    table = image[directories + 2 : end]
    for name in (b"usr", b"lib", b"a"):
        at = directories + 2 + table.index(name)
        struct.pack_into("<H", image, at - 8, root & 0xFFFF)
    (tmp_path / "i.sqsh").write_bytes(image)
    assert read(str(tmp_path / "i.sqsh")).cuda == ()


SECRET = "ID=fedora\nVERSION_ID=40\n"


@pytest.mark.parametrize("kind", ["oci", "squashfs", "directory"])
@pytest.mark.parametrize(
    "target", ["{0}", "../../../../../../../../../..{0}", "/proc/self/root{0}", "/proc/self/cwd/../{0}"]
)
def test_links_never_leave_the_image(kind: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    tree: Tree = {
        "etc/os-release": target.format(tmp_path / "secret"),
        "usr/lib/x": b"",
        "etc/environment": "../../secret",
    }
    if kind == "oci":
        path = layout(tmp_path / "i", [layer(tree)], configuration({}))
    else:
        path = unpacked(tmp_path / "i", tree)
        path = squashfs(path, tmp_path / "i.sqsh") if kind == "squashfs" else path
    image = read(str(path))
    assert image.os is None
    assert image.environment == {}


@pytest.mark.parametrize("kind", ["oci", "squashfs", "directory"])
def test_links_that_go_round(kind: str, tmp_path: Path) -> None:
    tree: Tree = {
        "etc/os-release": "os-release",
        "usr/lib64": "../lib64",
        "lib64": "usr/lib64",
        "usr/local/cuda-1": "cuda-1/cuda-1/cuda-1/cuda-1",
        "usr/local/cuda-2": ".",
        "opt/a": "../opt",
    }
    if kind == "oci":
        path = layout(tmp_path / "i", [layer(tree), layer({"usr/lib64/libcudart.so.12": b""})], configuration({}))
    else:
        path = unpacked(tmp_path / "i", tree)
        path = squashfs(path, tmp_path / "i.sqsh") if kind == "squashfs" else path
    assert read(str(path)).os is None


def test_names_that_leave_the_image_are_left_out(tmp_path: Path) -> None:
    tree: Tree = {
        "../../etc/os-release": SECRET.encode(),
        "usr/../etc/os-release": SECRET.encode(),
        "./usr//lib/os-release": UBUNTU.encode(),
        ".wh...": b"",
        ".wh.": b"",
    }
    image = read(str(layout(tmp_path / "i", [layer({"a": b""}), layer(tree)], configuration({}))))
    assert image.os is not None
    assert image.os["id"] == "ubuntu"


def test_nothing_is_written_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    root = unpacked(tmp_path / "i", {"usr/lib/os-release": UBUNTU.encode()})
    (root / "etc").mkdir()
    os.mkfifo(root / "etc/environment")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    assert read(str(root)).os is not None
    assert "neither a file nor a directory" in error(tmp_path / "pipe")
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_a_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_budget(monkeypatch, size=1 << 20)
    bomb = layer({"big": bytes(8 << 20)})
    assert "bomb" in error(layout(tmp_path / "i", [bomb], configuration({})))
    assert "bomb" in error(docker_save(tmp_path / "i.tgz", [bomb], configuration({}), packed=True))


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_budget(monkeypatch, entries=1000)
    assert "more entries" in error(
        layout(tmp_path / "i", [layer({str(n): b"" for n in range(1001)})], configuration({}))
    )


def test_too_much_of_interest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_budget(monkeypatch, kept=1000)
    assert "too large" in error(layout(tmp_path / "i", [layer({"etc/os-release": b" " * 2000})], configuration({})))


def header(size: bytes, kind: bytes = b"x") -> bytes:
    raw = bytearray(tarfile.TarInfo("a").tobuf())
    raw[124:136], raw[156:157] = size, kind
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


@pytest.mark.parametrize(
    "tar",
    [
        header(b"77777777777\0"),  # an extended header of 8 GiB
        header(b"\x80" + b"\x7f" * 11, b"0"),
        header(b"\xff" * 12, b"0"),
        header(b"00000001000\0", b"0"),  # ends before its data does
        b"x" * 512,
    ],
)
def test_malformed_tars(tar: bytes, tmp_path: Path) -> None:
    error(layout(tmp_path / "i", [tar], configuration({})))


@pytest.mark.parametrize(
    "records", [b"0 path=x\n", b"99999999999999999999 a=b\n", b"9 size=-1\n", b"12 size=1e9\n", b"\xff\n", b"7 =\n\n"]
)
def test_malformed_pax_records(records: bytes, tmp_path: Path) -> None:
    size = b"%011o\0" % len(records)
    tar = header(size) + records.ljust(512, b"\0") + layer({"etc/os-release": UBUNTU.encode()})
    root = layout(tmp_path / "i", [tar], configuration({}))
    if records.startswith((b"9 ", b"12")):
        assert "no number" in error(root)
    else:
        assert read(str(root)).os is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"manifests": []}', "names no image"),
        (b'{"manifests": [{"digest": "sha256:../../../../etc/passwd"}]}', "sound digest"),
        (b'{"manifests": [{"digest": 7}]}', "sound digest"),
        (b'{"manifests": 3}', "names no image"),
    ],
)
def test_malformed_indexes(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_bytes(content)
    assert said in error(tmp_path)


def test_an_index_that_contains_itself(tmp_path: Path) -> None:
    inner = b'{"manifests": []}'
    for _ in range(6):
        inner = json.dumps({"manifests": [{"digest": blob(tmp_path, inner)}] * 200}).encode()
    index(tmp_path, [{"digest": blob(tmp_path, inner)}])
    assert "names no image" in error(tmp_path)


def test_missing_blobs_and_layers(tmp_path: Path) -> None:
    root = layout(tmp_path / "i", [layer(CUDA)], configuration({}))
    largest = max((root / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.unlink()
    assert "layer 1" in error(root)
    largest.symlink_to("/etc/passwd")  # resolved inside the layout, where it is not
    assert "layer 1" in error(root)


@pytest.mark.parametrize(
    "config", [b'{"config": {"Env": 5, "Labels": []}}', b'{"config": 1}', b'{"architecture": {}}', b"{}"]
)
def test_odd_configurations(config: bytes, tmp_path: Path) -> None:
    assert read(str(layout(tmp_path / "i", [], config))).environment == {}


def test_odd_manifests_of_docker_save(tmp_path: Path) -> None:
    for text in ("[]", "{}", "[" * 100_000, '[{"Config": 1}]', '[{"Config": "a", "Layers": ["b"]}]'):
        (tmp_path / "i.tar").write_bytes(layer({"manifest.json": text.encode()}))
        error(tmp_path / "i.tar")


def test_a_link_in_the_archive_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "i.tar").write_bytes(layer({"manifest.json": "manifest.json", "a": "b", "b": "a"}))
    assert "no image" in error(tmp_path / "i.tar")


def test_files_that_are_no_image(tmp_path: Path) -> None:
    for content in (
        b"",
        b"text\n" * 200,
        gzip.compress(b"text"),
        GLIBC * 20,
        b"hsqs",
        b"hsqs" + bytes(200),
        b"\x28\xb5\x2f\xfd",
    ):
        (tmp_path / "x").write_bytes(content)
        error(tmp_path / "x")
    (tmp_path / "empty").mkdir()
    assert "unpacked root" in error(tmp_path / "empty")
    assert "no such file" in error(tmp_path / "missing.sif")
    assert "downloads nothing" in error(Path("a\0b/c"))


def test_sif_tables(tmp_path: Path) -> None:
    path = sif(tmp_path / "i.sif", [(0x4004, partition(), b"")], version=b"99")
    assert "version" in error(path)
    raw = bytearray(sif(path, [(0x4004, partition(), b"data")]).read_bytes())
    struct.pack_into("<q", raw, 96 - 8, 1 << 40)  # the number of descriptors
    path.write_bytes(raw)
    assert "damaged" in error(path)
    assert "OCI-SIF" in error(sif(path, [(0x400A, b"", b"{}")]))
    assert "ends too early" in error(sif(path, [(0x4004, partition(), b"")]))


def test_sparse_members_are_not_read_as_content(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("GNUSparseFile.1/os-release")
        info.size = 6
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "etc/os-release"}
        tar.addfile(info, io.BytesIO(b"1\n0\n1\n"))
    image = read(str(layout(tmp_path / "i", [out.getvalue()], configuration({}))))
    assert image.os is None
    assert "the system was not read" in image.notes[0]
