"""Walks a shell script as bash would, command by command, and tells which of them surely run.

`Reader` keeps what a shell keeps: variables, the working directory, functions. It hands every simple command to
``run`` with what is known of it (model.Command).
"""

import posixpath
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from preflight.submit.infer import ends, heredoc, scan
from preflight.submit.infer.model import Command
from preflight.submit.infer.shell import Expander, Variables, children, source
from preflight.submit.infer.tree import parsed
from preflight.submit.infer.words import HOLE, WIDE, Word

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_DEPTH = 60  # statements within statements, of the script; each takes up to three calls of Python's
MAX_DEPTH_INSIDE = 30  # of a bash -c, which is read on top of them
_DOUBTS = {
    "if_statement": "stands in an if",
    "case_statement": "stands in a case",
    "while_statement": "stands in a loop",
    "for_statement": "stands in a loop",
    "c_style_for_statement": "stands in a loop",
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
_PLAIN_FLAGS = frozenset("-xrg")
STRICT = re.compile(r"#![^\n]*/(?:ba|da|k|z)?sh[ \t]+-[a-z]*e")


class Context(NamedTuple):
    """Where a statement stands. ``alone``: in a shell of its own, whose variables end with it. ``plain``: it is no part
    of && and ||, so that `set -e` ends the script where it fails. ``depth``: how many statements it stands in."""

    doubt: str = ""
    alone: bool = False
    plain: bool = True
    depth: int = 0
    stdin: str = ""

    def down(self, **changes: "str | bool") -> "Context":
        """Return the context one level deeper."""
        return self._replace(depth=self.depth + 1, **changes)  # type: ignore[arg-type]


class Reader:
    """One shell: the script's own, or that of a `bash -c`."""

    def __init__(
        self,
        parser: "Parser",
        text: str,
        given: dict[str, str],
        run: Callable[["Reader", Command], None],
        *,
        cwd: str | None = None,
        base: int = 0,
        flat: bool = False,
        inside: bool = False,
        limit: int = MAX_DEPTH,
        deadline: float = float("inf"),
    ) -> None:
        self.parser = parser
        self.deadline = deadline
        self.given = dict(given)
        self.base, self.flat = base, flat
        plain, self.texts = heredoc.split(text)
        self.root = parsed(parser, plain, deadline)
        self.scanned = scan.scan(self.root)
        self.variables = Variables(self.scanned.assigned, given)
        self.expander = Expander(self.variables, base, flat)
        self.run = run
        self.cwd = cwd
        self.inside = inside
        self.limit = limit
        self.ended = ""  # "exit", or "return" of the function that is read: what follows does not run
        self.after = ""  # why what follows may not run: the script may have ended
        self.lenient = ""  # why a failure is of no account: set +e
        self.strict = STRICT.match(text) is not None
        self.deep: int | None = None  # the first line that was too deep to be read
        self.late: int | None = None  # the first line that was not reached in time
        self._bodies: dict[str, Node] = {}

    def read(self, doubt: str = "") -> None:
        """Read all of it; with a ``doubt`` nothing in it surely runs. Raises TimeoutError as ``parsed`` does."""
        self._walk(self.root, Context(doubt))
        if self.limit < MAX_DEPTH_INSIDE // 4:
            return
        for text in self.texts:
            inner = Reader(
                self.parser, text.text, self.given, self.run, base=self.base + (0 if self.flat else text.line),
                flat=self.flat, inside=self.inside, limit=self.limit // 2, deadline=self.deadline,
            )  # fmt: skip
            inner.read(doubt or "stands in a command substitution")

    def _walk(self, node: "Node", context: Context) -> None:
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
            for name in children(node, ("variable_name", "word")):
                self.variables.set(source(name), None)
        elif kind in _GROUPS:
            self._each(node, context.down(doubt=context.doubt or _DOUBTS.get(kind, "")))

    def _each(self, node: "Node", context: Context) -> None:
        """Read statements in their order; one with & behind it runs beside the others, until the script ends."""
        every = node.children
        for child, following in zip(every, [*every[1:], None]):  # noqa: B905 (Python 3.9 knows no strict=)
            if not child.is_named:
                continue
            if following is None or following.type != "&":
                self._walk(child, context)
                continue
            waited = self.scanned.waits > child.start_byte
            doubt = "" if waited else "runs in the background, and nothing waits for it"
            with self._shell():
                self._walk(child, context.down(alone=True, doubt=context.doubt or doubt))

    @contextmanager
    def _shell(self) -> "Iterator[None]":
        """Read what runs in a shell of its own: what it changes (directory, variables, its end) ends with it."""
        before = self.cwd, dict(self.variables.values), self.ended, self.after, self.lenient, self.strict
        yield
        self.cwd, self.variables.values, self.ended, self.after, self.lenient, self.strict = before

    def _list(self, node: "Node", context: Context) -> None:
        """Read A && B || C …, which the grammar nests to the left. What may not run, or whose failure is caught, is
        in doubt (ends.doubts)."""
        chain: list[tuple[str, Node]] = []
        while node.type == "list" and len(node.children) >= 3:
            chain.append((source(node.children[1]), node.children[-1]))
            node = node.children[0]
        parts = [("", node), *reversed(chain)]
        for (_, part), doubt in zip(parts, ends.doubts(parts, self.scanned.functions)):  # noqa: B905
            self._walk(part, context.down(plain=False, doubt=context.doubt or doubt))

    def _alone(self, node: "Node", context: Context) -> None:
        """Read a subshell, or the parts of a pipeline, each of which has a shell of its own."""
        inner = context.down(alone=True)
        if node.type == "subshell":
            with self._shell():
                self._each(node, inner)
            return
        for child in node.named_children:
            with self._shell():
                self._walk(child, inner)
            inner = inner._replace(stdin="a pipe")

    def _redirected(self, node: "Node", context: Context) -> None:
        """Read a statement with redirections; words behind a redirection still belong to the command."""
        more: list[Node] = []
        for child in node.named_children:
            if child.type == "file_redirect":
                targets = [one for one in child.named_children if one.type != "file_descriptor"]
                more += targets[1:]
            if child.type in _REDIRECTS and (stdin := _stdin(child)):
                context = context._replace(stdin=stdin)
        body = node.named_children[0] if node.named_children else None
        if body is not None and body.type not in _REDIRECTS:
            if body.type == "command":
                self._command(body, context, more)
            else:
                self._walk(body, context.down())
        for redirect in node.named_children:
            if redirect.type in _REDIRECTS:
                self._substitutions(redirect, context)

    def _function(self, node: "Node", context: Context) -> None:
        """Keep a function that is called once, without arguments, for its call; what is in others may not run."""
        name = source(node.child_by_field_name("name") or node)
        body = node.child_by_field_name("body")
        if body is None:
            return
        if name in self.scanned.once and not context.doubt:
            self._bodies[name] = body
        else:
            with self._shell():
                self._walk(body, context.down(doubt=context.doubt or f"stands in the function {name[:40]}", alone=True))

    def _assignments(self, node: "Node", context: Context) -> None:
        """Take NAME=value, alone or with export, declare, readonly, local."""
        declares = node.type == "declaration_command"
        flags = "".join(source(one) for one in node.named_children if one.type == "word") if declares else ""
        keep = not context.doubt and not context.alone and set(flags) <= _PLAIN_FLAGS
        found = [node] if node.type == "variable_assignment" else node.named_children
        exports = declares and (source(node).startswith("export") or "x" in flags)
        for one in found:
            if one.type == "variable_assignment":
                named, value = one.child_by_field_name("name"), one.child_by_field_name("value")
                if named is None or named.type != "variable_name":
                    continue
                plain = not any(child.type == "+=" for child in one.children)
                self.variables.set(source(named), self.expander.value(value) if keep and plain else None)
                if exports:
                    self.variables.exported.add(source(named))
            elif one.type == "variable_name" and exports:
                self.variables.exported.add(source(one))
        self._substitutions(node, context)

    def _substitutions(self, node: "Node", context: Context) -> None:
        """Read the commands in $(…), `…` and <(…) as ones of which it is not known whether they run."""
        if b"(" not in (node.text or b"") and b"`" not in (node.text or b""):
            return
        for one in children(node, ("command_substitution", "process_substitution")):
            doubt = context.doubt or "stands in a command substitution"
            cwd = self.cwd
            for child in one.named_children:
                self._walk(child, context.down(doubt=doubt, alone=True))
            self.cwd = cwd

    def _command(self, node: "Node", context: Context, more: "list[Node]") -> None:
        self._substitutions(node, context)
        words: list[Word] = []
        exported = {name: value for name in self.variables.exported if (value := self.variables.get(name)) is not None}
        for child in [*node.named_children, *more]:
            if child.type == "variable_assignment":
                named = child.child_by_field_name("name")
                value = self.expander.value(child.child_by_field_name("value"))
                if named is not None and value is not None:
                    exported[source(named)] = value
            elif child.type == "command_name":
                words += [word for part in child.children for word in self.expander.words(part)]
            elif child.type in _REDIRECTS:
                context = context._replace(stdin=_stdin(child) or context.stdin)
            else:
                words += self.expander.words(child)
        if not words:
            return
        doubt = context.doubt or self.after or self.lenient
        command = Command(tuple(words), doubt, self.inside, self.cwd, exported, context.stdin)
        name = words[0].text
        if name in self._bodies and len(words) == 1:
            self._body(self._bodies.pop(name), context)
        elif name not in self.scanned.functions:
            self._builtin(name, command, context)
        elif ends.may_end(self.scanned.functions[name]) and not context.alone:
            self.after = f"the script may end on line {command.words[0].line}"

    def _body(self, body: "Node", context: Context) -> None:
        """Read the body of a function where it is called: `return` ends no more than that."""
        after = self.after
        self._walk(body, context.down(plain=True))
        if self.ended == "return":
            self.ended = ""
        if "return" in self.after:
            self.after = after

    def _builtin(self, name: str, command: Command, context: Context) -> None:
        """Follow what changes the shell itself; everything is handed on all the same."""
        if name in ("cd", "pushd", "popd"):
            self.cwd = None if context.doubt else self._directory(command)
            self.variables.given.pop("PWD", None)
            return
        if name == "set" and not context.doubt:
            self._set(command)
        self.run(self, command)
        status = command.words[1].text if len(command.words) > 1 else ""
        leaves = name in ("exit", "return") or (name == "exec" and status)
        if name == "false" and self.strict and context.plain and not context.doubt:
            leaves = True
        if not leaves:
            return
        if not context.doubt:
            self.ended = "return" if name == "return" else "exit"
        elif name != "exit" or status == "0" or (not status and context.doubt != ends.BEHIND_OR):
            # One that fails there is an error of the job; one that ends it well leaves out what follows.
            self.after = f"the script may end on line {command.words[0].line} ({name})"

    def _set(self, command: Command) -> None:
        """Follow `set -e` and `set +e`: between the second and the next first, failures are expected."""
        words = [word.text for word in command.words[1:]]
        for at, text in enumerate(words):
            named = text in ("-o", "+o") and words[at + 1 : at + 2] == ["errexit"]
            if named or (text[:1] in ("-", "+") and "e" in text and not text.startswith("--")):
                if text[0] == "+" and self.strict:
                    self.lenient = "stands behind set +e, so it may fail"
                elif text[0] == "-":
                    self.strict, self.lenient = True, ""

    def _directory(self, command: Command) -> str | None:
        """Return the directory that cd leads to, None where it is not known."""
        name = command.words[0].text
        targets = [word for word in command.words[1:] if word.text not in ("-P", "-L", "-e", "--")]
        if name == "popd" or len(targets) > 1:
            return None
        if not targets:
            return self.variables.get("HOME") if name == "cd" else None
        text = targets[0].text
        if HOLE in text or WIDE in text or text.startswith(("-", "+")):
            return None
        path = joined(self.cwd, text)
        return None if path is None else posixpath.normpath(path)  # cd takes ".." off the text, not off the disk


def _stdin(redirect: "Node") -> str:
    """Return what a redirection makes the standard input, "" where it is another one's."""
    text = source(redirect)
    if redirect.type == "herestring_redirect":
        return "a here-string"
    if not text.lstrip("0").startswith("<") or text.startswith("<&"):
        return ""
    return "a here-document" if heredoc.FILE in text else "a file"


def joined(cwd: str | None, path: str) -> str | None:
    """Return a path as an absolute one, None where that would take a directory that is not known."""
    if path.startswith("/"):
        return path
    return None if cwd is None else f"{cwd.rstrip('/')}/{path}"
