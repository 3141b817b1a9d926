"""What the command `preflight` begins with: hooks and the agent are dispatched before Click is imported.

It stands apart from __main__.py, whose text Python compiles at each start.
"""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """Run the command line in sys.argv and return its exit code."""
    if len(sys.argv) > 1 and sys.argv[1] == "hook":
        os._exit(hook(sys.argv[2:]))  # taking the interpreter down costs as much as a check
    if len(sys.argv) > 1 and sys.argv[1] == "agent":
        from preflight.agent.main import main as agent

        ended = agent(sys.argv[2:])
        if ended is not None:
            return ended
    if len(sys.argv) > 2 and sys.argv[1] == "require":
        gc.disable()
        from preflight.cli.placing import quick

        answer = quick(sys.argv[2:])
        if answer is not None:
            os._exit(answer.say())
        gc.enable()
    if len(sys.argv) > 1 and sys.argv[1] == "sbatch":
        gc.disable()
        from preflight.cli.submission import main as submit

        return submit(sys.argv[2:])
    from preflight.cli.main import main as cli

    return cli()


def hook(arguments: list[str]) -> int:
    """Run a hook and return its exit code; of half an installation, or too little memory, one line says so."""
    gc.disable()  # a short life: looking for cycles costs more than they do
    try:
        from preflight.hooks.main import main as run

        code = run(arguments, alone=True)
    except Exception as error:
        from preflight.__main__ import broken

        return broken(error)
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):  # nobody listens any more, and what was done stays done
        return code
    return code
