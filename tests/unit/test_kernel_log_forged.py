"""What a user can write that looks like the kernel's word on broken hardware: none of it counts."""

import os
import re
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.facts.kmsg import journal, source
from preflight.facts.kmsg.chosen import is_chosen
from preflight.facts.kmsg.history import History
from preflight.facts.kmsg.kinds import Reading
from preflight.facts.kmsg.records import Record, from_kmsg
from preflight.facts.rootfs import Root
from unit.test_kernel_log import KINDS, LOST

SXID = "nvidia-nvswitch2: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up"
RECOVERY = "NVRM: Xid (PCI:0000:3a:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"
GENUINE = [*(text for text, *_ in KINDS), LOST, SXID, RECOVERY, "NVRM: Xid 79, GPU has fallen off the bus."]
SHORT = [
    "NVRM: Xid 79, ",
    "NVRM: Xid 79",
    "NVRM: Xid:79,",
    "NVRM:",
    "EDAC MC0: 1 UE ",
    "Killed process ",
    "{",
    "XFS (sda1):",
]
# As the kernel writes them of a process (arch/x86/mm/fault.c, arch/x86/kernel/traps.c, mm/memfd.c, fs/drop_caches.c,
# mm/oom_kill.c, mm/page_alloc.c, arch/arm64/kernel/traps.c) or an interface; {0} its name, {1} what else a user names.
BY_NAME = [
    "{0}[4242]: segfault at 0 ip 00007efe59785ad8 sp 00007ffdfe3505c8 error 4 in {1}[167ad8,7efe59644000+156000]",
    "{0}[4242]: memfd_create() called without MFD_EXEC or MFD_NOEXEC_SEAL set",
    "{0}[4242]: unhandled exception: DABT (lower EL), ESR 0x92000046, level 2 translation fault in {1}[55+1]",
    "{0}[4242] vsyscall attempted with vsyscall=none ip:ffffffffff600000 cs:33 sp:7ffd di:7ffd",
    "{0} (4242): Using mlock ulimits for SHM_HUGETLB is deprecated",
    "{0}(4242): unaligned access to 0x6000000000000003, ip=0x20000000",
    "{0} (pid 4242) is setting deprecated v1 encryption policy; recommend upgrading to v2.",
    "{0} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    "{0}: page allocation failure: order:5, mode:0x40dc0(GFP_KERNEL|__GFP_COMP), nodemask=(null),cpuset={1}",
    "{0}: vmalloc error: size 4096, failed to allocate pages, mode:0xcc0(GFP_KERNEL), nodemask=(null),cpuset={1}",
    "{0}/4242 is trying to acquire lock:",
    "{0}: renamed from {1}",
    "{0}: entered promiscuous mode",
]
AROUND = [
    "traps: {0}[4242] general protection fault ip:7f00 sp:7ffd error:0 in {1}[7f00+1000]",
    "process '{1}' started with executable stack",
    "{1}IN=eth0 OUT= MAC=00 SRC=10.0.0.1 DST=10.0.0.2 LEN=60 PROTO=TCP SPT=1 DPT=2",
    "NVRM: API mismatch: the client '{0}' (pid 4242) has the version {1}, but",
    "NVRM: API mismatch: the client has the version {1}, but\nNVRM: this kernel module has the version 580.1.",
    "CPU: 3 PID: 4242 Comm: {0} Not tainted 6.8.0 #1",
    "cgroup: fork rejected by pids controller in /user.slice/{1}",
    'audit: type=1701 audit(1.2:3): auid=1000 uid=1000 pid=4242 comm="{0}" exe="/tmp/{1}" sig=11',
    "overlayfs: failed to resolve '{1}': -2",
    "IPv6: ADDRCONF(NETDEV_CHANGE): {0}: link becomes ready",
    "warning: `{0}' uses wireless extensions which will stop working for Wi-Fi 7 hardware",
    "Code: {1}",
]


def kinds(text: str) -> list[str]:
    """Return what a kernel's own record is taken for, whatever it holds of NCCL (that is its own user's alone)."""
    event = Reading().event(Record(0, 1, 1, text))
    return [] if event is None or event.kind == "nccl_segfault" else [event.kind]


def test_the_genuine_ones_still_count() -> None:
    for text in GENUINE:
        assert is_chosen(text) is ("segfault" in text), text
        assert Reading().event(Record(0, 1, 1, text)) is not None, text


