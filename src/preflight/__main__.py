"""The command `preflight`. A hook is dispatched before Click is imported (rule 6 of docs/architecture.md)."""

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
        from preflight.cli.placing import quick

        answer = quick(sys.argv[2:])
        if answer is not None:
            return answer.say()
    from preflight.cli.main import main as cli

    return cli()


def hook(arguments: list[str]) -> int:
    """Run a hook and return its exit code; of half an installation, or too little memory, one line says so."""
    gc.disable()  # a short life: looking for cycles costs more than they do
    try:
        from preflight.hooks.main import main as run

        code = run(arguments)
    except Exception as error:
        return broken(error)
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):  # nobody listens any more, and what was done stays done
        return code
    return code


def broken(error: Exception) -> int:
    """Say in one line on stderr that Preflight cannot start; return the exit code, which stops no job."""
    try:
        why = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"preflight: cannot start: {why}: install it again, or give it memory\n")
    except (AttributeError, OSError, ValueError):
        return 1
    return 1


if __name__ == "__main__":
    # Run as a file (the scripts in prolog/ do, with -I -S), Python puts this directory first, not the one above.
    if __package__ in (None, ""):
        sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        try:
            from preflight.bundle import use

            use(os.path.dirname(os.path.abspath(__file__)))
        except Exception as error:
            sys.exit(broken(error))
    sys.exit(main())
