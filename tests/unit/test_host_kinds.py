"""Each kind of [[host]] row from the policy's text to its findings: on recorded nodes and real kernel interfaces."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from preflight.checks.finding import Finding
from preflight.checks.host.row import growth
from preflight.checks.registry import Context
from preflight.checks.run import run_checks
from preflight.facts.collect import collect
from preflight.facts.source import Source
from preflight.policy.load import parse_policy

HEAD = 'version = 1\nmode = "enforce"\n'
Samples = dict[str, list[tuple[float, int]]]


def judge(rows: str, root: Path | str = "/", live: bool = False, samples: Samples | None = None) -> list[Finding]:
    """Return the findings of the rows in a health check of the node beneath ``root``."""
    policy = parse_policy(HEAD + rows, "p.toml")
    assert policy.warnings == ()
    source = Source(root=str(root), live=live or str(root) == "/", phase="health", host=policy.host_asked("health"))
    document = collect(["host", "host_waiting"], source, 20.0)
    view = document.view()
    found = run_checks(Context("health", view, view, policy, samples=samples or {}))
    return [one for one in found if one.check.startswith("host.")]


def said(rows: str, root: Path | str = "/", **more: Any) -> list[tuple[str, str]]:
    """Return (subject, status) of each finding."""
    return [(one.subject, one.status) for one in judge(rows, root, **more)]


def row(kind: str, **keys: Any) -> str:
    """Return a row as text."""
    lines = [f"{key} = {_value(value)}" for key, value in keys.items()]
    return "\n".join(["[[host]]", f'check = "{kind}"', *lines, ""])


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def files(root: Path, **contents: str) -> Path:
    """Write files beneath a root; "__" in a name stands for "/"."""
    for name, text in contents.items():
        write(root, name.replace("__", "/"), text)
    return root


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


# mount, space

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
fs1:/home /home nfs4 rw,hard,vers=4.2 0 0
tmpfs /dev/shm tmpfs rw,nosuid 0 0
mine /dev/shm/x fuse.sshfs rw,user_id=1000,group_id=1000 0 0
mine /home fuse.sshfs rw,user_id=1000,group_id=1000 0 0
/dev/sdb1 /data\\040disk xfs ro,noatime 0 0
"""


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({"path": "/home"}, "pass"),
        ({"path": "/home", "type": "nfs*", "source": "fs1:*", "options": ["rw", "hard", "!soft"]}, "pass"),
        ({"path": "/home", "options": ["/(^|,)vers=4/"]}, "pass"),
        ({"path": "/home", "options": ["ro"]}, "warn"),
        ({"path": "/home", "options": ["!hard"]}, "warn"),
        ({"path": "/home", "options": ["/(^|,)sec=/"]}, "warn"),
        ({"path": "/home", "type": "lustre"}, "warn"),
        ({"path": "/home", "source": "fs2:/home"}, "warn"),
        ({"path": "/scratch"}, "warn"),
        ({"path": "/scratch", "present": False}, "pass"),
        ({"path": "/home", "present": False}, "warn"),
        ({"path": "/home", "present": False, "type": "ext4"}, "pass"),
        ({"path": "/data disk", "options": ["ro"]}, "pass"),
        ({"path": "/h*"}, "pass"),
        ({"path": "/dev/shm/*", "present": False}, "pass"),  # a user's own by FUSE is nobody's fault
    ],
)
def test_mounts(tmp_path: Path, keys: dict[str, Any], status: str) -> None:
    files(tmp_path, proc__self__mounts=MOUNTS)
    assert [one for _, one in said(row("mount", **keys), tmp_path)] == [status]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounts need root")
def test_room_and_inodes_of_a_real_file_system(tmp_path: Path) -> None:
    """A tmpfs of one MiB and eight inodes, in a mount namespace of its own."""
    script = (
        f"mount -t tmpfs -o size=1m,nr_inodes=8 mine {tmp_path} && "
        f"head -c 900000 /dev/zero >{tmp_path}/full && "
        f"{sys.executable} -c \"import unit.test_host_kinds as t; t.tell_room('{tmp_path}')\""
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "free_min 5% pass",
        "free_min 90% warn",
        "used_max 512K warn",
        "size_min 1M pass",
        "size_min 2M warn",
        "inodes_free_min 50% pass",
        "inodes_free_min 8 warn",
        "inodes_min 8 pass",
        "inodes_max 7 warn",
        "device pass",
        "mounted warn",
        "beside skip",
        "mode 0 pass",
        "read-only warn",
    ]


