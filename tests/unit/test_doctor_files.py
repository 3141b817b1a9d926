"""`preflight doctor` on the node's side: policy, files and their modes, versions, the dry run, and its page."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from preflight.deploy import versions as manifests
from preflight.deploy.doctor import dry_run, places, versions
from preflight.deploy.doctor.mounts import file_system
from preflight.deploy.doctor.processes import run
from preflight.policy.load import parse_policy
from preflight.policy.write import to_toml
from unit.doctor_site import DoctorSite
from unit.test_doctor_slurm import only, place, script

__all__ = ["place"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a sound installation is root's")


@pytest.fixture
def sound(place: Path, package: str, plugin: Callable[[str], Path]) -> DoctorSite:
    """A sound node on 22.05."""
    return DoctorSite(place, str(Path(package).parents[1]), plugin("22.05"), "22.05")


@pytest.fixture
def lib(sound: DoctorSite) -> Iterator[Path]:
    """Its installed package; the files are links to those of other tests, so replace and do not change them."""
    return next(Path(sound.target.versions).iterdir()) / "lib"


# The policy


def test_observe_mode_and_kill_switch_are_said_loudly(sound: DoctorSite) -> None:
    sound.policy('mode = "observe"')
    assert only(sound) == ("mode", "OBSERVE MODE: everything is judged and reported, nothing is drained or moved")
    sound.policy()
    (sound.place / "off").touch()
    os.utime(sound.place / "off", (time.time() - 3 * 86400,) * 2)
    subject, text = only(sound)
    assert subject == "kill switch"
    assert "THE KILL SWITCH IS ON since 3 days" in text
    assert sound.findings()[0].fix == f"rm {sound.place}/off"


def test_a_policy_that_is_wrong_names_the_line(sound: DoctorSite) -> None:
    sound.policy('mode = "enforced"')
    found = [one for one in sound.results(hooks=True) if one.is_finding]
    assert [(one.subject, one.where) for one in found] == [("policy", f"{sound.target.config}:2")]
    assert f"preflight config check {sound.target.config}" in found[0].fix
    Path(sound.target.config).unlink()
    assert {"policy", "policy file"} <= {one.subject for one in sound.findings()}


def test_unknown_keys_and_checks_are_findings(sound: DoctorSite) -> None:
    sound.policy(more='[checks."gpu.ecc.uncorected"]\naction = "warn"\n')
    subject, text = only(sound)
    assert subject == "policy"
    assert "did you mean gpu.ecc.uncorrected?" in text
    sound.policy(more="[hok]\nx = 1\n")
    assert only(sound) == ("policy", "hok: unknown key")


def test_the_cached_policy(sound: DoctorSite) -> None:
    cached = Path(sound.target.run_dir, "policy-n1.json")

    def said() -> str:
        return next(one.text for one in sound.results() if one.subject == "policy cache")

    assert "not made yet" in said()
    run([f"{sound.target.libexec}/healthcheck"], {"SLURMD_NODENAME": "n1"}, 60)
    assert said() == "up to date"
    sound.policy('cluster = "other"')
    assert "older" in said()
    cached.write_text("{")
    assert only(sound) == ("policy cache", "it is no JSON of root's: each hook reads the policy anew")


# Files


def test_nothing_installed(sound: DoctorSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFLIGHT_CONFIG", sound.target.config)
    shutil.rmtree(sound.target.prefix)
    assert "installation" in {one.subject for one in sound.findings()}


@pytest.mark.parametrize(("mode", "said"), [(0o777, "everybody may write"), (0o775, "group 4242 may write")])
def test_a_directory_above_that_others_may_write_to(sound: DoctorSite, mode: int, said: str) -> None:
    above = Path(sound.target.prefix, "versions")
    os.chown(above, 0, 4242)
    above.chmod(mode)
    assert only(sound)[0] == "package"
    assert said in only(sound)[1]
    assert sound.findings()[0].where == str(above)
    above.chmod(0o1777)  # sticky: nobody can take what is root's away
    assert sound.findings() == []


@pytest.mark.parametrize("name", ["prolog", "epilog", "healthcheck", "taskprolog"])
def test_a_script_that_is_not_roots(sound: DoctorSite, name: str) -> None:
    os.chown(f"{sound.target.libexec}/{name}", 4242, 0)
    assert only(sound) == (
        f"libexec/{name}",
        "it belongs to uid 4242, not to root: who may write there is root on this node",
    )


def test_a_file_of_the_package_that_others_may_write_to(sound: DoctorSite, lib: Path) -> None:
    file = lib / "preflight/verdict.py"
    text = file.read_text()
    file.unlink()
    file.write_text(text)
    file.chmod(0o666)
    subject, text = only(sound)
    assert subject == "package files"
    assert text.startswith("1 files below")
    assert f"chmod -R go-w {lib}" in sound.findings()[0].fix


def test_links_are_followed_to_where_they_lead(sound: DoctorSite) -> None:
    real = sound.place / "open"
    real.mkdir()
    shutil.move(sound.target.config, real / "p.toml")
    Path(sound.target.config).symlink_to(real / "p.toml")
    assert sound.findings() == []
    real.chmod(0o777)
    assert only(sound)[0] == "policy file"
    Path(sound.target.config).unlink()
    Path(sound.target.config).symlink_to(sound.target.config)
    assert "policy file" in {one.subject for one in sound.findings()}


def test_the_spool_is_roots_alone(sound: DoctorSite) -> None:
    spool = sound.place / "spool"
    spool.chmod(0o770)
    assert only(sound)[0] == "spool"
    spool.chmod(0o755)
    (spool / "reports").mkdir(mode=0o755)
    assert "records of truth are root's alone" in only(sound)[1]
    subprocess.run(sound.findings()[0].fix, shell=True, check=True)
    assert sound.findings() == []
    shutil.rmtree(spool)
    assert only(sound) == ("spool", "it is not there: no report is kept")
    subprocess.run(sound.findings()[0].fix, shell=True, check=True)
    assert sound.findings() == []
    spool.rmdir()
    spool.touch()
    assert "no directory" in only(sound)[1]


def test_the_runtime_directory(sound: DoctorSite) -> None:
    run_dir = Path(sound.target.run_dir)
    run_dir.chmod(0o700)
    assert "users cannot pass it" in only(sound)[1]
    run_dir.chmod(0o755)
    (run_dir / "facts-os.json").write_text("{}")
    os.chown(run_dir / "facts-os.json", 4242, 0)
    assert only(sound) == ("runtime directory", "not root's: hooks do not read it")
    shutil.rmtree(run_dir)
    assert sound.findings() == []


def test_a_runtime_directory_on_a_disk_where_run_is_in_memory(
    sound: DoctorSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"/run": "tmpfs"}
    monkeypatch.setattr(places, "file_system", lambda path: kinds.get(path, "xfs"))
    subject, text = only(sound)
    assert (subject, text.partition(":")[0]) == ("runtime directory", "it is on xfs")
    kinds["/run"] = "xfs"  # a host without anything better
    assert sound.findings() == []
    kinds.update({"/run": "tmpfs", str(sound.target.run_dir): "tmpfs"})
    assert sound.findings() == []


def test_the_users_directory(sound: DoctorSite) -> None:
    shared = sound.place / "shared"
    with_dir = f'[report]\nspool = "{sound.place}/spool"\n'

    text = Path(sound.target.config).read_text()
    Path(sound.target.config).write_text(text.replace(with_dir, f'{with_dir}dir = "{shared}"\n'))
    assert only(sound)[0] == "reports for users"
    subprocess.run(sound.findings()[0].fix, shell=True, check=True)
    assert sound.findings() == []
    shared.chmod(0o777)
    assert "others could put reports" in only(sound)[1]


def test_a_users_directory_that_hangs_does_not_hold_the_doctor(
    sound: DoctorSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(sound.target.config).read_text()
    Path(sound.target.config).write_text(text.replace("[report]\n", '[report]\ndir = "/shared"\n'))
    monkeypatch.setattr(places, "SHARED_S", 0.2)

    def hang(channel: object, path: str) -> None:
        time.sleep(60)

    monkeypatch.setattr(places, "_tell", hang)
    assert "does not answer" in only(sound)[1]


def test_a_remote_file_system_is_told_by_the_mount_table(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:30 / /home rw shared:1 - nfs4 server:/home rw\n"
        "3 2 0:31 / /home/local\\040disk rw - xfs /dev/sdb rw\n4 1 0:32 / /opt rw - tmpfs none rw\n"
        "5 4 0:33 / /opt rw - lustre mds:/opt rw\nbroken\n"
    )
    for path, kind in (
        ("/usr/bin/python3", "ext4"),
        ("/home", "nfs4"),
        ("/homes", "ext4"),
        ("/home/local disk/x", "xfs"),
        ("/opt/preflight", "lustre"),
    ):
        assert file_system(path, str(table)) == kind
    assert file_system("/", str(tmp_path / "none")) == ""


def test_what_is_on_a_remote_file_system_is_a_finding_and_not_touched(
    sound: DoctorSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, subject in (
        (f"{sound.place}/spool", "spool"),
        (sound.target.run_dir, "runtime directory"),
        (sound.target.python, "interpreter"),
        (sound.target.config, "policy file"),
    ):
        monkeypatch.setattr(places, "is_remote", lambda one, path=path: "nfs4" if one == path else "")
        assert only(sound)[0] == subject
        assert "nfs4" in only(sound)[1]


def test_what_to_type_is_safe_for_odd_paths(sound: DoctorSite) -> None:
    odd = sound.place / "a b; touch x"
    text = Path(sound.target.config).read_text()
    Path(sound.target.config).write_text(text.replace(f"{sound.place}/spool", str(odd)))
    assert only(sound)[0] == "spool"
    subprocess.run(sound.findings()[0].fix, shell=True, check=True, cwd=sound.place)
    assert odd.is_dir()
    assert not (sound.place / "x").exists()


# Versions


def test_another_version_than_this_command(sound: DoctorSite, lib: Path) -> None:
    init = lib / "preflight/__init__.py"
    init.unlink()
    init.write_text('__version__ = "9.9"\n')
    subject, text = only(sound)
    assert (subject, text.split(",")[0]) == ("version", "the hooks run 9.9")


def test_a_damaged_file_of_compiled_modules(sound: DoctorSite, lib: Path) -> None:
    place = str(lib.parent)
    manifest = manifests.read(place)
    assert manifest is not None
    assert manifest.bundle
    path = lib / "preflight/modules.bundle"
    data = path.read_bytes()
    path.unlink()
    subject, text = only(sound)
    assert (subject, "modules.bundle: No such file or directory: each hook takes longer" in text) == ("version", True)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    subject, text = only(sound)
    assert (subject, "modules.bundle was changed: each hook takes longer" in text) == ("version", True)


def test_a_python_that_is_gone_or_too_old(sound: DoctorSite) -> None:
    for name in ("prolog", "epilog", "healthcheck", "taskprolog"):
        path = Path(sound.target.libexec, name)
        path.write_text(path.read_text().replace(sound.target.python, f"{sound.place}/python"))
    found = {one.subject for one in sound.findings()}
    assert found == {"interpreter", "python"}
    script(sound.place / "python", "#!/bin/sh\necho 3 8 2\necho cpython-38\n")
    assert only(sound) == ("python", "3.8.2: needs 3.9 or later")
    script(sound.place / "python", "#!/bin/sh\necho 3 99 0\necho cpython-399\n")
    assert "not compiled for Python 3.99.0" in only(sound)[1]


def test_scripts_of_two_versions(sound: DoctorSite, lib: Path) -> None:
    shutil.copytree(lib.parent, lib.parent.parent / "older", copy_function=os.link)
    path = Path(sound.target.libexec, "epilog")
    path.write_text(path.read_text().replace(str(lib.parent), str(lib.parent.parent / "older")))
    assert only(sound) == ("scripts", "they call different versions: an installation was cut off")


# The dry run


def dry(site: DoctorSite) -> dict[str, tuple[str, str]]:
    found = dry_run.look(site.host())
    return {one.subject.removeprefix("dry run "): (one.status, one.text) for one in found}


def listing(site: DoctorSite) -> list[str]:
    return sorted(str(path) for top in ("spool", "run") for path in (site.place / top).rglob("*"))


def test_each_hook_runs_and_leaves_nothing(sound: DoctorSite) -> None:
    sound.policy(more='[[expect]]\nrequire = "gpu.count=8"\n')  # a node that would be drained
    before, calls = listing(sound), sound.calls()
    found = dry(sound)
    assert list(found) == ["prolog", "taskprolog", "epilog", "healthcheck"]
    for name, (status, text) in found.items():
        assert status == ("pass" if name == "taskprolog" else "warn"), text
        assert "exit status 0" in text
        assert name == "taskprolog" or "verdict unhealthy" in text
    assert listing(sound) == before
    assert [one for one in sound.calls()[len(calls) :] if not one.startswith(("scontrol ", "sinfo -h -N -n n1"))] == []
    assert "update" not in "".join(sound.calls())


def test_a_hook_that_breaks_is_named(sound: DoctorSite, lib: Path) -> None:
    file = lib / "preflight/hooks/epilog.py"
    file.unlink()
    file.write_text("raise RuntimeError('no')\n")
    found = dry(sound)
    assert {name: status for name, (status, _) in found.items()} == {
        "prolog": "pass",
        "taskprolog": "pass",
        "epilog": "fail",
        "healthcheck": "pass",
    }
    assert "ended badly: exit status 1" in found["epilog"][1]


def test_a_user_who_cannot_run_it_is_a_finding(sound: DoctorSite) -> None:
    Path(sound.target.versions).chmod(0o700)
    assert dry(sound)["taskprolog"][0] == "fail"


def test_a_gpu_that_hung_is_neither_asked_again_nor_forgotten(sound: DoctorSite, tmp_path: Path) -> None:
    run_dir = Path(sound.target.run_dir)
    (run_dir / "stuck-nvml.json").write_text("{}")
    dry_run._fill(str(tmp_path), str(run_dir))
    assert (tmp_path / "run/stuck-nvml.json").exists()
    (tmp_path / "run/stuck-copy-n1.json").write_text("{}")
    dry_run._keep_stuck(str(tmp_path), str(run_dir))
    assert (run_dir / "stuck-copy-n1.json").exists()


def test_users_read_no_more_of_the_copies_than_of_the_files(sound: DoctorSite, tmp_path: Path) -> None:
    run_dir = Path(sound.target.run_dir)
    (run_dir / "facts-n1.json").write_text("{}")
    (run_dir / "facts-n1.json").chmod(0o600)
    os.mkfifo(run_dir / "facts-n2.json")  # no file, and reading it would not end
    (run_dir / "facts-n3.json").symlink_to("/etc/shadow")
    dry_run._fill(str(tmp_path), str(run_dir))
    assert [(one.name, one.stat().st_mode & 0o777) for one in (tmp_path / "run").iterdir()] == [
        ("facts-n1.json", 0o600)
    ]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_doctor_that_is_ended_leaves_nothing(sound: DoctorSite, lib: Path, number: int) -> None:
    file = lib / "preflight/hooks/epilog.py"
    file.unlink()
    file.write_text(f"import os, time\nos.kill(os.getppid(), {int(number)})\ntime.sleep(60)\n")
    before = listing(sound)
    with pytest.raises(SystemExit) as end:
        list(dry_run.look(sound.host()))
    assert end.value.code == 128 + number
    assert listing(sound) == before


@pytest.mark.parametrize("name", ["prolog", "package", "interpreter"])
def test_root_runs_nothing_that_another_may_change(sound: DoctorSite, lib: Path, tmp_path: Path, name: str) -> None:
    """The finding alone would come too late: looking at it must not be what runs it."""
    ran = tmp_path / "ran"
    if name == "prolog":
        os.chown(f"{sound.target.libexec}/prolog", 4242, 0)
    elif name == "package":
        file = lib / "preflight/verdict.py"
        text = file.read_text()
        file.unlink()
        file.write_text(text)
        file.chmod(0o666)
    host = sound.host()
    if name == "interpreter":
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\ntouch {ran}\n")
        python.chmod(0o755)
        os.chown(python, 4242, 0)
        host = host._replace(target=host.target._replace(python=str(python)))
    told = [*versions.look(host), *dry_run.look(host)]
    assert {one.subject: one.status for one in told if one.subject in ("python", "dry run")} == {
        "python": "skip",
        "dry run": "skip",
    }
    assert not ran.exists()


def test_the_policy_of_the_dry_run_reads_back_as_it_was(sound: DoctorSite) -> None:
    text = (
        'version = 1\nmode = "enforce"\ncluster = "a\\"b\\u00e9\\U0001f600"\n[facts]\ncuda_prefixes = ["/a", "/b*"]\n'
        "[hook]\ndeadline_s = 7.5\n"
        '[checks."gpu.ecc.uncorrected"]\nlimit = 3\naction = "drain"\n[[expect]]\nnodes = "n[1-2]"\n'
        'partitions = ["p"]\nrequire = "cuda>=12.4,gpu=\\"a b\\""\n[catalog]\nfile = ""\n'
    )
    before = parse_policy(text, "p")
    assert parse_policy(to_toml(before), "p")._replace(sha256="") == before._replace(sha256="")
    harmless = dry_run.harmless(before, "/place")
    assert (harmless.mode, harmless.check("gpu.ecc.uncorrected").mode) == ("observe", "observe")
    assert harmless.hook.slurm_bin == "/place/no-slurm"
    assert (harmless.report.dir, harmless.publish.enabled) == ("", False)


def test_a_program_that_does_not_end_is_left(tmp_path: Path) -> None:
    ended = run(["/bin/sh", "-c", "echo came; sleep 60"], {}, 0.3)
    assert (ended.status, ended.output, ended.well) == (None, "came\n", False)
    assert "not ended" in ended.why()
    assert "No such file" in run(["/no/such"], {}, 1).why()
    assert "signal 9" in run(["/bin/sh", "-c", "kill -9 $$"], {}, 5).why()


# The command


def doctor(site: DoctorSite, *arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [site.target.program, "doctor", "--node", "n1", "--role", "node", *arguments]
    return subprocess.run(command, env={"LC_ALL": "C"}, capture_output=True, text=True, check=False, user=user, cwd="/")


def test_the_page_has_80_columns_and_the_exit_code_says_it(sound: DoctorSite) -> None:
    done = doctor(sound)
    assert (done.returncode, done.stderr) == (0, "")
    assert "All is fine" in done.stdout
    sound.policy('mode = "observe"')
    (sound.place / "off").touch()
    done = doctor(sound)
    assert done.returncode == 1
    assert "2 findings" in done.stdout
    for line in done.stdout.splitlines():
        assert len(line) <= 80 or line.lstrip().startswith(("do:", "where:")) or line.startswith("Preflight on"), line
    assert f"do:    rm {sound.place}/off" in done.stdout
    end = done.stdout.partition("2 findings")[2]
    assert "OBSERVE MODE" in end
    assert "THE KILL SWITCH IS ON" in end


def test_json_has_all_of_it(sound: DoctorSite) -> None:
    (sound.place / "off").touch()
    done = doctor(sound, "--json")
    data = json.loads(done.stdout)
    assert (done.returncode, data["format"], data["node"], data["roles"]) == (1, "preflight.doctor/1", "n1", ["node"])
    assert data["counts"]["warn"] == 1
    assert data["counts"]["unknown"] == 0
    row = next(row for row in data["results"] if row["status"] == "warn")
    assert (row["subject"], row["fix"]) == ("kill switch", f"rm {sound.place}/off")


def test_as_a_user_it_says_what_it_could_not_see(sound: DoctorSite) -> None:
    done = doctor(sound, user=65534)
    assert done.returncode == 0, done.stdout
    assert "Not run as root" in done.stdout
    assert "dry run: hooks are run by root" in done.stdout


def test_usage_is_2(sound: DoctorSite) -> None:
    done = doctor(sound, "--prefix", "/no/such")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_text_from_slurm_does_not_reach_the_terminal_as_it_is(sound: DoctorSite) -> None:
    sound.set("HealthCheckNodeState", "IDLE\x1b[2J")
    done = doctor(sound)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\\x1b" in done.stdout


def test_what_was_set_aside_and_what_is_in_memory_alone_is_said(sound: DoctorSite) -> None:
    spool, run_dir = Path(sound.place, "spool"), Path(sound.target.run_dir)
    for path in (spool / "outbox/7.n1.0.prolog.json.unreadable", run_dir / "unkept/8.n1.0.prolog.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    found = {one.subject: one for one in sound.findings()}
    assert "1 files could not be read" in found["unreadable files"].text
    assert found["unreadable files"].where.endswith("outbox/7.n1.0.prolog.json.unreadable")
    assert "1 records are in memory alone" in found["records"].text


# Recovery


def test_recovery_needs_a_reboot_program_and_roots_own_commands(sound: DoctorSite) -> None:
    ticket = sound.place / "ticket"
    ticket.write_text("#!/bin/sh\n")
    ticket.chmod(0o777)
    steps = f'[recover.steps]\n"gpu.*" = ["reboot", "t"]\n[recover.commands]\nt = ["{ticket}"]\n'
    assert not any("recover" in one.subject for one in sound.results())
    sound.policy(more=steps)
    found = {one.subject: one.text for one in sound.findings()}
    assert found["slurm.conf RebootProgram"] == "there is no RebootProgram: no node is rebooted"
    assert "can be written by others" in found["recover command"]
    ticket.chmod(0o755)
    sound.set("RebootProgram", "/sbin/reboot")
    assert sound.findings() == []


def test_recovery_names_the_last_step_and_the_evidence(sound: DoctorSite) -> None:
    sound.policy(more='[recover.steps]\n"gpu.*" = ["reboot"]\n')
    sound.set("RebootProgram", "/sbin/reboot")
    place = sound.place / "spool/evidence/000003.n1.20261130T000000Z.gpu-bus"
    place.mkdir(parents=True)
    (place / "report.json").write_text("{}")
    row = {"step": "reboot", "check": "gpu.bus", "subject": "gpu0\x1b[2J", "state": "sent", "at": "T", "boot": "b"}
    record = sound.place / "spool/recover-n1.json"
    record.write_text(json.dumps({"steps": [row]}))
    said = {one.subject: one.text for one in sound.results()}
    assert said["recovery"].startswith("reboot for gpu.bus:gpu0")
    assert "\x1b" not in said["recovery"]
    assert said["recovery"].endswith("at T: made, another boot since")
    assert said["evidence"] == f"1 kept, 0.0 MiB; the latest: {place.name}"
    record.write_text("{")
    assert [one.subject for one in sound.findings()] == ["recovery"]
