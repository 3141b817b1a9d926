"""What the catalog says of the node's software: end of life, security fixes, toolkits on distributions.

Health check only: a job cannot help it.
"""

from __future__ import annotations

from preflight.checks.finding import Finding, passed, skipped, untold
from preflight.checks.registry import Context, check
from preflight.facts.view import Unknown

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

HEALTH = ("health",)


def _missing(value: object, what: str) -> Finding | None:
    """Return the finding for a fact that is absent or could not be told, None where it has a value."""
    if value is None:
        return skipped(f"no {what} on this node")
    return untold(value) if isinstance(value, Unknown) else None


def _found(status: str, answer: Any, observed: str, subject: str = "") -> Finding:
    """Return the finding for the catalog's ``answer``: it says why, what is needed, and from which source."""
    finding = passed(answer.why, subject=subject, observed=observed, source=answer.source or None)
    remedy = answer.needs or None if status in ("fail", "warn") else None
    return finding._replace(status=status, remedy=remedy)


OS_EOL = "move the node to a release that is supported"


@check("os.eol", reads=("os",), phases=HEALTH, action="warn", remedy=OS_EOL, subject="os", blame="site")
def os_eol(context: Context, limit: float | None) -> Iterator[Finding]:
    """The distribution's release still gets fixes; the date is named."""
    name, version = context.node.get("os.id"), context.node.get("os.version")
    missing = _missing(name, "operating system")
    if missing:
        yield missing
        return
    from preflight.catalog.lifecycle import operating_system

    stated = version if isinstance(version, str) else None
    stream = context.node.get("os.variant") == "stream"
    found = operating_system(name, stated, context.today, stream=stream, tables=context.policy.tables())
    status = {"eol": "fail", "extended": "warn", "supported": "pass"}.get(found.answer, "unknown")
    observed = f"{name} {stated or ''}".strip()
    yield _found(status, found, observed)


DRIVER_EOL = "install a driver of a branch that is supported"


@check("driver.eol", reads=("driver",), phases=HEALTH, action="warn", remedy=DRIVER_EOL, subject="driver", blame="site")
def driver_eol(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver's branch is still supported."""
    version = context.node.get("driver.version")
    missing = _missing(version, "NVIDIA driver")
    if missing:
        yield missing
        return
    from preflight.catalog.lifecycle import driver

    found = driver(version, context.today, tables=context.policy.tables())
    status = {"eol": "fail", "supported": "pass"}.get(found.answer, "unknown")
    yield _found(status, found, version)


DRIVER_SECURITY = "install the branch's latest release"


@check(
    "driver.security",
    reads=("driver",),
    phases=HEALTH,
    action="warn",
    remedy=DRIVER_SECURITY,
    subject="driver",
    blame="site",
)
def driver_security(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver has its branch's last security fix."""
    version = context.node.get("driver.version")
    missing = _missing(version, "NVIDIA driver")
    if missing:
        yield missing
        return
    from preflight.catalog.security import driver

    found = driver(version, tables=context.policy.tables())
    status = "unknown" if found.behind is None else "fail" if found.behind else "pass"
    yield _found(status, found, version)


TOOLKIT = "use a toolkit that NVIDIA supports on this distribution, or a container"


@check(
    "toolkit.supported",
    reads=("toolkits", "os", "arch"),
    phases=HEALTH,
    action="warn",
    remedy=TOOLKIT,
    subject="toolkit",
    blame="site",
)
def toolkit(context: Context, limit: float | None) -> Iterator[Finding]:
    """The CUDA toolkits on the node are supported on its distribution."""
    versions, name = context.node.get("toolkits.versions"), context.node.get("os.id")
    some = versions or None if isinstance(versions, list) else versions
    missing = _missing(some, "CUDA toolkit")
    missing = missing or _missing(name, "operating system")
    if missing:
        yield missing
        return
    from preflight.catalog.toolkit_os import System, toolkit_on

    def known(path: str) -> str | None:
        value = context.node.get(path)
        return value if isinstance(value, str) else None

    system = System(
        name,
        known("os.version"),
        known("arch.machine") or "x86_64",
        stream=context.node.get("os.variant") == "stream",
        kernel=known("kernel.release"),
        glibc=known("libc.glibc"),
    )
    for version in versions:
        found = toolkit_on(version, system, tables=context.policy.tables())
        status = {"unsupported": "fail", "supported": "pass", "packaged": "pass"}.get(found.answer, "unknown")
        yield _found(status, found, version, subject=f"cuda-{version}")
