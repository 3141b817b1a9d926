"""Paths asked by directory are what Root.identity says of each, whatever became of them since."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from preflight.facts import cache
from preflight.facts.answer import Answer
from preflight.facts.identities import by_directory, unchanged
from preflight.facts.rootfs import Root

OLD = (1_600_000_000, 1_600_000_000)
PATHS = (
    "/", "/apps", "/apps/gcc", "/apps/gcc/13", "/apps/gcc/14", "/apps/link", "/apps/link/13", "/apps/up/../gcc/13",
    "/away", "/away/deep", "/away/deep/er", "/top", "/apps/gcc/",
)  # fmt: skip


@pytest.fixture(params=["below", "own"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Root, str]:
    """A directory, the root that is asked and what its paths begin with: of a root below, or of this machine's."""
    (tmp_path / "apps/gcc").mkdir(parents=True)
    (tmp_path / "apps/up").mkdir()
    for name in ("apps/gcc/13", "apps/gcc/14", "top"):
        (tmp_path / name).write_text("#%Module\n")
    (tmp_path / "apps/link").symlink_to("/apps/gcc" if request.param == "below" else tmp_path / "apps/gcc")
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.utime(path, OLD, follow_symlinks=False)
    return (tmp_path, Root(str(tmp_path), False), "") if request.param == "below" else (tmp_path, Root(), str(tmp_path))


CHANGES = {
    "nothing": lambda top: None,
    "a file in place": lambda top: (top / "apps/gcc/13").write_text("#%Module\nmodule use /other\n"),
    "a file is gone": lambda top: (top / "apps/gcc/14").unlink(),
    "a directory is gone": lambda top: shutil.rmtree(top / "apps/gcc"),
    "a directory is a file": lambda top: (shutil.rmtree(top / "apps/gcc"), (top / "apps/gcc").write_text("")),
    "what was absent is there": lambda top: (top / "away/deep").mkdir(parents=True),
    "the link goes elsewhere": lambda top: ((top / "apps/link").unlink(), (top / "apps/link").symlink_to("/nowhere")),
    "a file is a link to what it was": lambda top: (
        (top / "apps/gcc/13").rename(top / "kept"),
        (top / "apps/gcc/13").symlink_to("/kept"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_by_directory_is_as_path_by_path(tree: tuple[Path, Root, str], change: str) -> None:
    top, root, prefix = tree
    before = {f"{prefix}{path}": root.identity(f"{prefix}{path}") for path in PATHS}
    stored = json.loads(json.dumps(by_directory(before)))
    assert unchanged(root, stored)
    CHANGES[change](top)
    after = {path: root.identity(path) for path in before}
    assert unchanged(root, stored) == (after == before)
    assert unchanged(root, stored) == (change == "nothing")


def test_what_is_stored_in_another_form_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("one")
    for path in (tmp_path / "x", tmp_path):
        os.utime(path, OLD)
    runs = []

    def read(root: Root) -> Answer:
        runs.append(root.read_text("/x"))
        return Answer({"x": runs[-1]})

    place = tmp_path / "run/facts-s.json"
    cache.cached(str(place.parent), "s", Root(str(tmp_path), False), [], read)
    for seen in ({"": ["x"]}, {"": None}, {"": {"x": 7}}, {"": {"x": ["a"]}}, {"": {"x": {}}}, {"/x": {"y": [1]}}):
        runs.clear()
        place.write_text(json.dumps({**json.loads(place.read_text()), "seen": seen}))
        assert cache.cached(str(place.parent), "s", Root(str(tmp_path), False), [], read).values == {"x": "one"}
        assert len(runs) == 1, seen


def test_a_cache_larger_than_is_read_back_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("one")
    for path in (tmp_path / "x", tmp_path):
        os.utime(path, OLD)
    monkeypatch.setattr(cache, "MAX_BYTES", 200)
    run = str(tmp_path / "run")
    answer = cache.cached(run, "s", Root(str(tmp_path), False), [], lambda root: Answer({"x": root.read_text("/x")}))
    assert answer.values == {"x": "one"}
    assert not os.path.exists(f"{run}/facts-s.json")
