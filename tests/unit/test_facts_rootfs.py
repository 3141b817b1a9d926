"""Reading beneath a root: nothing outside it, nothing that waits."""

import os
from pathlib import Path

import pytest

from preflight.facts.rootfs import Root


@pytest.fixture
def node(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "node"
    (root / "etc").mkdir(parents=True)
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/release").write_text("inside")
    return root


@pytest.mark.parametrize("target", ["/usr/lib/release", "../usr/lib/release", "../../../../usr/lib/release"])
def test_links_are_resolved_inside_the_root(node: Path, target: str) -> None:
    (node / "etc/release").symlink_to(target)
    root = Root(str(node), live=False)
    assert root.read_text("/etc/release") == "inside"
    assert root.resolve("/etc/release") == "/usr/lib/release"


@pytest.mark.parametrize("target", ["../../secret", "/../secret", "{outside}"])
def test_no_link_leads_out_of_the_root(node: Path, target: str) -> None:
    (node / "etc/release").symlink_to(target.format(outside=node.parent / "secret"))
    assert Root(str(node)).read_text("/etc/release") is None


def test_dots_in_a_path_stop_at_the_root(node: Path) -> None:
    assert Root(str(node)).read_text("/../secret") is None
    assert Root(str(node)).read_text("/etc/../../usr/lib/release") == "inside"


def test_a_directory_link_out_of_the_root_is_not_listed(node: Path) -> None:
    (node / "opt").symlink_to(node.parent)
    assert Root(str(node)).names("/opt") == ["etc", "opt", "usr"] or Root(str(node)).names("/opt") is None
    assert Root(str(node)).read_text("/opt/secret") is None


def test_a_loop_of_links_is_absent(node: Path) -> None:
    (node / "etc/a").symlink_to("b")
    (node / "etc/b").symlink_to("a")
    assert Root(str(node)).stat("/etc/a") is None


def test_a_fifo_is_refused_without_waiting(node: Path) -> None:
    os.mkfifo(node / "etc/fifo")
    with pytest.raises(OSError, match="not a regular file") as caught:
        Root(str(node)).read("/etc/fifo")
    assert caught.value.filename == "/etc/fifo"


def test_a_directory_is_not_read_as_a_file(node: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        Root(str(node)).read("/etc")


def test_a_file_over_the_limit_is_an_error_and_one_at_it_is_not(node: Path) -> None:
    (node / "etc/big").write_bytes(b"x" * 10)
    assert Root(str(node)).read("/etc/big", 10) == b"x" * 10
    with pytest.raises(OSError, match="larger than 9 bytes"):
        Root(str(node)).read("/etc/big", 9)


def test_glob_matches_names_in_order_and_keeps_to_the_root(node: Path) -> None:
    for name in ("cuda-12.4", "cuda-11.8", ".cuda", "other"):
        (node / "usr/local" / name).mkdir(parents=True)
    (node / "usr/local/cuda").symlink_to("/usr/local/cuda-12.4")
    (node / "usr/local/cuda-gone").symlink_to("/nowhere")
    found = Root(str(node)).glob("/usr/local/cuda*")
    assert found == ["/usr/local/cuda", "/usr/local/cuda-11.8", "/usr/local/cuda-12.4"]
    assert Root(str(node)).glob("/usr/local/*da") == ["/usr/local/cuda"]


def test_text_that_is_not_utf8_is_replaced(node: Path) -> None:
    (node / "etc/latin").write_bytes(b"caf\xe9")
    assert Root(str(node)).read_text("/etc/latin") == "caf\ufffd"


def test_live_files_fall_back_to_the_machine_only_when_live(node: Path) -> None:
    assert Root(str(node), live=True).live_read("/proc/self/stat") is not None
    assert Root(str(node), live=False).live_read("/proc/self/stat") is None
    (node / "proc").mkdir()
    (node / "proc/meminfo").write_text("recorded")
    assert Root(str(node), live=True).live_read("/proc/meminfo") == "recorded"


def test_a_permission_error_is_told_apart_from_absence(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "lstat", refuse)
    with pytest.raises(PermissionError) as caught:
        Root(str(node)).stat("/etc/x")
    assert caught.value.filename == "/etc/x"
