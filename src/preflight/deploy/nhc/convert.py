"""From the lines of an nhc.conf to the policy's text, and to what could not be turned: nothing is lost in silence."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from preflight.deploy.nhc import commands, targets, words
from preflight.deploy.nhc.braces import Unread
from preflight.deploy.nhc.call import REASONS, REST, TURNS, Call, Row, Unturned
from preflight.deploy.nhc.lines import Line, read
from preflight.deploy.nhc.programs import BUILTINS, acting
from preflight.deploy.nhc.run import Run
from preflight.deploy.nhc.settings import READ, meaning
from preflight.deploy.nhc.variables import Environment
from preflight.deploy.nhc.write import comment, policy_text, row_text, rows_refused
from preflight.policy.rows import MAX_ROWS

for _part in ("accelerators", "dmi", "files", "filesystems", "hardware", "processes", "programs"):
    importlib.import_module(f"preflight.deploy.nhc.{_part}")
JINJA = ("{{", "{%", "{#")


class Named(NamedTuple):
    """What was not turned: the line's number and why."""

    line: int
    reason: str


class Entry(NamedTuple):
    """What became of one line: rows with their notes, reasons of what was left out, a suggestion in comments.

    ``unused``: variables that it sets for lines below, and what to say where none of them uses one.
    """

    line: Line
    rows: tuple[Row, ...] = ()
    named: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    suggestion: tuple[Row, ...] = ()
    unused: tuple[str, ...] = ()


class Imported(NamedTuple):
    """The policy's text, and what of the file it does not hold."""

    text: str
    named: tuple[Named, ...]


def convert(text: str, file: str) -> Imported:
    """Return the policy of an nhc.conf; ``file`` is its name in comments. Never raises for what a file holds."""
    environment = Environment()
    run = Run()
    entries = _sound([_entry(line, environment, run) for line in read(text.removeprefix("\ufeff"))])
    entries = [_with_unused(one, environment.used) for one in entries]
    named = tuple(Named(one.line.number, reason) for one in entries for reason in one.named)
    seen: set[str] = set()
    blocks = [_block(one, file, seen) for one in entries]
    return Imported(policy_text(file, blocks), named)


def _sound(entries: list[Entry]) -> list[Entry]:
    """Return the entries without the rows that a policy refuses, which are named."""
    if not rows_refused([row for entry in entries for row in entry.rows]):
        return entries
    room = dict.fromkeys(("host", "command", "expect"), MAX_ROWS)
    return [_taken(entry, room) for entry in entries]


def _taken(entry: Entry, room: dict[str, int]) -> Entry:
    """Return the entry with the rows that a policy takes, as long as there is ``room`` in their tables."""
    refused = rows_refused(entry.rows)
    for at, row in enumerate(entry.rows):
        room[row.table] -= at not in refused
        if room[row.table] < 0 and at not in refused:
            refused[at] = f"a policy takes {MAX_ROWS} rows of [[{row.table}]], and no more"
    good = tuple(row for at, row in enumerate(entry.rows) if at not in refused)
    return entry._replace(rows=good, named=(*entry.named, *dict.fromkeys(refused.values())))


def _with_unused(entry: Entry, used: set[tuple[int, str]]) -> Entry:
    """Return the entry with its variables told: where their value went, or that nothing uses them."""
    notes = tuple(
        f"{name}: its value stands in the rows below" for name in entry.unused if (entry.line.number, name) in used
    )
    named = tuple(
        f"{name}: no line below uses it that was turned"
        for name in entry.unused
        if (entry.line.number, name) not in used
    )
    return entry._replace(notes=entry.notes + notes, named=entry.named + named)


def _block(entry: Entry, file: str, seen: set[str]) -> list[str]:
    """Return the lines of the policy for one line of the file; a note on rows that was ``seen`` is not said again."""
    lines = [comment(f"{file}:{entry.line.number}: {entry.line.text}")]
    lines += [comment(f"  {note}") for note in dict.fromkeys(entry.notes) if note not in seen or not entry.rows]
    seen.update(entry.notes)
    lines += [comment(f"  not turned: {reason}") for reason in entry.named]
    for row in entry.suggestion:
        lines += [comment(f"    {line}") for line in row_text(row)]
    for row in entry.rows:
        lines += row_text(row)
    return lines


def _entry(line: Line, environment: Environment, run: Run) -> Entry:
    """Return what becomes of a line."""
    try:
        return _turned(line, environment, run)
    except (Unturned, Unread, targets.NoMatch) as error:
        return Entry(line, named=(str(error),))


def _turned(line: Line, environment: Environment, run: Run) -> Entry:
    if any(mark in line.text for mark in JINJA):
        raise Unturned("a template (Jinja) makes this line: import the file that comes out of it")
    if "\ufffd" in line.text:
        raise Unturned("it holds bytes that are no UTF-8: write the file as UTF-8")
    if not line.target and not line.bare:
        raise Unturned("it has no target before ||, so NHC passes over it")
    if not line.check:
        raise Unturned("it has no check behind ||, so NHC passes over it")
    notes: tuple[str, ...] = ()
    nodes, soft = targets.Nodes(""), False
    if not line.bare:
        nodes = targets.nodes(line.target)
        notes, soft = nodes.notes, not nodes.ran
        reached, unsure = run.reached(nodes.text)
        run.look(line.number, nodes.text, commands.ends_run(line.check))
        nodes, notes, soft = nodes._replace(text=reached), (*notes, *unsure), soft or bool(unsure)
    if not line.ended:
        soft = True
        notes = (
            *notes,
            "no newline ends the file's last line: NHC does not see such a line, and so the row only warns",
        )
    simple = commands.commands(line.check)
    if not simple:
        raise Unturned("it has no check behind ||, only a comment")
    if line.bare and any(one.words for one in simple):
        raise Unturned("it has no ||, so NHC takes all of it for a target and runs nothing")
    if line.bare:
        notes = (*notes, "it has no ||, so in nhc.conf NHC does not see it; in /etc/sysconfig/nhc it holds")
    found = Entry(line, notes=notes)
    for one in simple:
        if one.words:
            made = _check(one, line, nodes.text, environment, soft)
        else:
            made = _settings(one, line, nodes.text, environment)
        found = Entry(
            line,
            (*found.rows, *made.rows),
            (*found.named, *made.named),
            (*found.notes, *made.notes),
            (*found.suggestion, *made.suggestion),
            (*found.unused, *made.unused),
        )
    return found


