"""Node lists against the release in use: what scontrol reads and writes, without a cluster.

A sample of what `python -m lab.hostlists 10000` compares; its cases were kept where they surprised.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab import hostlists, releases, unavailable
from preflight.hostlist import HostlistError, in_order

pytestmark = pytest.mark.lab
SAMPLE = 400
# Text, and what 24.11 and 26.05 read; None: refused.
CASES: list[tuple[str, list[str] | None]] = [
    ("n[98-101]", ["n98", "n99", "n100", "n101"]),
    ("n[099-101]", ["n099", "n100", "n101"]),
    ("n[09-10,1]", ["n09", "n10", "n1"]),
    ("n[01-1]", ["n01"]),
    ("n[1-]", ["n1"]),
    ("n[3,1-2],n1", ["n3", "n1", "n2", "n1"]),
    ("r[1-2][1-2]", ["r11", "r12", "r21", "r22"]),
    ("a[1-2]b[1-2]c[1-2]", ["a1b1c1", "a1b1c2", "a2b1c1", "a2b1c2", "a1b2c1", "a1b2c2", "a2b2c1", "a2b2c2"]),
    ("n1,,n2,", ["n1", "n2"]),
    ("[1-3]", ["1", "2", "3"]),
    ("n[+1]", ["n01"]),
    ("@all", ["@all"]),
    ("n[1-9/2]", None),
    ("n[1-9:2]", None),
    ("n[2-1]", None),
    ("n[1--2]", None),
    ("n[]", None),
    ("n[1,]", None),
    ("n[1-65537]", None),
    ("n[0-65536]", None),
    ("n[1-65537]x[1-2]", None),
]
SUFFIXED = [("n[1-2]-ib", ["n1-ib", "n2-ib"]), ("r[1,3]c1", ["r1c1", "r3c1"]), ("r[1-2]c[1]x", ["r1c1x", "r2c1x"])]


@pytest.fixture(scope="module")
def scontrol() -> Iterator[hostlists.Scontrol]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    with hostlists.ready(releases.chosen()) as made:
        yield made


def _read(text: str) -> list[str]:
    try:
        return in_order(text)
    except HostlistError:
        return []


def test_cases_that_surprised_are_read_alike(scontrol: hostlists.Scontrol) -> None:
    lists = [text for text, _ in (*CASES, *SUFFIXED)]
    slurm = scontrol.asked("hostnames", lists)
    old = scontrol.release.version() < (23,)
    expected = [hosts or [] for _, hosts in CASES] + [[] if old else hosts for _, hosts in SUFFIXED]
    assert dict(zip(lists, slurm)) == dict(zip(lists, expected))
    ours = [hosts or [] for _, hosts in (*CASES, *SUFFIXED)]
    assert dict(zip(lists, map(_read, lists))) == dict(zip(lists, ours))


def test_the_largest_range_is_read_alike(scontrol: hostlists.Scontrol) -> None:
    text = "n[1-65536]"
    assert scontrol.asked("hostnames", [text]) == [in_order(text)]


def test_a_blank_in_brackets_widens_the_number_as_in_slurm(scontrol: hostlists.Scontrol) -> None:
    """Its interactive form takes no blanks."""
    text = " n[1, 2],\tn3 n4"
    done = scontrol.run(["show", "hostnames", text])
    assert done.stdout.split() == in_order(text) == ["n1", "n02", "n3", "n4"]


def test_generated_lists_are_read_and_written_alike(scontrol: hostlists.Scontrol) -> None:
    seed = int(os.environ.get("PREFLIGHT_LISTS_SEED", "26"))
    lists = hostlists.made(seed, SAMPLE)
    bad = sum(not _read(text) for text in lists)
    assert SAMPLE * 0.05 < bad < SAMPLE * 0.5  # both kinds are among them
    assert hostlists.compare(scontrol, seed, SAMPLE) == []
