"""The #SBATCH lines of a script, cut into words as sbatch cuts them."""

import re

from preflight.submit.options import OptionError, Word
from preflight.tuples import NamedTuple

_MAGIC = ("#SBATCH", "#SLURM")
_OTHER = ("#PBS", "#BSUB")
_SPACES = " \t\n\v\f\r"
_SEPARATOR = re.compile(r"(hetjob|packjob)(?=[ \t\v\f\r]|$)", re.IGNORECASE)


class Directives(NamedTuple):
    """The words of each component's #SBATCH lines, one component where no line says "hetjob"; what was not read."""

    components: tuple[tuple[Word, ...], ...]
    notes: tuple[str, ...]


def read_directives(text: str, file: str) -> Directives:
    """Return the words of the #SBATCH lines before the first command.

    A line that is empty or a comment does not end them. Raises OptionError for a quote without its end and for a ":".
    """
    components: list[list[Word]] = [[]]
    notes: list[str] = []
    translated = False
    for number, line in enumerate(text.split("\n"), 1):
        magic = next((one for one in _MAGIC if line.startswith(one)), "")
        if not magic:
            stripped = line.lstrip(_SPACES)
            if stripped and not stripped.startswith("#"):
                break
            if line.startswith(_OTHER) and not translated:
                translated = True
                notes.append(f"{file}: line {number}: {line.split()[0]} lines are sbatch's to translate, not read here")
            continue
        rest = line[len(magic) :].lstrip(_SPACES)
        separator = _SEPARATOR.match(rest)
        if separator:
            components.append([])
            if rest[separator.end() :].strip(_SPACES):
                notes.append(f"{file}: line {number}: sbatch reads no options behind {separator[1]}: give them a line")
        words, cut = _words(rest, file, number)
        components[-1] += [Word(word, number) for word in words]
        if cut:
            notes.append(f"{file}: line {number}: sbatch ends the value at '#': quote it")
    return Directives(tuple(tuple(one) for one in components), tuple(notes))


def _words(line: str, file: str, number: int) -> tuple[list[str], bool]:
    """Cut a line into words; and tell whether a "#" ended one of them, which few mean.

    Quotes group, a backslash takes the next character as it is, in quotes too; "#" begins a comment, also inside a
    word. A word that is empty ends the line, as do a comment and the word "hetjob".
    """
    words: list[str] = []
    at = 0
    while True:
        while at < len(line) and line[at] in _SPACES:
            at += 1
        if at < len(line) and line[at] == ":":
            raise OptionError(f"{file}: line {number}: a word begins with ':', which sbatch refuses here")
        if _SEPARATOR.match(line, at):
            return words, False
        word, at = _word(line, at, file, number)
        if not word:
            return words, False
        words.append(word)
        if line[at : at + 1] == "#":
            return words, True


def _word(line: str, at: int, file: str, number: int) -> tuple[str, int]:
    """Return the word that begins at ``at`` and where it ends; stops at a "#" without passing it."""
    word = ""
    quote = ""
    while at < len(line) and (quote or line[at] not in _SPACES):
        letter = line[at]
        if letter == "\\":
            taken = line[at + 1 : at + 2]
            if taken not in _SPACES or taken == " " or quote:
                word += taken
            else:  # it escapes no other space
                taken = ""
            at += 1 + len(taken)
            continue
        if quote:
            if letter == quote:
                quote = ""
            else:
                word += letter
        elif letter in "\"'":
            quote = letter
        elif letter == "#":
            break
        else:
            word += letter
        at += 1
    if quote:
        raise OptionError(f"{file}: line {number}: the {quote} has no end")
    return word, at
