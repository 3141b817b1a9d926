"""The NVIDIA driver: loaded, of one version, answering."""

from __future__ import annotations

from preflight.checks.finding import Finding
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


def _finding(name: str, status: str, observed: object, message: str, remedy: str | None = None) -> Finding:
    seen = None if observed is None or isinstance(observed, Unknown) else str(observed)
    return Finding(name, status, "node", "driver", None, seen, message, remedy, "nvml")


def _gpus_here(context: Context) -> bool:
    """Return whether this node should have a driver: Slurm or the PCI bus says that it has GPUs."""
    asked = context.gpus is not None and context.gpus.some
    on_the_bus = any(name.split(".")[0] == "gpus" for name in context.node.unknown)  # asked for, and not zero
    return asked or context.expected.total > 0 or on_the_bus


LOADED = "load the NVIDIA driver (modprobe nvidia), or install it; see dmesg for why it is not there"


@check("driver.loaded", reads=("driver",), remedy=LOADED, device=True)
def loaded(context: Context, limit: float | None) -> Iterator[Finding]:
    """The NVIDIA driver and its library are there, where the node has GPUs."""
    state = context.node.get("driver.nvml")
    if isinstance(state, Unknown):
        yield _finding("driver.loaded", "unknown", state, f"could not ask NVML: {state.reason}")
    elif state in MISSING and not _gpus_here(context):
        yield _finding("driver.loaded", "skip", state, "no NVIDIA GPU on this node")
    elif state in MISSING:
        what = "driver is not loaded" if state == MISSING[0] else "library libnvidia-ml.so.1 is missing"
        yield _finding("driver.loaded", "fail", state, f"NVIDIA {what} on a node with GPUs", LOADED)
    elif state == "ok" or state in (MISMATCH, HUNG, LATE):
        yield _finding("driver.loaded", "pass", context.node.get("driver.module"), "driver is loaded")
    elif state in BROKEN:
        yield _finding("driver.loaded", "fail", state, f"NVML does not start: {state}", LOADED)
    else:
        yield _finding("driver.loaded", "unknown", state, f"NVML could not be asked: {state}")


MATCH = "reboot, or unload and load the nvidia modules, so that the loaded driver is the installed one"


@check("driver.match", reads=("driver",), remedy=MATCH, device=True)
def match(context: Context, limit: float | None) -> Iterator[Finding]:
    """The loaded kernel module and the driver's library are of one version."""
    state, module = context.node.get("driver.nvml"), context.node.get("driver.module")
    version = context.node.get("driver.version")
    if state == MISMATCH:
        yield _finding("driver.match", "fail", module, "driver and library versions differ (NVML: mismatch)", MATCH)
    elif isinstance(module, str) and isinstance(version, str) and module != version:
        text = f"loaded driver {module}, library {version}"
        yield _finding("driver.match", "fail", module, text, MATCH)
    elif state == "ok":
        yield _finding("driver.match", "pass", version, "driver and library are of one version")
    else:
        yield _finding("driver.match", "skip", state, "no driver answers that could be compared")


RESPONDS = "the GPU driver hangs: look for Xids in dmesg, then reboot the node"
STARTS = "keep the GPUs awake: run nvidia-persistenced (nvidia-smi -pm 1); look at dmesg if it does"


@check("driver.responds", reads=("driver",), remedy=RESPONDS, device=True)
def responds(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver answers, or is only slow: hung is what is stuck in the same call in two runs, or in state D."""
    state = context.node.get("driver.nvml")
    hung = context.node.unknown.get("gpus") or context.node.unknown.get("driver.version") or "NVML did not answer"
    if state == HUNG:
        yield _finding("driver.responds", "fail", state, hung, RESPONDS)
    elif state == LATE:
        text = f"{hung}; it may only be slow: a fault if the next run finds it in the same call"
        yield _finding("driver.responds", "warn", state, text, STARTS)
    elif state == "ok":
        yield _finding("driver.responds", "pass", state, "the driver answers")
    else:
        yield _finding("driver.responds", "skip", state, "no driver to ask")


@check("driver.slow", reads=("driver",), action="warn", limit=3, unit="s", remedy=STARTS, device=True)
def slow(context: Context, limit: float | None) -> Iterator[Finding]:
    """Asking NVML for all there is takes no longer than the limit; without persistence the driver wakes each GPU."""
    state = context.node.get("driver.nvml")
    took = context.node.facts.get("driver", {}).get("slow")
    if state != "ok" and not took:
        yield _finding("driver.slow", "skip", state, "no driver answers that could be timed")
    elif took and took["took_s"] > (limit or 0):
        text = f"NVML took {took['took_s']:.1f} s, {took['call_s']:.1f} s of it in {took['call']}"
        yield _finding("driver.slow", "fail", f"{took['took_s']:.1f} s", text, STARTS)
    else:
        yield _finding("driver.slow", "pass", "ok", "NVML answers in time")
