"""Versions as the catalog compares them: numeric, part by part; so 12.10 is newer than 12.4."""

from __future__ import annotations

from preflight.digits import MOST, is_whole


def parse(text: str) -> tuple[int, ...]:
    """Return the parts of "550.54.15", () where the text is no version of numbers and dots."""
    parts = text.split(".")
    if not all(is_whole(part, 9) for part in parts):
        return ()
    return tuple(int(part) for part in parts)


def minor(text: str) -> tuple[int, int] | None:
    """Return the release "12.4" of "12.4.1" as (12, 4); "12" is 12.0; None where it is no version."""
    parts = parse(text)
    return None if not parts else (parts[0], parts[1] if len(parts) > 1 else 0)


def at_least(have: tuple[int, ...], wanted: tuple[int, ...]) -> bool | None:
    """Tell whether a version is the wanted one or newer; None where it states too few parts to tell ("525")."""
    if len(have) < len(wanted) and have == wanted[: len(have)]:
        return None
    return have >= wanted


def show(parts: tuple[int, ...]) -> str:
    """Return "12.4" of (12, 4)."""
    return ".".join(map(str, parts))


def natural(text: str) -> list[tuple[int, str]]:
    """Return a key that orders kernel and package versions by their numbers: 4.18.0-553 after 4.18.0-80."""
    key: list[tuple[int, str]] = []
    number = ""
    for letter in text:
        if is_whole(letter):
            number += letter
        elif number:
            key.append((_number(number), ""))
            number = ""
    return [*key, (_number(number), "")] if number else key


def _number(digits: str) -> int:
    """Return the number; of more digits than any version has, one above all that have fewer."""
    return int(digits) if is_whole(digits) else 10**MOST
