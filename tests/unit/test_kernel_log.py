"""The kernel's log: records in all their forms, the events in them, what is remembered from run to run."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.facts import kernel_log
from preflight.facts.kmsg import history, journal, source
from preflight.facts.kmsg.event import bus_id, find_bus
from preflight.facts.kmsg.history import History
from preflight.facts.kmsg.kinds import NEEDLES, RULES, Reading
from preflight.facts.kmsg.records import Record, from_journal, from_kmsg, from_line
from preflight.facts.kmsg.source import open_log
from preflight.facts.kmsg.xid import parse_sxid, parse_xid
from preflight.facts.rootfs import Root
from preflight.facts.schema import check_facts
from preflight.facts.source import Source

LOST = "NVRM: Xid (PCI:0000:c1:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
FAULT = (
    "NVRM: Xid (PCI:0000:3b:00): 31, pid=4242, name=train.py, Ch 00000012, intr 00000000. MMU Fault: ENGINE GRAPHICS"
)


def kmsg(seq: int, text: str, prio: int = 3, usec: int = 1_000_000, flags: str = "-") -> str:
    return f"{prio},{seq},{usec},{flags};{text}\n"


# --- records


def test_a_record_of_kmsg_with_its_dictionary() -> None:
    data = (
        b"4,812,812345678901,-,caller=T4242;pcieport 0000:80:01.1: AER: x\n SUBSYSTEM=pci\n DEVICE=+pci:0000:80:01.1\n"
    )
    assert from_kmsg(data) == Record(0, 812, 812345678901, "pcieport 0000:80:01.1: AER: x")


def test_escapes_are_taken_back_and_a_line_break_begins_no_record() -> None:
    record = from_kmsg(b"3,1,2,c;a\\x0aNVRM: Xid (PCI:0000:01:00): 79\\x5c \\xc3\\xa4 \\xzz\n")
    assert record is not None
    assert record.text == "a\nNVRM: Xid (PCI:0000:01:00): 79\\ ä \\xzz"
    assert Reading().event(record) is None


@pytest.mark.parametrize("data", [b"", b"text", b"3,1;x", b"a,1,2,-;x", b"3,-1,2,-;x", b",,,;x"])
def test_what_is_no_record(data: bytes) -> None:
    assert from_kmsg(data) is None


def test_a_record_of_the_journal() -> None:
    entry = {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0", "MESSAGE": LOST, "_SOURCE_MONOTONIC_TIMESTAMP": "17"}
    assert from_journal(entry) == Record(0, -1, 17, LOST)
    assert from_journal({**entry, "MESSAGE": list(b"\xffNVRM")}) == Record(0, -1, 17, "\ufffdNVRM")
    for one in ({"SYSLOG_FACILITY": "1"}, {"_TRANSPORT": "syslog"}, {"SYSLOG_FACILITY": None}):
        written = from_journal({**entry, **one})
        assert written is not None
        assert written.facility != 0
    assert from_journal({**entry, "MESSAGE": None}) is None
    assert from_journal([]) is None


@pytest.mark.parametrize(
    ("line", "facility", "usec"),
    [
        (LOST, 0, -1),
        (f"[  812345.678901] {LOST}", 0, 812345678901),
        (f"[812345.678901] {LOST}", 0, 812345678901),
        (f"[Tue Mar  3 04:05:06 2026] {LOST}", 0, -1),
        (f"kern  :warn  : 2026-03-03T04:05:06,789012+00:00 {LOST}", 0, -1),
        (f"kern  :err   : [  812345.678901] {LOST}", 0, 812345678901),
        (f"user  :notice: [  812345.678901] {LOST}", 1, 812345678901),
        (f"<3>[  812345.678901] {LOST}", 0, 812345678901),
        (f"<12>{LOST}", 1, -1),
        (f"Mar  3 04:05:06 gpu07 kernel: {LOST}", 0, -1),
        (f"Mar  3 04:05:06 gpu07 kernel: [812345.678901] {LOST}", 0, 812345678901),
        (f"2026-03-03T04:05:06.789012+00:00 gpu07 kernel: {LOST}", 0, -1),
    ],
)
def test_lines_that_tools_print(line: str, facility: int, usec: int) -> None:
    assert from_line(line) == Record(facility, -1, usec, LOST)


# --- Xids


@pytest.mark.parametrize(
    ("text", "code", "bus", "instance", "pid", "name"),
    [
        (LOST, 79, "0000:c1:00", None, None, ""),
        (FAULT, 31, "0000:3b:00", None, 4242, "train.py"),
        ("NVRM: Xid (PCI:0008:01:00 GPU-I:05): 43, pid=42, name=python3, Ch 10", 43, "0008:01:00", 5, 42, "python3"),
        ("NVRM: Xid (PCI:0000:01:00 GPU-I:05 GPU-CI:00): 31, pid=9, name=a b, x", 31, "0000:01:00", 5, 9, "a b"),
        ("NVRM: Xid (PCI:0000:1b:00): 94, pid=42, name=ray::W, Contained", 94, "0000:1b:00", None, 42, "ray::W"),
        ("NVRM: Xid (PCI:0018:01:00): 119, pid=97, name=nvidia-smi, T", 119, "0018:01:00", None, 97, "nvidia-smi"),
        ("NVRM: Xid (PCI:0000:3a:00): 48, pid=4242, An uncorrectable", 48, "0000:3a:00", None, 4242, ""),
        ("NVRM: Xid (PCI:0000:3a:00): 63, Row Remapper: New row marked", 63, "0000:3a:00", None, None, ""),
        ("NVRM: Xid (PCI:0000:3A:00.0): 63, x", 63, "0000:3a:00", None, None, ""),
        ("NVRM: Xid (0000:03:00): 13, 0003 00000000 000090c0", 13, "0000:03:00", None, None, ""),
        ("NVRM: Xid (PCI:00000000:03:00): 8, Channel 00000006", 8, "0000:03:00", None, None, ""),
        ("NVRM: Xid 79, GPU has fallen off the bus.", 79, "", None, None, ""),
        ("NVRM: Xid: 79, GPU has fallen off the bus.", 79, "", None, None, ""),
        ("NVRM: Xid (PCI:0000:c1:00):  45, pid='<unknown>', name=<unknown>, Ch 8", 45, "0000:c1:00", None, None, ""),
        ("NVRM: Xid (PCI:0000:c1:00): what", None, "0000:c1:00", None, None, ""),
        ("NVRM: Xid (", None, "", None, None, ""),
        ("NVRM: Xid", None, "", None, None, ""),
        ("NVRM: Xid (PCI:0000:3b:00): 31, pid=1, name=py:[x, Ch 1", 31, "0000:3b:00", None, 1, "py:[x"),
    ],
)  # fmt: skip
def test_xids(text: str, code: int | None, bus: str, instance: int | None, pid: int | None, name: str) -> None:
    event = parse_xid(text)
    assert event is not None
    assert (event.code, event.bus, event.instance, event.pid, event.name) == (code, bus, instance, pid, name)


@pytest.mark.parametrize("text", [f"x {LOST}", "nvrm: xid (PCI", "python[1]: NVRM: Xid (PCI:0000:01:00): 79", ""])
def test_a_record_counts_from_its_first_character_on(text: str) -> None:
    assert parse_xid(text) is None
    assert Reading().event(Record(0, 1, 1, text)) is None


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("NETIR_LINK_EVT Fatal XC0 i0 Link 12 (0x000045a3 0x0)", "fatal"),
        ("NETIR_LINK_EVT  Fatal   XC0 i0 Link -1 (0x000045a3 0x0)", "fatal"),
        ("RLW_SRC_TRACK Nonfatal XC1 i0 Link 05 (0x1 0x2)", "nonfatal"),
        ("pid=7, name=Fatal XC0, RLW_SRC_TRACK Nonfatal XC1 i0 Link 05", "nonfatal"),
        ("pid=7, name=a, Fatal, RLW_SRC_TRACK Nonfatal XC1 i0 Link 05", "nonfatal"),
        ("pid=7, name=Nonfatal, RLW_SRC_TRACK Fatal XC1 i0 Link 05", "fatal"),
        ("something else", ""),
    ],
)
@pytest.mark.parametrize("code", [144, 149, 150])
def test_nvlink5_decides_by_its_own_word(text: str, severity: str, code: int) -> None:
    event = parse_xid(f"NVRM: Xid (PCI:0000:3a:00): {code}, {text}")
    assert event is not None
    assert (event.code, event.severity) == (code, severity)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)", 1),
        ("GPU recovery action changed from 0x0 (None) to 0x2 (OS Reboot)", 2),
        ("pid=4242, name=to 0x2 x, GPU recovery action changed from 0x1 (PF FLR) to 0x0 (None)", 0),
        ("GPU recovery action changed", None),
        ("GPU recovery action changed from 0x0 (None) to 0xzz", None),
    ],
)
def test_the_recovery_action_is_its_number(text: str, level: int | None) -> None:
    event = parse_xid(f"NVRM: Xid (PCI:0000:3a:00): 154, {text}")
    assert event is not None
    assert event.level == level


@pytest.mark.parametrize(
    ("rest", "code", "severity"),
    [
        ("SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up", 20034, "fatal"),
        ("SXid (PCI:0000:06:00.0): 28006, Non-fatal, Link 46 MC TS crumbstore MCTO (First)", 28006, "nonfatal"),
        ("SXid (PCI:0000:06:00.0): , Fatal, Link 48", None, "fatal"),
        ("SXid (PCI:0000:06:00.0): what, Fatal", None, ""),
        ("SXid (PCI:0000:06:00.0): 12028", 12028, ""),
    ],
)
def test_sxids(rest: str, code: int | None, severity: str) -> None:
    event = parse_sxid(f"nvidia-nvswitch2: {rest}")
    assert event is not None
    assert (event.code, event.severity, event.bus, event.subject) == (code, severity, "0000:06:00", "nvswitch2")


@pytest.mark.parametrize("rest", ["Severity 1 Engine instance 60 Sub-engine instance 00", "Data {0x00000001, 0x0}"])
def test_the_records_that_carry_an_sxid_on_are_no_more_of_them(rest: str) -> None:
    assert parse_sxid(f"nvidia-nvswitch2: SXid (PCI:0000:06:00.0): 20034, {rest}") is None


@pytest.mark.parametrize(
    ("text", "bus"),
    [
        ("PCI:0000:c1:00", "0000:c1:00"),
        ("00000000:3B:00.0", "0000:3b:00"),
        ("000d:01:00.0", "000d:01:00"),
        ("3b:00.0", "0000:3b:00"),
        ("10000:e1:00.0", "10000:e1:00"),
        ("0000:3b:00.x", ""),
        ("0000:3b", "0000:00:3b"[:0]),
        ("ff:ff:ff:ff", ""),
        ("", ""),
        ("0000:xy:00", ""),
    ],
)
def test_pci_addresses(text: str, bus: str) -> None:
    assert bus_id(text) == bus


def test_the_first_address_in_a_text() -> None:
    assert find_bus("NVRM: GPU 0000:17:00.0: RmInitAdapter failed! (0x62:0xffff:2351)") == "0000:17:00"
    assert find_bus("at 12:30 nothing") == ""


# --- the rest of the log


def _kinds() -> list[tuple[str, str, str, str]]:
    """Return (text, kind, severity, subject) of each line of data/kernel_log.txt."""
    lines = (Path(__file__).parent / "data/kernel_log.txt").read_text(encoding="utf-8").splitlines()
    rows = []
    for line in lines:
        head, mark, text = line.partition(" | ")
        if mark and not line.startswith("#"):
            kind, *more = ("" if word == "-" else word.replace("_", " ") for word in head.split())
            rows.append((text, kind.replace(" ", "_"), *more))
    return rows


KINDS = _kinds()


@pytest.mark.parametrize(("text", "kind", "severity", "subject"), KINDS)
def test_kinds(text: str, kind: str, severity: str, subject: str) -> None:
    event = Reading().event(Record(0, 1, 1, text))
    assert event is not None
    assert (event.kind, event.severity) == (kind, severity)
    assert subject in (event.subject, event.bus)


@pytest.mark.parametrize(
    "text",
    [
        "EXT4-fs (loop0): unmounting filesystem",
        "I/O error, dev fd0, sector 0",
        "I/O error, dev loop3, sector 8",
        "nvidia-nvlink: Nvlink Core is being initialized, major device number 510",
        "nvidia: module license 'NVIDIA' taints kernel.",
        "mce: CPU supports 20 MCE banks",
        "CPU3: Core temperature/speed normal",
        "EDAC MC: Ver: 3.0.0",
        "XFS (dm-0): Mounting V5 Filesystem",
        "python[1]: segfault at 0 ip 1 sp 2 error 4 in libc.so.6[7f00+1000]",
        "pcieport 0000:80:01.1: AER: enabled with IRQ 30",
        "pcieport 0000:80:01.1: AER: Corrected error received: 0000:81:00.0",
        "mydrv: Out of memory: Killed process 4 (x)",
        'audit: type=1400 comm="NVRM: Xid (PCI"',
    ],
)
def test_what_is_nothing(text: str) -> None:
    assert Reading().event(Record(0, 1, 1, text)) is None


def test_a_gpu_that_falls_off_the_bus_in_three_records() -> None:
    reading = Reading()
    texts = [
        "NVRM: The NVIDIA GPU 0000:c1:00.0",
        "NVRM: (PCI ID: 10de:2330) installed in this system has",
        "NVRM: fallen off the bus and is not responding to commands.",
    ]
    events = [reading.event(Record(0, at, at, text)) for at, text in enumerate(texts)]
    assert events[:2] == [None, None]
    last = events[2]
    assert last is not None
    assert (last.kind, last.bus) == ("off_the_bus", "0000:c1:00")
    whole = Reading().event(Record(0, 1, 1, "\n".join(texts)))
    assert whole is not None
    assert (whole.kind, whole.bus) == ("off_the_bus", "0000:c1:00")


def test_an_oom_kill_names_its_job_once() -> None:
    reading = Reading()
    first = reading.event(
        Record(0, 1, 1, "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=step_0,mems_allowed=0,"
               "oom_memcg=/system.slice/slurmstepd.scope/job_42,task_memcg=/system.slice/slurmstepd.scope/job_42/step_0,"
               "task=py,pid=1,thon,pid=812,uid=1000")
    )  # fmt: skip
    assert first is not None
    assert (first.kind, first.job, first.pid) == ("oom_job", 42, 812)
    text = "Memory cgroup out of memory: Killed process 812 (python) total-vm:1kB"
    assert reading.event(Record(0, 2, 2, text)) is None
    system = Reading().event(
        Record(0, 1, 1, "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
               "task_memcg=/slurm/uid_1/job_42,task=python,pid=812,uid=1000")
    )  # fmt: skip
    assert system is not None
    assert (system.kind, system.job) == ("oom_system", 42)


@given(st.text(max_size=200))
def test_no_text_breaks_a_reading(text: str) -> None:
    reading = Reading()
    for needle, _ in RULES:
        for record in (f"{needle}{text}", f"{text}{needle}", f"{needle}{text}{needle}"):
            reading.event(Record(0, 1, 1, record))
            from_line(record)


@given(st.binary(max_size=200))
def test_no_bytes_break_a_record(data: bytes) -> None:
    from_kmsg(data)
    from_kmsg(b"3,1,2,-;" + data)


@given(st.sampled_from([text for text, *_ in KINDS]), st.sampled_from([1, 3, 4, 10, 16]))
def test_what_is_not_the_kernels_own_counts_for_nothing(text: str, facility: int) -> None:
    """A program's write to /dev/kmsg gets facility 1, or another that it names; never 0."""
    log = History(None, "n1", Root("/nowhere", live=False))
    log.take(Record(facility, 1, 1, text), Reading())
    assert log.events == []


