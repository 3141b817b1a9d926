"""Here-documents, taken out of a script before it is parsed: where one ends is told as bash does.

The grammar for bash ends one at a line that only begins with the end word, and at one where that is indented. Each
operator becomes a redirection from FILE, and each line of a text an empty one, so that lines keep their numbers.
"""

import re
from typing import NamedTuple

FILE = "/dev/fd/here-document"
_NEXT = re.compile(r"[\\'\"$(){}`#<\n\[]")
_SUBSCRIPT = re.compile(r"\[[^\]\n]{0,200}\]\+?=")
_OLD = re.compile(r"\$\[[^\]\n]{0,200}\]")  # arithmetic of old: $[1<<2]
_BEFORE = frozenset(" \t\n;&|(`")
_ENDS = frozenset(" \t\n;&|<>()")
_COMMANDS = ("", "(", "s", "`")  # contexts in which << begins a here-document


class Body(NamedTuple):
    """What is run when a here-document's text is made: the commands in it, on their lines. ``line`` is 0-based."""

    line: int
    text: str


class _Open(NamedTuple):
    word: str
    quoted: bool
    tabs: bool


def split(text: str) -> tuple[str, list[Body]]:
    """Return a script without the texts of its here-documents, and the command substitutions in those texts."""
    if "<<" not in text:
        return text, []
    lexer = _Lexer(text)
    lexer.read(0)
    return "".join([*lexer.out, text[lexer.kept :]]), lexer.bodies


