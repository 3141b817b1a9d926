"""What the policy's [[host]] rows of this node ask, of the kinds that may take their time: paths, other hosts.

All at once, so that a dead file server costs its own row: each is asked in a thread of its own, and one that has not
answered at the end is named. They stand in a child of their own, so that one that can't be ended blinds no other fact.
"""

from __future__ import annotations

from preflight.facts.answer import Answer
from preflight.facts.host import KEYS, entry, unfinished
from preflight.facts.host.kind import WAITING, Shared, kind_of
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

MAX_THREADS = 64  # rows that are asked at a time


@fact("host_waiting", keys=KEYS, child="host_waiting", budget_s=5, unfinished=unfinished)
def read(root: Root) -> Answer:
    """What the policy's [[host]] rows ask: those that may hang, all asked at once."""
    asked = [(kind, args) for kind, args in root.source.host if kind_of(kind).fact == WAITING]
    found: list[dict[str, Any]] = []
    root.touch(", ".join(dict.fromkeys(kind_of(kind).subject(args) for kind, args in asked))[:200])
    for at in range(0, len(asked), MAX_THREADS):
        _ask(root, asked[at : at + MAX_THREADS], found)
    return Answer({"rows": found, "stuck_at": None})


def _ask(root: Root, rows: list[tuple[str, dict[str, Any]]], found: list[dict[str, Any]]) -> None:
    import _thread

    telling, ended = _thread.allocate_lock(), [_thread.allocate_lock() for _ in rows]
    quiet = Root(root.source.root, root.source.reads_live, root.source)  # announces nothing: several are under way

    def ask(kind: str, args: dict[str, Any], end: Any) -> None:
        try:
            told = entry(quiet, kind, args, Shared(quiet))
            with telling:
                found.append(told)
                root.part(told)
        finally:
            end.release()

    for (kind, args), end in zip(rows, ended):
        end.acquire()
        with telling:  # ahead of its answer: what is still so at the end did not answer
            root.part({"kind": kind, "args": args, "hung": kind_of(kind).subject(args)})
        _thread.start_new_thread(ask, (kind, args, end))
    for end in ended:
        end.acquire()
