"""sbatch's command line, taken apart and put together again: Preflight's own options out, what it adds in."""

from collections.abc import Mapping, Sequence

from preflight.submit.options import OptionError, Word, scan
from preflight.submit.options_table import Row
from preflight.tuples import NamedTuple

INFER = ("warn", "require", "off")
_OWN = (Row("strict", "", "flag", "strict", False, False), Row("infer", "", "value", "infer", False, False))


class Own(NamedTuple):
    """Preflight's own options; ``words`` are what is left for sbatch, as they were.

    ``script``: the number of the first word that is no option's; len(words) where there is none.
    ``names``: the options of sbatch on the command line, by their long names.
    """

    strict: bool
    infer: str
    words: tuple[str, ...]
    names: frozenset[str]
    script: int


def take_own(arguments: Sequence[str], plugins: Sequence[Row] = ()) -> Own:
    """Take --strict and --infer out of sbatch's arguments, wherever they stand before the script.

    Raises OptionError as `scan` does, and for an --infer of another value.
    """
    known = (*plugins, *_OWN)
    # As sbatch's first reading: the script is found with the separators of components left out.
    places = [number for number, word in enumerate(arguments) if word != ":"]
    found = scan([Word(arguments[number]) for number in places], "command line", plugins=known)
    gone: set[int] = set()
    strict, infer = False, "warn"
    ends = (*found.first[1:], found.end)
    for (name, option), first, end in zip(found.options, found.first, ends, strict=False):
        if name not in ("strict", "infer"):
            continue
        gone.update(places[first:end])
        strict = strict or name == "strict"
        infer = option.value or "" if name == "infer" else infer
    if infer not in INFER:
        raise OptionError(f"--infer={infer}: give one of {', '.join(INFER)}")
    script = places[found.rest] if found.rest < len(places) else len(arguments)
    words = tuple(word for number, word in enumerate(arguments) if number not in gone)
    names = frozenset(name for name, _ in found.options if name not in ("strict", "infer"))
    return Own(strict, infer, words, names, script - len([one for one in gone if one < script]))


def add(own: Own, additions: Sequence[Mapping[str, str]], plugins: Sequence[Row] = ()) -> list[str]:
    """Return sbatch's words with options added to each component's: long name and value.

    The command line that has fewer components than the job is repeated for the others, as sbatch takes it.
    """
    words, rest = list(own.words[: own.script]), list(own.words[own.script :])
    if not any(additions):
        return [*words, *rest]
    segments: list[tuple[list[str], list[str]]] = []
    while True:
        found = scan([Word(one) for one in words], "command line", plugins=plugins)
        segments.append((words[: found.end], words[found.end : found.rest]))
        if found.rest >= len(words) or words[found.rest] != ":":
            break
        words = words[found.rest + 1 :]
    while len(segments) < len(additions):
        segments.append((list(segments[-1][0]), list(segments[-1][1])))
    out: list[str] = []
    for number, (options, ending) in enumerate(segments):
        more = additions[number] if number < len(additions) else {}
        out += [":"] if number else []
        out += [*options, *(f"--{name}={value}" for name, value in more.items())]
        # "--" ends the options: of sbatch's first reading too, so only the last may stay.
        out += ending if number == len(segments) - 1 else []
    return [*out, *rest]
