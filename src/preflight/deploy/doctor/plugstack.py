"""plugstack.conf: is our line there, does it name what is there, and was the plugin built for this Slurm?"""

import glob
import os
from collections.abc import Iterator
from typing import NamedTuple

from preflight.deploy.doctor.conf import MAX_BYTES, MAX_FILES, logical_lines
from preflight.deploy.doctor.elf import ElfError, plugin_release
from preflight.deploy.doctor.host import LOGIN, NODE, Host
from preflight.deploy.doctor.result import Result, ok, skip, unknown, warn, wrong
from preflight.deploy.slurm_release import written
from preflight.files import read_plain

SUBJECT = "plugstack.conf"
NAME = "preflight.so"
KEY = "preflight="


class Line(NamedTuple):
    """Our line: ``place`` "FILE:LINE", the plugin's absolute path, its arguments."""

    place: str
    kind: str
    plugin: str
    arguments: tuple[str, ...]


def look(host: Host) -> Iterator[Result]:
    """Yield the results for plugstack.conf and the plugin."""
    if not host.has(NODE, LOGIN):
        yield skip(SUBJECT, "slurmctld loads no SPANK plugin")
        return
    path = host.conf.get("PlugStackConfig") or f"{host.conf.directory}/plugstack.conf"
    if not os.path.exists(path) and os.path.exists(f"{host.conf.directory}/plugstack.conf"):
        path = f"{host.conf.directory}/plugstack.conf"  # a configless host: the controller's path is not ours
    ours = f"optional {host.target.plugin} {KEY}{host.target.program}"
    files: list[str] = []
    problems: list[str] = []
    lines = list(_lines(path, host.conf.get("PluginDir"), files, problems))
    if not lines:
        if not host.conf.known or (problems and not host.root):
            yield unknown(SUBJECT, "; ".join(problems) or "where it is could not be told", path)
        elif not os.path.lexists(host.target.plugin) and not os.path.exists(path):
            yield skip(SUBJECT, "no plugin is installed: jobs ask by require: ... in their comment")
        else:
            text = "; ".join(problems) or f"no line for {NAME}: sbatch does not know --require"
            yield wrong(SUBJECT, text, path, f"echo '{ours}' >>{path}")
        return
    line = lines[-1]
    yield _line(host, line, ours)
    yield from _program(line, host)
    yield _built(host, line)


def _lines(path: str, plugin_dir: str, files: list[str], problems: list[str]) -> Iterator[Line]:
    """Yield our lines of plugstack.conf and of what it includes, in Slurm's order."""
    if path in files or len(files) >= MAX_FILES:
        return
    files.append(path)
    try:
        text = read_plain(path, MAX_BYTES).decode(errors="replace")
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
        return
    for number, raw in enumerate(text.splitlines(), 1):
        words = next((line.split() for line in logical_lines(raw)), [])
        if len(words) >= 2 and words[0].lower() == "include":
            for one in sorted(glob.glob(os.path.join(os.path.dirname(path), words[1]))):
                yield from _lines(one, plugin_dir, files, problems)
        elif len(words) >= 2 and os.path.basename(words[1]) == NAME:
            plugin = os.path.join(plugin_dir.split(":")[0] or "/", words[1])
            yield Line(f"{path}:{number}", words[0].lower(), plugin, tuple(words[2:]))


def _line(host: Host, line: Line, ours: str) -> Result:
    if not os.path.exists(line.plugin):
        text = f"{line.plugin} is not there: sbatch does not know --require"
        return wrong(SUBJECT, text, line.place, f"write there: {ours}")
    if line.kind == "required":
        text = "required: where the plugin is missing or built for another Slurm, every job fails"
        return warn(SUBJECT, text, line.place, f"write there: {ours}")
    return ok(SUBJECT, line.plugin, line.place)


def _program(line: Line, host: Host) -> Iterator[Result]:
    programs = [one.removeprefix(KEY) for one in line.arguments if one.startswith(KEY)]
    subject, fix = f"{SUBJECT} {KEY}", f"write there: {line.kind} {line.plugin} {KEY}{host.target.program}"
    others = [one for one in line.arguments if not one.startswith(KEY)]
    if others:
        yield wrong(subject, f"{others[0]!r} is no argument of {NAME}", line.place, fix)
    elif not programs:
        yield wrong(subject, f"{KEY}PROGRAM is missing: --require is not checked at submit", line.place, fix)
    elif not programs[-1].startswith("/") or not os.access(programs[-1], os.X_OK):
        text = f"{programs[-1]} is not a program here: --require is not checked at submit"
        yield wrong(subject, text, line.place, fix)
    else:
        yield ok(subject, programs[-1], line.place)


def _built(host: Host, line: Line) -> Result:
    """Slurm takes a SPANK plugin of the same major and minor release, whatever the micro (seen)."""
    subject = "plugin release"
    if not os.path.exists(line.plugin):
        return skip(subject, "no plugin to look at")
    try:
        built = plugin_release(line.plugin)
    except (OSError, ElfError) as error:
        return wrong(subject, f"{error}", line.plugin, host.again)
    if not host.release:
        return unknown(subject, f"built for Slurm {written(built)}; scontrol -V gave no release", line.plugin)
    if built[:2] != host.release[:2]:
        text = f"built for Slurm {written(built)}, this host has {written(host.release)}: --require is then unknown"
        return wrong(subject, text, line.plugin, host.again)
    return ok(subject, f"built for Slurm {written(built)}", line.plugin)
