"""Surveys kept in the user's cache: the same answer as looking anew, for as long as nothing changes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from preflight.artifacts.gpu_code import CodeError, kept, packages, places
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


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def filled(place: Path, tmp_path: Path, looks: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a survey in the user's own cache, that says another machine than is true."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "home").mkdir()
    kept_survey(str(place))
    (file,) = (tmp_path / "home/.cache/preflight/code").iterdir()
    file.write_text(file.read_text().replace('"x86_64"', '"ppc64le"'))
    looks.clear()
    assert kept_survey(str(place)).machines == ("ppc64le",)
    assert looks == []
    return file


@as_root
@pytest.mark.parametrize(
    ("which", "owner", "mode"),
    [
        (0, 12345, 0o600), (0, 0, 0o620), (0, 0, 0o666),
        (1, 12345, 0o700), (1, 0, 0o770), (1, 0, 0o777), (1, 0, 0o1777),
        (2, 12345, 0o700), (3, 12345, 0o755), (4, 12345, 0o755),
    ],
)  # fmt: skip
def test_what_another_owns_or_may_write_is_not_believed(
    place: Path, filled: Path, looks: list[str], which: int, owner: int, mode: int
) -> None:
    """The file, code, preflight, .cache, and the home of another (sudo -E); nothing is written there either."""
    one = (filled, *filled.parents)[which]
    os.chown(one, owner, 0)
    one.chmod(mode)
    before = filled.read_bytes(), filled.stat().st_uid
    assert kept_survey(str(place)).machines == ("x86_64",)
    assert looks == [str(place)]
    assert which == 0 or (filled.read_bytes(), filled.stat().st_uid) == before


@as_root
@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_a_link_of_another_is_not_followed(
    place: Path, filled: Path, tmp_path: Path, looks: list[str], which: int
) -> None:
    """Root's file, or directory, is the end of a user's link: it is neither believed nor written to."""
    one = (filled, *filled.parents)[which]
    one.rename(tmp_path / "real")
    one.symlink_to(tmp_path / "real")
    os.lchown(one, 12345, 0)
    kept = next(found for found in (tmp_path / "real", *(tmp_path / "real").rglob("*")) if found.is_file())
    before = kept.read_bytes()
    assert kept_survey(str(place)).machines == ("x86_64",)
    assert looks == [str(place)]
    assert kept.read_bytes() == before


def test_a_cache_on_a_scratch_file_system_is_a_link_of_the_users(
    place: Path, filled: Path, tmp_path: Path, looks: list[str]
) -> None:
    home = filled.parents[3]
    (home / ".cache").rename(tmp_path / "scratch")
    (home / ".cache").symlink_to(tmp_path / "scratch")
    assert (kept_survey(str(place)).machines, looks) == (("ppc64le",), [])
    home.chmod(0o777)  # others may have put the link there
    assert (kept_survey(str(place)).machines, looks) == (("x86_64",), [str(place)])


@as_root
def test_where_the_environment_names_it_it_is_the_same(
    place: Path, tmp_path: Path, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "elsewhere/cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    for _ in range(2):
        kept_survey(str(place))
    assert looks == [str(place)]
    assert [one.stat().st_mode & 0o777 for one in (cache, cache / "preflight", cache / "preflight/code")] == [0o700] * 3
    (tmp_path / "elsewhere/cache").rename(tmp_path / "real")
    cache.symlink_to(tmp_path / "real")
    os.lchown(cache, 12345, 0)
    kept_survey(str(place))
    assert len(looks) == 2


@pytest.mark.parametrize("slow", ["stat", "lstat", "scandir"])
def test_time_is_bounded_wherever_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str) -> None:
    """Each call takes a second of a clock of its own; that of texts takes as long as that of code."""
    for number in range(100):
        (tmp_path / f"env/bin{number % 10}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"env/bin{number % 10}/{number}").write_bytes(b"#!/bin/sh\n" + bytes(99))
    wait()
    cache = str(tmp_path / "cache")
    kept_survey(str(tmp_path / "env"), None, cache)
    now, calls = [0.0], []
    real = getattr(os, slow)

    def late(path: Any, *more: Any, **named: Any) -> Any:
        if str(path).startswith(str(tmp_path / "env/")):
            now[0] += 1
            calls.append(path)
        return real(path, *more, **named)

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, slow, late)
    for into in (cache, ""):
        now[0] = 0
        calls.clear()
        if into and slow != "stat":  # what is kept is known by stat alone
            continue
        with pytest.raises(CodeError, match="takes too long"):
            kept_survey(str(tmp_path / "env"), 4.5, into)
        assert len(calls) <= 8


def test_a_record_of_installed_files_is_bounded_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "lib/python3.11/site-packages"
    install(site, "pack", "1.0", {f"pack/{number}.so": b"" for number in range(200)})
    now = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: next(now) / 10)
    found = places.tree(str(tmp_path))
    with pytest.raises(CodeError, match="takes too long"):
        packages.installed(found, 10.0)
    assert next(now) < 150


def test_a_file_and_a_wheel_are_bounded_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = library([container(image(80)) for _ in range(500)])
    (tmp_path / "x.so").write_bytes(made)
    packed = wheel(tmp_path / "pack-1-py3-none-any.whl", {f"pack/{name}.so": made for name in "abcdef"})
    for place in (tmp_path / "x.so", packed):
        now = iter(range(10**6))
        monkeypatch.setattr(time, "monotonic", lambda now=now: next(now) / 10)
        with pytest.raises(CodeError, match=f"{place}: to look into it takes too long"):
            survey(str(place), 1.0)


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
