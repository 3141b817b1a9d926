"""Nodes as sinfo's fields and as scontrol's text, and what a node publishes."""

import contextlib
from typing import Any

from fuzz.targets.squeue import MARK, Slurm
from preflight import jsonio
from preflight.requirements.decode import view_of
from preflight.slurm import by_commands, node, node_text, publish
from preflight.slurm.commands import SlurmError
from preflight.slurm.fields import ask

ERRORS = (SlurmError,)
TOKENS = (
    MARK, b"\n   ", b"\n\n", b"NodeName=n1 ", b"CPUAlloc=0 CPUTot=4 ", b"RealMemory=1 ", b"State=IDLE+DRAIN ",
    b"Extra={}", b"Reason=", b"idle*", b"(null)", b"gpu_count_", b'"cuda":', b"\0",
)  # fmt: skip
LONGEST = 16384
STEPS_LIMIT = (6_000_000, 2_000)  # sinfo's answer may name as many nodes as a list can hold
PEAK_LIMIT = (256 << 20, 400)


def seeds() -> list[bytes]:
    """Return both forms of `scontrol show node` (parted by a NUL), sinfo's rows, and an Extra."""
    lines = (
        b"NodeName=n1 CoresPerSocket=1 ", b"CPUAlloc=0 CPUTot=4 CPULoad=N/A", b"AvailableFeatures=a,b",
        b"ActiveFeatures=a", b"Gres=(null)", b"RealMemory=4096 AllocMem=0", b"State=IDLE+DRAIN ThreadsPerCore=1",
        b"Partitions=main,urgent ", b"Reason=x [root@2026-11-29T19:18:10]", b'Extra={"cuda":12004000}',
    )  # fmt: skip
    fields = (b"n[1-3]", b"main", b"idle", b"none", b"a,b", b"a", b'{"cuda_runs":1}', b"gpu:2", b"4", b"4096")
    row = MARK.join(fields) + MARK + b"\n"
    extra = b'{"cuda":12004000,"cuda_runs":12009000,"cuda_from":1,"gpu_count":8,"gpu":"h100","gpu_memory":81559}'
    return [
        b"\n   ".join(lines) + b"\n\n\0" + b" ".join(lines) + b"\n", row, row + row, extra,
        b"Slurmctld(primary) at c1 is UP\n", b"slurm-wlm 22.05.8\n", b"cuda_runs_12009000,gpu_count_8,os_ubuntu",
    ]  # fmt: skip


def check(data: bytes) -> None:
    """Read the text as each of the answers."""
    text = data.decode("utf-8", "surrogateescape")
    slurm: Any = Slurm(text)
    long, parted, short = text.partition("\0")
    first: Exception | None = None
    with contextlib.suppress(node_text.NotProven):  # never shown: the nodes are then read another way
        node_text.parsed(long, short if parted else long)
    for read in (
        lambda: list(by_commands.merged(ask(slurm, "sinfo", ("-a",), by_commands.NODE_FIELDS))),
        lambda: by_commands.release(slurm),
        lambda: publish._merge_extra(text.strip(), {"cuda": 1}, "n1"),
        lambda: publish._merge_features(list(publish._read(slurm, "n1")[1:]), ["cuda_1"]),
        lambda: node.read(slurm, "n1"),
    ):
        try:
            read()
        except ERRORS as error:
            first = first or error
    view_of({}, text.split(","))
    publish.without_extra(text.strip())
    publish.without_features(text, text)
    try:
        extra = jsonio.loads(text)
    except ValueError:
        extra = None
    if isinstance(extra, dict):
        view_of(extra)
    if first is not None:
        raise first
