"""Subject ``install``: what stands around the driver, read from roots made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from preflight.facts.install import read
from preflight.facts.rootfs import Root

RELEASE = "5.15.0-91-generic"


def put(root: Path, path: str, text: str = "") -> None:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


def told(root: Path, live: bool = False, release: str | None = RELEASE) -> dict[str, object]:
    return read(Root(str(root), live), release).values


def test_an_empty_root_has_nothing_and_says_so(tmp_path: Path) -> None:
    answer = read(Root(str(tmp_path), False), RELEASE)
    assert answer.values == {
        "kernels": [],
        "dkms": False,
        "reboot": [],
        "cdi": [],
        "libraries": [],
        "headers": False,
        "fabric_manager": None,
    }
    assert set(answer.unknown) == {"module", "nvswitch", "secure_boot", "lockdown"}


def test_kernels_headers_and_a_reboot_that_is_due(tmp_path: Path) -> None:
    for name in (RELEASE, "5.15.0-105-generic", "half-removed"):
        (tmp_path / "lib/modules" / name).mkdir(parents=True)
    for name in (RELEASE, "5.15.0-105-generic"):
        put(tmp_path, f"/lib/modules/{name}/modules.dep")
    put(tmp_path, f"/usr/src/linux-headers-{RELEASE}/Makefile")
    (tmp_path / f"lib/modules/{RELEASE}/build").symlink_to(f"/usr/src/linux-headers-{RELEASE}")
    put(tmp_path, "/run/reboot-required")
    put(tmp_path, "/run/reboot-required.pkgs", "linux-image-5.15.0-105-generic\nlibc6\nlibc6\n")
    (tmp_path / "var/lib/dkms/nvidia").mkdir(parents=True)
    found = told(tmp_path)
    assert found["kernels"] == ["5.15.0-105-generic", RELEASE]
    assert found["headers"] is True
    assert found["dkms"] is True
    assert found["reboot"] == ["libc6", "linux-image-5.15.0-105-generic"]
    assert "headers" not in told(tmp_path, release=None)


@pytest.mark.parametrize(
    ("tree", "built"),
    [
        ("nvidia-current/535.183.01", True),  # Debian
        ("nvidia-current-open/550.163.01", True),
        ("nvidia-tesla-470/470.256.02", True),
        ("nvidia-legacy-390xx/390.157", True),
        ("nvidia-srv/525.147.05", True),  # Ubuntu's server branches
        ("nvidia-open", True),
        ("nvidia-of-next-year/610.43.02", True),  # whatever its name, its version is a driver's
        ("nvidia-fs/2.24.2", False),  # GPUDirect Storage
        ("nvidia_peer_memory/1.3", False),
        ("gdrdrv/2.4", False),
        ("zfs/2.2.2", False),
    ],
)
def test_dkms_builds_the_driver_under_many_names(tmp_path: Path, tree: str, built: bool) -> None:
    (tmp_path / "var/lib/dkms" / tree).mkdir(parents=True)
    assert told(tmp_path)["dkms"] is built


def test_a_link_to_headers_that_were_removed_is_no_headers(tmp_path: Path) -> None:
    (tmp_path / f"lib/modules/{RELEASE}").mkdir(parents=True)
    (tmp_path / f"lib/modules/{RELEASE}/build").symlink_to("/usr/src/gone")
    assert told(tmp_path)["headers"] is False


def test_cdi_specifications_and_the_driver_they_were_made_for(tmp_path: Path) -> None:
    mount = "hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.535.183.01\n"
    put(tmp_path, "/etc/cdi/nvidia.yaml", f"kind: nvidia.com/gpu\n{mount}")
    put(tmp_path, "/var/run/cdi/other.json", '{"kind": "vendor.com/nic"}')
    put(tmp_path, "/var/run/cdi/nvidia-empty.json", '{"kind": "nvidia.com/gpu"}')
    assert told(tmp_path)["cdi"] == [
        {"path": "/etc/cdi/nvidia.yaml", "driver": "535.183.01"},
        {"path": "/var/run/cdi/nvidia-empty.json", "driver": None},
    ]


def test_libraries_empty_dangling_and_sound(tmp_path: Path) -> None:
    place = tmp_path / "usr/lib/x86_64-linux-gnu"
    put(tmp_path, "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15", "elf")
    (place / "libcuda.so.1").symlink_to("libcuda.so.550.54.15")
    (place / "libnvidia-ml.so.1").symlink_to("libnvidia-ml.so.535.1")
    put(tmp_path, "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.54.15")
    found = {one["path"].rsplit("/", 1)[1]: (one["version"], one["problem"]) for one in told(tmp_path)["libraries"]}
    assert found == {
        "libcuda.so.1": ("550.54.15", None),
        "libcuda.so.550.54.15": ("550.54.15", None),
        "libnvidia-ml.so.1": (None, "dangling"),
        "libnvidia-ml.so.550.54.15": ("550.54.15", "empty"),
    }


@pytest.mark.parametrize(
    ("words", "flavour"),
    [("NVIDIA UNIX x86_64 Kernel Module", "proprietary"), ("NVIDIA UNIX Open Kernel Module for x86_64", "open")],
)
def test_the_flavour_of_the_loaded_module(tmp_path: Path, words: str, flavour: str) -> None:
    put(tmp_path, "/proc/driver/nvidia/version", f"NVRM version: {words}  550.54.15  Tue\n")
    assert told(tmp_path)["module"] == flavour


def test_the_fabric_manager_by_its_package(tmp_path: Path) -> None:
    status = (
        "Package: bash\nVersion: 5.2-1\n\nPackage: nvidia-fabricmanager-550\nStatus: install ok\nVersion: 550.54.15-1\n"
    )
    put(tmp_path, "/var/lib/dpkg/status", status)
    assert told(tmp_path)["fabric_manager"] == "550.54.15"


def test_a_fabric_manager_of_unknown_version_is_unknown(tmp_path: Path) -> None:
    put(tmp_path, "/usr/bin/nv-fabricmanager", "elf")
    answer = read(Root(str(tmp_path), False), RELEASE)
    assert "fabric_manager" not in answer.values
    assert "no file" in answer.unknown["fabric_manager"]


def test_nvswitches_on_the_bus(tmp_path: Path) -> None:
    for name, kind in (("0000:01:00.0", "0x030200"), ("0000:05:00.0", "0x068000")):
        put(tmp_path, f"/sys/bus/pci/devices/{name}/vendor", "0x10de\n")
        put(tmp_path, f"/sys/bus/pci/devices/{name}/class", f"{kind}\n")
    assert told(tmp_path)["nvswitch"] is True
    put(tmp_path, "/sys/bus/pci/devices/0000:05:00.0/class", "0x030200\n")
    assert told(tmp_path)["nvswitch"] is False


def test_locks_of_the_boot(tmp_path: Path) -> None:
    efi = tmp_path / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    efi.parent.mkdir(parents=True)
    efi.write_bytes(b"\x06\0\0\0\x01")
    put(tmp_path, "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    found = told(tmp_path, live=True)
    assert (found["secure_boot"], found["lockdown"]) == (True, "integrity")
    efi.write_bytes(b"\x06\0\0\0\0")
    assert told(tmp_path, live=True)["secure_boot"] is False
