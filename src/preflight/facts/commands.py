"""The commands of the policy's [[command]] rows, run side by side, each confined (confine.py)."""

from __future__ import annotations

import errno
import os
import time

from preflight import jsonio
from preflight.facts import isolate
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.confine import confined, end_with_parent
from preflight.facts.host import KEYS, unfinished
from preflight.facts.host.command import TIMEOUT
from preflight.facts.host.kind import kind_of
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root
from preflight.facts.stuck import StuckGuard
from preflight.times import seconds

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from preflight.facts.confine import Tell

BUDGET_S = 10.0
SPARE_S = 0.5  # for ending what was started
AT_A_TIME = 32
SHOWN = 200  # characters of what it wrote
KIND = "command"


@fact("commands", keys=KEYS, child="commands", budget_s=BUDGET_S, unfinished=unfinished)
def read(root: Root) -> Answer:
    """What the policy's [[command]] rows ask: how their programs ended, and whether their output is as asked."""
    asked = [args for kind, args in root.source.host if kind == KIND]
    if not asked:
        return Answer({"rows": [], "stuck_at": None})
    if not root.live:
        return unknown(NOT_LIVE)
    end_with_parent()
    for args in asked:  # first of all: what is still so at the end did not answer
        root.part({"kind": KIND, "args": args, "hung": kind_of(KIND).subject(args)})
    deadline = time.monotonic() + min(BUDGET_S, _left_s()) - SPARE_S
    found = []
    for at in range(0, len(asked), AT_A_TIME):
        found += _run(asked[at : at + AT_A_TIME], root, deadline)
    return Answer({"rows": found, "stuck_at": None})


def _left_s() -> float:
    """Return the seconds until this child's own alarm, which rings SPARE_S of isolate.py after its deadline."""
    import _signal as signal

    return max(0.0, signal.getitimer(signal.ITIMER_REAL)[0] - isolate.SPARE_S) or BUDGET_S


def _run(rows: list[dict[str, Any]], root: Root, deadline: float) -> list[dict[str, Any]]:
    """Return {kind, args, told} of each row, {kind, args, error} of one that could not be started."""
    found: list[dict[str, Any]] = []
    children: list[tuple[dict[str, Any], isolate.Child]] = []
    for args in rows:
        hangs = _guard(root, args).stuck()
        if hangs:
            found.append({"kind": KIND, "args": args, "error": f"it still hangs from an earlier run: {hangs}"})
            continue
        left_s = min(deadline - time.monotonic(), seconds(args.get("timeout", TIMEOUT)))
        if left_s <= 0:
            found.append({"kind": KIND, "args": args, "error": "no time was left to run it"})
            continue
        try:
            children.append((args, isolate.start(KIND, _judged(args, left_s, root.source.node), left_s + SPARE_S)))
        except OSError as error:
            found.append({"kind": KIND, "args": args, "error": f"no process could be started: {error.strerror}"})
    isolate.wait([child for _, child in children], deadline + SPARE_S)
    for args, child in children:
        outcome = child.conclude()
        told = next((one for one in outcome.messages if "why" in one), None)
        entry = {"kind": KIND, "args": args}
        if told and told["left"]:
            _guard(root, args).remember(told["left"][0], kind_of(KIND).subject(args))
        found.append({**entry, "told": told} if told else {**entry, "error": outcome.why()})
    for one in found:
        root.part(one)
    return found


def _guard(root: Root, args: dict[str, Any]) -> StuckGuard:
    """Return the record of a process of this row that nothing ends: no second one is started beside it."""
    from zlib import crc32

    return StuckGuard(root.source.run_dir, f"command-{crc32(jsonio.dumps(args).encode()):08x}")


def _judged(args: dict[str, Any], left_s: float, node: str) -> Callable[[isolate.Channel], None]:
    """Return what a child does: run the command, and tell how it ended and what of its output is not as asked."""

    def child(channel: isolate.Channel) -> None:
        words = args.get("run") or ["/bin/sh", "-c", args["shell"]]

        def run(tell: Tell) -> None:
            try:
                os.execvpe(words[0], words, os.environ)
            except FileNotFoundError:
                raise FileNotFoundError(errno.ENOENT, "no such program", words[0]) from None

        ended = confined(run, left_s, args.get("user", ""), node)
        why = f"was ended by signal {ended.signal}" if ended.signal else ended.why
        lines = ended.output.decode("utf-8", "replace").splitlines()
        wrong = "" if why else unlike(args.get("output", []), lines)
        last = (ended.errors.decode("utf-8", "replace").strip() or "\n".join(lines).strip()).rpartition("\n")[2]
        shown = "".join(one if one.isprintable() else "?" for one in last)[:SHOWN]
        channel.tell({"why": why, "status": ended.status, "wrong": wrong, "last": shown, "left": list(ended.left)})

    return child


def unlike(patterns: list[str], lines: list[str]) -> str:
    """Return what of the output is not as the patterns ask, "" where all is: each of them matches a line, or none."""
    from preflight.facts.host.match import any_matches, matches

    for one in patterns:
        if not any_matches(one, lines):
            if not one.startswith("!"):
                return f"no line of its output matches {one}"
            found = next(line for line in lines if matches(one[1:], line))
            shown = "".join(letter if letter.isprintable() else "?" for letter in found.strip())[:SHOWN]
            return f"a line of its output matches {one[1:]}: {shown}"
    return ""
