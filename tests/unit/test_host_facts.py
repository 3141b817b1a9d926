"""The host's own facts from recorded files, slurm.conf's line of a node, how jobs ended, and counters over time."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from preflight.facts import (
    bonds,
    cgroup,
    disks,
    edac,
    lsm,
    numa,
    processes,
    readonly,
    slurmd,
    taint,
    timesync,
    topology,
)
from preflight.facts.document import FactsDocument
from preflight.facts.registry import fact_of
from preflight.facts.rootfs import Root
from preflight.hooks import ends as ends_module
from preflight.hooks import samples
from preflight.hooks import spool as disk
from preflight.hooks.run import Run
from preflight.policy.model import HostRow, Policy, ReportPolicy
from preflight.slurm.environment import Job, job_from
from preflight.slurm.node_conf import configured


def node(root: Path, files: dict[str, str]) -> Root:
    """Return a recorded node that holds ``files``."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Root(str(root), live=False)


def test_topology_and_numa(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu"
    files = {f"{cpu}/smt/control": "on\n", f"{cpu}/cpu2/online": "0\n"}
    for number in range(2):
        files[f"{cpu}/cpu{number}/topology/physical_package_id"] = f"{number}\n"
        files[f"{cpu}/cpu{number}/topology/core_id"] = "0\n"
        files[f"sys/devices/system/node/node{number}/cpulist"] = "0-63\n" if number == 0 else "\n"
        files[f"sys/devices/system/node/node{number}/meminfo"] = f"Node {number} MemTotal:       {1024 * number} kB\n"
    root = node(tmp_path, files)
    found = topology.read(root).values
    assert (found["sockets"], found["cores"], found["threads"], found["offline"]) == (2, 2, 2, 1)
    assert numa.read(root).values["nodes"] == [
        {"id": 0, "cpus": True, "memory": 0},
        {"id": 1, "cpus": False, "memory": 1 << 20},
    ]


def test_disks_and_their_errors(tmp_path: Path) -> None:
    files = {
        "sys/block/sda/device/state": "offline\n",
        "sys/block/md0/md/degraded": "1\n",
        "sys/class/nvme/nvme0/state": "dead\n",
        "sys/class/nvme/nvme0/hwmon3/temp1_input": "84850\n",
        "sys/class/nvme/nvme0/hwmon3/temp1_alarm": "1\n",
        "sys/class/nvme/nvme1/state": "live\n",
        "sys/fs/ext4/sda2/errors_count": "7\n",
        "sys/devices/system/edac/mc/mc0/ce_count": "3\n",
        "sys/devices/system/edac/mc/mc0/ue_count": "1\n",
    }
    root = node(tmp_path, files)
    found = disks.read(root).values
    assert fact_of("disks").child == "disks"  # a drive that does not answer blinds no other fact
    assert found["nvme"] == [
        {"name": "nvme0", "state": "dead", "alarm": True, "temperature": 84.85},
        {"name": "nvme1", "state": "live", "alarm": None, "temperature": None},
    ]
    assert found["scsi"] == [{"name": "sda", "state": "offline"}]
    assert found["arrays"] == [{"name": "md0", "degraded": 1}]
    assert found["filesystems"] == [{"device": "sda2", "errors": 7}]
    assert edac.read(root).values["controllers"] == [{"name": "mc0", "corrected": 3, "uncorrected": 1}]


def test_a_disk_that_went_read_only(tmp_path: Path) -> None:
    mounts = (
        "/dev/sda1 / ext4 rw 0 0\n/dev/sda2 /var ext4 ro 0 0\n/dev/sdb1 /data xfs ro 0 0\n/dev/sr0 /cd iso9660 ro 0 0\n"
    )
    mounts += "/dev/sdc1 /extra ext4 ro 0 0\n"
    fstab = "# x\n/dev/sda2 /var ext4 defaults 0 2\n/dev/sdb1 /data xfs ro,noatime 0 2\n"
    root = node(tmp_path, {"proc/self/mounts": mounts, "etc/fstab": fstab})
    assert readonly.read(root).values["mounts"] == [{"path": "/var", "type": "ext4", "source": "/dev/sda2"}]


@pytest.mark.parametrize(
    ("mounts", "version", "controllers"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "v2", ["cpu", "memory"]),
        ("c /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\n", "v1", ["cpu", "cpuacct"]),
        ("c /a cgroup rw,memory 0 0\nu /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "hybrid", ["memory"]),
        ("/dev/sda1 / ext4 rw 0 0\n", None, []),
    ],
)
def test_control_groups(tmp_path: Path, mounts: str, version: str | None, controllers: list[str]) -> None:
    files = {"proc/self/mounts": mounts, "sys/fs/cgroup/cgroup.controllers": "cpu memory\n"}
    assert cgroup.read(node(tmp_path, files)).values == {"version": version, "controllers": controllers}


LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max stack size            8388608              unlimited            bytes
Max processes             unlimited            unlimited            processes
Max open files            1024                 524288               files
Max locked memory         65536                65536                bytes
"""


def test_slurmd_zombies_and_who_waits(tmp_path: Path) -> None:
    def stat(pid: int, name: str, state: str) -> str:
        return f"{pid} ({name}) {state} 1 {'0 ' * 17}100 0 10 {'0 ' * 20}\n"

    files = {
        "proc/uptime": "1000.0 1.0\n",
        "proc/loadavg": "0 0 0 2/345 99\n",
        "proc/sys/kernel/pid_max": "32768\n",
        "proc/sys/kernel/threads-max": "99999\n",
        "proc/1/stat": stat(1, "systemd", "S"),
        "proc/6/stat": stat(6, "slurmd", "S"),  # a user's: anybody may name a program so
        "proc/6/status": "Name:\tslurmd\nUid:\t1000\t0\t0\t0\n",
        "proc/6/limits": LIMITS.replace("65536 ", "1     "),
        "proc/7/stat": stat(7, "slurmd", "S"),
        "proc/7/status": "Name:\tslurmd\nUid:\t0\t0\t0\t0\n",
        "proc/7/limits": LIMITS,
        "proc/8/stat": stat(8, "cp", "D"),
        "proc/9/stat": stat(9, "x", "Z"),
        "proc/10/stat": "torn",
    }
    root = node(tmp_path, files)
    assert slurmd.read(root).values == {
        "running": True,
        "stack": 8388608,
        "max_processes": None,
        "open_files": 1024,
        "memlock": 65536,
    }
    found = processes.read(root).values
    assert (found["count"], found["zombies"], found["threads"], found["threads_max"]) == (5, 1, 345, 32768)
    assert [one["name"] for one in found["waiting"]] == ["cp"]


def test_taint_selinux_and_bonds(tmp_path: Path) -> None:
    bond = "Bonding Mode: 802.3ad\nMII Status: up\n\nSlave Interface: eth0\nMII Status: up\n\n"
    bond += "Slave Interface: eth1\nMII Status: down\n"
    files = {
        "proc/sys/kernel/tainted": f"{1 | 1 << 7 | 1 << 12}\n",
        "sys/fs/selinux/enforce": "0",
        "etc/selinux/config": "# SELINUX= one of\nSELINUX=enforcing\nSELINUXTYPE=targeted\n",
        "sys/module/apparmor/parameters/enabled": "N\n",
        "proc/net/bonding/bond0": bond,
    }
    root = node(tmp_path, files)
    assert taint.read(root).values["flags"] == ["P", "D", "O"]
    found = {"selinux": "permissive", "selinux_config": "enforcing", "selinux_off": None, "apparmor": False}
    assert lsm.read(root).values == found
    members = bonds.read(root).values["bonds"][0]["members"]
    assert members == [{"name": "eth0", "up": True}, {"name": "eth1", "up": False}]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("proc/cmdline", "quiet selinux=0 ro\n", "selinux=0"),
        ("run/.containerenv", "", "a container"),
        ("proc/cmdline", "ro\n", None),
    ],
)
def test_where_selinux_cannot_be_in_force(tmp_path: Path, name: str, text: str, why: str | None) -> None:
    files = {"etc/selinux/config": "SELINUX=enforcing\n", "sys/kernel/x": "", name: text}
    off = lsm.read(node(tmp_path, files)).values["selinux_off"]
    assert off is None if why is None else why in off


def test_the_clock_of_this_machine_tells_whether_it_is_synchronised() -> None:
    answer = timesync.read(Root())
    assert answer.unknown == {}
    assert isinstance(answer.values["synchronised"], bool)
    assert answer.values["error_s"] >= 0


# slurm.conf


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("NodeName=n[1-4] CPUs=64 RealMemory=512000", (512000, 0, 0, 0, 64, "")),
        ("NodeName=DEFAULT Sockets=2 CoresPerSocket=32 ThreadsPerCore=2\nNodeName=n1", (0, 2, 32, 2, 0, "")),
        ("NodeName=n1 Boards=2 SocketsPerBoard=4 CoresPerSocket=8", (0, 8, 8, 0, 0, "")),
        ("NodeName=n1 Procs=8\nNodeName=n1 RealMemory=7", (7, 0, 0, 0, 8, "")),
        ("nodename=n1 cpus=4 # NodeName=n1 CPUs=9", (0, 0, 0, 0, 4, "")),
        ("NodeName=n[2-4] CPUs=64", (0, 0, 0, 0, 0, "slurm.conf does not name n1")),
    ],
)
def test_the_line_of_a_node(tmp_path: Path, lines: str, expected: tuple[Any, ...]) -> None:
    (tmp_path / "slurm.conf").write_text(f"ClusterName=x\n{lines}\n")
    assert tuple(configured(str(tmp_path), "n1")) == expected


def test_where_slurm_conf_overrides_the_node_nothing_is_compared(tmp_path: Path) -> None:
    text = "SlurmdParameters=l3cache_as_socket,Config_Overrides\nNodeName=n1 CPUs=512 RealMemory=9999999\n"
    (tmp_path / "slurm.conf").write_text(f"ClusterName=x\n{text}")
    found = configured(str(tmp_path), "n1")
    assert (found.cpus, found.memory_mib) == (0, 0)
    assert "config_overrides" in found.problem


def test_without_slurm_conf_nothing_is_known(tmp_path: Path) -> None:
    assert "slurm.conf" in configured(str(tmp_path), "n1").problem


# how jobs ended, and counters


def run(tmp_path: Path, job: Job | None = None) -> Run:
    source: Any = None
    policy = Policy(report=ReportPolicy(spool=str(tmp_path)))
    return Run("epilog", "n1", policy, str(tmp_path), job, "", 0.0, 0.0, source)


@pytest.mark.parametrize(
    ("environment", "ended"),
    [
        ({"SLURM_JOB_EXIT_CODE2": "3:0", "SLURM_JOB_EXIT_CODE": "768"}, (3, 0)),
        ({"SLURM_JOB_EXIT_CODE": "768"}, (3, 0)),
        ({"SLURM_JOB_EXIT_CODE": "9"}, (0, 9)),
        ({"SLURM_JOB_EXIT_CODE2": "x"}, None),
        ({}, None),
    ],
)
def test_the_exit_status_in_an_epilogs_environment(environment: dict[str, str], ended: tuple[int, int] | None) -> None:
    job = job_from({"SLURM_JOB_ID": "7", **environment})
    assert job is not None
    assert job.ended == ended


def test_only_what_may_be_the_nodes_doing_is_noted(tmp_path: Path) -> None:
    def end(number: int, ended: tuple[int, int] | None, before: dict[str, Any] | None = None) -> int:
        one = run(tmp_path, Job(number, uid=1000 + number, ended=ended))
        ends_module.note(one, before)
        return len(ends_module.ends(one))

    assert end(1, (0, 0)) == 0  # all is well: no record
    assert not list(tmp_path.iterdir())
    assert end(2, (1, 0)) == 1
    assert end(3, (0, 0)) == 2
    assert end(4, (0, 15)) == 2  # cancelled, or past its time limit
    assert end(5, None) == 2
    assert end(7, (0, 125)) == 2  # out of its own memory
    assert end(6, (1, 0), {"action": {"kind": "requeue"}}) == 2  # sent away by the prolog
    assert end(2, (1, 0)) == 2  # the same job's second run counts once
    last = ends_module.ends(run(tmp_path))
    assert [(one.job, one.failed) for one in last] == [(3, False), (2, True)]
    for number in range(100, 500):
        end(number, (1, 0))
    assert len(ends_module.ends(run(tmp_path))) == ends_module.MOST


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ends": [1]}', '{"ends": [[1, "x", 2, true]]}'])
def test_a_torn_record_of_ends_is_set_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / "ends-n1.json").write_text(text)
    assert ends_module.ends(run(tmp_path)) == ()
    assert (tmp_path / "ends-n1.json.unreadable").exists()


def document(value: int) -> FactsDocument:
    told = {"rows": [{"kind": "edac", "args": {}, "told": {"counters": {"mc0 corrected": value}}}], "stuck_at": None}
    return FactsDocument("n1", "2026-11-30T00:00:00Z", {"host": told}, {}, {})


def test_counters_are_kept_a_minute_apart_and_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy(report=ReportPolicy(spool=str(tmp_path)), host=(HostRow("edac"),))
    now = 1000.0
    monkeypatch.setattr(samples, "_now", lambda: now)
    for step in range(600):
        now = 1000.0 + 30.0 * step
        samples.keep(policy, "n1", document(step))
    kept = samples.samples(policy, "n1")["edac mc0 corrected"]
    assert len(kept) <= samples.MAX_POINTS
    assert kept == sorted(kept, reverse=True)
    assert kept[-1][1] == 598
    assert kept[0][0] > 3600  # an hour's window still has where it begins
    stored = json.loads((tmp_path / "samples-n1.json").read_text())
    (tmp_path / "samples-n1.json").write_text(json.dumps({**stored, "boot": "another"}))
    assert samples.samples(policy, "n1") == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"series": {"a": [1]}}', '{"series": {"a": [[1, "x"]]}}'])
def test_a_torn_record_of_counters_is_set_aside(tmp_path: Path, text: str) -> None:
    policy = Policy(report=ReportPolicy(spool=str(tmp_path)))
    (tmp_path / "samples-n1.json").write_text(text)
    assert samples.samples(policy, "n1") == {}
    assert (tmp_path / "samples-n1.json.unreadable").exists()


def test_jobs_that_end_together_are_all_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each epilog is a process of its own; here they begin at one moment, and each writes slowly."""
    write = disk.write_json

    def slowly(place: str, held: object) -> None:
        time.sleep(0.01)
        write(place, held)

    monkeypatch.setattr(disk, "write_json", slowly)
    monkeypatch.setattr(ends_module, "LONGEST_S", 60.0)  # however slow the machine is
    ready, start = os.pipe()
    children = []
    for number in range(1, 9):
        child = os.fork()
        if not child:
            os.close(start)
            os.read(ready, 1)
            ends_module.note(run(tmp_path, Job(number, uid=1000 + number, ended=(1, 0))), None)
            os._exit(0)
        children.append(child)
    os.close(start)
    os.close(ready)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    assert sorted(one.job for one in ends_module.ends(run(tmp_path))) == list(range(1, 9))
