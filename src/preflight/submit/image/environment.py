"""The variables that an image brings along, from the files in which each kind of image keeps them.

Nothing is run: of shell text what is certain to be set is read (shell.py). Only variables whose names begin with
NVIDIA_ or CUDA_ are kept; the others may hold secrets and are nobody's concern here.
"""

import re

from preflight.facts.rootfs import Root
from preflight.submit.image.shell import Script

ENROOT = "/etc/environment"
CHARLIECLOUD = "/ch/environment"  # of `ENV`, and of the configuration of an image that ch-image pulled
SINGULARITY = "/.singularity.d/env/*.sh"
DEFINITION = "the definition file, %environment"
MAX_FILE = 1 << 20
_UNCERTAIN = "is computed, or set under a condition, when the container starts and was not read"
MAX_VALUE = 16_384
MAX_VARIABLES = 512
_NAME = re.compile(r"(?:NVIDIA|CUDA)_[A-Z0-9_]{1,120}")
_LINE = re.compile(r"\s*(?:export\s+)?((?:NVIDIA|CUDA)_[A-Z0-9_]{1,120})=(.*)")
_NOTHING = re.compile(r"(?!)")
_SECTION = re.compile(r"%(\w+)")
_STAGE = re.compile(r"^[ \t]*bootstrap[ \t]*:", re.IGNORECASE | re.MULTILINE)

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
    """Return the variables in an unpacked root: enroot's /etc/environment, Charliecloud's /ch/environment, then
    Singularity's scripts in order."""
    variables: dict[str, str] = {}
    sources: dict[str, str] = {}
    notes: list[str] = []
    for path in (ENROOT, CHARLIECLOUD):
        text, unread = _text(root, path)
        kept, where, more = wanted(parse_plain(text), path)
        variables, sources = variables | kept, sources | where
        notes += unread + more
    # As `apptainer exec --cleanenv` starts it: what no script has set is unset.
    script = Script(variables, _NAME)
    for path in root.glob(SINGULARITY):
        text, unread = _text(root, path)
        notes += unread
        before, script.unread = dict(script.values), []
        if not script.read(text):
            notes.append(f"{path} is too long and was not read")
            continue
        names = dict.fromkeys(name for name in script.unread if _NAME.fullmatch(name))
        notes += [f"{name} in {path} {_UNCERTAIN}" for name in names]
        kept, where, more = wanted(script.values, path)
        sources |= {name: path for name in where if kept[name] != before.get(name) or name not in sources}
        variables = kept
        notes += more
    return variables, {name: sources[name] for name in variables}, notes


def _text(root: Root, path: str) -> tuple[str, list[str]]:
    """Return a file's text, "" and a note where it cannot be read."""
    try:
        return (root.read_text(path, MAX_FILE) or "" if root.is_file(path) else ""), []
    except OSError as error:
        return "", [f"{path} was not read: {error.strerror}"]


def parse_plain(text: str) -> dict[str, str]:
    """Return the variables of NAME=value lines, as enroot and Charliecloud write them: quotes around a value are taken
    off, as `ch-run --set-env` does too."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        if matched:
            value = matched[2].strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[matched[1]] = value
    return found


def from_definition(text: str) -> Variables:
    """Return the variables of the %environment of a definition file, of several stages the last.

    What the image that it begins with has set is not known: a default of an unset variable settles nothing.
    """
    stages = list(_STAGE.finditer(text))
    inside = False
    lines: list[str] = []
    for line in text[stages[-1].start() if stages else 0 :].splitlines():
        section = _SECTION.match(line)
        if section:
            inside = section[1] == "environment"
        elif inside:
            lines.append(line)
    script = Script({}, _NOTHING)
    notes = [] if script.read("\n".join(lines)) else [f"{DEFINITION} is too long and was not read"]
    names = dict.fromkeys(name for name in script.unread if _NAME.fullmatch(name))
    notes += [f"{name} in {DEFINITION} {_UNCERTAIN}" for name in names]
    kept, where, more = wanted(script.values, DEFINITION)
    return kept, where, notes + more
