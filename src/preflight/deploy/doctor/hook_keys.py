"""slurm.conf's Prolog, Epilog, HealthCheckProgram and TaskProlog: do they lead to our scripts?

A site may name a script of its own that calls ours, or link ours into a directory. What cannot be seen through is
unknown, not wrong.
"""

import glob
import os
import re
from collections.abc import Iterator
from shlex import quote
from typing import NamedTuple

from preflight.deploy.doctor.host import NODE, Host
from preflight.deploy.doctor.result import Result, ok, unknown, wrong
from preflight.deploy.layout import SLURM_KEYS
from preflight.files import read_plain

MANY = ("Prolog", "Epilog")  # keys that may be a pattern, and from 24.11 on may be given more than once
PATHS = re.compile(r"/[\w.+/-]*[\w+]")
MAX_BYTES = 1 << 18


def look(host: Host) -> Iterator[Result]:
    """Yield one result for each of the four keys."""
    if not host.conf.known:
        return
    for name, key in SLURM_KEYS.items():
        yield _look_at(host, f"{host.target.libexec}/{name}", key)


def _look_at(host: Host, ours: str, key: str) -> Result:
    subject, where = f"slurm.conf {key}", host.conf.source
    named = values(host, key)
    fix = host.in_conf(f"{key}={ours}")
    if not named:
        return wrong(subject, f"{key} is not set: {_meaning(key)}", where, fix)
    missing = [one for one in named if host.has(NODE) and not _expand(host, one, key)]
    if missing:
        if missing[0] == ours:
            fix = host.again
        return wrong(subject, f"{key} names {missing[0]}, which is not on this node: slurmd fails it", where, fix)
    broken = [path for one in named if host.has(NODE) and key in MANY for path in _cannot_run(host, one)]
    if broken:
        text = f"{key} is {named[-1]}, which takes in a file that cannot be run: slurmd drains the node"
        return wrong(subject, text, broken[0], f"chmod 755 {quote(broken[0])}, or move it elsewhere")
    routes = [_route(path, ours) for one in named for path in (_expand(host, one, key) or [one])]
    best = min(routes, key=lambda route: route.rank)
    if best.rank == DIRECT:
        return _of_script(host, subject, ours, key, where)
    if best.rank == THROUGH:
        return ok(subject, f"{best.path} calls {ours}", where)
    if not host.has(NODE):
        text = f"{key} names {named[-1]}, not {ours}: whether that calls ours is seen on a node"
        return unknown(subject, text, where)
    text = f"{key} is {', '.join(named)}; {best.why}, so whether it calls Preflight's cannot be told"
    return unknown(subject, text, where, f"let it call {ours} (docs/install.md), or {fix}")


DIRECT, THROUGH, OPAQUE = range(3)


class _Route(NamedTuple):
    """How a script that slurm.conf names leads to ours."""

    rank: int
    path: str
    why: str = ""


def values(host: Host, key: str) -> tuple[str, ...]:
    """Return what slurm.conf names: of several lines all for Prolog and Epilog from 24.11 on, else the last.

    Seen: 22.05 runs the last Prolog= line's only; 24.11.5 and 26.05.5 run all.
    """
    named = host.conf.all(key)
    several = key in MANY and (host.conf.asked or host.release >= (24, 11))
    named = named if several else named[-1:]
    return tuple(one if one.startswith("/") else f"{host.conf.directory}/{one}" for one in named)


def _expand(host: Host, path: str, key: str) -> list[str]:
    """Return the executable files that slurmd finds there."""
    found = sorted(glob.glob(path)) if key in MANY else [path]
    return [one for one in found if os.path.isfile(one) and (os.access(one, os.X_OK) or not host.root)]


def _cannot_run(host: Host, pattern: str) -> list[str]:
    """Return what slurmd would fail at: anything that a pattern takes in and that is no executable file (seen)."""
    runs = _expand(host, pattern, "Prolog")
    return [one for one in sorted(glob.glob(pattern)) if one not in runs]


def _route(path: str, ours: str) -> _Route:
    if os.path.realpath(path) == os.path.realpath(ours):
        return _Route(DIRECT, path)
    try:
        text = read_plain(path, MAX_BYTES).decode(errors="replace")
    except OSError as error:
        return _Route(OPAQUE, path, f"{path} cannot be read ({error.strerror})")
    code = "\n".join(line for line in text.splitlines()[1:] if not line.lstrip().startswith("#"))
    if ours in code or any(_leads(one, ours) for one in set(PATHS.findall(code))):
        return _Route(THROUGH, path)
    return _Route(OPAQUE, path, f"{ours} is not named in {path}")


def _leads(path: str, ours: str) -> bool:
    """Return whether a path in a script is ours by another name, or a directory with a link to ours in it."""
    real = os.path.realpath(ours)
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            return any(os.path.realpath(one.path) == real for one in list(entries)[:200])
    return os.path.realpath(path) == real and os.path.exists(path)


def _of_script(host: Host, subject: str, ours: str, key: str, where: str) -> Result:
    if not host.has(NODE):
        return ok(subject, ours, where)
    if os.path.basename(ours) not in host.scripts:
        text = f"{ours} does nothing: Preflight was uninstalled here, or it is another's"
        return wrong(subject, text, ours, f"{host.again}, or take {key} out of slurm.conf")
    return ok(subject, ours, where)


def _meaning(key: str) -> str:
    return {
        "Prolog": "no job is checked before it starts",
        "Epilog": "nothing is compared when a job ends",
        "HealthCheckProgram": "no node is checked between jobs, and none that we drained comes back",
        "TaskProlog": "a job is not told why it is not ready",
    }[key]
