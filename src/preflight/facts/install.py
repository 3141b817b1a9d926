"""What is installed around the GPU driver: kernels, headers, libraries, CDI specifications, fabric manager, boot locks.

Where each is read, and the pitfalls: Debian and Ubuntu's /run/reboot-required; /lib/modules for installed kernels;
NVIDIA's driver libraries carry the driver's version in their names; the fabric manager must be of the driver's version.
"""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

MODULES = "/lib/modules"
DKMS = "/var/lib/dkms"
DKMS_NAME = r"nvidia(?:[-_](?:current|open|srv|server|tesla|legacy|kernel|dkms|\d+(?:xx)?))*"
CDI_PLACES = ("/etc/cdi", "/var/run/cdi")
CDI_ENDINGS = (".yaml", ".yml", ".json")
LIBRARY_PLACES = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/lib/wsl/lib",
)
LIBRARIES = ("libcuda.so", "libnvidia-ml.so")
REBOOT = ("/run/reboot-required", "/var/run/reboot-required")
DPKG_STATUS = "/var/lib/dpkg/status"
DPKG_LIMIT = 64 << 20
FABRIC_PROGRAMS = ("/usr/bin/nv-fabricmanager", "/opt/nvidia/bin/nv-fabricmanager")
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
DRIVER = "/proc/driver/nvidia/version"
LOCKDOWN = "/sys/kernel/security/lockdown"
PCI = "/sys/bus/pci/devices"
VERSION = r"\d{3}\.\d+(?:\.\d+)?"


@fact(
    "install",
    keys={
        "kernels": "texts: releases that are installed",
        "headers": "flag: the running kernel's are there",
        "dkms": "flag: DKMS builds the NVIDIA module, under whatever name",
        "reboot": "texts: packages that ask for one",
        "cdi": [{"path": "text", "driver": "text?"}],
        "libraries": [{"path": "text: libcuda, libnvidia-ml", "version": "text?", "problem": "text?: empty, dangling"}],
        "nvswitch": "flag",
        "fabric_manager": "text?: its version",
        "secure_boot": "flag?: null without EFI",
        "lockdown": "text?: none, integrity, confidentiality",
        "module": "text?: the loaded one: open or proprietary",
    },
    child=FILES,
    budget_s=8,
)
def read_running(root: Root) -> Answer:
    """What is installed around the GPU driver."""
    from preflight.facts import kernel

    return read(root, kernel.read(root).values.get("release"))


def read(root: Root, release: str | None) -> Answer:
    """Return subject ``install``; ``release`` is the running kernel's, None where it could not be told."""
    values: dict[str, Any] = {
        "kernels": _kernels(root),
        "dkms": _dkms(root),
        "reboot": _reboot(root),
        "cdi": _cdi(root),
        "libraries": _libraries(root),
    }
    unknown: dict[str, str] = {}
    if release is None:
        unknown["headers"] = "the running kernel's release is not known"
    else:
        values["headers"] = root.stat(f"{MODULES}/{release}/build") is not None
    _module(root, values, unknown)
    _fabric(root, values, unknown)
    _locks(root, values, unknown)
    return Answer(values, unknown)


def _kernels(root: Root) -> list[str]:
    """Return the releases of installed kernels: a directory of modules that depmod has seen."""
    names = root.names(MODULES) or []
    return [name for name in names if root.is_file(f"{MODULES}/{name}/modules.dep")]


def _dkms(root: Root) -> bool:
    """Return whether DKMS builds the NVIDIA module.

    Its name differs: nvidia (NVIDIA, Ubuntu), nvidia-srv (Ubuntu's server branches), nvidia-current,
    nvidia-current-open, nvidia-tesla-470, nvidia-legacy-390xx (Debian). nvidia-fs, nvidia_peer_memory and their like
    are other modules, with version numbers of their own.
    """
    import re

    def builds(name: str) -> bool:
        versions = root.names(f"{DKMS}/{name}") if name.startswith("nvidia") else None
        if versions is None:
            return False
        return bool(re.fullmatch(DKMS_NAME, name)) or any(re.fullmatch(VERSION, one) for one in versions)

    return any(builds(name) for name in root.names(DKMS) or [])


