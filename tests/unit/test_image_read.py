"""Images of every kind, really built: the same content is read alike from all of them."""

import io
import json
import platform
import tarfile
from pathlib import Path

import pytest

from preflight.submit.image.model import Found, Image, ImageError, machine
from preflight.submit.image.needs import needs, requirement
from preflight.submit.image.open import read
from unit.image_samples import (
    ALPINE,
    CUDA,
    PACKERS,
    REQUIRE,
    Tree,
    blob,
    configuration,
    docker_save,
    index,
    layer,
    layout,
    manifest,
    partition,
    sif,
    squashfs,
    unpacked,
)

ENV = {"NVIDIA_REQUIRE_CUDA": REQUIRE, "NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
ENROOT = {"etc/environment": "".join(f"{name}={value}\n" for name, value in ENV.items()).encode() + b"TOKEN=secret\n"}
SINGULARITY = {
    ".singularity.d/env/10-docker2singularity.sh": b"#!/bin/sh\n"
    + "".join(f'export {name}="${{{name}:-"{value}"}}"\n' for name, value in ENV.items()).encode(),
    ".singularity.d/labels.json": b'{"org.label-schema.usage": "/.singularity.d/runscript.help"}',
}
RUNTIME = Found("libcudart", "12.4.127", "/usr/local/cuda-12.4/targets/x86_64-linux/lib/libcudart.so.12.4.127")
DIRECTORY = Found("cuda directory", "12.4.1", "/usr/local/cuda-12.4")


def sound(image: Image, kind: str) -> None:
    """The image holds CUDA's tree and variables, whatever the form."""
    assert image.kind == kind
    assert image.os is not None
    assert (image.os["id"], image.os["version"]) == ("ubuntu", "22.04")
    assert image.libc == {"glibc": "2.35"}
    assert image.architecture == "x86_64"
    assert set(image.cuda) == {RUNTIME, DIRECTORY}
    assert image.environment == ENV
    assert image.notes == ()
    assert requirement(needs(image)) == "arch=x86_64, cuda>=12.4"


@pytest.mark.parametrize("kind", PACKERS)
def test_an_oci_layout(kind: str, tmp_path: Path) -> None:
    sound(read(str(layout(tmp_path / "image", [layer(CUDA)], configuration(ENV), kind))), "oci")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_docker_save_archive(packed: bool, reverse: bool, tmp_path: Path) -> None:
    lower: Tree = {
        "etc/os-release": ALPINE.encode(),
        "usr/local/cuda-11.8/version.json": b'{"cuda":{"version":"11.8.0"}}',
    }
    middle: Tree = {"usr/local/.wh.cuda-11.8": b""}
    layers = [layer(lower), layer(middle), layer(CUDA)]
    sound(read(str(docker_save(tmp_path / "image.tar", layers, configuration(ENV), packed, reverse))), "docker")


@pytest.mark.parametrize("packed", [False, True])
def test_an_oci_layout_in_a_tar(packed: bool, tmp_path: Path) -> None:
    root = layout(tmp_path / "image", [layer(CUDA)], configuration(ENV))
    files: Tree = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    (tmp_path / "image.tar").write_bytes(PACKERS["gzip" if packed else "tar"](layer(files)))
    sound(read(str(tmp_path / "image.tar")), "oci")


def test_an_unpacked_root(tmp_path: Path) -> None:
    image = read(str(unpacked(tmp_path, CUDA | ENROOT)))
    sound(image, "directory")
    assert image.sources["NVIDIA_REQUIRE_CUDA"] == "/etc/environment"
    assert "TOKEN" not in image.environment


@pytest.mark.parametrize(
    "options",
    [("-comp", "gzip"), ("-comp", "lzo", "-noD"), ("-comp", "lzo"), ("-comp", "lz4"), ("-comp", "xz"),
     ("-comp", "zstd"), ("-noI", "-noD", "-noF", "-noX"), ("-b", "4096", "-no-fragments")],
)  # fmt: skip
def test_an_enroot_squashfs(options: tuple[str, ...], tmp_path: Path) -> None:
    root = unpacked(tmp_path / "root", CUDA | ENROOT)
    # Larger than a block, so that blocks and a fragment are read, and with text that compressors find matches in.
    text = "".join(
        f"Package: lib{number}\nVersion: 1:{number * 7919 % 10007}.{number % 13}-1\n\n" for number in range(9000)
    )
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/nvcc").write_bytes(b"")
    (root / "var/lib/dpkg/status").write_text(
        f"{text}Package: nvidia-cuda-toolkit\nVersion: 11.8.89~11.8.0-5~deb12u1\n"
    )
    for number in range(3000):  # a directory whose listing takes several blocks
        (root / f"usr/local/cuda-12.4/lib{number}.so").touch()
    image = read(str(squashfs(root, tmp_path / "image.sqsh", *options)))
    assert Found("toolkit", "11.8.0", "/usr") in image.cuda
    sound(image._replace(cuda=tuple(one for one in image.cuda if one.kind != "toolkit")), "squashfs")


def test_a_sif(tmp_path: Path) -> None:
    root = unpacked(tmp_path / "root", CUDA | SINGULARITY)
    packed = squashfs(root, tmp_path / "root.sqsh").read_bytes()
    definition = b"Bootstrap: docker\nFrom: nvidia/cuda:12.4.1\n\n%environment\n  export CUDA_HOME=/opt\n"
    objects = [(0x4001, b"", definition), (0x4003, b"", b'{"maintainer": "me"}'), (0x4004, partition(), packed)]
    image = read(str(sif(tmp_path / "image.sif", objects)))
    sound(image, "sif")
    assert image.labels == {"maintainer": "me"}
    assert image.sources["NVIDIA_REQUIRE_CUDA"] == "/.singularity.d/env/10-docker2singularity.sh"


@pytest.mark.parametrize(("form", "said"), [(2, "ext3"), (5, "encrypted")])
def test_a_sif_whose_files_cannot_be_read_still_tells_what_it_says(form: int, said: str, tmp_path: Path) -> None:
    definition = (
        b'Bootstrap: docker\n%environment\n  export NVIDIA_REQUIRE_CUDA="cuda>=12.1"\n%runscript\n  export CUDA_X=1\n'
    )
    objects = [(0x4001, b"", definition), (0x4004, partition(form, arch=b"04"), b"\0" * 100)]
    image = read(str(sif(tmp_path / "image.sif", objects, arch=b"04")))
    assert requirement(needs(image)) == "arch=aarch64, cuda>=12.1"
    assert image.environment == {"NVIDIA_REQUIRE_CUDA": "cuda>=12.1"}
    assert said in image.notes[-1]


def test_an_index_of_several_platforms_gives_this_machine(tmp_path: Path) -> None:
    root = tmp_path / "image"
    here = machine(platform.machine())
    other = "arm64" if here == "x86_64" else "amd64"
    entries = [
        {
            "digest": manifest(root, [layer(CUDA)], configuration({"CUDA_VERSION": number}, name)),
            "platform": {"architecture": name},
        }
        for name, number in ((other, "11.0"), (here, "12.4"))
    ]
    attestation = {"digest": "sha256:" + "0" * 64, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    index(root, [*entries, attestation])
    image = read(str(root))
    assert image.architecture == here
    assert image.environment == {"CUDA_VERSION": "12.4"}
    assert image.platforms == (machine(other), here)
    assert "for this machine" in image.notes[0]
    assert f"arch={machine(other)}|arch={here}" in requirement(needs(image))


def test_an_index_without_this_machine_says_so(tmp_path: Path) -> None:
    root = tmp_path / "image"
    entries = [{"digest": manifest(root, [], configuration({}, name))} for name in ("riscv64", "s390x")]
    index(root, entries)
    image = read(str(root))
    assert image.architecture == "riscv64"
    assert "none is for this machine" in image.notes[0]


def test_a_nested_index(tmp_path: Path) -> None:
    root = tmp_path / "image"
    inner = blob(
        root, json.dumps({"manifests": [{"digest": manifest(root, [layer(CUDA)], configuration(ENV))}]}).encode()
    )
    index(root, [{"digest": inner}])
    sound(read(str(root)), "oci")


@pytest.mark.parametrize(
    "name",
    ["docker://ubuntu", "nvcr.io#nvidia/cuda:12.4.1-base", "nvcr.io/nvidia/cuda:12.4", "oras://x/y", "ubuntu:22.04"],
)
def test_a_reference_is_not_downloaded(name: str) -> None:
    with pytest.raises(ImageError, match="downloads nothing"):
        read(name)


def test_layers_cover_each_other(tmp_path: Path) -> None:
    version = "usr/local/cuda-{0}/version.json"
    json_of = '{{"cuda": {{"version": "{0}"}}}}'
    layers: list[Tree] = [
        {version.format(name): json_of.format(name).encode() for name in ("11.0", "11.1", "11.2", "11.3", "11.4")}
        | {"opt/conda/lib/libcudart.so.11.0": b"", "etc/os-release": ALPINE.encode(), "lib": "usr/lib"},
        {
            "usr/local/.wh.cuda-11.0": b"",  # the whole directory is gone
            "usr/local/cuda-11.1/.wh.version.json": b"",  # one file
            "usr/local/cuda-11.2/.wh..wh..opq": b"",  # what was in it
            version.format("11.2"): json_of.format("12.2").encode(),  # stays: opaque hides lower layers only
            "usr/local/cuda-11.3": b"a file in the directory's place",
            "lib/ld-musl-x86_64.so.1": b"",  # through the link of the lower layer
            "opt/.wh.conda": b"",
        },
    ]
    image = read(str(layout(tmp_path / "i", [layer(one) for one in layers], configuration({}))))
    assert {one.version for one in image.cuda} == {"12.2", "11.4"}
    assert image.libc == {"glibc": None}


def test_hard_links_and_a_file_that_comes_back(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        long = "opt/" + "n" * 120 + "/lib/python3.12/site-packages/torch/version.py"
        info = tarfile.TarInfo(long)
        text = b"__version__ = '2.5'\ncuda: Optional[str] = '12.4'\n"
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
        link = tarfile.TarInfo("opt/py/lib/python3.12/site-packages/torch/version.py")
        link.type, link.linkname = tarfile.LNKTYPE, long
        tar.addfile(link)
        for kind in (tarfile.CHRTYPE, tarfile.FIFOTYPE):
            device = tarfile.TarInfo("etc/os-release")
            device.type = kind
            tar.addfile(device)
    image = read(str(layout(tmp_path / "i", [out.getvalue()], configuration({}))))
    assert [one.version for one in image.cuda] == ["12.4", "12.4"]
    assert image.os is None