def test_each_rules_needle_is_looked_for() -> None:
    assert {needle.encode() for needle, _ in RULES} == set(NEEDLES)
    for text, *_ in KINDS:
        assert any(needle in text.encode() for needle in NEEDLES)


# --- what is remembered


class Node:
    """A simulated node's root with a /dev/kmsg, and root's runtime directory beside it."""

    def __init__(self, place: Path) -> None:
        self.file = place / "root/dev/kmsg"
        self.file.parent.mkdir(parents=True)
        self.file.touch()
        boot = place / "root/proc/sys/kernel/random/boot_id"
        boot.parent.mkdir(parents=True)
        boot.write_text("first\n")
        self.boot, self.run = boot, place / "run"
        self.root = Root(str(place / "root"), live=True)

    def write(self, *records: str) -> None:
        with self.file.open("a") as file:
            file.write("".join(records))

    def read(self, budget_s: float = 60) -> History:
        log = History(str(self.run), "n1", self.root)
        place = open_log(self.root)
        assert place is not None
        try:
            self.complete = log.read(place, budget_s)
        finally:
            os.close(place.descriptor)
        log.save()
        return log


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_each_record_is_read_once(node: Node) -> None:
    node.write(kmsg(10, "x"), kmsg(11, LOST), kmsg(12, "y"))
    first = node.read()
    assert [(one["code"], one["first"], one["times"]) for one in first.events] == [(79, 11, 1)]
    assert first.lost == 0
    node.write(kmsg(13, FAULT), kmsg(14, FAULT))
    second = node.read()
    assert [(one["code"], one["first"], one["last"], one["times"]) for one in second.events] == [
        (79, 11, 11, 1),
        (31, 13, 14, 2),
    ]
    assert node.read().events == second.events


