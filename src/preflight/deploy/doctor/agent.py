"""The node agent: is it there where slurm.conf counts on it, and can it answer?"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from preflight.deploy.doctor.hook_keys import values
from preflight.deploy.doctor.host import NODE, Host
from preflight.deploy.doctor.places import others_may_change
from preflight.deploy.doctor.result import Result, ok, skip, unknown, warn, wrong
from preflight.deploy.layout import CLIENTS, PROGRAMS

SYSTEMD = "/etc/systemd/system"
TIMERS = {
    "publish": ("multi-user.target.wants/preflight-publish.service",),
    "ship": ("timers.target.wants/preflight-ship.timer",),
}
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
    yield from _agent(host)


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


def _agent(host: Host) -> Iterator[Result]:
    from preflight.agent.client import AgentError, ask
    from preflight.agent.wire import socket_path

    path = socket_path(host.target.run_dir, host.node)
    start = f"systemctl enable --now {host.target.agent_unit}"
    try:
        said = ask(host.target.run_dir, "status", path=path)
        check = ask(host.target.run_dir, "check", path=path)
    except AgentError as error:
        yield warn("agent", f"{error}: {COST}", path, start)
        return
    if check["verdict"] is None:
        yield warn("agent", f"it cannot answer now: {check['why']}: {COST}", path, "preflight agent status")
    else:
        passed, others = said["answers"]["pass"], said["answers"]["one-shot"]
        yield ok("agent", f"answers: {passed} hooks passed, {others} left to the one-shot hook", path)
    yield from upkeep(host.target.agent_publish_unit, said.get("upkeep") or {})


def upkeep(unit: str, state: dict[str, dict[str, Any]], systemd: str = SYSTEMD) -> Iterator[Result]:
    """Yield how each duty of the agent goes (`Upkeep.state`), and whose it is where a timer has it too.

    ``unit``: the one that publishes for it. ``systemd``: the directory of units that are enabled or linked.
    """
    for name, one in state.items():
        title = f"agent {name}"
        twice = [path for path in TIMERS.get(name, ()) if os.path.lexists(f"{systemd}/{path}")]
        if one["stuck_s"]:
            yield warn(title, f"pid {one['pid']} hangs: it is not done any more", "", f"cat /proc/{one['pid']}/stack")
        elif one["failures"]:
            link = f"systemctl link {unit}; " if "not found" in one["text"] and name == "publish" else ""
            yield warn(title, f"failed {one['failures']} times: {one['text']}", "", f"{link}preflight agent status")
        elif not one["on"]:
            continue
        elif one["waits"]:
            yield warn(title, f"waits for {one['waits']}; Slurm keeps what it has", "", "preflight agent status")
        elif twice:
            names = " and ".join(os.path.basename(path) for path in twice)
            yield ok(title, f"the agent does it, and {names} is on too: whoever comes first, one at a time")
        else:
            yield ok(title, "the agent does it; the health check finds nothing left to do")


def _again(host: Host) -> str:
    return f"{host.again} --agent"
