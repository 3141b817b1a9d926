"""SELinux is as it is configured: a node on which somebody ran setenforce 0 differs from the others."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, first_unknown, passed, skipped, untold
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)

CONFIG = "getenforce; setenforce, or a reboot after /etc/selinux/config"


@check("lsm.selinux", reads=("lsm",), phases=HEALTH, action="warn", remedy=CONFIG, subject="selinux", blame="site")
def selinux(context: Context, limit: float | None) -> Iterator[Finding]:
    """SELinux is in force as /etc/selinux/config says."""
    now, wanted = context.node.get("lsm.selinux"), context.node.get("lsm.selinux_config")
    off = context.node.get("lsm.selinux_off")
    unclear = first_unknown(now, wanted)
    if unclear:
        yield untold(unclear)
    elif wanted is None:
        yield skipped("SELinux is not configured here")
    elif isinstance(off, str) and wanted != "disabled":
        yield skipped(f"SELinux is off by {off}")
    elif (now or "disabled") == wanted:
        yield passed(f"SELinux is {wanted}", observed=wanted)
    else:
        text = f"SELinux is {now or 'disabled'}, and configured {wanted}"
        yield failed(text, observed=now or "disabled", expected=wanted)
