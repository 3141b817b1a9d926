"""Taking Preflight's own options out of words that are sbatch's otherwise."""

from collections.abc import Sequence

from preflight.submit.options import OptionError, Word, scan
from preflight.submit.options_table import Row
from preflight.tuples import NamedTuple

INFER = ("warn", "require", "off")


class Taken(NamedTuple):
    """``given``: own options -> value; ``words``: what is left for sbatch, as it was.

    ``script``: the number of the first of ``words`` that is no option's; len(words) where there is none.
    ``names``: the options of sbatch among them, by their long names.
    """

    given: dict[str, str]
    words: tuple[str, ...]
    names: frozenset[str]
    script: int

    @property
    def by_stdin(self) -> bool:
        """Return whether sbatch would read the script from stdin."""
        return self.script == len(self.words) and "wrap" not in self.names

    @property
    def infer(self) -> str:
        """Return how needs of the script's lines count: one of INFER."""
        return self.given.get("infer", "warn")


def flag(name: str) -> Row:
    """Return the row of an own option without a value."""
    return Row(name, "", "flag", name, False, False)


def valued(name: str) -> Row:
    """Return the row of an own option with a value."""
    return Row(name, "", "value", name, False, False)


def take(arguments: Sequence[str], rows: Sequence[Row], plugins: Sequence[Row] = ()) -> Taken:
    """Take the options of ``rows`` out of sbatch's arguments, wherever they stand before the script.

    Raises OptionError as `scan` does, and for an --infer of another value.
    """
    # As sbatch's first reading: the script is found with the separators of components left out.
    places = [number for number, word in enumerate(arguments) if word != ":"]
    found = scan([Word(arguments[number]) for number in places], "command line", plugins=(*plugins, *rows))
    own = {row.name for row in rows}
    given: dict[str, str] = {}
    gone: set[int] = set()
    ends = (*found.first[1:], found.end)
    for (name, option), first, end in zip(found.options, found.first, ends):
        if name in own:
            gone.update(places[first:end])
            given[name] = option.value or ""
    if given.get("infer", "warn") not in INFER:
        raise OptionError(f"--infer={given['infer']}: give one of {', '.join(INFER)}")
    script = places[found.rest] if found.rest < len(places) else len(arguments)
    words = tuple(word for number, word in enumerate(arguments) if number not in gone)
    names = frozenset(name for name, _ in found.options if name not in own)
    return Taken(given, words, names, script - len([one for one in gone if one < script]))
