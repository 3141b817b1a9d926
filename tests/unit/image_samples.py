"""Real container images: tars and OCI layouts by Python's tarfile, squashfs by squashfs-tools, SIF by hand."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Union

from preflight.submit.image.unpack import zstd

UBUNTU = 'NAME="Ubuntu"\nVERSION_ID="22.04"\nID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n'
ALPINE = 'ID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME="Alpine Linux v3.20"\n'
# Of nvcr.io/nvidia/cuda:12.4.1: the first terms.
REQUIRE = (
    "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=unknown,driver>=470,driver<471 "
    "brand=tesla,driver>=525,driver<526 brand=tesla,driver>=535,driver<536"
)
GLIBC = (
    b"\x7fELF\x02\x01"
    + bytes(12)
    + b"\x3e\0"
    + b"\0GNU C Library (Ubuntu GLIBC 2.35-0ubuntu3.8) stable release version 2.35.\n"
)

# Path -> content; a str is a link, None a directory.
Tree = dict[str, Union[bytes, str, None]]

CUDA: Tree = {
    "etc/os-release": "../usr/lib/os-release",
    "usr/lib/os-release": UBUNTU.encode(),
    "usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC,
    "usr/local/cuda": "/etc/alternatives/cuda",
    "etc/alternatives/cuda": "/usr/local/cuda-12.4",
    "usr/local/cuda-12.4/lib64": "targets/x86_64-linux/lib",
    "usr/local/cuda-12.4/targets/x86_64-linux/lib/libcudart.so.12.4.127": b"ELF",
    "usr/local/cuda-12.4/targets/x86_64-linux/lib/libcudart.so.12": "libcudart.so.12.4.127",
    "usr/local/cuda-12.4/version.json": b'{"cuda": {"name": "CUDA SDK", "version": "12.4.1"}}',
}


def layer(tree: Tree) -> bytes:
    """Return a tar of files, links (str) and directories (None)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in tree.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


PACKERS = {
    "tar": bytes,
    "gzip": gzip.compress,
    "zstd": lambda data: zstd("the test").compress(data),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def configuration(environment: dict[str, str], architecture: str = "amd64", **more: Any) -> bytes:
    """Return an image's configuration as JSON."""
    env = [f"{name}={value}" for name, value in environment.items()]
    return json.dumps({"architecture": architecture, "os": "linux", "config": {"Env": env, **more}}).encode()


def blob(root: Path, data: bytes) -> str:
    """Write a blob and return its digest."""
    digest = hashlib.sha256(data).hexdigest()
    place = root / "blobs/sha256"
    place.mkdir(parents=True, exist_ok=True)
    (place / digest).write_bytes(data)
    return f"sha256:{digest}"


def manifest(root: Path, layers: list[bytes], config: bytes, kind: str = "gzip") -> str:
    """Write an image of an OCI layout and return its manifest's digest."""
    packed = [blob(root, PACKERS[kind](one)) for one in layers]
    media = "application/vnd.oci.image.layer.v1.tar"
    value = {
        "schemaVersion": 2,
        "config": {"digest": blob(root, config)},
        "layers": [{"digest": digest, "mediaType": media} for digest in packed],
    }
    return blob(root, json.dumps(value).encode())


def layout(root: Path, layers: list[bytes], config: bytes, kind: str = "gzip") -> Path:
    """Write an OCI layout of one image."""
    root.mkdir(exist_ok=True)
    index(root, [{"digest": manifest(root, layers, config, kind)}])
    return root


def index(root: Path, entries: list[dict[str, Any]]) -> None:
    """Write the index of an OCI layout."""
    root.mkdir(exist_ok=True)
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))


def docker_save(path: Path, layers: list[bytes], config: bytes, packed: bool = False, reverse: bool = False) -> Path:
    """Write a `docker save` archive of the old form; ``reverse`` puts the layers in the opposite order into the tar."""
    names = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    files: Tree = dict(zip(names, layers))
    if reverse:
        files = dict(reversed(files.items()))
    files["c0ffee.json"] = config
    files["manifest.json"] = json.dumps(
        [{"Config": "c0ffee.json", "RepoTags": ["cuda:12.4"], "Layers": names}]
    ).encode()
    data = layer(files)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def unpacked(root: Path, tree: Tree) -> Path:
    """Write a tree as a directory."""
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
    return root


def squashfs(root: Path, path: Path, *options: str) -> Path:
    """Pack a directory with mksquashfs, which has to be there."""
    tool = shutil.which("mksquashfs")
    assert tool, "mksquashfs is missing: apt-get install squashfs-tools"
    subprocess.run([tool, str(root), str(path), "-quiet", "-no-progress", *options], check=True, capture_output=True)
    return path


def sif(path: Path, objects: list[tuple[int, bytes, bytes]], arch: bytes = b"02", version: bytes = b"01") -> Path:
    """Write a SIF: ``objects`` are (data type, the descriptor's extra bytes, data)."""
    table_at, data_at = 4096, 32768
    descriptors, data = b"", b""
    for number, (kind, extra, content) in enumerate(objects, 1):
        at = data_at + len(data)
        descriptors += struct.pack(
            "<i?IIIqqqqqqq128s384s", kind, True, number, 0xF0000001, 0, at, len(content), len(content), 0, 0, 0, 0,
            b"object", extra,
        )  # fmt: skip
        data += content
    header = struct.pack(
        "<32s10s3s3s16sqqqqqqqq", b"#!/usr/bin/env run-singularity\n", b"SIF_MAGIC", version, arch, bytes(16), 0, 0,
        48 - len(objects), 48, table_at, len(descriptors), data_at, len(data),
    )  # fmt: skip
    path.write_bytes(header.ljust(table_at, b"\0") + descriptors.ljust(data_at - table_at, b"\0") + data)
    return path


def partition(form: int = 1, role: int = 2, arch: bytes = b"02") -> bytes:
    """Return a partition's extra bytes: file system (1 squashfs, 2 ext3, 5 encrypted), role (2 primary), arch."""
    return struct.pack("<ii3s", form, role, arch)
