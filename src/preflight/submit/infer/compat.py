"""Whether a job may bring NVIDIA's forward-compatibility package: then an older driver runs a newer CUDA.

It comes as a module, by LD_LIBRARY_PATH, or with an environment of conda's (conda-forge's cuda-compat). Where the
script, or what is submitted with it, may bring one, no CUDA binds. Source: CUDA Compatibility, "Forward Compatibility".
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preflight.submit.infer.session import Session

_NAMED = re.compile(r"compat(?!ib)", re.IGNORECASE)
_COMMENT = re.compile(r"^[ \t]*#(?!SBATCH)[^\n]*", re.MULTILINE)
_SETS = re.compile(r"LD_LIBRARY_PATH\+?=(\"[^\"]*\"|'[^']*'|[^\s;&|)]*)")
# Parts of a value that are known, or that what was there before.
_KNOWN = re.compile(r"\$\{?(?:LD_LIBRARY_PATH|HOME|PWD|USER|SLURM_SUBMIT_DIR)\b(?::?[-+][^}]*)?\}?")
# What does not change it: its value, and that it goes to the processes.
_READS = re.compile(r"\$\{?LD_LIBRARY_PATH|(?:unset|export|-x)[ \t]+LD_LIBRARY_PATH\b(?![+=])")
# Modules whose names are computed, or are in a file.
_MODULES = re.compile(r"\b(?:module|ml)[ \t]+[^\n;&|#]*[$`]|\b(?:module|ml)[ \t]+restore", re.MULTILINE)
_GIVEN = ("LD_LIBRARY_PATH", "LOADEDMODULES", "_LMFILES_", "LD_PRELOAD")
_OF_SYSTEM = re.compile(r"/(?:usr/)?lib(?:32|64)?(?:/|$)")
_MANY = 100


def may_be_brought(session: Session) -> bool:
    """Tell whether the script, or the environment that it is submitted with, may bring such a package."""
    if session.compat is None:
        session.compat = _may(session)
    return session.compat


def look(session: Session, prefix: str) -> None:
    """Look for such a package in an environment that the job uses; raises OSError."""
    metas = session.files.names(f"{prefix}/conda-meta") or ()
    if any(name.startswith("cuda-compat") for name in metas):
        session.compat = True


def _may(session: Session) -> bool:
    text = _COMMENT.sub("", session.text)
    if _NAMED.search(text) or "LD_PRELOAD" in text or _MODULES.search(text):
        return True
    given = [session.environment.get(name, "") for name in _GIVEN]
    values = [one.strip("\"'") for one in _SETS.findall(text)]
    known = [_KNOWN.sub("", one) for one in values]
    if any(_NAMED.search(one) for one in given) or any("$" in one or "`" in one for one in known):
        return True
    if "LD_LIBRARY_PATH" in _READS.sub("", _SETS.sub("", text)):
        return True
    places = [place for one in (given[0], *values) for place in one.split(":")]
    return any(_holds_driver(session, place) for place in dict.fromkeys(places[:_MANY]))


def _holds_driver(session: Session, place: str) -> bool:
    """Tell whether a directory of LD_LIBRARY_PATH has a driver's library of its own."""
    place = re.sub(r"^(?:~|\$\{?HOME\}?)(?=/|$)", lambda _: session.home, place)
    if not place.startswith("/") or "\0" in place or _OF_SYSTEM.match(posixpath.normpath(place)):
        return False
    try:
        return session.files.stat(f"{place}/libcuda.so.1") is not None
    except OSError:
        return True
