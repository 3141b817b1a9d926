"""`preflight import-nhc`: an nhc.conf as a policy."""

from __future__ import annotations

import sys

import click

from preflight.cli import completion
from preflight.cli.common import fail, write_out

MOST = 256 << 10  # bytes


@click.command("import-nhc")
@click.argument("file", shell_complete=completion.files)
def import_nhc(file: str) -> int:
    """Print the policy that FILE, an nhc.conf ("-": standard input), asks for; it observes until you change its mode.

    What cannot be turned stands in the policy as a comment, and on stderr as FILE:LINE: reason. Exits with 0 where all
    was turned, 1 where something was named, 2 where FILE cannot be read.
    """
    from preflight.deploy.nhc.convert import convert, lines_of

    shown = "standard input" if file == "-" else file
    made = convert(_read(file, shown), shown)
    write_out(made.text)
    for line in lines_of(made.named, shown):
        click.echo("".join(one if one.isprintable() else "?" for one in line), err=True)
    return 1 if made.named else 0


def _read(file: str, shown: str) -> str:
    try:
        if file == "-":
            if sys.stdin is None:
                fail(f"{shown}: it is closed")
            data = sys.stdin.buffer.read(MOST + 1)
        else:
            from preflight.files import read_plain

            data = read_plain(file, MOST + 1)
    except OSError as error:
        fail(f"{shown}: {error.strerror or error}")
    if len(data) > MOST:
        fail(f"{shown}: larger than {MOST >> 10} KiB: no nhc.conf")
    return data.decode("utf-8", "replace")
