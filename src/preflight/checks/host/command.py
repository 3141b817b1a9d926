"""Rows of [[command]]: how the site's own programs ended. A row with a name is a check of its own, "command.NAME"."""

from __future__ import annotations

from preflight.checks.host.row import failed, host_check, passed, untold

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from preflight.checks.finding import Finding


@host_check("command", remedy="run it by hand as the row says, and look at what it reports")
def command(args: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """Each command of the policy's [[command]] rows ends, and writes, as its row asks."""
    wanted = args.get("status") or [0]
    asked = f"status {' or '.join(map(str, wanted))}"
    last = f": {told['last']}" if told["last"] else ""
    left = f"; {len(told['left'])} processes of it cannot be ended" if told["left"] else ""
    if told["why"]:
        yield untold(f"the command {told['why']}{left}", expected=asked)
    elif told["status"] not in wanted:
        yield failed(
            f"ended with status {told['status']}, not {asked[7:]}{last}", observed=told["status"], expected=asked
        )
    elif told["wrong"]:
        yield failed(told["wrong"], observed=told["last"], expected=", ".join(args["output"]))
    else:
        yield passed(f"ended with status {told['status']}", observed=told["status"], expected=asked)
