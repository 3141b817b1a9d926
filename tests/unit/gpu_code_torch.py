"""An environment of PyTorch's size: 600 files, 60 with GPU code, 4 GB, of which the disk holds what is read of it."""

from __future__ import annotations

import struct
from pathlib import Path

from unit import gpu_code_samples as make

START = 4 << 20  # of .nv_fatbin in its file
TARGETS = (75, 80, 86, 90, 100, 120)


def library(path: Path, units: int, size: int) -> None:
    """Write a sparse library with ``units`` containers of all TARGETS and compute_120, ``size`` bytes in all."""
    payload = max(64, size // units // (len(TARGETS) + 1) // 8 * 8 - 64)
    each = [(2, one) for one in TARGETS] + [(1, 120)]
    step = 16 + len(each) * (64 + payload)
    records = b"".join(
        struct.pack("<4sIQQ", b"\xb1\x43\x62\x46", 1, make.BASE + START + step * at, 0) for at in range(units)
    )
    strings, dynamic, symbols, need = make._dynamic(("libcudart.so.12", "libc.so.6"), ("GLIBC_2.28", "GLIBC_2.17"), ())
    sections = [
        make.Section(".dynsym", symbols, make.DYNSYM, ".dynstr", "", 24),
        make.Section(".dynstr", strings, make.STRTAB),
        make.Section(".gnu.version_r", need, make.VERNEED, ".dynstr"),
        make.Section(".rela.dyn", b"", make.RELA, ".dynsym", "", 24),
        make.Section(".dynamic", (16 * 12, dynamic), make.DYNAMIC, ".dynstr", "", 16),
        make.Section(".nvFatBinSegment", records),
        make.Section(".nv_fatbin", b"", make.PROGBITS),
    ]
    head = bytearray(make.elf(sections))
    table = struct.unpack_from("<Q", head, 0x28)[0]
    index = 1 + [one.name for one in sections].index(".nv_fatbin")
    struct.pack_into("<QQQ", head, table + 64 * index + 16, make.BASE + START, START, units * step)
    struct.pack_into("<QQ", head, 64 + 32, START + units * step, START + units * step)  # the segment's sizes
    assert len(head) <= START
    with open(path, "wb") as file:
        file.write(head)
        for at in range(units):
            place = START + step * at
            file.seek(place)
            file.write(struct.pack("<4sHHQ", b"\x50\xed\x55\xba", 1, 16, step - 16))
            place += 16
            for kind, sm in each:
                flags = make.WIDE | make.LINUX | make.ZSTD
                isa = (8, 7) if kind == 1 else (1, 8)
                fields = (kind, 0x0101, 64, payload, payload - 3, 0, isa[1], isa[0], sm, 0, 0, flags, 0, 9 * payload)
                file.seek(place)
                file.write(struct.pack("<HHIQIIHHIIIQQQ", *fields))
                place += 64 + payload
        file.truncate(START + units * step)


def environment(prefix: Path) -> Path:
    """Make the environment; return its directory."""
    site = prefix / "lib/python3.11/site-packages"
    (site / "torch/lib").mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (site / "torch/version.py").write_text("__version__ = '2.8.0+cu128'\ncuda: Optional[str] = '12.8'\n")
    names = []
    library(site / "torch/lib/libtorch_cuda.so", 6000, 1200 << 20)
    names.append("torch/lib/libtorch_cuda.so")
    for number in range(59):
        owner = "torch" if number < 8 else f"pack{number % 9}"
        (site / owner).mkdir(exist_ok=True)
        library(site / owner / f"libcode{number}.so", 60, 46 << 20)
        names.append(f"{owner}/libcode{number}.so")
    plain = make.library([], linked=None, needed=("libc.so.6",), versions=("GLIBC_2.17",))
    for number in range(240):
        owner = f"pack{number % 9}"
        (site / owner).mkdir(exist_ok=True)
        (site / owner / f"_mod{number}.cpython-311-x86_64-linux-gnu.so").write_bytes(plain)
        names.append(f"{owner}/_mod{number}.cpython-311-x86_64-linux-gnu.so")
    for number in range(300):
        (site / f"pack{number % 9}" / f"mod{number}.py").write_text("x = 1\n")
    for owner in sorted({name.partition("/")[0] for name in names}):
        info = site / f"{owner}-{'2.8.0+cu128' if owner == 'torch' else '1.0'}.dist-info"
        info.mkdir()
        (info / "RECORD").write_text("".join(f"{one},,\n" for one in names if one.startswith(f"{owner}/")))
    return prefix
