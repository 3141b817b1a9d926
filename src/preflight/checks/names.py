"""Tables of the policy that name no check; asked by commands, and by a hook once a policy."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from preflight.checks.registry import every_check
from preflight.policy.load import place_of
from preflight.policy.model import Policy


def unknown_checks(policy: Policy, sites: Callable[[], Iterable[str]] = tuple) -> list[str]:
    """Return a line "FILE:LINE: checks."NAME": …" for each [checks."NAME"] that names no check, with the nearest.

    ``sites()``: the names of the site's own checks, asked where a name is none of Preflight's.
    """
    known = {*every_check(), *policy.commands}
    if not known.issuperset(policy.checks):
        known.update(sites())
    wrong = [name for name in policy.checks if name not in known]
    return [
        *(_line(policy.path, name, difflib.get_close_matches(name, known, 1)) for name in wrong),
        *_unknown_findings(policy, known, sites),
    ]


def _unknown_findings(policy: Policy, known: set[str], sites: Callable[[], Iterable[str]]) -> list[str]:
    """Return a line for each pattern of [recover.steps] that no finding can have."""
    patterns = [one for one in policy.recover.steps if not one.startswith("xid:")]
    if not patterns:
        return []
    from fnmatch import fnmatchcase

    def unmatched(names: set[str]) -> list[str]:
        return [one for one in patterns if not any(fnmatchcase(name, one) for name in names)]

    wrong = unmatched(known) and unmatched({*known, *sites()})
    return [
        f'{place_of(policy.path, ("recover", "steps", one))}: recover.steps."{one}": no check has a name like this; '
        "preflight checks lists them"
        for one in wrong
    ]


def _line(path: str, name: str, near: list[str]) -> str:
    hint = f"did you mean {near[0]}?" if near else "preflight checks lists them"
    return f'{place_of(path, ("checks", name))}: checks."{name}": no check has this name; {hint}'
