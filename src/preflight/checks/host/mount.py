"""Rows of kind "mount": what must be mounted, or must not be, of which type and with which options."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed
from preflight.facts.host.match import any_matches, is_regex, matches

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding

REMEDY = "mount it as the policy asks (mount PATH; systemctl status of its .mount unit), or change the row"


@host_check("mount", remedy=REMEDY)
def mount(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """Each file system that a row names is mounted, with the source, type and options that it asks for."""
    mounts = told["mounts"]
    if args.get("present") is False:
        there = [one for one in mounts if not _wrong(one, args)]
        if there:
            yield failed(f"{there[0]['type']} is mounted at {there[0]['path']}", observed="mounted", expected="absent")
        return
    if not mounts:
        yield failed(f"nothing is mounted at {args['path']}", observed="not mounted", expected="mounted")
    for one in mounts:
        wrong = _wrong(one, args)
        if wrong:
            text = f"{one['path']} is mounted with another {' and '.join(wrong)}"
            observed = f"{one['source']} {one['type']} {one['options']}"
            asked = (args.get("source"), args.get("type"), ",".join(args.get("options") or []))
            yield failed(text, observed=observed, expected=" ".join(part for part in asked if part))
        else:
            yield passed(f"{one['type']} is mounted at {one['path']}", observed=one["options"])


def _wrong(one: dict[str, str], args: dict[str, Any]) -> list[str]:
    """Return what of a mount is not as asked: "source", "type", "option ro"."""
    wrong = [key for key in ("source", "type") if args.get(key) and not matches(args[key], one[key])]
    return wrong + [f"option ({option})" for option in args.get("options") or [] if not _has(option, one["options"])]


def _has(option: str, options: str) -> bool:
    """Return whether one of the options is the asked one; a regular expression is looked for in all of them."""
    if is_regex(option.lstrip("!")):
        return matches(option, options)
    return any_matches(option, options.split(","))