def tell_room(path: str) -> None:
    """Print what rows say of the tmpfs at ``path``; run in the namespace."""
    for key, bound in (
        ("free_min", "5%"),
        ("free_min", "90%"),
        ("used_max", "512K"),
        ("size_min", "1M"),
        ("size_min", "2M"),
        ("inodes_free_min", "50%"),
        ("inodes_free_min", "8"),
    ):
        print(key, bound, said(row("space", path=path, **{key: bound}))[0][1])
    print("inodes_min 8", said(row("space", path=path, inodes_min=8))[0][1])
    print("inodes_max 7", said(row("space", path=path, inodes_max=7))[0][1])
    print("device", said(row("space", device="mine", free_min="1K"))[0][1])
    print("mounted", said(row("space", path=path, free_min="90%", mounted=True))[0][1])
    print("beside", said(row("space", path=f"{path}/full", free_min="90%", mounted=True))[0][1])
    full = row("file", path=f"{path}/full", tests=["readable-by-root", "writable-by-root"])
    os.chmod(f"{path}/full", 0)
    print("mode 0", said(full)[0][1])
    subprocess.run(["mount", "-o", "remount,ro", path], check=True)
    print("read-only", said(full)[0][1])


def test_a_path_that_is_not_there_is_no_room(tmp_path: Path) -> None:
    (one,) = judge(row("space", path=f"{tmp_path}/gone", free_min="1%", action="drain"))
    assert (one.status, one.blame, one.observed) == ("fail", "node", "absent")


# memory, cpu, load

MEMINFO = """\
MemTotal: 528480000 kB
MemAvailable: 500000000 kB
SwapTotal: 8388604 kB
SwapFree: 4194302 kB
Hugepagesize: 2048 kB
"""


@pytest.mark.parametrize(
    ("keys", "statuses"),
    [
        ({"physical_min": "500G"}, ["pass"]),
        ({"physical_min": "512G"}, ["warn"]),
        ({"physical_min": "512G", "fudge": "5%"}, ["pass"]),
        ({"physical_max": "500G"}, ["warn"]),
        ({"physical_free_min": "50%"}, ["pass"]),
        ({"physical_free_min": "99%"}, ["warn"]),
        ({"swap_min": "8G"}, ["warn"]),
        ({"swap_min": "8G", "fudge": "1M", "swap_free_min": "40%"}, ["pass", "pass"]),
        ({"swap_max": "0"}, ["warn"]),
        ({"total_min": "511G"}, ["pass"]),
        ({"hugepages_min": 8, "hugepages_free_min": 8}, ["pass", "warn"]),
        ({"hugepages_min": 1, "hugepage_size": "1G"}, ["warn"]),
    ],
)
def test_memory(tmp_path: Path, keys: dict[str, Any], statuses: list[str]) -> None:
    files(tmp_path, proc__meminfo=MEMINFO)
    write(tmp_path, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "16\n")
    write(tmp_path, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "4\n")
    assert [status for _, status in said(row("memory", **keys), tmp_path)] == statuses


def test_free_memory_is_users_to_take_and_a_missing_module_is_not(tmp_path: Path) -> None:
    files(tmp_path, proc__meminfo=MEMINFO)
    (free,) = judge(row("memory", physical_free_min="99%", action="drain"), tmp_path)
    (missing,) = judge(row("memory", physical_min="512G", action="drain"), tmp_path)
    assert (free.status, free.blame, missing.status, missing.blame) == ("warn", "user", "fail", "node")


def cpus(root: Path, offline: tuple[int, ...] = (), governor: str = "performance") -> None:
    """Two sockets of four cores with two threads each."""
    for number in range(16):
        here = f"sys/devices/system/cpu/cpu{number}"
        write(root, f"{here}/cpufreq/scaling_governor", f"{governor}\n")
        if number not in offline:
            write(root, f"{here}/topology/physical_package_id", f"{number % 8 // 4}\n")
            write(root, f"{here}/topology/core_id", f"{number % 4}\n")


