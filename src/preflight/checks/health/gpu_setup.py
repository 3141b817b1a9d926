"""How GPUs are set up: for Slurm, for compute, with which firmware; and what was left in their memory."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check, gpu_check, of_gpu, subject_of, together
from preflight.facts.view import Unknown, attribute

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

LATER = ("epilog", "health")
UNUSED = "add them to gres.conf and to the node's Gres= in slurm.conf, or leave them out on purpose (action = off)"


@check(
    "gpu.configured",
    reads=("gpus",),
    phases=("health",),
    action="warn",
    remedy=UNUSED,
    device=True,
    blame="site",
    source="gres.conf",
)
def configured(context: Context, limit: float | None) -> Iterator[Finding]:
    """Slurm's configuration gives the node all GPUs that NVML has."""
    devices, expected = context.node.devices(), context.expected
    if context.gpus is not None or isinstance(devices, Unknown):
        return
    there = sum(len(device.get("mig_devices") or ()) or 1 for device in devices)
    if not expected.total or expected.problem:
        yield skipped("Slurm's configuration gives this node no GPU that could be counted")
    elif there > expected.total:
        text = f"NVML has {there} GPUs, Slurm's configuration gives the node {expected.total}"
        yield failed(text, observed=there, expected=str(expected.total))
    else:
        yield passed(f"Slurm's configuration has all {there} GPUs", observed=there)


PERSISTENCE = "run nvidia-persistenced: without it each first call wakes the GPU, and settings are lost"


@gpu_check("gpu.persistence", "persistence", phases=LATER, action="warn", blame="site", remedy=PERSISTENCE)
def persistence(on: bool, limit: float | None) -> Finding | None:
    """Persistence mode is on."""
    return None if on else failed("persistence mode is off", observed="off", expected="on")


PROHIBITED = 2
COMPUTE = "nvidia-smi -c DEFAULT (or EXCLUSIVE_PROCESS)"


@gpu_check("gpu.compute_mode", "compute_mode", phases=LATER, blame="site", remedy=COMPUTE)
def compute_mode(mode: int, limit: float | None) -> Finding | None:
    """No GPU's compute mode is "prohibited", in which no CUDA program starts."""
    return failed("compute mode is prohibited: no CUDA program starts", observed=mode) if mode == PROHIBITED else None


ACCOUNTING = "nvidia-smi -am 1 or 0, as the limit says"


@gpu_check("gpu.accounting", "accounting", phases=("health",), action="warn", blame="site", remedy=ACCOUNTING)
def accounting(on: bool, limit: float | None) -> Finding | None:
    """Accounting mode is as the policy's limit wants it: 1 on, 0 off."""
    if limit is None:
        return skipped("the policy wants neither")
    if on == bool(limit):
        return None
    return failed(f"accounting mode is {'on' if on else 'off'}", observed=int(on), expected=f"{limit:g}")


LAYOUT = "make the MIG devices (nvidia-smi mig -cgi … -C) or turn MIG off"


@check("gpu.mig.devices", reads=("gpus",), phases=LATER, action="warn", remedy=LAYOUT, device=True, blame="site")
def mig_devices(context: Context, limit: float | None) -> Iterable[Finding]:
    """A GPU with MIG on has MIG devices: without one nothing can run on it."""
    found = []
    for device in _answering(context):
        if not device.get("mig"):
            found.append(of_gpu(device, skipped("MIG is off")))
        elif device.get("mig_devices") is None:
            found.append(of_gpu(device, untold("its MIG devices could not be read")))
        elif device["mig_devices"]:
            found.append(of_gpu(device, passed(f"{len(device['mig_devices'])} MIG devices")))
        else:
            found.append(of_gpu(device, failed("MIG is on and there is no MIG device")))
    return together(found)


ECC_OFF = "nvidia-smi -e 1, then reset the GPU or reboot; a site that wants it so: action = off"


