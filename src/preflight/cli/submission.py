"""`preflight sbatch`: say whether a node fits what the job needs, then become sbatch with the constraint set.

Nothing here may stop a submission: whatever fails is one line of warning, and sbatch gets the words as they were.
Only --strict refuses. Submitting waits for it, so Click is not imported.
"""

import os
import sys
import time
from collections.abc import Sequence

from preflight.cli.become import become, say, stdin_script
from preflight.digits import is_whole
from preflight.report.clean import clean
from preflight.slurm.commands import SlurmError
from preflight.slurm.ping import NoController
from preflight.submit.command import add, take_own
from preflight.submit.options import OptionError

HELP = """\
Usage: preflight sbatch [--strict] [--infer=warn|require|off]
                        [SBATCH OPTIONS] SCRIPT [ARGS]...

  Read what the script needs, say which nodes fit, and submit it with sbatch.

  --strict               Do not submit where no node fits: exit with 3.
  --infer=warn           Needs that were read from the script's lines are only
                         told (the default).
  --infer=require        They bind, as if they stood in --require.
  --infer=off            They are not looked for.

  All else is sbatch's own (sbatch --help): options, a script on stdin, what
  stands on stdout, the exit code. Preflight's words are on stderr: what it
  added, and what does not fit.
"""
# What sbatch does by itself, without a job: there is nothing to plan.
_ANSWERS = frozenset({"version", "usage", "autocomplete"})
DEADLINE_S = 20.0


def main(arguments: Sequence[str]) -> int:
    """Run the command as from a shell, and return its exit code."""
    try:
        return run(arguments)
    except KeyboardInterrupt:
        say("not submitted: interrupted")
        return 130


def run(arguments: Sequence[str], debug: bool = False) -> int:
    """Submit: does not return where sbatch was found, but for --strict (3), --help (0) and a mistaken --infer (2).

    Where every controller is down sbatch would look for one for some 10 s and fail: then its exit status is returned.
    """
    try:
        own = take_own(arguments)
    except Exception as error:
        if isinstance(error, OptionError) and str(error).startswith("--infer"):
            say(str(error))
            return 2
        if not isinstance(error, OptionError):  # those are what sbatch itself refuses, in its own words
            say(f"not planned, so not placed by Preflight: {_one_line(error)}")
        return become([word for word in arguments if word != "--strict" and not word.startswith("--infer=")])
    if "help" in own.names:
        sys.stdout.write(HELP)
        return 0
    words: Sequence[str] = own.words
    if os.name == "posix" and not own.names & _ANSWERS:
        try:
            words = _prepared(arguments)
        except _Refused as refused:
            say(str(refused))
            return 3
        except NoController as error:
            if not _names_clusters(arguments):
                say(f"not submitted: {_one_line(error)}; submit again when it is back (sbatch itself tries longer)")
                return _error_status()
            say(f"not planned, so not placed by Preflight: {_one_line(error)}")
        except (Exception, SystemExit) as error:
            if debug and sys.stderr:
                import traceback

                traceback.print_exc()
            say(f"not planned, so not placed by Preflight: {_one_line(error)}")
    return become(words)


class _Refused(Exception):
    """--strict, and no node fits; str() is one line."""


def _prepared(arguments: Sequence[str]) -> list[str]:
    """Return the words for sbatch with what is added; says on stderr what is worth a line."""
    from preflight.cli.submitting import connect, prepare

    cluster = connect(time.monotonic() + DEADLINE_S, arguments)
    from preflight.submit.notices import plan_command, wrapped
    from preflight.submit.script import read

    plugins = cluster.site.plugins
    own = take_own(arguments, plugins)
    if own.by_stdin and "external" in own.names:  # a job without a script, from Slurm 26.05 on
        return list(own.words)
    submission = read(own.words, os.environ, stdin_script() if own.by_stdin else None, os.getcwd(), plugins)
    prepared = prepare(submission, own.infer, cluster, plan_command(own.words, own.infer, own.by_stdin))
    if "strict" in own.given and not prepared.fits:
        say(*wrapped(prepared.lines))
        raise _Refused("not submitted (--strict)")
    words = add(own, prepared.additions, plugins)
    say(*wrapped((*prepared.added, *prepared.lines)))
    return words


def _names_clusters(arguments: Sequence[str]) -> bool:
    """Return whether the job names clusters, for which sbatch asks slurmdbd; true where it cannot be read."""
    from preflight.cli.submitting import plugins_here
    from preflight.submit.options_asked import asked
    from preflight.submit.script import read

    try:
        plugins = plugins_here(time.monotonic() + DEADLINE_S)
        own = take_own(arguments, plugins)
        submission = read(own.words, os.environ, stdin_script() if own.by_stdin else None, os.getcwd(), plugins)
        return any(asked(one).clusters for one in submission.components)
    except Exception:  # whatever is wrong with it, sbatch says so
        return True


def _error_status() -> int:
    """Return sbatch's exit status where a job is not submitted: 1, or what the user's SLURM_EXIT_ERROR names."""
    given = os.environ.get("SLURM_EXIT_ERROR", "")
    return int(given) & 0xFF or 1 if is_whole(given) else 1


def _one_line(error: BaseException) -> str:
    if isinstance(error, SystemExit):  # a policy that is wrong has said so
        return "see above"
    text = clean(str(error).strip().split("\n")[0])
    return text if isinstance(error, (OptionError, SlurmError)) else f"{type(error).__name__}: {text}"