def test_a_users_line_is_nobodys(node: Node) -> None:
    node.write(kmsg(1, LOST, prio=12), kmsg(2, LOST, prio=11), kmsg(3, f"a\\x0a{LOST}", prio=4))
    assert node.read().events == []


def test_a_record_that_is_written_in_two_pieces(node: Node) -> None:
    whole = kmsg(1, LOST)
    node.write(whole[:30])
    assert node.read().events == []
    node.write(whole[30:])
    assert [one["code"] for one in node.read().events] == [79]


def test_another_boot_begins_anew(node: Node) -> None:
    node.write(kmsg(1, LOST))
    assert len(node.read().events) == 1
    node.boot.write_text("second\n")
    node.file.write_text(kmsg(1, "x"))
    assert node.read().events == []


def test_a_log_that_was_begun_anew_is_read_from_its_start(node: Node) -> None:
    node.write(kmsg(1, "x"), kmsg(2, "y"))
    node.read()
    node.file.write_text(kmsg(1, LOST))
    assert len(node.read().events) in (0, 1)  # the same file, longer or shorter than before
    node.file.unlink()
    node.write(kmsg(1, FAULT))
    assert node.read().events[-1]["code"] == 31


def test_what_is_old_at_the_first_look_is_stale(node: Node) -> None:
    node.write(kmsg(1, LOST, usec=1_000_000), kmsg(2, FAULT, usec=90_000_000_000), kmsg(3, "x", usec=90_000_000_000))
    assert [one["state"] for one in node.read().events] == ["stale", ""]
    node.write(kmsg(4, LOST, usec=2_000_000))
    assert [one["state"] for one in node.read().events] == ["stale", "", ""]


