"""Kind "command", the rows of [[command]]: a program of the site's whose status and output say whether all is well."""

from __future__ import annotations

from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

TIMEOUT = "5s"


@kind(
    "command",
    keys={
        "run": "texts: the program and its arguments, handed over as they stand, without a shell",
        "shell": "text: or a line for /bin/sh",
        "name": "name: the check is command.NAME then, else host.command",
        "status": "counts: the exit statuses that are well, 0 where left out",
        "output": "patterns: each must match a line of its output; one with ! must match none",
        "timeout": "time: after which it is ended and unknown, 5s where left out; the hook's deadline counts, too",
        "user": "text: as whom it runs, root where left out",
    },
    needs=(("run", "shell"),),
    names=("name", "run", "shell"),
    fact="commands",
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """A command of the site's ends with the status, and writes the output, that the row asks for."""
    raise CannotTell("commands are run by a child of their own")
