"""`preflight hook prolog|epilog|health|task`: dispatched before Click is imported; the scripts in prolog/ call it."""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.hooks.supervised import Line

PHASES = ("prolog", "epilog", "health", "task")
DEADLINE_S = 8.0  # until the policy says another
WAITED_S = 6.0  # the longest that a client waits, and its start
BROKEN = 1  # anything but 0 and 10: the script turns it into 0 with a line in syslog


def main(arguments: list[str], alone: bool = False) -> int:
    """Run one hook; ``arguments`` are the phase, then --config FILE and --run-dir DIR. Never raises.

    ``alone``: this process is the hook's own, which may fork (hooks/supervised.py).
    """
    began = _began()
    try:
        phase, config, run_dir = parse(arguments)
    except ValueError as error:
        sys.stderr.write(f"preflight hook: {error}\n")
        return 2
    if phase != "task":
        backstop(DEADLINE_S)  # before anything is opened: the policy itself may stand on a server that is gone
    try:
        return _run(phase, config, run_dir, began, alone)
    except Exception as error:
        report_bug(phase, error)
        return 0 if phase == "task" else BROKEN


def _began() -> float:
    """Return when this hook began: with the client that asked the node agent first, where there was one."""
    now = time.monotonic()
    try:
        earlier = float(os.environ.get("PREFLIGHT_BEGAN", ""))
    except ValueError:
        return now
    return earlier if now - WAITED_S <= earlier <= now else now


def parse(arguments: list[str]) -> tuple[str, str, str]:
    """Return (phase, config, run directory); raises ValueError with one line."""
    if not arguments or arguments[0] not in PHASES:
        raise ValueError(f"needs one of {', '.join(PHASES)}")
    values = {"--config": "", "--run-dir": ""}
    rest = arguments[1:]
    while rest:
        if rest[0] not in values or len(rest) < 2:
            raise ValueError(f"unknown argument {rest[0]!r}; known are --config FILE and --run-dir DIR")
        values[rest[0]] = rest[1]
        rest = rest[2:]
    if not (values["--config"] and values["--run-dir"]):  # the scripts name both
        from preflight.hooks.notes import RUN_DIR
        from preflight.policy.model import DEFAULT_PATH

        values = {"--config": values["--config"] or DEFAULT_PATH, "--run-dir": values["--run-dir"] or RUN_DIR}
    return arguments[0], values["--config"], values["--run-dir"]


def _run(phase: str, config: str, run_dir: str, began: float, alone: bool) -> int:
    if phase == "task":
        from preflight.hooks.task import task

        return task(run_dir, os.environ)
    from preflight.hooks.run import is_apart

    node = os.environ.get("SLURMD_NODENAME") or os.uname().nodename.split(".")[0]
    if alone and is_apart(run_dir, node):
        from preflight.hooks.supervised import Asked, supervised

        asked = Asked(phase, config, run_dir, node, began, began + DEADLINE_S)
        return supervised(asked, lambda line: _judge(phase, config, run_dir, began, line))
    return _judge(phase, config, run_dir, began)


def _judge(phase: str, config: str, run_dir: str, began: float, line: Line | None = None) -> int:
    from preflight.hooks.run import start

    run = start(phase, config, run_dir, os.environ, began, line)
    backstop(run.deadline - time.monotonic())
    if phase == "prolog":
        from preflight.hooks.passing import passes

        if passes(run):
            return 0
        from preflight.hooks.prolog import prolog as hook
    elif phase == "epilog":
        from preflight.hooks.epilog import epilog as hook
    else:
        from preflight.hooks.health import health as hook
    return hook(run)


def backstop(seconds: float) -> None:
    """Let the kernel end a hook half a second past its deadline: SIGALRM's default action needs no Python."""
    import _signal as signal  # the package around it imports enum

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGALRM,))
    signal.setitimer(signal.ITIMER_REAL, max(0.1, seconds + 0.5))


def report_bug(phase: str, error: Exception) -> None:
    """Write one line to syslog that says where it broke."""
    from preflight.hooks import journal

    trace, where = error.__traceback__, ""
    while trace is not None:
        where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    journal.say(journal.ERROR, f"phase={phase} bug={type(error).__name__}: {error} at {where}; the job goes on")