@pytest.mark.parametrize("form", [*BY_NAME, *AROUND])
def test_a_name_of_a_users_choosing_fakes_nothing(form: str) -> None:
    for text in [*GENUINE, *SHORT]:
        for more in (text, text[15:], f"x {text}", "hard LOCKUP", "GPU 0000:3b:00.0: GPU has fallen off the bus", ""):
            record = form.format(text[:15], more)
            assert kinds(record) == [], record


@given(st.sampled_from(BY_NAME), st.text(max_size=15), st.sampled_from(GENUINE))
def test_no_name_at_all_fakes_anything(form: str, name: str, more: str) -> None:
    assert kinds(form.format(name, more)) == []


@given(st.sampled_from(GENUINE), st.text(max_size=8))
def test_a_line_break_in_a_name_begins_no_record(text: str, name: str) -> None:
    record = from_kmsg(f"4,1,2,-;{name}\\x0a{text}".encode())
    assert record is None or name or record.text.startswith("\n")
    assert record is None or kinds(record.text) == []


def test_a_path_that_a_user_names_in_a_kernel_record() -> None:
    path = "0000:81:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=x"
    for text in (f"process '/tmp/{path}' started with executable stack", f"process '/a {path}'", f"x{path}", path):
        assert kinds(text) == [], text
    assert kinds(f"nvidia {path}") == ["pcie"]
    assert kinds(f"pcieport 0000:81:00.0: AER: {path.partition(': ')[2]}") == ["pcie"]


# --- on the kernel of this machine


CRASH = """
import ctypes, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)
ctypes.string_at(0)
"""


def crash(name: str) -> int:
    """Have a process of that name crash; return its number, once the kernel told of it.

    The kernel tells of ten in five seconds, whoever else's tests crash meanwhile.
    """
    last = max((one.seq for one in records()), default=-1)
    for _ in range(60):
        process = subprocess.Popen(["/usr/bin/python3", "-I", "-c", CRASH, name])
        process.wait(60)
        for one in records():  # in a process table of its own it has another number there than the kernel's
            found = re.search(re.escape(name[:15]) + r"\[(\d+)\]: segfault", one.text) if one.seq > last else None
            if found:
                return int(found[1])
        time.sleep(1)
    raise AssertionError("the kernel tells of no crash")


def records() -> list[Record]:
    descriptor = os.open(source.KMSG, os.O_RDONLY | os.O_NONBLOCK)
    found = []
    try:
        while True:
            record = from_kmsg(os.read(descriptor, 8192))
            if record is not None:
                found.append(record)
    except BlockingIOError:
        return found
    finally:
        os.close(descriptor)


def closed() -> str:
    if not sys.platform.startswith("linux") or os.geteuid():
        return "needs root"
    try:
        os.close(os.open(source.KMSG, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        return f"{source.KMSG}: {error.strerror}"
    if Path("/proc/sys/debug/exception-trace").read_text().strip() != "1":
        return "this kernel does not log crashes (debug.exception-trace)"
    return ""


real = pytest.mark.skipif(bool(closed()), reason=closed())


@real
def test_a_crash_begins_with_the_name_that_the_process_took() -> None:
    """The name is no fault's here: other tests may read this log."""
    pid = crash("Xpr: Flight 79, ")
    (text,) = [one.text for one in records() if f"[{pid}]: segfault" in one.text and one.facility == 0]
    assert text.startswith(f"Xpr: Flight 79,[{pid}]")  # 15 bytes of it
    assert is_chosen(text)


@real
def test_a_write_of_roots_is_filed_as_a_programs() -> None:
    mark = f"a test of {uuid.uuid4()}"
    for level in (b"<3>", b"<0>", b"<8>", b"<-1>", b""):  # <3>: facility 0 asked for
        with open(source.KMSG, "wb", buffering=0) as file:
            file.write(level + f"NVRM: Xid (PCI:0000:fe:00): 79, {mark}\n".encode())
    mine = [one for one in records() if mark in one.text]
    assert len(mine) == 5
    assert 0 not in {one.facility for one in mine}


@real
def test_a_container_with_cap_syslog_writes_nothing_and_hides_nothing() -> None:
    """CAP_SYSLOG reads and clears what dmesg prints; a reader of /dev/kmsg sees all of it still."""
    pid = crash("preflight-before")
    code = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.klogctl(10, None, 0) > 0)\n"  # SYSLOG_ACTION_SIZE_BUFFER: the capability is there
        "try:\n    os.open('/dev/kmsg', os.O_WRONLY); print('open')\n"
        "except PermissionError: print('refused')\n"
    )
    caps = ["--ambient-caps=+syslog", "--inh-caps=+syslog", "--bounding-set=-all,+syslog"]
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *caps, "/usr/bin/python3", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.split() == ["True", "refused"]
    assert any(f"[{pid}]: segfault" in one.text for one in records())


