"""What the agent has done beside its answers, each by a child that is started for it and ends.

`publish` and `ship` are the commands of that name: what talks to a network shares nothing with the agent and has none
of root's privileges. Where systemd runs the agent, its unit lets nothing of it have a network, so the child asks
systemd for the unit that does it. `deliver` and `prune` are functions of the hooks.
"""

from __future__ import annotations

import os
import sys

from preflight.agent import privileges
from preflight.hooks.run import Run
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from _socket import socket as Socket
    from collections.abc import Callable

NICER = 10
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2)
UNITS = {"publish": "preflight-agent-publish.service", "ship": "preflight-ship.service"}
LIMITS_S = {"publish": 120.0, "ship": 600.0, "deliver": 60.0, "prune": 60.0}  # ship as its unit's TimeoutStartSec=
NAMES = tuple(LIMITS_S)
LOCALE = {"LC_ALL": "C.UTF-8"}


class Context(NamedTuple):
    """What a duty's child is to know; ``units``: systemd starts what needs a network."""

    config: str
    run: Run
    slurm_conf: str
    units: bool


def child(name: str, context: Context) -> Callable[[Socket], None]:
    """Return what a child does for the duty ``name``: its end of the socket is its output, for a line or two."""
    agent, work = os.getpid(), _command if name in UNITS else _function

    def run(theirs: Socket) -> None:
        _ends_with(agent)
        work(name, context, theirs)

    return run


def arguments(name: str, context: Context) -> list[str]:
    """Return the command of ``name``, a duty that needs a network."""
    if context.units:
        return ["systemctl", "start", UNITS[name]]
    own = [sys.executable, "-I", *(["-S"] if sys.flags.no_site else []), os.path.abspath(sys.argv[0])]
    if name == "ship":
        program = context.run.policy.ship.program
        return [*([program] if program else own), "ship", "--config", context.config]
    return [*own, "publish", "--agent", "--run-dir", context.run.run_dir, "--config", context.config]


def _ends_with(agent: int) -> None:
    """Have the kernel end this process, whatever it becomes, with the agent that started it, however that ends."""
    import ctypes

    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, 9)
    if os.getppid() != agent:
        os._exit(1)


def _command(name: str, context: Context, theirs: Socket) -> None:
    for descriptor in (1, 2):
        os.dup2(theirs.fileno(), descriptor)
    environment = {**LOCALE, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SLURMD_NODENAME": context.run.node}
    if context.slurm_conf:
        environment["SLURM_CONF"] = context.slurm_conf
    privileges.keep_only()
    words = arguments(name, context)
    os.chdir("/")
    os.execvpe(words[0], words, environment)


def _function(name: str, context: Context, theirs: Socket) -> None:
    import time

    from preflight.hooks import rundir, spool, upkeep
    from preflight.hooks.clock import jump
    from preflight.hooks.main import backstop

    privileges.keep_only(privileges.USERS_COPIES)
    run = context.run._replace(began=time.monotonic(), started=time.time())
    backstop(LIMITS_S[name])
    rundir.watch(run.run_dir)
    spool.watch(run.run_dir, run.node)
    if name == "deliver":
        why = upkeep.deliver(run)
        if why:
            theirs.sendall(f"{why}\n".encode())
            raise SystemExit(1)
    elif jump(run.run_dir, run.node):
        theirs.sendall(b"not now: the clock has jumped\n")
    else:
        upkeep.prune(run)
