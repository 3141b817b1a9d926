"""The policy as text, with the line that each row came from, and whether a policy takes a row at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from preflight.deploy.nhc.call import Row
from preflight.policy.load import PolicyError, parse_policy
from preflight.policy.write import toml_value

HEAD = 'version = 1\nmode = "observe"\n'
PLACE = "nhc"  # the file's name in messages, which is taken out of them
MOST = 1000  # characters of a comment
MOST_AT_ONCE = 600  # rows of one line; more are a whole file's


def comment(text: str) -> str:
    """Return one line of comment: what TOML allows none of there is shown as "?"."""
    shown = "".join(one if one.isprintable() else "?" for one in text[:MOST])
    return f"# {shown}".rstrip()


def row_text(row: Row) -> list[str]:
    """Return the lines of one row."""
    return [f"[[{row.table}]]", *(f"{key} = {toml_value(value)}" for key, value in row.values.items())]


def policy_text(file: str, blocks: Iterable[Sequence[str]]) -> str:
    """Return the whole policy."""
    head = [
        comment(f"The checks of {file}, by preflight import-nhc; what was not turned says so."),
        '# It observes: compare its findings with NHC\'s, then write mode = "enforce" (docs/nhc.md).',
        *HEAD.splitlines(),
    ]
    return "\n".join([*head, *(line for block in blocks for line in ("", *block))]) + "\n"


def rows_refused(rows: Sequence[Row]) -> dict[int, str]:
    """Return position -> why, of the rows that a policy does not take; of many only that there are some."""
    why = _why(rows) if rows else ""
    if not why:
        return {}
    if len(rows) > MOST_AT_ONCE:
        return {-1: why}
    found = {at: _why([row]) for at, row in enumerate(rows)}
    return {at: why for at, why in found.items() if why}


def _why(rows: Sequence[Row]) -> str:
    text = HEAD + "\n".join(line for row in rows for line in row_text(row))
    try:
        doubts = parse_policy(text, PLACE).doubts()
    except PolicyError as error:
        doubts = tuple(error.lines)
    if not doubts:
        return ""
    return "a policy takes no such row: " + doubts[0].partition(": ")[2]