# --- through a real journald of our own


JOURNALD = "/lib/systemd/systemd-journald"
START = """
mount -t tmpfs none /run && mount -t tmpfs none /var/log && mkdir -p /run/systemd/journal /run/log/journal || exit 3
exec {0}
"""


class Journald:
    """systemd-journald in a mount namespace: it reads this machine's /dev/kmsg, and what is sent to its sockets."""

    def __init__(self) -> None:
        shell = ["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", START.format(JOURNALD)]
        self.process = subprocess.Popen(shell, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        self.root = Path(f"/proc/{self.process.pid}/root")
        self.sockets = self.root / "run/systemd/journal"
        self.wait(lambda: (self.sockets / "stdout").exists(), "the sockets")

    def wait(self, condition: object, what: str) -> None:
        assert callable(condition)
        until = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, f"journald ended before {what}"
            assert time.monotonic() < until, f"journald: no {what}"
            time.sleep(0.05)

    def send(self, name: str, data: bytes, kind: int = socket.SOCK_DGRAM) -> None:
        with socket.socket(socket.AF_UNIX, kind) as sender:
            descriptor = os.open(self.sockets / name, os.O_PATH)  # its path is longer than a socket's may be
            try:
                sender.connect(f"/proc/self/fd/{descriptor}")
            finally:
                os.close(descriptor)
            sender.sendall(data)

    def journal(self) -> str:
        return str(next((self.root / "run/log/journal").iterdir()))

    def texts(self) -> str:
        command = ["journalctl", f"--directory={self.journal()}", "-b", "-q", "-o", "json"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@real
@pytest.mark.skipif("PREFLIGHT_OLDEST" in os.environ, reason="scripts/test-oldest: a chroot is no place of mounts")
def test_what_programs_send_to_the_journal_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = crash("nccl forger")  # the positive control: a record of the kernel's own
    xid = b"NVRM: Xid (PCI:0000:fe:00): 79, GPU has fallen off the bus. sent as "
    server = Journald()
    try:
        server.send("dev-log", b"<3>kernel: " + xid + b"syslog")
        server.send("dev-log", b"<3>" + xid + b"bare")
        fields = [
            b"MESSAGE=" + xid + b"native",
            b"_TRANSPORT=kernel",
            b"SYSLOG_FACILITY=0",
            b"SYSLOG_IDENTIFIER=kernel",
        ]
        server.send("socket", b"\n".join(fields) + b"\n")
        server.send("stdout", b"kernel\n\n3\n1\n1\n0\n0\n<3>" + xid + b"stream\n", socket.SOCK_STREAM)
        logger = ["logger", "-u", str(server.sockets / "dev-log"), "-p", "kern.err", "-t", "kernel"]
        subprocess.run([*logger, (xid + b"logger").decode()], check=True)
        ways = ("syslog", "bare", "native", "stream", "logger")
        server.wait(lambda: all(f"sent as {way}" in server.texts() for way in ways), "our texts")
        server.wait(lambda: f"[{pid}]: segfault" in server.texts(), "the kernel's own record")
        monkeypatch.setattr(journal, "OPTIONS", (*journal.OPTIONS, f"--directory={server.journal()}"))
        seen: list[Record] = []
        log = History(str(tmp_path / "run"), "n1", Root())
        take = log.take
        monkeypatch.setattr(log, "take", lambda record, reading: (seen.append(record), take(record, reading)))
        assert journal.read_journal(log, 60)
    finally:
        server.stop()
    assert any(f"[{pid}]: segfault" in one.text and one.facility == 0 for one in seen)
    assert not any("sent as" in one.text and one.facility == 0 for one in seen)
    assert not any("fe:00" in str(one["bus"]) for one in log.events)
