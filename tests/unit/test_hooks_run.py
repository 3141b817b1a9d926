"""Hooks as slurmd runs them: arguments, exit codes, records, the task prolog's lines; each in a process of its own."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from nvml import sim
from preflight.facts.stuck import start_time
from preflight.files import write_json
from preflight.hooks import main as hook_main
from preflight.hooks import record
from preflight.hooks.notes import RUN_DIR, note_path
from preflight.hooks.pending import begin, left_over
from preflight.hooks.task import task
from preflight.policy.model import DEFAULT_PATH
from preflight.report.schema import schema
from unit.hook_site import H100X2, JOB, REQUIRE, Site

SCHEMA = jsonschema.Draft202012Validator(schema())
GPUS = {**JOB, "SLURM_JOB_GPUS": "0,1"}
ECC = {"gpu.1.ecc.uncorrected.volatile": 2}


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        (["prolog"], ("prolog", DEFAULT_PATH, RUN_DIR)),
        (["task", "--run-dir", "/r"], ("task", DEFAULT_PATH, "/r")),
        (["health", "--run-dir", "/r", "--config", "/c"], ("health", "/c", "/r")),
    ],
)
def test_arguments_of_a_hook(arguments: list[str], parsed: tuple[str, str, str]) -> None:
    assert hook_main.parse(arguments) == parsed


@pytest.mark.parametrize(
    "arguments", [[], ["proload"], ["prolog", "--config"], ["prolog", "x"], ["prolog", "--confg", "/c"]]
)
def test_a_wrong_argument_is_one_line_and_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert hook_main.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("preflight hook: ")
    assert len(said.splitlines()) == 1


def test_a_job_that_fits_a_sound_node_starts(hooked: Site) -> None:
    done = hooked.hook("prolog", **GPUS, **{REQUIRE: "gpu=h100,gpu.count=2"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    report = hooked.report()
    SCHEMA.validate(report)
    assert report["verdict"] == "ready"
    assert report["job"]["gpus"] == [0, 1]
    assert (report["job"]["id"], report["job"]["user"], report["job"]["uid"]) == (7, "alice", 4242)
    assert hooked.slurm_calls() == []


def test_a_node_that_could_not_count_the_drained_ones_stops_no_job(hooked: Site) -> None:
    """Slurm drains a node whose prolog fails: by their exit status alone all nodes would go at once."""
    hooked.scenario(H100X2, ECC)
    assert hooked.hook("prolog", **GPUS).returncode == 0
    report = hooked.report()
    SCHEMA.validate(report)
    assert (report["verdict"], report["action"]["kind"], report["action"]["enforced"]) == ("unhealthy", "drain", False)
    assert report["action"]["detail"].startswith("preflight:gpu.ecc.uncorrected:gpu1: ")
    assert hooked.slurm_calls() != []  # the recording stand-in does record: the control of the tests above
    assert list((hooked.spool / "pending").iterdir())  # left for the health check


def slurm_of(site: Site, *states: str) -> None:
    """Have sinfo answer, for node n1 and one other, one state after another; scontrol succeeds."""
    (site.place / "states").write_text("".join(f"{state}\n" for state in states))
    sinfo = site.place / "bin" / "sinfo"
    sinfo.write_text(
        f"""#!/bin/sh
