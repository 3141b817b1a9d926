"""Times as a policy writes them."""

from __future__ import annotations

from preflight.digits import is_whole

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Return the seconds of a time such as "90s", "10m", "2h" or "1d", 0.0 of ""; raises ValueError."""
    if not text:
        return 0.0
    number, unit = text[:-1].strip(), text[-1]
    if unit not in UNITS or not is_whole(number, 9):
        raise ValueError(f'needs a time such as "90s", "10m", "2h" or "1d", not {text!r:.40}')
    return int(number) * UNITS[unit]
