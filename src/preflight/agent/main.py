"""`preflight agent`, the daemon itself: dispatched before Click is imported, which it would hold in memory for ever."""

from __future__ import annotations

import os
import sys

from preflight.files import tolerate

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from _socket import socket as Socket

UNITS = "--units"
LISTEN_FIRST = 3  # sd_listen_fds(3)
NICE = -10  # as the unit's


def serve(config: str, run_dir: str, units: bool = False) -> int:
    """Run the agent until a signal ends it; return the exit code. ``units``: systemd starts what needs a network."""
    import _signal as signal

    from preflight.agent.journal import Busy
    from preflight.agent.server import Agent
    from preflight.hooks import journal

    if os.geteuid() != 0:
        return _refuse("the agent is root's: it answers slurmd's prologs")
    first()
    os.umask(0o022)  # users pass through the runtime directory; what is private has a mode of its own
    node = os.environ.get("SLURMD_NODENAME") or os.uname().nodename.split(".")[0]
    _many_descriptors()
    try:
        agent = Agent(config, run_dir, node, inherited(), units)
    except Busy as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename or run_dir}: {error.strerror}")
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def stop(number: int, frame: object) -> None:
        agent.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    signal.set_wakeup_fd(writing)
    agent.warm_up()
    notify(b"READY=1")
    notify(b"FDSTORE=1\nFDNAME=agent", agent.listener_descriptor)
    journal.say(journal.INFO, f"agent: serves {node}")
    try:
        agent.run(reading)
    finally:
        agent.stop()
    return 0


def inherited() -> Socket | None:
    """Return the socket that systemd kept for us while we were restarted (sd_listen_fds(3)), None where it has none."""
    import _socket

    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    with tolerate(OSError):
        os.set_inheritable(LISTEN_FIRST, False)
        return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, LISTEN_FIRST)
    return None


def notify(message: bytes, descriptor: int | None = None) -> None:
    """Tell systemd something (sd_notify(3)), with a descriptor that it is to keep; nothing where it does not listen."""
    import _socket
    import struct

    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    address = f"\0{place[1:]}" if place.startswith("@") else place
    more = [] if descriptor is None else [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", descriptor))]
    with tolerate(OSError):
        manager = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
        manager.connect(address)
        manager.sendmsg([message], more)
        manager.close()


def first() -> None:
    """Come before what starts just now: jobs wait for the answers, and one that is late costs a hook of its own."""
    with tolerate(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def _many_descriptors() -> None:
    """Take as many descriptors as the limit lets root have: a thousand jobs may start at once."""
    import resource

    with tolerate((OSError, ValueError)):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))


def _refuse(why: str) -> int:
    sys.stderr.write(f"preflight agent: {why}\n")
    return 2


def main(arguments: list[str]) -> int | None:
    """Run the agent where ``arguments`` ask for it and nothing else; None: they are the command line's to read."""
    from preflight.hooks.notes import RUN_DIR
    from preflight.policy.model import DEFAULT_PATH

    values = {"--config": os.environ.get("PREFLIGHT_CONFIG") or DEFAULT_PATH, "--run-dir": RUN_DIR}
    rest = [one for one in arguments if one != UNITS]
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in values or not (equals or rest):
            return None
        values[name] = value if equals else rest.pop(0)
    return serve(values["--config"], os.path.abspath(values["--run-dir"]), UNITS in arguments)
