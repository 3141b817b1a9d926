"""The lab's configuration files: slurm.conf, gres.conf, plugstack.conf, cgroup.conf."""

from __future__ import annotations

import os
import random
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lab.driver import Driver

# Node, partition and topology lines are added to, never replaced.
_REPEATED = ("nodename", "partitionname", "nodeset", "include", "downnodes", "frontendname")

_reserved: dict[int, socket.socket] = {}  # a name for each port that labs of this process have


@dataclass(frozen=True)
class LabNode:
    """One simulated node. ``memory_mb`` is what Slurm believes, in MiB; ``minors`` are the GPUs' minor numbers in the
    order of gres.conf (default 0..gpus-1), so that a shuffled mapping of gres index to device can be had. ``gres``
    is Gres= as written, in place of one made from ``gpus``. With a ``driver`` its slurmd has that driver and its
    device files, and gres.conf says AutoDetect=nvml for it in place of File= lines. With ``boots`` it has a boot id of
    its own, another one after each `Lab.boot_node`."""

    name: str
    cpus: int = 4
    memory_mb: int = 4096
    gpus: int = 0
    gpu_type: str | None = None
    minors: tuple[int, ...] | list[int] | None = None
    features: tuple[str, ...] = ()
    port: int = 0
    gres: str | None = None
    driver: Driver | None = None
    boots: bool = False

    def __post_init__(self) -> None:
        minors = tuple(range(self.gpus)) if self.minors is None else tuple(self.minors)
        gpus = self.gpus or len(minors)
        if len(set(minors)) != gpus:
            raise ValueError(f"node {self.name}: {gpus} GPUs, minors {list(minors)}; give each GPU its own")
        object.__setattr__(self, "minors", minors)
        object.__setattr__(self, "gpus", gpus)


@dataclass(frozen=True)
class Scripts:
    """Absolute paths of the scripts that slurm.conf names; None leaves the key out."""

    prolog: str | os.PathLike[str] | None = None
    epilog: str | os.PathLike[str] | None = None
    healthcheck: str | os.PathLike[str] | None = None
    taskprolog: str | os.PathLike[str] | None = None
    prologslurmctld: str | os.PathLike[str] | None = None

    def keys(self) -> dict[str, str]:
        """Return the slurm.conf keys of those that are set."""
        named = {
            "Prolog": self.prolog,
            "Epilog": self.epilog,
            "HealthCheckProgram": self.healthcheck,
            "TaskProlog": self.taskprolog,
            "PrologSlurmctld": self.prologslurmctld,
        }
        return {key: str(path) for key, path in named.items() if path}


@dataclass(frozen=True)
class Settings:
    """All that slurm.conf is made of. Times in seconds."""

    directory: str
    nodes: tuple[LabNode, ...]
    port: int
    scripts: Scripts = field(default_factory=Scripts)
    extra: str = ""
    plugstack: str | None = None
    health_interval: int = 0
    requeue_delay: int = 5
    slurm_user: str = "slurm"
    version: tuple[int, ...] = (22, 5)
    gres_conf: str | None = None

    def __post_init__(self) -> None:
        # Slurm takes less for an error, logs it, and waits its own 120 s.
        if self.requeue_delay < 5:
            raise ValueError(f"requeue_delay {self.requeue_delay}: Slurm takes 5 s or more; Lab.hurry does not wait")
        for key, path in self.scripts.keys().items():
            if not os.path.isabs(path) or not os.access(path, os.X_OK):
                raise ValueError(f"{key} {path}: not the absolute path of an executable")

    def path(self, *parts: str) -> str:
        """Return a path below the lab's directory."""
        return os.path.join(self.directory, *parts)

    @property
    def munge_socket(self) -> str:
        """Path of the private munged's socket."""
        return self.path("munge", "munge.socket")


def with_ports(nodes: Iterable[LabNode]) -> tuple[tuple[LabNode, ...], int]:
    """Give each node a free loopback port; return the nodes and one more port for slurmctld."""
    listed = list(nodes)
    ports = free_ports(len(listed) + 1)
    return tuple(replace(node, port=port) for node, port in zip(listed, ports)), ports[-1]


def write(settings: Settings) -> None:
    """Write every configuration file and the GPUs' stand-ins; existing ones are replaced atomically."""
    device_dir = settings.path("dev")
    for node in settings.nodes:
        for minor in () if node.driver else node.minors or ():
            _make_device(os.path.join(device_dir, f"nvidia{minor}"))
    _replace(settings.path("gres.conf"), _gres(settings))
    _replace(settings.path("cgroup.conf"), _cgroup(settings))
    _replace(settings.path("plugstack.conf"), (settings.plugstack or "").rstrip("\n") + "\n")
    _replace(settings.path("slurm.conf"), slurm_conf(settings))


def slurm_conf(settings: Settings) -> str:
    """Return the text of slurm.conf; a key in ``settings.extra`` takes the place of ours."""
    keys, lines = _split(settings.extra)
    ours = {**_keys(settings), **settings.scripts.keys()}
    if settings.scripts.healthcheck and settings.health_interval:
        ours["HealthCheckInterval"] = str(settings.health_interval)
        ours["HealthCheckNodeState"] = "ANY"
    kept = [f"{key}={value}" for key, value in ours.items() if key.lower() not in keys]
    return "\n".join([*kept, *keys.values(), *_node_lines(settings), *_partition_lines(settings), *lines]) + "\n"


