"""The bundle: the same modules as the files, and the files where it does not fit."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from preflight import bundle

SHOW = """
import sys
sys.path.insert(0, {lib!r})
from preflight.bundle import use
use({lib!r} + "/preflight")
from preflight.hooks import run
from preflight.checks.registry import every_check
print(type(run.__loader__).__name__, run.__file__, run.start.__code__.co_filename, len(every_check()))
import preflight.cli.main
print(type(preflight.cli.main.__loader__).__name__)
"""


@pytest.fixture
def lib(package: str, tmp_path: Path) -> Path:
    """An installed copy of one's own to spoil."""
    shutil.copytree(Path(package).parents[1], tmp_path / "lib")
    return tmp_path / "lib"


def shown(lib: Path) -> list[str]:
    command = [sys.executable, "-I", "-S", "-c", SHOW.format(lib=str(lib))]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_a_hooks_modules_come_from_the_bundle_and_say_where_they_are(lib: Path) -> None:
    loader, file, code, checks, other = shown(lib)
    assert (loader, other) == ("_Finder", "SourceFileLoader")
    assert file == code == f"{lib}/preflight/hooks/run.py"
    assert int(checks) > 20


@pytest.mark.parametrize("spoil", ["gone", "empty", "torn", "cut", "another Python's", "not ours"])
def test_a_bundle_that_does_not_fit_is_passed_over(lib: Path, spoil: str) -> None:
    path = lib / "preflight" / bundle.NAME
    data = path.read_bytes()
    path.unlink()
    if spoil != "gone":
        spoiled = {
            "empty": b"",
            "torn": data[:200],
            "cut": data[:-1],
            "another Python's": data.replace(b"cpython", b"cpythoz", 1),
        }
        path.write_bytes(spoiled.get(spoil, b"x" * 5000))
    assert shown(lib)[0] == "SourceFileLoader"


def test_it_holds_every_module_of_its_rooms_and_none_of_the_users_side(lib: Path) -> None:
    names = {name for name, _ in bundle._modules(str(lib / "preflight"))}
    assert {"preflight", "preflight.files", "preflight.hooks.main", "preflight.facts.gpu", "preflight.checks"} <= names
    assert not [name for name in names if name.split(".")[1:2] in (["cli"], ["submit"], ["deploy"])]


def test_a_file_that_was_edited_counts_and_one_that_is_gone_is_missed(lib: Path) -> None:
    path = lib / "preflight/hooks/run.py"
    path.write_text(path.read_text() + "\n# edited\n")
    assert shown(lib)[0] == "SourceFileLoader"
    path.unlink()
    with pytest.raises(subprocess.CalledProcessError):
        shown(lib)
