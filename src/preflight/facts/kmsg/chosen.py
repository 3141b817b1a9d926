"""Records of the kernel's own whose words a user chose: they tell of no fault.

The kernel begins many records with the name of the process, and a process gives itself any name of up to 15 bytes:
one named "NVRM: Xid 79, " that then crashes leaves "NVRM: Xid 79, [4242]: segfault at 0 ip … in libx.so", where the
file's name is the user's too. A network interface in a user's own namespace has a name of theirs, and a packet filter's
LOG rule a prefix. NVIDIA's driver prints the version that a client claims to have.
"""

from __future__ import annotations

from preflight.digits import is_whole

NAME = 15  # bytes of a process's or an interface's name (TASK_COMM_LEN, IFNAMSIZ, each without its NUL)
# What follows a name, beside a pid in brackets or parentheses: mm/page_alloc.c (warn_alloc), mm/oom_kill.c,
# kernel/locking/lockdep.c, net/core/dev.c.
AFTER = (
    ": page allocation ",
    ": vmalloc ",
    ": vmap ",
    " invoked oom-killer",
    " (pid ",
    ": renamed from ",
    ": entered ",
    ": left ",
)
CLOSING = {"[": "]", "(": ")", "/": " ", ":": " "}
MISMATCH = "NVRM: API mismatch"  # arch/nvalloc/unix/src/osapi.c of NVIDIA's open modules: the client's name and version


def is_chosen(text: str) -> bool:
    """Return whether a user may have chosen how the kernel's record ``text`` begins, or what it says."""
    if text.startswith(MISMATCH) or ("IN=" in text and " OUT=" in text.partition("IN=")[2]):
        return True
    return any(_follows_a_name(text[at : at + 32]) for at in range(min(len(text), NAME) + 1))


def _follows_a_name(rest: str) -> bool:
    """Return whether ``rest`` is what the kernel writes after a name: its pid, or one of AFTER."""
    if rest.startswith(AFTER):
        return True
    plain = rest.removeprefix(" ") if rest.startswith(" (") else rest
    closing = CLOSING.get(plain[:1])
    if closing is None or closing not in plain:
        return False
    inner = plain[1:].partition(closing)[0]
    if closing == " ":  # "python/4242 is trying to acquire lock", "python:4242 …": not a PCI address or a drive's place
        return is_whole(inner, 11) and plain.partition(" ")[2].startswith(("is ", "took ", "blocked "))
    return is_whole(inner, 11)
