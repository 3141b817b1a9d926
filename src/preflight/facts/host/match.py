"""What a [[host]] row's values mean: patterns, sizes and shares."""

from __future__ import annotations

from preflight.digits import is_whole

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable

UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50}  # powers of two, as Slurm's --mem


def matches(pattern: str, text: str) -> bool:
    """Return whether ``text`` matches: "/REGEX/" anywhere in it, else a glob all of it; "!" before either negates."""
    if pattern.startswith("!"):
        return not matches(pattern[1:], text)
    if is_regex(pattern):
        import re

        return re.search(pattern[1:-1], text) is not None
    from fnmatch import fnmatchcase

    return fnmatchcase(text, pattern)


def is_regex(pattern: str) -> bool:
    """Return whether a pattern is a regular expression between slashes; a path such as "/home" is none."""
    return len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/")


def any_matches(pattern: str, texts: Iterable[str]) -> bool:
    """Return whether one of ``texts`` matches; of a negated pattern, whether none matches what it negates."""
    if pattern.startswith("!"):
        return not any_matches(pattern[1:], texts)
    return any(matches(pattern, text) for text in texts)


def size(text: str) -> int:
    """Return the bytes of "10G", "1.5T", "512MiB", "512 MB" or "4096", binary; raises ValueError."""
    number, unit = text.strip(), ""
    for ending in ("iB", "B"):
        if number.endswith(ending):
            number = number.removesuffix(ending).rstrip()
            break
    if number[-1:].upper() in UNITS and number[-1:]:
        number, unit = number[:-1].rstrip(), number[-1:].upper()
    whole, _, part = number.partition(".")
    if not is_whole(whole) or (part and not is_whole(part, 9)):
        raise ValueError(f'needs a size such as "10G" or "512M", not {text!r:.40}')
    return int(float(number) * (1 << UNITS[unit])) if part else int(whole) << UNITS[unit]


def share(text: str, most: int = 100) -> float:
    """Return 0.05 of "5%"; raises ValueError, also for one of more than ``most`` percent."""
    number = text.strip().removesuffix("%")
    whole, _, part = number.partition(".")
    if not text.strip().endswith("%") or not is_whole(whole, 6) or (part and not is_whole(part, 9)):
        raise ValueError(f'needs a share such as "5%", not {text!r:.40}')
    if float(number) > most:
        raise ValueError(f"needs a share of at most {most}%, not {text!r:.40}")
    return float(number) / 100


def amount(text: str, whole: int) -> float:
    """Return how much of ``whole`` a size or a share ("5%") is; raises ValueError."""
    return share(text) * whole if text.strip().endswith("%") else size(text)


def shown(number: float) -> str:
    """Return bytes in the largest unit that leaves a number of at least one: "1.5 GiB"."""
    unit = next((one for one, power in reversed(UNITS.items()) if one and abs(number) >= 1 << power), "")
    text = f"{number / (1 << UNITS[unit]):.1f}".removesuffix(".0")
    return f"{text} {unit}iB" if unit else f"{text} bytes"
