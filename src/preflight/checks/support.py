"""What the catalog says of the node's software: end of life, security fixes, toolkits on distributions.

Health check only: a job cannot help it.
"""

from __future__ import annotations

from preflight.checks.finding import Finding, untold
from preflight.checks.registry import Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

HEALTH = ("health",)


def _missing(name: str, subject: str, value: object) -> Finding | None:
    """Return the finding for a fact that is absent or could not be told, None where it has a value."""
    if value is None:
        return Finding(name, "skip", "site", subject, None, None, f"no {subject} on this node", None, None)
    return untold(name, subject, value)


def _told(name: str, status: str, subject: str, observed: str, why: str, needs: str | None, source: str) -> Finding:
    remedy = needs if status in ("fail", "warn") else None
    return Finding(name, status, "site", subject, None, observed, why, remedy, source or None)


OS_EOL = "move the node to a release that is supported"


@check("os.eol", reads=("os",), phases=HEALTH, action="warn", remedy=OS_EOL)
def os_eol(context: Context, limit: float | None) -> Iterator[Finding]:
    """The distribution's release still gets fixes; the date is named."""
    name, version = context.node.get("os.id"), context.node.get("os.version")
    missing = _missing("os.eol", "operating system", name)
    if missing:
        yield missing
        return
    from preflight.catalog.lifecycle import operating_system

    stated = version if isinstance(version, str) else None
    stream = context.node.get("os.variant") == "stream"
    found = operating_system(name, stated, context.today, stream=stream, tables=context.policy.tables())
    status = {"eol": "fail", "extended": "warn", "supported": "pass"}.get(found.answer, "unknown")
    observed = f"{name} {stated or ''}".strip()
    yield _told("os.eol", status, "os", observed, found.why, found.needs or OS_EOL, found.source)


DRIVER_EOL = "install a driver of a branch that is supported"


@check("driver.eol", reads=("driver",), phases=HEALTH, action="warn", remedy=DRIVER_EOL)
def driver_eol(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver's branch is still supported."""
    version = context.node.get("driver.version")
    missing = _missing("driver.eol", "NVIDIA driver", version)
    if missing:
        yield missing
        return
    from preflight.catalog.lifecycle import driver

    found = driver(version, context.today, tables=context.policy.tables())
    status = {"eol": "fail", "supported": "pass"}.get(found.answer, "unknown")
    yield _told("driver.eol", status, "driver", version, found.why, found.needs or DRIVER_EOL, found.source)


DRIVER_SECURITY = "install the branch's latest release"


@check("driver.security", reads=("driver",), phases=HEALTH, action="warn", remedy=DRIVER_SECURITY)
def driver_security(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver has its branch's last security fix."""
    version = context.node.get("driver.version")
    missing = _missing("driver.security", "NVIDIA driver", version)
    if missing:
        yield missing
        return
    from preflight.catalog.security import driver

    found = driver(version, tables=context.policy.tables())
    status = "unknown" if found.behind is None else "fail" if found.behind else "pass"
    yield _told("driver.security", status, "driver", version, found.why, found.needs or DRIVER_SECURITY, found.source)


TOOLKIT = "use a toolkit that NVIDIA supports on this distribution, or a container"


@check("toolkit.supported", reads=("toolkits", "os", "arch"), phases=HEALTH, action="warn", remedy=TOOLKIT)
def toolkit(context: Context, limit: float | None) -> Iterator[Finding]:
    """The CUDA toolkits on the node are supported on its distribution."""
    versions, name = context.node.get("toolkits.versions"), context.node.get("os.id")
    some = versions or None if isinstance(versions, list) else versions
    missing = _missing("toolkit.supported", "CUDA toolkit", some)
    missing = missing or _missing("toolkit.supported", "operating system", name)
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
        yield _told(
            "toolkit.supported", status, f"cuda-{version}", version, found.why, found.needs or TOOLKIT, found.source
        )
