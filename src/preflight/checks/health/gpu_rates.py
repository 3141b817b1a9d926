"""Counters of a GPU that grew since the last epilog or health check of this boot: links that falter, clocks held down.

The limit for PCIe replays is DCGM's: 0.06 a minute for each lane and GT/s.
"""

from __future__ import annotations

import math

from preflight.checks.finding import Finding, failed, passed, skipped
from preflight.checks.registry import Context, check, of_gpu, together
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Judge = Callable[[dict[str, Any], dict[str, int], float, float | None], Finding | None]

LATER = ("epilog", "health")
LEAST_S = 1.0
SPEEDS = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}  # GT/s of a lane, by PCIe generation


def rate_check(
    name: str, counters: tuple[str, ...], *, remedy: str, limit: float | None = None, unit: str = ""
) -> Callable[[Judge], Callable[..., Iterable[Finding]]]:
    """Register ``function(device, grown, seconds, limit)``: ``grown`` is by how much each of ``counters`` grew.

    A GPU that has none of them, or was not looked at before, is skipped.
    """

    def wrap(judge: Judge) -> Callable[..., Iterable[Finding]]:
        def run(context: Context, bound: float | None) -> Iterable[Finding]:
            devices = context.node.devices()
            if isinstance(devices, Unknown):
                return []
            judged = [device for device in devices if "error" not in device]
            found = [of_gpu(device, _grown(device, context, counters, judge, bound)) for device in judged]
            return together(found) if len(found) == len(devices) else found

        run.__doc__ = judge.__doc__
        check(
            name,
            reads=("gpus",),
            phases=LATER,
            action="warn",
            limit=limit,
            unit=unit,
            remedy=remedy,
            device=True,
            source="nvml",
        )(run)
        return run

    return wrap


def _grown(
    device: dict[str, Any], context: Context, counters: tuple[str, ...], judge: Judge, limit: float | None
) -> Finding:
    then, ago_s = context.earlier.gpus.get(str(device.get("uuid"))) or {}, context.earlier.ago_s
    grown = {
        key: device[key] - then[key]
        for key in counters
        if isinstance(device.get(key), int) and isinstance(then.get(key), int)
    }
    if not grown or ago_s < LEAST_S:
        return skipped("nothing to compare with")
    if min(grown.values()) < 0:
        return skipped("its counters began anew")
    return judge(device, grown, ago_s, limit) or passed(f"nothing in {ago_s / 60:.0f} minutes")


CABLE = "reseat the board or its riser; look for AER messages in dmesg"


@rate_check("gpu.pcie.replay", ("pcie_replays",), remedy=CABLE)
def replay(device: dict[str, Any], grown: dict[str, int], seconds: float, limit: float | None) -> Finding | None:
    """PCIe packets are sent again no oftener than a sound link does."""
    lanes, speed = device.get("pcie_width_max"), SPEEDS.get(device.get("pcie_generation_max") or 0)
    if not lanes or not speed:
        return None
    most = limit if limit is not None else math.ceil(lanes * speed * 0.06)
    rate = grown["pcie_replays"] * 60 / max(seconds, 60)
    if rate <= most:
        return None
    return failed(f"{rate:.0f} PCIe replays a minute", observed=f"{rate:.0f}", expected=f"<= {most:g}")


@rate_check("gpu.pcie.errors", ("pcie_fatal", "pcie_nonfatal"), remedy=CABLE)
def errors(device: dict[str, Any], grown: dict[str, int], seconds: float, limit: float | None) -> Finding | None:
    """No uncorrectable PCIe error came since the last look."""
    count = sum(grown.values())
    return failed(f"{count} uncorrectable PCIe errors", observed=count, expected="0") if count else None


LINK = "drain and reset the GPUs; hardware service if it comes back"


FLAPS = ("nvlink_replay", "nvlink_recovery", "nvlink_recoveries", "nvlink_recovery_failed")


@rate_check("gpu.nvlink.flapping", FLAPS, remedy=LINK)
def flapping(device: dict[str, Any], grown: dict[str, int], seconds: float, limit: float | None) -> Finding | None:
    """No NVLink link was brought up anew, or sent data again, since the last look."""
    if not any(grown.values()):
        return None
    text = _counted(grown)
    return failed(f"NVLink falters: {text} in {seconds / 60:.0f} minutes", observed=text, expected="0")


def _counted(grown: dict[str, int]) -> str:
    """Return "3 recovery failed, 1 replay"."""
    return ", ".join(f"{n} {key.removeprefix('nvlink_').replace('_', ' ')}" for key, n in grown.items() if n)


DAMAGED = (
    *("nvlink_ecc", "nvlink_malformed", "nvlink_overruns", "nvlink_received_bad", "nvlink_received_remote"),
    *("nvlink_received_general", "nvlink_integrity", "nvlink_discarded"),
)


@rate_check("gpu.nvlink.errors", DAMAGED, remedy=LINK)
def damaged(device: dict[str, Any], grown: dict[str, int], seconds: float, limit: float | None) -> Finding | None:
    """No packet was damaged or lost on NVLink since the last look (NVLink 5's counters; ECC errors of earlier ones)."""
    if not any(grown.values()):
        return None
    text = _counted(grown)
    return failed(f"NVLink packets: {text} in {seconds / 60:.0f} minutes", observed=text, expected="0")


CRC = ("nvlink_crc", "nvlink_crc_data", "nvlink_effective_errors")


@rate_check("gpu.nvlink.crc", CRC, limit=100, unit="errors a second", remedy=LINK)
def crc(device: dict[str, Any], grown: dict[str, int], seconds: float, limit: float | None) -> Finding | None:
    """NVLink's checksum errors (NVLink 5: those that its codes do not correct) come no faster than the limit."""
    rate = max(grown.values()) / seconds
    if rate < (limit or 0):
        return None
    return failed(f"{rate:.0f} NVLink checksum errors a second", observed=f"{rate:.0f}", expected=f"< {limit or 0:g}")


HELD = (
    *("slowdown_thermal_ns", "slowdown_sw_thermal_ns", "slowdown_hw_thermal_ns", "slowdown_power_brake_ns"),
    *("slowdown_board_ns", "slowdown_reliability_ns"),
)
SUPPLY = "look at cooling, power supplies and power cables"


@rate_check("gpu.slowdown.time", HELD, limit=5, unit="% of the time", remedy=SUPPLY)
def held(device: dict[str, Any], grown: dict[str, int], seconds: float, limit: float | None) -> Finding | None:
    """Clocks were held down by heat, the power brake or the board for no more of the time than the limit."""
    share = {key: 100 * ns / (seconds * 1e9) for key, ns in grown.items()}
    worst = max(share, key=lambda key: share[key])
    if share[worst] <= (limit or 0):
        return None
    what = worst.removeprefix("slowdown_").removesuffix("_ns").replace("_", " ")
    text = f"clocks were held down ({what}) for {share[worst]:.0f} % of {seconds / 60:.0f} minutes"
    return failed(text, observed=f"{share[worst]:.0f} %", expected=f"<= {limit or 0:g} %")
