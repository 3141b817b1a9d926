"""Running Slurm's commands: absolute paths, a clean environment, never past a deadline.

The hook comes here only when there is something to do. ``subprocess`` is not used: after a kill it waits without a
limit, and a command in D state would then hold the prolog.
"""

from __future__ import annotations

import os
import select
import time

from preflight.tuples import NamedTuple

LIMIT = 1 << 20
FEW = 100  # names of nodes that sinfo is given; of more all nodes are read
PLACES = ("/usr/bin", "/usr/local/bin", "/opt/slurm/bin", "/usr/sbin")


class SlurmError(Exception):
    """A Slurm command that failed, could not be run, or did not end in time; one line. ``output``: its stdout."""

    output = ""

    def __str__(self) -> str:
        """Return the line; what a terminal could take for a command, and bytes that are no UTF-8, as "?"."""
        return "".join(letter if letter.isprintable() else "?" for letter in super().__str__())


class SlurmTimeout(SlurmError):
    """A Slurm command that did not end in time."""


class Slurm(NamedTuple):
    """How Slurm is reached. ``bin`` is the directory of its commands ("" looks in the usual places).

    ``deadline`` is a time.monotonic() instant that no command outlives; ``each_s`` bounds one command, ``limit`` how
    many bytes of its output are kept. ``time_format`` is strftime's for the times that it
    prints, "" Slurm's own.
    """

    bin: str
    conf: str
    deadline: float
    each_s: float = 5.0
    limit: int = LIMIT
    time_format: str = ""

    def run(self, command: str, *arguments: str) -> str:
        """Return what ``command`` prints on stdout; raises SlurmError on failure, with its last line of stderr."""
        return self.both(command, *arguments)[0]

    def both(self, command: str, *arguments: str) -> tuple[str, str]:
        """Return what ``command`` prints on stdout and stderr; raises SlurmError as `run` does."""
        limit = min(self.deadline, time.monotonic() + self.each_s)
        if limit - time.monotonic() <= 0:
            raise SlurmError(f"no time left to run {command}")
        path = find(self.bin, command)
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "SLURM_JSON": "compact"}
        if self.conf:
            environment["SLURM_CONF"] = self.conf
        if self.time_format:
            environment["SLURM_TIME_FORMAT"] = self.time_format
        return _run(path, [command, *arguments], environment, limit, self.limit)


def find(directory: str, command: str) -> str:
    """Return the absolute path of a Slurm command; raises SlurmError naming where it looked."""
    places = (directory,) if directory else PLACES
    for place in places:
        path = f"{place}/{command}"
        if os.access(path, os.X_OK):
            return path
    raise SlurmError(f"{command} not found in {', '.join(places)}: set slurm_bin in [hook] of the policy")


def _run(path: str, argv: list[str], environment: dict[str, str], limit: float, size: int) -> tuple[str, str]:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    errors, error_writer = os.pipe2(os.O_CLOEXEC)
    try:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_DUP2, error_writer, 2),
        ]
        try:
            child = os.posix_spawn(path, argv, environment, file_actions=actions, setsid=True)
        except OSError as error:
            raise SlurmError(f"{path} cannot be run: {error.strerror}") from error
        finally:
            os.close(writer)
            os.close(error_writer)
        output = _read_both(reader, errors, limit, size)
        status = _wait(child, limit if output is not None else 0.0)
    finally:
        os.close(reader)
        os.close(errors)
    if output is None or status is None:
        raise SlurmTimeout(f"{argv[0]} did not end in time")
    if status != 0:
        said = output[1].decode(errors="replace").strip().splitlines()
        failed = SlurmError(f"{argv[0]}: {said[-1] if said else f'exit status {status}'}")
        failed.output = output[0].decode(errors="replace")
        raise failed
    return os.fsdecode(output[0]), output[1].decode(errors="replace")


def lines(output: str) -> list[str]:
    """Return the lines of what a command of Slurm printed.

    A newline alone ends one: str.splitlines cuts at U+2028 and others too, which a user may put into a job's name.
    """
    return output.removesuffix("\n").split("\n") if output else []


def _read_both(reader: int, errors: int, limit: float, size: int) -> tuple[bytes, bytes] | None:
    """Return the first ``size`` bytes that each pipe gave until its end, or None at the limit."""
    got = {reader: bytearray(), errors: bytearray()}
    poll = select.poll()
    for descriptor in got:
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
    waiting = len(got)
    while waiting:
        left = limit - time.monotonic()
        if left <= 0:
            return None
        for descriptor, _ in poll.poll(left * 1000):
            chunk = os.read(descriptor, 65536)
            if not chunk:
                poll.unregister(descriptor)
                waiting -= 1
            elif len(got[descriptor]) < size:
                got[descriptor] += chunk
    return bytes(got[reader]), bytes(got[errors])


def _wait(child: int, limit: float) -> int | None:
    """Return the exit status; at the limit kill the command's session, give it a moment, and leave it."""
    killed = False
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return None if killed else os.waitstatus_to_exitcode(status)
        if time.monotonic() >= limit:
            if killed:
                return None
            killed, limit = True, time.monotonic() + 0.2
            os.killpg(child, 9)
        time.sleep(0.002)