def test_the_first_look_lasts_until_the_log_was_read_to_its_end(node: Node) -> None:
    old = "".join(kmsg(at, "x" * 200, usec=1_000_000) for at in range(2000))
    node.write(
        old, kmsg(2000, LOST, usec=1_000_000), "".join(kmsg(at, "y" * 99, usec=9**12) for at in range(2001, 3000))
    )
    log = node.read(budget_s=0)
    assert not node.complete
    while not node.complete:
        log = node.read(budget_s=0)
    assert [one["state"] for one in log.events] == ["stale"]
    node.write(kmsg(3000, LOST, usec=1_000_000))
    assert node.read().events[-1]["state"] == ""


def test_a_driver_that_was_loaded_again_clears_its_gpus(node: Node) -> None:
    node.write(kmsg(1, LOST), kmsg(2, "EDAC MC0: 1 UE memory read error"))
    node.read()
    node.write(kmsg(3, "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  570.86.15"))
    assert [one["state"] for one in node.read().events] == ["cleared", ""]


def test_a_recovery_action_of_none_clears_that_gpu(node: Node) -> None:
    other = LOST.replace("c1:00", "3b:00")
    done = "NVRM: Xid (PCI:0000:c1:00): 154, GPU recovery action changed from 0x2 (OS Reboot) to 0x0 (None)"
    node.write(kmsg(1, LOST), kmsg(2, other), kmsg(3, done))
    assert [(one["bus"], one["state"]) for one in node.read().events] == [("0000:c1:00", "cleared"), ("0000:3b:00", "")]


