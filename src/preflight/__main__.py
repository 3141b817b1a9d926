"""The command `preflight`. A hook is dispatched before Click is imported (rule 6 of docs/architecture.md)."""

import gc
import os
import sys


def main() -> int:
    """Run the command line in sys.argv and return its exit code."""
    if len(sys.argv) > 1 and sys.argv[1] == "hook":
        gc.disable()  # a short life: looking for cycles costs more than they do
        from preflight.hooks.main import main as hook

        code = hook(sys.argv[2:])
        sys.stdout.flush()
        os._exit(code)  # taking the interpreter down costs as much as a check
    if len(sys.argv) > 2 and sys.argv[1] == "require":
        from preflight.cli.placing import quick

        answer = quick(sys.argv[2:])
        if answer is not None:
            return answer.say()
    from preflight.cli.main import main as cli

    return cli()


if __name__ == "__main__":
    # Run as a file (the scripts in prolog/ do, with -I -S), Python puts this directory first, not the one above.
    if __package__ in (None, ""):
        sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        from preflight.bundle import use

        use(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
