"""A group of commands that names what is near where a name is mistyped."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Group(click.Group):
    """Click's group, with a hint in the error about a command that there is not.

    ``helps``: the commands that a shell's Tab offers, name -> what it says of each; none is imported for it.
    """

    helps: ClassVar[Mapping[str, str]] = {}

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer commands and the group's own options."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, text in self.helps.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Answer no arguments with the help as an error: exit code 2; Click 8.1, Python 3.9's last, ends with 0."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            raise click.UsageError(ctx.get_help(), ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments begin with; raises UsageError."""
        names = self.list_commands(ctx)
        name = args[0] if args else ""
        if name in names or name.startswith("-"):
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(name.lower(), names, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise click.UsageError(f"no command is named {name!r:.60}{hint}", ctx)
