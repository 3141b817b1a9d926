"""Words of a shell command, as far as they are known; and the options among them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

# What stands for text that is not known, in a word. Both are of Unicode's private use area: a script that holds one is
# taken to hold something unknown.
HOLE = "\uf8ff"  # quoted: one piece of text
WIDE = "\uf8fe"  # unquoted: it may be no word, or several


class Word(NamedTuple):
    """One word. ``line`` is where it begins; ``script`` its text for `sh -c`, line breaks kept (None: as ``text``)."""

    text: str
    line: int
    script: str | None = None
    flat: bool = False  # its lines are not the script's: they come from a variable

    @property
    def known(self) -> bool:
        """Whether all of the text is known."""
        return HOLE not in self.text and WIDE not in self.text

    @property
    def vague(self) -> bool:
        """Whether it may be any number of words, options among them."""
        return WIDE in self.text and not self.text.strip(WIDE + HOLE)

    @property
    def name(self) -> str:
        """The last part of a path, as far as it is known: "python" of "$DIR/bin/python"."""
        if self.text[:1] in (HOLE, WIDE) and " " in self.text:
            return ""  # options in one word, rather than a path
        last = self.text.rpartition("/")[2]
        return "" if HOLE in last or WIDE in last else last

    def part(self, start: int) -> Word:
        """Return the text from ``start`` on as a word."""
        return Word(self.text[start:], self.line)


class Option(NamedTuple):
    """An option as written ("--image", "-n") and its value, None where it has none."""

    name: str
    value: Word | None
    line: int


class Arguments(NamedTuple):
    """``options``, then ``rest``. ``vague``: how many words among the options could be something else, or several."""

    options: tuple[Option, ...]
    rest: tuple[Word, ...]
    vague: int

    @property
    def clear(self) -> bool:
        """Whether no word among the options could be something else than it looks like."""
        return not self.vague

    def value(self, *names: str) -> Word | None:
        """Return the last value given to one of several names of an option."""
        return next((one.value for one in reversed(self.options) if one.name in names and one.value), None)

    def has(self, *names: str) -> bool:
        """Whether one of several names of an option is given."""
        return any(one.name in names for one in self.options)


def arguments(words: Sequence[Word], valued: Set[str], clusters: bool = True) -> Arguments:
    """Take the options off the front of ``words``.

    ``valued`` names those that take a value ("--bind", "-B"), given with "=" or as the next word. ``clusters``: short
    options may be written together (-it) and before their value (-n4), else "-np" is one option.
    """
    options: list[Option] = []
    vague = at = 0
    while at < len(words):
        word = words[at]
        text = word.text
        if word.vague:
            vague += 1
        elif text == "--":
            return Arguments(tuple(options), tuple(words[at + 1 :]), vague)
        elif not text.startswith("-") or text == "-":
            break
        else:
            name, value = _split(word, valued, clusters)
            if value is None and name in valued and at + 1 < len(words):
                at += 1
                value = words[at]
            options.append(Option(name, value, word.line))
        at += 1
    return Arguments(tuple(options), tuple(words[at:]), vague)


def permuted(words: Sequence[Word], valued: Set[str]) -> Arguments:
    """Take the options out of ``words`` wherever they stand, as getopt_long does of itself: up to "--"."""
    options: list[Option] = []
    rest: list[Word] = []
    vague, left = 0, tuple(words)
    while left:
        read = arguments(left, valued)
        options += read.options
        vague += read.vague
        taken = left[: len(left) - len(read.rest)]
        if taken and taken[-1].text == "--":
            return Arguments(tuple(options), (*rest, *read.rest), vague)
        rest += read.rest[:1]
        left = read.rest[1:]
    return Arguments(tuple(options), tuple(rest), vague)


def _split(word: Word, valued: Set[str], clusters: bool) -> tuple[str, Word | None]:
    text = word.text
    if text.startswith("--") or not clusters:
        name, sign, _ = text.partition("=")
        return name, word.part(len(name) + 1) if sign else None
    for at, letter in enumerate(text[1:], 1):
        if f"-{letter}" in valued:
            return f"-{letter}", word.part(at + 1) if at + 1 < len(text) else None
    return text, None


def names(text: str) -> frozenset[str]:
    """Return the words of a text, for tables of options."""
    return frozenset(text.split())
