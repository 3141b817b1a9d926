"""NVLink's version and speed, against what the catalog knows of the board."""

from __future__ import annotations

from preflight.catalog import gpus as catalog
from preflight.checks.finding import Finding, failed, passed, skipped, untold
from preflight.checks.registry import Context, check, of_gpu, subject_of, together
from preflight.facts.view import Unknown, attribute

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

SPEED = "reset all GPUs of the node together or reboot; hardware service where it stays"


@check("gpu.nvlink.speed", reads=("gpus",), phases=("health",), action="warn", remedy=SPEED, device=True, source="nvml")
def speed(context: Context, limit: float | None) -> Iterable[Finding]:
    """NVLink has the version and the speed that the catalog knows of the board."""
    devices = context.node.devices()
    judged = [] if isinstance(devices, Unknown) else [device for device in devices if "error" not in device]
    return together([of_gpu(device, _judged(device, context)) for device in judged])


def _judged(device: dict[str, Any], context: Context) -> Finding:
    known = catalog.nvlink(str(device.get("name") or ""), context.policy.tables())
    if not device.get("nvlink"):
        return skipped(f"{subject_of(device)} has no NVLink link that is up")
    if known is None:
        return skipped("the catalog does not know this board's NVLink")
    version, rate = attribute(device, "nvlink_version"), attribute(device, "nvlink_speed")
    if isinstance(version, str) and version.partition(".")[0] != known.version.partition(".")[0]:
        return failed(f"NVLink {version}, not {known.version}", observed=version, expected=known.version)
    if isinstance(rate, int) and rate and known.speed and rate != known.speed:
        text = f"a link of NVLink {known.version} runs at {rate} MB/s, not {known.speed}"
        return failed(text, observed=rate, expected=str(known.speed))
    if isinstance(version, str) or (isinstance(rate, int) and known.speed):
        return passed(f"NVLink {known.version}", observed=version if isinstance(version, str) else rate)
    refused = next(
        (one for one in (version, rate) if isinstance(one, Unknown) and "was not read" not in one.reason), None
    )
    if refused is not None:
        return untold(f"{subject_of(device)} does not report this: {refused.reason}")
    return skipped(f"{subject_of(device)} tells neither version nor speed")
