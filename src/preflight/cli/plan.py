"""`preflight plan`: what a job needs, which nodes fit now, why the others do not, and what to change."""

import os
import sys
import time
from collections.abc import Sequence

import click

from preflight.cli.common import policy_for, write_out
from preflight.report.clean import clean
from preflight.submit.options import OptionError, Word, scan
from preflight.submit.options_table import Row
from preflight.tuples import NamedTuple

HELP = """\
Usage: preflight plan [--json] [--infer=warn|require|off] [--config FILE]
                      [SBATCH OPTIONS] SCRIPT [ARGS]...

  What the script needs, which nodes fit now, why the others do not, and what
  you could change. Nothing is submitted.

  --json                 The plan as JSON (format preflight.plan/1).
  --infer=warn           Needs that are read from the script's lines are told,
                         with the nodes on which they fail (the default).
  --infer=require        They bind, as if they stood in --require.
  --infer=off            They are not looked for.
  --config FILE          The policy; default /etc/preflight/preflight.toml.

  All else is sbatch's own (sbatch --help): options, #SBATCH lines, variables,
  a script on stdin. Own options stand before the script.

  Exits with 0: enough nodes fit now, or Slurm is not installed here and the
  script was only read. 3: none fits, or too few. 2: a mistake, or the cluster
  did not answer.
"""
INFER = ("warn", "require", "off")
DEADLINE_S = 30.0
_OWN = (
    Row("json", "", "flag", "json", False, False),
    Row("infer", "", "value", "infer", False, False),
    Row("config", "", "value", "config", False, False),
)


class Own(NamedTuple):
    """The command's own options, and ``words``, which are sbatch's; ``by_stdin``: they name no script."""

    json: bool
    infer: str
    config: str | None
    help: bool
    by_stdin: bool
    words: tuple[str, ...]


class _Raw(click.Command):
    """A command that takes every word as it is; Click would keep "--" and --help for itself."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params = {"arguments": tuple(args)}
        return []

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(HELP)


@click.command(cls=_Raw)
def plan(arguments: tuple[str, ...]) -> int:
    """Say what a job needs and which nodes fit it."""
    from preflight.submit.plan import PlanError

    try:
        own = take_own(arguments)
        if own.help:
            write_out(HELP)
            return 0
        return _run(own)
    except (OptionError, PlanError) as error:
        first, *rest = str(error).split("\n")
        # A caret stands under the text of a requirement; a script's name may hold anything.
        click.echo("\n".join([f"preflight: {clean(first)}", *rest]), err=True)
        return 2


def take_own(arguments: Sequence[str]) -> Own:
    """Take the command's own options out of sbatch's words; raises OptionError for an --infer of another value."""
    places = [number for number, word in enumerate(arguments) if word != ":"]
    found = scan([Word(arguments[number]) for number in places], "command line", plugins=_OWN)
    names = {row.name for row in _OWN}
    given: dict[str, str] = {}
    gone: set[int] = set()
    ends = (*found.first[1:], found.end)[: len(found.first)]
    for (name, option), first, end in zip(found.options, found.first, ends, strict=True):
        if name in names:
            gone.update(places[first:end])
            given[name] = option.value or ""
    infer = given.get("infer", "warn")
    if infer not in INFER:
        raise OptionError(f"--infer={infer}: give one of {', '.join(INFER)}")
    words = tuple(word for number, word in enumerate(arguments) if number not in gone)
    of_sbatch = {name for name, _ in found.options}
    by_stdin = found.rest >= len(places) and "wrap" not in of_sbatch
    return Own("json" in given, infer, given.get("config"), "help" in of_sbatch, by_stdin, words)


def _run(own: Own) -> int:
    from preflight.slurm.cluster import slurm_for
    from preflight.slurm.commands import SlurmError
    from preflight.submit.infer import Inference, infer
    from preflight.submit.plan import plan as make_plan
    from preflight.submit.plan.ask import is_installed, plugin_options, read_cluster
    from preflight.submit.script import read

    policy = policy_for(own.config)
    cwd = os.getcwd()
    slurm = slurm_for(policy, time.monotonic() + DEADLINE_S) if is_installed(policy) else None
    plugins = plugin_options(slurm) if slurm else ()
    submission = read(own.words, os.environ, _stdin() if own.by_stdin else None, cwd, plugins)
    inference = Inference((), (), ())
    if own.infer != "off":
        home = os.path.expanduser("~")
        inference = infer(submission.text, submission.components, environment=os.environ, cwd=cwd, home=home)
    cluster, problem = None, ""
    try:
        cluster = read_cluster(slurm) if slurm else None
    except SlurmError as error:
        problem = clean(str(error))
    made = make_plan(submission, inference, cluster, policy, own.infer, cwd, problem)
    if own.json:
        import json

        from preflight.submit.plan.form import to_json

        write_out(json.dumps(to_json(made), indent=2))
    else:
        from preflight.submit.plan.text import render

        write_out(render(made))
    return 2 if problem else 0 if cluster is None or made.enough else 3


def _stdin() -> "str | None":
    """Return the script on stdin, None where a terminal is there."""
    from preflight.submit.script_file import LIMIT, decode

    if sys.stdin is None or sys.stdin.isatty():
        return None
    return decode(sys.stdin.buffer.read(LIMIT))
