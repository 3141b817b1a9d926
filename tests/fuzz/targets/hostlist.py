"""Slurm's node lists, both directions."""

from preflight import hostlist

ERRORS = (hostlist.HostlistError,)
TOKENS = (
    b"n[1-3]", b"[", b"]", b",", b"-", b"01-10", b"r[1-2]c[3,5]", b"{gpu}", b"n00", b"65535",
    b"18446744073709551614",
)  # fmt: skip
PEAK_LIMIT = (256 << 20, 0)  # MOST_HOSTS hosts, and MOST_CHARACTERS in them, twice
STEPS_LIMIT = (6_000_000, 2_000)  # a list of MOST_HOSTS hosts that is written again


def seeds() -> list[bytes]:
    """Return lists as Slurm and users write them."""
    return [b"n[01-101],r[1-2]c[3,5],login", b"n1", b"n[1-2]-ib0 n3\tn4\nn5", b"a[1-2]b[3-4]c[5-6]", b"n[1-65536]", b""]


def check(data: bytes) -> None:
    """Expand, ask for each host, and fold again: the same hosts."""
    text = data.decode("utf-8", "surrogateescape")
    assert hostlist.contains(text, "n1") in (True, False)
    found = hostlist.in_order(text)
    assert len(found) <= hostlist.MOST_HOSTS
    for host in found[:3] + found[-3:]:
        assert hostlist.contains(text, host), host
    if len(found) < 3000 and all(one.isprintable() for one in found):
        names = set(found)
        written = hostlist.folded(names) if names else ""
        assert hostlist.names(written) == names, written
