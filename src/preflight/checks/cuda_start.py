"""CUDA itself: a driver whose NVML answers may still start no CUDA program."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

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
