"""Installing into a prefix: what lies where, over a running version, and away again without a dead path for slurmd."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from preflight import __version__
from preflight.cli.install import lines
from preflight.deploy import copy, install, layout
from preflight.deploy.layout import CLIENTS, HOOKS, PROGRAMS, DeployError, Target, assets, interpreter
from preflight.deploy.render import filled
from preflight.deploy.uninstall import uninstall
from preflight.deploy.versions import KEEP, only_one
from preflight.hooks.rundir import FOLDERS, KEPT
from preflight.policy.model import Policy, ReportPolicy
from unit.hook_site import JOB, Site

PYTHON = os.path.realpath(sys.executable)


class Node:
    """A prefix in a temporary directory, and one copy of the package that installations share."""

    def __init__(self, place: Path, package: str) -> None:
        self.place, self.package = place, package
        self.target = Target(str(place / "opt"), str(place / "etc/p.toml"), str(place / "run"), PYTHON)

    def policy(self) -> None:
        (self.place / "etc").mkdir(exist_ok=True)
        (self.place / "etc/p.toml").write_text(f'version = 1\n[report]\nspool = "{self.place}/spool"\n')

    def install(self) -> Path:
        return Path(install.install(self.target, plugin=False).place)

    def another(self, version: str) -> Path:
        """Install a version that differs."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(install, "__version__", version)
            return self.install()

    def script(self, name: str) -> Path:
        return Path(self.target.libexec) / name


