"""Finding reports: which places, which files root leaves out, arrays, hostile directories."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from preflight.cli.report import report as command
from preflight.report import store
from preflight.report.find import ReportPlaces, Wanted, find, parse_job
from report_samples import report

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="needs root: gives files away")
ANYBODY = 4242  # an effective user that is not root, for `find`'s rules


@pytest.fixture
def places(tmp_path):
    (tmp_path / "dir").mkdir()
    return ReportPlaces(str(tmp_path / "spool"), str(tmp_path / "dir"), ())


def _copy(places, uid=-1, **other):
    return store.write_copy(places.dir, report(**other), uid, -1)


@pytest.mark.parametrize(("text", "wanted"), [("42", Wanted(42)), ("123_4", Wanted(123, 4)), (" 7_0 ", Wanted(7, 0))])
def test_job_ids(text, wanted):
    assert parse_job(text) == wanted


@pytest.mark.parametrize("text", ["", "0", "x", "1_", "_1", "1_2_3", "-1", "1.0", "../1", "\u0661", "9" * 30, "1_[2]"])
def test_what_is_no_job_id_is_said(text):
    with pytest.raises(ValueError, match="not a job id"):
        parse_job(text)


def test_nodes_runs_and_phases_in_order_of_time(places):
    _copy(places, node="n2", started=2000)
    _copy(places, node="n1", started=1000)
    _copy(places, node="n1", phase="epilog", started=3000)
    _copy(places, node="n1", started=1500, job={"restart": 1})
    found = find(places, Wanted(42), ANYBODY)
    seen = [(one["node"], one["phase"], one["job"]["restart"]) for one in found.reports]
    assert seen == [("n1", "prolog", 0), ("n1", "prolog", 1), ("n2", "prolog", 0), ("n1", "epilog", 0)]
    assert found.notes == []


def test_root_reads_the_spool_and_another_user_does_not_look_there(places):
    store.write_spool(places.spool, report())
    assert find(places, Wanted(42), ANYBODY).reports == []
    if ROOT:
        assert len(find(places, Wanted(42), 0).reports) == 1


@as_root
def test_root_never_reads_a_users_copy(places):
    _copy(places, ANYBODY)
    store.write_spool(places.spool, report(node="gpu002"))
    found = find(places, Wanted(42), 0)
    assert [one["node"] for one in found.reports] == ["gpu002"]
    assert found.notes == [
        "1 report in users' copies left out: run as the job's user, e.g. sudo -u USER preflight report 42"
    ]
    assert len(find(places, Wanted(42), ANYBODY).reports) == 1


@as_root
@pytest.mark.parametrize("what", ["directory", "writable", "group", "place"])
def test_root_leaves_out_what_others_can_change(places, what):
    path = _copy(places, 0)
    folder = os.path.dirname(path)
    assert len(find(places, Wanted(42), 0).reports) == 1
    if what == "directory":
        os.chown(folder, ANYBODY, -1)
    elif what == "place":
        os.chown(places.dir, ANYBODY, -1)
    else:
        os.chmod(path if what == "group" else folder, 0o660 if what == "group" else 0o777)
    found = find(places, Wanted(42), 0)
    assert found.reports == []
    assert "run as the job's user" in found.notes[0]


@as_root
@pytest.mark.skipif("PREFLIGHT_OLDEST" in os.environ, reason="scripts/test-oldest: a chroot is no place of mounts")
def test_root_reads_its_spool_on_an_overlay_and_no_file_that_is_mounted_there(tmp_path):
    """A stateless node's root: a layer in memory over an image; a file's device is then not its directory's."""
    spool = tmp_path / "root/spool"
    code = (
        "import sys\n"
        "from preflight.report.find import ReportPlaces, Wanted, find\n"
        "found = find(ReportPlaces(sys.argv[1], '', ()), Wanted(42))\n"
        "print(len(found.reports), len(found.notes))\n"
    )
    steps = [
        f"cd {tmp_path}",
        "mkdir image layers root",
        "mount -t tmpfs tmpfs layers",
        "mkdir layers/upper layers/work",
        "mount -t overlay overlay -o lowerdir=image,upperdir=layers/upper,workdir=layers/work root",
        f"cp -a made {spool}",
        f'"$0" -c "$1" {spool}',
        f"file=$(find {spool} -type f)",
        "mount --bind copy.json $file",
        f'"$0" -c "$1" {spool}',
    ]
    store.write_spool(str(tmp_path / "made"), report())
    (tmp_path / "copy.json").write_bytes(next((tmp_path / "made").rglob("*.json")).read_bytes())
    command = ["unshare", "-m", "sh", "-ec", "\n".join(steps), sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "overlay" in done.stderr and done.returncode == 32:
        pytest.skip(f"no overlay here: {done.stderr}")
    assert done.stdout.split("\n") == ["1 0", "0 1", ""], done.stderr


def test_links_pipes_and_directories_are_no_reports(places, tmp_path):
    good = _copy(places)
    folder = os.path.dirname(good)
    (tmp_path / "elsewhere.json").write_bytes(store.encode(report(node="n9")))
    os.symlink(tmp_path / "elsewhere.json", f"{folder}/n9.0.prolog.json")
    os.mkfifo(f"{folder}/pipe.0.prolog.json")
    os.mkdir(f"{folder}/dir.0.prolog.json")
    found = find(places, Wanted(42), ANYBODY)
    assert [one["node"] for one in found.reports] == ["gpu001"]
    assert found.notes == ["3 reports left out: not readable by you; ask the job's owner or an admin"]


def test_a_linked_job_directory_is_not_followed(places, tmp_path):
    _copy(places, job={"id": 7})
    os.rename(f"{places.dir}/7", tmp_path / "moved")
    os.symlink(tmp_path / "moved", f"{places.dir}/7")
    assert find(places, Wanted(7), ANYBODY).reports == []


def test_a_report_of_another_job_or_none_is_left_out(places):
    folder = os.path.dirname(_copy(places))
    with open(f"{folder}/forged.0.prolog.json", "wb") as file:
        file.write(store.encode(report(job={"id": 41})))
    with open(f"{folder}/cut.0.prolog.json", "wb") as file:
        file.write(store.encode(report())[:-100])
    with open(f"{folder}/\x1b[31m.json", "wb") as file:
        file.write(b"x")
    found = find(places, Wanted(42), ANYBODY)
    assert len(found.reports) == 1
    assert len(found.notes) == 1
    assert "and 2 more" in found.notes[0]
    assert found.notes[0].isprintable()


def test_more_places_and_globs(places, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "more" / name).mkdir(parents=True)
        store.write_copy(str(tmp_path / "more" / name), report(node=f"n{name}"), -1, -1)
    found = find(places._replace(search=(f"{tmp_path}/more/*",)), Wanted(42), ANYBODY)
    assert [one["node"] for one in found.reports] == ["na", "nb"]


def test_of_two_copies_the_later_counts(places, tmp_path):
    (tmp_path / "old").mkdir()
    store.write_copy(str(tmp_path / "old"), report(started=1000, verdict="unknown"), -1, -1)
    _copy(places, started=2000)
    found = find(places._replace(search=(str(tmp_path / "old"),)), Wanted(42), ANYBODY)
    assert [one["verdict"] for one in found.reports] == ["ready"]


def _array(places):
    for job, task in ((123, 9), (124, 0), (125, 4), (130, None)):
        array = 123 if task is not None else None
        _copy(places, job={"id": job, "array_job_id": array, "array_task_id": task})


@pytest.mark.parametrize(
    ("wanted", "jobs"),
    [
        (Wanted(123), {123, 124, 125}),
        (Wanted(123, 4), {125}),
        (Wanted(123, 9), {123}),
        (Wanted(125), {125}),
        (Wanted(123, 5), set()),
        (Wanted(130), {130}),
    ],
)
def test_arrays(places, wanted, jobs):
    _array(places)
    assert {one["job"]["id"] for one in find(places, wanted, ANYBODY).reports} == jobs


def _run(places, *arguments):
    config = os.path.join(os.path.dirname(places.dir), "preflight.toml")
    with open(config, "w") as file:
        file.write(f'version = 1\n[report]\nspool = "{places.spool}"\ndir = "{places.dir}"\n')
    return CliRunner().invoke(command, [*arguments, "--config", config])


def _own(places, **other):
    """Write a copy that this process may read, root too."""
    _copy(places, os.geteuid(), **other)


def test_the_command_shows_the_report(places):
    _own(places)
    _own(places, node="gpu002")
    result = _run(places, "42")
    assert result.exit_code == 0
    assert result.stdout.startswith("Preflight report: job 42")
    assert "gpu002" in result.stdout


def test_the_command_writes_a_file(places, tmp_path):
    _own(places)
    result = _run(places, "42", "--format", "html", "-o", str(tmp_path / "out.html"))
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")


def test_the_command_gives_whole_reports_as_json(places):
    _own(places)
    document = json.loads(_run(places, "42", "--format", "json").stdout)
    assert document["format"] == "preflight.job/1"
    assert document["verdict"] == "ready"
    assert document["reports"] == [json.loads(store.encode(report()))]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["43"], "no report of job 43 in "),
        (["43_1"], "sacct -X -n -o JobIDRaw -j 43_1"),
        (["x"], "not a job id"),
        (["42", "-o", "/nonexistent/x.html"], "cannot be written"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(places, arguments, says):
    _own(places)
    result = _run(places, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_wrong_policy_is_said_in_one_line(tmp_path):
    (tmp_path / "p.toml").write_text("version = 1\nmode = 3\n[report]\ndir = 4\n")
    result = CliRunner().invoke(command, ["42", "--config", str(tmp_path / "p.toml")])
    assert result.exit_code == 2
    assert "p.toml:2: mode" in result.stderr
    assert result.stderr.count("\n") == 1


@as_root
def test_the_spool_wins_over_what_a_file_server_says_of_the_same_run(places):
    store.write_spool(places.spool, report(started=1000))
    forged = {"verdict": "unhealthy", "started": 9000}
    _own(places, **forged)
    _own(places, job={"restart": 3}, **forged)
    _own(places, node="gpu002", started=1500)
    found = find(places, Wanted(42), 0)
    mine = report()["node"]
    assert [(one["node"], one["verdict"]) for one in found.reports] == [(mine, "ready"), ("gpu002", "ready")]
    assert "2 reports beside this node's own record left out" in found.notes[0]


@as_root
def test_the_same_copy_beside_its_record_is_no_note(places):
    one = report()
    store.write_spool(places.spool, one)
    store.write_copy(places.dir, one, 0, -1)
    assert find(places, Wanted(42), 0).notes == []


@as_root
def test_a_place_that_is_a_link_is_not_looked_in_by_root(places, tmp_path):
    _own(places)
    os.rename(places.dir, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", places.dir)
    found = find(places, Wanted(42), 0)
    assert found.reports == []
    assert "is a link" in found.notes[0]
    assert len(find(places, Wanted(42), ANYBODY).reports) == 1
    with pytest.raises(OSError, match="is a link"):
        _own(places)
    assert os.listdir(tmp_path / "elsewhere") == ["42"]


@pytest.fixture
def slurm(tmp_path):
    """Commands of Slurm's that answer from files; sacct fails where it has none."""
    (tmp_path / "slurm.conf").touch()
    for name in ("sacct", "squeue"):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/{name}.calls\nexec cat {tmp_path}/{name}.out\n')
        path.chmod(0o755)
    return tmp_path


def _shown(places, slurm, form="text"):
    config = os.path.join(os.path.dirname(places.dir), "preflight.toml")
    with open(config, "w") as file:
        file.write(
            f'version = 1\nmode = "observe"\n[report]\nspool = "{places.spool}"\ndir = "{places.dir}"\n'
            f'[hook]\nslurm_bin = "{slurm}"\nslurm_conf = "{slurm}/slurm.conf"\n'
        )
    return CliRunner().invoke(command, ["42", "--format", form, "--config", config]).stdout


@pytest.mark.parametrize(
    ("sacct", "says"),
    [
        ("COMPLETED|0:0|3725|train\n", "Job:       train, completed, ran 01:02:05\n"),
        (
            "FAILED|1:0|90061|a|b \x1b[2J\u202e\n",
            "Job:       a|b \\x1b[2J\\u202e, failed, exit code 1, ran 1-01:01:01\n",
        ),
        ("OUT_OF_MEMORY|0:125|7|x\n", "Job:       x, out of memory, ran 00:00:07\n"),
        ("CANCELLED by 1000|0:15|0|x\n", "Job:       x, cancelled by 1000, signal 15, ran 00:00:00\n"),
    ],
)
def test_the_jobs_name_end_and_run_time_come_from_accounting(places, slurm, sacct, says):
    _own(places)
    (slurm / "sacct.out").write_text(sacct)
    assert says in _shown(places, slurm)
    assert not (slurm / "squeue.calls").exists()


def test_a_job_that_runs_is_told_by_the_queue_and_an_array_by_nothing(places, slurm):
    _own(places)
    (slurm / "squeue.out").write_text("RUNNING|<b>train</b>\n")
    html = _shown(places, slurm, "html")
    assert "<dt>Name</dt><dd><bdi>&lt;b&gt;train&lt;/b&gt;</bdi></dd>" in html
    assert "<dt>Job</dt><dd><bdi>running</bdi></dd>" in html
    (slurm / "squeue.out").write_text("RUNNING|a\nPENDING|a\n")
    assert "Job:  " not in _shown(places, slurm)
    (slurm / "squeue.out").unlink()
    assert "Job:  " not in _shown(places, slurm)


def test_slurm_is_not_asked_where_no_slurm_conf_is_nor_for_json(places, slurm):
    _own(places)
    (slurm / "sacct.out").write_text("COMPLETED|0:0|1|train\n")
    assert json.loads(_shown(places, slurm, "json"))["verdict"] == "ready"
    (slurm / "slurm.conf").unlink()
    if not any(os.path.exists(f"{one}/slurm.conf") for one in ("/etc/slurm", "/run/slurm/conf", "/etc/slurm-llnl")):
        assert "Job:  " not in _shown(places, slurm)
        assert not (slurm / "sacct.calls").exists()
