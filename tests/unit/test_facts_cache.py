"""Static facts are read again exactly when something they came from changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from preflight.facts import cache, child, modulefiles, moduletrees, rootfs
from preflight.facts.answer import Answer
from preflight.facts.registry import fact_of
from preflight.facts.rootfs import Root
from preflight.facts.source import Source

OLD = (1_600_000_000, 1_600_000_000)


class Probe:
    """Reads /etc/x and lists /opt; counts how often it ran."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, root: Root) -> Answer:
        self.runs += 1
        return Answer({"x": root.read_text("/etc/x"), "opt": root.glob("/opt/*")})


@pytest.fixture
def node(tmp_path: Path) -> Path:
    (tmp_path / "node/etc").mkdir(parents=True)
    (tmp_path / "node/opt").mkdir()
    (tmp_path / "node/etc/x").write_text("one")
    for path in ("node/etc/x", "node/etc", "node/opt"):
        os.utime(tmp_path / path, OLD)
    return tmp_path


def read(node: Path, probe: Probe, parameters: list[object] | None = None, live: bool = False) -> dict[str, object]:
    root = Root(str(node / "node"), live)
    return cache.cached(str(node / "cache"), "subject", root, parameters or [], probe).values


def test_the_second_run_only_checks(node: Path) -> None:
    probe = Probe()
    assert read(node, probe) == read(node, probe) == {"x": "one", "opt": []}
    assert probe.runs == 1
    assert os.stat(node / "cache/facts-subject.json").st_mode & 0o777 == 0o600


def test_a_changed_file_is_read_again(node: Path) -> None:
    probe = Probe()
    read(node, probe)
    (node / "node/etc/x").write_text("two")
    os.utime(node / "node/etc/x", (1_600_000_001, 1_600_000_001))
    assert read(node, probe)["x"] == "two"


def test_a_replaced_file_with_the_same_size_and_time_is_read_again(node: Path) -> None:
    probe = Probe()
    read(node, probe)
    (node / "node/etc/new").write_text("six")
    os.utime(node / "node/etc/new", OLD)
    os.rename(node / "node/etc/new", node / "node/etc/x")
    assert read(node, probe)["x"] == "six"


def test_a_retargeted_link_is_read_again(node: Path) -> None:
    (node / "node/etc/a").write_text("aaa")
    (node / "node/etc/b").write_text("bbb")
    for name in ("a", "b"):
        os.utime(node / "node/etc" / name, OLD)
    (node / "node/etc/x").unlink()
    (node / "node/etc/x").symlink_to("/etc/a")
    probe = Probe()
    assert read(node, probe)["x"] == "aaa"
    (node / "node/etc/x").unlink()
    (node / "node/etc/x").symlink_to("/etc/b")
    assert read(node, probe)["x"] == "bbb"


def test_a_file_that_appears_or_goes_is_noticed(node: Path) -> None:
    (node / "node/etc/x").unlink()
    probe = Probe()
    assert read(node, probe)["x"] is None
    (node / "node/etc/x").write_text("new")
    (node / "node/opt/cuda").mkdir()
    assert read(node, probe) == {"x": "new", "opt": ["/opt/cuda"]}


def test_a_change_in_the_same_tick_is_not_missed(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "TICK_NS", 60_000_000_000)  # however slow the machine is
    (node / "node/etc/x").write_text("one")  # as young as the cache
    probe = Probe()
    read(node, probe)
    info = os.stat(node / "node/etc/x")
    (node / "node/etc/x").write_text("two")
    os.utime(node / "node/etc/x", ns=(info.st_atime_ns, info.st_mtime_ns))
    assert read(node, probe)["x"] == "two"


@pytest.mark.parametrize("field", ["boot", "version", "parameters", "live"])
def test_another_key_is_read_again(node: Path, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Probe()
    read(node, probe)
    if field == "boot":
        monkeypatch.setattr(cache, "boot_id", lambda: "another boot")
    if field == "version":
        monkeypatch.setattr(cache, "__version__", "9.9")
    read(node, probe, ["p"] if field == "parameters" else [], live=field == "live")
    assert probe.runs == 2


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"key": []}', "\xff"])
def test_a_corrupt_cache_is_read_again(node: Path, content: str) -> None:
    probe = Probe()
    read(node, probe)
    (node / "cache/facts-subject.json").write_text(content, encoding="latin-1")
    assert read(node, probe)["x"] == "one"
    assert probe.runs == 2


@pytest.mark.parametrize("part", ["seen", "values", "collected_ns", "until"])
def test_a_cache_with_a_part_of_another_kind_is_read_again(node: Path, part: str) -> None:
    probe = Probe()
    read(node, probe)
    place = node / "cache/facts-subject.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), part: "text"}))
    assert read(node, probe)["x"] == "one"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_cache_of_another_user_is_not_believed(node: Path) -> None:
    probe = Probe()
    read(node, probe)
    os.chown(node / "cache/facts-subject.json", 65534, 65534)
    read(node, probe)
    assert probe.runs == 2


