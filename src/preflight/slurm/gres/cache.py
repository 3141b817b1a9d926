"""What was read, kept in root's runtime directory: a hook parses again only when a file, or Slurm itself, changed."""

from __future__ import annotations

import os

from preflight import __version__
from preflight.files import NOWHERE, read_json, tolerate, write_json
from preflight.slurm.gres.model import Gres, from_json, to_json
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

# Where slurmd looks and keeps what a configless controller gives it (slurm.conf(5), configless_slurm.html).
PLACES = (
    "/run/slurm/conf",
    "/var/spool/slurmd/conf-cache",
    "/var/spool/slurm/slurmd/conf-cache",
    "/var/spool/slurm/d/conf-cache",
    "/etc/slurm",
    "/etc/slurm-llnl",
    "/opt/slurm/etc",
    "/usr/local/etc",
)
NAMES = ("slurm.conf", "gres.conf")
ANCESTORS = 8


def conf_directory(slurm_conf: str, before: str = "") -> str:
    """Return where Slurm's configuration stands: beside slurm.conf, in a configless node's copy, or a usual place.

    ``before``: where it was found before, which counts where ``slurm_conf`` is not known.
    """
    if slurm_conf == NOWHERE:  # and the usual places may hang as well
        return os.path.dirname(slurm_conf)
    named = [os.path.dirname(slurm_conf)] if slurm_conf else [before] if before else []
    places = [*named, *PLACES]
    return next((place for place in places if any(os.path.exists(f"{place}/{name}") for name in NAMES)), places[0])


def cached(slurm_conf: str, node: str, run_dir: str, daemon: Daemon | None = None) -> Gres:
    """Return what `read` gives for the configuration of ``node``, from ``run_dir`` where nothing has changed.

    ``slurm_conf``: as $SLURM_CONF or the policy names it, "" where neither does: then what an earlier hook was told.
    ``daemon``: the slurmd for whose hook it is read, None for that of this process.
    """
    place = f"{run_dir}/gres-{node}.json"
    stored = read_json(place)
    if not isinstance(stored, dict):
        stored = {}
    before = stored.get("told")
    directory = conf_directory(slurm_conf, before if isinstance(before, str) else "")
    daemon = daemon or slurm_daemon()
    key = [directory, *daemon, __version__]
    if stored.get("key") == key:
        with tolerate((KeyError, TypeError, ValueError)):
            if all(identity(path) == known for path, known in stored["files"]):
                return from_json(stored["gres"])
    from preflight.slurm.gres.reading import read_with_files

    gres, files = read_with_files(directory, node, slurmd=daemon.path, pid=daemon.pid)
    kept: dict[str, Any] = {
        "key": key,
        "told": directory if slurm_conf else before,
        "files": [[path, identity(path)] for path in dict.fromkeys(files)],
        "gres": to_json(gres),
    }
    with tolerate(OSError):  # a full or read-only file system only costs the cache
        write_json(place, kept)
    return gres


def identity(path: str) -> list[int]:
    """Return what a file must keep to count as unchanged; [] where it is missing."""
    try:
        info = os.stat(path)
    except OSError:
        return []
    return [info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_rdev]


class Daemon(NamedTuple):
    """A running slurmd: its program's path, process id and start (clock ticks since boot); "" and 0 unknown."""

    path: str = ""
    pid: int = 0
    start: str = ""


def slurm_daemon(process: int = 0) -> Daemon:
    """Return the Slurm daemon that runs ``process``, 0 for this one: the outermost, as slurmd forks before a script."""
    process, found = process or os.getppid(), Daemon()
    with tolerate((OSError, ValueError, IndexError)):
        for _ in range(ANCESTORS):
            if process < 2:
                break
            with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read(4096).rpartition(")")[2].split()
            program = os.readlink(f"/proc/{process}/exe").removesuffix(" (deleted)")
            # Debian's program is slurmd-wlm; slurmdbd is another.
            if f"{os.path.basename(program)}-".startswith("slurmd-"):
                found = Daemon(program, process, fields[19])
            process = int(fields[1])
    return found
