"""The commands of the policy's [[command]] rows, run side by side, each confined (confine.py)."""

from __future__ import annotations

import errno
import os
import time

from preflight import jsonio
from preflight.facts import isolate
from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.confine import PATH, confined, end_with_parent
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
    return Answer({"rows": _run(asked, root, time.monotonic() + min(BUDGET_S, _left_s()) - SPARE_S), "stuck_at": None})


def _left_s() -> float:
    """Return the seconds until this child's own alarm, which rings SPARE_S of isolate.py after its deadline."""
    import _signal as signal

    return max(0.0, signal.getitimer(signal.ITIMER_REAL)[0] - isolate.SPARE_S) or BUDGET_S


def _run(rows: list[dict[str, Any]], root: Root, deadline: float) -> list[dict[str, Any]]:
    """Return {kind, args, told} of each row, {kind, args, error} of one that could not be started, as they end.

    Each is told at once: one that does not end costs no other row its result. AT_A_TIME run side by side.
    """
    from select import POLLIN, poll

    found: list[dict[str, Any]] = []
    waiter, waiting = poll(), list(reversed(rows))
    running: dict[int, tuple[dict[str, Any], isolate.Child]] = {}

    def tell(args: dict[str, Any], **more: Any) -> None:
        found.append({"kind": KIND, "args": args, **more})
        root.part(found[-1])

    while waiting or running:
        while waiting and len(running) < AT_A_TIME:
            args = waiting.pop()
            # first of all: what is still so at the end did not answer
            root.part({"kind": KIND, "args": args, "hung": kind_of(KIND).subject(args)})
            child = _started(args, root, deadline)
            if isinstance(child, str):
                tell(args, error=child)
            else:
                running[child.descriptor] = (args, child)
                waiter.register(child.descriptor, POLLIN)
        if not running:
            break
        ended = [one for one, _ in waiter.poll(max(0.0, 1000 * (deadline + SPARE_S - time.monotonic())))]
        for one in ended or list(running):  # at the end all that still run
            args, child = running.pop(one)
            waiter.unregister(one)
            if ended:
                child.read()
            tell(args, **_concluded(child, args, root))
    return found


def _started(args: dict[str, Any], root: Root, deadline: float) -> isolate.Child | str:
    """Return the child that runs a row, or why there is none."""
    hangs = _guard(root, args).stuck()
    if hangs:
        return f"it still hangs from an earlier run: {hangs}"
    left_s = min(deadline - time.monotonic(), seconds(args.get("timeout", TIMEOUT)))
    if left_s <= 0:
        return "no time was left to run it"
    try:
        return isolate.start(KIND, _judged(args, left_s, root.source.node), left_s + SPARE_S)
    except OSError as error:
        return f"no process could be started: {error.strerror}"


def _concluded(child: isolate.Child, args: dict[str, Any], root: Root) -> dict[str, Any]:
    outcome = child.conclude()
    told = next((one for one in outcome.messages if "why" in one), None)
    if told and told["left"]:
        _guard(root, args).remember(told["left"][0], kind_of(KIND).subject(args))
    return {"told": told} if told else {"error": outcome.why()}


def _guard(root: Root, args: dict[str, Any]) -> StuckGuard:
    """Return the record of a process of this row that nothing ends: no second one is started beside it."""
    from zlib import crc32

    return StuckGuard(root.source.run_dir, f"command-{crc32(jsonio.dumps(args).encode()):08x}")


def _judged(args: dict[str, Any], left_s: float, node: str) -> Callable[[isolate.Channel], None]:
    """Return what a child does: run the command, and tell how it ended and what of its output is not as asked."""

    def child(channel: isolate.Channel) -> None:
        words = args.get("run") or ["/bin/sh", "-c", args["shell"]]

        def run(tell: Tell) -> None:
            program = _program(words[0])
            if args.get("user", "root") in ("", "root") and "run" in args:
                _refuse_what_others_wrote(program)
            try:
                os.execve(program, words, os.environ)
            except FileNotFoundError:
                raise FileNotFoundError(errno.ENOENT, "what its first line names is not there", program) from None

        ended = confined(run, left_s, args.get("user", ""), node)
        why = f"was ended by signal {ended.signal}" if ended.signal else ended.why
        lines = ended.output.decode("utf-8", "replace").splitlines()
        wrong = "" if why else unlike(args.get("output", []), lines)
        last = (ended.errors.decode("utf-8", "replace").strip() or "\n".join(lines).strip()).rpartition("\n")[2]
        shown = "".join(one if one.isprintable() else "?" for one in last)[:SHOWN]
        channel.tell({"why": why, "status": ended.status, "wrong": wrong, "last": shown, "left": list(ended.left)})

    return child


def _program(name: str) -> str:
    """Return where a program is, as execvp(3) looks for it; raises FileNotFoundError."""
    places = [name] if "/" in name else [f"{one}/{name}" for one in os.environ.get("PATH", PATH).split(":")]
    there = [one for one in places if os.path.isfile(one)]
    found = next((one for one in there if os.access(one, os.X_OK)), there[0] if there else "")
    if not found:
        raise FileNotFoundError(errno.ENOENT, "no such program", name)
    return found


def _refuse_what_others_wrote(program: str) -> None:
    """Raise PermissionError where somebody but root may have written what runs as root."""
    from preflight.owned import refused_program

    why = refused_program(program)
    if why:
        raise PermissionError(errno.EPERM, f"not run: {why if why.startswith('/') else f'{program} {why}'}")


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
