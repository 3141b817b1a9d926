"""Values as Slurm writes them: counts, sizes, times. Each raises ValueError for a text that is none."""

from __future__ import annotations

import re

from preflight.digits import is_whole

_NODE = re.compile(r"(\d+)([kK]?)([mM]?)")
_SIZE = re.compile(r"(\d+)([kKmMgGtT]?)[bB]?")
_COUNT = re.compile(r"([0-9]{1,18})([kKmMgGtTpP]?)")
_STEPS = re.compile(r"(\d+)(?:-(\d+))?(?::(\d+))?")
SHARES = ("shard", "mps")  # a share of a GPU, by Slurm's own plugins
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def whole(text: str) -> int:
    """Return a whole number that is not negative."""
    if not is_whole(text.strip()):
        raise ValueError(text)
    return int(text)


def node_counts(text: str) -> tuple[int, int]:
    """Return least and most nodes of "4", "2-8", "-8", "2k" and, since Slurm 24.05, of a list "1,3-9:2"."""
    if "," in text or ":" in text:
        return _of_list(text)
    low, dash, high = text.partition("-")
    least = 1 if dash and not low.strip() else _node(low)
    most = _node(high) if dash else least
    if most and most < least:
        raise ValueError(text)
    return least, most


def _node(text: str) -> int:
    found = _NODE.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return int(found[1]) * (1 << 10 if found[2] else 1) * (1 << 20 if found[3] else 1)


def _of_list(text: str) -> tuple[int, int]:
    numbers: list[int] = []
    for part in text.split(","):
        found = _STEPS.fullmatch(part.strip())
        if found is None:
            raise ValueError(text)
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        if last < first or not step:
            raise ValueError(text)
        numbers += (first, last - (last - first) % step)
    return min(numbers), max(numbers)


def mebibytes(text: str) -> int:
    """Return the MiB of "4G", "512" or "100K", rounded up."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return -(-int(found[1]) * _FACTORS[found[2].lower() or "m"] // (1 << 20))


def minutes(text: str) -> int:
    """Return the minutes of "30", "1:30" (minutes:seconds), "2:00:00", "1-12", "1-12:30:00"; -1 of "UNLIMITED".

    Seconds round up. 0 is no limit to sbatch: -1 as well.
    """
    text = text.strip()
    if text.upper() in ("UNLIMITED", "INFINITE", "-1"):
        return -1
    days, dash, rest = text.partition("-")
    parts = [whole(part) for part in (rest if dash else text).split(":")]
    if len(parts) > 3:
        raise ValueError(text)
    if dash:
        hours, mins, seconds = (*parts, 0, 0)[:3]
        total = (whole(days) * 24 + hours) * 3600 + mins * 60 + seconds
    elif len(parts) == 3:
        total = parts[0] * 3600 + parts[1] * 60 + parts[2]
    else:
        total = parts[0] * 60 + (parts[1] if len(parts) == 2 else 0)
    return -(-total // 60) or -1


def with_type(text: str) -> dict[str, int]:
    """Return how many of each type "2", "h100:2", "a100" or "a100:1,h100:2" asks; "" is any type, no text none."""
    found: dict[str, int] = {}
    for part in text.split(",") if text else ():
        kind, count = _typed(part.strip())
        found[kind] = found.get(kind, 0) + count
    return found


def gres_counts(text: str) -> dict[str, int]:
    """Return the GPUs in a text for --gres or --tres-per-task, by type; {} where it names none.

    "gpu", "gpu:2", "gpu:h100:2", "gpu=2", each perhaps behind "gres/" or "gres:", among others.
    """
    return _named(text, "gpu")


def gres_shares(text: str) -> dict[str, dict[str, int]]:
    """Return the shares of GPUs in such a text by Slurm's plugin ("shard", "mps") and type; {} where it names none.

    "shard:2", "mps:50" (percent), "gres/shard:h100:2", among others.
    """
    found = {name: _named(text, name) for name in SHARES}
    return {name: counts for name, counts in found.items() if counts}


def gres_others(text: str) -> dict[str, dict[str, int]]:
    """Return what a text for --gres asks beside GPUs and shares of them: name -> type -> number.

    Names and types are as written: Slurm tells upper from lower case in both, so "GPU" is another resource than "gpu".
    """
    found: dict[str, dict[str, int]] = {}
    for item in _items(text):
        name = _name(item)
        if name and name not in ("gpu", "none", *SHARES):
            kind, count = _typed(item[len(name) + 1 :])
            counts = found.setdefault(name, {})
            counts[kind] = counts.get(kind, 0) + count
    return found


def counted(text: str) -> int | None:
    """Return a number of a generic resource ("4", "2K"), None of a text that is none."""
    found = _COUNT.fullmatch(text)
    return int(found[1]) * _FACTORS[found[2].lower()] if found else None


def _named(text: str, wanted: str) -> dict[str, int]:
    """Return how many of one generic resource a text asks, by type."""
    found: dict[str, int] = {}
    for item in _items(text):
        if _name(item) == wanted:
            kind, count = _typed(item[len(wanted) + 1 :])
            found[kind] = found.get(kind, 0) + count
    return found


def _items(text: str) -> list[str]:
    return [one.strip().removeprefix("gres/").removeprefix("gres:") for one in text.split(",")]


def _name(item: str) -> str:
    return re.split("[:=]", item, maxsplit=1)[0]


def _typed(text: str) -> tuple[str, int]:
    if not text:
        return "", 1
    kind, _, last = re.sub("=", ":", text).rpartition(":")
    number = counted(last)
    if number is not None:
        return kind, number
    if kind:
        raise ValueError(text)
    return last, 1