def test_a_server_that_answers_again(node: Node) -> None:
    node.write(kmsg(1, "nfs: server fs1 not responding, still trying"), kmsg(2, "nfs: server fs1 OK"))
    assert [one["state"] for one in node.read().events] == ["cleared"]


def test_what_an_admin_has_in_hand_is_not_acted_on_again(node: Node) -> None:
    node.write(kmsg(1, LOST))
    node.read().handle(1)
    node.write(kmsg(2, LOST))
    assert [(one["state"], one["times"]) for one in node.read().events] == [("handled", 1), ("", 1)]


def test_a_flood_is_bounded_and_what_matters_is_kept(node: Node) -> None:
    flood = "".join(kmsg(at, f"EXT4-fs error (device sd{at % 1000}): x", usec=at) for at in range(2, 20_000))
    node.write(kmsg(1, LOST, usec=1), flood)
    log = node.read()
    assert node.complete
    assert len(log.events) == history.MAX_EVENTS
    assert log.events[0]["code"] == 79
    for _ in range(3):
        node.write("".join(kmsg(at, FAULT.replace("4242", str(at))) for at in range(300)))
        log = node.read()
    assert len(log.events) == history.MAX_EVENTS
    assert 79 in [one["code"] for one in log.events]


def test_no_time_left_is_said_and_the_next_read_goes_on(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.write("".join(kmsg(at, "x" * 200) for at in range(2000)), kmsg(2000, LOST))
    log = node.read(budget_s=0)
    assert not node.complete
    assert log.events == []
    while not node.complete:
        log = node.read(budget_s=0)
    assert [one["code"] for one in log.events] == [79]


WRONG = (
    '{"boot": "first", "seq": 1, "lost": 0, "offset": 0, "cursor": "", "identity": "", "looking": false, "last_s": 0, '
    '"events": [%s]}'
)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": "first"}', WRONG % '{"kind": 7}', WRONG % "[]"])
def test_a_torn_record_is_a_first_look(node: Node, text: str) -> None:
    node.run.mkdir()
    (node.run / "kernel-log-n1.json").write_text(text)
    node.write(kmsg(1, LOST))
    assert [one["code"] for one in node.read().events] == [79]


def test_a_pipe_gives_what_its_writer_writes(node: Node) -> None:
    node.file.unlink()
    os.mkfifo(node.file)
    writer = threading.Thread(target=lambda: node.file.write_text(kmsg(1, FAULT) + kmsg(2, LOST)))
    writer.start()  # it waits until somebody reads
    log = node.read()
    writer.join()
    assert [one["code"] for one in log.events] == [31, 79]


def test_lines_of_dmesg_in_the_file_of_a_recorded_node(node: Node) -> None:
    node.write(f"[  812345.678901] {LOST}\n", "[  812345.678902] something\n", f"user  :notice: [ 1.000000] {LOST}\n")
    assert [(one["code"], one["first_s"]) for one in node.read().events] == [(79, 812345.678901)]


@pytest.mark.skipif(not os.path.exists(source.KMSG), reason="no /dev/kmsg here")
def test_the_machines_own_log(tmp_path: Path) -> None:
    root = Root()
    try:
        place = open_log(root)
    except PermissionError:
        pytest.skip("/dev/kmsg is closed here")
    assert place is not None
    assert place.kind == "device"
    seen = []
    for _ in range(2):
        log = History(str(tmp_path), "n1", root)
        assert log.read(place, 60)
        log.save()
        seen.append((log.seq, log.first_look))
        os.close(place.descriptor)
        place = open_log(root)
        assert place is not None
    os.close(place.descriptor)
    assert seen[0][0] >= 0
    assert seen[1][0] >= seen[0][0]
    assert [first for _, first in seen] == [True, False]


def test_a_prolog_asks_no_journal_and_takes_what_others_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(root: Root) -> None:
        raise PermissionError(1, "Operation not permitted", source.KMSG)

    monkeypatch.setattr(source, "open_log", closed)
    monkeypatch.setattr(journal, "JOURNALCTL", ("/nowhere/journalctl",))
    where = Source(run_dir=str(tmp_path), node="n1", phase="prolog")
    answer = kernel_log.read(Root("/", True, where))
    assert answer.unknown == {"": f"cannot read {source.KMSG}: Operation not permitted"}
    log = History(str(tmp_path), "n1", Root())
    log.take(Record(0, 1, int(time.monotonic() * 1e6), LOST), Reading())
    log.settle()
    log.save()
    assert [one["code"] for one in kernel_log.read(Root("/", True, where)).values["events"]] == [79]
    told = kernel_log.read(Root("/", True, where._replace(phase="health")))
    assert told.unknown[""].endswith("Operation not permitted; no journalctl")


def test_the_fact_beneath_another_root(node: Node) -> None:
    where = Source(root=node.root.path, live=True, run_dir=str(node.run), node="n1")
    node.write(kmsg(1, LOST, usec=5_000_000), kmsg(2, "x", usec=7_000_000))
    values = kernel_log.read(Root(node.root.path, True, where)).values
    assert {key: values[key] for key in ("source", "seq", "now_s", "lost", "complete")} == {
        "source": "file", "seq": 2, "now_s": 7.0, "lost": 0, "complete": True,
    }  # fmt: skip
    check_facts({"kernel_log": values})
    node.file.unlink()
    assert kernel_log.read(Root(node.root.path, True, where)).values["source"] == "none"
    node.file.mkdir()
    assert kernel_log.read(Root(node.root.path, True, where)).unknown
