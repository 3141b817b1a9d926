"""One setting of slurm.conf: from the file where this host has it, which asks nothing of the controller."""

from __future__ import annotations

from preflight.files import read_plain
from preflight.slurm.commands import Slurm, lines

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable

CONF = "/etc/slurm/slurm.conf"
MAX_CONF = 16 << 20


def setting(slurm: Slurm, key: str) -> str:
    """Return a setting of the cluster, "" where it has none; raises SlurmError where neither file nor controller tell.

    A file that is not here, that includes others, or that leaves the key to Slurm's default, leaves it to the
    controller.
    """
    said = in_file(slurm.conf or CONF, key)
    return said or in_lines(lines(slurm.run("scontrol", "show", "config")), key)


def in_file(path: str, key: str) -> str | None:
    """Return a setting as the file has it, None where the file is not here or includes others."""
    try:
        text = read_plain(path, MAX_CONF).decode(errors="replace")
    except OSError:
        return None
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return None if any(line.lower().startswith("include") for line in lines) else in_lines(lines, key)


def plain_in_file(path: str, key: str) -> str | None:
    """Return a setting of one word as the file has it, "" where it stands nowhere in the file.

    None where another look is needed: the file is not here, or what it says of the key is not a line "KEY=WORD".
    """
    try:
        text = read_plain(path, MAX_CONF).decode(errors="replace")
    except OSError:
        return None
    lowered = text.lower()
    if "include" in lowered or len(text) >= MAX_CONF:
        return None
    found = [line for line in text.splitlines() if key.lower() in line.partition("#")[0].lower()]
    if not found:
        return ""
    value = in_lines([found[0].partition("#")[0]], key)
    return value if len(found) == 1 and value and not any(letter in value for letter in " \t\"'\\") else None


def in_lines(lines: Iterable[str], key: str) -> str:
    """Return a setting as lines have it, of slurm.conf or of `scontrol show config`; "" where none has it."""
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and name.strip().lower() == key.lower():
            return value.strip()
    return ""
