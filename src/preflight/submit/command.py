"""sbatch's command line, taken apart and put together again: Preflight's own options out, what it adds in."""

from collections.abc import Mapping, Sequence

from preflight.submit.options import Word, scan
from preflight.submit.options_table import Row
from preflight.submit.own import Taken, flag, take, valued

_OWN = (flag("strict"), valued("infer"))


def take_own(arguments: Sequence[str], plugins: Sequence[Row] = ()) -> Taken:
    """Take --strict and --infer out of sbatch's arguments; raises OptionError as `take` does."""
    return take(arguments, _OWN, plugins)


def add(own: Taken, additions: Sequence[Mapping[str, str]], plugins: Sequence[Row] = ()) -> list[str]:
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
