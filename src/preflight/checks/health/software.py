"""What is installed around the driver, and does it fit the one that runs: kernels, libraries, CDI, fabric, boot locks.

Health check only. A running kernel that is older than an installed one is compared within its own flavour
("-generic", ".el9.x86_64"); Debian's and RHEL's numbering is not upstream's.
"""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.digits import is_whole
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

HEALTH = ("health",)


KERNEL = "reboot into the newest installed kernel"


@check(
    "kernel.newest",
    reads=("kernel", "install"),
    phases=HEALTH,
    action="warn",
    remedy=KERNEL,
    subject="kernel",
    blame="site",
)
def kernel_newest(context: Context, limit: float | None) -> Iterator[Finding]:
    """The running kernel is the newest one installed, of its own flavour."""
    release, kernels = context.node.get("kernel.release"), context.node.get("install.kernels")
    unclear = first_unknown(release, kernels)
    if unclear:
        yield untold(unclear)
        return
    numbers, flavour = split_release(release)
    newer = [one for one in kernels if split_release(one)[1] == flavour and split_release(one)[0] > numbers]
    if newer:
        newest = max(newer, key=lambda one: split_release(one)[0])
        text = f"kernel {release} runs, {newest} is installed"
        yield failed(text, observed=release)
    elif release not in kernels and kernels:
        text = f"kernel {release} runs and is not installed any more"
        yield failed(text, observed=release)
    else:
        yield passed(f"kernel {release} is the newest installed", observed=release)


def split_release(release: str) -> tuple[tuple[int, ...], str]:
    """Return a kernel release's numbers and its flavour: "5.14.0-427.el9.x86_64" gives (5, 14, 0, 427), "el.x86_64"."""
    numbers: list[int] = []
    words: list[str] = []
    for part in release.replace("-", ".").replace("+", ".").split("."):
        if is_whole(part) and not words:
            numbers.append(int(part))
        else:
            words.append(part.rstrip("0123456789_") if part.startswith(("el", "fc", "amzn")) else part)
    return tuple(numbers), ".".join(word for word in words if not is_whole(word))


REBOOT = "reboot the node when it is idle (scontrol reboot ASAP nextstate=RESUME)"


@check(
    "reboot.pending", reads=("install",), phases=HEALTH, action="warn", remedy=REBOOT, subject="reboot", blame="site"
)
def reboot_pending(context: Context, limit: float | None) -> Iterator[Finding]:
    """No package asks for a reboot."""
    packages = context.node.get("install.reboot")
    unclear = first_unknown(packages)
    if unclear:
        yield untold(unclear)
    elif packages:
        text = f"a reboot is due for {', '.join(packages[:4])}" + (" and others" if len(packages) > 4 else "")
        yield failed(text, observed=len(packages))
    else:
        yield passed("no reboot is due")


LIBRARIES = "install the driver's user-space libraries again, of the loaded driver's version"


@check(
    "driver.libraries",
    reads=("install", "driver"),
    phases=HEALTH,
    action="warn",
    remedy=LIBRARIES,
    subject="libraries",
    blame="site",
)
def driver_libraries(context: Context, limit: float | None) -> Iterator[Finding]:
    """libcuda and libnvidia-ml are no empty or dangling files, and of the loaded driver's version."""
    libraries, module = context.node.get("install.libraries"), context.node.get("driver.module")
    unclear = first_unknown(libraries)
    if unclear:
        yield untold(unclear)
        return
    wrong = [f"{one['path']} is {one['problem']}" for one in libraries if one["problem"]]
    if isinstance(module, str):
        ends = (".so", ".so.1")  # what a program opens; an older file beside it harms nobody
        opened = [one for one in libraries if one["path"].endswith(ends) and one["version"]]
        wrong += [
            f"{one['path']} is of {one['version']}, driver {module} is loaded"
            for one in opened
            if one["version"] != module
        ]
    for text in wrong:
        yield failed(text)
    if not wrong:
        made = passed if libraries else skipped
        yield made(f"{len(libraries)} driver libraries are sound")


CDI = "write it again: nvidia-ctk cdi generate --output=PATH"


@check("cdi.stale", reads=("install", "driver"), phases=HEALTH, action="warn", remedy=CDI, subject="cdi", blame="site")
def cdi_stale(context: Context, limit: float | None) -> Iterator[Finding]:
    """CDI specifications were written for the driver that is loaded."""
    specs, module = context.node.get("install.cdi"), context.node.get("driver.module")
    unclear = first_unknown(specs, module)
    if unclear:
        yield untold(unclear)
        return
    if not specs or module is None:
        yield skipped("no CDI specification, or no driver to compare with")
    for one in specs if module else []:
        if one["driver"] is None:
            yield untold(f"{one['path']} names no driver version")
        elif one["driver"] != module:
            text = f"{one['path']} was written for driver {one['driver']}, {module} is loaded"
            yield failed(text, observed=one["driver"])
        else:
            yield passed(f"{one['path']} is of driver {module}", observed=module)


FABRIC = "install nvidia-fabricmanager of the driver's version and restart it (else CUDA error 802)"


