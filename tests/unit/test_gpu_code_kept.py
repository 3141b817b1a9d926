"""Surveys kept in the user's cache: the same answer as looking anew, for as long as nothing changes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from preflight.artifacts.gpu_code import CodeError, kept
from preflight.artifacts.gpu_code.kept import kept_survey
from preflight.artifacts.gpu_code.read import read_bytes
from preflight.artifacts.gpu_code.survey import Survey, survey
from preflight.artifacts.gpu_code.window import File
from unit.gpu_code_samples import container, cubin, image, install, library, obj, ptx, wheel

CODE = library(
    [container(image(80), ptx(90)), container(image(80), ptx(90)), container(image(90, data=cubin(90)))],
    needed=["libcudart.so.12"],
    versions=["GLIBC_2.28", "GLIBCXX_3.4.26", "CXXABI_1.3.9"],
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An environment whose files are old enough to be kept."""
    install(tmp_path / "env/lib/python3.11/site-packages", "pack", "1.0", {"pack/a.so": CODE, "pack/b.o": obj()})
    (tmp_path / "env/pyvenv.cfg").touch()
    (tmp_path / "env/damaged.so").write_bytes(CODE[:-100])
    wait()
    return tmp_path / "env"


def wait() -> None:
    time.sleep(2 * kept._TICK_NS / 1e9)


def plain(found: Survey) -> Survey:
    """Without the offsets of containers, which are not kept."""
    packages = []
    for package in found.packages:
        libraries = []
        for one in package.libraries:
            containers = tuple(each._replace(offset=0) for each in one.code.containers)
            libraries.append(one._replace(code=one.code._replace(containers=containers)))
        packages.append(package._replace(libraries=tuple(libraries)))
    return found._replace(packages=tuple(packages))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places that were looked into and not taken from the cache."""
    found: list[str] = []

    def count(path: str, *more: Any) -> Survey:
        found.append(path)
        return survey(path, *more)

    monkeypatch.setattr(kept, "survey", count)
    return found


def test_it_is_the_same(place: Path, tmp_path: Path, looks: list[str]) -> None:
    cache = str(tmp_path / "cache")
    for where in (place, wheel(tmp_path / "pack-1-py3-none-any.whl", {"pack/a.so": CODE})):
        wait()
        looks.clear()
        first, second = (kept_survey(str(where), None, cache) for _ in range(2))
        assert looks == [str(where)]
        assert first == survey(str(where))
        assert plain(second) == plain(first)
    assert all(os.stat(f"{cache}/{one}").st_mode & 0o077 == 0 for one in os.listdir(cache))


def test_a_change_is_seen(place: Path, tmp_path: Path, looks: list[str]) -> None:
    cache, site = str(tmp_path / "cache"), place / "lib/python3.11/site-packages/pack"
    path = str(place)

    def again() -> Survey:
        wait()
        looks.clear()
        found = kept_survey(path, None, cache)
        assert plain(found) == plain(survey(path))
        assert looks == [path]
        kept_survey(path, None, cache)
        assert looks == [path]
        return found

    assert again().glibc.version == (2, 28)
    times = os.stat(site / "a.so")
    with open(site / "a.so", "r+b") as file:  # in place, of the same size, its time put back
        file.seek(CODE.index(b"GLIBC_2.28"))
        file.write(b"GLIBC_2.31")
    os.utime(site / "a.so", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert again().glibc.version == (2, 31)
    (site / "sub").mkdir()
    (site / "sub/new.so").write_bytes(library(versions=["GLIBC_2.38"]))
    assert again().glibc.version == (2, 38)
    (site / "sub/new.so").unlink()
    assert again().glibc.version == (2, 31)


def test_what_just_changed_is_not_kept(place: Path, tmp_path: Path, looks: list[str]) -> None:
    (place / "new.so").write_bytes(CODE)
    os.utime(place / "new.so", ns=(time.time_ns() + 10**10,) * 2)  # as the clock of a file server may say
    for _ in range(2):
        kept_survey(str(place), None, str(tmp_path / "cache"))
    assert len(looks) == 2


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"format": 1}', "null", "[" * 5000, "\x00"])
def test_a_damaged_cache_is_looked_past(place: Path, tmp_path: Path, text: str) -> None:
    cache = tmp_path / "cache"
    wanted = plain(kept_survey(str(place), None, str(cache)))
    (file,) = cache.iterdir()
    file.write_text(text)
    assert plain(kept_survey(str(place), None, str(cache))) == wanted


@pytest.mark.parametrize("key", ["parts", "containers", "packages", "glibc", "names", "identity", "format", "path"])
@pytest.mark.parametrize("value", [None, 3, "x", [7], [["a", [1]]]])
def test_no_damage_within_it_gets_through(place: Path, tmp_path: Path, key: str, value: Any) -> None:
    cache = tmp_path / "cache"
    wanted = plain(kept_survey(str(place), None, str(cache)))
    (file,) = cache.iterdir()
    whole = json.loads(file.read_text())
    (whole if key in whole else whole["survey"])[key] = value
    file.write_text(json.dumps(whole))
    assert plain(kept_survey(str(place), None, str(cache))) == wanted


def test_without_a_cache_it_looks_each_time(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert kept_survey(str(place), None, str(tmp_path / "file/below")) == survey(str(place))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert kept_survey(str(place), None, str(tmp_path / "another")) == survey(str(place))
    assert not (tmp_path / "another").exists()


def test_as_many_are_kept_as_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 2)
    for name in "abcd":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.so").write_bytes(CODE)
    wait()
    for name in "abcd":
        kept_survey(str(tmp_path / name), None, str(tmp_path / "cache"))
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_time_is_bounded(place: Path) -> None:
    with pytest.raises(CodeError, match="takes too long"):
        kept_survey(str(place), time.monotonic() - 1, "")


def test_a_file_that_becomes_shorter_is_damaged_and_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_bytes(CODE)
    descriptor = os.open(tmp_path / "x.so", os.O_RDONLY)
    try:
        whole = File(descriptor, len(CODE))
        assert read_bytes(whole) == read_bytes(CODE)
        assert [whole.find(one, 0, len(CODE)) for one in (CODE[-40:], b"nowhere")] == [CODE.find(CODE[-40:]), -1]
        for size in range(0, len(CODE), 97):
            os.truncate(tmp_path / "x.so", size)
            assert not read_bytes(File(descriptor, len(CODE))).complete
            (tmp_path / "x.so").write_bytes(CODE)
    finally:
        os.close(descriptor)
