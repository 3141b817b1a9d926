"""The node agent: is it there where slurm.conf counts on it, and can it answer?"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress

from preflight.deploy.doctor.hook_keys import values
from preflight.deploy.doctor.host import NODE, Host
from preflight.deploy.doctor.places import others_may_change
from preflight.deploy.doctor.result import Result, ok, skip, unknown, warn, wrong
from preflight.deploy.layout import CLIENTS, PROGRAMS

COST = "each prolog and epilog judges by itself, some 50 ms instead of 2"


def look(host: Host) -> Iterator[Result]:
    """Yield whether the client can run here, and whether the agent answers. Nothing where neither is installed."""
    if not host.has(NODE):
        return
    named = [key for key in ("Prolog", "Epilog", "TaskProlog") if _names(host, key)]
    if not host.target.with_agent and not named:
        return
    yield from _clients(host)
    if not named:
        yield skip("agent", f"slurm.conf names no client of it (Prolog={_client(host)}): {COST}")
    if not host.root:
        yield unknown("agent", "only root may ask it", fix="run it as root")
        return
    yield _agent(host)


def _names(host: Host, key: str) -> bool:
    return any(os.path.basename(path) in CLIENTS.values() for path in values(host, key))


def _client(host: Host) -> str:
    return f"{host.target.libexec}/{CLIENTS['prolog']}"


def _clients(host: Host) -> Iterator[Result]:
    """A program that does not run here (another architecture's, say) fails every prolog, and slurmd drains the node."""
    if others_may_change(host):
        return
    for name in PROGRAMS:
        path = f"{host.target.libexec}/{name}"
        said = b""
        with suppress(OSError, subprocess.TimeoutExpired):
            said = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False, env={}).stdout
        if not said.startswith(name.encode()):
            yield wrong(name, "it does not run here: slurmd fails each prolog that it stands for", path, _again(host))


def _agent(host: Host) -> Result:
    from preflight.agent.client import AgentError, ask
    from preflight.agent.wire import socket_path

    path = socket_path(host.target.run_dir, host.node)
    start = f"systemctl enable --now {host.target.agent_unit}"
    try:
        said = ask(host.target.run_dir, "status", path=path)
        check = ask(host.target.run_dir, "check", path=path)
    except AgentError as error:
        return warn("agent", f"{error}: {COST}", path, start)
    if check["verdict"] is None:
        return warn("agent", f"it cannot answer now: {check['why']}: {COST}", path, "preflight agent status")
    passed, others = said["answers"]["pass"], said["answers"]["one-shot"]
    return ok("agent", f"answers: {passed} hooks passed, {others} left to the one-shot hook", path)


def _again(host: Host) -> str:
    return f"{host.again} --agent"
