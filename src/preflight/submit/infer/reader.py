"""Walks a shell script as bash would, command by command, and tells which of them surely run.

`Reader` keeps what a shell keeps: variables, the working directory, functions. It hands every simple command to
``run`` with what is known of it (model.Command).
"""

import posixpath
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from preflight.submit.infer import scan
from preflight.submit.infer.model import Command
from preflight.submit.infer.shell import Expander, Variables, children, source
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
    "negated_command",
    *_DOUBTS,
)
_REDIRECTS = ("file_redirect", "heredoc_redirect", "herestring_redirect")
_PLAIN_FLAGS = frozenset("-xrg")


class Context(NamedTuple):
    """Where a statement stands. ``alone``: in a shell of its own, whose variables end with it. ``plain``: it is no part
    of && and ||. ``depth``: how many statements it stands in."""

    doubt: str = ""
    alone: bool = False
    plain: bool = True
    depth: int = 0

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
    ) -> None:
        self.parser = parser
        self.root = parser.parse(text.encode("utf-8", "replace")).root_node
        self.scanned = scan.scan(self.root)
        self.variables = Variables(self.scanned.assigned, given)
        self.expander = Expander(self.variables, base, flat)
        self.run = run
        self.cwd = cwd
        self.inside = inside
        self.limit = limit
        self.ended = False
        self.deep: int | None = None  # the first line that was too deep to be read
        self._bodies: dict[str, Node] = {}

    def read(self, doubt: str = "") -> None:
        """Read all of it; with a ``doubt`` nothing in it surely runs."""
        self._walk(self.root, Context(doubt))

    def _walk(self, node: "Node", context: Context) -> None:
        if self.ended:
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
        elif kind == "function_definition":
            self._function(node, context)
        elif kind in ("variable_assignment", "variable_assignments", "declaration_command"):
            self._assignments(node, context)
        elif kind == "unset_command":
            for name in children(node, ("variable_name", "word")):
                self.variables.set(source(name), None)
        elif kind in _GROUPS:
            inner = context.down(doubt=context.doubt or _DOUBTS.get(kind, ""))
            for child in node.named_children:
                self._walk(child, inner)

    def _list(self, node: "Node", context: Context) -> None:
        """Read A && B || C …, which the grammar nests to the left: what follows || runs only if what precedes fails."""
        chain: list[tuple[str, Node]] = []
        while node.type == "list" and len(node.children) >= 3:
            chain.append((source(node.children[1]), node.children[-1]))
            node = node.children[0]
        self._walk(node, context.down(plain=False))
        for sign, part in reversed(chain):
            doubt = "runs only if what stands before || fails" if sign == "||" else ""
            self._walk(part, context.down(plain=False, doubt=context.doubt or doubt))

    def _alone(self, node: "Node", context: Context) -> None:
        """Read what runs in shells of its own: the working directory and variables are as before when they end."""
        before = self.cwd, dict(self.variables.values)
        for child in node.named_children:
            self._walk(child, context.down(alone=True))
            if node.type == "pipeline":  # each part has a shell of its own
                self.cwd, self.variables.values = before[0], dict(before[1])
        self.cwd, self.variables.values = before

    def _redirected(self, node: "Node", context: Context) -> None:
        """Read a statement with redirections; words behind a redirection still belong to the command."""
        more: list[Node] = []
        after: list[Node] = []
        for child in node.named_children:
            if child.type == "file_redirect":
                targets = [one for one in child.named_children if one.type != "file_descriptor"]
                more += targets[1:]
            elif child.type == "heredoc_redirect":
                for one in child.named_children:
                    if one.type in ("heredoc_start", "heredoc_body", "heredoc_end", "file_redirect"):
                        continue
                    (after if one.type.endswith(("command", "pipeline", "list", "statement")) else more).append(one)
        body = node.named_children[0] if node.named_children else None
        if body is not None and body.type not in _REDIRECTS:
            if body.type == "command":
                self._command(body, context, more)
            else:
                self._walk(body, context.down())
        for redirect in node.named_children:
            if redirect.type in _REDIRECTS:
                self._substitutions(redirect, context)
        for one in after:
            self._walk(one, context.down())

    def _function(self, node: "Node", context: Context) -> None:
        """Keep a function that is called once, without arguments, for its call; what is in others may not run."""
        name = source(node.child_by_field_name("name") or node)
        body = node.child_by_field_name("body")
        if body is None:
            return
        if name in self.scanned.once and not context.doubt:
            self._bodies[name] = body
        else:
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
            elif child.type not in _REDIRECTS:
                words += self.expander.words(child)
        if not words:
            return
        command = Command(tuple(words), context.doubt, self.inside, self.cwd, exported)
        name = words[0].text
        if name in self._bodies and len(words) == 1:
            self._walk(self._bodies.pop(name), context.down(plain=True))
        elif name not in self.scanned.functions:
            self._builtin(name, command, context)

    def _builtin(self, name: str, command: Command, context: Context) -> None:
        """Follow what changes the shell itself; everything is handed on all the same."""
        if name in ("cd", "pushd", "popd"):
            self.cwd = None if context.doubt else self._directory(command)
            self.variables.given.pop("PWD", None)
            return
        self.run(self, command)
        leaves = name == "exit" or (name == "exec" and len(command.words) > 1)
        if leaves and context.plain and not context.alone and not context.doubt:
            self.ended = True

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


def joined(cwd: str | None, path: str) -> str | None:
    """Return a path as an absolute one, None where that would take a directory that is not known."""
    if path.startswith("/"):
        return path
    return None if cwd is None else f"{cwd.rstrip('/')}/{path}"
