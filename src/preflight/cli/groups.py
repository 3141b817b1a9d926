"""A group of commands that names what is near where a name is mistyped."""

from __future__ import annotations

import difflib

import click


class Group(click.Group):
    """Click's group, with a hint in the error about a command that there is not."""

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
