"""The NVIDIA driver: the loaded kernel module, and its user space as the NVML probe (gpu.py) found it."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.answer import NOT_LIVE, Answer, explain
from preflight.facts.registry import NVML, fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.facts.nvml_result import NvmlResult

FILE = "/proc/driver/nvidia/version"


def read(root: Root) -> Answer:
    """Return key ``module`` of subject ``driver``: the loaded module's version, None when it is not loaded."""
    try:
        text = root.live_read(FILE, 65536)
    except OSError as error:
        return Answer({}, {"module": explain(error)})
    if text is None:
        return Answer({"module": None}) if root.live else Answer({}, {"module": NOT_LIVE})
    found = next((word for word in text.split() if _is_version(word)), None)
    return Answer({"module": found}) if found else Answer({}, {"module": f"{FILE} states no version"})


def _is_version(word: str) -> bool:
    """Return whether a word is a driver version: 550.54.15. The words before it differ from flavour to flavour."""
    parts = word.split(".")
    return len(parts) in (2, 3) and len(parts[0]) == 3 and all(is_whole(part) for part in parts)


@fact(
    "driver",
    keys={
        "version": "text?: of the user space, by NVML",
        "cuda": "text?: 12.4",
        "module": "text?: the loaded kernel module's version, null when it is not loaded",
        "nvml": "text?: ok, or the NVML error's name; Timeout: it is known to hang, Late: it may only be slow",
        "confidential": "flag: confidential computing is on",
        "confidential_ready": "flag: its GPUs take work",
        "slow": {
            "took_s": "number s",
            "call": "text: the slowest",
            "call_s": "number s",
            "answered": "flag",
        },
    },
    child=NVML,
)
def merge(root: Root, told: NvmlResult | None) -> Answer:
    """The NVIDIA driver: its version, its CUDA, the loaded kernel module, and whether NVML answers."""
    module = read(root)
    if told is not None:
        return merged(told, module)
    reason = "was not asked for" if root.live else NOT_LIVE
    return Answer(module.values, {**dict.fromkeys(("version", "cuda", "nvml"), reason), **module.unknown})


def merged(told: NvmlResult, module: Answer) -> Answer:
    """Return subject ``driver`` of what the probe told and of the loaded module.

    Without an NVIDIA driver version and cuda are None (known absent). ``nvml`` is "Timeout" where the probe hung
    before NVML was up, "Late" where it did not answer in time and may only be slow; a fault of our own
    installation leaves it unknown. ``slow``: what took SLOW_S or more, absent where nothing did.
    """
    from preflight.facts.nvml import ABSENT, OK
    from preflight.facts.nvml_result import DIED, SLOW

    values, why = dict(module.values), dict(module.unknown)
    state = told.nvml or (told.ending if not told.outcome.finished else DIED)
    if state in ("BindingNotFound", DIED, SLOW):  # a fault of this installation, not of the node
        return Answer(values, {**why, **_each(("version", "cuda", "nvml"), told, state)})
    values["nvml"] = state
    if state in ABSENT and values.get("module") is None and "module" in values:
        values.update(version=None, cuda=None)
    elif state != OK:
        why.update(_each(("version", "cuda"), told, state))
    else:
        if told.culprit is None and not told.outcome.finished and not told.outcome.died:
            values["nvml"] = told.ending  # it began well, and did not come to say how many GPUs there are
        values.update(told.driver)
        why.update((key, f"NVML: {error}") for key, error in told.driver_errors.items())
        for key in ("version", "cuda"):
            if key not in told.driver and key not in why:
                why[key] = told.why()
    return Answer({**values, **told.slow()}, why)


def _each(keys: tuple[str, ...], told: NvmlResult, state: str) -> dict[str, str]:
    reason = told.why() if told.nvml is None else f"NVML: {state}"
    return dict.fromkeys(keys, reason)
