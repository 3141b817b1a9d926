"""The kernel's log out of the journal, where /dev/kmsg is closed: real journal files, read by the real journalctl."""

import os
import subprocess
from pathlib import Path

import pytest

from preflight.facts.kmsg import journal
from preflight.facts.kmsg.history import History
from preflight.facts.rootfs import Root
from unit.test_kernel_log import FAULT, LOST

REMOTE = (
    "/lib/systemd/systemd-journal-remote"  # scripts/setup installs it; it writes a journal of entries in export form
)
UE = "EDAC MC0: 1 UE memory read error"
WRITTEN = [
    ("kernel", 0, LOST),
    ("kernel", 1, FAULT),  # a program's write to /dev/kmsg: the journal's transport is the kernel all the same
    ("syslog", 0, FAULT),  # logger -p kern.err
    ("kernel", 0, UE),
]
BOOT = "/proc/sys/kernel/random/boot_id"

pytestmark = pytest.mark.skipif(
    not os.path.exists(REMOTE) and (os.geteuid() != 0 or "PREFLIGHT_OLDEST" in os.environ),
    reason="needs systemd-journal-remote: run scripts/setup test as root (scripts/test-oldest has none)",
)


class Journal:
    """A journal file, its options for journalctl set, and what Preflight remembers of it."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.file = place, place / "a.journal"
        self.patch = monkeypatch
        monkeypatch.setattr(journal, "OPTIONS", (*journal.OPTIONS, f"--file={self.file}"))

    def write(self, first: int, rows: list[tuple[str, int, str]], boot: str = "") -> None:
        """Add entries, ``first`` microseconds after the boot and later; texts as bytes, with their line breaks."""
        out = b""
        for at, (transport, facility, text) in enumerate(rows, first):
            fields = {
                "__REALTIME_TIMESTAMP": str(1_796_000_000_000_000 + at),
                "__MONOTONIC_TIMESTAMP": str(at),
                "_BOOT_ID": (boot or Path(BOOT).read_text()).strip().replace("-", ""),
                "_TRANSPORT": transport,
                "SYSLOG_FACILITY": str(facility),
            }
            out += "".join(f"{key}={value}\n" for key, value in fields.items()).encode()
            data = text.encode()
            out += b"MESSAGE\n" + len(data).to_bytes(8, "little") + data + b"\n\n"
        (self.place / "export").write_bytes(out)
        subprocess.run([REMOTE, "-o", self.file, self.place / "export"], capture_output=True, check=True)

    def read(self, budget_s: float = 60, complete: bool = True) -> list[object]:
        log = History(str(self.place / "run"), "n1", Root())
        assert journal.read_journal(log, budget_s) is complete
        log.save()
        return [one["code"] or one["kind"] for one in log.events]

    def through(self, script: str) -> None:
        """Have ``script`` stand before the real journalctl."""
        program = self.place / "journalctl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        self.patch.setattr(journal, "JOURNALCTL", (str(program),))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    return Journal(tmp_path, monkeypatch)


def test_the_kernels_own_records_of_this_boot(log: Journal) -> None:
    log.write(1, WRITTEN)
    assert log.read() == [79, "memory"]


def test_another_boots_records_are_not_asked_for(log: Journal) -> None:
    log.write(1, [("kernel", 0, LOST)], boot="00000000-0000-4000-8000-000000000001")
    log.write(100, [("kernel", 0, UE)])
    assert log.read() == ["memory"]


def test_a_run_goes_on_where_the_last_one_ended(log: Journal) -> None:
    log.write(1, WRITTEN)
    assert log.read() == [79, "memory"]
    assert log.read() == [79, "memory"]  # the entry at the cursor is not taken twice
    log.write(101, [("kernel", 0, FAULT)])
    assert log.read() == [79, "memory", 31]


def test_a_journal_that_was_rotated_away_loses_nothing_that_is_left(log: Journal) -> None:
    log.write(1, WRITTEN)
    assert log.read() == [79, "memory"]
    log.file.unlink()  # nothing stands at the cursor any more
    log.write(101, WRITTEN)
    assert log.read() == [79, "memory", 79, "memory"]


def test_a_text_of_several_lines_or_of_no_text_at_all(log: Journal) -> None:
    log.write(1, [("kernel", 0, f"a\n{LOST}"), ("kernel", 0, f"{UE}\nmore"), ("kernel", 0, "\x01\x02")])
    assert log.read() == ["memory"]


def test_an_answer_that_is_cut_off_is_no_whole_one(log: Journal) -> None:
    log.write(1, WRITTEN)
    log.through('/usr/bin/journalctl "$@" | head -c 40')
    assert log.read(complete=False) == []
    log.through('exec /usr/bin/journalctl "$@"')
    assert log.read() == [79, "memory"]


def test_a_journalctl_that_fails_hangs_or_is_not_there(log: Journal) -> None:
    log.write(1, WRITTEN)
    log.through("exit 1")
    assert log.read(complete=False) == []
    log.through("exec sleep 600")
    assert log.read(0.2, complete=False) == []
    log.patch.setattr(journal, "JOURNALCTL", ("/nowhere/journalctl",))
    with pytest.raises(OSError, match="no journalctl"):
        log.read()