class _Lexer:
    """Goes through shell text, with ``stack`` for what is open: quotes, substitutions, arithmetic."""

    def __init__(self, text: str, base: str = "") -> None:
        self.text = text
        self.base = base
        self.stack: list[str] = []
        self.out: list[str] = []
        self.kept = 0  # up to where the text is in ``out``
        self.pending: list[_Open] = []
        self.bodies: list[Body] = []
        self.found: list[tuple[int, int]] = []  # where outermost substitutions begin and end
        self._begun = self._depth = 0
        self._counted = self._lines = 0

    def read(self, at: int) -> None:
        """Read all of the text."""
        while (found := _NEXT.search(self.text, at)) is not None:
            at = self._step(found.start())

    def _push(self, sign: str, at: int) -> None:
        if sign in ("(", "`"):
            self._begun = at if not self._depth else self._begun
            self._depth += 1
        self.stack.append(sign)

    def _pop(self, end: int) -> int:
        if self.stack.pop() in ("(", "`"):
            self._depth -= 1
            if not self._depth:
                self.found.append((self._begun, end))
        return end

    def _step(self, at: int) -> int:
        """Read what stands at ``at`` and return where to go on."""
        text, mode = self.text, self.stack[-1] if self.stack else self.base
        char = text[at]
        if char == "\\":
            return at + 2
        if char in "$`":
            return self._expansion(at, mode)
        if char == '"' and mode != "body":
            if mode == '"':
                return self._pop(at + 1)
            self._push('"', at)
        elif mode in ("{", "((", "p"):
            return self._inner(at, mode)
        elif mode in _COMMANDS:
            return self._command(at, mode)
        return at + 1

    def _expansion(self, at: int, mode: str) -> int:
        text = self.text
        if text[at] == "`":
            if mode == "`":
                return self._pop(at + 1)
            self._push("`", at)
            return at + 1
        old = _OLD.match(text, at) if mode not in ('"', "body") else None
        if old:
            return old.end()
        for sign, opened in (("$((", "(("), ("$(", "("), ("${", "{")):
            if text.startswith(sign, at):
                self._push(opened, at)
                return at + len(sign)
        if text.startswith("$'", at) and mode not in ('"', "body"):
            return self._quoted(at + 2, True)
        return at + 1

    def _quoted(self, at: int, escapes: bool) -> int:
        found = re.compile(r"(?:[^'\\]|\\.)*'" if escapes else r"[^']*'", re.DOTALL).match(self.text, at)
        return found.end() if found else len(self.text)

    def _inner(self, at: int, mode: str) -> int:
        """Read on in ${…} and in arithmetic."""
        char = self.text[at]
        if mode == "{":
            if char == "}":
                return self._pop(at + 1)
            if char == "'" and '"' not in self.stack and self.base != "body":
                return self._quoted(at + 1, False)
        elif char == "(":
            self._push("p", at)
        elif char == ")" and mode == "p":
            return self._pop(at + 1)
        elif char == ")":
            if self.text.startswith("))", at):
                return self._pop(at + 2)
            self.stack[-1] = "s"  # it was $( (…) …)
        return at + 1

    def _command(self, at: int, mode: str) -> int:
        text, char = self.text, self.text[at]
        before = text[at - 1] if at else "\n"
        if char == "'":
            return self._quoted(at + 1, False)
        if char == "#" and before in _BEFORE:
            end = text.find("\n", at)
            return len(text) if end < 0 else end
        if char == "[" and (before.isalnum() or before == "_"):
            found = _SUBSCRIPT.match(text, at)
            return found.end() if found else at + 1
        if char == "(":
            double = text.startswith("((", at) and before in _BEFORE
            self._push("((" if double else "(", at)
            return at + 1 + double
        if char == ")" and mode in ("(", "s"):
            return self._pop(at + 1)
        if char == "<":
            return self._less(at)
        if char == "\n" and self.pending:
            return self._texts(at + 1)
        return at + 1

    def _less(self, at: int) -> int:
        text = self.text
        if text.startswith("<<<", at):
            return at + 3
        if not text.startswith("<<", at):
            return at + 1
        tabs = text.startswith("<<-", at)
        end = at + 2 + tabs
        while text[end : end + 1] in (" ", "\t"):
            end += 1
        word, quoted, end = self._word(end)
        if not word and not quoted:
            return at + 2
        self.pending.append(_Open(word, quoted, tabs))
        self.out += [text[self.kept : at], f"<{FILE} "]
        self.kept = end
        return end

    def _word(self, at: int) -> tuple[str, bool, int]:
        """Return an end word without its quotes, whether it has any, and where it ends."""
        text, word, quoted = self.text, "", False
        while at < len(text) and text[at] not in _ENDS:
            char = text[at]
            if char == "\\":
                word, quoted, at = word + text[at + 1 : at + 2], True, at + 2
            elif char in "'\"":
                end = text.find(char, at + 1)
                end = len(text) if end < 0 else end
                word, quoted, at = word + text[at + 1 : end], True, end + 1
            else:
                word, at = word + char, at + 1
        return word, quoted, at

    def _texts(self, at: int) -> int:
        """Take out the texts that begin at ``at``, one for each operator of the line before; return their end."""
        text = self.text
        self.out.append(text[self.kept : at])
        for one in self.pending:
            first, end = at, len(text)
            line = ""
            while at < len(text):
                begin = at
                stop = text.find("\n", at)
                stop = len(text) if stop < 0 else stop
                part = text[at:stop]
                at = min(stop + 1, len(text))
                line += part.lstrip("\t") if one.tabs and not line else part
                if not one.quoted and (len(part) - len(part.rstrip("\\"))) % 2 and stop < len(text):
                    line = line[:-1]  # the line goes on: the next is no end word
                    continue
                if line == one.word:
                    end = begin
                    break
                line = ""
            if not one.quoted:
                self._substitutions(first, min(end, at))
            self.out.append("\n" * text.count("\n", first, at))
        self.pending = []
        self.kept = at
        return at

    def _substitutions(self, first: int, end: int) -> None:
        """Keep the commands that are run to make an unquoted text."""
        body = self.text[first:end]
        if "$(" not in body and "`" not in body:
            return
        inner = _Lexer(body, "body")
        inner.read(0)
        made, last = [], 0
        for begin, stop in inner.found:
            made += ["\n" * body.count("\n", last, begin), ": ", body[begin:stop], " ; "]
            last = stop
        if made:
            self._lines += self.text.count("\n", self._counted, first)
            self._counted = first
            self.bodies.append(Body(self._lines, "".join(made)))