def test_a_linked_cache_is_not_followed(node: Path) -> None:
    probe = Probe()
    read(node, probe)
    place = node / "cache/facts-subject.json"
    os.rename(place, node / "elsewhere")
    place.symlink_to(node / "elsewhere")
    read(node, probe)
    assert probe.runs == 2


def test_a_cache_directory_that_cannot_be_written_is_no_error(node: Path) -> None:
    (node / "cache").write_text("a file stands in its place")
    probe = Probe()
    assert read(node, probe) == read(node, probe) == {"x": "one", "opt": []}
    assert probe.runs == 2


def test_unknown_answers_are_not_kept(node: Path) -> None:
    root = Root(str(node / "node"))
    cache.cached(str(node / "cache"), "subject", root, [], lambda root: Answer({}, {"": "not mounted yet"}))
    assert not (node / "cache").exists()


def test_an_answer_that_was_cut_short_is_kept_for_a_while_only(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As modulefiles on a file system that is slow the first time after a boot."""
    for name in ("gcc/13", "cuda/12"):
        path = node / "node/apps" / name
        path.parent.mkdir(parents=True)
        path.write_text("#%Module\n")
        for one in (path, path.parent, path.parents[1]):
            os.utime(one, OLD)
    up = 1000.0
    monkeypatch.setattr(cache, "_up", lambda: up)
    monkeypatch.setattr(moduletrees, "READ_S", -1.0)
    assert "not all of 2 modulefiles" in str(behind_now(node))
    monkeypatch.setattr(moduletrees, "READ_S", 60.0)
    assert "not all of 2 modulefiles" in str(behind_now(node))  # not read anew for each job
    up += moduletrees.CUT_KEEP_S
    assert behind_now(node) is None
    up += 1e9
    monkeypatch.setattr(moduletrees, "READ_S", -1.0)
    assert behind_now(node) is None  # and what was read whole is kept


def behind_now(node: Path) -> object:
    root = Root(str(node / "node"), False)
    answer = cache.cached(str(node / "cache"), "modules", root, [], lambda root: modulefiles.read(root, ("/apps",)))
    return answer.values["behind"]


def test_modulefiles_are_known_by_their_directories(node: Path) -> None:
    """Thousands of modulefiles: a hook looks at the directories, and at what a directory does not show."""
    place = node / "node/apps"
    for app in range(5):
        (place / f"app{app}").mkdir(parents=True)
        for version in range(100):
            (place / f"app{app}/1.{version}.lua").touch()
    (place / "plain").write_text("#%Module\n")
    (place / "link").symlink_to("/opt")
    (node / "node/opt/2.0").touch()

    for path in (place, *place.rglob("*"), node / "node/opt", node / "node/opt/2.0"):
        os.utime(path, OLD, follow_symlinks=False)
    every, looked_at = names_now(node)
    assert len(every) == 502
    assert {"app4/1.99", "plain", "link/2.0"} <= {*every}
    assert looked_at < 40
    assert names_now(node) == (every, 0)
    (place / "app3/1.7.lua").unlink()
    os.utime(place / "app3", (1_600_000_001, 1_600_000_001))
    assert "app3/1.7" not in names_now(node)[0]
    (node / "node/opt/2.0").rename(node / "node/opt/2.1")
    os.utime(node / "node/opt", (1_600_000_002, 1_600_000_002))
    assert "link/2.1" in names_now(node)[0]
    (place / "plain").write_text("no module any more\n")
    assert "plain" not in names_now(node)[0]


def names_now(node: Path) -> tuple[list[str], int]:
    """Return the names of the modules below /apps, and how many paths were looked at because the cache had none."""
    root = Root(str(node / "node"), False)
    answer = cache.cached(str(node / "cache"), "modules", root, [], lambda root: modulefiles.read(root, ("/apps",)))
    return list(answer.values["names"]), len(root.seen)


def test_more_paths_than_are_looked_at_are_unknown_not_cut(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        (node / f"node/opt/cuda-12.{number}/bin").mkdir(parents=True)
        (node / f"node/opt/cuda-12.{number}/bin/nvcc").touch()
        (node / f"node/opt/cuda-12.{number}/version.txt").write_text(f"CUDA Version 12.{number}\n")
    root = Root(str(node / "node"), False, Source(str(node / "node"), cuda_prefixes=("/opt/cuda-*",)))
    assert len(child.read(fact_of("toolkits"), root).values["versions"]) == 300
    monkeypatch.setattr(rootfs, "MAX_MATCHES", 256)
    answer = child.read(fact_of("toolkits"), root)
    assert (answer.values, answer.unknown) == ({}, {"": "cannot read /opt/cuda-*: more than 256 paths"})
