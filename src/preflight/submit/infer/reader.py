"""Walks a shell script as bash would, command by command, and tells which of them surely run.

`Reader` keeps what a shell keeps: variables, the working directory, functions. It hands every simple command to
``run`` with what is known of it (model.Command).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from preflight.submit.infer import ends, heredoc, scan
from preflight.submit.infer.directory import led
from preflight.submit.infer.model import Command
from preflight.submit.infer.programs import starts
from preflight.submit.infer.shell import Expander
from preflight.submit.infer.state import Context, Shell
from preflight.submit.infer.tree import children, parsed, source
from preflight.submit.infer.variables import Variables
from preflight.submit.infer.words import HOLE, WIDE, Word

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_DEPTH = 60  # statements within statements, of the script; each takes up to three calls of Python's
MAX_DEPTH_INSIDE = 30  # of a bash -c, which is read on top of them
_LOOPS = ("while_statement", "for_statement", "c_style_for_statement")
_DOUBTS = {
    "if_statement": "stands in an if",
    "case_statement": "stands in a case",
    **dict.fromkeys(_LOOPS, "stands in a loop"),
    "ERROR": "stands where the script's syntax was not understood",
}
_GROUPS = (
    "program",
    "compound_statement",
    "do_group",
    "else_clause",
    "elif_clause",
    "case_item",
    *_DOUBTS,
)
_REDIRECTS = ("file_redirect", "heredoc_redirect", "herestring_redirect")
_PLAIN_FLAGS = frozenset("-xrga")
# `! {`, of which the grammar takes the brace for a command: as much in doubt behind `false ||`.
_NEGATED = re.compile(r"(^|[\s;&|(])!([ \t]+)\{(?=\s)", re.MULTILINE)
_ZSH = re.compile(r"#![^\n]*zsh")
# A redirection of the standard output to a file.
_WRITES = re.compile(r"(?:1?|&)>{1,2}\|?(?!&|\s*[\"']?/dev/)|1?<>")
_MOVES = ("cd", "pushd", "popd")
MAX_CALLS = 400  # of the script's functions, each of which is read where it is called
STRICT = re.compile(r"#![^\n]*/(?:ba|da|k|z)?sh[ \t]+-[a-z]*e")


class Reader(Shell):
    """One shell: the script's own, or (``nested``) that of a `bash -c`."""

    def __init__(
        self,
        parser: Parser,
        text: str,
        given: dict[str, str],
        run: Callable[[Reader, Command], None],
        *,
        cwd: str | None = None,
        base: int = 0,
        flat: bool = False,
        inside: bool = False,
        nested: bool = False,
        limit: int = MAX_DEPTH,
        deadline: float = float("inf"),
    ) -> None:
        self.parser = parser
        self.deadline = deadline
        self.given = dict(given)
        self.base, self.flat = base, flat
        plain, self.texts = heredoc.split(text)
        plain = _NEGATED.sub(r"\1false ||\2{", plain)
        self.root = parsed(parser, plain, deadline)
        self.scanned = scan.scan(self.root)
        variables = Variables(self.scanned.names, given, splits=not _ZSH.match(text))
        super().__init__(variables, cwd, STRICT.match(text) is not None, nested)
        self.expander = Expander(self.variables, base, flat)
        self.run = run
        self.inside = inside
        self.limit = limit
        self.deep: int | None = None  # the first line that was too deep to be read
        self.late: int | None = None  # the first line that was not reached in time
        self._called: dict[str, int] = {}
        self._open: list[str] = []  # functions that are being read

    def read(self, doubt: str = "") -> None:
        """Read all of it; with a ``doubt`` nothing in it surely runs. Raises TimeoutError as ``parsed`` does."""
        if self.scanned.mistaken:
            doubt = doubt or "stands in a script whose syntax was not understood"
        self._walk(self.root, Context(doubt))
        self._uncalled(doubt)
        if self.limit < MAX_DEPTH_INSIDE // 4:
            return
        for text in self.texts:
            inner = Reader(
                self.parser, text.text, self.given, self.run, base=self.base + (0 if self.flat else text.line),
                flat=self.flat, inside=self.inside, nested=True, limit=self.limit // 2, deadline=self.deadline,
            )  # fmt: skip
            inner.read(doubt or "stands in a command substitution")

    def _walk(self, node: Node, context: Context) -> None:
        if self.ended or self.late is not None:
            return
        if time.process_time() > self.deadline:
            self.late = self.expander.line(node)
            return
        if context.depth > self.limit:
            self.deep = self.deep or self.expander.line(node)
            return
        kind = node.type
        if kind == "command":
            self._command(node, context, [])
        elif kind == "redirected_statement":
            self._redirected(node, context)
        elif kind == "list":
            self._list(node, context)
        elif kind in ("pipeline", "subshell"):
            self._alone(node, context)
        elif kind == "negated_command":
            self._each(node, context.down(plain=False, doubt=context.doubt or "stands behind !, so it may fail"))
        elif kind == "function_definition":
            self._function(node, context)
        elif kind in ("variable_assignment", "variable_assignments", "declaration_command"):
            self._assignments(node, context)
        elif kind == "unset_command":
            self.variables.forget(self.scanned.within(node))
        elif kind == "test_command":
            self._substitutions(node, context)
            self.variables.forget(self.scanned.within(node))
        elif kind in _LOOPS:
            self._loop(node, context)
        elif kind in _GROUPS:
            if source(node.children[0] if node.children else node) == "((":
                self.variables.forget(self.scanned.within(node))
            self._each(node, context.down(doubt=context.doubt or _DOUBTS.get(kind, "")))

    def _loop(self, node: Node, context: Context) -> None:
        """Read a loop: what it changes has changed already when its first command runs again."""
        names = {source(one) for one in children(node, ("command_name",))}
        self.variables.forget(self.scanned.called(node))
        if not names.isdisjoint(("shift", "set")):
            self.variables.places = None
        if not names.isdisjoint((*_MOVES, *self.scanned.bodies)):
            self.cwd = None
        guards = self.guards
        self._substitutions(node, context)
        self._each(node, context.down(doubt=context.doubt or _DOUBTS[node.type]))
        if self.guards > guards and self.started:
            self.after = f"the script may end in the loop on line {self.expander.line(node)}"

    def _each(self, node: Node, context: Context) -> None:
        """Read statements in their order; one with & behind it runs beside the others, until the script ends."""
        every = node.children
        last = max((at for at, one in enumerate(every) if _waits(one)), default=-1)
        for at, (child, following) in enumerate(zip(every, [*every[1:], None])):
            if not child.is_named:
                continue
            if following is None or following.type != "&":
                self._walk(child, context._replace(waited=context.waited or last > at))
                continue
            doubt = "" if context.waited or last > at else "runs in the background, and nothing waits for it"
            with self.apart():
                self._walk(child, context.down(alone=True, waited=False, doubt=context.doubt or doubt))

    def _list(self, node: Node, context: Context) -> None:
        """Read A && B || C …, which the grammar nests to the left. What may not run, or whose failure is caught, is
        in doubt (ends.doubts)."""
        chain: list[tuple[str, Node]] = []
        while node.type == "list" and len(node.children) >= 3:
            chain.append((source(node.children[1]), node.children[-1]))
            node = node.children[0]
        parts = [("", node), *reversed(chain)]
        for (sign, part), doubt in zip(parts, ends.doubts(parts, self._functions())):
            assumed = context.assumed or sign == "&&"
            self._walk(part, context.down(plain=False, assumed=assumed, doubt=context.doubt or doubt))

    def _alone(self, node: Node, context: Context) -> None:
        """Read a subshell, or the parts of a pipeline, each of which has a shell of its own."""
        inner = context.down(alone=True, waited=False)
        failed, self.failed = self.failed, False
        if node.type == "subshell":
            with self.apart():
                self._each(node, inner)
        parts = node.named_children if node.type == "pipeline" else []
        for at, child in enumerate(parts, 1):
            with self.apart():
                self._walk(child, inner if at == len(parts) else inner._replace(writes=False))
            inner = inner._replace(stdin="a pipe")
        if self.failed and self.strict and context.plain and context.alone:
            # `set -e` ends a shell whose own failure may be of no account: `{ …; } | tee log`.
            self.after = self.after or f"the script may end on line {self.expander.line(node)}"
        self.failed = self.failed or failed

    def _redirected(self, node: Node, context: Context) -> None:
        """Read a statement with redirections; words behind a redirection still belong to the command."""
        more: list[Node] = []
        for child in node.named_children:
            if child.type == "file_redirect":
                targets = [one for one in child.named_children if one.type != "file_descriptor"]
                more += targets[1:]
            if child.type in _REDIRECTS and (stdin := _stdin(child)):
                context = context._replace(stdin=stdin)
            if child.type == "file_redirect" and _WRITES.match(source(child)):
                context = context._replace(writes=True)
        body = node.named_children[0] if node.named_children else None
        if body is not None and body.type not in _REDIRECTS:
            if body.type == "command":
                self._command(body, context, more)
            else:
                self._walk(body, context.down())
        for redirect in node.named_children:
            if redirect.type in _REDIRECTS:
                self._substitutions(redirect, context)

    def _function(self, node: Node, context: Context) -> None:
        """Keep a function for its calls; of one that is defined twice it is not known which is called."""
        name = source(node.child_by_field_name("name") or node)
        twice = self.scanned.functions.get(name) is None
        self.met.add(name)
        self.defined[name] = "is one of two functions of that name" if twice else context.doubt

    def _uncalled(self, doubt: str) -> None:
        """Read the functions that no command called: a trap may, or another shell."""
        self.ended = self.after = ""
        once = Counter(name for _, name in self.scanned.sets)
        for name, bodies in self.scanned.bodies.items():
            if self._called.get(name) or name not in self.met:
                continue
            for body in bodies:
                with self.apart():
                    self.variables.forget([one for one, times in once.items() if times > 1])
                    self.variables.places = None
                    why = doubt or f"stands in the function {name[:40]}, which is not surely called"
                    self._walk(body, Context(why, alone=True))

    def _functions(self) -> dict[str, Node | None]:
        """Return the functions' bodies by name, None of one that may not be what is called."""
        return {name: None if self.defined.get(name, "?") else body for name, body in self.scanned.functions.items()}

    def _call(self, name: str, words: list[Word], context: Context) -> None:
        """Read a function's body where it is called: `return` ends no more than that."""
        body, line = self.scanned.functions[name], words[0].line
        if body is None:
            every = self.scanned.bodies[name]
            self.variables.forget(one for each in every for one in self.scanned.called(each))
            self.cwd = self.variables.environment = None
            if any(ends.may_end(one) for one in every) and not context.alone:
                self.after = f"the script may end on line {line}"
            return
        if name in self._open or sum(self._called.values()) >= MAX_CALLS:
            self.variables.forget(self.scanned.called(body))
            self.cwd = None
            if name not in self._open:
                self.late = self.late or line
            return
        held, after = self.variables.places, self.after
        texts = tuple(word.text for word in words[1:])
        self.variables.places = None if any(WIDE in text for text in texts) else texts
        self._called[name] = self._called.get(name, 0) + 1
        self._open.append(name)
        self._walk(body, context.down(doubt=context.doubt or self.defined.get(name, "")))
        self._open.pop()
        self.variables.places = held
        self.variables.forget(_locals(body))
        if self.ended == "return":
            self.ended = ""
        if "return" in self.after:
            self.after = after

    def _assignments(self, node: Node, context: Context) -> None:
        """Take NAME=value, alone or with export, declare, readonly, local."""
        declares = node.type == "declaration_command"
        flags = "".join(source(one) for one in node.named_children if one.type == "word") if declares else ""
        keep = not context.doubt and set(flags) <= _PLAIN_FLAGS
        found = [node] if node.type == "variable_assignment" else node.named_children
        exports = declares and not context.doubt and (source(node).startswith("export") or "x" in flags)
        changed = set(self.scanned.within(node))
        for one in found:
            if one.type == "variable_assignment":
                named, value = one.child_by_field_name("name"), one.child_by_field_name("value")
                if named is None or named.type != "variable_name":
                    continue
                name, taken = source(named), self.expander.value(value) if keep else None
                if any(child.type == "+=" for child in one.children):
                    self.variables.add(name, taken)
                else:
                    self.variables.set(name, taken)
                changed.discard(name)
                if exports:
                    self.variables.exported.add(name)
            elif one.type == "variable_name" and exports:
                self.variables.exported.add(source(one))
        self.variables.forget(changed)
        self._substitutions(node, context)

    def _substitutions(self, node: Node, context: Context) -> None:
        """Read the commands in $(…), `…` and <(…) as ones of which it is not known whether they run."""
        if b"(" not in (node.text or b"") and b"`" not in (node.text or b""):
            return
        for one in children(node, ("command_substitution", "process_substitution")):
            doubt = context.doubt or "stands in a command substitution"
            with self.apart():
                for child in one.named_children:
                    self._walk(child, context.down(doubt=doubt, alone=True))

    def _command(self, node: Node, context: Context, more: list[Node]) -> None:
        self._substitutions(node, context)
        words: list[Word] = []
        known = self.variables.exact
        exported = {name: value for name in self.variables.exported if (value := known(name)) is not None}
        environment = self.variables.environment
        for child, before in zip([*node.named_children, *more], [None, *node.named_children, *more]):
            if before is not None and scan.is_apart(before, child):
                break
            if child.type == "variable_assignment":
                named = child.child_by_field_name("name")
                given = self.expander.value(child.child_by_field_name("value"))
                if named is not None and isinstance(given, str) and HOLE not in given:
                    exported[source(named)] = given
                if named is not None and source(named) == "PATH":
                    environment = self.variables.behind(given)
            elif child.type == "command_name":
                words += [word for part in child.children for word in self.expander.words(part)]
            elif child.type in _REDIRECTS:
                writes = context.writes or _WRITES.match(source(child)) is not None
                context = context._replace(stdin=_stdin(child) or context.stdin, writes=writes)
            else:
                words += self.expander.words(child)
        if not words:
            return
        doubt = context.doubt or (self.after and f"may not run: {self.after}") or self.lenient
        command = Command(
            tuple(words), doubt, self.inside, self.cwd, exported, context.stdin, (), context.writes, environment
        )
        name = words[0].text
        if name in self.defined:
            self._call(name, words, context)
        else:
            self._builtin(name, command, context)
        changed = self.scanned.within(node)
        self.variables.forget(changed if words[0].text not in scan.OPEN else changed - {scan.ANY})

    def _builtin(self, name: str, command: Command, context: Context) -> None:
        """Follow what changes the shell itself; everything is handed on all the same."""
        if name in _MOVES:
            self.cwd = None if context.doubt else led(command, self.cwd, self.variables.exact("HOME"))
            self.variables.given.pop("PWD", None)
            return
        if name in ("set", "shift"):
            self.positional(name, command, context)
        if name == "set" and not context.doubt:
            self.options(command)
        self.started = self.started or starts(command.words[0].name) or self._starts_later(name, command.words[1:])
        self.run(self, command)
        status = command.words[1].text if len(command.words) > 1 else ""
        # Outside of a function return only fails, as false does: bash says so and goes on.
        fails = name == "false" or (name == "return" and not self._open)
        leaves = name == "exit" or (name == "return" and self._open) or (name == "exec" and status)
        if fails and self.strict and context.plain and (not context.doubt or context.alone):
            leaves = True
        if leaves:
            self.leave(name, status, command, context)

    def _starts_later(self, name: str, words: tuple[Word, ...]) -> bool:
        """Whether a text that is given to trap or eval may start a program of the user's, whenever that runs."""
        if name == "trap":
            words = words[1:] if words[:1] and words[0].text == "--" else words
            if len(words) < 2 or words[0].text[:1] == "-" or all(ends.is_sent(one.text) for one in words[1:]):
                return False
            words = words[:1]
        elif name != "eval" or not all(word.known for word in words):  # eval "$(conda shell.bash hook)" starts nothing
            return False
        text = " ".join(word.text if word.script is None else word.script for word in words)
        return ends.may_start(parsed(self.parser, text, self.deadline), self.scanned.bodies)


def _locals(body: Node) -> set[str]:
    """Return what a function declares as its own variables."""
    found = set()
    for one in children(body, ("declaration_command",)):
        if not source(one).startswith(("export", "readonly")):
            found |= {source(name).partition("=")[0] for name in one.named_children}
    return found


def _waits(node: Node) -> bool:
    """Whether a statement begins with `wait`."""
    while node.type in ("list", "redirected_statement", "pipeline") and node.children:
        node = node.children[0]
    return node.type == "command" and source(node.child_by_field_name("name") or node) == "wait"


def _stdin(redirect: Node) -> str:
    """Return what a redirection makes the standard input, "" where it is another one's."""
    text = source(redirect)
    if redirect.type == "herestring_redirect":
        return "a here-string"
    if not text.lstrip("0").startswith("<") or text.startswith("<&"):
        return ""
    return "a here-document" if heredoc.FILE in text else "a file"
