"""One line to syslog that never waits.

syslog(3) does, for as long as /dev/log is full: a hung journald or a full disk would hold every hook.
"""

from __future__ import annotations

import _socket
import os
import time

PLACE = "/dev/log"
DAEMON = 3 << 3
ERROR, WARNING, INFO = 3, 4, 6


def say(level: int, text: str, limit: int = 1000) -> None:
    """Send ``text``, its printable characters, ``limit`` at most, as daemon preflight; lost where nobody takes it."""
    line = "".join(c if c.isprintable() else "?" for c in text)[:limit]
    stamp = time.strftime("%b %e %H:%M:%S")
    message = f"<{DAEMON | level}>{stamp} preflight[{os.getpid()}]: {line}".encode()
    try:
        place = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    except OSError:
        return
    try:
        place.setblocking(False)
        place.connect(PLACE)
        place.send(message)
    except OSError:
        return
    finally:
        place.close()
