"""Where reports are kept, and what root refuses to touch there."""

import json
import os
import stat

import pytest

from preflight.report import store
from report_samples import report

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="needs root: gives files away")
USER = 4242 if ROOT else os.geteuid()


def _read(path):
    with open(path, "rb") as file:
        return json.load(file)


def _mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture(autouse=True)
def _umask():
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_the_spool_is_private_and_named_by_job_node_run_and_phase(tmp_path):
    path = store.write_spool(str(tmp_path / "spool"), report(job={"restart": 3}))
    assert path == str(tmp_path / "spool/reports/42/gpu001.3.prolog.json")
    assert _mode(path) == 0o600
    assert {_mode(tmp_path / part) for part in ("spool", "spool/reports", "spool/reports/42")} == {0o700}
    assert _read(path)["node"] == "gpu001"
    assert os.listdir(os.path.dirname(path)) == ["gpu001.3.prolog.json"]


def test_a_second_report_replaces_the_first(tmp_path):
    store.write_spool(str(tmp_path / "s"), report())
    path = store.write_spool(str(tmp_path / "s"), report(verdict="unhealthy"))
    assert _read(path)["verdict"] == "unhealthy"


def test_the_latest_health_reports_stay(tmp_path):
    for minute in range(12):
        one = report(phase="health", job=None, started=1795528800 + 60 * minute)
        path = store.write_spool(str(tmp_path / "s"), one, keep=5)
    names = sorted(os.listdir(tmp_path / "s/reports/node"))
    assert names == [f"gpu001.20261124T14{minute:02d}00Z.health.json" for minute in range(7, 12)]
    assert os.path.basename(path) == names[-1]


def test_a_clock_set_back_loses_no_new_report(tmp_path):
    spool = str(tmp_path / "s")
    for started in (1795528800, 1795528860, 1700000000, 1700000060):
        store.write_spool(spool, report(phase="health", job=None, started=started), keep=3)
    names = sorted(os.listdir(tmp_path / "s/reports/node"))
    assert [name.split(".")[1][:4] for name in names] == ["2023", "2023", "2026"]


def test_a_spool_that_others_may_write_is_refused(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s").chmod(0o777)
    with pytest.raises(OSError, match="writable by nobody else"):
        store.write_spool(str(tmp_path / "s"), report())


@pytest.mark.parametrize("node", ["", ".", "..", ".n1", "../../etc/cron.d/x", "a/b", "n\x001", "n\n1", "n" * 300, None])
def test_a_node_name_never_leaves_the_directory(tmp_path, node):
    with pytest.raises(OSError, match="not a node name"):
        store.write_spool(str(tmp_path / "s"), report() | {"node": node})


@pytest.mark.parametrize("job", ["", "..", "4/2", "-1", "0x2a", "\u0664", "4" * 40])
def test_a_job_id_is_digits(tmp_path, job):
    one = report()
    one["job"]["id"] = job
    with pytest.raises(OSError, match="not a job id"):
        store.write_copy(str(tmp_path), one, -1, -1)


@as_root
def test_the_copy_belongs_to_the_user_in_a_directory_of_ours(tmp_path):
    path = store.write_copy(str(tmp_path), report(), USER, 7)
    info = os.stat(path)
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (USER, 7, 0o640)
    folder = os.stat(tmp_path / "42")
    assert (folder.st_uid, stat.S_IMODE(folder.st_mode)) == (0, 0o755)


def test_the_directory_of_copies_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        store.write_copy(str(tmp_path / "missing"), report(), -1, -1)
    assert not (tmp_path / "missing").exists()


@as_root
def test_a_job_directory_of_the_user_is_refused(tmp_path):
    (tmp_path / "42").mkdir()
    os.chown(tmp_path / "42", USER, -1)
    with pytest.raises(OSError, match="belongs to uid 4242"):
        store.write_copy(str(tmp_path), report(), USER, -1)
    assert os.listdir(tmp_path / "42") == []


def test_a_job_directory_that_others_may_write_is_refused(tmp_path):
    (tmp_path / "42").mkdir()
    (tmp_path / "42").chmod(0o777)
    with pytest.raises(OSError, match="others may write"):
        store.write_copy(str(tmp_path), report(), -1, -1)


def test_a_linked_job_directory_is_not_followed(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "42").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        store.write_copy(str(tmp_path), report(), -1, -1)
    assert os.listdir(tmp_path / "target") == []


def test_a_link_at_the_temporary_or_final_name_is_replaced_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "42").mkdir(mode=0o755)
    name = "gpu001.0.prolog.json"
    for link in (name, f".{name}.{os.getpid()}.tmp"):
        (tmp_path / "42" / link).symlink_to(victim)
    path = store.write_copy(str(tmp_path), report(), -1, -1)
    assert victim.read_text() == "precious"
    assert not os.path.islink(path)
    assert os.listdir(tmp_path / "42") == [name]


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        store.write_copy(str(tmp_path), report(), -1, -1)
    assert os.listdir(tmp_path / "42") == []


