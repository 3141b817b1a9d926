"""The command line: a group that imports a command only when it is called."""

from __future__ import annotations

import importlib
import sys

import click

from preflight import __version__
from preflight.cli.groups import Group

COMMANDS = {
    "facts": "What this node is.",
    "check": "Judge this node, or recorded facts, as a hook would.",
    "checks": "The catalogue of checks: what each reads, its limit and remedy.",
    "require": "Parse, explain and convert a requirement.",
    "support": "Do CUDA, driver, GPU and system fit; are they supported.",
    "image": "What a container image needs of a node.",
    "code": "Which GPUs a program, a wheel or an environment has code for.",
    "plan": "What a script needs, which nodes fit, why others do not.",
    "report": "The report of a job, all its nodes merged.",
    "sbatch": "Plan a job, then submit it with the constraint set.",
    "why": "Why a job waits, was moved, is held or ended, and what to do.",
    "agent": "The node agent: answers prologs that have nothing to do.",
    "publish": "This node's facts to Slurm, for the scheduler.",
    "ship": "This node's finished reports to the collector.",
    "serve": "The collector: takes reports and keeps them in the store.",
    "ingest": "Reports of a shared directory into the store.",
    "fleet": "Answers for the whole cluster, from the store.",
    "import-nhc": "An nhc.conf as a policy; what cannot be turned is named.",
    "config": "Validate the policy, or print what is in force.",
    "install": "Install hooks and plugin; print the lines for slurm.conf.",
    "uninstall": "Remove what install put in place.",
    "doctor": "Is all of it right on this host, and what to type where not.",
    "help": "The help of a command.",
    "version": "The version, as -V.",
}
HERE = ("help", "version")  # commands of this module


class Lazy(Group):
    """A group whose commands are the modules beside this one."""

    helps = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        place = __name__ if cmd_name in HERE else f"preflight.cli.{cmd_name.replace('-', '_')}"
        command: click.Command = getattr(importlib.import_module(place), cmd_name.replace("-", "_"))
        command.short_help = COMMANDS[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="preflight")
@click.option("--debug", is_flag=True, help="Show a traceback where something fails, and how Slurm is read.")
@click.pass_context
def group(ctx: click.Context, debug: bool) -> None:
    """Check that a Slurm node is what a job needs."""
    ctx.obj = debug


@click.command()
@click.argument("commands", nargs=-1, metavar="[COMMAND]...")
def help(commands: tuple[str, ...]) -> None:
    """Show the help of a command, as its --help does."""
    group.main([*commands, "--help"], standalone_mode=False, prog_name="preflight")


@click.command()
def version() -> None:
    """Print the version of Preflight, and of the Python that runs it."""
    click.echo(f"preflight, version {__version__}")


def main() -> int:
    """Run the command line and return its exit code; errors are one line on stderr, tracebacks only with --debug."""
    arguments, debug = _without_debug(sys.argv[1:])
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
    try:
        result = group.main(arguments, standalone_mode=False, prog_name="preflight")
    except click.ClickException as error:
        _say(error)
        return 2
    except click.Abort:
        return 130
    except SystemExit as stop:
        if stop.code == 1:  # Click's answer to a reader that went away; no command of ours raises it
            return 0
        return stop.code if isinstance(stop.code, int) else 2
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        else:
            first = str(error).splitlines()[0] if str(error) else ""
            _write(f"preflight: {type(error).__name__}: {first} (--debug shows where)\n")
        return 4 if _asked_to_check() else 2
    return result if isinstance(result, int) else 0


def _without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """Return the arguments without --debug, and whether it was there: before the command or after it."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command in ("plan", "sbatch"):  # what follows those is a script's
        return arguments, arguments[0] == "--debug"
    return [word for word in arguments if word != "--debug"], "--debug" in arguments


def _say(error: click.ClickException) -> None:
    text = error.format_message()
    if text.startswith("Usage:"):  # nothing was asked for: Click's whole help
        _write(f"{text}\n")
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text += f" (try: {error.ctx.command_path} --help)"
    _write(f"preflight: {text}\n")


def _write(text: str) -> None:
    """Write to stderr; where that is closed or full the text is lost, and the exit code stays what it is."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        return


def _asked_to_check() -> bool:
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "") == "check"
