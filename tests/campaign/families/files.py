"""Files that a hook reads or writes: each operation failing, short, slow, hung, and the hook killed in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from campaign.fault import Fault, shim

ERRORS = {
    "EIO": 5,
    "EACCES": 13,
    "ENOSPC": 28,
    "EROFS": 30,
    "ESTALE": 116,
    "ENOENT": 2,
    "EMFILE": 24,
    "ENOMEM": 12,
    "EDQUOT": 122,
    "ELOOP": 40,
    "ETIMEDOUT": 110,
}
READS, WRITES = ("EIO", "EACCES", "ESTALE", "ENOENT", "EMFILE", "ENOMEM", "ELOOP"), ("EIO", "ENOSPC", "EROFS", "EDQUOT")
SLOW_MS = 300


@dataclass(frozen=True)
class Place:
    """Files of one kind: where ("@" is the world), which operations there are, in which scenes, who may hang there.

    ``local``: the hook itself opens them, on the node's own disk or in memory; one that hangs there is ended by its
    alarm.
    """

    name: str
    glob: str
    reads: str = ""
    writes: str = ""
    scenes: tuple[str, ...] = ("fit", "health")
    local: bool = True
    unwritable: bool = False


ALL = ("fit", "misfit", "sick", "epilog", "health", "health-half-moved")
PLACES = (
    Place("the policy", "@/p.toml", "open,read,stat", scenes=("changed", "sick", "misfit")),
    Place("the drop-ins", "@/p.d*", "open,read,stat,list", scenes=("changed", "misfit")),
    Place(
        "the policy's cache",
        "@/run/*policy-n1.json*",
        "open,read,stat",
        "write,rename",
        scenes=("first", "fit", "sick"),
    ),
    Place(
        "the facts' caches", "@/run/*facts-*.json*", "open,read,stat", "write,rename", scenes=("first", "fit", "misfit")
    ),
    Place(
        "the cache of gres.conf",
        "@/run/*gres-*.json*",
        "open,read,stat",
        "write,rename",
        scenes=("first", "fit", "sick"),
    ),
    Place("the clock's file", "@/run/*clock-*", "open,read,stat", "write,rename", scenes=("health", "health-sick")),
    Place(
        "the runtime directory",
        "@/run/*",
        "open,read,stat,list",
        "write,rename,mkdir,unlink,chown",
        scenes=("first", *ALL),
    ),
    Place(
        "notes for tasks",
        "@/run/task*",
        "stat",
        "open,write,rename,mkdir,unlink,chown",
        scenes=("fit", "epilog", "misfit"),
    ),
    Place(
        "the spool",
        "@/spool*",
        "open,read,stat,list",
        "write,rename,mkdir,unlink,fsync,chmod",
        scenes=(*ALL, "health-well"),
    ),
    Place("reports in the spool", "@/spool/reports/*", "open,read,stat,list", "write,rename,unlink,fsync", scenes=ALL),
    Place(
        "actions begun",
        "@/spool/pending*",
        "open,read,stat,list",
        "write,rename,mkdir,unlink,fsync",
        scenes=("misfit", "sick", "epilog-sick", "health-half-moved"),
    ),
    Place(
        "actions released",
        "@/spool/released*",
        "open,read,stat,list",
        "rename,mkdir,unlink,utime",
        scenes=("misfit", "health-half-moved"),
    ),
    Place(
        "the drain's record",
        "@/spool/*drain-*",
        "open,read,stat",
        "write,rename,unlink,fsync",
        scenes=("sick", "health-well", "health-past-limit"),
    ),
    Place("the outbox", "@/spool/outbox*", "open,read,stat,list", "write,rename,unlink", scenes=("health-waiting",)),
    Place("records in memory", "@/run/unkept*", "open,read,stat,list", "unlink", scenes=("health-waiting",)),
    Place(
        "the users' copies",
        "@/reports*",
        "open,stat",
        "write,rename,mkdir,unlink,chown,chmod",
        scenes=("fit", "epilog", "misfit", "health-waiting"),
        local=False,
    ),
    Place("gres.conf", "@/gres.conf", "open,read,stat", scenes=("first", "sick")),
    Place("slurm.conf", "@/slurm.conf", "open,read,stat", scenes=("first", "sick")),
    Place("the node's root", "@/root/*", "open,read,stat,list,readlink,access", scenes=("first", "health")),
    Place("/proc", "/proc/*", "open,read,stat,list,readlink", scenes=("first", "sick", "misfit", "health")),
    Place("/sys", "/sys/*", "open,read,stat,list,readlink", scenes=("first", "health")),
    Place("/dev", "/dev/*", "open,stat,statvfs,list", scenes=("first", "health")),
    Place("Slurm's commands", "@/ctl/bin/*", "access", scenes=("misfit", "sick", "health-half-moved")),
    Place("the kill switch", "@/off", "stat", scenes=("sick", "health-sick")),
    Place(
        "spool and runtime directory", "@/[rs][up][no]*", "stat", "open,write,rename,mkdir", scenes=ALL, unwritable=True
    ),
)


def failing() -> Iterator[Fault]:
    """Each operation on each kind of file with each error, always or at the first time only."""
    for place in PLACES:
        for scene in place.scenes:
            for kind, ops, errors in (("read", place.reads, READS), ("write", place.writes, WRITES)):
                for op in filter(None, ops.split(",")):
                    for error in errors:
                        for nth, often in ((0, "always"), (1, "once")):
                            name = f"{error} {often} at {kind} ({op}) of {place.name}"
                            injection = shim(op, place.glob, nth, "errno", ERRORS[error])
                            yield Fault("files", name, scene, injection, unwritable=place.unwritable)


def odd() -> Iterator[Fault]:
    """Reads and writes that are short, torn, slow, hang, and a SIGKILL in the middle of one."""
    for place in PLACES:
        for scene in place.scenes:
            ops = [*filter(None, f"{place.reads},{place.writes}".split(","))]
            for op in ops:
                for mode, argument, nth in _modes(op):
                    hangs, killed = mode in ("hang", "slow"), mode == "kill"
                    name = f"{mode} {argument or ''} at {op} {nth or 'each'} of {place.name}".replace("  ", " ")
                    yield Fault(
                        "slow-files" if mode in ("slow", "hang") else "kills-in-files" if killed else "torn-calls",
                        name,
                        scene,
                        shim(op, place.glob, nth, mode, argument),
                        kills=killed or (hangs and place.local),
                        unwritable=place.unwritable,
                        slow=mode == "hang",
                    )


def _modes(op: str) -> Iterator[tuple[str, int, int]]:
    if op == "read":
        yield from (("short", 1, 0), ("short", 7, 0), ("eof", 0, 0), ("eof", 0, 1))
    if op == "write":
        yield from (("short", 1, 0), ("short", 100, 0), ("torn", 28, 0), ("torn", 5, 1))
    yield from (("slow", SLOW_MS, 0), ("slow", 2500, 1), ("hang", 0, 1))
    if op in ("open", "write", "rename", "unlink", "mkdir", "fsync", "chown", "utime"):
        yield from (("kill", 0, 1), ("kill", 0, 2), ("kill", 0, 3))
