"""Kind "process": what must run, must not run, or must not take too much."""

from __future__ import annotations

from preflight.facts.accounts import uid_of
from preflight.facts.host.kind import Args, CannotTell, Shared, kind
from preflight.facts.host.match import matches, size
from preflight.facts.processes import Process, command_line, owner, processes, why_none
from preflight.facts.rootfs import Root
from preflight.times import seconds

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

SHOWN = 8
COMM = 15  # letters of a program's name that the kernel keeps (TASK_COMM_LEN)
TAKES = ("cpu_max", "rss_max", "vsz_max", "memory_max", "age_max", "cputime_max")


def users(args: Args) -> str:
    """Return why users can make a row fail: they start processes; root's own they cannot, nor end daemons of root's."""
    if args.get("user") == "root" or not (set(args) & {"count_max", *TAKES}):
        return ""
    return 'users can start such processes; user = "root" looks at root\'s only'


def table(root: Root) -> list[Process]:
    """Return the processes."""
    found = processes(root)
    if found is None:
        raise CannotTell(why_none(root))
    return found


@kind(
    "process",
    keys={
        "name": "pattern: the program's name, as ps -o comm shows it",
        "match": "pattern: the whole command line, as ps -o args shows it",
        "user": "text: processes of this user only, a name or a number",
        "state": "pattern: those in this state only: Z is a zombie, D waits for a disk or a file server",
        "count_min": "count processes: at least; left out: 1 where nothing else is asked",
        "count_max": "count processes: at most; 0: none may run",
        "cpu_max": "percent: of one CPU, over each one's life; 200% is two CPUs",
        "memory_max": "amount: of the node's memory that each has, or a size",
        "rss_max": "size: of memory that each has",
        "vsz_max": "size: of address space that each has",
        "age_max": "time: since each began",
        "cputime_max": "time: of CPU that each took",
    },
    needs=(("name", "match", "state", "user"),),
    names=("name", "match", "state", "user"),
    dear=True,
    users=users,
)
def read(root: Root, args: Args, shared: Shared) -> dict[str, Any]:
    """Processes that must run do, those that must not do not, and none takes more than asked for."""
    wanted = uid_of(root, args["user"]) if "user" in args else None
    if "user" in args and wanted is None:
        raise CannotTell(f"no user is named {args['user']}")
    found = [one for one in shared.of(table) if _is(root, one, args, wanted, shared)]
    greedy = [(one, why) for one in found for why in _greed(root, one, args, shared)]
    return {
        "count": len(found),
        "pids": [one.pid for one in found[:SHOWN]],
        "greedy": [{"pid": one.pid, "name": one.name, "why": why} for one, why in greedy[:SHOWN]],
    }


def _is(root: Root, one: Process, args: Args, wanted: int | None, shared: Shared) -> bool:
    if "name" in args and not matches(args["name"], one.name):
        whole_name = args["name"].removeprefix("!")
        longer = len(one.name) == COMM and len(whole_name) > COMM and whole_name.startswith(one.name)
        if not longer or args["name"].startswith("!"):
            return False
    if "state" in args and not matches(args["state"], one.state):
        return False
    if wanted is not None and owner(root, one.pid) != wanted:
        return False
    return "match" not in args or matches(args["match"], _line(root, one, shared))


def _line(root: Root, one: Process, shared: Shared) -> str:
    """Return a process's command line, read once in a run; of one without, such as a kernel thread, "[name]" as ps."""
    kept = shared.of(_lines)
    if one.pid not in kept:
        kept[one.pid] = command_line(root, one.pid) or f"[{one.name}]"
    found: str = kept[one.pid]
    return found


def _lines(root: Root) -> dict[int, str]:
    return {}


def _greed(root: Root, one: Process, args: Args, shared: Shared) -> list[str]:
    """Return what a process takes more of than asked for: ["2.1 of a CPU"]."""
    from preflight.facts.host.match import amount, share, shown
    from preflight.facts.host.memory import meminfo

    found = []
    if "cpu_max" in args and one.age_s > 0 and one.cpu_s / one.age_s > share(args["cpu_max"], 100_000):
        found.append(f"{one.cpu_s / one.age_s:.0%} of a CPU")
    if "rss_max" in args and one.rss > size(args["rss_max"]):
        found.append(shown(one.rss))
    if "vsz_max" in args and one.vsz > size(args["vsz_max"]):
        found.append(f"{shown(one.vsz)} of address space")
    if "memory_max" in args and one.rss > amount(args["memory_max"], shared.of(meminfo).get("MemTotal", 0)):
        found.append(shown(one.rss))
    if "age_max" in args and one.age_s > seconds(args["age_max"]):
        found.append(f"runs for {one.age_s / 3600:.1f} hours")
    if "cputime_max" in args and one.cpu_s > seconds(args["cputime_max"]):
        found.append(f"{one.cpu_s:.0f} s of CPU")
    return found
