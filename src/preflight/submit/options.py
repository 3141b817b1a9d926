"""Words of a command line or of #SBATCH lines, read as sbatch reads them: getopt_long with a "+".

Python's own getopt is of no use here: before 3.14 it knows no optional values, an option that it does not know ends
it (plugins bring their own), and it does not tell which word an option came from.
"""

from __future__ import annotations

from collections.abc import Sequence

from preflight.report.clean import clean
from preflight.submit.options_table import LETTERS, PLUGIN_ROWS, ROWS, Row
from preflight.tuples import NamedTuple


class OptionError(ValueError):
    """Options or a script that sbatch refuses; str() is one line, safe to show: what is wrong, where, what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(clean(text))


class Option(NamedTuple):
    """One option as it was given: ``value`` is None for a flag, and for an optional value that is left out.

    ``source``: "command line", "environment" or "script". ``line``: 1-based in the script, 0 elsewhere.
    ``text``: as written ("-p gpu", "--mem=4G", "SBATCH_QOS=low").
    """

    value: str | None
    source: str
    line: int
    text: str


class Word(NamedTuple):
    """One word, unquoted, and the ``line`` of the script that it stands in; 0 on the command line."""

    text: str
    line: int = 0


class Scanned(NamedTuple):
    """What words say: ``options`` (long name, option) in their order, ``rest`` the number of words that were read.

    ``words[rest]`` is the first that is no option: the script, or a ":". ``notes``: what could not be read.
    ``first``: of each option, the number of the word in which it begins. ``end``: behind the last option, before "--".
    """

    options: tuple[tuple[str, Option], ...]
    rest: int
    notes: tuple[str, ...]
    first: tuple[int, ...]
    end: int


def scan(words: Sequence[Word], source: str, file: str = "", plugins: Sequence[Row] = ()) -> Scanned:
    """Read options up to the first word that is none, or past "--".

    ``plugins`` are the options of SPANK plugins, where they are known beyond those of Preflight and pyxis.
    Raises OptionError as sbatch would end: an unknown letter, a value that is missing or not wanted.
    """
    reader = _Reader(words, source, file, {**PLUGIN_ROWS, **{row.name: row for row in plugins}})
    while reader.step():
        pass
    return Scanned(tuple(reader.options), reader.at, tuple(reader.notes), tuple(reader.first), reader.end)


class _Reader:
    def __init__(self, words: Sequence[Word], source: str, file: str, plugins: dict[str, Row]) -> None:
        self.words, self.source, self.file, self.plugins = words, source, file, plugins
        self.at = self.begun = self.end = 0
        self.first: list[int] = []
        self.options: list[tuple[str, Option]] = []
        self.notes: list[str] = []

    def step(self) -> bool:
        """Read one word with its value; False where the options end."""
        if self.at >= len(self.words):
            return False
        word = self.words[self.at]
        if not word.text.startswith("-") or word.text == "-":
            return False
        self.begun = self.at
        self.at += 1
        if word.text == "--":
            return False
        if word.text.startswith("--"):
            self._long(word)
        else:
            self._letters(word)
        self.end = self.at
        return True

    def _long(self, word: Word) -> None:
        written, equals, value = word.text[2:].partition("=")
        row = self._find(written, word)
        if row is None:
            self._unknown(written, value if equals else None, word)
        elif row.takes == "flag":
            if equals:
                raise self._error(word, f"--{row.name} takes no value")
            self._add(row.canonical, None, word, word.text)
        elif equals:
            self._add(row.canonical, value, word, word.text)
        elif row.takes == "optional":
            self._add(row.canonical, None, word, word.text)
        else:
            value = self._next(word, f"--{row.name}")
            self._add(row.canonical, value, word, f"{word.text} {value}")

    def _find(self, written: str, word: Word) -> Row | None:
        """Return the option of that name or the one that it abbreviates; sbatch's own before those of plugins."""
        for rows in (ROWS, self.plugins):
            if written in rows:
                return rows[written]
        for rows in (ROWS, self.plugins):
            fits = [row for name, row in rows.items() if written and name.startswith(written)]
            if len({row.canonical for row in fits}) == 1:
                return fits[0]
            if fits:
                names = ", ".join(f"--{row.name}" for row in fits[:4])
                raise self._error(word, f"--{written} may be any of {names}: write more of it")
        return None

    def _unknown(self, name: str, value: str | None, word: Word) -> None:
        self._add(name, value, word, word.text)
        if value is None:
            self.notes.append(
                f"{self._where(word)}--{name} is no option of sbatch's own: read as a plugin's flag; write "
                f"--{name}=VALUE if it takes a value"
            )

    def _letters(self, word: Word) -> None:
        """Read "-Hp gpu": flags in one word, the last of them perhaps with its value behind it."""
        letters = word.text[1:]
        for position, letter in enumerate(letters):
            row = LETTERS.get(letter)
            if row is None:
                raise self._error(word, f"-{letter} is no option of sbatch")
            behind = letters[position + 1 :]
            if row.takes == "flag":
                self._add(row.canonical, None, word, f"-{letter}")
                continue
            if behind or row.takes == "optional":
                self._add(row.canonical, behind or None, word, f"-{letter}{behind}")
            else:
                value = self._next(word, f"-{letter}")
                self._add(row.canonical, value, word, f"-{letter} {value}")
            return

    def _next(self, word: Word, name: str) -> str:
        if self.at >= len(self.words):
            raise self._error(word, f"{name} needs a value")
        self.at += 1
        return self.words[self.at - 1].text

    def _add(self, name: str, value: str | None, word: Word, text: str) -> None:
        self.options.append((name, Option(value, self.source, word.line, text)))
        self.first.append(self.begun)

    def _where(self, word: Word) -> str:
        return f"{self.file}: line {word.line}: " if word.line else ""

    def _error(self, word: Word, text: str) -> OptionError:
        return OptionError(f"{self._where(word)}{text}")
