"""`module=X` against the real Lmod and Environment Modules: what they load is what holds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from preflight.facts.modulefiles import read
from preflight.facts.rootfs import Root
from preflight.facts.view import View
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import RequirementError, parse
from preflight.requirements.modules import LMOD, MODULES, Site, resolve

CACHE = Path(os.environ.get("PREFLIGHT_MODULE_TOOLS") or "/var/cache/preflight-modules")
_TREE = """
python/3.9.18 python/3.11.5 python/3.11.10 cuda/12.4.1 cuda/11.8 gcc/13-x gcc/12.2.0 dash/1.2-gcc12 dash/1.2-gcc13
word/latest sym/1.0 sym/2.0 three/a/1.0 three/b/2.1.3 alone mix/1.2foo us/1.2_3 plus/1.2+cuda lett/13.1b2 only/v1.2.3
"""
_ASKED = """
python python/3 python/3.1 python/3.11 python/3.11.5 python/3.11.1 python/default python/latest Python cuda/1 cuda/12
cuda/12.4 cuda/12.4.1 cuda/12.4.2 cuda@12.4 cuda@12.4.1 cuda@12 cuda@11: cuda@:12 cuda@13: cuda@11.8:12 cuda@13,12.4.1
gcc/13 gcc/12 gcc/1 dash/1 dash/1.2 dash/1.2-gcc dash/1.2-gcc1 dash/1.2-gcc12 word word/latest word/default sym
sym/stable sym/1 sym/default sym/none three three/a three/a/1 three/b/2.1 three/b/latest alone alone/1.0 mix/1 mix/1.2
us/1 us/1.2 plus/1.2 plus/1 lett/13 lett/13.1 lett/1 only/v1 only/v1.2 only/v nosuch nosuch/1 cuda/latest
"""
TREE, ASKED = _TREE.split(), _ASKED.split()
DEFAULT_SET = ("sym", "sym/default", "sym/stable")  # by .modulerc, to a version that is not the highest


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("modulefiles")
    for name in TREE:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("#%Module\nsetenv LOADED 1\n")
    (place / "sym" / ".modulerc").write_text("#%Module1.0\nmodule-version sym/1.0 stable default\n")
    return place


def tools() -> list[tuple[str, str, list[str]]]:
    """Return (system, release, command) of the real ones that `scripts/setup test` unpacked."""
    found = []
    for place in sorted(CACHE.glob("*/usr/share/lmod/*/libexec/lmod")):
        if not place.parents[1].is_symlink():
            found.append((LMOD, place.parents[1].name, ["lua5.3", str(place)]))
    for place in sorted(CACHE.glob("*/usr/lib/*/modulecmd.tcl")):
        found.append((MODULES, place.parents[3].name, ["tclsh", str(place)]))
    return found


TOOLS = tools()
REAL = pytest.mark.skipif(not TOOLS or not shutil.which("lua5.3"), reason="scripts/setup test brings the real ones")


def loaded(command: list[str], tree: Path, asked: str) -> str | None:
    environment = {"PATH": "/usr/bin:/bin", "MODULEPATH": str(tree), "HOME": str(tree), "LMOD_IGNORE_CACHE": "yes"}
    done = subprocess.run(
        [*command, "bash", "load", asked], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    found = re.search(r"\bLOADEDMODULES=[\"']?([^\"';\s]*)", done.stdout)
    return found[1] or None if found else None


def site(tree: Path, system: str | None) -> Site:
    values = read(Root(str(tree.parent), live=False), (f"/{tree.name}",)).values
    return Site(frozenset(values["names"]), frozenset(values["aliases"]), system, not values["unread"])


@REAL
@pytest.mark.parametrize(("system", "release", "command"), TOOLS, ids=[f"{one[0]}-{one[1]}" for one in TOOLS])
def test_what_the_real_ones_load_is_what_holds(system: str, release: str, command: list[str], tree: Path) -> None:
    """One that Environment Modules before 5.6 refuse ("-") is told with a caveat; what neither loads never holds."""
    wrong = []
    for asked in ASKED:
        real = loaded(command, tree, asked)
        truth, found, caveat = resolve(asked, site(tree, system))
        if caveat and system == MODULES:
            continue
        if truth is not (real is not None) or (asked not in DEFAULT_SET and found != real):
            wrong.append((asked, real, truth, found))
    assert not wrong


@REAL
def test_without_knowing_the_system_nothing_is_said_that_one_of_them_contradicts(tree: Path) -> None:
    real = {asked: {loaded(command, tree, asked) is not None for _, _, command in TOOLS} for asked in ASKED}
    for asked in ASKED:
        truth, _, caveat = resolve(asked, site(tree, None))
        if caveat or "@" in asked:  # a specification is Environment Modules' own: who writes it has those
            assert True in real[asked] or not truth
        elif truth is not None:
            assert real[asked] == {truth}, asked


def status(asked: str, names: list[str], **more: object) -> str:
    return evaluate(parse(f"module={asked}"), View({"modules": {"names": names, **more}}, {}))[0].status


@pytest.mark.parametrize(
    ("asked", "names", "expected"),
    [
        ("python/3.11", ["python/3.11.5"], "pass"),
        ("python", ["python/3.11.5"], "pass"),
        ("cuda/1", ["cuda/12.4"], "fail"),
        ("cuda/12.40", ["cuda/12.4"], "fail"),
        ("python/default", ["python/3.11.5"], "pass"),
        ("python/latest", ["python/3.11.5"], "unknown"),
        ("gcc/13", ["gcc/13-x"], "warn"),
        ("cuda@12.4", ["cuda/12.4.1"], "pass"),
        ("cuda@12.5:", ["cuda/12.4.1"], "fail"),
        ("hdf5/default", [], "fail"),
    ],
)
def test_partial_and_symbolic_versions(asked: str, names: list[str], expected: str) -> None:
    assert status(asked, names) == expected


def test_the_system_settles_what_the_two_do_differently() -> None:
    assert status("python/latest", ["python/3.11.5"], system=MODULES) == "pass"
    assert status("python/latest", ["python/3.11.5"], system=LMOD) == "fail"
    assert status("gcc/13", ["gcc/13-x"], system=LMOD) == "pass"
    assert status("cuda@12.4", ["cuda/12.4.1"], system=LMOD) == "fail"
    assert status("hdf5/stable", ["hdf5/1.14"], unread=True) == "unknown"
    assert status("hdf5/stable", ["hdf5/1.14"], aliases=["hdf5/stable"]) == "pass"


@pytest.mark.parametrize(
    "text", ["module=+debug", 'module="gcc/13 +debug"', 'module="a b"', "module=~mpi", "module=@12"]
)
def test_what_is_no_module_is_refused(text: str) -> None:
    with pytest.raises(RequirementError):
        parse(text)


def test_facts_of_a_tree(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "sw/hdf5").mkdir(parents=True)
    (tmp_path / "sw/hdf5/1.14.lua").write_text("-- lua")
    (tmp_path / "sw/hdf5/.modulerc.lua").write_text(
        'module_version("hdf5/1.14", "new")\nmodule_alias("h5", "hdf5/1.14")\n'
    )
    found = read(Root(str(tmp_path), live=False), ("/sw",)).values
    names, aliases = ["hdf5/1.14"], ["h5", "hdf5/new"]
    assert found == {"names": names, "aliases": aliases, "unread": False, "behind": None, "system": "lmod"}
    (tmp_path / "sw/hdf5/.modulerc").write_text("#%Module\nforeach v {1 2} { module-version hdf5/$v s$v }\n")
    assert read(Root(str(tmp_path), live=False), ("/sw",)).values["unread"] is True


HIERARCHY = [
    'prepend_path("MODULEPATH", "/sw/Compiler/gcc/13")\n',
    "#%Module\nmodule use /sw/2024\n",
    "#%Module\nprepend-path MODULEPATH $root/gcc\n",
]


@pytest.mark.parametrize("text", HIERARCHY)
def test_a_module_that_may_stand_behind_another_is_no_misfit(text: str, tmp_path: Path) -> None:
    """As in a hierarchy: `module load gcc/13 hdf5/1.14` finds hdf5 only behind gcc."""
    (tmp_path / "sw/Core/gcc").mkdir(parents=True)
    (tmp_path / "sw/Core/gcc/13.lua").write_text(text)
    (tmp_path / "sw/Core/cuda").mkdir()
    (tmp_path / "sw/Core/cuda/12.4.lua").write_text('setenv("CUDA_HOME", "/cuda")\n')
    facts = {"modules": read(Root(str(tmp_path), live=False), ("/sw/Core",)).values}
    asked = evaluate(parse("module=cuda/12.4, module=hdf5/1.14, module!=hdf5/1.14, python>=3.12"), View(facts, {}))
    assert [one.status for one in asked] == ["pass", "unknown", "unknown", "unknown"]
    assert "gcc adds a tree of modules" in str(asked[1])
    (tmp_path / "sw/Core/gcc/13.lua").write_text('setenv("CC", "gcc")\n')
    facts = {"modules": read(Root(str(tmp_path), live=False), ("/sw/Core",)).values}
    assert evaluate(parse("module=hdf5/1.14"), View(facts, {}))[0].status == "fail"


def test_trees_that_the_nodes_own_files_name_are_read(tmp_path: Path) -> None:
    for path, text in (
        ("usr/share/modules/modulefiles/use.own", "#%Module\nmodule use $env(HOME)/privatemodules\n"),
        ("apps/a/cuda/12.4", "#%Module\n"),
        ("apps/b/hdf5/1.14", "#%Module\n"),
        ("etc/environment-modules/modulespath", "# trees\n/usr/share/modules/modulefiles\n/apps/a\n"),
        ("etc/profile.d/site.sh", "# module use /apps/old\nexport MODULEPATH=/apps/b:$MODULEPATH\n"),
        ("etc/profile.d/z00_lmod.sh", "export MODULEPATH=$(addto $MODULEPATH_ROOT)\n"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    root = Root(str(tmp_path), live=False)
    found = read(root, ()).values
    assert (found["names"], found["behind"]) == (["cuda/12.4", "hdf5/1.14", "use.own"], None)
    (tmp_path / "etc/profile.d/more.sh").write_text('module use "$SITE/modules"\n')
    behind = read(root, ()).values["behind"]
    assert behind == "/etc/profile.d/more.sh adds a tree of modules that policy [facts] module_paths does not name"
    assert read(root, ("/apps/a",)).values["behind"] is None  # what the policy names is all


def _tree(place: Path, files: dict[str, str]) -> Root:
    for path, text in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    return Root(str(place), live=False)


ADDS = "#%Module\nmodule use /sw/more\n"
PLAIN = "#%Module\nsetenv A b\n"


@pytest.mark.parametrize("order", [("/a", "/b"), ("/b", "/a")])
@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"a/gcc/13": ADDS, "b/gcc/13": PLAIN}, "gcc"),
        ({"a/gcc/13": ADDS, "b/gcc/14": PLAIN}, "gcc"),
        ({"a/StdEnv": ADDS, "b/StdEnv": PLAIN}, "StdEnv"),
        ({"a/Core/StdEnv": ADDS, "a/Core/tools": PLAIN, "b/x/1": PLAIN}, "Core/StdEnv"),
        ({"a/Core/StdEnv.lua": ADDS, "a/Core/zsh.lua": PLAIN, "b/Core/StdEnv.lua": PLAIN}, "Core/StdEnv"),
    ],
)
def test_no_module_of_the_same_name_or_directory_hides_one_that_adds_a_tree(
    files: dict[str, str], name: str, order: tuple[str, str], tmp_path: Path
) -> None:
    behind = read(_tree(tmp_path, files), order).values["behind"]
    assert behind == f"module {name} adds a tree of modules"


def test_users_own_modules_are_no_tree_wherever_their_modulefile_stands(tmp_path: Path) -> None:
    root = _tree(tmp_path, {"a/modules/use.own": ADDS, "b/gcc/13": PLAIN})
    assert read(root, ("/a", "/b")).values["behind"] is None


def test_a_modulefile_that_cannot_be_read_whole_may_add_a_tree(tmp_path: Path) -> None:
    root = _tree(tmp_path, {"a/gcc/13": PLAIN + "#" * (1 << 16), "a/cuda/12": PLAIN})
    answer = read(root, ("/a",))
    assert "/a/gcc/13" in answer.values["behind"]
    assert "it may add a tree of modules" in answer.values["behind"]
    assert answer.keep_s is not None
