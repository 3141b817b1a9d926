"""A GPU's NVLink: its version, and counters of errors over all links. Runs in the probe child.

Up to Hopper there are counters for replays, recoveries and checksums. NVLink 5 (Blackwell) has others, fields 206 to
222 of nvmlDeviceGetFieldValues with a link's number as scope; names as in the bindings (nvidia-ml-py 13.615). Not read
are the bit error rates (216 to 218 are deprecated; how 220 and 222 are packed no document states), and 213, which is
the difference of 215 and 214.
"""

from __future__ import annotations

from preflight.facts.gpu_fields import numbers
from preflight.facts.nvml import GPU_ERRORS, Fault, call

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Handle = Any
    Values = tuple[Any, ...]

VERSIONS = {1: "1.0", 2: "2.0", 3: "2.2", 4: "3.0", 5: "3.1", 6: "4.0", 7: "5.0", 8: "6.0"}  # NVML_NVLINK_VERSION_…
NVLINK5 = 5
ERRORS = (("nvlink_replay", 0), ("nvlink_recovery", 1), ("nvlink_crc", 2))  # nvmlNvLinkErrorCounter_t
OF_LINKS = {
    "nvlink_malformed": 206,
    "nvlink_overruns": 207,
    "nvlink_received_bad": 208,
    "nvlink_received_remote": 209,
    "nvlink_received_general": 210,
    "nvlink_integrity": 211,
    "nvlink_discarded": 212,
    "nvlink_recovery_failed": 214,
    "nvlink_recoveries": 215,
    "nvlink_effective_errors": 219,
    "nvlink_symbol_errors": 221,
}


def version(nvml: Any, handle: Handle) -> Values:
    """(NVLink's version, "4.0", of the first link,); "number 9" for one that is not known."""
    told = int(call(nvml, "nvmlDeviceGetNvLinkVersion", handle, 0))
    return (VERSIONS.get(told, f"number {told}"),)


def is_nvlink5(gpu: dict[str, Any]) -> bool:
    """Return whether the GPU's links count as those of NVLink 5 do: by their version, else by the GPU's generation."""
    told = str(gpu.get("nvlink_version") or "")
    text = told if told[:1].isascii() and told[:1].isdigit() else str(gpu.get("compute_capability") or "0")
    least = NVLINK5 if text == told else 10
    return int(text.partition(".")[0] or 0) >= least


def link_errors(nvml: Any, handle: Handle, links: int, unknown: Iterable[str]) -> dict[str, int]:
    """Return the sums over all links of the counters that no field gave (drivers differ in which they have)."""
    found: dict[str, int] = {}
    for name, counter in ERRORS:
        if name not in unknown:
            continue
        try:
            found[name] = sum(
                int(call(nvml, "nvmlDeviceGetNvLinkErrorCounter", handle, link, counter)) for link in range(links)
            )
        except Fault as fault:
            if fault.name in GPU_ERRORS:
                raise
    return found


def link_counters(nvml: Any, handle: Handle, links: int) -> tuple[dict[str, int], dict[str, str]]:
    """Return ({attribute: sum over all links}, {attribute: error}) of NVLink 5's counters, by one call.

    A counter that some links have is the sum of those.
    """
    wanted = [(name, (field, link)) for name, field in OF_LINKS.items() for link in range(links)]
    told = numbers(nvml, handle, [scoped for _, scoped in wanted])
    sums: dict[str, int] = {}
    errors: dict[str, str] = {}
    for (name, _), one in zip(wanted, told):
        if isinstance(one, str):
            errors.setdefault(name, one)
        else:
            sums[name] = sums.get(name, 0) + one
    return sums, {name: error for name, error in errors.items() if name not in sums}