@check(
    "fabric.version",
    reads=("install", "driver", "gpus"),
    phases=HEALTH,
    action="warn",
    remedy=FABRIC,
    subject="fabric",
    blame="site",
)
def fabric_version(context: Context, limit: float | None) -> Iterator[Finding]:
    """On a node with NVSwitches the fabric manager is exactly of the driver's version.

    HGX B200's NVSwitches are no PCI devices of NVIDIA's: there the GPUs' own fabric state says that there are some. A
    fabric whose manager is on another machine (GB200 NVL72's switch trays, a service VM) is no fault.
    """
    switches, manager = context.node.get("install.nvswitch"), context.node.get("install.fabric_manager")
    module, states = context.node.get("driver.module"), _fabric_states(context)
    some = switches is True or bool(states)
    unclear = first_unknown(manager if some else switches)
    if unclear:
        yield untold(unclear)
    elif not some or not isinstance(module, str):
        yield skipped("no NVSwitch on this node, or no driver loaded")
    elif manager is None and not switches and states == {3}:
        yield skipped("the fabric is managed from elsewhere")
    elif manager is None:
        yield failed("NVSwitches and no fabric manager is installed")
    elif manager != module:
        yield failed(f"fabric manager {manager}, driver {module}", observed=manager)
    else:
        yield passed(f"fabric manager is of driver {module}", observed=manager)


def _fabric_states(context: Context) -> set[int]:
    """Return the states of GPUs that are in a fabric, or should be (1 not started, 2 in progress, 3 completed)."""
    devices = context.node.devices()
    return (
        set() if isinstance(devices, Unknown) else {one["fabric_state"] for one in devices if one.get("fabric_state")}
    )


FLAVOUR = "install the other kernel module package of the same driver version"


@check(
    "driver.flavour",
    reads=("install", "driver", "gpus"),
    phases=HEALTH,
    action="warn",
    remedy=FLAVOUR,
    subject="driver",
    blame="site",
)
def driver_flavour(context: Context, limit: float | None) -> Iterator[Finding]:
    """The kernel module, open or proprietary, is one that the node's GPUs take."""
    loaded, devices = context.node.get("install.module"), context.node.devices()
    unclear = first_unknown(loaded, devices)
    if unclear or isinstance(devices, Unknown):
        yield untold(unclear or "")
        return
    if loaded is None:
        yield skipped("no NVIDIA module is loaded")
        return
    from preflight.catalog.gpus import look_up
    from preflight.catalog.module import flavour

    tables, version = context.policy.tables(), context.node.get("driver.module")
    names = {str(device["name"]): device.get("compute_capability") for device in devices if device.get("name")}
    for name, capability in sorted(names.items()):
        gpu = look_up(name, capability, tables)
        found = flavour(gpu, version if isinstance(version, str) else None, tables)
        bad = (found.open, loaded) in (("required", "proprietary"), ("proprietary_only", "open"))
        text, subject = f"the {loaded} module is loaded: {found.why}", name.replace(":", " ")
        if bad:
            yield failed(text, subject=subject, observed=loaded, remedy=found.needs)
        else:
            made = untold if found.open == "unknown" else passed
            yield made(text, subject=subject, observed=loaded)


LOCKS = "sign the module (mokutil --import the key that DKMS made), or turn Secure Boot off"


@check(
    "boot.locks", reads=("install", "driver"), phases=HEALTH, action="warn", remedy=LOCKS, subject="boot", blame="site"
)
def boot_locks(context: Context, limit: float | None) -> Iterator[Finding]:
    """Neither Secure Boot nor kernel lockdown keeps the NVIDIA module from loading."""
    secure, lockdown = context.node.get("install.secure_boot"), context.node.get("install.lockdown")
    unclear = first_unknown(secure, lockdown)
    if unclear:
        yield untold(unclear)
        return
    locked = [
        name for name, on in (("Secure Boot", secure), (f"lockdown={lockdown}", lockdown not in (None, "none"))) if on
    ]
    missing = context.node.get("driver.nvml") == "DriverNotLoaded" and bool(
        context.node.facts["install"].get("libraries")
    )
    if locked and missing:
        text = f"the driver is installed and not loaded, and {' and '.join(locked)} refuse unsigned modules"
        yield failed(text, observed=", ".join(locked))
    else:
        yield passed("nothing keeps the module from loading", observed=", ".join(locked) or None)


HEADERS = "install the running kernel's headers, else DKMS builds no module after the next driver update"


@check(
    "kernel.headers",
    reads=("install", "kernel"),
    phases=HEALTH,
    action="warn",
    remedy=HEADERS,
    subject="headers",
    blame="site",
)
def kernel_headers(context: Context, limit: float | None) -> Iterator[Finding]:
    """Where DKMS builds the NVIDIA module, the running kernel's headers are there."""
    dkms: Any = context.node.get("install.dkms")
    headers: Any = context.node.get("install.headers")
    unclear = first_unknown(dkms, headers if dkms else None)
    if unclear:
        yield untold(unclear)
    elif not dkms:
        yield skipped("the module is not built by DKMS here")
    elif headers:
        yield passed("the running kernel's headers are there")
    else:
        text = f"no headers for kernel {context.node.get('kernel.release')}"
        yield failed(text)
