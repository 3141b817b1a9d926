"""Root's own files."""

import json
import os
import stat
from pathlib import Path

import pytest

from preflight.files import read_json, unlink, write_atomic, write_json

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
