"""slurmd's own limits, which its jobs inherit unless they bring others (/proc/PID/limits, getrlimit(2))."""

from __future__ import annotations

from preflight.digits import whole
from preflight.facts.answer import Answer, unknown
from preflight.facts.processes import owner, proc_of, processes, why_none
from preflight.facts.registry import FILES, fact
from preflight.facts.rootfs import Root

NAME = "slurmd"
ROWS = {
    "Max locked memory": "memlock",
    "Max open files": "open_files",
    "Max processes": "max_processes",
    "Max stack size": "stack",
}


@fact(
    "slurmd",
    keys={
        "running": "flag",
        "memlock": "count? bytes: that each process may lock in memory, null is unlimited",
        "open_files": "count?: that each process may have open, null is unlimited",
        "max_processes": "count?: of each user, null is unlimited",
        "stack": "count? bytes: null is unlimited",
    },
    child=FILES,
    budget_s=1.5,
)
def read(root: Root) -> Answer:
    """Whether root's slurmd runs, and its soft limits."""
    every = processes(root)
    if every is None:
        return unknown(why_none(root))
    holder = proc_of(root)
    for one in every:
        if one.name != NAME or holder is None or owner(root, one.pid) != 0:  # anybody may name a program so
            continue
        try:
            text = holder.read_text(f"/proc/{one.pid}/limits", 1 << 14)
        except OSError:
            continue
        if text:
            return Answer({"running": True, **_limits(text)})
    return Answer({"running": False})


def _limits(text: str) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for line in text.splitlines():
        for head, key in ROWS.items():
            if line.startswith(head):
                found[key] = whole((line[len(head) :].split() or [""])[0])
    return found
