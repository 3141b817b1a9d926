"""Whatever of this machine cannot be looked at, the inference says what it can of the script, and never fails."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gpu_code_samples import install, library
from infer_samples import clauses, put, read

from preflight.facts.rootfs import Root
from script_score import read as read_case

SCRIPTS = Path(__file__).parents[1] / "scripts"
_LOOKS = ("resolve", "stat", "read", "_list")


def deny(monkeypatch: pytest.MonkeyPatch, denied: Callable[[str], bool]) -> None:
    """Let a look at a path fail as in another's directory."""
    for name in _LOOKS:
        own = getattr(Root, name)

        def look(self: Root, path: str, *more: Any, own: Any = own, **named: Any) -> Any:
            if denied(path):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return own(self, path, *more, **named)

        monkeypatch.setattr(Root, name, look)


@pytest.mark.parametrize("case", sorted(SCRIPTS.glob("*/*/expect.toml")), ids=lambda path: path.parent.name)
def test_no_look_that_fails_ends_the_reading(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each path that is looked at fails alone, then all."""
    seen: dict[str, None] = {}
    denied: set[str] = set()

    def is_denied(path: str) -> bool:
        seen.setdefault(path)
        return bool(denied & {"*", path})

    deny(monkeypatch, is_denied)
    read_case(case.parent)
    for path in ("*", *list(seen)[:40]):
        denied = {path}
        read_case(case.parent)


def test_a_libstdcxx_that_cannot_be_looked_at_is_taken_as_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "/shared/env/bin/activate")
    put(tmp_path, "/shared/env/pyvenv.cfg", "home = /usr/bin\n")
    site = tmp_path / "shared/env/lib/python3.11/site-packages"
    install(site, "some", "1.0", {"some/lib.so": library([], versions=["GLIBCXX_3.4.30", "GLIBC_2.34"])})
    body = "source /shared/env/bin/activate"
    assert clauses(body, tmp_path)[1:] == ["glibc>=2.34", "glibcxx>=3.4.30"]
    deny(monkeypatch, lambda path: path.endswith("/lib/libstdc++.so.6"))
    assert clauses(body, tmp_path)[1:] == ["glibc>=2.34"]
    assert read(body, tmp_path).unread == ()