def _keys(settings: Settings) -> dict[str, str]:
    return {
        "ClusterName": "lab",
        "SlurmctldHost": f"{_hostname()}(127.0.0.1)",
        "SlurmctldPort": str(settings.port),
        # Without these every daemon and every srun listens on all addresses.
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "SlurmUser": settings.slurm_user,
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "CredType": "cred/munge",
        # cred_expire is also how long a requeued job waits before it may start again (plus one second).
        "AuthInfo": f"socket={settings.munge_socket},cred_expire={settings.requeue_delay}",
        "StateSaveLocation": settings.path("state"),
        "SlurmdSpoolDir": settings.path("nodes", "%n", "slurmd"),
        "SlurmctldPidFile": settings.path("state", "slurmctld.pid"),
        "SlurmdPidFile": settings.path("run", "own-slurmd-%n.pid"),
        "SlurmctldLogFile": settings.path("log", "slurmctld.log"),
        "SlurmdLogFile": settings.path("log", "slurmd-%n.log"),
        "SlurmctldDebug": "verbose",
        "SlurmdDebug": "verbose",
        "PlugStackConfig": settings.path("plugstack.conf"),
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "MpiDefault": "none",
        "SwitchType": "switch/none",
        "GresTypes": "gpu",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "DefMemPerCPU": "16",
        # A simulated node may claim more than this machine has.
        "SlurmdParameters": "config_overrides",
        "PrologFlags": "Alloc,DeferBatch",
        "ReturnToService": "2",
        "JobRequeue": "1",
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_resolution=1",
        "PriorityType": "priority/basic",
        "KillWait": "1",
        "CompleteWait": "0",
        "MinJobAge": "3600",
        "InactiveLimit": "0",
        "SlurmctldTimeout": "60",
        "SlurmdTimeout": "300",
        "MessageTimeout": "10",
        "BatchStartTimeout": "30",
        "UnkillableStepTimeout": "60",
        "MailProg": "/bin/true",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        "JobCompType": "jobcomp/filetxt",
        "JobCompLoc": settings.path("state", "jobcomp"),
    }


def _node_lines(settings: Settings) -> list[str]:
    lines = []
    for node in settings.nodes:
        words = [
            f"NodeName={node.name} NodeAddr=127.0.0.1 NodeHostname={_hostname()} Port={node.port}",
            f"CPUs={node.cpus} RealMemory={node.memory_mb} TmpDisk=0 State=UNKNOWN",
        ]
        if node.gres is not None:
            words.append(f"Gres={node.gres}")
        elif node.gpus:
            kind = f"{node.gpu_type}:" if node.gpu_type else ""
            words.append(f"Gres=gpu:{kind}{node.gpus}")
        if node.features:
            words.append("Features=" + ",".join(node.features))
        lines.append(" ".join(words))
    return lines


def _partition_lines(settings: Settings) -> list[str]:
    every = "Nodes=ALL MaxTime=INFINITE State=UP"
    return [
        f"PartitionName=main Default=YES PriorityTier=1 PreemptMode=REQUEUE {every}",
        f"PartitionName=urgent PriorityTier=10 PreemptMode=REQUEUE {every}",
    ]


def _gres(settings: Settings) -> str:
    if settings.gres_conf is not None:
        return settings.gres_conf
    lines = ["AutoDetect=off"]
    for node in settings.nodes:
        if node.driver:
            lines.append(f"NodeName={node.name} AutoDetect=nvml")
            continue
        kind = f" Type={node.gpu_type}" if node.gpu_type else ""
        for minor in node.minors or ():
            lines.append(f"NodeName={node.name} Name=gpu{kind} File={settings.path('dev', f'nvidia{minor}')}")
    return "\n".join(lines) + "\n"


def _cgroup(settings: Settings) -> str:
    # On cgroup v2 a slurmd would ask systemd for a scope, which a chroot may not have; nothing here uses cgroups.
    return "CgroupAutomount=no\n" if settings.version < (23, 11) else "CgroupPlugin=disabled\n"


def _split(extra: str) -> tuple[dict[str, str], list[str]]:
    """Part lines of slurm.conf into {key in lower case: line} and the lines that only add."""
    keys: dict[str, str] = {}
    lines: list[str] = []
    for line in (raw.strip() for raw in extra.splitlines()):
        if not line or line.startswith("#"):
            continue
        key = line.split("=", 1)[0].split()[0].lower()
        if key in _REPEATED:
            lines.append(line)
        else:
            keys[key] = line
    return keys, lines


def _hostname() -> str:
    return socket.gethostname().split(".")[0]


def _make_device(path: str) -> None:
    """Make a character device that behaves as /dev/null: slurmd refuses regular files in gres.conf.

    Not a link to /dev/null: a hook that changes the owner of a GPU must not change the machine's.
    """
    if not os.path.lexists(path):
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.chmod(path, 0o666)


def _replace(path: str, text: str) -> None:
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text)
    os.chmod(path + ".new", 0o644)
    os.replace(path + ".new", path)


def free_ports(count: int) -> list[int]:
    """Return ``count`` distinct TCP ports that are free on loopback, and no other lab's until they are given back.

    Below the range from which Linux takes the ports of outgoing connections, so that nobody gets slurmctld's port
    while it restarts; nor does a lab beside this one: the port's name, an abstract socket, is this process'.
    """
    free: list[int] = []
    for port in random.sample(range(20000, 32000), 2000):
        if len(free) == count:
            return free
        name = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                name.bind(f"\0preflight-lab-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                name.close()
                continue
        _reserved[port] = name
        free.append(port)
    raise OSError("no free ports between 20000 and 32000 on loopback")


def give_back(ports: Iterable[int]) -> None:
    """Let other labs have these ports; those that are not ours are passed over."""
    for port in ports:
        name = _reserved.pop(port, None)
        if name is not None:
            name.close()
