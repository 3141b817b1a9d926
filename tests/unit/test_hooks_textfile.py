"""The text file for node_exporter: what it holds, that node_exporter takes it, and where root does not write it."""

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from preflight.hooks import textfile
from unit.hook_site import H100X2, JOB, Site
from unit.test_hooks_frozen import DEADLINE_S, disk

__all__ = ["disk"]
GPUS = {**JOB, "SLURM_JOB_GPUS": "0,1"}


@pytest.fixture
def directory(hooked: Site) -> Path:
    made = hooked.place / "textfile"
    made.mkdir(mode=0o755)
    hooked.policy(f'[metrics]\ntextfile = "{made}"\n')
    return made


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_health_check_and_an_epilog_leave_what_they_found(hooked: Site, directory: Path) -> None:
    assert hooked.hook("prolog", **GPUS).returncode == 0
    assert list(directory.iterdir()) == []  # nothing on a job's way
    assert hooked.hook("epilog", **GPUS).returncode == 0
    hooked.scenario(H100X2, {"gpu.1.lost": 1})
    assert hooked.hook("health").returncode == 0
    assert sorted(one.name for one in directory.iterdir()) == ["preflight-n1-epilog.prom", "preflight-n1-health.prom"]
    its = lines(directory / "preflight-n1-health.prom")
    start = 'preflight_node_verdict{cluster="lab",host="n1",phase="health",verdict='
    assert f'{start}"unhealthy"}} 1' in its
    assert f'{start}"ready"}} 0' in its
    assert any(one.startswith("preflight_node_check{") and 'blame="node"' in one for one in its)
    (began,) = (float(one.split()[-1]) for one in its if one.startswith("preflight_node_run_timestamp_seconds{"))
    assert abs(began - time.time()) < 600
    assert (directory / "preflight-n1-health.prom").stat().st_mode & 0o777 == 0o644
    other = lines(directory / "preflight-n1-epilog.prom")
    assert [one for one in its if one.startswith("# ")] == [one for one in other if one.startswith("# ")]
    assert all(len(one.rpartition("} ")[2].split()) == 1 for one in (*its, *other) if one[0] != "#")  # no time stamps
    if shutil.which("promtool"):
        for one in directory.iterdir():
            subprocess.run(["promtool", "check", "metrics"], input=one.read_bytes(), check=True)


@pytest.mark.skipif(not shutil.which("prometheus-node-exporter"), reason="no node_exporter")
def test_node_exporter_takes_them_without_an_error(hooked: Site, directory: Path) -> None:
    for phase in ("epilog", "health"):
        assert hooked.hook(phase, **(GPUS if phase == "epilog" else {})).returncode == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile"]
    command += [f"--collector.textfile.directory={directory}", f"--web.listen-address={address}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        text = ""
        while not text:
            assert process.poll() is None
            try:
                text = urllib.request.urlopen(f"http://{address}/metrics", timeout=30).read().decode()
            except OSError:
                time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()
    assert "node_textfile_scrape_error 0" in text
    for phase in ("epilog", "health"):
        assert text.count(f'preflight_node_run_duration_seconds{{cluster="lab",host="n1",phase="{phase}"}}') == 1
    assert f"# HELP preflight_node_verdict {textfile.HELP['preflight_node_verdict']}\n" in text


@pytest.mark.parametrize("what", ["world", "group", "link", "above", "missing", "owner"])
def test_root_writes_in_no_directory_of_others(tmp_path: Path, what: str) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o755)
    directory = place
    if what in ("world", "group"):
        place.chmod(0o777 if what == "world" else 0o775)
    elif what == "link":
        directory = tmp_path / "link"
        directory.symlink_to(place)
    elif what == "above":
        (tmp_path / "up").symlink_to(tmp_path)
        directory = tmp_path / "up" / "place"
    elif what == "missing":
        directory = tmp_path / "none"
    else:
        if os.geteuid() != 0:
            pytest.skip("root alone gives a directory away")
        os.chown(place, 4242, -1)
    assert str(directory) in textfile.put(str(directory), "x.prom", "x 1\n")
    assert list(place.iterdir()) == []
    if what == "owner":
        os.chown(place, 0, -1)
        assert textfile.put(str(place), "x.prom", "x 1\n") == ""
        assert [one.name for one in place.iterdir()] == ["x.prom"]


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("as it was")
    place = tmp_path / "place"
    place.mkdir(mode=0o755)
    for name in ("x.prom", f".x.prom.{os.getpid()}"):
        (place / name).symlink_to(target)
    textfile.put(str(place), "x.prom", "x 1\n")
    assert textfile.put(str(place), "x.prom", "x 1\n") == ""
    assert target.read_text() == "as it was"
    assert (place / "x.prom").read_text() == "x 1\n"


def test_a_directory_that_hangs_holds_no_health_check(hooked: Site, disk: Path) -> None:
    directory = disk / "textfile"
    directory.mkdir(mode=0o755)
    hooked.spool = hooked.place / "spool"
    hooked.policy(f'[metrics]\ntextfile = "{directory}"\n', deadline_s=DEADLINE_S)
    subprocess.run(["fsfreeze", "-f", disk], check=True)
    for _ in range(2):
        assert hooked.hook("health").returncode == 0
    assert len(list(hooked.run_dir.glob("stuck-textfile-n1.json"))) == 1
    subprocess.run(["fsfreeze", "-u", disk], check=True)


def test_what_a_report_names_cannot_break_it() -> None:
    finding = {"check": 'a"b\\c\nd', "status": "fail", "blame": "node"}
    report = {
        "cluster": "x\n{",
        "node": "n",
        "phase": "health",
        "verdict": "ready",
        "counts": {},
        "findings": [finding],
    }
    text = textfile.content({**report, "duration_ms": 1.5}, 1795478400.25)
    assert 'check="a\\"b\\\\c?d",status="fail"' in text
    assert 'cluster="x?{"' in text
    assert text.endswith('preflight_node_run_duration_seconds{cluster="x?{",host="n",phase="health"} 0.001500\n')
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=text.encode(), check=True)