def test_cpus(tmp_path: Path) -> None:
    cpus(tmp_path)
    every = row("cpu", sockets=2, cores=8, threads=16, governor="performance")
    assert said(every, tmp_path) == [(key, "pass") for key in ("sockets", "cores", "threads", "governor")]


def test_a_cpu_that_is_offline_and_a_governor_that_is_not_set(tmp_path: Path) -> None:
    cpus(tmp_path, offline=(3, 11), governor="powersave")
    found = judge(row("cpu", sockets=2, cores=8, threads=16, governor="performance"), tmp_path)
    assert [one.status for one in found] == ["pass", "warn", "warn", "warn"]
    assert found[1].message == "7 cores, 2 CPUs are offline"
    assert said(row("cpu", sockets=2), tmp_path / "empty") == [("cpu", "unknown")]


def test_load(tmp_path: Path) -> None:
    files(tmp_path, proc__loadavg="12.50 8.00 4.00 3/900 4711\n")
    found = judge(row("load", one_max=12, five_max=8, action="drain"), tmp_path)
    assert [(one.status, one.blame) for one in found] == [("warn", "user"), ("pass", "node")]
    assert said(row("load", fifteen_max=3.5), tmp_path) == [("load", "warn")]


# process, users, service, socket


def process(root: Path, pid: int, name: str, *, state: str = "S", parent: int = 1, uid: int = 0, **more: Any) -> None:
    """Record a process: began 100 s after boot, used ``cpu_s`` seconds, has ``pages`` of memory."""
    ticks = os.sysconf("SC_CLK_TCK")
    fields = [str(pid), f"({name})", state, str(parent), *["0"] * 9, str(int(more.get("cpu_s", 0) * ticks)), "0"]
    fields += ["0"] * 6 + [str(100 * ticks), "0", str(more.get("pages", 10)), *["0"] * 20]
    write(root, f"proc/{pid}/stat", " ".join(fields) + "\n")
    write(root, f"proc/{pid}/status", f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
    line = more.get("line", "" if parent == 2 else name)  # a kernel thread has none
    write(root, f"proc/{pid}/cmdline", line.replace(" ", "\0") + "\0" * bool(line))


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A node with some processes, 1000 s after its start."""
    files(tmp_path, proc__uptime="1000.0 900.0\n", proc__meminfo="MemTotal: 1000000 kB\n")
    write(tmp_path, "etc/passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n")
    process(tmp_path, 1, "systemd", parent=0)
    process(tmp_path, 2, "kthreadd", parent=0)
    process(tmp_path, 9, "kswapd0", parent=2, cpu_s=300)
    process(tmp_path, 10, "sssd", line="/usr/sbin/sssd -i --logger=files")
    process(tmp_path, 11, "nvidia-persiste", line="/usr/bin/nvidia-persistenced --verbose")
    process(tmp_path, 20, "slurmstepd")
    process(tmp_path, 21, "python) x", parent=20, uid=1000, cpu_s=1800, pages=50000)
    process(tmp_path, 22, "dead", state="Z", parent=21, uid=1000)
    process(tmp_path, 30, "miner", uid=1001)
    return tmp_path


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({"name": "sssd"}, "pass"),
        ({"name": "sssd", "user": "root", "count_min": 2}, "warn"),
        ({"name": "nvidia-persistenced"}, "pass"),  # the kernel keeps fifteen letters
        ({"match": "/usr/sbin/sssd *"}, "pass"),
        ({"match": "/--logger=(files|stderr)/"}, "pass"),
        ({"match": "*kswapd0*"}, "pass"),  # as ps shows it: [kswapd0]
        ({"match": "kswapd0"}, "warn"),
        ({"name": "chronyd"}, "warn"),
        ({"name": "miner", "count_max": 0}, "warn"),
        ({"name": "miner", "user": "root", "count_max": 0}, "pass"),
        ({"name": "*", "user": "alice", "state": "Z", "count_max": 0}, "warn"),
        ({"state": "D", "count_max": 0}, "pass"),
        ({"name": "python*", "cpu_max": "150%"}, "warn"),
        ({"name": "python*", "cpu_max": "250%"}, "pass"),
        ({"name": "python*", "rss_max": "100M"}, "warn"),
        ({"name": "python*", "memory_max": "50%"}, "pass"),
        ({"name": "sssd", "age_max": "10m"}, "warn"),
        ({"name": "kswapd*", "cputime_max": "1m"}, "warn"),
        ({"name": "sssd", "user": "nobody-here"}, "unknown"),
    ],
)
def test_processes(busy: Path, keys: dict[str, Any], status: str) -> None:
    worst = [one for _, one in said(row("process", **keys), busy)]
    assert worst[-1] == status


def test_who_is_to_blame_for_a_process(busy: Path) -> None:
    def blame(**keys: Any) -> tuple[str, str]:
        one = judge(row("process", action="drain", **keys), busy)[0]
        return one.status, one.blame

    assert blame(name="chronyd") == ("fail", "node")
    assert blame(name="miner", count_max=0) == ("warn", "user")
    assert blame(name="sssd", user="root", count_max=0) == ("fail", "node")


def test_a_setuid_program_is_its_callers(busy: Path) -> None:
    process(busy, 32, "su", uid=1001)
    write(busy, "proc/32/status", "Name:\tsu\nUid:\t1001\t0\t0\t0\n")
    assert said(row("process", name="su", user="root"), busy) == [("su", "warn")]
    assert said(row("process", name="su", user="1001"), busy) == [("su", "pass")]


def test_users_without_a_job(busy: Path) -> None:
    (one,) = judge(row("users"), busy)
    assert (one.status, one.blame) == ("warn", "user")
    assert "miner (30, uid 1001)" in one.message
    assert "python" not in one.message  # alice has a job here
    assert said(row("users", allow=["bob"]), busy) == [("users", "pass")]
    assert said(row("users", uid_min=2000), busy) == [("users", "pass")]
    process(busy, 31, "ssh-agent", uid=1000)
    assert said(row("users", allow=["bob"]), busy) == [("users", "pass")]
    assert said(row("users", allow=["bob"], strict=True), busy) == [("users", "warn")]


def test_a_process_of_this_machine(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "preflight-test-mark"])
    try:
        assert said(row("process", match="*preflight-test-mark", user=str(os.getuid()), count_min=1)) == [
            ("*preflight-test-mark", "pass")
        ]
    finally:
        child.kill()
        child.wait()
    assert said(row("process", match="*preflight-test-mark", count_min=1)) == [("*preflight-test-mark", "warn")]


def unit(root: Path, name: str, pid: str = "", text: str = "") -> None:
    mark = root / "run/systemd/units" / f"invocation:{name}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.symlink_to("0123456789abcdef")
    if pid:
        write(root, f"sys/fs/cgroup/system.slice/{name}/cgroup.procs", f"{pid}\n")
    if text:
        write(root, f"usr/lib/systemd/system/{name}", text)


def test_services(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/system.slice").mkdir(parents=True)
    unit(tmp_path, "sshd.service", "77")
    unit(tmp_path, "loops.service", text="[Service]\nType=simple\n")  # started again and again: no process
    unit(tmp_path, "once.service", text="[Service]\nType=oneshot\nRemainAfterExit=yes\n")
    unit(tmp_path, "home.mount")
    assert said(row("service", unit=["sshd", "once", "home.mount", "loops", "gone"]), tmp_path) == [
        ("sshd.service", "pass"),
        ("once.service", "pass"),
        ("home.mount", "pass"),
        ("loops.service", "warn"),
        ("gone.service", "warn"),
    ]
    assert said(row("service", unit=["sshd", "ssh"]), tmp_path)[1] == ("ssh.service", "warn")
    (tmp_path / "usr/lib/systemd/system/ssh.service").symlink_to("sshd.service")
    write(tmp_path, "usr/lib/systemd/system/sshd.service", "[Service]\nType=notify\n")
    assert said(row("service", unit=["ssh"]), tmp_path) == [("ssh.service", "pass")]
    assert said(row("service", unit="gone", state="inactive"), tmp_path) == [("gone.service", "pass")]
    assert said(row("service", unit="sshd"), tmp_path / "nothing") == [("sshd", "unknown")]


@pytest.mark.parametrize(
    ("name", "files", "status"),
    [
        (
            "a-b@1.service",
            {"sys/fs/cgroup/system.slice/system-a\\x2db.slice/a-b@1.service/cgroup.procs": "7\n"},
            "pass",
        ),
        ("deep.service", {"sys/fs/cgroup/system.slice/deep.service/cgroup.events": "populated 1\nfrozen 0\n"}, "pass"),
        ("else.service", {"etc/systemd/system/else.service": "[Service]\nSlice=gpu.slice\n"}, "pass"),
        ("made.service", {"run/systemd/generator.late/made.service": "[Service]\nRemainAfterExit=yes\n"}, "pass"),
        ("once.service", {"etc/systemd/system/once.service.d/10.conf": "[Service]\nType=oneshot\n"}, "pass"),
        ("a@1.service", {"etc/systemd/system/a@.service.d/10.conf": "[Service]\nType = oneshot\n"}, "pass"),
        ("a-b.service", {"etc/systemd/system/a-.service.d/10.conf": "[Service]\nSlice=gpu.slice\n"}, "pass"),
        ("unknown.service", {"etc/systemd/system/other.service": "[Service]\n"}, "pass"),
        ("x@1.service", {"etc/systemd/system/x@.service": "[Service]\nType=simple\n"}, "warn"),
        ("x.service", {"run/systemd/generator/x.service": "[Service]\nType=simple\n"}, "warn"),
    ],
)
def test_a_service_outside_its_usual_place(tmp_path: Path, name: str, files: dict[str, str], status: str) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/system.slice").mkdir(parents=True)
    unit(tmp_path, name)
    for path, text in files.items():
        write(tmp_path, path, text)
    assert said(row("service", unit=name), tmp_path) == [(name, status)]


def test_sockets_of_this_machine(tmp_path: Path) -> None:
    with socket.socket() as listening, socket.socket(socket.AF_UNIX) as local, socket.socket() as client:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        local.bind(f"{tmp_path}/s")
        local.listen()
        client.connect(("127.0.0.1", port))
        rows = row("socket", port=port, address="127.0.0.1") + row("socket", proto="unix", address=f"{tmp_path}/s")
        rows += row("socket", remote=f"127.0.0.1:{port}", state="connected")
        assert [status for _, status in said(rows)] == ["pass"] * 3
        assert said(row("socket", port=port, address="10.*")) == [("10.*", "warn")]
    assert said(row("socket", port=port)) == [(str(port), "warn")]


# file, dmi, edac


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files(tmp_path, etc__passwd="root:x:0:0::/:/bin/sh\n", etc__group="root:x:0:\n", etc__motd="")
    write(tmp_path, "etc/nsswitch.conf", "passwd: files sss\n# group: files\nhosts: files dns\n")
    (tmp_path / "etc/nsswitch.conf").chmod(0o640)
    write(tmp_path, "etc/indented", "  options x\n")
    (tmp_path / "link").symlink_to("/etc/motd")
    os.utime(tmp_path / "etc/motd", (time.time() - 7200,) * 2)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    return tmp_path


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({"path": "/etc/motd"}, ""),
        ({"path": "/etc/gone"}, "is not there"),
        ({"path": "/etc/gone", "tests": ["absent"]}, ""),
        ({"path": "/etc/motd", "tests": ["absent"]}, "is there"),
        ({"path": "/tmp", "tests": ["directory", "sticky"], "mode": "1777"}, ""),
        ({"path": "/tmp", "tests": ["file"]}, "is no file"),
        ({"path": "/etc/motd", "tests": ["executable"]}, "is not executable"),
        ({"path": "/etc/motd", "tests": ["empty"]}, ""),
        ({"path": "/etc/motd", "tests": ["nonempty"]}, "is empty"),
        ({"path": "/link", "tests": ["link"], "target": "/etc/*"}, ""),
        ({"path": "/link", "target": "/usr/*"}, "leads to /etc/motd"),
        ({"path": "/etc/motd", "tests": ["link"]}, "is no link"),
        ({"path": "/etc/nsswitch.conf", "mode": "0644"}, "has mode 0640"),
        ({"path": "/etc/nsswitch.conf", "mode_max": "0644"}, ""),
        ({"path": "/tmp", "mode_max": "0755"}, "has mode 1777"),
        ({"path": "/etc/motd", "size_min": "1"}, "has 0 bytes"),
        ({"path": "/etc/nsswitch.conf", "size_max": "10"}, "has 50 bytes"),
        ({"path": "/etc/motd", "age_max": "1h"}, "was written 2 h ago"),
        ({"path": "/etc/motd", "age_min": "1h"}, ""),
        ({"path": "/etc/nsswitch.conf", "newer_than": "/etc/motd"}, ""),
        ({"path": "/etc/nsswitch.conf", "older_than": "/etc/motd"}, "is not older than /etc/motd"),
        ({"path": "/etc/nsswitch.conf", "contents": ["passwd: files*", "/^hosts:.*dns/", "!group*"]}, ""),
        ({"path": "/etc/nsswitch.conf", "contents": ["shadow:*"]}, "has no line shadow:*"),
        ({"path": "/etc/indented", "contents": ["options x", "/^options/", "/^  options/"]}, ""),
        ({"path": "/etc/indented", "tests": ["readable-by-root", "writable-by-root"]}, ""),
        ({"path": "/etc/gone", "tests": ["readable-by-root"]}, "is not there"),
        ({"path": "/etc/indented", "contents": ["!/^options x$/"]}, "has a line that matches /^options x$/"),
        ({"path": "/etc/nsswitch.conf", "contents": ["!/sss/"]}, "has a line that matches /sss/"),
        ({"path": "/etc/n*.conf"}, ""),
        ({"path": "/etc/x*.conf"}, "is not there"),
    ],
)
def test_files(tree: Path, keys: dict[str, Any], wrong: str) -> None:
    (one,) = judge(row("file", **keys), tree)
    assert one.status == ("warn" if wrong else "pass")
    assert one.observed == (wrong or None)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize(
    ("keys", "whose"),
    [
        ({"path": "/tmp/x"}, "user"),
        ({"path": "/dev/shm/a*"}, "user"),
        ({"path": "/*/x/y"}, "user"),
        ({"path": "/etc/../tmp/x"}, "user"),
        ({"path": "/tmp", "age_max": "1s"}, "user"),
        ({"path": "/etc/x", "newer_than": ["/tmp/x"]}, "user"),
        ({"path": "/tmp", "mode": "1777"}, "node"),
        ({"path": "/etc/x"}, "node"),
        ({"path": "/dev/nvidia0"}, "node"),
        ({"path": "/tmp/x", "writers": "root"}, "node"),
        ({"path": "/etc/x", "writers": "users"}, "user"),
    ],
)
def test_a_file_that_users_can_change_drains_nothing(keys: dict[str, Any], whose: str) -> None:
    (found,) = parse_policy(HEAD + row("file", action="drain", **keys), "p.toml").host_rows("health")
    assert bool(found.users) is (whose == "user")


def test_owners(tree: Path) -> None:
    os.chown(tree / "etc/motd", 4242, 4243)
    (one,) = judge(row("file", path="/etc/motd", owner="root", group="root"), tree)
    assert one.observed == "is uid 4242's; is gid 4243's"
    assert said(row("file", path="/etc/motd", owner="4242", group="4243"), tree) == [("/etc/motd", "pass")]
    assert said(row("file", path="/etc/motd", owner="nobody-here"), tree) == [("/etc/motd", "unknown")]


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert said(row("file", path="/pipe", tests=["fifo"]), tmp_path) == [("/pipe", "pass")]
    assert said(row("file", path="/pipe", contents=["x"]), tmp_path) == [("/pipe", "unknown")]


def test_dmi(tmp_path: Path) -> None:
    here = "sys/class/dmi/id"
    write(tmp_path, f"{here}/bios_version", "2.3\n")
    write(tmp_path, f"{here}/product_name", "PowerEdge XE9680\n")
    assert said(row("dmi", match=["BIOS Information: Version: 2.3", "/XE9680/"]), tmp_path)[0][1] == "pass"
    (one,) = judge(row("dmi", match="BIOS Information: Version: 2.4"), tmp_path)
    assert (one.status, one.observed) == ("warn", "BIOS Information: Version: 2.3")
    assert said(row("dmi", match="x"), tmp_path / "none") == [("x", "unknown")]


def test_edac_counts_within_its_window(tmp_path: Path) -> None:
    for name, number in (("ce_count", 12), ("ue_count", 0)):
        write(tmp_path, f"sys/devices/system/edac/mc/mc0/{name}", f"{number}\n")
    every = row("edac", corrected_max=10, uncorrected_max=0)
    assert said(every, tmp_path) == [("mc0", "warn"), ("mc0", "pass")]
    hourly = row("edac", corrected_max=10, window="1h")
    before: Samples = {"edac mc0 corrected": [(7000.0, 1), (1800.0, 11)]}
    assert said(hourly, tmp_path, samples=before) == [("mc0", "warn")]  # 11 since two hours, of which one counts
    assert said(hourly, tmp_path, samples={"edac mc0 corrected": [(1800.0, 11)]}) == [("mc0", "pass")]
    assert said(every, tmp_path / "none") == [("edac", "unknown")]


@pytest.mark.parametrize(
    ("samples", "value", "grown"),
    [
        ([], 9, 0),
        ([(100.0, 4)], 9, 5),
        ([(9000.0, 1), (100.0, 4)], 9, 8),  # the last one before the window is where it begins
        ([(100.0, 7), (50.0, 1)], 3, 3),  # set back to zero in between
        ([(9000.0, 1)], 9, 8),
    ],
)
def test_growth(samples: list[tuple[float, int]], value: int, grown: int) -> None:
    assert growth(samples, value, 3600.0) == grown


# infiniband, ethernet, ping


def ib_port(root: Path, device: str, layer: str = "InfiniBand", state: str = "4: ACTIVE", **more: Any) -> None:
    here = f"sys/class/infiniband/{device}/ports/1"
    for name, text in (
        ("link_layer", layer),
        ("state", state),
        ("phys_state", more.get("phys", "5: LinkUp")),
        ("rate", more.get("rate", "400 Gb/sec (4X NDR)")),
        ("counters/link_downed", str(more.get("downed", 0))),
        ("counters/symbol_error", str(more.get("symbols", 0))),
    ):
        write(root, f"{here}/{name}", f"{text}\n")


def test_one_of_eight_ports_that_is_down_is_found_and_neither_efa_nor_roce_is_one(tmp_path: Path) -> None:
    for number in range(8):
        ib_port(tmp_path, f"mlx5_{number}")
    ib_port(tmp_path, "mlx5_8", "Ethernet", "1: DOWN")
    ib_port(tmp_path, "rdmap0", "Unspecified", "1: DOWN")
    every = row("infiniband", rate_min=400, count_min=8, action="drain")
    assert said(every, tmp_path) == [(f"mlx5_{number}/1", "pass") for number in range(8)]
    ib_port(tmp_path, "mlx5_3", state="1: DOWN", phys="2: Polling")
    (bad,) = [one for one in judge(every, tmp_path) if one.status != "pass"]
    assert (bad.subject, bad.status, bad.message) == ("mlx5_3/1", "fail", "mlx5_3/1 is DOWN (Polling)")
    ib_port(tmp_path, "mlx5_3", rate="200 Gb/sec (2X NDR)")
    assert ("mlx5_3/1", "fail") in said(every, tmp_path)
    shutil.rmtree(tmp_path / "sys/class/infiniband/mlx5_3")
    assert said(every, tmp_path)[0] == ("infiniband", "fail")
    assert said(row("infiniband", device="mlx5_1", port=1), tmp_path) == [("mlx5_1/1", "pass")]
    assert said(row("infiniband", device="mlx4_*"), tmp_path) == [("mlx4_*", "warn")]


def test_a_port_of_another_layer_or_another_rate_counts_where_the_row_says_so(tmp_path: Path) -> None:
    ib_port(tmp_path, "mlx5_0", "Ethernet", rate="100 Gb/sec (4X EDR)")
    asked = {"device": "mlx5_0", "port": 1}
    assert said(row("infiniband", **asked), tmp_path) == [("mlx5_0", "warn")]
    assert said(row("infiniband", **asked, layer="any"), tmp_path) == [("mlx5_0/1", "pass")]
    assert said(row("infiniband", **asked, layer="Ethernet", rate_max=100), tmp_path) == [("mlx5_0/1", "pass")]
    assert said(row("infiniband", **asked, layer="any", rate_max=50), tmp_path) == [("mlx5_0/1", "warn")]


def test_a_link_that_went_down_too_often_within_the_window(tmp_path: Path) -> None:
    ib_port(tmp_path, "mlx5_0", downed=9, symbols=100)
    asked = row("infiniband", link_downed_max=2, window="1h")
    now: Samples = {"infiniband mlx5_0/1 link_downed": [(1800.0, 6)]}
    long_ago: Samples = {"infiniband mlx5_0/1 link_downed": [(9000.0, 6), (3700.0, 9)]}
    assert said(asked, tmp_path, samples=now) == [("mlx5_0/1", "warn")]
    assert said(asked, tmp_path, samples=long_ago) == [("mlx5_0/1", "pass")]
    errors = row("infiniband", errors_max=50)
    assert said(errors, tmp_path, samples={"infiniband mlx5_0/1 symbol_error": [(60.0, 10)]}) == [("mlx5_0/1", "warn")]


NAMESPACE = """\
set -e
ip link set lo up
ip link add veth0 mtu 9000 type veth peer name veth1
ip link set veth0 up; ip link set veth1 up
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="network namespaces need root and iproute2")
def test_interfaces_and_hosts_in_a_network_namespace() -> None:
    command = [sys.executable, "-c", "import unit.test_host_kinds as t; t.tell_links()"]
    script = NAMESPACE + 'exec "$@"'
    done = subprocess.run(
        ["unshare", "-n", "-m", "sh", "-c", f"mount -t sysfs none /sys; {script}", "sh", *command],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "up pass",
        "rate pass",
        "rate warn",
        "mtu warn",
        "flaps 2 pass",
        "flaps 1 warn",
        "down warn",
        "ping pass",
        "ping6 pass",
        "nobody warn",
        "port pass",
        "closed warn",
    ], done.stderr


