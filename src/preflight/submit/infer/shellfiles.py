"""Shell files that a script sources, where they are here: what they add or source themselves, by their text."""

from __future__ import annotations

import re

from preflight.facts.rootfs import Root
from preflight.submit.infer import setup

_LARGEST = 1 << 18
_PART = re.compile(r"[^\n;&|]+")  # of a line, what is one command
_MODULE = re.compile(r"\b(?:module|ml)\s")
_USE = re.compile(r"\suse\b")
_SOURCE = re.compile(r"\s*(?:(?:then|do|else|\{|\()\s+)*(?:source|\.)[ \t]+[\"']?([^\s\"']+)")
_EVAL = re.compile(r"\beval\b")
# What stands in most .bashrc's and sets colours, a pager or an agent.
_HARMLESS = re.compile(r"\b(?:dircolors|lesspipe|lesspipe\.sh|ssh-agent)\b")


def read(files: Root, path: str) -> str | None:
    """Return the text of a file, None where it is not here or cannot be read."""
    try:
        return files.read_text(path, _LARGEST) if "\0" not in path and files.is_file(path) else None
    except OSError:
        return None


def commands(text: str) -> list[str]:
    """Return the parts of lines that are commands of their own, without comments; quotes are not looked at."""
    return [part[0] for line in text.split("\n") for part in _PART.finditer(line.partition("#")[0])]


def adds_trees(text: str) -> bool:
    """Tell whether a text may add trees of modules."""
    if "MODULEPATH" in text:
        return True
    found = ((part, _MODULE.search(part)) for part in commands(text))
    return any(module and _USE.search(part, module.end() - 1) for part, module in found)


def sources_others(text: str) -> bool:
    """Tell whether a text sources files that are not of the system and do more than set a tool up."""
    found = [one[1] for part in commands(text) if (one := _SOURCE.match(part))]
    return any(not (one.startswith("/etc/") or setup.sourced(one)) for one in found)


def evaluates(text: str) -> bool:
    """Tell whether a text runs what it makes itself, but the usual hooks."""
    lines = (line.partition("#")[0] for line in text.split("\n") if "eval" in line)
    return any(_EVAL.search(one) and not setup.evaluated(one) and not _HARMLESS.search(one) for one in lines)
