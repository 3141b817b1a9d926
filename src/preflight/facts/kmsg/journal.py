"""The kernel's log as the journal kept it, where /dev/kmsg is closed to this process."""

from __future__ import annotations

import errno
import os
import time

from preflight import jsonio
from preflight.facts.kmsg.kinds import Reading
from preflight.facts.kmsg.records import from_journal

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.facts.kmsg.history import History

JOURNALCTL = ("/usr/bin/journalctl", "/bin/journalctl")
MAX_LINES = 20_000  # of a first look, the latest
MAX_BYTES = 32 << 20
FIELDS = "MESSAGE,SYSLOG_FACILITY,_TRANSPORT,_SOURCE_MONOTONIC_TIMESTAMP"
OPTIONS = ("-k", "-b", "-q", "--no-pager", "-o", "json", f"--output-fields={FIELDS}")


def read_journal(log: History, budget_s: float) -> bool:
    """Take what the journal has new into ``log``; return whether all of it was read. Raises OSError."""
    path = next((one for one in JOURNALCTL if os.access(one, os.X_OK)), None)
    if path is None:
        raise OSError(errno.ENOENT, "no journalctl")
    # Not --after-cursor: where the entry at the cursor was removed since, that passes over the first one that is left.
    where = ("--cursor", log.cursor) if log.cursor else ("-n", str(MAX_LINES))
    output, complete = _run([path, *OPTIONS, *where], budget_s)
    reading = Reading()
    for line in output.split(b"\n"):
        try:
            entry = jsonio.loads(line) if line else None
        except ValueError:
            complete = False  # cut off
            break
        if isinstance(entry, dict) and entry.get("__CURSOR") == log.cursor:
            continue
        record = from_journal(entry)
        if record is not None:
            log.take(record, reading)
        if isinstance(entry, dict) and isinstance(entry.get("__CURSOR"), str):
            log.at_cursor(entry["__CURSOR"])
    log.settle(complete)
    return complete


def _run(argv: list[str], budget_s: float) -> tuple[bytes, bool]:
    """Return what a command printed within the time, and whether it ended well; it is killed where it did not end."""
    from select import POLLIN, poll

    limit = time.monotonic() + budget_s
    reader, writer = os.pipe2(os.O_CLOEXEC)
    null = ("/dev/null", os.O_RDWR, 0)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, *null),
        (os.POSIX_SPAWN_DUP2, writer, 1),
        (os.POSIX_SPAWN_OPEN, 2, *null),
    ]
    try:
        child = os.posix_spawn(
            argv[0], argv, {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}, file_actions=actions, setsid=True
        )
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    waiter = poll()
    waiter.register(reader, POLLIN)
    data = bytearray()
    ended = False
    while not ended and len(data) < MAX_BYTES and waiter.poll(max(0.0, (limit - time.monotonic()) * 1000)):
        chunk = os.read(reader, 1 << 18)
        ended = not chunk
        data += chunk
    os.close(reader)
    return bytes(data), _end(child, limit if ended else 0.0)


def _end(child: int, limit: float) -> bool:
    """Return whether the child ended well by ``limit``; else it is killed, and left where that does not end it."""
    for until, kill in ((limit, True), (time.monotonic() + 0.2, False)):
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return kill and status == 0
            if time.monotonic() >= until:
                break
            time.sleep(0.002)
        if kill:
            os.killpg(child, 9)
    return False
