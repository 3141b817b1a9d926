"""Whether a job may bring NVIDIA's forward-compatibility package: then an older driver runs a newer CUDA.

It comes as a module, by LD_LIBRARY_PATH, or with an environment of conda's (conda-forge's cuda-compat). Where the
script, what it sources or evaluates, or what is submitted with it, may bring one, no CUDA binds, wherever that stands.
Source: CUDA Compatibility, "Forward Compatibility".
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from preflight.submit.infer import shellfiles

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
_MODULES = re.compile(r"\b(?:module|ml)[ \t]+(restore)?")
_COMPUTED = re.compile(r"[$`]")
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


def sourced(session: Session, text: str | None) -> None:
    """Take the text of a file that the script sources, None for what is not here or is evaluated."""
    if session.compat is not True and (
        text is None or shellfiles.sources_others(text) or shellfiles.evaluates(text) or _says(session, text)
    ):
        session.compat = True


def settle(session: Session) -> None:
    """Let no CUDA bind where a package may be brought, now that the whole script was read."""
    if session.compat:
        session.collector.loosen("cuda>=")


def _may(session: Session) -> bool:
    given = [session.environment.get(name, "") for name in _GIVEN]
    return any(_NAMED.search(one) for one in given) or _says(session, session.text, given[0])


def _loads_unknown(text: str) -> bool:
    """Tell whether a text loads modules whose names are computed, or are in a file."""
    for part in shellfiles.commands(text):
        found = list(_MODULES.finditer(part))
        if any(one[1] for one in found) or (found and _COMPUTED.search(part, found[0].end())):
            return True
    return False


def _says(session: Session, text: str, given: str = "") -> bool:
    """Tell whether a text may bring such a package; ``given``: the LD_LIBRARY_PATH before it."""
    text = _COMMENT.sub("", text)
    if _NAMED.search(text) or "LD_PRELOAD" in text or _loads_unknown(text):
        return True
    values = [one.strip("\"'") for one in _SETS.findall(text)]
    known = [_KNOWN.sub("", one) for one in values]
    if any("$" in one or "`" in one for one in known):
        return True
    if "LD_LIBRARY_PATH" in _READS.sub("", _SETS.sub("", text)):
        return True
    places = [place for one in (given, *values) for place in one.split(":")]
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