@check("gpu.ecc.off", reads=("gpus",), phases=("health",), action="warn", remedy=ECC_OFF, device=True, blame="site")
def ecc_off(context: Context, limit: float | None) -> Iterable[Finding]:
    """No GPU of a data center has ECC off; on workstation boards that is the default."""
    from preflight.catalog.gpus import look_up

    found = []
    for device in _answering(context):
        now = attribute(device, "ecc")
        kind = look_up(str(device.get("name") or ""), device.get("compute_capability"), context.policy.tables()).kind
        if now is None or kind not in ("datacenter", "superchip"):
            found.append(of_gpu(device, skipped(f"{subject_of(device)} has no ECC that is on by default")))
        elif isinstance(now, Unknown):
            found.append(of_gpu(device, untold(f"{subject_of(device)} does not report this: {now.reason}")))
        elif now:
            found.append(of_gpu(device, passed("ECC is on", observed="on")))
        else:
            found.append(of_gpu(device, failed("ECC is off: memory errors stay unseen", observed="off", expected="on")))
    return together(found)


INFOROM = "drain and reset the GPU; hardware service if it stays"


@gpu_check("gpu.inforom", "inforom_valid", phases=LATER, remedy=INFOROM)
def inforom(valid: bool, limit: float | None) -> Finding | None:
    """The board's InfoROM is not corrupt."""
    return None if valid else failed("the InfoROM is corrupt", observed="CorruptedInforom")


ALIKE = "give equal boards equal settings and firmware; look at the one that differs"
SAME = ("vbios", "memory", "ecc", "power_limit", "pcie_width_max", "pcie_generation_max", "nvlink_links")


@check("gpu.alike", reads=("gpus",), phases=("health",), action="warn", remedy=ALIKE, device=True, blame="site")
def alike(context: Context, limit: float | None) -> Iterator[Finding]:
    """GPUs of one model have one VBIOS, memory, ECC mode, power limit and kind of links."""
    models: dict[str, list[dict[str, Any]]] = {}
    for device in _answering(context):
        models.setdefault(str(device.get("name")), []).append(device)
    compared = [equals for equals in models.values() if len(equals) > 1]
    if not compared:
        yield skipped("no two GPUs of one model")
    for equals in compared:
        odd = [f"{key} {text}" for key in SAME if (text := _odd(equals, key))]
        subject = str(equals[0].get("name")).replace(":", " ")
        if odd:
            yield failed(f"not alike: {'; '.join(odd)}", subject=subject)
        else:
            yield passed(f"{len(equals)} GPUs are alike", subject=subject)


def _odd(devices: list[dict[str, Any]], key: str) -> str:
    """Return which GPUs have another value than most ("gpu3 7, others 8"), "" where all that tell have one."""
    values = [(subject_of(device), device[key]) for device in devices if device.get(key) is not None]
    kinds = [value for _, value in values]
    if len({str(kind) for kind in kinds}) < 2:
        return ""
    most = max(kinds, key=kinds.count)
    return f"{', '.join(f'{name} {value}' for name, value in values if value != most)}, others {most}"


GSP = "reload the driver or reboot: the firmware that runs is another release's"


@check("gpu.gsp", reads=("gpus", "driver"), phases=("health",), action="warn", remedy=GSP, device=True, source="nvml")
def gsp(context: Context, limit: float | None) -> Iterable[Finding]:
    """The GPU's system processor runs the driver's own firmware."""
    version = context.node.get("driver.version")
    found = []
    for device in _answering(context):
        firmware = attribute(device, "gsp_firmware") if _asked(device, "gsp_firmware") else None
        if isinstance(firmware, Unknown):
            found.append(of_gpu(device, untold(f"{subject_of(device)} does not report this: {firmware.reason}")))
        elif not isinstance(firmware, str) or not isinstance(version, str):
            found.append(of_gpu(device, skipped("no GSP firmware runs")))
        elif firmware.split()[0] == version:
            found.append(of_gpu(device, passed(f"GSP firmware {firmware}", observed=firmware)))
        else:
            text = f"GSP firmware {firmware}, driver {version}"
            found.append(of_gpu(device, failed(text, observed=firmware, expected=version)))
    return together(found)


