"""Slurm's configuration as it is in force (`scontrol show config`), or as the files say where nobody answers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from preflight.digits import is_whole
from preflight.files import read_plain
from preflight.slurm.commands import Slurm, SlurmError

PLACES = ("/run/slurm/conf/slurm.conf", "/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf")
COPY, COPIES = "/run/slurm/conf", "conf-cache"  # the latter below SlurmdSpoolDir
NOTHING = ("", "(null)", "none", "n/a")
MAX_FILES, MAX_BYTES = 50, 4 << 20
ASK_S = 10.0


class Conf(NamedTuple):
    """``values``: lower-case key -> its values in order. ``asked``: told by the controller, not read from files.

    ``source``: where it was read, for messages. ``problem``: why the controller was not asked, or nothing is known.
    ``path``: slurm.conf on this host, "" where there is none. ``files``: slurm.conf and what it includes.
    """

    values: dict[str, tuple[str, ...]]
    source: str
    asked: bool = False
    problem: str = ""
    path: str = ""
    files: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Return whether there is a configuration at all."""
        return bool(self.values)

    def all(self, key: str) -> tuple[str, ...]:
        """Return every value of ``key``; () where it is not set."""
        return tuple(one for one in self.values.get(key.lower(), ()) if one.lower() not in NOTHING)

    def get(self, key: str, default: str = "") -> str:
        """Return the value of ``key`` that counts, ``default`` where it is not set."""
        found = self.all(key)
        return found[-1] if found else default

    def words(self, key: str) -> tuple[str, ...]:
        """Return the words of a comma-separated value, lower case."""
        return tuple(word.strip().lower() for word in self.get(key).split(",") if word.strip())

    def seconds(self, key: str, default: float | None) -> float | None:
        """Return a value such as "30 sec" as seconds; None where there is no limit (65534, INFINITE, 0 or text)."""
        number = self.get(key).split(" ")[0]
        if not number:
            return default
        return float(number) if is_whole(number) and 0 < int(number) < 65533 else None

    @property
    def directory(self) -> str:
        """Return where slurm.conf, plugstack.conf and cli_filter.lua stand."""
        return os.path.dirname(self.path or self.get("slurm_conf")) or "/etc/slurm"

    @property
    def copy(self) -> str:
        """Return the directory of slurmd's or sackd's copy, where this host has its configuration from the controller.

        Configless Slurm writes it anew (configless_slurm.html); "" on a host with files of its own.
        """
        path = os.path.dirname(self.path)
        return path if path == COPY or os.path.basename(path) == COPIES else ""

    @property
    def at_controller(self) -> str:
        """Return the directory of the configuration that is the controller's own."""
        named = os.path.dirname(self.get("slurm_conf")) if self.asked else "" if self.copy else self.directory
        return "/etc/slurm" if named in ("", self.copy) else named


def conf_path(named: str) -> str:
    """Return slurm.conf's path on this host: the named one, a configless host's copy, or the usual place; "" none.

    ``named``: [hook] slurm_conf of the policy, or $SLURM_CONF.
    """
    places = (named, *PLACES) if named else PLACES
    return next((path for path in places if os.path.isfile(path)), "")


def read_conf(slurm: Slurm, path: str) -> Conf:
    """Return the configuration in force, else that of the file at ``path``, with why; never raises."""
    files: tuple[str, ...] = ()
    lines: list[tuple[str, str]] = []
    problem = ""
    if path:
        lines, files, problem = _read_files(path)
    try:
        text = _ask(slurm._replace(deadline=time.monotonic() + ASK_S))
    except SlurmError as error:
        source = path or "slurm.conf"
        why = f"{error}; {problem}" if problem else str(error)
        return Conf(in_force(lines), source, False, why, path, files)
    return Conf(parse_shown(text), "scontrol show config", True, "", path, files)


def _ask(slurm: Slurm) -> str:
    """Return what `scontrol show config` prints; where nobody answers it tries for 10 s, a ping knows at once."""
    try:
        slurm.run("scontrol", "ping")
    except SlurmError as error:
        if "not found" in str(error):
            raise
        # A backup may answer all the same.
        try:
            return slurm._replace(each_s=2.0).run("scontrol", "show", "config")
        except SlurmError:
            raise SlurmError("slurmctld does not answer (scontrol ping)") from None
    return slurm.run("scontrol", "show", "config")


def parse_shown(text: str) -> dict[str, tuple[str, ...]]:
    """Return the values that `scontrol show config` prints; "Prolog[0]" and "Prolog[1]" (24.11) are one key."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        name = key.strip().lower().partition("[")[0]
        if equals and name and " " not in name:
            found.setdefault(name, []).append(value.strip())
    return {key: tuple(values) for key, values in found.items()}


def in_force(lines: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the values of slurm.conf's (key, value) lines, all of those that are given more than once."""
    found: dict[str, list[str]] = {}
    for key, value in lines:
        found.setdefault(key.lower(), []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def _read_files(path: str) -> tuple[list[tuple[str, str]], tuple[str, ...], str]:
    """Return the settings of a slurm.conf and its includes, the files read, and what could not be read."""
    files: list[str] = []
    problems: list[str] = []
    settings = list(_settings(path, files, problems))
    return settings, tuple(files), "; ".join(problems)


def _settings(path: str, files: list[str], problems: list[str], cluster: str = "") -> Iterator[tuple[str, str]]:
    if path in files or len(files) >= MAX_FILES:
        return
    try:
        text = read_plain(path, MAX_BYTES).decode(errors="replace")
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
        return
    files.append(path)
    if "\0" in text:
        problems.append(f"{path}: a NUL byte in it: the file is damaged")
    lines = logical_lines(text)
    named = (line.partition("=") for line in lines)
    cluster = cluster or next((one.strip() for key, _, one in named if key.strip().lower() == "clustername"), "")
    for line in lines:
        words = line.split(None, 1)
        if words[0].lower() == "include" and len(words) == 2:
            # Slurm takes the name as it is written (no release expands * there), but for %c, the cluster's name.
            name = words[1].strip().replace("%c", cluster)
            yield from _settings(os.path.join(os.path.dirname(path), name), files, problems, cluster)
            continue
        key, equals, value = line.partition("=")
        if equals:
            yield key.strip(), value.strip().strip('"')


def logical_lines(text: str) -> list[str]:
    """Return the lines that say something: continued ones joined, comments and blank lines out."""
    joined = text.replace("\\\n", " ")
    lines = (line.partition("\0")[0].split("#", 1)[0].strip() for line in joined.splitlines())  # "\0" ends C's string
    return [line for line in lines if line]
