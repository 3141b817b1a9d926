"""The NVIDIA driver: loaded, of one version, answering; and CUDA, which may not start though NVML answers."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold, warned
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING = ("DriverNotLoaded", "LibraryNotFound")
MISMATCH = "LibRmVersionMismatch"
HUNG, LATE = "Timeout", "Late"
# What nvmlInit answers where the driver or a GPU is broken; another answer may be a fault of ours.
BROKEN = ("NoPermission", "Unknown", "IrqIssue", "InsufficientPower", "GpuIsLost", "GpuNotFound", "ResetRequired")


def _gpus_here(context: Context) -> bool:
    """Return whether this node should have a driver: Slurm or the PCI bus says that it has GPUs."""
    asked = context.gpus is not None and context.gpus.some
    on_the_bus = any(name.split(".")[0] == "gpus" for name in context.node.unknown)  # asked for, and not zero
    return asked or context.expected.total > 0 or on_the_bus


LOADED = "load the NVIDIA driver (modprobe nvidia), or install it; see dmesg for why it is not there"


@check("driver.loaded", reads=("driver",), remedy=LOADED, device=True, subject="driver", source="nvml")
def loaded(context: Context, limit: float | None) -> Iterator[Finding]:
    """The NVIDIA driver and its library are there, where the node has GPUs."""
    state = context.node.get("driver.nvml")
    if isinstance(state, Unknown):
        yield untold(f"could not ask NVML: {state.reason}", observed=state)
    elif state in MISSING and not _gpus_here(context):
        yield skipped("no NVIDIA GPU on this node", observed=state)
    elif state in MISSING:
        what = "driver is not loaded" if state == MISSING[0] else "library libnvidia-ml.so.1 is missing"
        yield failed(f"NVIDIA {what} on a node with GPUs", observed=state)
    elif state == "ok" or state in (MISMATCH, HUNG, LATE):
        yield passed("driver is loaded", observed=context.node.get("driver.module"))
    elif state in BROKEN:
        yield failed(f"NVML does not start: {state}", observed=state)
    else:
        yield untold(f"NVML could not be asked: {state}", observed=state)


MATCH = "reboot, or unload and load the nvidia modules, so that the loaded driver is the installed one"


@check("driver.match", reads=("driver",), remedy=MATCH, device=True, subject="driver", source="nvml")
def match(context: Context, limit: float | None) -> Iterator[Finding]:
    """The loaded kernel module and the driver's library are of one version."""
    state, module = context.node.get("driver.nvml"), context.node.get("driver.module")
    version = context.node.get("driver.version")
    if state == MISMATCH:
        yield failed("driver and library versions differ (NVML: mismatch)", observed=module)
    elif isinstance(module, str) and isinstance(version, str) and module != version:
        text = f"loaded driver {module}, library {version}"
        yield failed(text, observed=module)
    elif state == "ok":
        yield passed("driver and library are of one version", observed=version)
    else:
        yield skipped("no driver answers that could be compared", observed=state)


RESPONDS = "the GPU driver hangs: look for Xids in dmesg, then reboot the node"
STARTS = "keep the GPUs awake: run nvidia-persistenced (nvidia-smi -pm 1); look at dmesg if it does"


@check("driver.responds", reads=("driver",), remedy=RESPONDS, device=True, subject="driver", source="nvml")
def responds(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver answers, or is only slow: hung is what is stuck in the same call in two runs, or in state D."""
    state = context.node.get("driver.nvml")
    hung = context.node.unknown.get("gpus") or context.node.unknown.get("driver.version") or "NVML did not answer"
    if state == HUNG:
        yield failed(hung, observed=state)
    elif state == LATE:
        text = f"{hung}; it may only be slow: a fault if the next run finds it in the same call"
        yield warned(text, observed=state, remedy=STARTS)
    elif state == "ok":
        yield passed("the driver answers", observed=state)
    else:
        yield skipped("no driver to ask", observed=state)


@check(
    "driver.slow",
    reads=("driver",),
    action="warn",
    limit=3,
    unit="s",
    remedy=STARTS,
    device=True,
    subject="driver",
    source="nvml",
)
def slow(context: Context, limit: float | None) -> Iterator[Finding]:
    """Asking NVML for all there is takes no longer than the limit; without persistence the driver wakes each GPU."""
    state = context.node.get("driver.nvml")
    took = context.node.facts.get("driver", {}).get("slow")
    if state != "ok" and not took:
        yield skipped("no driver answers that could be timed", observed=state)
    elif took and took["took_s"] > (limit or 0):
        text = f"NVML took {took['took_s']:.1f} s, {took['call_s']:.1f} s of it in {took['call']}"
        yield failed(text, observed=f"{took['took_s']:.1f} s")
    else:
        yield passed("NVML answers in time", observed="ok")


START = "look at dmesg, nvidia_uvm (modprobe nvidia_uvm), nvidia-fabricmanager on NVSwitch systems; reboot the node"
# What says for certain that no CUDA program runs here; another answer may be a fault of ours.
CERTAIN = {
    "SystemNotReady": "the NVSwitch fabric is not ready",
    "SystemDriverMismatch": "libcuda and the loaded driver differ",
    "NoDevice": "it shows no GPU",
    "DeviceUnavailable": "a GPU is held by something else",
    "Unknown": "for a reason that it does not tell",
}


@check("cuda.start", reads=("cuda", "gpus"), remedy=START, device=True, subject="cuda", source="cuInit")
def start(context: Context, limit: float | None) -> Iterator[Finding]:
    """CUDA starts (cuInit). A prolog takes the answer of the last epilog or health check, no older than an hour."""
    result, devices = context.node.get("cuda.result"), context.node.devices()
    if isinstance(devices, Unknown) or not any("error" not in device for device in devices):
        yield skipped("no GPU that answers")
    elif isinstance(result, Unknown) and context.phase == "prolog":
        yield skipped(f"not asked in a prolog: {result.reason}")
    elif isinstance(result, Unknown):
        yield untold(result)
    elif result == "LibraryNotFound":
        yield skipped("libcuda.so.1 is not on the loader's path", observed=result)
    elif result == "ok":
        yield passed(f"CUDA starts{_age(context)}", observed=result)
    elif result in CERTAIN and not _wanted(context, devices):
        yield failed(f"CUDA does not start ({result}): {CERTAIN[result]}{_age(context)}", observed=result)
    else:
        yield untold(f"CUDA did not start ({result}){_age(context)}", observed=result)


def _wanted(context: Context, devices: list[dict[str, object]]) -> bool:
    """Return whether the GPUs are so on purpose: MIG without devices, compute mode prohibited or exclusive."""
    return all(
        device.get("compute_mode") in (2, 3) or (device.get("mig") and not device.get("mig_devices"))
        for device in devices
    )


def _age(context: Context) -> str:
    """Return " (4 minutes ago)" of an answer that an earlier hook got."""
    age = (context.node.facts.get("cuda") or {}).get("age_s")
    return "" if age is None else f" (asked {age // 60} minutes ago)"
