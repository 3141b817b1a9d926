"""Five machines that an admin makes a cluster of, by Debian's packages: a controller, where users log in, and nodes.

A machine is a root directory of its own, laid over one system on which everything was installed, as nodes are that
boot one image. They have one network and one process table of their own. Nothing here is of tests/lab.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nvml import devices, sim
from packages.system import System

CONTROLLER = "ctl"
NODES = ("rocky1", "sick1", "ubuntu1", "debian1")  # in the order in which Slurm takes them
USER = "alice"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
SOUND = sim.example("h100x2")
SCENARIOS = {"rocky1": sim.example("a100x2-old-driver"), "sick1": SOUND, "ubuntu1": SOUND}  # as they boot
SYSTEMS = {
    "rocky1": 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
    "sick1": 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n',
    "ubuntu1": 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n',
}
SICK = sim.scenario(SOUND, {"gpu.0.ecc.uncorrected.volatile": 2, "gpu.0.ecc.uncorrected.aggregate": 2})
# What a machine without systemd and control groups of its own needs; ports, since the five share one address.
SLURM_CONF = f"""
ClusterName=byhand
SlurmctldHost={CONTROLLER}(10.77.0.1)
SlurmUser=slurm
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
GresTypes=gpu
SlurmdParameters=config_overrides
MinJobAge=3600
NodeName=rocky1 NodeAddr=10.77.0.1 Port=7001 CPUs=4 RealMemory=1000 Gres=gpu:2 Features=rocky
NodeName=sick1 NodeAddr=10.77.0.1 Port=7002 CPUs=4 RealMemory=1000 Gres=gpu:2 Features=ubuntu
NodeName=ubuntu1 NodeAddr=10.77.0.1 Port=7003 CPUs=4 RealMemory=1000 Gres=gpu:2 Features=ubuntu
NodeName=debian1 NodeAddr=10.77.0.1 Port=7004 CPUs=4 RealMemory=1000 Features=debian
PartitionName=main Nodes=ALL Default=YES State=UP
"""
GRES_CONF = "NodeName=rocky1,sick1,ubuntu1 Name=gpu File=/dev/nvidia[0-1]\n"


# Slurm resolves no name on a host that has no address but loopback's.
_NETWORK = """set -e
ip link set lo up
ip addr add 10.77.0.1/32 dev lo
exec sleep infinity"""


class Machine(System):
    """One of them; ``enter``: the command that begins each of its processes."""

    def __init__(self, name: str, root: Path, enter: list[str]) -> None:
        self.name, self.root = name, root
        named = 'hostname "$1" && shift && exec "$@"'
        self._enter = [*enter, "unshare", "--uts", "sh", "-c", named, "sh", name, "/usr/sbin/chroot", str(root)]
        self.daemons: list[subprocess.Popen[bytes]] = []

    def ask(self, *command: str, user: str = "root", timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command as somebody who has just logged in."""
        line = ["/usr/sbin/runuser", "-l", user, "-c", shlex.join(command)]
        return subprocess.run(
            [*self._enter, *line],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb"},
        )

    def run(self, *command: str, check: bool = True) -> str:
        done = self.ask(*command)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, *command: str) -> None:
        """Start a daemon in the foreground; it ends with the process table."""
        log = self.root / "var/log" / f"{Path(command[0]).name}.out"
        with open(log, "ab") as out:
            environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
            process = subprocess.Popen(
                [*self._enter, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
            )
        self.daemons.append(process)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the machine."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        return place

    def set_gpus(self, scenario: str) -> None:
        """Give its driver another scenario."""
        sim.write(self.root / LIBRARIES / "scenarios/default.scenario", scenario)

    def logs(self) -> str:
        """Return the ends of its daemons' logs."""
        found = [*self.root.glob("var/log/*.out"), *self.root.glob("var/log/slurm/*.log")]
        return "\n".join(f"--- {self.name} {one.name}\n{one.read_text(errors='replace')[-3000:]}" for one in found)


class Cluster:
    """The five, by name; the first is the controller."""

    def __init__(self, machines: dict[str, Machine], shared: Path) -> None:
        self.machines, self.shared = machines, shared

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    @property
    def controller(self) -> Machine:
        return self.machines[CONTROLLER]

    def start(self, configless: bool) -> None:
        """Start munge, slurmctld and the nodes' slurmd by hand, and wait for the nodes."""
        for one in self.machines.values():
            one.run("install", "-d", "-o", "munge", "-g", "munge", "/run/munge")
            one.run("install", "-d", "-o", "slurm", "-g", "slurm", "/run/slurm")
            one.start("/usr/sbin/runuser", "-u", "munge", "--", "/usr/sbin/munged", "--foreground")
        self.wait(
            lambda: all((one.root / "run/munge/munge.socket.2").exists() for one in self.machines.values()), "munge"
        )
        self.controller.start("/usr/sbin/slurmctld", "-D")
        self.wait(lambda: " is UP" in self.controller.run("scontrol", "ping", check=False), "slurmctld")
        for name in NODES:
            server = ("--conf-server", f"{CONTROLLER}:6817") if configless else ()
            self[name].start("/usr/sbin/slurmd", "-D", *server)
        self.wait(lambda: self.states() == dict.fromkeys(NODES, "idle"), "four idle nodes")

    def states(self) -> dict[str, str]:
        """Return the nodes' states as sinfo shows them."""
        rows = self.controller.run("sinfo", "-h", "-N", "-o", "%N %T", check=False).splitlines()
        return dict(row.split() for row in rows if len(row.split()) == 2)

    def wait(self, answer: Callable[[], object], what: str, limit_s: float = 420) -> None:
        """Ask until the answer is true; raises AssertionError with the daemons' logs."""
        end = time.monotonic() + limit_s
        while not answer():
            ended = [one.name for one in self.machines.values() for it in one.daemons if it.poll() is not None]
            if ended or time.monotonic() > end:
                logs = "\n".join(one.logs() for one in self.machines.values())
                raise AssertionError(f"waited for {what}; daemons ended on: {ended}\n{logs}")
            time.sleep(1)


@contextmanager
def cluster(base: Path, image: System, library: Path, place: Path) -> Iterator[Cluster]:
    """Give five machines that have booted what stands in ``image``, a layer over ``base``, with drivers and devices.

    ``library``: the simulated libnvidia-ml.so.1. ``place``: an empty directory for the mounts.
    """
    with ExitStack() as stack:
        holder = subprocess.Popen(["unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", _NETWORK])
        stack.callback(_end, holder)
        pid = _child(holder.pid)
        enter = ["nsenter", "--net", "--pid", "-t", str(pid)]
        _mount(stack, place, "-t", "tmpfs", "tmpfs")
        shared = place / "shared"
        for one in ("home", "preflight"):
            (shared / one).mkdir(parents=True)
        made = {}
        for name in (CONTROLLER, *NODES):
            own = place / name
            for one in ("root", "upper", "work"):
                (own / one).mkdir(parents=True)
            root = own / "root"
            layers = f"lowerdir={image.root.parent}/upper:{base},upperdir={own}/upper,workdir={own}/work"
            _mount(stack, root, "-t", "overlay", "overlay", "-o", layers)
            (root / "shared").mkdir(exist_ok=True)
            _mount(stack, root / "shared", "--bind", str(shared))
            _mount(stack, root / "home", "--bind", str(shared / "home"))
            _mount(stack, root / "run", "-t", "tmpfs", "-o", "mode=755", "tmpfs")
            _mount(stack, root / "sys", "--rbind", "/sys")
            subprocess.run(["mount", "--make-rslave", str(root / "sys")], check=True)
            _mount(stack, root / "dev", "-t", "tmpfs", "-o", "mode=755", "tmpfs")
            subprocess.run([*enter, "mount", "-t", "proc", "proc", str(root / "proc")], check=True)
            stack.callback(_unmount, root / "proc")
            _devices(root)
            made[name] = Machine(name, root, enter)
            _boot(made[name], library)
        made[CONTROLLER].run("install", "-d", "-o", USER, "-g", USER, f"/home/{USER}")
        yield Cluster(made, shared)


def _boot(machine: Machine, library: Path) -> None:
    machine.write("/etc/hostname", f"{machine.name}\n")
    machine.write("/etc/hosts", f"127.0.0.1 localhost\n10.77.0.1 {CONTROLLER} {' '.join(NODES)}\n")
    if machine.name in SYSTEMS:
        (machine.root / "etc/os-release").unlink()
        machine.write("/etc/os-release", SYSTEMS[machine.name])
    scenario = SCENARIOS.get(machine.name)
    if scenario is None:
        return
    place = machine.root / LIBRARIES
    (place / library.name).write_bytes(library.read_bytes())
    machine.set_gpus(scenario)
    for name in (*devices.of(scenario).files(), "nvidiactl", "nvidia-uvm"):
        _node(machine.root / "dev" / name)
    machine.run("ldconfig")


def _devices(root: Path) -> None:
    names = ("null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr")
    subprocess.run(["cp", "-a", *(f"/dev/{name}" for name in names), str(root / "dev")], check=True)


def _node(path: Path) -> None:
    subprocess.run(["mknod", "-m", "666", str(path), "c", "1", "3"], check=True)  # behaves as /dev/null


def _child(pid: int) -> int:
    """Return the process that is the first of its table."""
    for _ in range(100):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        if found:
            return int(found[0])
        time.sleep(0.05)
    raise AssertionError("no process table of its own")


def _end(holder: subprocess.Popen[bytes]) -> None:
    holder.kill()  # and with it all that runs there
    holder.wait()


def _mount(stack: ExitStack, place: Path, *words: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *words, str(place)], check=True)
    stack.callback(_unmount, place)


def _unmount(place: Path) -> None:
    subprocess.run(["umount", "-R", "-l", str(place)], check=False, capture_output=True)


def printed(shown: str, head: str) -> list[str]:
    """Return the indented lines below the one that begins with ``head``, as an admin copies them."""
    assert shown.count(head) == 1, shown
    after = shown[shown.index(head) :].splitlines()[1:]
    found = []
    for line in after:
        if line.startswith("    "):
            found.append(line.strip())
        elif line.strip() and found:
            break
    return found


def pasted(shown: str) -> tuple[str, str]:
    """Return what `preflight install` printed for slurm.conf and for plugstack.conf."""
    slurm = [line for line in printed(shown, "Add to slurm.conf") if not line.startswith("#")]
    plugstack = printed(shown, "Add to plugstack.conf")
    assert [re.split("=", line)[0] for line in slurm][:2] == ["Prolog", "Epilog"], slurm
    return "\n".join(slurm) + "\n", "\n".join(plugstack) + "\n"
