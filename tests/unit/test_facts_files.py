"""The probes that read files: each from a small recorded root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from preflight.facts import arch, container, cpu, driver, ib, kernel, libc, libstdcxx, memory, mounts, pci, tmp
from preflight.facts import cuda_toolkits as toolkits
from preflight.facts import modulefiles as modules
from preflight.facts import os as facts_os
from preflight.facts.answer import NOT_LIVE, Answer
from preflight.facts.rootfs import Root
from preflight.facts.view import View
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import parse


def node(tmp_path: Path, files: dict[str, str | bytes]) -> Root:
    """Return a root that is not live and holds ``files``."""
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Root(str(tmp_path), live=False)


# os

UBUNTU = 'ID=ubuntu\nVERSION_ID="22.04"\nID_LIKE=debian\nVERSION_CODENAME=jammy\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UBUNTU, {"id": "ubuntu", "version": "22.04", "like": ["debian"], "codename": "jammy", "variant": None}),
        (UBUNTU.replace("\n", "\r\n"), {"id": "ubuntu", "version": "22.04", "name": "Ubuntu 22.04.4 LTS"}),
        ('ID="ol"\nVERSION_ID="9.1"\nID_LIKE="fedora"\n', {"id": "ol", "version": "9.1", "like": ["fedora"]}),
        ("ID='rocky'\nVERSION_ID='9.4'\nID_LIKE='rhel centos fedora'\n", {"id": "rocky", "version": "9.4"}),
        ('ID="opensuse-leap"\nVERSION_ID="15.6"\n', {"id": "opensuse-leap", "version": "15.6"}),
        ('NAME="CentOS Stream"\nID="centos"\nVERSION_ID="9"\n', {"id": "centos", "version": "9", "variant": "stream"}),
        (
            'NAME="CentOS Linux"\nID=centos\nVERSION_ID=8\nREDHAT_SUPPORT_PRODUCT_VERSION="CentOS Stream"\n',
            {"variant": "stream"},
        ),
        ('NAME="CentOS Linux"\nID="centos"\nVERSION_ID="7"\n', {"variant": None, "name": "CentOS Linux"}),
        ("ID=debian\nPRETTY_NAME='Debian GNU/Linux trixie/sid'\n", {"id": "debian", "version": None}),
        ("ID=arch\nVERSION_ID=TEMPLATE_VERSION_ID\n", {"id": "arch", "version": None}),
        ("ID=fedora\nVERSION_ID=40\nVARIANT_ID=server\n", {"variant": "server"}),
        ("NAME=Nameless\n", {"id": "linux", "version": None, "like": []}),
        ("", {"id": "linux", "version": None, "name": None}),
    ],
)
def test_os_release(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    answer = facts_os.read(node(tmp_path, {"etc/os-release": text}))
    assert {key: answer.values[key] for key in expected} == expected
    assert answer.unknown == {}


def test_os_release_through_an_absolute_link_is_the_roots_own(tmp_path: Path) -> None:
    root = node(tmp_path, {"usr/lib/os-release": "ID=sles\nVERSION_ID=15.5\n", "etc/x": ""})
    (tmp_path / "etc/os-release").symlink_to("/usr/lib/os-release")
    assert facts_os.read(root).values["id"] == "sles"


def test_os_release_in_usr_lib_alone(tmp_path: Path) -> None:
    assert facts_os.read(node(tmp_path, {"usr/lib/os-release": "ID=alpine\n"})).values["id"] == "alpine"


@pytest.mark.parametrize("content", [b'ID="ubuntu\n', b"ID=\xff\xfe\n"])
def test_an_os_release_that_cannot_be_parsed_is_unknown(tmp_path: Path, content: bytes) -> None:
    answer = facts_os.read(node(tmp_path, {"etc/os-release": content}))
    assert answer.values == {}
    assert answer.unknown[""].startswith("/etc/os-release cannot be parsed: ")


def test_no_os_release_is_unknown_not_this_machines(tmp_path: Path) -> None:
    for live in (False, True):
        answer = facts_os.read(Root(str(tmp_path), live))
        assert answer == Answer({}, {"": f"no os-release file beneath {tmp_path}"})


# kernel, arch, libc, cpu, memory


def test_kernel_recorded_live_and_off(tmp_path: Path) -> None:
    assert kernel.read(Root(str(tmp_path), live=False)).unknown == {"": NOT_LIVE}
    assert kernel.read(Root(str(tmp_path), live=True)).values == {"release": os.uname().release}
    root = node(tmp_path, {"proc/sys/kernel/osrelease": "5.14.0-427.el9.x86_64\n"})
    assert kernel.read(root).values == {"release": "5.14.0-427.el9.x86_64"}


def test_arch_from_the_elf_header(tmp_path: Path) -> None:
    header = b"\x7fELF\x02\x01" + bytes(12) + (183).to_bytes(2, "little") + bytes(16)
    assert arch.read(Root(str(tmp_path), live=False)).unknown == {"": NOT_LIVE}
    assert arch.read(node(tmp_path, {"bin/sh": header})).values == {"machine": "aarch64"}


def test_glibc_from_the_banner_in_its_library(tmp_path: Path) -> None:
    banner = b"\x7fELF..\0GNU C Library (Ubuntu GLIBC 2.35-0ubuntu3.8) stable release version 2.35.\n\0more"
    root = node(tmp_path, {"usr/lib/x86_64-linux-gnu/libc.so.6": banner})
    assert libc.read(root).values == {"glibc": "2.35"}
    assert libc.read(Root(str(tmp_path), live=True)).values == {"glibc": "2.35"}


def test_libstdcxx_by_the_name_that_its_link_ends_at(tmp_path: Path) -> None:
    root = node(tmp_path, {"usr/lib64/libstdc++.so.6.0.30": "", "usr/lib/i386-linux-gnu/libstdc++.so.6": ""})
    assert "beneath" in libstdcxx.read(root).unknown[""]  # that of another machine counts as none
    (tmp_path / "usr/lib64/libstdc++.so.6").symlink_to("libstdc++.so.6.0.30")
    assert libstdcxx.read(root).values == {"glibcxx": "3.4.30"}
    (tmp_path / "usr/lib64/libstdc++.so.6").unlink()
    (tmp_path / "usr/lib64/libstdc++.so.6").touch()
    assert "whose name says" in libstdcxx.read(root).unknown[""]
    own = libstdcxx.read(Root("/", live=True))
    assert own.values or own.unknown


@pytest.mark.parametrize(("machine", "version"), [(62, "3.4.33"), (183, "3.4.30"), (0, None)])
def test_libstdcxx_is_the_machines_own_where_others_are_beside_it(
    tmp_path: Path, machine: int, version: str | None
) -> None:
    """Debian's multiarch: libstdc++6:arm64 beside amd64's."""
    header = b"\x7fELF\x02\x01" + bytes(12) + machine.to_bytes(2, "little") + bytes(16)
    root = node(tmp_path, {"bin/sh": header})
    for directory, number in (("x86_64-linux-gnu", 33), ("aarch64-linux-gnu", 30)):
        place = tmp_path / "usr/lib" / directory
        place.mkdir(parents=True)
        (place / f"libstdc++.so.6.0.{number}").touch()
        (place / "libstdc++.so.6").symlink_to(f"libstdc++.so.6.0.{number}")
    answer = libstdcxx.read(root)
    assert answer.values.get("glibcxx") == version
    assert version or "differ" in answer.unknown[""]


def test_musl_has_no_glibc(tmp_path: Path) -> None:
    assert libc.read(node(tmp_path, {"lib/ld-musl-x86_64.so.1": ""})) == Answer({"glibc": None})


def test_no_c_library_is_unknown(tmp_path: Path) -> None:
    assert "no C library" in libc.read(Root(str(tmp_path), live=False)).unknown[""]


def test_musl_confstr_failure_falls_back_to_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> str:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", refuse)
    assert libc.read(Root(str(tmp_path), live=True)).unknown == {"": "no C library found"}


def test_cpus_are_the_processor_lines(tmp_path: Path) -> None:
    text = "".join(f"processor\t: {number}\nmodel name\t: x\n\n" for number in range(3))
    assert cpu.read(Root(str(tmp_path), live=False)).unknown == {"": NOT_LIVE}
    assert cpu.read(node(tmp_path, {"proc/cpuinfo": text})).values == {"count": 3}


def test_meminfo(tmp_path: Path) -> None:
    assert memory.read(Root(str(tmp_path), live=False)).unknown == {"": NOT_LIVE}
    text = "MemTotal:       2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\nHugePages_Total: 5\n"
    assert memory.read(node(tmp_path, {"proc/meminfo": text})).values == {"total": 2 << 20, "available": 1 << 20}


def test_meminfo_of_an_old_kernel_and_a_broken_one(tmp_path: Path) -> None:
    old = memory.read(node(tmp_path, {"proc/meminfo": "MemTotal: 8 kB\n"}))
    assert old.values == {"total": 8192}
    assert list(old.unknown) == ["available"]
    assert memory.read(node(tmp_path, {"proc/meminfo": "MemTotal: many kB\n"})).values == {}


def test_free_space_is_what_users_may_take(tmp_path: Path) -> None:
    told = os.statvfs(tmp_path)
    found = tmp.read_space(Root(), str(tmp_path)).values
    assert found["size"] == told.f_frsize * told.f_blocks
    assert found["free"] <= told.f_frsize * told.f_bfree
    assert tmp.read_space(Root(str(tmp_path), live=False), "/tmp").unknown == {"": NOT_LIVE}
    assert "No such file" in tmp.read_space(Root(), str(tmp_path / "gone")).unknown[""]


# mounts


def test_mount_points_with_escapes_once_each(tmp_path: Path) -> None:
    table = (
        "/dev/sda / ext4 rw 0 0\nnfs:/a /scratch\\040big nfs4 rw 0 0\ntmpfs /a\\134b tmpfs rw 0 0\n"
        "tmpfs / tmpfs rw 0 0\ncut\nnfs:/é /é\\011x lustre rw 0 0\n"
    )
    root = node(tmp_path, {"proc/self/mounts": table})
    assert mounts.read(root).values["paths"] == ["/", "/scratch big", "/a\\b", "/é\tx"]
    assert mounts.read(root).values["remote"] == ["/scratch big", "/é\tx"]
    assert mounts.remote_paths(root) == [("/scratch big", "nfs4"), ("/é\tx", "lustre")]


def test_no_mount_table_beneath_a_root_is_unknown(tmp_path: Path) -> None:
    assert mounts.read(Root(str(tmp_path), live=False)).unknown == {"": NOT_LIVE}


# toolkits


def toolkit_versions(root: Root, *prefixes: str) -> tuple[list[str], list[tuple[str | None, str, bool]]]:
    values = toolkits.read(root, prefixes or toolkits.DEFAULT_PREFIXES).values
    return values["versions"], [(item["version"], item["path"], item["nvcc"]) for item in values["items"]]


def test_a_linked_toolkit_counts_once(tmp_path: Path) -> None:
    root = node(
        tmp_path,
        {
            "usr/local/cuda-12.4/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.4.1"}}',
            "usr/local/cuda-12.4/bin/nvcc": "",
            "usr/local/cuda-10.2/version.txt": "CUDA Version 10.2.89\n",
            "usr/local/cuda-10.2/bin/nvcc": "",
        },
    )
    (tmp_path / "usr/local/cuda-12").symlink_to("cuda-12.4")
    (tmp_path / "usr/local/cuda").symlink_to("/usr/local/cuda-12")
    versions, items = toolkit_versions(root)
    assert versions == ["12.4.1", "10.2.89"]
    assert items == [("12.4.1", "/usr/local/cuda-12.4", True), ("10.2.89", "/usr/local/cuda-10.2", True)]


def test_a_toolkit_without_a_compiler_is_no_version(tmp_path: Path) -> None:
    root = node(
        tmp_path,
        {
            "usr/local/cuda-12.4/version.json": '{"cuda": {"version": "12.4.1"}}',
            "usr/local/cuda-12.2/version.json": '{"cuda": {"version": "12.2.0"}}',
            "usr/local/cuda-12.0/lib64/libcudart.so.12": "",
            "usr/local/cuda-11/version.json": '{"cuda": {"version": "11.1.0"}}',
        },
    )
    (tmp_path / "usr/local/cuda-12.2/bin/nvcc").mkdir(parents=True)
    (tmp_path / "usr/local/cuda-11/bin").mkdir()
    (tmp_path / "usr/local/cuda-11/bin/nvcc").symlink_to("/nowhere/nvcc")
    versions, items = toolkit_versions(root)
    assert versions == []
    assert [item[2] for item in items] == [False, False, False]


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"cuda": "12.4"}', '{"cuda": {"version": 12.4}}', '{"cuda":{"version":"12.4; x"}}']
)
def test_a_broken_version_file_falls_back_to_the_header(tmp_path: Path, content: str) -> None:
    files: dict[str, str | bytes] = {"usr/local/cuda/version.json": content, "usr/local/cuda/bin/nvcc": ""}
    root = node(tmp_path, files)
    answer = toolkits.read(root)
    assert answer.values["versions"] == []
    assert answer.unknown == {"versions": "no version of the toolkit in /usr/local/cuda"}
    node(tmp_path, {"usr/local/cuda/include/cuda.h": "#ifndef X\n#define CUDA_VERSION 12040\n"})
    assert toolkits.read(root).values["versions"] == ["12.4"]


DPKG = "Package: other\nVersion: 1\n\nPackage: nvidia-cuda-toolkit\nStatus: install ok installed\nVersion: {}\n\n"


@pytest.mark.parametrize(("package", "version"), [("11.8.89~11.8.0-5~deb12u1", "11.8.0"), ("10.2.89-2", "10.2")])
def test_debians_own_toolkit(tmp_path: Path, package: str, version: str) -> None:
    root = node(tmp_path, {"usr/bin/nvcc": "#!/bin/sh\n", "var/lib/dpkg/status": DPKG.format(package)})
    assert toolkit_versions(root) == ([version], [(version, "/usr", True)])


def test_debians_link_into_a_counted_toolkit_counts_once(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "usr/local/cuda-12.4/version.json": '{"cuda": {"version": "12.4.1"}}',
        "usr/local/cuda-12.4/bin/nvcc": "",
        "usr/bin/x": "",
    }
    root = node(tmp_path, files)
    (tmp_path / "usr/bin/nvcc").symlink_to("/usr/local/cuda-12.4/bin/nvcc")
    assert toolkit_versions(root)[0] == ["12.4.1"]
    assert len(toolkit_versions(root)[1]) == 1


def test_other_prefixes_only(tmp_path: Path) -> None:
    root = node(tmp_path, {"opt/sw/CUDA/12.1/version.json": '{"cuda":{"version":"12.1.0"}}', "opt/sw/CUDA/README": ""})
    assert toolkit_versions(root)[1] == []
    assert toolkit_versions(root, "/opt/sw/CUDA/*")[1] == [("12.1.0", "/opt/sw/CUDA/12.1", False)]


# driver, ib, container, modules


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n", "550.54.15"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65  Release Build\nGCC version: 13\n", "580.65"),
    ],
)
def test_the_loaded_module(tmp_path: Path, text: str, module: str) -> None:
    assert driver.read(node(tmp_path, {"proc/driver/nvidia/version": text})).values == {"module": module}


def test_no_module_is_null_when_live_and_unknown_when_not(tmp_path: Path) -> None:
    assert driver.read(Root(str(tmp_path), live=False)).unknown == {"module": NOT_LIVE}
    found = driver.read(node(tmp_path, {"proc/driver/nvidia/version": "no number\n"}))
    assert "states no version" in found.unknown["module"]


def on_the_bus(place: Path, name: str, kind: str = "0x030200", driver: str = "nvidia", vendor: str = "0x10de") -> Path:
    """Write one PCI device of a recorded sysfs: its driver is a link that leads nowhere in the tree."""
    device = place / "sys/bus/pci/devices" / name
    device.mkdir(parents=True)
    for key, value in (("vendor", vendor), ("class", kind), ("device", "0x2330")):
        (device / key).write_text(f"{value}\n")
    if driver:
        (device / "driver").symlink_to(f"../../../../bus/pci/drivers/{driver}")
    return device


def test_pci_lists_nvidia_gpus_with_their_driver(tmp_path: Path) -> None:
    on_the_bus(tmp_path, "0000:3b:00.0")
    on_the_bus(tmp_path, "0000:5e:00.0", driver="")
    on_the_bus(tmp_path, "0000:86:00.0", "0x030000", "vfio-pci")
    on_the_bus(tmp_path, "0000:87:00.0", "0x068000", "nvidia-nvswitch")  # an NVSwitch
    on_the_bus(tmp_path, "0000:3b:00.1", "0x040300", "snd_hda_intel")  # the audio function of a VGA board
    on_the_bus(tmp_path, "0000:03:00.0", "0x030000", "ast", "0x1a03")  # a server's own display
    (on_the_bus(tmp_path, "0000:3b:00.4") / "physfn").symlink_to("../0000:3b:00.0")  # SR-IOV, for a vGPU
    (tmp_path / "proc/driver/nvidia/gpus/0000:3b:00.0").mkdir(parents=True)
    root = node(tmp_path, {})
    assert [tuple(gpu.values()) for gpu in pci.read(root).values["gpus"]] == [
        ("0000:3b:00.0", "0302", "2330", "nvidia", True),
        ("0000:5e:00.0", "0302", "2330", None, False),
        ("0000:86:00.0", "0300", "2330", "vfio-pci", False),
    ]
    assert pci.own_gpus(root) == 2
    assert pci.read(Root(str(tmp_path / "nowhere"), live=False)).unknown == {"": NOT_LIVE}


def ib_port(device: str, state: str, rate: str, layer: str = "InfiniBand") -> dict[str, str | bytes]:
    place = f"sys/class/infiniband/{device}/ports/1"
    return {f"{place}/state": state, f"{place}/rate": rate, f"{place}/link_layer": f"{layer}\n"}


def test_ib_rate_is_of_active_infiniband_ports(tmp_path: Path) -> None:
    files = {
        **ib_port("mlx5_0", "4: ACTIVE\n", "200 Gb/sec (4X HDR)\n"),
        **ib_port("mlx5_1", "1: DOWN\n", "400 Gb/sec (4X NDR)\n"),
        **ib_port("mlx5_2", "4: ACTIVE\n", "800 Gb/sec\n", "Ethernet"),
        **ib_port("mlx5_3", "4: ACTIVE\n", "2.5 Gb/sec (1X SDR)\n"),
    }
    values = ib.read(node(tmp_path, files)).values
    assert values["rate"] == 200
    assert values["ports"] == [
        {"device": "mlx5_0", "port": 1, "state": "ACTIVE", "rate": 200},
        {"device": "mlx5_1", "port": 1, "state": "DOWN", "rate": 400},
        {"device": "mlx5_3", "port": 1, "state": "ACTIVE", "rate": 2.5},
    ]
    assert [port["device"] for port in values["roce"]] == ["mlx5_2"]


@pytest.mark.parametrize("layer", ["Unknown", "Unspecified"])
def test_efa_is_no_infiniband(tmp_path: Path, layer: str) -> None:
    files = ib_port("rdmap16s27", "4: ACTIVE\n", "100 Gb/sec (4X EDR)\n", layer)
    assert ib.read(node(tmp_path, files)) == Answer({"ports": [], "roce": [], "rate": None})


def test_a_port_without_a_link_layer_is_unknown_unless_another_is_infiniband(tmp_path: Path) -> None:
    files = ib_port("mlx5_0", "4: ACTIVE\n", "200 Gb/sec\n")
    del files["sys/class/infiniband/mlx5_0/ports/1/link_layer"]
    found = ib.read(node(tmp_path, files))
    assert found.values == {"ports": [], "roce": []}
    assert "mlx5_0 port 1" in found.unknown["rate"]
    assert ib.read(node(tmp_path, ib_port("mlx5_1", "4: ACTIVE\n", "400 Gb/sec\n"))).values["rate"] == 400


def test_ib_of_an_image_is_unknown_and_of_a_recorded_node_none(tmp_path: Path) -> None:
    root = Root(str(tmp_path), live=False)
    assert ib.read(root).unknown == {"": NOT_LIVE}
    (tmp_path / "sys/class/net").mkdir(parents=True)
    assert ib.read(root) == Answer({"ports": [], "roce": [], "rate": None})


def test_runtimes_are_executable_files(tmp_path: Path) -> None:
    root = node(tmp_path, {"usr/bin/enroot": "", "usr/bin/podman": "", "opt/apptainer/bin/apptainer": ""})
    for name in ("usr/bin/enroot", "opt/apptainer/bin/apptainer"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "usr/bin/docker").mkdir()
    assert container.read(root).values == {"runtimes": ["enroot", "apptainer"]}


@pytest.mark.parametrize(
    ("program", "runtime"),
    [
        ("usr/bin/podman-hpc", "podman-hpc"),
        ("opt/sarus/default/bin/sarus", "sarus"),
        ("usr/bin/uenv", "uenv"),
        ("usr/bin/ch-run", "charliecloud"),
        ("usr/bin/shifter", "shifter"),
    ],
)
def test_runtimes_of_hpc_sites_are_found(tmp_path: Path, program: str, runtime: str) -> None:
    root = node(tmp_path, {program: ""})
    assert container.read(root).values == {"runtimes": []}
    (tmp_path / program).chmod(0o755)
    facts = container.read(root).values
    assert facts == {"runtimes": [runtime]}
    view = View({"container": facts}, {})
    asked = f"container={runtime}, container={Path(program).name}, !container=docker"
    assert [one.status for one in evaluate(parse(asked), view)] == ["pass"] * 3


def test_module_names(tmp_path: Path) -> None:
    root = node(
        tmp_path,
        {
            "m/cuda/12.4.lua": "",
            "m/cuda/.version": "",
            "m/cuda/11.8": "#%Module",
            "m/compiler/gcc/13.2": "",
            "m/mpi/default": "#%Module1.0\n",
            "m/mpi/README": "text",
            "m/solo.lua": "",
        },
    )
    (tmp_path / "m/loop").symlink_to("/m")
    (tmp_path / "m/cuda/up").symlink_to("..")
    answer = modules.read(root, ("/m", "/gone"))
    assert answer.values["names"] == ["compiler/gcc/13.2", "cuda/11.8", "cuda/12.4", "mpi/default", "solo"]


def test_modules_in_no_known_place_are_unknown(tmp_path: Path) -> None:
    root = Root(str(tmp_path), live=False)
    assert modules.read(root, ("/sw/modules",)).unknown == {
        "": "no directory /sw/modules (policy [facts] module_paths)"
    }
    assert "module_paths" in modules.read(root, ()).unknown[""]
