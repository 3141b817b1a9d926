"""Nothing is cut without a word: more of a thing than is looked at is unknown, and what is looked at is all of it."""

from pathlib import Path

import pytest

from preflight.facts import cuda_toolkits, rootfs
from preflight.facts.rootfs import Root


def toolkits(root: Path, number: int) -> Root:
    for one in range(number):
        place = root / f"usr/local/cuda-12.{one}"
        (place / "bin").mkdir(parents=True)
        (place / "bin/nvcc").touch()
        (place / "version.json").write_text(f'{{"cuda": {{"version": "12.{one}.0"}}}}')
    return Root(str(root), live=False)


def test_of_three_hundred_toolkits_all_are_found(tmp_path: Path) -> None:
    found = cuda_toolkits.read(toolkits(tmp_path, 300))
    assert sorted(found.values["versions"]) == sorted(f"12.{one}.0" for one in range(300))
    assert len(found.values["items"]) == 300


def test_more_than_are_looked_at_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootfs, "MAX_MATCHES", 20)
    with pytest.raises(OSError, match="more than 20 paths"):
        cuda_toolkits.read(toolkits(tmp_path, 21))
