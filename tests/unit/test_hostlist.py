"""Node lists as Slurm reads and writes them; tests/lab/test_hostlist.py holds the same against each release."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.hostlist import MOST_HOSTS, HostlistError, contains, folded, in_order, names
from preflight.submit import script
from preflight.submit.options_asked import asked
from preflight.submit.why import held
from preflight.submit.why.case import Case


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", []),
        (" ,", []),
        ("n1", ["n1"]),
        ("n[01-03],gpu7", ["n01", "n02", "n03", "gpu7"]),
        ("n[98-101]", ["n98", "n99", "n100", "n101"]),
        ("n[099-101]", ["n099", "n100", "n101"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("r[1-2][3-4]", ["r13", "r14", "r23", "r24"]),
        ("a[1-2]b[1-2]c[1-2]", ["a1b1c1", "a1b1c2", "a2b1c1", "a2b1c2", "a1b2c1", "a1b2c2", "a2b2c1", "a2b2c2"]),
        ("n[1,3-4]-ib", ["n1-ib", "n3-ib", "n4-ib"]),
        ("/dev/nvidia[2,0-1]", ["/dev/nvidia2", "/dev/nvidia0", "/dev/nvidia1"]),
        ("n2,n1, n2\tn3", ["n2", "n1", "n2", "n3"]),
        ("n[1, 2]", ["n1", "n02"]),
        ("@gpus", ["@gpus"]),  # no group: nothing is run for it
    ],
)
def test_a_list_is_read_in_its_order(text: str, hosts: list[str]) -> None:
    assert in_order(text) == hosts
    assert names(text) == set(hosts)
    assert all(contains(text, host) for host in hosts)
    assert not any(contains(text, host) for host in ("other", "", "n", "n001", "r1", "n1-i", "n²"))
    assert names(folded(set(hosts))) == set(hosts)


def test_the_width_of_the_first_number_is_a_least_width() -> None:
    text = "n[01-101]"
    assert in_order(text) == [f"n{number:02}" for number in range(1, 102)]
    assert folded(in_order(text)) == text
    assert contains(text, "n100")
    assert not contains(text, "n1")
    assert not contains(text, "n0100")


HOSTILE = {
    "open": "n[1-3", "turned": "n]1[", "letters": "n[a-b]", "backwards": "n[3-1]", "empty": "n[]", "comma": "n[1,]",
    "step": "n[1-9/2]", "step by colon": "n[1-9:2]", "negative": "n[1--2]", "nested": "a[[1-2]]",
    "superscript": "n[²]",
    "other digits": "n[\u0661-\u0663]", "function": "feature{gpu}", "letter in a range": "n[1/2-9]",
    "long range": "n[1-65537]", "huge range": "n[1-999999999]", "past 64 bits": "n[18446744073709551615]",
    "many digits": f"n[{'9' * 5000}]", "wide": f"n[{'0' * 100_000}1-65536]", "deep": "n[" * 100_000,
    "many brackets": "n[1-9]" * 2000, "many ranges": "n[1-65536]," * 6, "long": "[1-65536]" * 100_000,
    "a first of three": "n[2-1]x[1]y[1]",
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_list_is_refused_in_one_line_and_in_little_time(kind: str) -> None:
    before = time.process_time()
    for read in (names, in_order, lambda text: contains(text, "n1")):
        with pytest.raises(HostlistError, match="not a host list") as caught:
            read(HOSTILE[kind])
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
    assert time.process_time() - before < 5


def test_large_lists_are_read_and_written_in_little_time() -> None:
    before = time.process_time()
    assert len(in_order(",".join(["n[1-9]"] * 2000))) == 18000
    assert len(in_order("n1," * (1 << 18))) == MOST_HOSTS
    racks = [f"r{rack}n{node}" for rack in range(100) for node in range(100)]
    assert len(names(folded(racks))) == 10000
    assert folded([f"n{number:04}" for number in range(10000)]) == "n[0000-9999]"
    assert len(names(folded([f"{one}-ib" for one in racks]))) == 10000
    assert time.process_time() - before < 5


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ([], ""),
        (["r1c1", "r3c1"], "r1c1,r3c1"),  # r[1,3]c1 is refused by 22.05
        (["n1-ib", "n2-ib"], "n1-ib,n2-ib"),
        (["r1n1", "r1n2", "r2n1", "r10n1"], "r1n[1-2],r2n1,r10n1"),
        (["n9", "n10", "n11", "n9"], "n[9-11]"),
        (["n09", "n10", "n1"], "n[1,09-10]"),
        (["n1", "n01", "n001"], "n[001,01,1]"),
        (["1", "2"], "[1-2]"),
        (["login", "n1"], "login,n1"),
        ([f"n{10**20}", f"n{10**20 + 1}"], f"n{10**20},n{10**20 + 1}"),
    ],
)
def test_only_the_number_that_ends_a_name_is_folded(hosts: list[str], text: str) -> None:
    written = folded(hosts)
    assert sorted(written.replace("[", ",").replace("]", ",").split(",")) == sorted(
        text.replace("[", ",").replace("]", ",").split(",")
    )
    assert names(written) == set(hosts)
    assert "]" not in written or all(part[:1] in ("", ",") for part in written.split("]")[1:])


def test_a_long_stretch_is_written_in_ranges_that_slurm_takes() -> None:
    assert folded([f"n{number}" for number in range(70000)]) == "n[0-65535,65536-69999]"


@pytest.mark.parametrize("host", ["", "a,b", "n[1", "n]", "a b", "a\n", "x{y}"])
def test_what_no_host_is_called_is_not_written(host: str) -> None:
    with pytest.raises(HostlistError):
        folded({"n1", host})


NAMES = st.from_regex(r"(n|gpu-|r1n|7|a-b)?(|[0-9]{1,4})(|-ib|c1)", fullmatch=True).filter(bool)


@given(st.sets(NAMES, min_size=1, max_size=12))
def test_a_written_list_holds_the_same_hosts(hosts: set[str]) -> None:
    text = folded(hosts)
    assert names(text) == hosts
    assert len(in_order(text)) == len(hosts)
    assert all(contains(text, host) for host in hosts)


@given(st.text("n1029[],-x ", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        hosts = in_order(text)
    except HostlistError:
        return
    assert all(contains(text, host) for host in hosts)
    assert names(folded(hosts)) == set(hosts)


def test_a_file_of_hosts_keeps_its_brackets_whole(tmp_path: Path) -> None:
    """Its items were parted at the commas inside brackets too, and "3]" of the second list dropped as a double."""
    path = tmp_path / "hosts"
    path.write_text("n[1,3]*2,m[2,3]\nn9 # a comment\nn9\n")
    submission = script.read([f"--exclude={path}", "--wrap=true"], {})
    assert in_order(asked(submission.components[0]).exclude) == ["n1", "n3", "m2", "m3", "n9"]


def test_an_unreadable_list_of_the_users_own_is_kept_in_advice() -> None:
    excluded = "n[1-9/2]"
    case = cast("Case", SimpleNamespace(job=SimpleNamespace(excluded=excluded)))
    assert held._also_excluded(case, {"n7"}) == "n[1-9/2],n7"
    assert held._without(excluded, {"n7"}) == excluded
