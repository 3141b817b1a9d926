"""The loaded NVIDIA kernel module; the driver's user space is asked through NVML (gpu.py)."""

from preflight.facts.answer import NOT_LIVE, Answer, explain
from preflight.facts.rootfs import Root

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
    return len(parts) in (2, 3) and len(parts[0]) == 3 and all(part.isascii() and part.isdigit() for part in parts)