@pytest.fixture
def node(tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> Node:
    """Copies by links: the copying itself is tested apart."""
    lib = os.path.dirname(os.path.dirname(package))

    def linked(to: str, named: str = "") -> None:
        os.makedirs(os.path.dirname(to))
        subprocess.run(["cp", "-al", lib, to], check=True)

    monkeypatch.setattr(install, "copy_package", linked)
    one = Node(tmp_path, package)
    one.policy()
    return one


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_an_installation_has_hooks_program_directories_and_nothing_half_done(node: Node) -> None:
    new = node.install()
    assert new.parent == Path(node.target.versions)
    assert new.name.startswith(f"{__version__}-")
    for name in HOOKS:
        text = node.script(name).read_text()
        assert "@" not in text.replace("$@", "")
        assert f"{PYTHON} -I -S {new}/lib/preflight/__main__.py hook " in text
        assert mode(node.script(name)) == 0o755
    assert mode(node.target.program) == 0o755
    assert mode(node.place / "spool") == 0o700
    assert mode(node.target.run_dir) == 0o755
    assert [name for name in os.listdir(node.target.versions) if name.startswith(".")] == []
    assert sorted(os.listdir(node.target.libexec)) == sorted(HOOKS)
    assert not os.path.exists(node.target.plugin)


def test_what_an_admin_copies_has_the_programs_path_and_is_taken_away_again(node: Node) -> None:
    node.install()
    lua, unit = Path(node.target.cli_filter), Path(node.target.publish_unit)
    assert f'preflight.program or "{node.target.program}"' in lua.read_text()
    assert f"\nExecStart={node.target.program} publish --jitter 60\n" in unit.read_text()
    for path in (lua, unit):
        assert "/opt/preflight/" not in path.read_text()
        assert "@" not in path.read_text()
        assert mode(path) == 0o644
    assert str(lua) in uninstall(node.target, everything=False)
    assert not (Path(node.target.prefix) / "share").exists()


def test_a_cli_filter_of_the_sites_own_is_never_in_the_lines_target(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = node.place / "slurm"
    conf.mkdir()
    (conf / "slurm.conf").touch()
    monkeypatch.setenv("SLURM_CONF", str(conf / "slurm.conf"))
    said = lines(node.target, plugin=True)
    assert f"install -m 644 {node.target.cli_filter} {conf}/cli_filter.lua\n" in said
    assert f"systemctl enable {node.target.publish_unit}" in said
    assert "CliFilterPlugins=cli_filter/lua" in said
    (conf / "cli_filter.lua").write_text("-- the site's")
    said = lines(node.target, plugin=True)
    assert f"{conf}/cli_filter.lua\n" not in said
    assert f"install -m 644 {node.target.cli_filter} {conf}/preflight_cli_filter.lua\n" in said
    assert f'dofile("{conf}/preflight_cli_filter.lua")' in said
    assert "CliFilterPlugins" not in lines(node.target, plugin=False)


def test_the_program_runs_from_anywhere_with_any_environment(node: Node) -> None:
    node.install()
    hostile = {"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere", "PATH": ""}
    done = subprocess.run([node.target.program, "--version"], env=hostile, cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout


def test_a_policy_that_is_there_stays(node: Node) -> None:
    before = Path(node.target.config).read_text()
    node.install()
    assert Path(node.target.config).read_text() == before


def test_where_there_is_none_the_annotated_policy_is_put(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(node.target.config).unlink()
    assert install._policy(node.target) == Policy()
    spool = ReportPolicy(spool=str(node.place / "%n/spool"))  # made by the node itself, whose name is in it
    monkeypatch.setattr(install, "_policy", lambda target: Policy(report=spool))
    node.install()
    assert Path(node.target.config).read_text() == Path(assets(), "site-config/preflight.toml").read_text()
    assert not (node.place / "%n").exists()


def test_a_broken_policy_stops_the_installation_before_it_begins(node: Node) -> None:
    Path(node.target.config).write_text("version = 1\nmode = 4\n")
    with pytest.raises(DeployError, match=r"p\.toml:2: mode: "):
        node.install()
    assert not os.path.exists(node.target.prefix)


def test_a_failure_leaves_the_running_version_as_it_was(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.install()
    before = {name: node.script(name).read_text() for name in HOOKS}
    versions = os.listdir(node.target.versions)

    def full(lib: str, named: str) -> None:
        os.makedirs(lib)
        raise OSError(28, "No space left on device", lib)

    monkeypatch.setattr(install, "copy_package", full)
    with pytest.raises(OSError, match="No space left"):
        node.another("9.9")
    assert os.listdir(node.target.versions) == versions
    assert {name: node.script(name).read_text() for name in HOOKS} == before


def test_a_hook_that_runs_meanwhile_goes_on_in_its_own_version(node: Node) -> None:
    first = node.install()
    script = node.script("prolog")
    go = node.place / "go"
    # A prolog under way: its shell has the script open, and reads on only after the second installation.
    script.write_text(
        script.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.05; done\n", 1)
    )
    running = subprocess.Popen([str(script)], env={**JOB, "SLURMD_NODENAME": "n1"}, stderr=subprocess.PIPE)
    opened = script.stat().st_ino
    second = node.another("9.9")
    assert second != first
    assert script.stat().st_ino != opened  # replaced by a rename, not written over
    assert str(second) in script.read_text()
    assert (first / "lib/preflight/__main__.py").exists()
    go.touch()
    _, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (0, b"")
    assert (node.place / "spool/reports/7").is_dir()  # it did its work


def test_only_the_latest_versions_are_kept(node: Node) -> None:
    Path(node.target.versions).mkdir(parents=True)
    for number in range(KEEP + 2):
        old = Path(node.target.versions) / f"0.0.{number}"
        (old / "lib/preflight").mkdir(parents=True)
        (old / "lib/preflight/__main__.py").touch()
        os.utime(old, ns=(number, number))
    new = node.install()
    left = sorted(os.listdir(node.target.versions))
    assert left == sorted([*(f"0.0.{number}" for number in range(3, KEEP + 2)), new.name])


def test_a_deleted_version_never_fails_a_job(node: Node) -> None:
    shutil.rmtree(node.install())
    for name in HOOKS:
        done = subprocess.run([str(node.script(name))], env={"SLURMD_NODENAME": "n1"}, capture_output=True, check=False)
        assert done.returncode == 0


@pytest.mark.parametrize(
    ("code", "name", "told"),
    [(code, name, 1 if (code, name) == (10, "prolog") else 0) for code in (0, 1, 2, 10, 11, 127) for name in HOOKS],
)
def test_exactly_10_of_the_prolog_is_1(node: Node, code: int, name: str, told: int) -> None:
    text = Path(assets(), "prolog", name).read_text()
    script = node.place / name
    python = node.place / "python"
    python.write_text(f"#!/bin/sh\nexit {code}\n")
    python.chmod(0o755)
    script.write_text(filled(text, node.target._replace(python=str(python)), "/x"))
    script.chmod(0o755)
    assert subprocess.run([str(script)], env={}, capture_output=True, check=False).returncode == told


def test_uninstalling_leaves_scripts_that_do_nothing_then_nothing(node: Node) -> None:
    node.install()
    other = Path(node.target.prefix, "bin", "other")
    other.write_text("another program's")
    removed = uninstall(node.target, everything=False)
    assert node.target.versions in removed
    assert other.exists()  # a prefix may be shared: /usr/local
    other.unlink()
    assert not os.path.exists(node.target.program)
    for name in HOOKS:
        done = subprocess.run([str(node.script(name))], env={}, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert uninstall(node.target, everything=False) == [os.path.dirname(node.target.program)]
    uninstall(node.target, everything=True)
    assert not os.path.exists(node.target.prefix)
    assert not os.path.exists(node.target.run_dir)
    assert os.path.exists(node.target.config)  # policy and spool stay
    assert (node.place / "spool").is_dir()


def test_what_a_killed_installation_and_killed_hooks_left_goes_too(node: Node) -> None:
    node.install()
    left = [f"{node.target.libexec}/.prolog.77", f"{node.target.program.replace('bin/', 'bin/.')}.77"]
    left += [f"{node.target.share}/.cli_filter.lua.77", f"{node.target.run_dir}/.facts-gpu.json.77"]
    left += [f"{node.target.run_dir}/expected-n1.json", f"{node.target.run_dir}/pruned-n1"]
    (Path(node.target.run_dir) / "task").mkdir()
    left += [f"{node.target.run_dir}/task/.n1.7.77", f"{node.target.run_dir}/task/n1.7"]
    for path in left:
        Path(path).touch()
    staging = Path(node.target.versions, ".new-77/lib")
    staging.mkdir(parents=True)
    removed = uninstall(node.target, everything=True)
    assert set(left) <= set(removed)
    assert removed[-2:] == [node.target.versions, node.target.prefix]  # the lock last
    assert not os.path.exists(node.target.prefix)
    assert not os.path.exists(node.target.run_dir)


def test_what_is_not_ours_stays(node: Node) -> None:
    node.install()
    others = [f"{node.target.libexec}/.prolog.swp", f"{node.target.run_dir}/other.json"]
    for path in others:
        Path(path).touch()
    uninstall(node.target, everything=True)
    assert all(os.path.exists(path) for path in others)


def test_all_that_hooks_keep_in_the_runtime_directory_is_known_to_the_uninstallation() -> None:
    source = Path(layout.__file__).parents[1]
    places = re.compile(r"\{(?:[a-z_]+\.)*_?run_dir\}/([a-z-]+)")
    texts = [path.read_text() for path in source.rglob("*.py") if path.parent.name != "deploy"]
    names = {name.strip("-") for text in texts for name in places.findall(text)}
    assert {"task", "expected", "pruned", "agent", "kept"} <= names
    unknown = {name for name in names - set(FOLDERS) if not f"{name}-".startswith(tuple(f"{one}-" for one in KEPT))}
    assert unknown == set()


def test_beside_an_installation_nothing_is_uninstalled(site: Site, node: Node) -> None:
    node.install()
    with only_one(node.target):
        done = site.run("uninstall", "--prefix", node.target.prefix, "--run-dir", node.target.run_dir, "--all")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "is under way: wait for its end" in done.stderr
    assert "Preflight was uninstalled" not in node.script("prolog").read_text()


def test_the_copy_holds_libraries_and_compiled_code_but_no_pth(package: str) -> None:
    lib = Path(package).parents[1]
    names = set(os.listdir(lib))
    assert {"preflight", "click", "jinja2", "pynvml.py"} <= names
    assert not [name for name in names if name.endswith(".pth") or name.startswith("__editable__")]
    assert list(lib.glob("preflight/hooks/__pycache__/main.*.pyc"))
    assert (lib / "preflight/report/report.schema.json").exists()
    assert not list(lib.rglob("tests/unit"))


def test_an_image_that_gives_all_files_one_time_has_compiled_libraries(package: str, tmp_path: Path) -> None:
    """ostree, bootc and reproducible images; on a read-only root Python would compile each library in each run."""
    lib = tmp_path / "lib"
    shutil.copytree(os.path.dirname(os.path.dirname(package)), lib)
    for path in lib.rglob("*.py"):
        os.utime(path, (1, 1))
    code = f"import sys; sys.path.insert(0, {str(lib)!r}); import click, pynvml, preflight.cli.main"
    done = subprocess.run([PYTHON, "-I", "-S", "-B", "-v", "-c", code], capture_output=True, text=True, check=True)
    for name in ("click/core", "pynvml", "preflight/cli/main"):
        assert f"# code object from '{lib}/{'/__pycache__/'.join(os.path.split(name)).lstrip('/')}" in done.stderr
    assert f"# code object from {lib}" not in done.stderr  # as Python tells of a source that it compiled
    (lib / "pynvml.py").write_text("edited = True\n")
    assert (
        "True"
        in subprocess.run(
            [PYTHON, "-I", "-S", "-B", "-c", f"{code}; print(pynvml.edited)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )  # and what somebody edits by hand counts


def test_what_preflight_runs_on_is_known_and_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {one.metadata["Name"].lower() for one in copy.closure()}
    assert {"slurm-preflight", "click", "jinja2", "markupsafe", "nvidia-ml-py"} <= found
    assert not {"pytest", "mypy", "ruff"} & found
    monkeypatch.setattr(copy, "DISTRIBUTION", "no-such-distribution-here")
    with pytest.raises(DeployError, match="library no-such-distribution-here is not installed"):
        copy.closure()


def test_code_that_does_not_compile_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "closure", list)
    monkeypatch.setattr(copy.compileall, "compile_dir", lambda *_, **__: False)
    with pytest.raises(DeployError, match="does not compile"):
        copy.copy_package(str(tmp_path / "lib"))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("3 8", "is Python 3.8, and 3.9 or later is needed; name another with --python"),
        ("3 10", "is Python 3.10 and has no reader for TOML: make the virtual environment with it"),
        ("no", "does not run as a Python"),
        ("3 11", ""),
    ],
)
def test_the_hooks_python_can_run_what_is_copied(
    answer: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "closure", lambda: [copy.metadata.distribution("click")])
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {answer}\n")
    python.chmod(0o755)
    said = ""
    try:
        copy.runs_by(str(python))
    except DeployError as error:
        said = str(error)
    assert (says in said) if says else not said


def test_a_python_that_the_compiled_libraries_are_not_for_is_refused(tmp_path: Path) -> None:
    major, minor = sys.version_info[:2]
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {major} {minor + 1}\n")
    python.chmod(0o755)
    says = (
        f"is Python {major}.{minor + 1}, and this Preflight's libraries are compiled for Python {major}.{minor}: take"
    )
    with pytest.raises(DeployError, match=re.escape(says)):
        copy.runs_by(str(python))
    copy.runs_by(PYTHON)


def test_the_scripts_come_from_the_package_or_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert os.path.isfile(f"{assets()}/site-config/preflight.toml")
    monkeypatch.setattr(layout, "__file__", str(tmp_path / "lib/preflight/deploy/layout.py"))
    with pytest.raises(DeployError, match="reinstall the package"):
        assets()
    inside = tmp_path / "lib/preflight/assets/prolog"
    inside.mkdir(parents=True)
    (inside / "prolog").touch()
    assert assets() == str(tmp_path / "lib/preflight/assets")


def test_the_interpreter_must_be_one_that_root_can_trust_and_users_can_run(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="not an executable"):
        interpreter(str(tmp_path / "no"))
    place = Path(os.path.realpath("/var")) / "tmp"
    holder = place / f"preflight-test-{os.getpid()}"
    holder.mkdir(mode=0o755)
    try:
        python = holder / "python"
        python.symlink_to(PYTHON)
        assert interpreter(str(python)) == str(python)
        holder.chmod(0o700)
        with pytest.raises(DeployError, match="closed to them"):
            interpreter(str(python))
        holder.chmod(0o777)
        with pytest.raises(DeployError, match="anybody may write"):
            interpreter(str(python))
    finally:
        python.unlink()
        holder.rmdir()


def test_the_command_says_what_to_add_to_slurm_conf(site: Site, node: Node) -> None:
    prefix = ["--prefix", node.target.prefix, "--run-dir", node.target.run_dir]
    done = site.run("install", *prefix, "--config", node.target.config, "--no-plugin", "--python", PYTHON)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (f"Prolog={node.target.libexec}/prolog", f"TaskProlog={node.target.libexec}/taskprolog"):
        assert line in done.stdout
    assert "PrologFlags=Alloc,DeferBatch" in done.stdout
    done = subprocess.run([node.target.program, "uninstall"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"rm -r {node.target.prefix} {node.target.run_dir}\n" in done.stdout  # the one that it is run from
    assert "sinfo -R | grep preflight:" in done.stdout
    assert "exit 0" in node.script("prolog").read_text()
    assert site.run("uninstall", *prefix, "--all").returncode == 0
    done = site.run("uninstall", *prefix)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--prefix", "/opt/a b"), "use letters, digits"),
        (("--prefix", "/opt/$(id)"), "use letters, digits"),
        (("--python", "/no/python"), "--python /no/python: not an executable file"),
        (("--bogus",), "No such option"),
    ],
)
def test_a_mistake_is_one_line_and_2(site: Site, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    safe = ("--prefix", str(tmp_path / "p"), "--config", str(tmp_path / "c"), "--run-dir", str(tmp_path / "r"))
    done = site.run("install", *safe, *arguments, "--no-plugin")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "p").exists()


def test_the_packages_scripts_know_each_script_of_the_prefix() -> None:
    """They do without Python, and so without layout.py."""
    for name in ("prerm", "postrm"):
        named = re.findall(
            r"^for \w+ in (.*); do$", Path(assets(), "site-config/packages", name).read_text(), re.MULTILINE
        )
        known = {*HOOKS, *CLIENTS.values(), *(PROGRAMS if name == "postrm" else ())}
        assert [set(one.split()) for one in named] == [known]
