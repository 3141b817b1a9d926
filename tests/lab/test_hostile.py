"""Text from users is hostile: it changes nothing in Slurm, and is shown as what it is. So are users' files."""

import json
import os
import pwd
from pathlib import Path

import pytest

from lab.cluster import Cluster

pytestmark = pytest.mark.lab
ESC = "\x1b"
NASTY = [
    "Requeue=0 ExcNodeList=n[1-9] Priority=1",
    "<script>alert(1)</script>",
    f"{ESC}[2J{ESC}]0;owned\x07",
    "$(touch owned);`touch owned`;touch owned",
    "preflight:held:rocky1:run0: no; preflight:moved:rocky1:run7: x",
    "'\"\\ \u202e right to left",
]


def _unchanged(cluster: Cluster, job: str, name: str) -> None:
    """The job was moved as any other: nothing of its text was taken for a command, a field or a marker."""
    state = cluster.lab.wait_job(job, "PENDING")
    assert state["name"] == name
    assert state["requeue"] == "1"
    assert state["excluded_nodes"] in ("", "debian1,rocky1,ubuntu1")
    entries = [entry.strip() for entry in state["admin_comment"].split(";")]
    assert [entry.split(": ")[0] for entry in entries] == [
        "preflight:moved:rocky1:run0",
        "preflight:held:rocky1:run0",
    ]
    assert state["admin_comment"].isprintable()
    assert not list(Path(cluster.lab.work).glob("owned"))
    assert cluster.lab.node_state("rocky1") == "IDLE"


def _shown_as_text(cluster: Cluster, job: str) -> str:
    """Every form of the report is free of escapes and of markup that a user wrote; return the text form."""
    forms = {}
    for form in ("text", "html", "markdown", "json"):
        done = cluster.preflight("report", job, "--format", form, "--config", cluster.config)
        assert done.returncode == 0, done.stderr
        forms[form] = done.stdout
        assert ESC not in done.stdout
        assert "\u202e" not in done.stdout
        assert ESC not in done.stderr
    assert "<script>alert" not in forms["html"]
    json.loads(forms["json"])
    return forms["text"]


@pytest.mark.parametrize("text", NASTY, ids=["fields", "script", "escapes", "shell", "markers", "quotes"])
def test_names_comments_and_values_are_only_text(cluster: Cluster, text: str) -> None:
    value = text.replace("\\", "\\\\").replace('"', '\\"')
    comment = f'{text}\nsecond line\nrequire: gpu="{value}"'
    options = ["--gpus=1", "-w", "rocky1", f"--job-name={text}", f"--comment={comment}"]
    job = cluster.lab.sbatch("true", *options)
    report = cluster.wait_report(job)
    assert report["verdict"] in ("mismatch", "unknown")
    _shown_as_text(cluster, job)
    if (
        report["verdict"] == "mismatch"
    ):  # else the value has a ";", which ends it in a comment, or what cannot be printed
        assert report["action"]["kind"] == "hold"
        _unchanged(cluster, job, text)
    else:
        assert any("cannot be read" in one["message"] for one in report["findings"])
        cluster.lab.wait_job(job, "COMPLETED")


@pytest.mark.parametrize("text", [one for one in NASTY if "\x1b" not in one], ids=range(5))
def test_a_hostile_requirement_through_the_plugin(cluster: Cluster, text: str) -> None:
    value = text.replace("\\", "\\\\").replace('"', '\\"')
    done = cluster.lab.run(
        ["sbatch", "--parsable", f'--require=gpu="{value}"', "--gpus=1", "-w", "rocky1", "--wrap=true"], user="pfalice"
    )
    if done.returncode:
        assert ESC not in done.stderr
        return
    job = done.stdout.strip()
    assert cluster.wait_report(job)["action"]["kind"] == "hold"
    _unchanged(cluster, job, "wrap")
    _shown_as_text(cluster, job)


