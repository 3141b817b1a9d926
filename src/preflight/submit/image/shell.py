"""Variables that a shell script sets, without running it: assignments, export, unset, defaults, in their order.

What a branch, a loop, a function or a pipeline does is not certain; a value that a command computes is not known. Such
a name is given as unread, and is in none of the values. Words are read as POSIX sh reads them (sh(1), 2.2 to 2.6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

MAX_NESTED = 40
MAX_TOKENS = 20_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=", re.DOTALL)
_OPERATOR = re.compile(r"&&|\|\||;;|[;&|()\n]")
_REDIRECT = re.compile(r"\d*(<<-?|[<>]+[&|]?)")
_OPENING = {"if": "fi", "for": "done", "while": "done", "until": "done", "select": "done", "case": "esac"}
_PASSING = ("then", "else", "elif", "do", "!", "time")


class Unknown(ValueError):
    """A word whose text would have to be computed."""


class Script:
    """Reads one script. ``values``: what is set before it, and after `read` what it leaves; ``unread``: names."""

    def __init__(self, values: dict[str, str], known: re.Pattern[str]) -> None:
        self.values = dict(values)
        self.unread: list[str] = []
        self._known = known  # names of which it is certain that nobody else sets them
        self._within: list[str] = []  # the words that end what is open; "" where it runs for certain
        self._perhaps = False  # behind && or ||
        self._ended = False

    def read(self, text: str) -> bool:
        """Read a script; values change as its commands would change them. False where it is too long to be read."""
        tokens = list(islice(_tokens(text), MAX_TOKENS + 1))
        if len(tokens) > MAX_TOKENS:
            return False
        self._within, self._perhaps, self._ended = [], False, False
        command: list[str] = []
        for token in [*tokens, "\n"]:
            if not _OPERATOR.fullmatch(token):
                command.append(token)
                continue
            if token == "(" and command and _NAME.fullmatch(command[-1]):
                command = ["function"]
                continue
            if token == "|":
                self._perhaps = True  # in a shell of its own
            if command != ["function"] or token != ")":
                self._command(command)
                command = []
            if token == "(":
                self._within.append(")")
            elif token == ")":
                self._close(")")
            elif token in ("&&", "||", "|"):
                self._perhaps = True
            elif token in (";", "\n", "&", ";;"):
                self._perhaps = False
        return True

    def _close(self, word: str) -> None:
        if self._within and self._within[-1].lstrip("?") == word:
            self._within.pop()

    @property
    def _certain(self) -> bool:
        return not self._perhaps and not self._ended and not any(self._within)

    def _command(self, words: list[str]) -> None:
        """Run one simple command, or a reserved word with the command behind it."""
        function = words[:1] == ["function"]
        words = words[1:] if function else words
        while words:
            first = words[0]
            if first in _OPENING:
                self._within.append(_OPENING[first])
                words = words[1:]
            elif first == "{":
                self._within.append("?}" if function else "")
                words = words[1:]
            elif first == "}":
                if self._within and self._within[-1] in ("", "?}"):
                    self._within.pop()
                words = words[1:]
            elif first in ("fi", "done", "esac"):
                self._close(first)
                words = words[1:]
            elif first in _PASSING:
                words = words[1:]
            else:
                break
            function = False
        if words:
            self._simple(words)

    def _simple(self, words: list[str]) -> None:
        count = next((at for at, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
        if count == len(words):
            for word in words:
                self._set(*self._assigned(word))
            return
        command, arguments = words[count], words[count + 1 :]
        if command in ("export", "readonly", "declare", "typeset", "local"):
            for matched, value in [self._assigned(word) for word in arguments if _ASSIGNMENT.match(word)]:
                self._set(matched, value)  # all words are expanded first
        elif command == "unset":
            for name in arguments:
                if _NAME.fullmatch(name):
                    self._unset(name)
        elif command == ":":
            for word in arguments:  # ": ${NAME:=value}" sets it
                try:
                    self._expand(word)
                except Unknown:
                    self._forget(_NAME.findall(word)[:1])
        elif command in ("exit", "return", "exec"):
            self._ended = True if self._certain else self._ended
            if not self._certain and not self._ended:
                self._within.append("?exit")  # nothing behind it is certain any more

    def _assigned(self, word: str) -> tuple[re.Match[str], str | None]:
        """Return an assignment's name and what its value stands for, None where that would have to be run."""
        matched = _ASSIGNMENT.match(word)
        assert matched
        try:
            return matched, self._expand(word[matched.end() :])
        except Unknown:
            return matched, None

    def _set(self, matched: re.Match[str], value: str | None) -> None:
        name = matched[1]
        if self._ended:
            return
        if value is None or not self._certain:
            self._forget([name])
        else:
            self.values[name] = self.values.get(name, "") + value if matched[2] else value

    def _unset(self, name: str) -> None:
        if self._ended:
            return
        if self._certain:
            self.values.pop(name, None)
        elif name in self.values:
            self._forget([name])

    def _forget(self, names: list[str]) -> None:
        for name in names:
            self.values.pop(name, None)
            self.unread.append(name)

    def _expand(self, word: str, depth: int = 0, quoted: bool = False) -> str:
        """Return what a word stands for; Unknown where it would have to be run."""
        if depth > MAX_NESTED:
            raise Unknown(word)
        out: list[str] = []
        at = 0
        while at < len(word):
            char = word[at]
            if char == "'" and not quoted:
                end = word.find("'", at + 1)
                if end < 0:
                    raise Unknown(word)
                out.append(word[at + 1 : end])
                at = end + 1
            elif char == '"':
                end = _double(word, at)
                out.append(self._expand(word[at + 1 : end - 1], depth + 1, True))
                at = end
            elif char == "\\":
                escaped = word[at + 1 : at + 2]
                if escaped != "\n":  # else a line goes on
                    out.append(escaped if not quoted or escaped in '$`"\\' else f"\\{escaped}")
                at += 2
            elif char == "`" or word.startswith("$(", at):
                raise Unknown(word)
            elif word.startswith("${", at):
                end = _brace(word, at)
                out.append(self._parameter(word[at + 2 : end - 1], depth + 1))
                at = end
            elif char == "$" and (named := _NAME.match(word, at + 1)):
                out.append(self._value(named[0]) or "")
                at = named.end()
            elif char == "$" and word[at + 1 : at + 2] in (*"0123456789?$!#@*-",):
                raise Unknown(word)
            else:
                out.append(char)
                at += 1
        return "".join(out)

    def _value(self, name: str) -> str | None:
        """Return a variable's value, None where it is unset; Unknown for a name that others may set."""
        if name in self.values:
            return self.values[name]
        if not self._known.fullmatch(name) or name in self.unread:
            raise Unknown(name)
        return None

    def _parameter(self, text: str, depth: int) -> str:
        named = _NAME.match(text)
        if named is None:
            raise Unknown(text)
        name, rest = named[0], text[named.end() :]
        value = self._value(name)
        if not rest:
            return value or ""
        empty = rest.startswith(":")
        sign, word = rest[empty : empty + 1], rest[empty + 1 :]
        is_set = bool(value) if empty else value is not None
        if sign == "+":
            return self._expand(word, depth, True) if is_set else ""
        if sign not in ("-", "=", "?") or (sign == "?" and not is_set):
            raise Unknown(text)
        if is_set:
            return value or ""
        expanded = self._expand(word, depth, True)
        if sign == "=":
            self._assign_default(name, expanded)
        return expanded

    def _assign_default(self, name: str, value: str) -> None:
        if self._certain:
            self.values[name] = value
        else:
            self._forget([name])


