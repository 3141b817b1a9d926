"""`preflight doctor` on Slurm's side: from what three releases really print, one thing broken at a time."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from preflight.deploy.doctor.conf import _read_files, parse_shown, read_conf
from preflight.deploy.doctor.elf import ElfError, plugin_release
from preflight.slurm.commands import Slurm
from unit.doctor_site import DATA, RELEASES, DoctorSite

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a sound installation is root's")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that users can pass, as a prefix has to be."""
    made = Path(tempfile.mkdtemp(prefix="preflight-doctor-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(params=list(RELEASES))
def any_release(request: pytest.FixtureRequest, place: Path, package: str, plugin: Callable[[str], Path]) -> DoctorSite:
    """A sound node on each of the releases."""
    return DoctorSite(place, str(Path(package).parents[1]), plugin(request.param), request.param)


@pytest.fixture
def sound(place: Path, package: str, plugin: Callable[[str], Path]) -> DoctorSite:
    """A sound node on 24.11."""
    return DoctorSite(place, str(Path(package).parents[1]), plugin("24.11"), "24.11")


def only(site: DoctorSite, *roles: str) -> tuple[str, str]:
    """Return subject and text of the one finding there must be."""
    found = site.findings(*roles)
    assert len(found) == 1, found
    assert found[0].fix
    assert found[0].where
    return found[0].subject, found[0].text


def test_a_sound_node_has_no_finding_and_nothing_unknown(any_release: DoctorSite) -> None:
    results = any_release.results("node", hooks=True)
    assert [one for one in results if one.status not in ("pass", "skip")] == []
    assert {"slurm.conf Prolog", "plugin release", "cli_filter.lua", "dry run prolog"} <= {
        one.subject for one in results if one.status == "pass"
    }
    changing = [call for call in any_release.calls() if "update" in call or "scancel" in call]
    assert changing == []


def test_a_node_that_its_own_dry_run_finds_unfit_is_not_fine(sound: DoctorSite) -> None:
    sound.policy(more='[[expect]]\nrequire = "cpus>=4096"\n')
    found = {one.subject: one for one in sound.findings(hooks=True)}
    assert set(found) == {"dry run prolog", "dry run epilog", "dry run healthcheck"}
    for hook, phase in (("prolog", "prolog"), ("epilog", "epilog"), ("healthcheck", "health")):
        one = found[f"dry run {hook}"]
        assert "verdict unhealthy: this node would be drained: expectation " in one.text
        assert "cpus" in one.text.partition("expectation ")[2]
        assert (one.status, one.fix) == ("warn", f"{sound.target.program} check --phase {phase}")
    sound.policy(top='mode = "observe"', more='[[expect]]\nrequire = "cpus>=4096"\n')
    texts = {one.subject: one.text for one in sound.findings(hooks=True)}
    assert "verdict unhealthy: it is only observed: expectation " in texts["dry run prolog"]
    sound.policy(more='[[expect]]\nrequire = "module=nosuch"\n')
    texts = {one.subject: one.text for one in sound.findings(hooks=True)}
    assert "verdict unknown: what a job needs could not be told: expectation " in texts["dry run healthcheck"]


def test_nodes_that_have_not_published_by_features_are_said(
    place: Path, package: str, plugin: Callable[[str], Path]
) -> None:
    site = DoctorSite(place, str(Path(package).parents[1]), plugin("22.05"), "22.05")
    site.commands(nodes="n1 (null)\nn2 ubuntu,fast\nn2 ubuntu,fast\n")
    assert only(site) == ("published", "0 of 2 nodes have published: no job is placed by --require")
    site.commands(nodes="n1 (null)\nn2 ubuntu,os_ubuntu_22.04\n")
    assert only(site) == ("published", "this node has not (1 of 2 nodes have): no job with --require is placed on it")
    (found,) = site.findings("login")
    assert found.text == "1 of 2 nodes have published by Features: no job with --require is placed on the others"
    assert " publish on n1, or " in found.fix
    site.filter()
    (site.slurm / "cli_filter.lua").unlink()
    site.set("CliFilterPlugins", "(null)")
    assert site.findings() == []  # nobody asks for features
    site.policy(publish="[publish]\nenabled = true\n")
    site.commands(nodes="n1 (null)\nn2 (null)\n")
    assert "or wait for the next health check" in site.findings()[0].fix


def test_what_was_published_before_a_change_of_the_way_is_said(
    place: Path, package: str, plugin: Callable[[str], Path]
) -> None:
    site = DoctorSite(place, str(Path(package).parents[1]), plugin("22.05"), "22.05")
    site.commands(extras='n1 {"cuda_runs":12004000}\nn2 {"os":"mine"}\n')
    text = "1 nodes still have what they published by Extra; what counts here is Features"
    assert only(site) == ("published before", text)


def test_nodes_that_have_not_published_by_extra_are_said(
    place: Path, package: str, plugin: Callable[[str], Path]
) -> None:
    site = DoctorSite(place, str(Path(package).parents[1]), plugin("24.11"), "24.11")
    assert site.findings() == []
    site.commands(extras='n1 {"cuda_runs":12004000}\nn2 {}\n')
    text = "1 of 2 nodes have published by Extra: no job with --require is placed on the others"
    assert only(site) == ("published", text)


BREAKS = {
    "PrologFlags": ("Alloc", "slurm.conf PrologFlags", "lacks DeferBatch"),
    "HealthCheckInterval": ("0 sec", "slurm.conf HealthCheckInterval", "never runs"),
    "HealthCheckNodeState": ("IDLE", "slurm.conf HealthCheckNodeState", "other states"),
    "BatchStartTimeout": ("8 sec", "slurm.conf BatchStartTimeout", "BatchStartTimeout is 8 s"),
    "PrologEpilogTimeout": ("5", "slurm.conf PrologEpilogTimeout", "is 5 s"),
    "PrologTimeout": ("7", "slurm.conf PrologTimeout", "is 7 s"),
    "EpilogTimeout": ("7 sec", "slurm.conf EpilogTimeout", "is 7 s"),
    "HealthCheckTimeout": ("3 sec", "slurm.conf HealthCheckTimeout", "is 3 s"),
    "Prolog": ("", "slurm.conf Prolog", "Prolog is not set"),
    "Epilog": ("(null)", "slurm.conf Epilog", "Epilog is not set"),
    "HealthCheckProgram": ("(null)", "slurm.conf HealthCheckProgram", "HealthCheckProgram is not set"),
    "TaskProlog": ("(null)", "slurm.conf TaskProlog", "TaskProlog is not set"),
    "CliFilterPlugins": ("(null)", "cli_filter.lua", "it is not run"),
}


@pytest.mark.parametrize("key", BREAKS)
def test_one_key_of_slurm_conf_broken_is_that_finding(any_release: DoctorSite, key: str) -> None:
    value, subject, text = BREAKS[key]
    any_release.set(key, value)
    assert only(any_release)[0] == subject
    assert text in only(any_release)[1]


@pytest.mark.parametrize(
    ("value", "states", "version", "text"),
    [
        ("0", "ANY", "22.05.8", ""),
        ("0", "ANY,CYCLE", "24.11.5", ""),
        ("1", "ANY", "26.05.5", ""),
        ("2", "IDLE", "24.11.5", ""),
        ("0", "IDLE,ALLOC", "26.05.5", "so nothing resumes it"),
        ("1", "ANY", "24.11.5", "keeps a resumed node's reason"),
    ],
)
def test_what_a_reboot_leaves_under_return_to_service(
    sound: DoctorSite, value: str, states: str, version: str, text: str
) -> None:
    keys = {"ReturnToService": value, "HealthCheckNodeState": states, "SLURM_VERSION": version}
    for key, word in keys.items():
        sound.set(key, word)
    said = [one for one in sound.findings() if one.subject == "slurm.conf ReturnToService"]
    assert [text in one.text for one in said] == ([True] if text else [])
    assert all("ReturnToService=2" in one.fix for one in said)


def test_no_limit_is_no_finding(any_release: DoctorSite) -> None:
    for value in ("65534", "INFINITE", "0"):
        any_release.set("PrologEpilogTimeout", value)
        assert any_release.findings() == []


def test_the_line_to_write_keeps_the_sites_own_words(sound: DoctorSite) -> None:
    sound.set("PrologFlags", "X11,Contain")
    sound.set("SchedulerParameters", "bf_interval=30,extra_constraints")
    fixes = {one.subject: one.fix for one in sound.findings()}
    assert (
        f"PrologFlags=Alloc,DeferBatch,X11,Contain into {sound.slurm}/slurm.conf, then: scontrol reconfigure"
        in fixes["slurm.conf PrologFlags"]
    )
    line = "SchedulerParameters=bf_interval=30,extra_constraints,nohold_on_prolog_fail into"
    assert line in fixes["slurm.conf nohold_on_prolog_fail"]
    assert len(fixes) == 2


# The hooks' paths


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def status(site: DoctorSite, subject: str) -> str:
    found = [one for one in site.results() if one.subject == subject]
    assert len(found) == 1
    return found[0].status


def test_a_wrapper_that_calls_ours_is_recognised(any_release: DoctorSite) -> None:
    site, ours = any_release, f"{any_release.target.libexec}/prolog"
    wrapper = script(site.place / "wrapper", f"#!/bin/sh\n/site/first || exit 1\nexec {ours}\n")
    site.set("Prolog", str(wrapper))
    assert status(site, "slurm.conf Prolog") == "pass"
    script(wrapper, f"#!/bin/sh\n# {ours} was here once\nexit 0\n")
    assert status(site, "slurm.conf Prolog") == "unknown"
    assert site.findings() == []


def test_a_directory_of_links_is_seen_through(sound: DoctorSite) -> None:
    parts = sound.place / "prolog.d"
    parts.mkdir()
    (parts / "50-preflight").symlink_to(f"{sound.target.libexec}/prolog")
    script(parts / "10-site", "#!/bin/sh\nexit 0\n")
    for value in (
        str(parts / "*"),
        str(script(sound.place / "w", f"#!/bin/sh\nfor one in {parts}/*; do $one; done\n")),
    ):
        sound.set("Prolog", value)
        assert status(sound, "slurm.conf Prolog") == "pass"
    (parts / "README").touch()
    sound.set("Prolog", str(parts / "*"))
    assert "a file that cannot be run" in only(sound)[1]
    assert sound.findings()[0].where == f"{parts}/README"
    (parts / "README").unlink()
    (parts / "50-preflight").unlink()
    assert status(sound, "slurm.conf Prolog") == "unknown"


def test_several_lines_count_where_slurm_takes_them(sound: DoctorSite) -> None:
    other = script(sound.place / "other", "#!/bin/sh\nexit 0\n")
    sound.config += f"\nProlog[1] = {other}"
    sound.commands()
    assert status(sound, "slurm.conf Prolog") == "pass"


def test_a_script_that_is_not_there_drains_the_node(sound: DoctorSite) -> None:
    sound.set("Epilog", "/no/such/epilog")
    assert "is not on this node" in only(sound)[1]
    sound.set("Epilog", f"{sound.place}/none.d/*")
    assert "is not on this node" in only(sound)[1]


def test_what_uninstall_leaves_is_said(sound: DoctorSite) -> None:
    script(Path(sound.target.libexec, "prolog"), "#!/bin/sh\n# Preflight was uninstalled.\nexit 0\n")
    found = {one.subject: one for one in sound.findings()}
    assert set(found) == {"slurm.conf Prolog", "scripts"}
    assert "does nothing" in found["slurm.conf Prolog"].text


# plugstack.conf and the plugin


@pytest.mark.parametrize(
    ("line", "subject", "text"),
    [
        ("", "plugstack.conf", "no line for preflight.so"),
        ("# {line}", "plugstack.conf", "no line for preflight.so"),
        ("optional /no/preflight.so preflight={program}", "plugstack.conf", "/no/preflight.so is not there"),
        ("required {plugin} preflight={program}", "plugstack.conf", "every job fails"),
        ("optional {plugin}", "plugstack.conf preflight=", "is missing"),
        ("optional {plugin} preflight=/no/program", "plugstack.conf preflight=", "is not a program here"),
        ("optional {plugin} program={program}", "plugstack.conf preflight=", "is no argument"),
    ],
)
def test_one_thing_wrong_in_plugstack_conf(sound: DoctorSite, line: str, subject: str, text: str) -> None:
    values = {"line": sound.line, "plugin": sound.target.plugin, "program": sound.target.program}
    (sound.slurm / "plugstack.conf").write_text(line.format(**values) + "\n")
    found = only(sound)
    assert found[0] == subject
    assert text in found[1]


def test_a_line_that_is_included_counts(sound: DoctorSite) -> None:
    (sound.slurm / "plugstack.conf.d").mkdir()
    (sound.slurm / "plugstack.conf.d/preflight.conf").write_text(f"\n{sound.line}")
    (sound.slurm / "plugstack.conf").write_text("include plugstack.conf.d/*.conf\n")
    assert sound.findings() == []
    row = next(one for one in sound.results() if one.subject == "plugstack.conf")
    assert row.where == f"{sound.slurm}/plugstack.conf.d/preflight.conf:2"


def test_slurm_conf_includes_a_name_as_it_is_written(tmp_path: Path) -> None:
    """No release expands * there (but in plugstack.conf); %c is the cluster's name."""
    (tmp_path / "d").mkdir()
    for name in ("a", "lab"):
        (tmp_path / f"d/{name}.conf").write_text(f"Epilog=/{name}\n")
    (tmp_path / "slurm.conf").write_text("Include d/%c.conf\nInclude d/*.conf\nClusterName=lab\n")
    settings, files, problem = _read_files(str(tmp_path / "slurm.conf"))
    assert settings == [("Epilog", "/lab"), ("ClusterName", "lab")]
    assert files == (f"{tmp_path}/slurm.conf", f"{tmp_path}/d/lab.conf")
    assert problem == f"{tmp_path}/d/*.conf: No such file or directory"
    (tmp_path / "d/*.conf").write_text("Prolog=/p\n")
    assert ("Prolog", "/p") in _read_files(str(tmp_path / "slurm.conf"))[0]


def test_a_plugin_for_another_release_is_refused_by_slurm(sound: DoctorSite, plugin: Callable[[str], Path]) -> None:
    shutil.copy(plugin("22.05"), sound.target.plugin)
    subject, text = only(sound)
    assert subject == "plugin release"
    assert "built for Slurm 22.05.8, this host has 24.11.5" in text
    sound.commands(version="22.05.2")  # the micro release does not matter to Slurm
    assert {one.subject for one in sound.findings()} == {"slurm.conf extra_constraints"}


def test_a_file_that_is_no_plugin(sound: DoctorSite, tmp_path: Path) -> None:
    whole = Path(sound.target.plugin).read_bytes()
    for data, text in (
        (b"", "not a 64-bit"),
        (b"\x7fELF\x02\x01" + b"\0" * 40, "cut short"),
        (whole[:9000], "cut short"),
    ):
        (tmp_path / "p.so").write_bytes(data)
        with pytest.raises(ElfError, match=text):
            plugin_release(str(tmp_path / "p.so"))
    with pytest.raises(ElfError, match="no symbol plugin_version"):
        plugin_release("/bin/true")
    Path(sound.target.plugin).write_bytes(b"text")
    assert only(sound)[0] == "plugin release"


# Placement


def test_cli_filter_that_is_named_must_be_there(sound: DoctorSite) -> None:
    (sound.slurm / "cli_filter.lua").unlink()
    assert "sbatch fails" in only(sound)[1]
    sound.filter()
    (sound.slurm / "preflight_cli_filter.lua").unlink()
    assert "which is not there" in only(sound)[1]


def test_cli_filter_must_ask_for_what_nodes_publish(any_release: DoctorSite) -> None:
    any_release.filter(to="constraint" if any_release.extra else "extra")
    subject, text = only(any_release)
    assert subject == "cli_filter.lua"
    assert "it has to be" in text
    any_release.filter(program="/no/preflight")
    assert "/no/preflight is not there" in only(any_release)[1]


def test_a_filter_of_the_sites_own_is_unknown_not_wrong(sound: DoctorSite) -> None:
    (sound.slurm / "cli_filter.lua").write_text("function slurm_cli_pre_submit(o, p) return slurm.SUCCESS end\n")
    assert sound.findings() == []
    assert status(sound, "cli_filter.lua") == "unknown"


def test_extra_constraints_without_publishing(sound: DoctorSite) -> None:
    sound.policy(publish="[publish]\nenabled = false\n")
    subject, text = only(sound)
    assert subject == "slurm.conf extra_constraints"
    assert "a node without Extra" in text


def test_publishing_extra_without_extra_constraints(sound: DoctorSite) -> None:
    sound.set("SchedulerParameters", "nohold_on_prolog_fail")
    sound.policy(publish='[publish]\nenabled = true\nvia = "extra"\n')
    sound.filter(to="constraint")
    subject, text = only(sound)
    assert subject == "slurm.conf extra_constraints"
    assert "lacks extra_constraints" in text


def test_free_form_extra_is_counted_on_the_controller(sound: DoctorSite) -> None:
    jobs = '{"jobs": [{"extra": "os=ubuntu&cuda>=12", "name": "\\"extra\\": \\"x\\""}, {"extra": ""}]}'
    sound.commands(queue=jobs)
    assert sound.findings("node", "controller") == []
    sound.commands(queue=jobs.replace("os=ubuntu&cuda>=12", "ticket 4711"))
    subject, text = only(sound, "node", "controller")
    assert subject == "free-form --extra"
    assert "ticket 4711" in text
    assert sound.findings("node") == []


# Where nobody answers, and other hosts


def test_with_the_controller_down_the_file_is_read(sound: DoctorSite) -> None:
    keys = ("Prolog", "Epilog", "HealthCheckProgram", "TaskProlog")
    names = ("prolog", "epilog", "healthcheck", "taskprolog")
    hooks = "".join(f"{key}={sound.target.libexec}/{name}\n" for key, name in zip(keys, names))
    (sound.slurm / "hooks.conf").write_text(
        f"{hooks}PROLOGFLAGS=alloc, \\\n DeferBatch # both\nHealthCheckInterval=300\n"
    )
    (sound.slurm / "slurm.conf").write_text(
        "Include hooks.conf\nSchedulerParameters=nohold_on_prolog_fail,extra_constraints\n"
        "CliFilterPlugins=cli_filter/lua\nNodeName=n[1-2] CPUs=4\n"
    )
    sound.commands(up=False)
    assert sound.findings() == []
    row = next(one for one in sound.results() if one.subject == "slurm.conf")
    assert (row.status, row.where) == ("unknown", f"{sound.slurm}/slurm.conf")
    assert "slurmctld does not answer" in row.text
    (sound.slurm / "hooks.conf").write_text(hooks + "PrologFlags=Alloc,DeferBatch\n")
    assert only(sound)[0] == "slurm.conf HealthCheckInterval"


def test_without_slurm_and_file_it_is_unknown(tmp_path: Path) -> None:
    conf = read_conf(Slurm(str(tmp_path), "", 0.0), "")
    assert (conf.known, conf.asked) == (False, False)
    assert "scontrol not found" in conf.problem


def test_what_the_host_is_is_found_out(sound: DoctorSite, monkeypatch: pytest.MonkeyPatch) -> None:
    from preflight.deploy.doctor.host import gather

    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    assert gather("n1", sound.target.prefix).roles == {"node"}
    assert gather("login1", sound.target.prefix).roles == {"login"}
    sound.commands(up=False)
    assert gather("n2", sound.target.prefix).roles == {"node"}
    assert gather("n3", sound.target.prefix).roles == {"login"}
    sound.set("SlurmctldHost", f"{os.uname().nodename.split('.')[0]}(127.0.0.1)")
    assert gather("login1", sound.target.prefix).roles == {"controller", "login"}  # users submit from it
    os.unlink(sound.target.program)
    assert gather("login1", sound.target.prefix).roles == {"controller"}


@pytest.mark.parametrize("up", [True, False])
def test_what_slurmd_copied_is_never_to_be_edited(sound: DoctorSite, up: bool) -> None:
    theirs = str(sound.slurm)  # where the controller has it
    sound.slurm = sound.slurm.rename(sound.place / "conf-cache")
    sound.policy()
    (sound.slurm / "cli_filter.lua").unlink()
    (sound.slurm / "plugstack.conf").write_text(f"optional /nowhere/preflight.so preflight={sound.target.program}\n")
    (sound.slurm / "slurm.conf").write_text("ClusterName=lab\nNodeName=n1\nCliFilterPlugins=cli_filter/lua\n")
    sound.set("PrologFlags", "Alloc")
    sound.commands(up=up)
    found = {one.subject: one for one in sound.findings()}
    assert {"plugstack.conf", "cli_filter.lua", "slurm.conf PrologFlags"} <= set(found)
    there = theirs if up else "/etc/slurm"
    for one in found.values():
        assert f"{sound.slurm}/" not in one.fix, one
    assert f"write into {there}/plugstack.conf: optional " in found["plugstack.conf"].fix
    assert f" {there}/cli_filter.lua; then: scontrol reconfigure" in found["cli_filter.lua"].fix
    assert found["cli_filter.lua"].fix.startswith("on the controller's host (")
    assert f"into {there}/slurm.conf" in found["slurm.conf PrologFlags"].fix


def test_what_does_not_apply_is_skipped_and_said(sound: DoctorSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFLIGHT_CONFIG", sound.target.config)
    shutil.rmtree(sound.target.libexec)
    assert sound.findings("login") == []
    controller = sound.results("controller")
    assert [one for one in controller if one.is_finding] == []
    assert {"plugstack.conf", "cli_filter.lua"} <= {one.subject for one in controller if one.status == "skip"}


@pytest.mark.parametrize("release", RELEASES)
def test_the_recorded_text_is_read_whole(release: str) -> None:
    values = parse_shown((DATA / f"config-{release}.txt").read_text())
    assert values["prolog"] == ("/opt/preflight/libexec/prolog",)
    assert values["slurm_version"] == (RELEASES[release],)
    assert values["slurmctldhost"] == ("ctl(127.0.0.1)",)


def test_the_dry_run_says_why_a_node_is_degraded(sound: DoctorSite) -> None:
    sound.policy(more='[[expect]]\nrequire = "cpus>=4096"\n[checks."expectation"]\naction = "warn"\n')
    texts = {one.subject: one.text for one in sound.results(hooks=True)}
    assert "verdict degraded: expectation " in texts["dry run prolog"]


def test_a_breaker_that_held_is_not_taken_for_observe_mode(sound: DoctorSite) -> None:
    folder = sound.place / "spool/reports/node"
    folder.mkdir(parents=True)
    for one in (folder, folder.parent, folder.parent.parent):
        one.chmod(0o700)
    for name, detail in (("T1", "drain breaker: old"), ("T2", "drain breaker: 2 nodes are drained already")):
        action = {"kind": "drain", "detail": detail, "enforced": False}
        (folder / f"n1.2026{name}Z.health.json").write_text(json.dumps({"action": action}))
    assert only(sound) == ("drain breaker", "held at the latest health check: 2 nodes are drained already")
    # A controller that was too slow is no sign of a wrong policy; reports of old have it as the breaker.
    for name, held in (("T3", "slow controller"), ("T4", "drain breaker")):
        action["detail"] = f"{held}: Slurm's commands take 2.0 s, and 1.1 s are left to count and undo; not drained: x"
        (folder / f"n1.2026{name}Z.health.json").write_text(json.dumps({"action": action}))
        subject, text = only(sound)
        assert subject == "drain"
        assert text.startswith("held back at the latest health check, nobody could count the drained nodes: Slurm's")
    later = {"action": {"detail": "observe mode: x", "enforced": False}}
    (folder / "n1.2026T5Z.health.json").write_text(json.dumps(later))
    assert sound.findings() == []