def _reboot(root: Root) -> list[str]:
    """Return the packages that ask for a reboot, ["unnamed"] where none is named; [] where nothing asks."""
    for path in REBOOT:
        if root.is_file(path):
            named = (root.read_text(f"{path}.pkgs") or "").split()
            return sorted(set(named)) or ["unnamed"]
    return []


def _cdi(root: Root) -> list[dict[str, Any]]:
    """Return [{path, driver}] of the CDI specifications that name NVIDIA's driver; driver None where none is named."""
    import re

    found = []
    for place in CDI_PLACES:
        for name in root.names(place) or []:
            if not name.endswith(CDI_ENDINGS):
                continue
            text = root.read_text(f"{place}/{name}") or ""
            if "nvidia" in text:
                version = re.search(rf"libcuda\.so\.({VERSION})", text)
                found.append({"path": f"{place}/{name}", "driver": version[1] if version else None})
    return found


def _libraries(root: Root) -> list[dict[str, Any]]:
    """Return [{path, version, problem}] of the driver's libraries; problem is "empty", "dangling" or None."""
    import re

    found = []
    for place in LIBRARY_PLACES:
        for name in root.names(place) or []:
            if not name.startswith(LIBRARIES):
                continue
            path = f"{place}/{name}"
            info = root.stat(path)
            real = root.resolve(path) or path
            version = re.search(rf"\.so\.({VERSION})$", real)
            problem = "dangling" if info is None else "empty" if info.st_size == 0 else None
            found.append({"path": path, "version": version[1] if version else None, "problem": problem})
    return found


def _module(root: Root, values: dict[str, Any], unknown: dict[str, str]) -> None:
    """Tell whether the loaded kernel module is NVIDIA's open one; None where none is loaded."""
    text = root.live_read(DRIVER, 65536)
    if text is None and not root.live:
        unknown["module"] = NOT_LIVE
    else:
        values["module"] = None if text is None else "open" if "Open Kernel Module" in text else "proprietary"


def _fabric(root: Root, values: dict[str, Any], unknown: dict[str, str]) -> None:
    """Tell the fabric manager's version (None: not installed) and whether the node has NVSwitches."""
    import re

    holder = root.holder(PCI)
    if holder is None:
        unknown["nvswitch"] = NOT_LIVE
    else:
        values["nvswitch"] = any(_is_switch(holder, name) for name in holder.names(PCI) or [])
    status = root.read_text(DPKG_STATUS, DPKG_LIMIT) or ""
    package = re.search(
        rf"^Package: nvidia-fabricmanager\S*\n(?:[^\n]+\n)*?Version: (?:\d+:)?({VERSION})", status, re.M
    )
    if package:
        values["fabric_manager"] = package[1]
    elif any(root.is_file(path) for path in FABRIC_PROGRAMS):
        unknown["fabric_manager"] = "installed, and its version stands in no file that can be read"
    else:
        values["fabric_manager"] = None


def _is_switch(holder: Root, name: str) -> bool:
    """Return whether a PCI device is an NVSwitch: NVIDIA's (10de), class 0680, a bridge of another kind."""
    if (holder.read_text(f"{PCI}/{name}/vendor", 64) or "").strip() != "0x10de":
        return False
    return (holder.read_text(f"{PCI}/{name}/class", 64) or "").startswith("0x0680")


def _locks(root: Root, values: dict[str, Any], unknown: dict[str, str]) -> None:
    """Tell secure_boot (None: no EFI) and lockdown ("none", "integrity", "confidentiality"; None: not built in)."""
    if not root.live:
        unknown.update(secure_boot=NOT_LIVE, lockdown=NOT_LIVE)
        return
    holder = root.holder(SECURE_BOOT)
    data = holder.read(SECURE_BOOT, 64) if holder else None
    values["secure_boot"] = bool(data[-1]) if data else None
    text = root.live_read(LOCKDOWN, 256) or ""
    chosen = text.partition("[")[2].partition("]")[0]
    values["lockdown"] = chosen or None
