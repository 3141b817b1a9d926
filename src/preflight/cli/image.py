"""`preflight image`: what a container image needs of a node."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import click

from preflight.cli import completion
from preflight.cli.common import fail, write_out
from preflight.report.clean import clean, clean_tree, width
from preflight.submit.image.model import Image, ImageError
from preflight.submit.image.needs import Need, needs, requirement
from preflight.submit.image.open import read

COLUMNS = 80
INDENT = 14
_KINDS = {
    "oci": "OCI layout",
    "docker": "docker save archive",
    "sif": "SIF",
    "squashfs": "squashfs",
    "directory": "unpacked root",
}
# What checks NVIDIA_REQUIRE_* where an image of the kind is started: Apptainer's --nv does not.
_CHECKERS = {"oci": "toolkit", "docker": "toolkit", "squashfs": "enroot", "directory": "enroot", "sif": ""}


@click.command()
@click.argument("path", metavar="PATH|REF", shell_complete=completion.files)
@click.option("--json", "as_json", is_flag=True, help="Print an object, format preflight.image/1.")
def image(path: str, as_json: bool) -> None:
    """Say what a container image needs of a node, and from which evidence.

    PATH is an OCI layout, a `docker save` tar, a SIF, a squashfs (enroot) or an unpacked root directory. Nothing is
    downloaded: a reference such as docker://ubuntu is refused. Nothing in the image is run.
    """
    try:
        found = read(path)
    except ImageError as error:
        fail(clean(str(error), 1000))
    asked, checked = needs(found), requirement(needs(found, _CHECKERS[found.kind]))
    if as_json:
        write_out(json.dumps(document(found, asked, checked), indent=2))
    else:
        write_out("\n".join(page(found, asked, checked)))


def document(found: Image, asked: list[Need], checked: str) -> dict[str, Any]:
    """Return the image and its needs as a JSON object; texts are cleaned.

    ``checked``: the requirement where a runtime checks NVIDIA_REQUIRE_* before it starts the container.
    """
    value = {"format": "preflight.image/1", **found._asdict()}
    value["cuda"] = [one._asdict() for one in found.cuda]
    value["compat"] = [one._asdict() for one in found.compat]
    value["platforms"], value["notes"] = list(found.platforms), list(found.notes)
    value["needs"] = [need._asdict() for need in asked]
    value["requirement"] = requirement(asked) or None
    value["requirement_checked"] = checked or None
    cleaned: dict[str, Any] = clean_tree(value, 20_000)
    return cleaned


def page(found: Image, asked: list[Need], checked: str) -> Iterator[str]:
    """Return the page's lines, at most COLUMNS wide, printable characters only."""
    machine = clean(found.architecture, 40) if found.architecture else "architecture not told"
    yield from _wrapped(f"{clean(found.path, 300)}  ({_KINDS[found.kind]}, {machine})", "")
    yield ""
    if not asked:
        yield "Nothing in it says what it needs of a node."
    subject = ""
    for need in asked:
        label = need.subject if need.subject != subject else ""
        subject = need.subject
        yield from _wrapped(clean(need.text, 700), label)
        yield from _wrapped(f"from {clean(need.evidence, 400)}", "", "  ")
    said = requirement(asked)
    yield ""
    if said:
        yield "As a requirement, never stronger than that:"
        yield from _requirement(said)
    else:
        yield "None of it can be said as a requirement."
    if checked != said:
        yield ""
        yield "Under pyxis, enroot or Docker, which do not start the container otherwise:"
        yield from _requirement(checked)
    if found.notes:
        yield ""
        yield "Notes"
        for note in found.notes[:40]:
            yield from textwrap.wrap(clean(note), COLUMNS, initial_indent="  ", subsequent_indent="    ")


def _wrapped(text: str, label: str, more: str = "") -> list[str]:
    indent = " " * INDENT if label or more or not text.endswith(")") else ""
    lines = textwrap.wrap(text, COLUMNS - len(indent) - len(more), break_on_hyphens=False) or [""]
    lines = [piece for line in lines for piece in _narrow(line, COLUMNS - len(indent) - len(more))]
    first = f"{label:<{len(indent)}}{more}{lines[0]}"
    return [first, *(f"{indent}{more}{line}" for line in lines[1:])]


def _narrow(line: str, columns: int) -> Iterator[str]:
    """Yield a line in pieces that fit: letters of East Asia take two columns."""
    piece = ""
    for letter in line:
        if width(piece + letter) > columns:
            yield piece
            piece = ""
        piece += letter
    yield piece


def _requirement(text: str) -> Iterator[str]:
    """Yield the requirement, quoted for a shell, broken only between clauses (in quotes, "\\" joins lines)."""
    line = '  --require="'
    clauses = text.split(", ")
    for number, clause in enumerate(clauses):
        piece = clause + (", " if number < len(clauses) - 1 else '"')
        if len(line) + len(piece) > COLUMNS - 1 and line.strip() != '--require="':
            yield f"{line.rstrip()}\\"
            line = " " * 13
        line += piece
    yield line
