"""Kinds of values: parsing, comparing, encoding."""

from __future__ import annotations

import pytest

from preflight.requirements.kinds import Count, Flag, Size, Version
from preflight.requirements.kinds_of_names import Name, PathName, TokenName

VERSION, KERNEL = Version(), Version(".-")


@pytest.mark.parametrize(
    ("have", "op", "asked", "expected"),
    [
        ("12.4.1", "=", "12.4", True),
        ("12.4.1", "<=", "12.4", True),
        ("12.4.1", ">", "12.4", False),
        ("12.4.1", "<", "12.4", False),
        ("12.4.1", "!=", "12.4", False),
        ("9.4", "=", "9", True),
        ("12.10", ">", "12.4", True),
        ("550.54.15", "<", "550.127.5", True),
        ("22.04", ">=", "22.04", True),
        ("22.4", "=", "22.04", True),
        ("9", ">=", "9.4", None),
        ("9", "!=", "9.4", None),
        ("9", "~=", "9.4", None),
        ("10", ">=", "9.4", True),
        ("8", ">=", "9.4", False),
        ("8", "~=", "9.4", False),
        ("12.4", "~=", "12.4", True),
        ("12.9.1", "~=", "12.4", True),
        ("12.3", "~=", "12.4", False),
        ("13.0", "~=", "12.4", False),
        ("550.54.15", "~=", "550.54.3", True),
        ("550.54.2", "~=", "550.54.3", False),
        ("550.55.9", "~=", "550.54.3", False),
        ("9.4 (Plow)", "=", "9.4", True),
        ("9.x", ">=", "9.1", None),
        ("rolling", "=", "9", None),
        ("", "=", "9", None),
        (None, "=", "9", None),
        (12.4, "=", "12.4", None),
        ("9" * 5000, "=", "9", None),
    ],
)
def test_versions(have: object, op: str, asked: str, expected: bool | None) -> None:
    assert VERSION.compare(op, VERSION.parse(asked), have) is expected


@pytest.mark.parametrize(
    ("release", "parts"),
    [
        ("5.14.0-427.el9", (5, 14, 0, 427)),
        ("5.14.0-427.13.1.el9_4.x86_64", (5, 14, 0, 427, 13, 1)),
        ("6.1.0-18-amd64", (6, 1, 0, 18)),
        ("6.8.12-tegra", (6, 8, 12)),
        ("5.15.0+", (5, 15, 0)),
    ],
)
def test_kernel_releases(release: str, parts: tuple[int, ...]) -> None:
    assert KERNEL.read(release) == parts


@pytest.mark.parametrize(
    ("base", "text", "expected"),
    [
        (1024, "80G", 80 * 2**30),
        (1000, "80G", 80 * 10**9),
        (1000, "80gb", 80 * 10**9),
        (1000, "80GiB", 80 * 2**30),
        (1024, "1.5T", 3 * 2**39),
        (1000, "0.1T", 10**11),
        (1024, "512 M", 2**29),
        (1024, "4K", 4096),
    ],
)
def test_sizes(base: int, text: str, expected: int) -> None:
    assert Size(base).parse(text) == expected


@pytest.mark.parametrize("text", ["", "80", "G", "80X", "80Gx", "-1G", ".5G", "1.G", "1e3G", "9" * 40 + "G"])
def test_mistaken_sizes(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|unit"):
        Size(1024).parse(text)


def test_an_80_gb_h100_has_80g() -> None:
    decimal, reported = Size(1000), 81559 * 2**20
    assert decimal.compare(">=", decimal.parse("80G"), reported) is True
    assert decimal.compare(">=", decimal.parse("80GiB"), reported) is False
    assert decimal.show(reported) == "85.5G"
    assert Size(1024).show(64 * 2**30) == "64G"
    assert Size(1024).show(12) == "12"


@pytest.mark.parametrize(
    ("asked", "name", "expected"),
    [
        ("h100", "NVIDIA H100 80GB HBM3", True),
        ("H100", "NVIDIA H100 80GB HBM3", True),
        ("h100 80gb", "NVIDIA H100 80GB HBM3", True),
        ("h100-80gb", "NVIDIA H100 80GB HBM3", True),
        ("80gb h100", "NVIDIA H100 80GB HBM3", False),
        ("nvidia hbm3", "NVIDIA H100 80GB HBM3", False),
        ("a100", "NVIDIA A100-SXM4-80GB", True),
        ("a100-sxm4-80gb", "NVIDIA A100-SXM4-80GB", True),
        ("a10", "NVIDIA A100-SXM4-80GB", False),
        ("a10", "NVIDIA A10", True),
        ("100", "NVIDIA H100", False),
    ],
)
def test_gpu_names_match_whole_words(asked: str, name: str, expected: bool) -> None:
    kind = TokenName()
    assert kind.compare("=", kind.parse(asked), name) is expected
    assert kind.compare("!=", kind.parse(asked), name) is not expected


def test_paths() -> None:
    path = PathName()
    assert path.compare("=", path.parse("/scratch/"), "/scratch") is True
    assert path.compare("=", path.parse("/"), "/") is True
    assert path.compare("=", path.parse("/Scratch"), "/scratch") is False
    assert path.compare("=", path.parse("/scratch"), "/scratch/a") is False
    with pytest.raises(ValueError, match="from the root"):
        path.parse("scratch")


def test_encodings() -> None:
    assert VERSION.encode("12.4") == 12_004_000
    assert VERSION.encode("550.54.15") == 550_054_015
    assert VERSION.encode("9") == 9_000_000
    assert VERSION.encode("1.5000.2") == 1_999_999
    assert VERSION.encode("rolling") is None
    assert Size(1000).encode(85520809984) == 81559
    assert Count().encode(8) == 8
    assert Count().encode("8") is None
    assert Name().encode("openEuler") == "openeuler"
    assert [Flag().encode(value) for value in (True, False, 18, None, "yes")] == [1, 0, 1, 0, None]