echo "sinfo $*" >>{site.log}
for last; do :; done
mark=${{last#*:0}}; mark=${{mark%%,*}}
state=$(head -n1 {site.place}/states); [ "$(wc -l <{site.place}/states)" = 1 ] || sed -i 1d {site.place}/states
reason=$(cat {site.place}/reason 2>/dev/null || echo none)
[ "$state" = idle ] && reason=none
m=$mark; n='
'
printf '%s' "n1$m$state$m$reason${{m}}root${{m}}2026-11-24T10:00:00$m${{n}}n2${{m}}idle${{m}}none${{m}}U${{m}}U$m$n"
"""
    )
    scontrol = site.place / "bin" / "scontrol"
    scontrol.write_text(
        f"""#!/bin/sh
echo "scontrol $*" >>{site.log}
for one; do case $one in Reason=*) printf '%s' "${{one#Reason=}}" >{site.place}/reason ;; esac; done
"""
    )


def test_an_enforced_unhealthy_is_10_and_its_drain_is_on_record(hooked: Site) -> None:
    hooked.scenario(H100X2, ECC)
    slurm_of(hooked, "idle", "idle+drain")
    assert hooked.hook("prolog", **GPUS).returncode == 10
    report = hooked.report()
    SCHEMA.validate(report)
    assert (report["verdict"], report["action"]["kind"], report["action"]["enforced"]) == ("unhealthy", "drain", True)
    assert len(hooked.slurm_calls()) == 3  # count, drain, count
    record = json.loads((hooked.spool / "drain-n1.json").read_text())
    assert record["reason"].startswith("preflight:gpu.ecc.uncorrected:gpu1: ")
    assert (record["user"], record["time"]) == ("root", "2026-11-24T10:00:00")
    assert record["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    devices = report["facts"]["gpus"]["devices"]
    assert record["gpus"] == [one["uuid"] for one in devices]
    assert record["gpu"] == devices[1]["uuid"]
    assert list((hooked.spool / "pending").iterdir()) == []


@pytest.mark.parametrize("phase", ["epilog", "health"])
def test_the_other_phases_return_0_whatever_they_find(hooked: Site, phase: str) -> None:
    hooked.scenario(H100X2, ECC)
    environment = GPUS if phase == "epilog" else {}
    assert hooked.hook(phase, **environment).returncode == 0
    assert any(call.startswith("sinfo") for call in hooked.slurm_calls())


@pytest.mark.parametrize("how", ["observe", "check", "switch"])
def test_what_is_only_observed_is_recorded_and_the_job_starts(hooked: Site, how: str) -> None:
    hooked.scenario(H100X2, ECC)
    if how == "observe":
        hooked.policy(top='mode = "observe"')
    elif how == "check":
        hooked.policy('[checks."gpu.ecc.uncorrected"]\nmode = "observe"')
    else:
        (hooked.place / "off").touch()
    assert hooked.hook("prolog", **GPUS).returncode == 0
    report = hooked.report()
    SCHEMA.validate(report)
    assert (report["verdict"], report["action"]["kind"], report["action"]["enforced"]) == ("unhealthy", "drain", False)
    assert hooked.slurm_calls() == []


def test_what_is_not_done_says_why_in_a_word() -> None:
    for detail, word in (
        ("drain breaker: 2 nodes are drained by preflight already", "breaker"),
        ("slow controller: Slurm's commands take 2.0 s", "slow-controller"),
        ("observe mode: preflight:x", "observe"),
        ("observed check: preflight:x", "observe"),
        ("kill switch /etc/preflight/off is on: x", "kill-switch"),
        ("preflight:x (Slurm was not reached)", "not enforced"),
    ):
        assert record._held_by({"kind": "drain", "detail": detail, "enforced": False}) == word


def test_a_user_reads_of_observe_mode_that_nothing_was_done(hooked: Site) -> None:
    hooked.policy(top='mode = "observe"')
    assert hooked.hook("prolog", **GPUS, **{REQUIRE: "gpu=a100"}).returncode == 0
    note = json.loads(Path(note_path(str(hooked.place / "run"), "n1", 7)).read_text())
    assert note["message"].startswith("only noted, the job runs on: ")
    hooked.policy(top='mode = "enforce"')
    assert hooked.hook("prolog", **GPUS).returncode == 0
    note = json.loads(Path(note_path(str(hooked.place / "run"), "n1", 7)).read_text())
    assert "only noted" not in note["message"]


def test_a_misfit_never_fails_the_prolog_even_when_it_cannot_be_moved(hooked: Site) -> None:
    assert hooked.hook("prolog", **GPUS, **{REQUIRE: "gpu=a100"}).returncode == 0
    report = hooked.report()
    assert (report["verdict"], report["action"]["enforced"]) == ("mismatch", False)
    assert "no controller here" in report["action"]["detail"]
    assert not any("drain" in call.lower() for call in hooked.slurm_calls())


def test_a_policy_that_broke_drains_nothing_and_says_so(hooked: Site) -> None:
    hooked.hook("prolog", **GPUS)
    hooked.config.write_text("version = 1\nmode = 4\n")
    hooked.scenario(H100X2, ECC)
    assert hooked.hook("prolog", **GPUS).returncode == 0
    report = hooked.report()
    assert report["verdict"] == "unhealthy"
    assert not report["action"]["enforced"]
    (said,) = [one for one in report["findings"] if one["check"] == "policy"]
    assert (said["status"], said["blame"]) == ("fail", "site")
    assert f"{hooked.config}:2: mode: " in said["message"]


def test_the_epilog_completes_what_the_prolog_began(hooked: Site) -> None:
    environment = {**GPUS, "SLURM_JOB_RESTART_COUNT": "1"}
    hooked.hook("prolog", **environment)
    hooked.scenario(H100X2, {"gpu.1.ecc.uncorrected.aggregate": 3, "gpu.0.process.0": "99:1048576"})
    # After a requeue the count in the epilog's environment is the next run's already.
    assert hooked.hook("epilog", **{**GPUS, "SLURM_JOB_RESTART_COUNT": "2"}).returncode == 0
    report = hooked.report(phase="epilog", run=1)
    SCHEMA.validate(report)
    told = {change["fact"]: change["blame"] for change in report["changes"]}
    assert told == {"gpu1.ecc_uncorrected_aggregate": "node", "gpu0.processes": "user"}
    assert report["verdict"] == "degraded"


def test_an_epilog_without_a_prolog_and_a_cpu_jobs_too(hooked: Site) -> None:
    assert hooked.hook("epilog", **JOB).returncode == 0
    report = hooked.report(phase="epilog")
    assert report["changes"] == []
    assert "gpus" not in report["facts"]


def test_the_record_is_roots_alone_and_the_copy_the_users(hooked: Site) -> None:
    shared = hooked.place / "shared"
    shared.mkdir(mode=0o755)
    policy = hooked.config.read_text().replace(
        f'spool = "{hooked.spool}"', f'spool = "{hooked.spool}"\ndir = "{shared}"'
    )
    hooked.config.write_text(policy)
    assert hooked.hook("prolog", **GPUS).returncode == 0
    own = hooked.spool / "reports/7/n1.0.prolog.json"
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    copy = shared / "7/n1.0.prolog.json"
    assert json.loads(copy.read_text())["id"] == json.loads(own.read_text())["id"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640
    if os.geteuid() == 0:
        assert copy.stat().st_uid == 4242


def test_a_copy_that_cannot_be_written_waits_for_the_health_check(hooked: Site) -> None:
    shared = hooked.place / "shared"
    policy = hooked.config.read_text().replace(
        f'spool = "{hooked.spool}"', f'spool = "{hooked.spool}"\ndir = "{shared}"'
    )
    hooked.config.write_text(policy)
    assert hooked.hook("prolog", **GPUS).returncode == 0
    assert len(list((hooked.spool / "outbox").iterdir())) == 1
    shared.mkdir(mode=0o755)
    assert hooked.hook("health").returncode == 0
    assert list((hooked.spool / "outbox").iterdir()) == []
    assert (shared / "7/n1.0.prolog.json").exists()


def test_a_hook_without_a_place_for_anything_still_returns(hooked: Site) -> None:
    """It reads the policy anew each time, for which it has its usual deadline; a machine that is busy has longer."""
    hooked.spool.write_text("no directory")
    hooked.run_dir.write_text("no directory")
    code = f"import sys; sys.path.insert(0, {str(Path(hooked.main).parents[1])!r})\nfrom preflight.hooks import main\n"
    code += "main.DEADLINE_S = 100.0\nsys.exit(main.main(sys.argv[1:], alone=True))"
    for phase in ("prolog", "epilog", "health"):
        command = [sys.executable, "-I", "-S", "-c", code, phase]
        command += ["--config", str(hooked.config), "--run-dir", str(hooked.run_dir)]
        environment = hooked.environment(**(GPUS if phase != "health" else {}))
        assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert hooked.hook("task", SLURM_JOB_ID="7").returncode == 0


def test_a_hang_returns_within_the_deadline_and_names_the_call(hooked: Site) -> None:
    hooked.policy(deadline_s=3, top='mode = "observe"')
    hooked.scenario(H100X2, {"gpu.1.delay_ms.nvmlDeviceGetMemoryInfo": 600000})
    assert hooked.hook("prolog", **GPUS).returncode == 0
    report = hooked.report()
    assert report["verdict"] == "degraded"  # it may only be slow
    assert "nvmlDeviceGetMemoryInfo" in report["facts"]["gpus"]["stuck_at"]
    assert hooked.hook("prolog", **GPUS).returncode == 0
    report = hooked.report()
    assert report["verdict"] == "unhealthy"
    assert "nvmlDeviceGetMemoryInfo" in report["facts"]["gpus"]["stuck_at"]


def test_a_bug_of_ours_is_neither_0_nor_10_and_says_nothing_to_slurmd(hooked: Site) -> None:
    main = Path(hooked.main).parent / "hooks/main.py"
    code = "import sys; sys.path.insert(0, sys.argv[1]); import preflight.hooks.run as r\n"
    code += "def broken(*_): raise ZeroDivisionError('x')\nr.start = broken\n"
    code += "from preflight.hooks.main import main; sys.exit(main(sys.argv[2:]))"
    for phase, expected in (("prolog", hook_main.BROKEN), ("epilog", hook_main.BROKEN)):
        command = [sys.executable, "-I", "-S", "-c", code, str(main.parents[2]), phase]
        done = subprocess.run(command, env=hooked.environment(**GPUS), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (expected, "", "")
    assert hook_main.BROKEN not in (0, 10)


def note(run_dir: Path, **values: object) -> None:
    (run_dir / "task").mkdir(parents=True, exist_ok=True)
    (run_dir / "task/n1.7").write_text(json.dumps({"verdict": "degraded", "report": "/r/x", "message": "m", **values}))


TASK = {"SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7"}


def said(capsys: pytest.CaptureFixture[str], run_dir: Path, **environment: str) -> list[str]:
    assert task(str(run_dir), {**TASK, **environment}) == 0
    return capsys.readouterr().out.splitlines()


def test_the_task_prolog_prints_what_slurmstepd_understands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note(tmp_path, message="evil\nexport LD_PRELOAD=/x\x1b[31m")
    assert said(capsys, tmp_path) == [
        "print preflight: n1: degraded: evil?export LD_PRELOAD=/x?[31m (preflight report 7)",
        "export PREFLIGHT_VERDICT=degraded",
        "export PREFLIGHT_REPORT=/r/x",
    ]


def test_a_ready_job_only_gets_its_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note(tmp_path, verdict="ready")
    assert said(capsys, tmp_path) == ["export PREFLIGHT_VERDICT=ready", "export PREFLIGHT_REPORT=/r/x"]


@pytest.mark.parametrize(
    ("environment", "speaks"),
    [
        ({}, True),
        ({"SLURM_STEP_ID": "-5", "SLURM_LOCALID": "0", "ENVIRONMENT": "BATCH", "SLURM_NODEID": "0"}, True),  # 26.05
        ({"SLURM_STEP_ID": "0", "SLURM_LOCALID": "0"}, True),
        ({"SLURM_STEP_ID": "0", "SLURM_LOCALID": "1"}, False),
        ({"SLURM_STEP_ID": "1", "SLURM_LOCALID": "0"}, False),
        ({"SLURM_STEP_ID": "0", "SLURM_LOCALID": "0", "ENVIRONMENT": "BATCH", "SLURM_NODEID": "0"}, False),
        ({"SLURM_STEP_ID": "0", "SLURM_LOCALID": "0", "ENVIRONMENT": "BATCH", "SLURM_NODEID": "1"}, True),
    ],
)
def test_one_task_speaks_for_its_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], environment: dict[str, str], speaks: bool
) -> None:
    note(tmp_path)
    assert any(line.startswith("print ") for line in said(capsys, tmp_path, **environment)) is speaks


@pytest.mark.parametrize(
    "environment", [{"SLURM_JOB_ID": "x"}, {"SLURM_JOB_ID": ""}, {"SLURMD_NODENAME": "../n1"}, {"SLURMD_NODENAME": ""}]
)
def test_a_strange_environment_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], environment: dict[str, str]
) -> None:
    note(tmp_path)
    assert said(capsys, tmp_path, **environment) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", "\udcff"])
def test_a_spoiled_note_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    note(tmp_path)
    (tmp_path / "task/n1.7").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert said(capsys, tmp_path) == []


def test_the_prolog_leaves_a_note_that_only_the_user_reads_and_the_epilog_takes_it_away(hooked: Site) -> None:
    hooked.policy('[checks."gpu.ecc.uncorrected"]\naction = "warn"')
    hooked.scenario(H100X2, ECC)
    hooked.hook("prolog", **GPUS)
    place = Path(note_path(str(hooked.run_dir), "n1", 7))
    assert stat.S_IMODE(place.stat().st_mode) == 0o400
    if os.geteuid() == 0:
        assert place.stat().st_uid == 4242
    done = hooked.hook("task", SLURM_JOB_ID="7")
    assert done.stdout.splitlines()[0].startswith("print preflight: n1: degraded: 2 uncorrected ECC errors")
    hooked.hook("epilog", **GPUS)
    assert not place.exists()


def test_what_was_begun_is_found_again_by_its_node(tmp_path: Path) -> None:
    spool, run_dir = str(tmp_path / "spool"), str(tmp_path / "run")
    first = begin(spool, run_dir, "move-n1-7", {"node": "n1", "move": {}})
    begin(spool, run_dir, "drain-n2", {"node": "n2"})
    held = first.step("held")
    (found,) = left_over(spool, run_dir, "n1")
    assert found == held
    assert {key: found.entry[key] for key in ("node", "move", "step")} == {"node": "n1", "move": {}, "step": "held"}
    with subprocess.Popen(["sleep", "60"]) as other:
        write_json(held.path, {**held.entry, "pid": other.pid, "start": start_time(other.pid)})
        assert list(left_over(spool, run_dir, "n1")) == []  # its hook still runs
        other.kill()
    assert [one.path for one in left_over(spool, run_dir, "n1")] == [held.path]
    found.done()
    assert list(left_over(spool, run_dir, "n1")) == []
    assert list(left_over(str(tmp_path / "no"), str(tmp_path / "no"), "n1")) == []


def test_a_full_spool_falls_back_to_the_runtime_directory(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("no directory")
    pending = begin(str(tmp_path / "spool"), str(tmp_path / "run"), "drain-n1", {"node": "n1"})
    assert pending.path.startswith(str(tmp_path / "run"))
    assert [one.entry["step"] for one in left_over(str(tmp_path / "spool"), str(tmp_path / "run"), "n1")] == ["begun"]
    (tmp_path / "run2").write_text("no directory")
    nowhere = begin(str(tmp_path / "spool"), str(tmp_path / "run2"), "drain-n1", {"node": "n1"})
    assert nowhere.step("held").entry["step"] == "held"  # acted on all the same


def test_the_simulator_is_strict_so_that_a_misspelt_key_shows(hooked: Site) -> None:
    hooked.scenario(H100X2, {"gpu.1.ecc.uncorected.volatile": 2})
    assert sim.environment(hooked.place)["NVML_SIM_STRICT"] == "1"
    hooked.policy(top='mode = "observe"')
    hooked.hook("prolog", **GPUS)
    assert hooked.report()["verdict"] == "unhealthy"
