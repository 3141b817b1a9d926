"""Host lists in Slurm's answers: as hostlist.py reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.hostlist import HostlistError, names
from preflight.slurm.commands import SlurmError
from preflight.slurm.fields import hosts

NUMBER = st.integers(0, 120).flatmap(lambda number: st.sampled_from([f"{number}", f"{number:02}", f"{number:04}"]))
ONE = NUMBER | st.tuples(NUMBER, NUMBER).map("-".join)
LISTS = st.tuples(st.sampled_from(["n", "gpu-a1-", "rack3n", ""]), st.lists(ONE, min_size=1, max_size=5))


@given(LISTS)
def test_a_plain_list_is_read_as_the_library_reads_it(parts: tuple[str, list[str]]) -> None:
    text = f"{parts[0]}[{','.join(parts[1])}]"
    try:
        wanted = sorted(names(text))
    except HostlistError:
        with pytest.raises(SlurmError):
            hosts(text)
        return
    assert hosts(text) == wanted


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("n1", ["n1"]),
        ("n1,m2", ["m2", "n1"]),
        ("n[1-3,05]", ["n05", "n1", "n2", "n3"]),
        ("n[1-2],m[3-4]", ["m3", "m4", "n1", "n2"]),
        ("r[1-2]n[3-4]", ["r1n3", "r1n4", "r2n3", "r2n4"]),
    ],
)
def test_hosts(text: str, found: list[str]) -> None:
    assert hosts(text) == found


@pytest.mark.parametrize("text", ["n[", "n[3-1]", "n[a]", "n[]"])
def test_what_is_no_list_is_said(text: str) -> None:
    with pytest.raises(SlurmError):
        hosts(text)


def test_a_list_as_sinfo_prints_it_for_grown_clusters() -> None:
    assert len(hosts("n[01-101]")) == 101
