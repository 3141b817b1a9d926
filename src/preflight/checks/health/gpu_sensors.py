"""Heat, power and clocks of a GPU, the speed of its PCIe link, and a GPU that is busy with nothing."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, skipped
from preflight.checks.registry import Context, check, gpu_check, of_gpu, subject_of, together
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

LATER = ("epilog", "health")
COOLING = "look at fans, air flow and the coolant; drain if it stays"


@gpu_check("gpu.temperature", ("temperature", "temperature_slowdown"), phases=LATER, action="warn", remedy=COOLING)
def temperature(now: int, slowdown: int, limit: float | None) -> Finding | None:
    """No GPU is as hot as the temperature at which its hardware slows down."""
    if not slowdown or now < slowdown:
        return None
    return failed(f"{now} °C, and slows down from {slowdown} °C on", observed=f"{now} °C", expected=f"< {slowdown} °C")


@gpu_check("gpu.temperature.margin", "temperature_margin", phases=LATER, action="warn", remedy=COOLING)
def margin(value: int, limit: float | None) -> Finding | None:
    """There is room between each GPU's temperature and its limit (Hopper and later)."""
    return None if value > 0 else failed(f"{value} °C below its limit", observed=f"{value} °C", expected="> 0 °C")


@gpu_check(
    "gpu.temperature.memory",
    ("temperature_memory", "temperature_memory_max"),
    phases=LATER,
    action="warn",
    remedy=COOLING,
)
def memory_temperature(now: int, most: int, limit: float | None) -> Finding | None:
    """No GPU's memory is as hot as it may be."""
    if not most or now < most:
        return None
    return failed(f"memory at {now} °C, may have {most} °C", observed=f"{now} °C", expected=f"< {most} °C")


# nvmlClocksEventReasons of the hardware itself; a software power cap is how a GPU under load works.
HARDWARE = {0x8: "hardware slowdown", 0x40: "hardware thermal slowdown", 0x80: "power brake"}
SUPPLY = "look at cooling, power supplies and power cables; a rack's own power cap is no fault (action = off)"


SOFTWARE = 0x20  # the driver's own, for heat: under load it may do so


@gpu_check("gpu.slowdown", ("clock_event_reasons", "utilization?"), phases=LATER, action="warn", remedy=SUPPLY)
def slowdown(bits: int, busy: int | None, limit: float | None) -> Finding | None:
    """No GPU's clocks are held down by its hardware (heat, or the power brake), nor by the driver while it is idle."""
    why = ", ".join(text for bit, text in HARDWARE.items() if bits & bit)
    if not why and bits & SOFTWARE and busy == 0:
        why = "thermal slowdown, and it is idle"
    return failed(f"clocks are held down: {why}", observed=f"{bits:#x}") if why else None


POWER = "set it again (nvidia-smi -pl); a site's own limit is no fault (action = off)"


@gpu_check("gpu.power.limit", ("power_limit", "power_limit_default"), phases=LATER, action="warn", remedy=POWER)
def power_limit(now: int, default: int, limit: float | None) -> Finding | None:
    """No GPU's power limit is below its default."""
    if now >= default:
        return None
    text = f"the power limit is {now / 1000:g} W, {default / 1000:g} W by default"
    return failed(text, observed=f"{now / 1000:g} W", expected=f"{default / 1000:g} W")


LIMITER = "look at what else limits it: the BMC or the chassis, a power brake, nvidia-smi -q -d POWER"


@gpu_check(
    "gpu.power.enforced",
    ("power_limit_enforced", "power_limit_default", "power_limit?"),
    phases=LATER,
    action="warn",
    remedy=LIMITER,
)
def power_enforced(enforced: int, default: int, asked: int | None, limit: float | None) -> Finding | None:
    """No GPU is held below its default power limit by anything but the limit that was set for it."""
    if enforced >= default:
        return None
    if asked is not None and enforced >= asked:
        return passed(f"{enforced / 1000:g} W, as was set (gpu.power.limit)", observed=f"{enforced / 1000:g} W")
    text = f"held at {enforced / 1000:g} W, {default / 1000:g} W by default"
    return failed(text, observed=f"{enforced / 1000:g} W", expected=f"{default / 1000:g} W")


BUSY = 50  # % of the last second
SPEED = "reseat the board or its riser; look for AER messages in dmesg"


@gpu_check(
    "gpu.pcie.speed",
    ("pcie_generation", "pcie_generation_max", "utilization"),
    phases=("health",),
    action="warn",
    remedy=SPEED,
)
def speed(now: int, most: int, busy: int, limit: float | None) -> Finding | None:
    """A busy GPU's PCIe link has its full speed; an idle one's may be lower, to save power."""
    if now >= most or busy < BUSY:
        return None
    return failed(f"PCIe generation {now} of {most} under load", observed=now, expected=str(most))


FULL = 100
STUCK = "look at the job: a collective may wait for another rank (py-spy, NCCL flight recorder); tell its user"


@check(
    "gpu.stuck",
    reads=("gpus",),
    phases=("health",),
    action="warn",
    limit=30,
    unit="% of the default power limit",
    remedy=STUCK,
    device=True,
    blame="user",
    source="nvml",
)
def stuck(context: Context, limit: float | None) -> Iterable[Finding]:
    """No GPU is fully busy at the power of an idle one in two looks: a collective operation that waits for ever."""
    devices = context.node.devices()
    found = []
    for device in [] if isinstance(devices, Unknown) else devices:
        if "error" in device or not _measured(device):
            continue
        then = context.earlier.gpus.get(str(device.get("uuid"))) or {}
        if not _idles(device, limit):
            found.append(of_gpu(device, passed("busy and power fit together")))
        elif _measured(then) and _idles(then, limit):
            watts = f"{device['power_usage'] / 1000:.0f} W"
            text = f"fully busy at {watts}, as {context.earlier.ago_s / 60:.0f} minutes ago: a stuck collective?"
            found.append(of_gpu(device, failed(text, observed=f"{device['utilization']} %, {watts}")))
        else:
            found.append(of_gpu(device, skipped(f"{subject_of(device)} is to be looked at once more")))
    return together(found)


def _measured(device: dict[str, Any]) -> bool:
    return all(isinstance(device.get(key), int) for key in ("utilization", "power_usage", "power_limit_default"))


def _idles(device: dict[str, Any], limit: float | None) -> bool:
    busy, power, most = device["utilization"], device["power_usage"], device["power_limit_default"]
    return bool(busy >= FULL and power * 100 < most * (limit or 0))
