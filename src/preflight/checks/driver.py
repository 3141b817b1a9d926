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
HUNG = "Timeout"
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
    elif state == "ok" or state in (MISMATCH, HUNG):
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


@check("driver.responds", reads=("driver",), remedy=RESPONDS, device=True)
def responds(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver answers within the hook's deadline; the call that hung is named."""
    state = context.node.get("driver.nvml")
    hung = context.node.unknown.get("gpus") or context.node.unknown.get("driver.version") or "NVML did not answer"
    if state == HUNG:
        yield _finding("driver.responds", "fail", state, hung, RESPONDS)
    elif state == "ok":
        yield _finding("driver.responds", "pass", state, "the driver answers")
    else:
        yield _finding("driver.responds", "skip", state, "no driver to ask")