BAR1 = "end what holds it; reset the GPU when it is idle"


@gpu_check(
    "gpu.bar1",
    ("bar1_used", "bar1_total"),
    phases=LATER,
    action="warn",
    limit=95,
    unit="% used",
    blame="user",
    remedy=BAR1,
)
def bar1(used: int, total: int, limit: float | None) -> Finding | None:
    """BAR1, the window through which others reach a GPU's memory, is not used up."""
    if not total or used * 100 <= total * (limit or 0):
        return None
    return failed(f"{used * 100 // total} % of BAR1 is used", observed=used, expected=f"<= {limit or 0:g} %")


MIB = 1 << 20
LEFT = "look for processes outside of the job's view (fuser -v /dev/nvidia*); reset the GPU when it is idle"


@gpu_check(
    "gpu.memory.left",
    ("memory_used", "processes", "mig?"),
    phases=LATER,
    action="warn",
    limit=2048,
    unit="MiB",
    blame="user",
    remedy=LEFT,
)
def memory_left(used: int, processes: list[Any], mig: bool | None, limit: float | None) -> Finding | None:
    """No memory beyond the limit is in use on a GPU without a process."""
    if processes or mig or used <= (limit or 0) * MIB:
        return None
    text = f"{used // MIB} MiB are in use and no process is there"
    return failed(text, observed=f"{used // MIB} MiB", expected=f"<= {limit or 0:g} MiB")


EXCLUDED = "the driver was told to leave it alone (NVreg_ExcludedGpus): take it out of slurm.conf, or have it replaced"


@check("gpu.excluded", reads=("gpus",), phases=("health",), action="warn", remedy=EXCLUDED, device=True, blame="site")
def excluded(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver was told to leave no GPU alone."""
    devices = context.node.devices()
    left_alone = (context.node.facts.get("gpus") or {}).get("excluded") or []
    refused = context.node.unknown.get("gpus.excluded")
    if isinstance(devices, Unknown) or not (devices or left_alone):
        yield untold(devices) if isinstance(devices, Unknown) else skipped("no GPU on this node")
    elif refused:
        yield untold(f"the driver does not report which GPUs it leaves alone: {refused}")
    elif left_alone:
        names = ", ".join(str(one.get("bus_id") or "?") for one in left_alone)
        yield failed(f"the driver leaves {len(left_alone)} GPUs alone ({names})", observed=len(left_alone))
    else:
        yield passed("the driver leaves no GPU alone")


CONFIDENTIAL = "set the GPUs ready after attestation (nvidia-smi conf-compute -srs 1)"


@check(
    "gpu.confidential", reads=("driver",), phases=LATER, remedy=CONFIDENTIAL, device=True, blame="site", source="nvml"
)
def confidential(context: Context, limit: float | None) -> Iterator[Finding]:
    """Where confidential computing is on, the GPUs take work."""
    driver = context.node.facts.get("driver") or {}
    refused = context.node.unknown.get("driver.confidential")
    if refused and _may_be_confidential(context):
        yield untold(f"the driver does not report on confidential computing: {refused}")
    elif not driver.get("confidential"):
        yield skipped("confidential computing is off")
    elif driver.get("confidential_ready"):
        yield passed("confidential computing is on and ready")
    else:
        yield failed("confidential computing is on and not ready: GPUs take no work", observed="not ready")


AMPERE = 8.0  # the first generation that nvml.h names for it


def _may_be_confidential(context: Context) -> bool:
    """Return whether one of the GPUs is of a generation that has confidential computing."""
    told = [str(device.get("compute_capability") or "0") for device in _answering(context)]
    return any(text.replace(".", "", 1).isdigit() and float(text) >= AMPERE for text in told if text.isascii())


def _answering(context: Context) -> list[dict[str, Any]]:
    devices = context.node.devices()
    return [] if isinstance(devices, Unknown) else [device for device in devices if "error" not in device]


def _asked(device: dict[str, Any], key: str) -> bool:
    return key in device or key in device.get("errors", {})
