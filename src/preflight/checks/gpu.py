"""GPUs that should be there, and that should answer."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold, warned
from preflight.checks.registry import Context, check, of_gpu, subject_of
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

PRESENT = "look at lspci and dmesg for the missing GPU; reset or reboot the node, then hardware service"
RESPONDS = "GPU lost: reboot the node; if it comes back, hardware service"
NOT_ASKED = ("NotRead", "ProbeDied")
# They speak of the library, of who asks, or of memory.
NOT_THE_GPU = (
    *("Uninitialized", "InvalidArgument", "NotSupported", "NoPermission", "InsufficientSize", "FunctionNotFound"),
    *("Memory", "InsufficientResources", "ArgumentVersionMismatch"),
)
LATE = "Late"
RESET = "drain, then reset the GPU (nvidia-smi --gpu-reset) or reboot"


@check("gpu.present", reads=("gpus",), remedy=PRESENT, device=True, source="gres.conf")
def present(context: Context, limit: float | None) -> Iterator[Finding]:
    """The GPUs that Slurm gave the job, or that its configuration gives the node, are there."""
    devices = context.node.devices()
    job, expected = context.gpus, context.expected
    other = expected.other if job is None else job.other
    if job is not None and job.problem:
        yield untold(f"cannot tell which GPUs are the job's: {job.problem}", subject="job")
    if other:
        whose = "this node's" if job is None else "the job's"
        yield skipped(f"{whose} GPUs are not NVIDIA's ({other}): they are not judged")
    if isinstance(devices, Unknown):
        if (job is None or job.some) and not other:
            yield untold(f"GPUs could not be counted: {devices.reason}")
        return
    missing = job.missing if job is not None else expected.missing
    for name in missing:
        why = "asked for" if name.startswith("gpu") else "configured in Slurm"
        yield failed(f"GPU {name} is {why} and does not answer", subject=name)
    if job is None and expected.short:
        text = f"{expected.short} of the {expected.total} GPUs that slurm.conf gives this node are not there"
        yield failed(text, source="slurm.conf")
    elif job is None and expected.problem:
        yield untold(f"cannot tell whether a GPU is missing: {expected.problem}")
    elif not missing and not (job is not None and job.problem) and (devices or expected.total):
        yield passed(f"{len(devices)} GPUs are there")


@check("gpu.responds", reads=("gpus",), remedy=RESPONDS, device=True, source="nvml")
def responds(context: Context, limit: float | None) -> Iterator[Finding]:
    """Each GPU answers: not lost, not hanging."""
    devices = context.node.devices()
    for device in [] if isinstance(devices, Unknown) else devices:
        error = device.get("error") or next(
            (name for name in device.get("errors", {}).values() if name == "GpuIsLost"), None
        )
        if error is None or error == "ResetRequired":
            found = passed(f"{subject_of(device)} answers")
        elif error == LATE:
            found = warned(f"{subject_of(device)} has not answered yet, and may only be slow", observed=error)
        elif error in NOT_THE_GPU:
            found = untold(f"{subject_of(device)} could not be asked: {error}", observed=error)
        elif error in NOT_ASKED:
            found = untold(f"{subject_of(device)} was not asked: the probe ended before it", observed=error)
        else:
            found = failed(f"{subject_of(device)} does not answer: {error}", observed=error)
        yield of_gpu(device, found)


@check("gpu.reset", reads=("gpus",), remedy=RESET, device=True, source="nvml")
def reset(context: Context, limit: float | None) -> Iterator[Finding]:
    """No GPU waits for a reset."""
    devices = context.node.devices()
    for device in [] if isinstance(devices, Unknown) else devices:
        errors = (device.get("error"), *device.get("errors", {}).values())
        if "ResetRequired" in errors:
            found = failed(f"{subject_of(device)} needs a reset", observed="ResetRequired")
        elif device.get("error"):
            continue
        else:
            found = passed(f"{subject_of(device)} needs no reset")
        yield of_gpu(device, found)
