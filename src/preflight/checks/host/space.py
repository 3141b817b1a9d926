"""Rows of kind "space": room and inodes on a file system. What users can fill never drains."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed, skipped
from preflight.facts.host.match import amount, shown, size

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding

REMEDY = "remove what nobody needs any more, or make room (du -x shows where it went)"
# key of the row -> what of the file system, and whether the row's value is the least or the most of it
ROOM = {"free_min": ("free", True), "free_max": ("free", False), "used_max": ("used", False)}
SIZE = {"size_min": ("size", True), "size_max": ("size", False)}
INODES = {"inodes_free_min": ("inodes_free", True), "inodes_used_max": ("inodes_used", False)}


@host_check("space", remedy=REMEDY)
def space(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """Each file system that a row names has the room and the inodes that it asks for.

    A share is of what users can have, used and free together, as df counts it (coreutils, df's Use%).
    """
    if told.get("unmounted"):
        yield skipped(f"nothing is mounted at {args.get('path') or args.get('device')}")
        return
    if told["path"] is None:
        yield failed(f"{args.get('path') or args.get('device')} is not there", observed="absent", blame="node")
        return
    public = told.get("public")
    blame, more = ("user", f"; users may write to {public} on it") if public else ("", "")
    for key, (value, least) in ROOM.items():
        if key in args:
            whole = told["used"] + told["free"]
            part = f" ({told[value] / whole:.1%})" if whole else ""
            observed, text = shown(told[value]), f"{shown(told[value])}{part} {value}"
            yield _judge(told[value], amount(args[key], whole), least, args[key], observed, text, blame, more)
    for key, (value, least) in SIZE.items():
        if key in args:
            text = shown(told[value])
            yield _judge(told[value], size(args[key]), least, args[key], text, f"{text} in all", "node", "")
    for key, least in (("inodes_min", True), ("inodes_max", False)):
        if key in args:
            text = f"{told['inodes']} inodes in all"
            yield _judge(told["inodes"], args[key], least, args[key], str(told["inodes"]), text, "node", "")
    for key, (value, least) in INODES.items():
        if key in args and not told["inodes"]:
            yield skipped("this file system makes inodes as they are needed")
        elif key in args:
            text = f"{told[value]} inodes {value.partition('_')[2]}"
            whole = told["inodes_used"] + told["inodes_free"]
            bound = amount(args[key], whole)
            yield _judge(told[value], bound, least, args[key], str(told[value]), text, blame, more)


def _judge(
    value: float, bound: float, least: bool, asked: str, observed: str, text: str, blame: str, more: str
) -> Finding:
    expected = f"{'>=' if least else '<='} {asked}"
    if value < bound if least else value > bound:
        return failed(f"{text}, {expected} asked{more}", observed=observed, expected=expected, blame=blame)
    return passed(text, observed=observed, expected=expected)
