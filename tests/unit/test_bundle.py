"""The bundle: the same modules as the files, and the files where it does not fit."""

from __future__ import annotations

import ast
import marshal
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType

import pytest

from preflight import bundle
from preflight.deploy import bundling
from preflight.deploy.copy import files_below

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


def parts(data: bytes) -> dict[str, tuple[int, int]]:
    """Return where the file's parts begin and end."""
    at = len(bundle.mark())
    head = at + bundle.HEAD
    begin = head + int.from_bytes(data[at + 24 : at + 32], "big")
    index, groups = marshal.loads(data[head:begin])
    last = len(data) - int.from_bytes(data[at + 8 : at + 16], "big")
    found = {"lengths": (at + 8, head), "index": (head, begin), "what reads it": (last, len(data))}
    named = {"module": index["preflight.hooks.run"][1], "first group": groups["preflight.hooks.run"]}
    named["second group"] = groups["preflight.hooks.prolog"]
    found.update({name: (begin + one[0], begin + one[0] + one[1]) for name, one in named.items()})
    return found


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "a hole": lambda part: bytes(len(part)),
    "one bit": lambda part: bytes([part[0] ^ 1]) + part[1:],
    "all bits": lambda part: b"\xff" * len(part),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("where", ["lengths", "index", "module", "first group", "second group", "what reads it"])
def test_a_damaged_part_costs_time_and_no_hook(lib: Path, where: str, harm: str) -> None:
    """A bad sector, a copy with holes: wrong bytes may end Python as they are unmarshalled."""
    path = lib / "preflight" / bundle.NAME
    data = path.read_bytes()
    begin, end = parts(data)[where]
    middle = end - 8 if where == "lengths" else (begin + end) // 2
    end = min(end, middle + 4096)
    path.unlink()
    path.write_bytes(data[:middle] + HARMS[harm](data[middle:end]) + data[end:])
    loader, _, _, checks, _ = shown(lib)
    assert loader == ("SourceFileLoader" if where in ("index", "module", "first group", "lengths") else "_Finder")
    assert int(checks) > 20
    command = [sys.executable, "-I", "-S", lib / "preflight/__main__.py", "hook", "prolog", "--config", f"{lib}/p.toml"]
    Path(f"{lib}/p.toml").write_text(f'version = 1\nmode = "observe"\n[report]\nspool = "{lib}/spool"\n')
    job = {"SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7", "SLURM_JOB_UID": "4242"}
    done = subprocess.run([*command, "--run-dir", f"{lib}/run"], env=job, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(f"{lib}/spool/reports/7/n1.0.prolog.json").exists()


FAILING = """
import os
real = os.pread
def fails(file, length, begin):
    if begin > 99_999:
        raise OSError(5, "Input/output error")
    return real(file, length, begin)
os.pread = fails
"""


def test_a_sector_that_cannot_be_read_costs_time_and_no_hook(lib: Path) -> None:
    """Mapped, it would end Python by SIGBUS."""
    assert (lib / "preflight" / bundle.NAME).stat().st_size > 200_000
    script = FAILING + SHOW.format(lib=str(lib))
    said = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == "SourceFileLoader"


def test_it_holds_every_module_of_its_rooms_and_none_of_the_users_side(lib: Path) -> None:
    names = {name for name, _ in bundling._modules(str(lib / "preflight"))}
    assert {"preflight", "preflight.files", "preflight.hooks.main", "preflight.facts.gpu", "preflight.checks"} <= names
    assert not [name for name in names if name.split(".")[1:2] in (["cli"], ["submit"], ["deploy"])]


def trees() -> dict[str, ast.Module]:
    package = str(Path(bundle.__file__).parent)
    return {name: ast.parse(Path(path).read_bytes()) for name, path in bundling._modules(package)}


@pytest.mark.parametrize("first", bundling.GROUPS)
def test_what_is_run_before_a_module_imports_it_in_no_way(first: str) -> None:
    """Else it would be run twice, and there would be two of each of its classes."""
    every = trees()
    group = bundling.grouped(every)[first]
    assert first in every
    assert len(group) > 2
    assert [one for one in group if first in bundling._closure([one], every)] == []
    for one in group:
        before = group[: group.index(one)]
        assert set(bundling._imports(every[one])) & set(group) <= {*before, *_packages(one)}, one


def test_each_instruction_has_its_line_and_no_annotation_is_lost_that_counts() -> None:
    for name, tree in trees().items():
        kept = compile(ast.parse(ast.unparse(tree)), name, "exec", dont_inherit=True)
        pairs = [(kept, bundling.by_line(kept))]
        for before, after in pairs:
            assert list(after.co_lines()) == list(before.co_lines()) or _by_instruction(after) == _by_instruction(
                before
            )
            inner = [(one, other) for one, other in zip(before.co_consts, after.co_consts) if isinstance(one, CodeType)]
            pairs += inner
        if sys.version_info >= (3, 11):
            assert len(pairs[0][1].co_linetable) <= len(kept.co_linetable)


def _by_instruction(code: CodeType) -> list[int | None]:
    return [line for start, end, line in code.co_lines() for _ in range(start, end, 2)]


def _packages(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:number]) for number in range(1, len(parts))}