@pytest.mark.parametrize(
    ("comment", "says"),
    [
        ("require: cuda>=", "cannot be read"),
        ("require: cudda>=12.4", "cudda"),
        ("require: cuda", "cuda"),
        ("x; require:", "nothing follows"),
        (f"require: {ESC}[31mcuda>=1{ESC}[0m", "cannot be read"),
        ("require: gpu=<script>alert(1)</script>|<b>", "cannot be read"),
    ],
)
def test_a_requirement_that_cannot_be_read_is_said_and_the_job_runs(cluster: Cluster, comment: str, says: str) -> None:
    job = cluster.lab.sbatch("echo ran", f"--comment={comment}", "-w", "ubuntu2")
    cluster.lab.wait_job(job, "COMPLETED")
    report = cluster.wait_report(job)
    assert report["verdict"] == "unknown"
    assert report["action"]["kind"] == "none"
    assert report["requirement"] is not None
    finding = next(one for one in report["findings"] if one["check"] == "requirement")
    assert (finding["status"], finding["blame"], finding["source"]) == ("unknown", "job", "comment")
    assert "cannot be read" in finding["message"]
    assert says in finding["message"]
    assert cluster.called() == []  # by the hooks: `report` asks Slurm for the job's end
    text = _shown_as_text(cluster, job)
    assert "cannot be read" in text
    output = cluster.lab.output(job)
    assert "ran\n" in output
    assert ESC not in output


def _alice() -> int:
    return pwd.getpwnam("pfalice").pw_uid


def _next_job(cluster: Cluster) -> int:
    """Return the number that Slurm gives the next job."""
    last = int(cluster.lab.sbatch("true", "--hold"))
    cluster.lab.check_run(["scancel", str(last)])
    return last + 1


@pytest.mark.parametrize("how", ["directory", "link", "file"])
def test_a_report_directory_that_a_user_can_write_is_no_way_to_roots_files(cluster: Cluster, how: str) -> None:
    """A site's mistake (mode 1777), and a user who knows the next job's number."""
    lab, reports = cluster.lab, cluster.node_dir("ubuntu2") / "reports"
    outbox = cluster.node_dir("ubuntu2") / "spool" / "outbox"
    victim = Path(cluster.directory, "victim")
    victim.mkdir(exist_ok=True)
    (victim / "ubuntu2.0.prolog.json").write_text("roots own", encoding="utf-8")
    mode = reports.stat().st_mode
    reports.chmod(0o1777)
    try:
        number = _next_job(cluster)
        trap = reports / str(number)
        if how == "directory":
            lab.check_run(["mkdir", str(trap)], user="pfalice")
            lab.check_run(
                ["ln", "-s", str(victim / "ubuntu2.0.prolog.json"), f"{trap}/ubuntu2.0.prolog.json"], "pfalice"
            )
        elif how == "link":
            lab.check_run(["ln", "-s", str(victim), str(trap)], user="pfalice")
        else:
            lab.check_run(["touch", str(trap)], user="pfalice")
        job = lab.sbatch("echo ran", "-w", "ubuntu2")
        assert int(job) == number
        lab.wait_job(job, "COMPLETED")
        assert cluster.wait_report(job)["verdict"] == "ready"
        cluster.wait_report(job, phase="epilog")
        lab.wait_until(lambda: len(list(outbox.glob(f"{job}.*"))) == 2, 10, "both reports to wait in the outbox")
        free = lab.sbatch("true", "-w", "ubuntu2")
        lab.wait_job(free, "COMPLETED")
        cluster.wait_report(free, phase="epilog")
        # One job's directory that is refused does not hold up what else waits there.
        waiting = json.loads((outbox / f"{job}.ubuntu2.0.prolog.json").read_text(encoding="utf-8"))
        waiting["job"]["id"] = other = 900_000 + number
        later = outbox / f"{other}.ubuntu2.0.prolog.json"
        later.write_text(json.dumps(waiting), encoding="utf-8")
        later.chmod(0o600)
        cluster.health("ubuntu2")
        assert (reports / str(other) / "ubuntu2.0.prolog.json").exists()
        assert len(list(outbox.iterdir())) == 2
        assert [path.name for path in victim.iterdir()] == ["ubuntu2.0.prolog.json"]
        assert (victim / "ubuntu2.0.prolog.json").read_text(encoding="utf-8") == "roots own"
        assert os.stat(victim / "ubuntu2.0.prolog.json").st_uid == 0
        copy = reports / free / "ubuntu2.0.prolog.json"
        assert (copy.stat().st_uid, copy.stat().st_mode & 0o777) == (_alice(), 0o640)
        if trap.is_symlink():
            trap.unlink()
        else:
            lab.check_run(["rm", "-r", str(trap)])
        cluster.health("ubuntu2")
        assert list(outbox.iterdir()) == []
        assert {path.name for path in trap.iterdir()} == {"ubuntu2.0.prolog.json", "ubuntu2.0.epilog.json"}
    finally:
        reports.chmod(mode)
        (victim / "ubuntu2.0.prolog.json").unlink()