def _settings(command: commands.Command, line: Line, nodes: str, environment: Environment) -> Entry:
    """Return what becomes of variables that are set; they count for the lines below."""
    notes = [f"{name}: it keeps its value" for name in command.kept]
    named, unused = [], []
    for name, node in command.assigned:
        value: str | None = None
        why = ""
        try:
            value = environment.value(node, nodes, line.number)
        except Unread as error:
            why = str(error)
        environment.set(name, nodes, value, why or "", line.number)
        told = meaning(name, value, not nodes)
        if told.met:
            notes.append(f"{name}: {told.met}")
        elif told.named:
            named.append(f"{name}: {told.named}")
        elif value is None:
            named.append(f"{name}: {why}")
        else:
            unused.append(name)
    return Entry(line, named=tuple(named), notes=tuple(notes), unused=tuple(unused))


def _check(command: commands.Command, line: Line, nodes: str, environment: Environment, soft: bool) -> Entry:
    """Return what becomes of one command, for each part of its nodes that has other variables; ``soft``: it warns."""
    name = _name(command)
    if name in REASONS:
        return Entry(line, named=(f"{name}: {REASONS[name]}",))
    own: dict[str, str] = {}
    names = {one for node in command.words for one in words.variables(node)}
    names |= {variable for variable, checks in READ.items() if name in checks}
    rows: list[Row] = []
    named: list[str] = []
    notes: list[str] = []
    suggestion: list[Row] = []
    for part in environment.parts(nodes, names):
        lookup = part.lookup(line.number)
        for variable, node in command.assigned:
            own[variable] = words.value(node, lookup)

        asked: set[str] = set()

        def setting(variable: str, lookup: Callable[[str], str] = lookup, asked: set[str] = asked) -> str:
            asked.add(variable)
            return own[variable] if variable in own else lookup(variable)

        call: Call | None = None
        try:
            if part.problem:
                raise Unturned(part.problem)
            args = [one for node in command.words[1:] for one in words.words(node, lookup)]
            call = Call(name, args, part.nodes, setting, soft)
            _turn(call, suggestion)
            idle = sorted(set(own) - asked)
            if idle and any(row.table == "command" for row in call.rows):
                raise Unturned(f"it gives its program a variable of its own, {idle[0]}, which a row cannot")
            call.named += [f"{one}: the check looks at no such variable" for one in idle]
        except (Unturned, Unread, targets.NoMatch) as error:
            left = [one.replace(REST, "") for one in call.named] if call else []
            named += [f"{name}: {one}" for one in (*left, error)]
            continue
        rows += call.rows
        named += [f"{name}: {one}" for one in call.named]
        notes += call.notes + ([call.met] if call.met else [])
    return Entry(line, tuple(rows), tuple(dict.fromkeys(named)), tuple(notes), tuple(suggestion))


def _name(command: commands.Command) -> str:
    def none(variable: str) -> str:
        raise Unread(f"${variable} names what is run")

    found = words.words(command.words[0], none)
    if len(found) != 1:
        raise Unturned("it is not one command")
    return found[0]


def _turn(call: Call, suggestion: list[Row]) -> None:
    """Turn a call by what is known of its name; raises Unturned, with a suggestion where it is a program."""
    if call.name in TURNS:
        TURNS[call.name](call)
        return
    if call.name in BUILTINS:
        if call.name in ("true", ":"):
            call.met = "it does nothing"
            return
        if call.name in ("exit", "return"):
            raise Unturned("it ends NHC's run: what stands below is turned for the other nodes")
        raise Unturned("it is the shell's or NHC's own, and no check")
    run = [call.name, *call.args]
    if call.name.startswith(("check_", "nhc_")) or re.fullmatch(r"[a-z_]+_[a-z_0-9]+", call.name):
        raise Unturned("it is a function of the site's: write it as [[command]] or in checks.d (docs/site-checks.md)")
    if targets_alone(call.name):
        raise Unturned(
            "only what stands before the first || is NHC's target; this it runs as a command. "
            'If both were meant, write nodes with "||" between them'
        )
    why = acting(run)
    if why:
        raise Unturned(why)
    suggestion.append(Row("command", {"run": run, **({"nodes": call.nodes} if call.nodes else {})}))
    raise Unturned(
        "it is a program of the site's: see that it only reads, and take the row that stands there in comments"
    )


def targets_alone(word: str) -> bool:
    """Return whether a command looks like a second target."""
    return bool(re.search(r"[*?\[{]", word)) or (len(word) > 1 and word[0] == word[-1] == "/")


def lines_of(named: tuple[Named, ...], file: str) -> Iterator[str]:
    """Return "FILE:LINE: reason" of each."""
    return (f"{file}:{one.line}: {one.reason}" for one in named)