ALL = """
import sys
sys.path.insert(0, {lib!r})
if {use}:
    from preflight.bundle import use
    use({lib!r} + "/preflight")
for name in {names!r}:
    __import__(name)
from preflight.checks.registry import every_check
from preflight.facts.registry import every_fact
LOADERS = {{"annotations", "__annotations__", "__cached__"}}
found = [(one.name, one.help, one.run.__module__) for one in every_check().values()]
found += [(one.subject, one.help, one.read.__module__) for one in every_fact().values()]
print(found)
print(sorted(
    (name, module.__file__, module.__package__, module.__spec__.name, sys.modules[name] is module,
     list(getattr(module, "__path__", [])), sorted({{*vars(module)}} - LOADERS))
    for name, module in sys.modules.items() if name.startswith("preflight.") and name != "preflight.bundle"
))
"""


def test_modules_are_the_same_from_the_bundle_and_from_their_files(lib: Path) -> None:
    """Their names, what is in them, the checks and facts with their helps."""
    found = []
    groups = bundling.grouped(trees())
    names = [*groups, *(name for group in groups.values() for name in group)]
    for use in (True, False):
        script = ALL.format(lib=str(lib), use=use, names=names)
        command = [sys.executable, "-I", "-S", "-c", script]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append(said)
    assert len(found[0]) > 50_000
    assert found[0] == found[1]


def times(lib: Path, of: Callable[[int], int]) -> None:
    """Give every file and directory another time, as an image does."""
    for path in [*lib.rglob("*"), lib]:
        at = of(path.stat().st_mtime_ns)
        os.utime(path, ns=(at, at))


# squashfs, cpio and tar; ostree (bootc); SOURCE_DATE_EPOCH; a copy that keeps no times.
IMAGES: dict[str, Callable[[int], int]] = {
    "whole seconds": lambda at: at // 10**9 * 10**9,
    "none": lambda _: 0,
    "one for all": lambda _: 1_700_000_000 * 10**9,
    "of the copy": lambda _: time.time_ns(),
}


@pytest.mark.parametrize("image", IMAGES)
def test_in_an_image_the_bundle_is_used_and_an_edited_file_counts(lib: Path, image: str) -> None:
    times(lib, IMAGES[image])
    assert shown(lib)[0] == "_Finder"
    path = lib / "preflight/hooks/run.py"
    text = path.read_text()
    path.write_text(text.replace("import", "tropmi", 1).replace("tropmi", "import", 1) + "\n")
    times(lib, IMAGES[image])
    assert shown(lib)[0] == "SourceFileLoader"
    path.write_text(text.replace("e", "a", 1))  # of the same length, in the text at its top
    times(lib, IMAGES[image])
    if image != "whole seconds":  # there the same second and the same size are the same file, as for Python itself
        assert shown(lib)[0] == "SourceFileLoader"


def test_through_squashfs_the_files_are_those_of_the_index(lib: Path, tmp_path: Path) -> None:
    """Not one has to be read for its content."""
    if shutil.which("mksquashfs") is None:
        pytest.skip("there is no mksquashfs")
    image, root = tmp_path / "image.sqsh", tmp_path / "root"
    subprocess.run(["mksquashfs", lib, image, "-quiet", "-no-progress", "-noI", "-noD", "-noF"], check=True)
    subprocess.run(["unsquashfs", "-quiet", "-no-progress", "-d", root, image], check=True)
    assert shown(root)[0] == "_Finder"
    for files in (files_below(str(lib)), files_below(str(root))):
        assert [name for name, path in files.items() if os.stat(path).st_mtime_ns % 10**9] == []


def test_a_file_that_was_edited_counts_and_one_that_is_gone_is_missed(lib: Path) -> None:
    path = lib / "preflight/hooks/run.py"
    path.write_text(path.read_text() + "\n# edited\n")
    assert shown(lib)[0] == "SourceFileLoader"
    path.unlink()
    with pytest.raises(subprocess.CalledProcessError):
        shown(lib)