def tell_links() -> None:
    """Print what rows say of a veth pair and of addresses; run in the namespace."""

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    def carrier_settles() -> None:
        until = time.monotonic() + 20
        while Path("/sys/class/net/veth0/operstate").read_text() != "up\n" and time.monotonic() < until:
            time.sleep(0.05)

    def tell(word: str, text: str, samples: Samples | None = None) -> None:
        print(word, said(text, samples=samples)[0][1])

    carrier_settles()
    downs = int(Path("/sys/class/net/veth0/carrier_down_count").read_text())
    before: Samples = {"ethernet veth0 downs": [(60.0, downs)]}
    tell("up", row("ethernet", device="veth0"))
    tell("rate", row("ethernet", device="veth0", rate_min=10))  # what veth says it has
    tell("rate", row("ethernet", device="veth0", rate_min=400))
    tell("mtu", row("ethernet", device="veth0", mtu=1500))
    for _ in range(2):
        ip("link", "set", "veth1", "down")
        ip("link", "set", "veth1", "up")
        carrier_settles()
    tell("flaps 2", row("ethernet", device="veth0", flaps_max=2), before)
    tell("flaps 1", row("ethernet", device="veth0", flaps_max=1), before)
    ip("link", "set", "veth1", "down")
    tell("down", row("ethernet", device="veth0"))
    tell("ping", row("ping", host="127.0.0.1", count=1))
    tell("ping6", row("ping", host="::1", count=1))
    tell("nobody", row("ping", host="192.0.2.1", count=1, timeout="1s"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        tell("port", row("ping", host="127.0.0.1", port=port))
    tell("closed", row("ping", host="127.0.0.1", port=port, count=1))


def test_more_files_than_are_looked_at_are_unknown(tmp_path: Path) -> None:
    files(tmp_path, **{f"etc/many/{number}": "" for number in range(300)})
    (found,) = judge(row("file", path="/etc/many/*", tests=["file"]), tmp_path)
    assert (found.status, "300 files fit /etc/many/*" in found.message) == ("unknown", True)
