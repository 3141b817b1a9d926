"""What the kernel's log says of GPUs that a prolog does not ask: applications' Xids, and the driver's other words."""

from __future__ import annotations

from preflight.checks.events import board, every, of_job, recent, worth, xid_text
from preflight.checks.finding import Finding, failed, passed, untold
from preflight.checks.registry import Context, check
from preflight.checks.xids import LOG, RESET, findings_of, unread, where

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

AFTER = ("epilog", "health")
OWN = "look at the job's program: it is the application's own fault, unless it repeats on one GPU across jobs"
SHARED = "give jobs whole GPUs, or find out by the process whose it was"


@check(
    "gpu.xid.application",
    reads=("gpus", "kernel_log"),
    phases=("epilog",),
    action="warn",
    remedy=OWN,
    device=True,
    blame="user",
    source=LOG,
)
def application(context: Context, limit: float | None) -> Iterator[Finding]:
    """No Xid that a program causes (13, 31, 43, 45 and others) came from the job while it ran."""
    absent = unread(context)
    if absent is not None:
        yield absent
        return
    theirs = of_job(context.node, context.before, context.gpus, context.ran_s, "xid")
    own = [one for one in theirs.own if worth(one, context.policy).user]
    unsure = [one for one in theirs.unsure if worth(one, context.policy).user]
    for one in own:
        name = f" by {one['name']} (pid {one['pid']})" if one["name"] else ""
        text = f"Xid {xid_text(one)} on {where(context, one)}{name} while the job ran"
        yield failed(text, subject=board(context.node, one).subject, observed=one["code"], expected="none")
    for one in unsure:
        text = f"Xid {xid_text(one)} on {where(context, one)}, which jobs share: whose it was is not known"
        yield untold(text, subject=board(context.node, one).subject, observed=one["code"], blame="site", remedy=SHARED)
    if not own and not unsure:
        yield passed("no Xid of the job's own")


DIAGNOSE = (
    "run the GPU's diagnosis (dcgmi diag -r 3): jobs of other users had the same fault on it, and on no other GPU"
)


@check(
    "gpu.xid.repeated",
    reads=("gpus", "kernel_log"),
    phases=("health",),
    action="warn",
    limit=3,
    unit="jobs",
    remedy=DIAGNOSE,
    device=True,
    source=LOG,
)
def repeated(context: Context, limit: float | None) -> Iterator[Finding]:
    """No Xid of applications comes on one GPU again and again, job after job, and on no other."""
    absent = unread(context)
    if absent is not None:
        yield absent
        return
    jobs: dict[int, dict[str, set[int]]] = {}
    for one in every(context.node, "xid"):
        if one["job"] and one["code"] is not None and worth(one, context.policy).user:
            place = board(context.node, one).subject
            jobs.setdefault(one["code"], {}).setdefault(place, set()).add(one["job"])
    bad = False
    for code, by_gpu in jobs.items():
        place, theirs = next(iter(by_gpu.items()))
        if len(by_gpu) == 1 and limit is not None and len(theirs) >= limit and place.startswith("gpu"):
            bad = True
            text = f"Xid {code} in {len(theirs)} jobs, all of them on {place}"
            yield failed(text, subject=place, observed=len(theirs), expected=f"< {limit:.0f}")
    if not bad:
        yield passed("no application's Xid repeats on one GPU alone")


@check(
    "gpu.gsp.timeout", reads=("gpus", "kernel_log"), phases=AFTER, action="warn", remedy=RESET, device=True, source=LOG
)
def gsp(context: Context, limit: float | None) -> Iterator[Finding]:
    """The GPUs' own processors (GSP) answer the driver in time."""
    yield from findings_of(context, recent(context.node, "gsp"), "", "no time-out of a GSP")


INIT = "look at the lines around it (dmesg); reseat or replace the board where a reboot does not help"


@check("gpu.init", reads=("gpus", "kernel_log"), phases=AFTER, action="warn", remedy=INIT, device=True, source=LOG)
def init(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver could initialise each GPU (RmInitAdapter)."""
    yield from findings_of(context, recent(context.node, "gpu_init"), "", "each GPU could be initialised")


LINK = "look at NVLink's state and counters (nvidia-smi nvlink -s, -e); reset the GPUs of the baseboard"


@check(
    "gpu.nvlink.log", reads=("gpus", "kernel_log"), phases=AFTER, action="warn", remedy=LINK, device=True, source=LOG
)
def nvlink(context: Context, limit: float | None) -> Iterator[Finding]:
    """The driver logged no error of NVLink beside Xids."""
    yield from findings_of(context, recent(context.node, "nvlink"), "", "no error of NVLink in the log")