def test_short_writes_are_completed(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(store.os, "write", lambda descriptor, data: write(descriptor, data[:100]))
    path = store.write_spool(str(tmp_path / "s"), report())
    monkeypatch.undo()
    assert _read(path) == json.loads(store.encode(report()))


def test_the_epilog_reads_the_latest_run(tmp_path):
    spool = str(tmp_path / "s")
    for run in (0, 2, 10):
        store.write_spool(spool, report(job={"restart": run}))
    assert store.read_spool(spool, 42, "gpu001")["job"]["restart"] == 10
    assert store.read_spool(spool, 42, "gpu002") is None
    assert store.read_spool(spool, 43, "gpu001") is None
    assert store.read_spool(spool, 42, "gpu001", "epilog") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000])
def test_a_broken_prolog_report_is_none(tmp_path, text):
    path = store.write_spool(str(tmp_path / "s"), report())
    with open(path, "w") as file:
        file.write(text)
    assert store.read_spool(str(tmp_path / "s"), 42, "gpu001") is None


def test_a_pipe_in_the_spool_does_not_block(tmp_path):
    path = store.write_spool(str(tmp_path / "s"), report())
    os.unlink(path)
    os.mkfifo(path)
    assert store.read_spool(str(tmp_path / "s"), 42, "gpu001") is None


def test_old_jobs_are_pruned(tmp_path):
    spool = str(tmp_path / "s")
    for job in (41, 42):
        store.write_spool(spool, report(job={"id": job}))
    os.utime(tmp_path / "s/reports/41", (1000, 1000))
    assert store.prune_spool(spool, before=2000).removed == 1
    assert os.listdir(tmp_path / "s/reports") == ["42"]


def test_one_run_removes_a_days_worth_and_never_what_waits(tmp_path):
    """A clock that jumped makes every record old."""
    spool = str(tmp_path / "s")
    day = 86400
    for job in range(1, 11):
        store.write_spool(spool, report(job={"id": job}))
        os.utime(tmp_path / f"s/reports/{job}", (job * day / 2, job * day / 2))
    assert store.prune_spool(spool, before=400 * day, keep=frozenset({"1"})).removed == 2
    assert sorted(os.listdir(tmp_path / "s/reports"), key=int) == ["1", *(str(job) for job in range(4, 11))]


def test_pruning_gets_past_jobs_that_are_recent(tmp_path):
    """Job ids begin again: low ones may be new, and the old ones behind them must go in the end."""
    spool = str(tmp_path / "s")
    for job in (1, 2, 3, 70000):
        store.write_spool(spool, report(job={"id": job}))
    os.utime(tmp_path / "s/reports/70000", (1000, 1000))
    for _ in range(200):
        store.prune_spool(spool, before=2000, limit=1)
    assert sorted(os.listdir(tmp_path / "s/reports")) == ["1", "2", "3"]


def test_what_json_cannot_hold_becomes_null_or_escapes():
    one = report(facts={"x": {"nan": float("nan"), "list": [float("inf")], "bytes": "\udcff\x1b"}})
    data = store.encode(one)
    assert data.isascii()
    assert json.loads(data)["facts"]["x"] == {"nan": None, "list": [None], "bytes": "\udcff\x1b"}


def test_a_report_too_large_loses_its_facts():
    one = json.loads(store.encode(report(facts={"modules": {"names": ["x" * 1000] * 5000}})))
    assert one["facts"] == {}
    assert "4 MiB" in one["unknown"]["facts"]
