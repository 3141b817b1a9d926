"""The fixtures of the checks "host.KIND": a row of the policy, and what its reader tells of a node."""

from __future__ import annotations

from typing import Any, NamedTuple

from preflight.facts.host.kind import kind_of
from preflight.policy.model import HostRow, Policy

EMPTY: dict[str, Any] = {"rows": [], "stuck_at": None}
MOUNT = {"path": "/home", "source": "fs1:/home", "type": "nfs4", "options": "rw,relatime,vers=4.2"}
SPACE = {
    "path": "/scratch",
    "size": 1000 << 30,
    "free": 500 << 30,
    "used": 450 << 30,
    "inodes": 1000,
    "inodes_free": 900,
    "inodes_used": 100,
    "public": None,
}
PORT = {"device": "mlx5_0", "port": 1, "state": "ACTIVE", "phys_state": "LinkUp", "rate": 400}
LINK = {"name": "eth0", "state": "up", "speed": 25.0, "mtu": 9000, "device": True, "downs": 2}
MEMORY = {"physical": 512 << 30, "physical_free": 500 << 30, "swap": 0, "swap_free": 0}
CPU = {"sockets": 2, "cores": 128, "threads": 256, "offline": 0}
LOAD = {"one": 3.0, "five": 2.0, "fifteen": 1.0}


def row(kind: str, args: dict[str, Any], action: str = "") -> HostRow:
    """Return a row as the policy's reader makes it."""
    found = kind_of(kind)
    return HostRow(kind, "", action, ("health",), found.users(args), args, "p.toml:3")


class Told(NamedTuple):
    """A row's keys, and what its reader tells of a sound node, of a bad one, and of one where it does not apply."""

    args: dict[str, Any]
    sound: dict[str, Any]
    bad: dict[str, Any]
    other: dict[str, Any] | None = None


ROWS: dict[str, Told] = {
    "cpu": Told(
        {"sockets": 2, "cores": 128, "governor": "performance"},
        {**CPU, "governors": {"performance": 256}},
        {**CPU, "cores": 127, "offline": 2, "governors": {"performance": 254}},
        {**CPU, "governors": {}},
    ),
    "dmi": Told(
        {"match": ["BIOS Information: Version: 2.*"]},
        {"lines": ["BIOS Information: Version: 2.3"]},
        {"lines": ["BIOS Information: Version: 1.9"]},
    ),
    "edac": Told({"corrected_max": 9}, {"counters": {"mc0 corrected": 1}}, {"counters": {"mc0 corrected": 10}}),
    "ethernet": Told(
        {"device": "eth*", "rate_min": 25, "mtu": 9000},
        {"interfaces": [LINK], "counters": {"eth0 downs": 2}},
        {"interfaces": [{**LINK, "speed": 1.0}], "counters": {"eth0 downs": 2}},
    ),
    "file": Told(
        {"path": ["/etc/hosts"], "mode": "0644"},
        {"files": [{"path": "/etc/hosts", "wrong": []}]},
        {"files": [{"path": "/etc/hosts", "wrong": ["has mode 0666"]}]},
    ),
    "command": Told(
        {"run": ["getent", "passwd", "operator"], "output": ["operator:*"]},
        {"why": "", "status": 0, "wrong": "", "last": "operator:x:11:0::/root:", "left": []},
        {"why": "", "status": 2, "wrong": "", "last": "", "left": []},
    ),
    "infiniband": Told(
        {"rate_min": 400},
        {"ports": [PORT, {**PORT, "device": "mlx5_1"}], "counters": {"mlx5_0/1 link_downed": 1}},
        {"ports": [PORT, {**PORT, "device": "mlx5_1", "state": "DOWN"}], "counters": {}},
    ),
    "load": Told({"one_max": 512}, LOAD, {**LOAD, "one": 513.0}),
    "memory": Told({"physical_min": "510G"}, MEMORY, {**MEMORY, "physical": 448 << 30}),
    "mount": Told({"path": "/home", "type": "nfs*", "options": ["rw"]}, {"mounts": [MOUNT]}, {"mounts": []}),
    "ping": Told(
        {"host": "gw"},
        {"address": "10.0.0.1", "sent": 3, "answers": 1, "error": None},
        {"address": "10.0.0.1", "sent": 3, "answers": 0, "error": "No route to host"},
    ),
    "process": Told({"name": "sssd"}, {"count": 1, "pids": [7], "greedy": []}, {"count": 0, "pids": [], "greedy": []}),
    "service": Told(
        {"unit": ["sshd"]},
        {"units": [{"unit": "sshd.service", "active": True}]},
        {"units": [{"unit": "sshd.service", "active": False}]},
    ),
    "socket": Told({"port": 22}, {"count": 1, "sockets": []}, {"count": 0, "sockets": []}),
    "space": Told(
        {"path": "/scratch", "free_min": "5%", "inodes_free_min": "5%"},
        SPACE,
        {**SPACE, "free": 1 << 30},
        {**SPACE, "inodes": 0, "inodes_free": 0, "inodes_used": 0},
    ),
    "users": Told(
        {"allow": ["root"]},
        {"count": 0, "strays": []},
        {"count": 1, "strays": [{"uid": 1000, "pid": 7, "name": "miner"}]},
    ),
}


