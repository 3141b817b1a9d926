"""`preflight plan`: what a job needs, which nodes fit now, why the others do not, and what to change."""

import os
import sys
import time

import click

from preflight.cli.common import Raw, policy_for, write_out
from preflight.report.clean import clean
from preflight.submit.options import OptionError
from preflight.submit.own import Taken, flag, take, valued

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
DEADLINE_S = 30.0
_OWN = (flag("json"), valued("infer"), valued("config"))


@click.command(cls=Raw, page=HELP)
def plan(arguments: tuple[str, ...]) -> int:
    """Say what a job needs and which nodes fit it."""
    from preflight.submit.plan import PlanError

    try:
        own = take(arguments, _OWN)
        if "help" in own.names:
            write_out(HELP)
            return 0
        return _run(own)
    except (OptionError, PlanError) as error:
        first, *rest = str(error).split("\n")
        # A caret stands under the text of a requirement; a script's name may hold anything.
        click.echo("\n".join([f"preflight: {clean(first)}", *rest]), err=True)
        return 2


def _run(own: Taken) -> int:
    from preflight.slurm.cluster import slurm_for
    from preflight.submit.infer import Inference, infer
    from preflight.submit.plan import plan as make_plan
    from preflight.submit.plan.ask import ask, is_installed, with_shares
    from preflight.submit.script import read
    from preflight.submit.script_file import is_anothers

    policy = policy_for(own.given.get("config"))
    cwd = os.getcwd()
    slurm = slurm_for(policy, time.monotonic() + DEADLINE_S) if is_installed(policy) else None
    plugins, cluster, problem = ask(slurm, policy.publish.via) if slurm else ((), None, "")
    problem = clean(problem)
    submission = read(own.words, os.environ, _stdin() if own.by_stdin else None, cwd, plugins)
    if slurm is not None and cluster is not None:
        cluster = with_shares(slurm, cluster, submission.components, cwd)
    inference = Inference((), (), ())
    if is_anothers(submission.script):
        note = "its lines are not read for needs: root follows no paths of a user's script; plan as its user"
        submission = submission._replace(notes=(*submission.notes, note))
    elif own.infer != "off":
        home = os.path.expanduser("~")
        inference = infer(submission.text, submission.components, environment=os.environ, cwd=cwd, home=home)
    made = make_plan(submission, inference, cluster, policy, own.infer, cwd, problem)
    if "json" in own.given:
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
