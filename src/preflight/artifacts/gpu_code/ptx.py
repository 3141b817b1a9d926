"""PTX as text: its version and its target stand in the first directives."""

from __future__ import annotations

import re

from preflight.artifacts.gpu_code.model import PTX, Part
from preflight.artifacts.gpu_code.window import Window

_HEAD = 64 << 10
_VERSION = re.compile(r"\.version\s+(\d{1,2})\.(\d{1,2})\b")
_TARGET = re.compile(r"\.target\s+(?:sm|compute)_(\d{2,3})([af]?)\b")


def alone(window: Window) -> Part | None:
    """Return what a file of PTX says, None where it is no PTX."""
    text = _without_comments(window.slice(0, min(window.size, _HEAD)).decode("latin-1"))
    version = _VERSION.match(text)
    if version is None:
        return None
    target = _TARGET.search(text, version.end(), version.end() + 4096)
    if target is None:
        return Part(PTX, 0, "", None, 0, doubt="PTX without a .target")
    return Part(PTX, int(target[1]), target[2], (int(version[1]), int(version[2])), 0)


def _without_comments(text: str) -> str:
    """Return the text behind the comments that it begins with, which tell who made it."""
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        end = {"//": "\n", "/*": "*/"}.get(text[at : at + 2])
        if end is None:
            return text[at:]
        stop = text.find(end, at + 2)
        if stop < 0:
            return ""
        at = stop + len(end)
