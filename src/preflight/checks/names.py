"""Tables of the policy that name no check; asked by commands, never by a hook."""

import difflib

from preflight.checks.registry import every_check
from preflight.policy.load import PolicyError, read_text
from preflight.policy.locate import line_of
from preflight.policy.model import Policy


def unknown_checks(policy: Policy) -> list[str]:
    """Return a line "FILE:LINE: checks."NAME": …" for each [checks."NAME"] that names no check, with the nearest."""
    known = every_check()
    wrong = [name for name in policy.checks if name not in known]
    if not wrong:
        return []
    try:
        text = read_text(policy.path)
    except PolicyError:  # gone since it was read
        text = ""
    return [_line(policy.path, text, name, difflib.get_close_matches(name, known, 1)) for name in wrong]


def _line(path: str, text: str, name: str, near: list[str]) -> str:
    line = line_of(text, ("checks", name))
    hint = f"did you mean {near[0]}?" if near else "preflight checks lists them"
    return f'{path}{f":{line}" if line else ""}: checks."{name}": no check has this name; {hint}'