def case(kind: str, told: dict[str, Any], action: str = "") -> dict[str, Any]:
    """Return the arguments of a Case: what is told of the one row that the policy has."""
    args = ROWS[kind].args
    entries = [{"kind": kind, "args": args, **told}]
    return {"changes": {f"{kind_of(kind).fact}.rows": entries}, "policy": Policy(host=(row(kind, args, action),))}


GIB = 1 << 30
FACTS: dict[str, dict[str, Any]] = {
    "commands": EMPTY,
    "host": EMPTY,
    "host_waiting": EMPTY,
    "topology": {"sockets": 2, "cores": 64, "threads": 128, "offline": 0, "smt": "on"},
    "numa": {"nodes": [{"id": at, "cpus": at < 2, "memory": 512 * GIB if at < 2 else 64 * GIB} for at in range(3)]},
    "processes": {"count": 900, "threads": 4000, "threads_max": 4194304, "zombies": 3, "waiting": []},
    "timesync": {"synchronised": True, "error_s": 0.012},
    "cgroup": {"version": "v2", "controllers": ["cpuset", "cpu", "io", "memory", "pids"]},
    "slurmd": {"running": True, "memlock": None, "open_files": 131072, "max_processes": None, "stack": None},
    "lsm": {"selinux": "enforcing", "selinux_config": "enforcing", "selinux_off": None, "apparmor": False},
    "taint": {"flags": ["P", "O"]},
    "readonly": {"mounts": [], "fstab": True},
    "disks": {
        "nvme": [{"name": "nvme0", "state": "live", "alarm": False, "temperature": 41.0}],
        "scsi": [{"name": "sda", "state": "running"}],
        "arrays": [{"name": "md0", "degraded": 0}],
        "filesystems": [{"device": "sda2", "errors": 0}],
    },
    "bonds": {"bonds": [{"name": "bond0", "up": True, "members": [{"name": "eth0", "up": True}]}]},
    "edac": {"controllers": [{"name": "mc0", "corrected": 3, "uncorrected": 0}]},
}

# check -> what of FACTS differs where it fails, where it is not told, and where it does not apply
PLAIN: dict[str, tuple[dict[str, Any], str, dict[str, Any] | None]] = {
    "cgroup.controllers": ({"cgroup.controllers": ["cpu", "io"]}, "cgroup", {"cgroup.version": None}),
    "cgroup.version": (
        {"cgroup.version": "hybrid", "cgroup.controllers": ["cpu"]},
        "cgroup.version",
        {"cgroup.version": None},
    ),
    "cpu.offline": ({"topology.offline": 2}, "topology", {"topology.offline": 64, "topology.smt": "off"}),
    "disk.array": ({"disks.arrays.0.degraded": 1}, "disks", {"disks.arrays": []}),
    "disk.errors": ({"disks.filesystems.0.errors": 1}, "disks", {"disks.filesystems": []}),
    "disk.state": ({"disks.nvme.0.state": "dead"}, "disks.nvme", {"disks.nvme": [], "disks.scsi": []}),
    "disk.temperature": ({"disks.nvme.0.alarm": True}, "disks", {"disks.nvme.0.alarm": None}),
    "ib.ports": (
        {
            "ib.ports": [
                {"device": "mlx5_0", "port": 1, "state": "ACTIVE", "rate": 400},
                {"device": "mlx5_1", "port": 1, "state": "DOWN", "rate": 10},
            ]
        },
        "ib",
        {"ib.ports": []},
    ),
    "kernel.taint": ({"taint.flags": ["P", "D"]}, "taint", None),
    "lsm.selinux": ({"lsm.selinux": "permissive"}, "lsm", {"lsm.selinux": None, "lsm.selinux_off": "selinux=0"}),
    "memory.uncorrected": ({"edac.controllers.0.uncorrected": 1}, "edac", {"edac.controllers": []}),
    "mount.readonly": (
        {"readonly.mounts": [{"path": "/var", "type": "ext4", "source": "/dev/sda2"}]},
        "readonly",
        {"readonly.fstab": False},
    ),
    "net.bond": ({"bonds.bonds.0.members.0.up": False}, "bonds", {"bonds.bonds": []}),
    "node.threads": ({"processes.threads": 4000000}, "processes.threads", None),
    "node.waiting": (
        {"processes.waiting": [{"pid": at, "name": "cp", "age_s": 60} for at in range(9)]},
        "processes",
        None,
    ),
    "node.zombies": ({"processes.zombies": 101}, "processes", None),
    "numa.balance": ({"numa.nodes.1.memory": 400 * GIB}, "numa", {"numa.nodes": []}),
    "numa.memory": ({"numa.nodes.1.memory": 0}, "numa", {"numa.nodes": []}),
    "slurmd.memlock": ({"slurmd.memlock": 64 << 10}, "slurmd", {"slurmd.running": False}),
    "slurmd.open_files": ({"slurmd.open_files": 1024}, "slurmd", {"slurmd.running": False}),
    "time.error": ({"timesync.error_s": 4.5}, "timesync", {"timesync.synchronised": False}),
    "slurm.cpus": ({"topology.cores": 63}, "topology", None),
    "slurm.memory": ({"memory.total": 512 << 30}, "memory.total", None),
    "time.synchronised": (
        {"timesync.synchronised": False, "timesync.error_s": 16.0},
        "timesync",
        {"timesync.synchronised": False},
    ),
}
