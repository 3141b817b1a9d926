"""The machine's architecture."""

from __future__ import annotations

import os

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.libc import libraries
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root

# e_machine of an ELF header -> what uname says (elf.h)
ELF_MACHINES = {
    3: "i686",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "armv7l",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
}


@fact("arch", keys={"machine": "text: x86_64, aarch64"}, static=True)
def read(root: Root) -> Answer:
    """The machine's architecture.

    Beneath another root: /proc/sys/kernel/arch, else the ELF header of its C library or shell; else uname.
    """
    if not root.own:
        text = root.read_text("/proc/sys/kernel/arch", 4096)
        machine = (text or "").strip() or _elf_machine(root)
        if machine:
            return Answer({"machine": machine})
    if not root.live:
        return unknown(NOT_LIVE)
    if not hasattr(os, "uname"):
        return unknown("this system tells no architecture")
    return Answer({"machine": os.uname().machine})


def _elf_machine(root: Root) -> str | None:
    for path in (*libraries(root), "/bin/sh", "/usr/bin/env"):
        data = root.read(path, 64 << 20) if root.is_file(path) else None
        if data and data[:4] == b"\x7fELF" and len(data) >= 20:
            order = "little" if data[5] == 1 else "big"
            number = int.from_bytes(data[18:20], order)  # type: ignore[arg-type]
            if number == 21 and order == "little":
                return "ppc64le"
            if number in ELF_MACHINES:
                return ELF_MACHINES[number]
    return None
