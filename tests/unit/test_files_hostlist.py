"""Root's own files, and Slurm's host lists."""

import json
import os
import stat
from pathlib import Path

import pytest
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
from hypothesis import given
from hypothesis import strategies as st

from preflight.files import read_json, unlink, write_atomic, write_json
from preflight.hostlist import HostlistError, contains, folded, in_order, names

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives files away")


def test_a_file_is_replaced_at_once_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = str(tmp_path / "sub/x.json")
    for value in ({"a": 1}, [1, 2]):
        write_json(path, value)
        assert read_json(path) == value
    assert os.listdir(tmp_path / "sub") == ["x.json"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "sub").st_mode) == 0o700


def test_a_reader_that_has_the_old_file_open_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomic(str(path), b"old")
    with path.open("rb") as file:
        write_atomic(str(path), b"new")
        assert file.read() == b"old"
    assert path.read_bytes() == b"new"


def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - any of EISDIR, ENOTEMPTY
        write_atomic(str(tmp_path / "d"), b"x")
    assert os.listdir(tmp_path) == ["d"]


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    (tmp_path / f".x.{os.getpid()}").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        write_atomic(str(tmp_path / "x"), b"spoiled")
    assert victim.read_text() == "safe"


@pytest.mark.parametrize("text", ["", "{", "\x00", "[1,", "NaNN"])
def test_what_is_no_json_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    assert read_json(str(tmp_path / "x")) is None


def test_only_a_regular_file_of_ours_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("[1]")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dir").mkdir()
    assert read_json(str(tmp_path / "x")) == [1]
    for name in ("link", "fifo", "dir", "missing"):
        assert read_json(str(tmp_path / name)) is None


def test_a_file_past_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(json.dumps("y" * 100))
    assert read_json(str(tmp_path / "x"), limit=50) is None
    assert read_json(str(tmp_path / "x"), limit=500) == "y" * 100


@as_root
def test_a_file_of_a_user_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("[1]")
    os.chown(tmp_path / "x", 4242, -1)
    assert read_json(str(tmp_path / "x")) is None


def test_unlinking_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    unlink(str(tmp_path / "no"))
    unlink(str(tmp_path))
    (tmp_path / "x").touch()
    unlink(str(tmp_path / "x"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", set()),
        ("n1", {"n1"}),
        ("n[01-03],gpu7", {"n01", "n02", "n03", "gpu7"}),
        ("r[1-2]n[1-2]", {"r1n1", "r1n2", "r2n1", "r2n2"}),
        ("n[1,3-4]-ib", {"n1-ib", "n3-ib", "n4-ib"}),
    ],
)
def test_host_lists_are_expanded_and_folded(text: str, hosts: set[str]) -> None:
    assert names(text) == hosts
    assert names(folded(hosts)) == hosts
    assert all(contains(text, host) for host in hosts)
    assert not contains(text, "other")


@pytest.mark.parametrize("text", ["n[1-", "n]1[", "n[a-b]", "n[3-1]"])
def test_what_is_no_host_list_is_said_in_one_line(text: str) -> None:
    with pytest.raises(HostlistError, match="not a host list") as caught:
        names(text)
    assert "\n" not in str(caught.value)


def test_a_group_is_never_asked_for() -> None:
    """ClusterShell would run the site's group commands for "@gpus"."""
    try:
        found = names("@gpus")
    except HostlistError:
        return
    assert found <= {"@gpus"}


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("/dev/nvidia[2,0-1]", ["/dev/nvidia2", "/dev/nvidia0", "/dev/nvidia1"]),
        ("/dev/nvidia3,/dev/nvidia[1-0]", None),
        ("/dev/nvidia3,/dev/nvidia[0-1]", ["/dev/nvidia3", "/dev/nvidia0", "/dev/nvidia1"]),
        ("n2,n1", ["n2", "n1"]),
    ],
)
def test_the_order_written_is_kept(text: str, order: list[str] | None) -> None:
    if order is None:
        with pytest.raises(HostlistError):
            in_order(text)
    else:
        assert in_order(text) == order


NAMES = st.from_regex(r"(n|gpu-|r1n|7|a-b)?(|[0-9]{1,3})(|-ib)", fullmatch=True).filter(bool)


@given(st.sets(NAMES, min_size=1, max_size=12))
def test_a_folded_list_is_the_librarys_and_holds_the_same_hosts(hosts: set[str]) -> None:
    assert folded(hosts) == str(NodeSet.fromlist(sorted(hosts), resolver=RESOLVER_NOGROUP))  # type: ignore[no-untyped-call]
    assert names(folded(hosts)) == hosts
