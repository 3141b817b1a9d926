"""A batch job as sbatch sees it: its options, from the command line over the environment over the script's lines.

sbatch itself is the reference (tests/lab/test_sbatch_reference.py). #PBS and #BSUB lines, which it translates where a
script has them, are not read here; a note says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from preflight.submit.directives import Directives, read_directives
from preflight.submit.environment import FromEnvironment, host_file, pyxis_image, read_environment
from preflight.submit.options import Option, OptionError, Scanned, Word, scan
from preflight.submit.options_asked import Asked, Component, Gpus, asked
from preflight.submit.options_table import ROWS, Row
from preflight.submit.script_file import check, find, is_anothers, load
from preflight.tuples import NamedTuple

__all__ = ["Asked", "Component", "Gpus", "Option", "OptionError", "Submission", "asked", "read"]

_HOSTS = {"nodelist": "nodefile", "nodefile": "nodelist"}
_WRAPPED = "#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{}\n"


class Submission(NamedTuple):
    """One sbatch command, read.

    ``script``      its path, None where it is read from stdin or made of --wrap.
    ``text``        the script, or as much of it as was read; undecodable bytes as surrogates.
    ``arguments``   those of the script, behind it on the command line.
    ``components``  one; more where the job is heterogeneous.
    ``notes``       what could not be read, one line each.
    """

    script: str | None
    text: str
    arguments: list[str]
    components: tuple[Component, ...]
    notes: tuple[str, ...]


def read(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdin_text: str | None = None,
    cwd: str = ".",
    plugins: Sequence[Row] = (),
) -> Submission:
    """Read sbatch's ``arguments`` (without "sbatch" itself), its environment and the script that they name.

    ``stdin_text`` is the script where none is named; relative paths are beneath ``cwd``. ``plugins``: the options of
    SPANK plugins of this cluster (`options_help.plugin_rows`). Raises OptionError where sbatch would refuse.
    """
    whole = scan([Word(one) for one in arguments if one != ":"], "command line", plugins=plugins)
    left = [one for one in arguments if one != ":"][whole.rest :]
    wrapped = next((option.value for name, option in reversed(whole.options) if name == "wrap"), None)
    notes: list[str] = []
    path = None
    if wrapped is not None:
        if left:
            raise OptionError("sbatch takes no script beside --wrap")
        text = _WRAPPED.format(wrapped)
    elif left:
        path = find(left[0], environment.get("PATH", ""), cwd)
        text = load(path, notes)
    elif stdin_text is None:
        raise OptionError("no script: name one, give its lines with --wrap, or write it to stdin")
    else:
        text = stdin_text
        check(text, "stdin")
    # sbatch reads no options in the script that it makes of --wrap.
    lines = Directives(((),), ()) if wrapped is not None else read_directives(text, os.path.basename(path or "stdin"))
    words = [Word(one) for one in arguments[: len(arguments) - len(left)]]
    components = _components(words, lines, environment, plugins, notes, os.path.basename(path or "stdin"))
    if is_anothers(path):
        components = [_without_host_files(one, notes) for one in components]
    return Submission(path, text, list(left[1:]), tuple(components), (*notes, *lines.notes))


def _without_host_files(component: Component, notes: list[str]) -> Component:
    """Take out the files of hosts that a user's script names: root follows no path of theirs."""
    kept = {}
    for name, option in component.options.items():
        is_file = name == "nodefile" or (name in ("nodelist", "exclude") and "/" in (option.value or ""))
        if is_file and option.source == "script":
            notes.append(f"line {option.line}: {option.text}: not read, root follows no path of a user's script")
        else:
            kept[name] = option
    return component._replace(options=kept)


def _components(
    words: list[Word],
    lines: Directives,
    environment: Mapping[str, str],
    plugins: Sequence[Row],
    notes: list[str],
    file: str,
) -> list[Component]:
    """Return the components, as many as the longer of the command line and the script has.

    Where the command line has fewer, its last component's options are those of the script's others too.
    """
    variables = read_environment(environment)
    image = pyxis_image(environment)
    hosts = host_file(environment)
    components: list[Component] = []
    before: dict[str, Option] = {}
    number = 0
    while True:
        own = lines.components[number] if number < len(lines.components) else ()
        script = scan(own, "script", file, plugins)
        if script.rest < len(own):
            wrong = own[script.rest]
            raise OptionError(f"{file}: line {wrong.line}: {wrong.text!r} is no option: sbatch refuses the script")
        command = scan(words, "command line", plugins=plugins)
        before = _merged(before, script, variables, command)
        given = dict(before)
        if hosts and not ("nodelist" in given or "nodefile" in given):
            given["nodelist"] = hosts
        if image is not None:
            given.setdefault("container-image", image)
        components.append(Component(given))
        notes += [note for note in (*script.notes, *command.notes) if note not in notes]
        number += 1
        if command.rest < len(words) and words[command.rest].text == ":":
            words = words[command.rest + 1 :]
        elif number >= len(lines.components):
            return components


def _merged(
    before: dict[str, Option], script: Scanned, variables: FromEnvironment, command: Scanned
) -> dict[str, Option]:
    """Return a component's options: those that stay from the component before, then script, environment, words."""
    given = {name: option for name, option in before.items() if not (name in ROWS and ROWS[name].each)}
    lines = [(name, option) for name, option in script.options if name not in ROWS or not ROWS[name].early]
    for name in variables.unset:
        lines = [one for one in lines if one[0] != name]
        given.pop(name, None)
    for name, option in (*lines, *variables.options.items(), *command.options):
        given[name] = option
        if name in _HOSTS:  # the later of the two takes the other's place
            given.pop(_HOSTS[name], None)
    return given