def _tokens(text: str) -> Iterator[str]:
    """Yield words, quotes and all, and operators; comments, redirections and here-documents left out."""
    at, here = 0, list[str]()
    while at < len(text):
        char = text[at]
        if char == "\n":
            yield "\n"
            at += 1
            for delimiter in here:
                at = _behind(text, at, delimiter)
            here = []
        elif text.startswith("\\\n", at):
            at += 2
        elif char in " \t\r\f\v":
            at += 1
        elif char == "#":
            end_of_line = text.find("\n", at)
            at = len(text) if end_of_line < 0 else end_of_line
        elif redirect := _REDIRECT.match(text, at):
            at = redirect.end()
            while text[at : at + 1] in (" ", "\t"):
                at += 1
            end = _word(text, at)
            if redirect[1].startswith("<<") and end > at:
                here.append(re.sub(r"[\"'\\]", "", text[at:end]))
            at = max(end, at)
        elif operator := _OPERATOR.match(text, at):
            yield operator[0]
            at = operator.end()
        else:
            end = _word(text, at)
            yield text[at:end]
            at = end


def _behind(text: str, at: int, end: str) -> int:
    """Return the place behind a here-document that begins at ``at``."""
    while at < len(text):
        line = text[at : _line(text, at)]
        at += len(line) + 1
        if line.strip("\t\r") == end:
            return at
    return len(text)


def _line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _word(text: str, at: int) -> int:
    """Return the end of the word that begins at ``at``."""
    while at < len(text):
        char = text[at]
        if char in " \t\n\r;&|()<>":
            break
        at = _past(text, at)
    return at


def _past(text: str, at: int, depth: int = 0) -> int:
    """Return the place behind a character, or behind the quotes, braces or parentheses that open at it."""
    if depth > MAX_NESTED:
        return len(text)
    char = text[at]
    if char == "\\":
        return at + 2
    if char == "'":
        end = text.find("'", at + 1)
        return len(text) if end < 0 else end + 1
    if char == '"':
        return _double(text, at, depth)
    if char == "`":
        end = text.find("`", at + 1)
        return len(text) if end < 0 else end + 1
    if text.startswith("${", at):
        return _brace(text, at, depth)
    if text.startswith("$(", at):
        return _until(text, at + 2, ")", depth)
    return at + 1


def _double(text: str, at: int, depth: int = 0) -> int:
    """Return the place behind the double quotes that open at ``at``."""
    at += 1
    while at < len(text) and text[at] != '"':
        at = at + 1 if text[at] == "'" else _past(text, at, depth + 1)
    return min(at + 1, len(text))


def _brace(text: str, at: int, depth: int = 0) -> int:
    """Return the place behind the "}" that closes the "${" at ``at``."""
    return _until(text, at + 2, "}", depth)


def _until(text: str, at: int, close: str, depth: int) -> int:
    nested = 0
    while at < len(text):
        char = text[at]
        if char == close and not nested:
            return at + 1
        nested += (char == "(" and close == ")") - (char == ")" and close == ")")
        at = at + 1 if char == "'" and close == "}" else _past(text, at, depth + 1)
    return len(text)
