"""The variables that an image brings along, from the files in which each kind of image keeps them.

Nothing is run: shell text is read only where it says `NAME=value` plainly. Only variables whose names begin with
NVIDIA_ or CUDA_ are kept; the others may hold secrets and are nobody's concern here.
"""

import re
import shlex

from preflight.facts.rootfs import Root

ENROOT = "/etc/environment"
SINGULARITY = "/.singularity.d/env/*.sh"
MAX_FILE = 1 << 20
MAX_VALUE = 16_384
MAX_VARIABLES = 512
_NAME = re.compile(r"(?:NVIDIA|CUDA)_[A-Z0-9_]{1,120}")
_LINE = re.compile(r"\s*(?:export\s+)?((?:NVIDIA|CUDA)_[A-Z0-9_]{1,120})=(.*)")
# How Apptainer writes an image's variables: export NAME="${NAME:-"value"}"
_DEFAULT = re.compile(r'"?\$\{[A-Za-z0-9_]+:?-(.*)\}"?\s*')

Variables = tuple[dict[str, str], dict[str, str], list[str]]


def wanted(variables: dict[str, str], where: str) -> Variables:
    """Return (variables of interest, where each stands, notes)."""
    kept: dict[str, str] = {}
    notes: list[str] = []
    for name, value in variables.items():
        if not _NAME.fullmatch(name):
            continue
        if len(value) > MAX_VALUE or len(kept) >= MAX_VARIABLES:
            notes.append(f"{name} in {where} is too long and was not read")
            continue
        kept[name] = value
    return kept, dict.fromkeys(kept, where), notes


def from_root(root: Root) -> Variables:
    """Return the variables in an unpacked root: enroot's /etc/environment, then Singularity's scripts in order."""
    variables: dict[str, str] = {}
    sources: dict[str, str] = {}
    notes: list[str] = []
    places = [(ENROOT, False)] if root.is_file(ENROOT) else []
    for path, shell in [*places, *((path, True) for path in root.glob(SINGULARITY))]:
        try:
            text = root.read_text(path, MAX_FILE) if root.is_file(path) else ""
        except OSError as error:
            notes.append(f"{path} was not read: {error.strerror}")
            continue
        found, unread = parse_shell(text or "") if shell else (parse_plain(text or ""), [])
        notes += [f"{name} in {path} is computed when the container starts and was not read" for name in unread]
        kept, where, more = wanted(found, path)
        variables |= kept
        sources |= where
        notes += more
    return variables, sources, notes


def parse_plain(text: str) -> dict[str, str]:
    """Return the variables of NAME=value lines, as enroot writes them: quotes around a value are taken off."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        if matched:
            value = matched[2].strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[matched[1]] = value
    return found


def parse_shell(text: str) -> tuple[dict[str, str], list[str]]:
    """Return (variables of plain assignments in a shell script, names whose value would have to be computed)."""
    found: dict[str, str] = {}
    unread: list[str] = []
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        if not matched:
            continue
        value = _shell_value(matched[2].strip())
        if value is None:
            unread.append(matched[1])
        else:
            found[matched[1]] = value
    return found, unread


def _shell_value(text: str) -> str | None:
    """Return what a word of a shell script stands for, None where it would have to be run."""
    default = _DEFAULT.fullmatch(text)
    text = default[1] if default else text
    if len(text) > 4 * MAX_VALUE or re.search(r"(?<!\\)[$`]", text):
        return None
    try:
        words = shlex.split(text.removesuffix(";"), comments=True)
    except ValueError:
        return None
    return words[0] if len(words) == 1 else " ".join(words) if default else "" if not words else None


def from_definition(text: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables of a definition file's %environment section, as `parse_shell` does."""
    inside = False
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("%"):
            inside = line.split()[0] == "%environment"
        elif inside:
            lines.append(line)
    return parse_shell("\n".join(lines))
