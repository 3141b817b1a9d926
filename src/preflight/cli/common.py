"""What commands share: the policy option, with its errors as one line each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

import click

from preflight.cli import colour, completion
from preflight.cli.policies import policy_for
from preflight.facts.document import FactsDocument, read_document
from preflight.facts.schema import FactsError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["Raw", "config_option", "fail", "policy_for", "recorded_facts", "write_out"]

config_option = click.option(
    "--config",
    metavar="FILE",
    help="The policy; default /etc/preflight/preflight.toml.",
    shell_complete=completion.files,
)


class Raw(click.Command):
    """A command that takes every word as it is; Click would keep "--" and --help for itself.

    ``page``: its help, which the command prints itself and which is its manual page.
    """

    def __init__(self, *arguments: Any, page: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.page = page

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Hand all of them to the command's ``arguments``."""
        ctx.params = {"arguments": tuple(args)}
        return []

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer what may follow on a command line that is sbatch's."""
        return completion.submission(ctx.params["arguments"], incomplete)


def write_out(text: str) -> None:
    """Print text as UTF-8 whatever the locale is, with colour on a terminal.

    A reader that went away does not change what is returned.
    """
    shown = colour.wanted()
    try:
        click.echo(colour.coloured(text) if shown else text, nl=not text.endswith("\n"), color=shown)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def fail(text: str) -> NoReturn:
    """End with exit code 2 and one line."""
    raise click.ClickException(text)


def secret_of(path: str, remedy: str) -> str:
    """Return the token or secret in a file that its owner alone may read; ends with exit code 2 where there is none."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            others = os.fstat(file.fileno()).st_mode & 0o077
            text = file.read(4096).strip()
    except OSError as error:
        fail(f"{path}: {error.strerror}: {remedy}")
    if others:
        fail(f"{path}: others may read it: chmod 600 {path}")
    if not text or not text.isprintable():
        fail(f"{path}: holds no token: {remedy}")
    return text


def recorded_facts(path: str | None) -> FactsDocument | None:
    """Return the recorded facts in a file, None where none is named; ends with exit code 2 where it holds none."""
    if path is None:
        return None
    try:
        return read_document(path)
    except FactsError as error:
        return fail(str(error))
