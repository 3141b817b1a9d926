"""Installing again, going back, pruning, staging for an image: what changes, and that nothing else does."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from preflight.deploy import build, install, uninstall, versions
from preflight.deploy.doctor.elf import release_in
from preflight.deploy.layout import DeployError, Target, assets, interpreter
from preflight.policy.model import Policy, ReportPolicy
from unit.hook_site import Site

PYTHON = os.path.realpath(sys.executable)
builds = pytest.mark.skipif("PREFLIGHT_OLDEST" in os.environ, reason="scripts/test-oldest has none of Slurm's headers")


@pytest.fixture
def put(target: Target, monkeypatch: pytest.MonkeyPatch) -> Callable[..., install.Outcome]:
    """Install a version of that name."""

    def run(version: str = "1.0", **more: object) -> install.Outcome:
        monkeypatch.setattr(install, "__version__", version)
        return install.install(target, plugin=False, **more)  # type: ignore[arg-type]

    return run


Put = Callable[..., install.Outcome]


def tree(place: str) -> dict[str, tuple[int, int, int]]:
    """Return inode, mtime and mode of everything below a directory."""
    found = {}
    for directory, directories, names in os.walk(place):
        for name in (*directories, *names):
            info = os.lstat(f"{directory}/{name}")
            found[f"{directory}/{name}"] = (info.st_ino, info.st_mtime_ns, info.st_mode)
    return found


def runs(target: Target) -> str:
    """Return the directory whose package all scripts and the command call."""
    texts = [Path(target.program).read_text(), *(path.read_text() for path in Path(target.libexec).iterdir())]
    found = {place for place in versions.places(target) for text in texts if f"{place}/lib/" in text}
    assert all(any(f"{place}/lib/" in text for place in found) for text in texts)
    assert len(found) == 1
    return found.pop()


def test_where_nothing_is_new_nothing_is_done(target: Target, put: Put, tmp_path: Path) -> None:
    first = put()
    assert first.changed
    assert first.before == ""
    before = tree(str(tmp_path))
    again = put()
    assert again == install.Outcome(first.place, first.place, ())
    assert tree(str(tmp_path)) == before


@pytest.mark.parametrize("harm", ["edited", "gone", "mode", "link"])
def test_what_was_changed_in_the_prefix_is_put_right_and_nothing_else(target: Target, put: Put, harm: str) -> None:
    place = put().place
    path = Path(target.libexec, "epilog")
    good = path.read_bytes()
    if harm == "mode":
        path.chmod(0o777)
    else:
        path.unlink()
    if harm == "edited":
        path.write_bytes(good + b"#")
        path.chmod(0o755)
    if harm == "link":
        path.symlink_to(f"{place}/files/libexec/epilog")
    done = put()
    assert (done.place, done.changed) == (place, (str(path),))
    assert (path.read_bytes(), path.lstat().st_mode) == (good, 0o100755)


def test_a_version_that_was_damaged_is_not_taken_for_the_same(target: Target, put: Put) -> None:
    place = put().place
    module = Path(place, "lib/preflight/digits.py")
    data = module.read_bytes()
    module.unlink()  # a hard link to what other tests use
    module.write_bytes(data + b"\n")
    assert versions.fault(place) == "lib was changed"
    done = put()
    assert done.place != place
    assert versions.fault(done.place) == ""
    assert runs(target) == done.place


def test_a_version_whose_compiled_modules_were_damaged_is_not_taken_for_the_same(target: Target, put: Put) -> None:
    place = put().place
    path = Path(place, "lib/preflight/modules.bundle")
    data = path.read_bytes()
    path.unlink()  # a hard link to what other tests use
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert versions.fault(place) == "lib/preflight/modules.bundle was changed"
    done = put()
    assert (done.place != place, done.back) == (True, False)
    assert versions.fault(done.place) == ""
    with pytest.raises(DeployError, match=r"modules\.bundle was changed"):
        install.rollback(target)
    manifest = versions.read(place)
    assert manifest is not None
    versions.write(place, manifest._replace(bundle=""))  # of an earlier Preflight
    assert versions.fault(place) == ""


def test_other_paths_and_another_policys_wait_make_another_version(target: Target, put: Put) -> None:
    place = put().place
    other = install.install(target._replace(run_dir=f"{target.run_dir}2"), plugin=False)
    assert other.place != place
    assert f"--run-dir {target.run_dir}2" in Path(target.libexec, "prolog").read_text()
    assert put().place == place  # the first is kept, and chosen again
    assert runs(target) == place


def test_rollbacks_go_back_one_by_one_and_an_installation_is_the_latest_again(target: Target, put: Put) -> None:
    places = [put(version).place for version in ("1.0", "2.0", "3.0")]
    assert runs(target) == places[2]
    for back in (1, 0):
        done = install.rollback(target)
        assert (done.place, done.before) == (places[back], places[back + 1])
        assert runs(target) == places[back]
    scripts = tree(target.libexec)
    with pytest.raises(DeployError, match=r"no version that was installed before 1\.0-\S+ is kept"):
        install.rollback(target)
    assert tree(target.libexec) == scripts
    assert put("2.0").place == places[1]  # installed, so it is the latest: back from it is what was in use
    assert [os.path.basename(one)[0] for one in versions.places(target)] == ["1", "3", "2"]
    assert install.rollback(target).place == places[0]


def backwards(target: Target) -> list[str]:
    """Return the first numbers of the versions that rollbacks go through until there is none."""
    found: list[str] = []
    while len(found) < 9:
        try:
            found.append(os.path.basename(install.rollback(target).place)[0])
        except DeployError as error:
            assert "no version that was installed before" in str(error)  # noqa: PT017 - the end of the loop
            break
    assert runs(target) == versions.current(target)
    return found


def test_no_rollback_leads_to_a_version_that_was_rolled_back_from(target: Target, put: Put) -> None:
    for version in ("1.0", "2.0", "3.0"):
        put(version)
    install.rollback(target)  # 3 is broken
    fourth = put("4.0")
    assert (os.path.basename(fourth.before)[0], fourth.back) == ("2", True)
    assert backwards(target) == ["2", "1"]
    fifth = put("5.0")
    assert (os.path.basename(fifth.before)[0], fifth.back) == ("1", True)
    put("4.0")  # chosen again, by an older package
    assert backwards(target) == ["5", "1"]


def test_a_version_that_was_installed_again_is_gone_through_once(target: Target, put: Put) -> None:
    for version in ("1.0", "2.0", "3.0", "2.0"):
        put(version)
    assert backwards(target) == ["3", "1"]


def test_versions_of_an_earlier_preflight_are_gone_through_by_their_age(target: Target, put: Put) -> None:
    for version in ("1.0", "2.0", "3.0"):
        put(version)
    for place in versions.places(target):
        path = Path(place, versions.MANIFEST)
        manifest = json.loads(path.read_text())
        del manifest["before"]
        path.write_text(json.dumps(manifest))
    assert versions.history(target, versions.current(target)) == versions.places(target)[1::-1]
    assert install.rollback(target).place == versions.places(target)[1]
    put("4.0")
    assert backwards(target) == ["2", "1"]


@pytest.mark.parametrize("before", ["x", [1], {}, ["../../etc", "/etc", "", "."]])
def test_a_manifest_that_names_no_versions_leads_nowhere_else(target: Target, put: Put, before: object) -> None:
    first, second = put("1.0").place, put("2.0").place
    path = Path(second, versions.MANIFEST)
    path.write_text(json.dumps({**json.loads(path.read_text()), "before": before}))
    named = isinstance(before, list) and before != [1]
    assert versions.history(target, second) == ([] if named else [first])


def test_the_page_names_the_way_back_where_there_is_one(site: Site, target: Target, put: Put) -> None:
    options = ["--prefix", target.prefix, "--run-dir", target.run_dir, "--config", target.config]
    fresh = ["install", *options, "--no-plugin", "--python", PYTHON]
    places = [put(version).place for version in ("1.0", "2.0")]
    said = site.run(*fresh).stdout
    assert f"\nbefore    {places[1]} (back to it: preflight install --rollback)\n" in said
    latest = versions.current(target)
    said = site.run("install", "--rollback", *options).stdout
    assert said.startswith(f"installed {places[1]}\nbefore    {latest}\n")  # the next one goes to the first
    Path(places[1], "files/libexec/prolog").write_text("#!/bin/sh\nexit 1\n")
    said = site.run(*fresh).stdout
    assert f"installed {latest}\nbefore    {places[1]}\n" in said
    done = site.run("install", "--rollback", *options)
    assert done.stderr.endswith(f"files/libexec/prolog was changed (to go further back: rm -r {places[1]})\n")
    shutil.rmtree(places[1])
    assert site.run("install", "--rollback", *options).stdout.startswith(f"installed {places[0]}\n")


def test_no_rollback_to_what_is_damaged_or_from_nowhere(target: Target, put: Put) -> None:
    with pytest.raises(DeployError, match="no Preflight is installed there"):
        install.rollback(target)
    first, second = put("1.0").place, put("2.0").place
    Path(first, "files/libexec/prolog").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(DeployError, match=r"is not as it was installed: files/libexec/prolog was changed"):
        install.rollback(target)
    assert runs(target) == second
    Path(first, "manifest.json").write_text("{")
    with pytest.raises(DeployError, match="no version that was installed before"):
        install.rollback(target)
    Path(target.program).write_text("#!/bin/sh\n")
    with pytest.raises(DeployError, match="it names no version that is there"):
        install.rollback(target)


def test_a_clock_that_was_set_back_does_not_change_the_order(
    target: Target, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [put("1.0").place]
    monkeypatch.setattr(versions.time, "time_ns", lambda: 5)
    places += [put(version).place for version in ("2.0", "3.0")]
    assert versions.places(target) == places
    assert install.rollback(target).place == places[1]


def test_what_a_process_runs_is_never_pruned(target: Target, put: Put) -> None:
    first = put("1.0").place
    code = "import sys, time; print(flush=True); sys.stdin.read()"
    main = f"{first}/lib/preflight/__main__.py"  # as the agent has it in its command line
    with subprocess.Popen([PYTHON, "-c", code, main], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        removed = [place for number in range(2, 6) for place in put(f"{number}.0").removed]
        assert os.path.isfile(main)
        assert [os.path.basename(one)[0] for one in removed] == ["2"]
        running.communicate()
    assert put("6.0").removed[0] == first
    assert len(versions.places(target)) == versions.KEEP


def test_nothing_is_pruned_where_processes_cannot_be_told(
    target: Target, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "_running", lambda: None)
    for number in range(versions.KEEP + 2):
        assert put(f"{number}.0").removed == ()
    assert len(versions.places(target)) == versions.KEEP + 2


def test_a_rolled_back_version_stays_when_others_are_pruned(target: Target, put: Put) -> None:
    places = [put(f"{number}.0").place for number in range(3)]
    install.rollback(target)
    install.rollback(target)
    assert versions.current(target) == places[0]
    fourth = put("4.0")
    assert fourth.before == places[0]
    # A shell may have read the first one's script and not started its Python: no process runs it that can be seen.
    assert versions.places(target) == [*places, fourth.place]
    assert put("5.0").removed == (places[1],)
    assert backwards(target) == ["4", "0"]


def test_a_version_without_a_manifest_stays_while_it_may_be_starting(target: Target, put: Put) -> None:
    places = [put(f"{number}.0").place for number in range(3)]
    install.rollback(target)
    install.rollback(target)
    Path(places[0], versions.MANIFEST).unlink()
    os.utime(places[0], ns=(1, 1))
    fourth = put("4.0")
    assert (fourth.before, fourth.back, fourth.removed) == (places[0], False, ())
    assert put("5.0").removed == (places[0], places[1])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in a file: DISK, mounted at DISK.mnt."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4", path="/usr/sbin:/sbin") is None:
        pytest.skip("a file system is mounted by root, and made by mkfs.ext4")
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, 256 << 20)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", path], check=True)
    with mounted(path) as place:
        yield place


@contextmanager
def mounted(path: Path) -> Iterator[Path]:
    place = Path(f"{path}.mnt")
    place.mkdir()
    if subprocess.run(["mount", "-o", "loop", path, place], capture_output=True, check=False).returncode:
        pytest.skip("no loop device can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("again", [False, True])
def test_a_power_cut_after_an_installation_leaves_a_version_that_is_whole(
    disk: Path, target: Target, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """What a disk holds the moment the command has ended is what is found after a power cut."""

    def copied(to: str, named: str = "") -> None:
        shutil.copytree(Path(package).parents[1], to)

    monkeypatch.setattr(install, "copy_package", copied)
    config = f"{disk}/etc/p.toml"
    place = target._replace(prefix=f"{disk}/opt", config=config)
    monkeypatch.setattr(install, "_policy", lambda _: Policy(report=ReportPolicy(spool=f"{tmp_path}/%n")))
    if again:  # one that was killed before it put the new version to use: this one finds it whole, in memory
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(install, "_make_directories", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                install.install(place, plugin=False)
    installed = install.install(place, plugin=False).place
    cut = tmp_path / "cut"
    shutil.copyfile(tmp_path / "disk", cut)
    with mounted(cut) as after:
        there = place._replace(prefix=f"{after}/opt")
        assert versions.fault(f"{after}{installed.removeprefix(str(disk))}") == ""
        assert Path(f"{there.libexec}/prolog").read_bytes() == Path(f"{place.libexec}/prolog").read_bytes()
        assert Path(f"{after}/etc/p.toml").read_bytes() == Path(config).read_bytes() != b""


def test_a_dry_run_tells_what_would_change_and_changes_nothing(target: Target, put: Put, tmp_path: Path) -> None:
    before = tree(str(tmp_path))

    def dry(version: str = "1.0") -> tuple[str, ...]:
        now = tree(str(tmp_path))
        told = put(version, dry_run=True).changed
        assert tree(str(tmp_path)) == now
        return told

    assert f"{target.prefix}/versions" in dry()
    assert tree(str(tmp_path)) == before
    first = put("1.0").place
    assert dry() == ()
    assert dry("1.1") == (f"{target.prefix}/versions",)
    os.unlink(f"{target.libexec}/epilog")
    shutil.rmtree(target.run_dir)
    assert sorted(dry()) == sorted(put("1.0").changed) == [f"{target.libexec}/epilog", target.run_dir]
    second = put("1.1").place
    assert set(dry("1.0")) == set(put("1.0").changed) | {first}
    assert install.rollback(target, dry_run=True).place == second
    assert runs(target) == first


def test_a_file_system_that_cannot_be_written_is_named_and_nothing_is_swapped(
    target: Target, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = put("1.0").place

    class Libc:
        """syncfs as of a disk that fails."""

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def syncfs(self, _: int) -> int:
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(versions.ctypes, "CDLL", Libc)
    with pytest.raises(OSError, match="Input/output error") as failed:
        put("2.0")
    assert failed.value.filename == target.versions
    assert runs(target) == first


def test_two_installations_at_once_and_one_that_was_killed(target: Target, put: Put) -> None:
    half = Path(target.versions, f"{versions.STAGING}77/lib/preflight")
    half.mkdir(parents=True)
    (half / "__main__.py").touch()
    with versions.only_one(target):
        assert not half.exists()
        with pytest.raises(DeployError, match="is under way: wait for its end"):
            put()
        with pytest.raises(DeployError, match="is under way: wait for its end"):
            uninstall.uninstall(target, everything=True)
    assert put().changed


def test_a_lock_that_an_uninstallation_has_removed_is_none(
    target: Target, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put()
    lock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        shutil.rmtree(target.versions)
        lock(descriptor, how)

    monkeypatch.setattr(versions.fcntl, "flock", late)
    with pytest.raises(DeployError, match="is under way: wait for its end"):
        put("2.0")
    monkeypatch.undo()
    assert not os.path.exists(target.versions)


def test_a_tree_for_an_image_names_no_path_of_the_build(tmp_path: Path) -> None:
    image = tmp_path / "build-root"
    for path in ("usr/bin", "etc"):
        (image / path).mkdir(parents=True)
    (image / f"usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}").touch()
    (image / "usr/bin/python3").symlink_to(f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}")
    python = interpreter("/usr/bin/python3", str(image))
    target = Target("/opt/preflight", "/etc/preflight/preflight.toml", "/run/preflight", python, str(image))
    done = install.install(target, plugin=False)
    assert done.place.startswith(f"{image}/opt/preflight/versions/")
    assert not (image / "run").exists()
    assert (image / "etc/preflight/preflight.toml").is_file()
    assert (image / "var/spool/preflight").stat().st_mode & 0o777 == 0o700
    found = [path for path in image.rglob("*") if path.is_file() and str(tmp_path).encode() in path.read_bytes()]
    assert found == []
    checkout = str(Path(__file__).parents[2]).encode()
    assert [path for path in image.rglob("*") if path.is_file() and checkout in path.read_bytes()] == []
    assert install.install(target, plugin=False).changed == ()
    # Moved to where a node has it, it runs: the hooks' package is found by its place alone.
    main = next(image.glob("opt/preflight/versions/*/lib/preflight/__main__.py"))
    said = subprocess.run([PYTHON, "-I", "-S", main, "--version"], capture_output=True, text=True, check=True)
    assert "preflight, version" in said.stdout


def test_an_image_of_another_python_or_whose_links_lead_out_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "image"
    (image / "usr/bin").mkdir(parents=True)
    with pytest.raises(DeployError, match=r"--python /usr/bin/python3: not in "):
        interpreter("/usr/bin/python3", str(image))
    (image / "usr/bin/python3.6").touch()
    (image / "usr/bin/python3").symlink_to("python3.6")
    with pytest.raises(DeployError, match=r"Python 3\.6 in \S+, and this one is 3\."):
        interpreter("/usr/bin/python3", str(image))
    (image / "opt").symlink_to(tmp_path / "outside")
    target = Target("/opt/preflight", "/etc/preflight/p.toml", "/run/preflight", PYTHON, str(image))
    with pytest.raises(DeployError, match=r"leads to .*, out of it"):
        install.install(target, plugin=False)
    assert not (tmp_path / "outside").exists()


INSIDE = ("versions", "libexec", "bin", "lib", "lib/slurm", "share", "share/preflight")
POLICY = (
    "etc/preflight",
    "etc/preflight/preflight.toml",
    "etc/preflight/preflight.d",
    "etc/preflight/preflight.d/1.toml",
)
SPOOL = ("var/spool/preflight",)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("path", [*(f"opt/preflight/{one}" for one in INSIDE), *POLICY, *SPOOL])
def test_no_link_of_an_image_leads_out_of_it(tmp_path: Path, path: str, there: bool) -> None:
    image, outside = tmp_path / "image", tmp_path / "outside"
    (image / path).parent.mkdir(parents=True)
    outside.mkdir()
    to = outside / "it"
    if there and path.endswith(".toml"):
        to.write_text("version = 1\nmode = 4\n")  # the build host's: it is not even read
    elif there:
        to.mkdir()
    (image / path).symlink_to(to)
    before = tree(str(outside))
    target = Target("/opt/preflight", "/etc/preflight/preflight.toml", "/run/preflight", PYTHON, str(image))
    with pytest.raises(DeployError, match=rf"a link in \S+ leads to {to}\S*, out of it; name the place"):
        install.install(target, plugin=False)
    if path not in SPOOL:  # nothing of a rollback is written there
        with pytest.raises(DeployError, match=r"leads to \S+, out of it"):
            install.rollback(target)
    assert tree(str(outside)) == before


def test_links_that_stay_in_an_image_are_followed(tmp_path: Path, package: str, target: Target) -> None:
    image = tmp_path / "image"
    (image / "usr/lib/preflight").mkdir(parents=True)
    (image / "opt").mkdir()
    (image / "opt/preflight").symlink_to("../usr/lib/preflight")
    inside = Target("/opt/preflight", "/etc/preflight/preflight.toml", "/run/preflight", PYTHON, str(image))
    install.install(inside, plugin=False)
    assert (image / "usr/lib/preflight/libexec/prolog").is_file()
    assert (image / "etc/preflight/preflight.toml").stat().st_mode & 0o7777 == 0o644


def test_an_images_catalog_is_the_images(tmp_path: Path, target: Target) -> None:
    image = tmp_path / "image"
    (image / "etc/preflight").mkdir(parents=True)
    policy = f'version = 1\nmode = "observe"\n[catalog]\nfile = "{tmp_path}/site.toml"\n'
    (image / "etc/preflight/preflight.toml").write_text(policy)
    inside = Target("/opt/preflight", "/etc/preflight/preflight.toml", "/run/preflight", PYTHON, str(image))
    (tmp_path / "site.toml").write_text("[[driver]]\nno = 1\n")  # the build host's
    with pytest.raises(DeployError, match=rf"{image}{tmp_path}/site\.toml"):
        install.install(inside, plugin=False)
    (image / str(tmp_path)[1:]).mkdir(parents=True)
    (image / f"{tmp_path}/site.toml"[1:]).write_text("")
    assert install.install(inside, plugin=False).changed


@pytest.mark.parametrize("destdir", [False, True])
def test_a_policy_that_is_a_link_to_nothing_stops_the_installation(
    target: Target, tmp_path: Path, destdir: bool
) -> None:
    image = str(tmp_path / "image") if destdir else ""
    config = Path(image + target.config)
    config.parent.mkdir(parents=True, exist_ok=True)
    config.unlink(missing_ok=True)
    config.symlink_to("../cluster/preflight.toml")
    with pytest.raises(DeployError, match=r"p\.toml: a link to \.\./cluster/preflight\.toml, which is not there"):
        install.install(target._replace(destdir=image), plugin=False)
    assert not os.path.lexists(image + target.prefix)
    assert config.is_symlink()


@pytest.fixture
def slurm(target: Target, tmp_path: Path) -> Callable[..., None]:
    """Let the host have a Slurm of that release, or none; by the name of one of its programs."""
    (tmp_path / "slurm").mkdir()
    with open(target.config, "a", encoding="utf-8") as policy:
        policy.write(f'[hook]\nslurm_bin = "{tmp_path}/slurm"\n')

    def have(release: str, program: str = "scontrol") -> None:
        for one in (tmp_path / "slurm").iterdir():
            one.unlink()
        if release:
            path = tmp_path / "slurm" / program
            path.write_text(f"#!/bin/sh\n[ $1 = -V ] && echo '{release}'\n")
            path.chmod(0o755)

    return have


@pytest.mark.parametrize("program", ["scontrol", "slurmd"])
def test_a_plugin_of_another_slurm_than_the_hosts_is_refused(
    target: Target, plugin: Callable[[str], Path], slurm: Callable[..., None], program: str
) -> None:
    file = str(plugin("24.11"))
    slurm("slurm-wlm 22.05.8", program)
    with pytest.raises(DeployError, match=r"built for Slurm 24\.11\.5, which 22\.05\.8 of this host does not load"):
        install.install(target, plugin=True, plugin_file=file)
    assert not os.path.lexists(target.prefix)
    image = target._replace(destdir=f"{os.path.dirname(target.prefix)}/image")
    assert install.install(image, plugin=True, plugin_file=file).changed  # whose Slurm is not this host's
    slurm("slurm 24.11.9-1", program)  # Slurm loads a plugin of the same major and minor release
    assert install.install(target, plugin=True, plugin_file=file).changed
    slurm("what is this", program)
    assert install.install(target, plugin=True, plugin_file=file).changed == ()


@builds
def test_a_plugin_that_comes_out_for_another_slurm_is_refused(target: Target, slurm: Callable[..., None]) -> None:
    """The compiler takes what headers it finds; the Slurm that runs may be another, by hand."""
    slurm("slurm 99.05.1")
    says = r"comes out for Slurm \d\d\.\d\d\.\d+, whose headers are here, and 99\.05\.1 of this host does not load it"
    with pytest.raises(DeployError, match=says):
        install.install(target, plugin=True)
    assert not os.path.lexists(target.prefix)
    made_for = ".".join(str(part) for part in release_in(build.plugin(assets()), "it")[:2])
    slurm(f"slurm-wlm {made_for}.99", "slurmctld")
    assert install.install(target, plugin=True).changed


def test_a_plugin_is_of_the_slurm_in_the_image(
    target: Target, plugin: Callable[[str], Path], slurm: Callable[..., None], tmp_path: Path
) -> None:
    slurm("slurm-wlm 22.05.8")  # of the build host
    image = tmp_path / "image"
    directory = image / "opt/slurm-26.05/lib/slurm"
    directory.mkdir(parents=True)
    (directory / "gres_gpu.so").write_bytes(plugin("26.05").read_bytes())
    (image / "opt/slurm").symlink_to("/opt/slurm-26.05")
    inside = target._replace(destdir=str(image))
    with pytest.raises(DeployError, match=rf"built for Slurm 24\.11\.5, which 26\.05 in {image} does not load"):
        install.install(inside, plugin=True, plugin_file=str(plugin("24.11")))
    assert install.install(inside, plugin=True, plugin_file=str(plugin("26.05"))).changed


@pytest.mark.parametrize("there", [True, False])
def test_a_rollback_leaves_out_a_plugin_that_slurm_no_longer_loads(
    target: Target, site: Site, plugin: Callable[[str], Path], slurm: Callable[..., None], there: bool
) -> None:
    slurm("slurm 24.11.5")
    first = install.install(target, plugin=True, plugin_file=str(plugin("24.11")))
    slurm("slurm 26.05.1")
    install.install(target, plugin=True, plugin_file=str(plugin("26.05")))
    if not there:
        os.unlink(target.plugin)
    options = ["install", "--rollback", "--prefix", target.prefix, "--config", target.config]
    stays = "the one that is there stays" if there else "none is put there"
    note = f"that version's plugin was built for Slurm 24.11.5, and 26.05.1 of this host does not load it: {stays}"
    assert f"\nwould leave out {note}\n" in site.run(*options, "--dry-run").stdout
    done = site.run(*options)
    assert f"\nleft out  {note}\n" in done.stdout, done.stderr
    assert runs(target) == first.place
    assert os.path.exists(target.plugin) == there
    if there:
        assert Path(target.plugin).read_bytes() == plugin("26.05").read_bytes()


def test_a_package_that_comes_second_prints_its_own_lines_alone(
    target: Target, plugin: Callable[[str], Path], slurm: Callable[..., None], site: Site
) -> None:
    slurm("slurm 24.11.5")
    options = ("install", "--prefix", target.prefix, "--config", target.config, "--run-dir", target.run_dir)
    first = site.run(*options, "--python", PYTHON, "--no-plugin").stdout
    assert "\nAdd to slurm.conf, " in first
    second = ("--python", PYTHON, "--quiet", "--plugin", str(plugin("24.11")))
    said = site.run(*options, *second).stdout
    assert said.startswith("installed ")
    assert "\nAdd to plugstack.conf " in said
    assert "Add to slurm.conf, " not in said
    assert site.run(*options, *second).stdout == ""


def test_observing_first_is_advised_before_the_first_installation_alone(target: Target, site: Site) -> None:
    Path(target.config).write_text(Path(target.config).read_text().replace('"observe"', '"enforce"'))
    options = ("install", "--prefix", target.prefix, "--config", target.config, "--run-dir")
    new = ("--python", PYTHON, "--no-plugin")
    advice = 'mode      enforce (set mode = "observe" first'
    assert advice in site.run(*options, target.run_dir, *new).stdout
    for run_dir, more in ((f"{target.run_dir}2", new), (target.run_dir, ("--rollback",))):
        done = site.run(*options, run_dir, *more)
        assert done.stdout.startswith("installed "), done.stderr
        assert "\nmode      enforce\n" in done.stdout


def test_a_rollback_under_a_broken_policy_goes_back(target: Target, put: Put) -> None:
    first = put()
    install.install(target._replace(run_dir=f"{target.run_dir}2"), plugin=False)
    Path(target.config).write_text("mode = 4\n")
    assert install.rollback(target).place == first.place


def test_a_plugin_that_was_built_elsewhere(
    target: Target, plugin: Callable[[str], Path], slurm: Callable[..., None], tmp_path: Path
) -> None:
    slurm("")
    file = str(plugin("24.11"))
    first = install.install(target, plugin=True, plugin_file=file)
    assert Path(target.plugin).read_bytes() == Path(file).read_bytes()
    assert install.install(target, plugin=True, plugin_file=file).changed == ()
    other = str(plugin("26.05"))
    assert install.install(target, plugin=True, plugin_file=other).place != first.place
    assert Path(target.plugin).read_bytes() == Path(other).read_bytes()
    install.rollback(target)
    assert Path(target.plugin).read_bytes() == Path(file).read_bytes()
    wrong = tmp_path / "wrong.so"
    for data, says in (
        (b"no ELF", "not a 64-bit little-endian ELF file"),
        (Path(file).read_bytes().replace(b"preflight", b"otherwise"), "not Preflight's"),
        (Path(file).read_bytes()[:18] + b"\x02\x00" + Path(file).read_bytes()[20:], "built for another machine"),
    ):
        wrong.write_bytes(data)
        with pytest.raises(DeployError, match=says):
            install.install(target, plugin=True, plugin_file=str(wrong))
    with pytest.raises(DeployError, match="No such file"):
        install.install(target, plugin=True, plugin_file=str(tmp_path / "none.so"))


@builds
def test_the_same_compiler_makes_the_same_plugin() -> None:
    assert build.plugin(assets()) == build.plugin(assets())
    assert build.clients(assets()) == build.clients(assets())


@pytest.mark.parametrize(
    ("system", "smd", "slurm", "libc"),
    [
        ("ID=debian\n", False, "apt-get install libslurm-dev;", "apt-get install libc6-dev,"),
        ("ID=ubuntu\nID_LIKE=debian\n", True, "apt-get install slurm-smd-dev;", "apt-get install libc6-dev,"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', False, "dnf install slurm-devel;", "dnf install glibc-devel,"),
        ('ID="sles"\nID_LIKE="suse"\n', False, "zypper install slurm-devel;", "zypper install glibc-devel,"),
    ],
)
def test_what_is_missing_for_a_build_is_named_as_the_distribution_names_it(
    system: str, smd: bool, slurm: str, libc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import distro

    (tmp_path / "os-release").write_text(system)
    known = distro.LinuxDistribution(include_lsb=False, os_release_file=str(tmp_path / "os-release"))
    monkeypatch.setattr(distro, "id", known.id)
    monkeypatch.setattr(distro, "like", known.like)
    monkeypatch.setattr(build, "SMD", str(tmp_path) if smd else str(tmp_path / "none"))
    source = tmp_path / "slurm_plugin"
    source.mkdir()
    makefile = "all:\n\techo '#include <{}>' | $(CC) $(CPPFLAGS) -E - >/dev/null\n"
    for header, says in (("slurm/no_such_spank.h", slurm), ("no_such_stdlib.h", libc)):
        (source / "Makefile").write_text(makefile.format(header))
        with pytest.raises(DeployError) as failed:
            build.plugin(str(tmp_path))
        assert says in str(failed.value)
        assert "--plugin FILE.so, or --no-plugin)" in str(failed.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeployError, match=r"gcc and make are not installed here \(.* install gcc make, or --plugin"):
        build.plugin(str(tmp_path))
    assert not build.has_compiler()


def test_a_program_is_told_what_changed(site: Site, target: Target) -> None:
    options = ["--prefix", target.prefix, "--run-dir", target.run_dir, "--config", target.config, "--no-plugin"]
    options += ["--python", PYTHON, "--json", "--detailed-exitcode"]
    done = site.run("install", *options)
    first = json.loads(done.stdout)
    assert (done.returncode, done.stderr, first["changed"]) == (3, "", True)
    assert first["directory"] in first["paths_changed"]
    assert f"Prolog={target.libexec}/prolog" in first["slurm_conf"]
    done = site.run("install", *options)
    again = json.loads(done.stdout)
    assert (done.returncode, again["changed"], again["paths_changed"]) == (0, False, [])
    assert again["directory"] == first["directory"]
    said = site.run("install", *options[:-2])
    assert said.stdout.startswith(f"unchanged {first['directory']}\n")
    done = site.run("install", "--rollback", "--prefix", target.prefix, "--config", target.config)
    assert done.returncode == 2
    assert "no version that was installed before" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_units_that_lead_to_the_prefix_go_with_it_dangling_or_not(target: Target, put: Put, tmp_path: Path) -> None:
    put()
    systemd = tmp_path / "systemd"
    wants = systemd / "multi-user.target.wants"
    wants.mkdir(parents=True)
    link, wanted = systemd / "preflight-publish.service", wants / "preflight-publish.service"
    link.symlink_to(target.publish_unit)
    wanted.symlink_to(link)
    other = systemd / "other.service"
    other.symlink_to("/usr/lib/systemd/system/other.service")
    own = systemd / "preflight-own.service"
    own.write_text("[Unit]\n")
    os.unlink(target.publish_unit)  # dangling since an uninstallation that left it
    assert uninstall.disable(target, str(systemd)) == [str(wanted), str(link)]
    assert sorted(os.listdir(systemd)) == ["multi-user.target.wants", "other.service", "preflight-own.service"]
    assert os.listdir(wants) == []
    shutil.rmtree(target.prefix)
