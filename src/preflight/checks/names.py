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
    return [_line(policy.path, name, difflib.get_close_matches(name, known, 1)) for name in wrong]


def _line(path: str, name: str, near: list[str]) -> str:
    hint = f"did you mean {near[0]}?" if near else "preflight checks lists them"
    return f'{place_of(path, ("checks", name))}: checks."{name}": no check has this name; {hint}'
