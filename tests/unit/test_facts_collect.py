"""Collecting: only what is asked for, from where it is asked, within the deadline, with few imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from preflight.cli.facts import COLUMNS, facts, page
from preflight.facts.answer import NOT_LIVE
from preflight.facts.collect import begin, collect
from preflight.facts.document import FactsDocument
from preflight.facts.isolate import Channel, run_child
from preflight.facts.registry import every_fact
from preflight.facts.rootfs import Root
from preflight.facts.source import Source

LATE = 600.0


@pytest.fixture
def node(tmp_path: Path) -> Path:
    files = {
        "etc/os-release": 'ID=rocky\nVERSION_ID="9.4"\nID_LIKE="rhel centos fedora"\nPRETTY_NAME="Rocky Linux 9.4"\n',
        "proc/meminfo": "MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n",
        "proc/cpuinfo": "processor: 0\nprocessor: 1\n",
        "proc/sys/kernel/osrelease": "5.14.0-427.el9\n",
        "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  x\n",
        "usr/lib64/libc.so.6": "GNU C Library (GNU libc) stable release version 2.34.\n",
        "usr/local/cuda-12.4/version.json": '{"cuda": {"version": "12.4.1"}}',
        "usr/local/cuda-12.4/bin/nvcc": "",
        "sw/modules/cuda/12.4.lua": "",
    }
    for name, text in files.items():
        (tmp_path / "node" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "node" / name).write_text(text)
    libraries = tmp_path / "node/usr/lib64"
    libraries.mkdir(parents=True, exist_ok=True)
    (libraries / "libstdc++.so.6.0.29").touch()
    (libraries / "libstdc++.so.6").symlink_to("libstdc++.so.6.0.29")
    return tmp_path / "node"


def test_a_recorded_node_tells_what_its_files_hold_and_nothing_of_this_machine(node: Path) -> None:
    document = collect(None, Source(str(node), live=False, module_paths=("/sw/modules",), node="n1"))
    assert FactsDocument.from_dict(json.loads(json.dumps(document.to_dict()))) == document
    assert document.facts["os"]["version"] == "9.4"
    assert document.facts["kernel"] == {"release": "5.14.0-427.el9"}
    assert document.facts["libc"] == {"glibc": "2.34"}
    assert document.facts["libstdcxx"] == {"glibcxx": "3.4.29"}
    assert document.facts["cpu"] == {"count": 2}
    assert document.facts["memory"] == {"total": 1 << 30, "available": 1 << 29}
    assert document.facts["driver"] == {"module": "550.54.15"}
    assert document.facts["toolkits"]["versions"] == ["12.4.1"]
    assert document.facts["modules"]["names"] == ["cuda/12.4"]
    off = (
        "arch",
        "tmp",
        "shm",
        "mounts",
        "remote",
        "pci",
        "gpus",
        "ib",
        "cuda",
        "devices",
        "services",
        "driver.version",
        "driver.cuda",
        "driver.nvml",
        *("topology", "numa", "processes", "timesync", "slurmd", "lsm", "disks", "edac", "bonds", "cgroup", "readonly"),
        "taint",
    )
    untold = {name: why for name, why in document.unknown.items() if not name.startswith("install.")}
    assert untold == dict.fromkeys(off, NOT_LIVE)


def test_an_empty_root_knows_nothing_of_this_machine(tmp_path: Path) -> None:
    document = collect(None, Source(str(tmp_path), live=False))
    assert document.facts.keys() <= {
        *("container", "install", "kernel_log", "libraries", "python", "toolkits", "commands", "host", "host_waiting")
    }
    subjects = {name for name in document.unknown if not name.startswith(("driver.", "install."))}
    assert subjects == {
        *(name for name, fact in every_fact().items() if not fact.child and name != "kernel_log"),
        *("gpus", "ib", "modules", "remote", "services", "cuda"),
        *("disks", "edac", "numa", "processes", "slurmd", "timesync", "topology"),
    }


def test_a_lab_node_is_its_files_and_this_machine_behind_them(node: Path) -> None:
    (node / "proc/meminfo").unlink()
    document = collect(["os", "memory", "tmp", "arch", "mounts", "kernel"], Source(str(node), live=True))
    assert document.unknown == {}
    assert document.facts["os"]["id"] == "rocky"
    assert document.facts["kernel"]["release"] == "5.14.0-427.el9"
    assert document.facts["memory"]["total"] > 1 << 25
    assert document.facts["arch"] == {"machine": os.uname().machine}
    assert "/proc" in document.facts["mounts"]["paths"]


def test_only_what_is_asked_for_is_read(node: Path) -> None:
    document = collect(["os.version", "memory"], Source(str(node), live=False))
    assert set(document.facts) == {"os", "memory"}
    assert document.unknown == {}
    with pytest.raises(ValueError, match=r"no subject of facts is named 'cuba\.version'"):
        collect(["cuba.version"])


def test_hostile_files_are_unknown_and_cost_only_themselves(node: Path) -> None:
    (node / "etc/os-release").unlink()
    os.mkfifo(node / "etc/os-release")
    (node / "proc/meminfo").unlink()
    os.mkfifo(node / "proc/meminfo")
    (node / "usr/local/cuda-12.4/version.json").write_text("[" * 100_000)
    document = collect(["os", "memory", "toolkits", "cpu"], Source(str(node), live=False))
    assert document.unknown["memory"] == "cannot read /proc/meminfo: not a regular file"
    assert document.unknown["os"] == f"no os-release file beneath {node}"
    assert document.facts["cpu"] == {"count": 2}


def test_a_dead_file_system_is_named_and_the_rest_is_kept(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = Root.entries

    def hang(self: Root, path: str) -> list[tuple[str, str]] | None:
        if path == "/sw/modules/cuda":
            time.sleep(LATE)
        return entries(self, path)

    monkeypatch.setattr(Root, "entries", hang)
    document = collect(
        ["container", "modules", "toolkits", "os"],
        Source(str(node), live=False, module_paths=("/sw/modules",)),
        1,
    )
    assert document.unknown == {"modules": "no answer at modules: /sw/modules/cuda before the deadline"}
    assert document.facts["toolkits"]["versions"] == ["12.4.1"]
    assert document.facts["os"]["id"] == "rocky"


def test_remote_mounts_one_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mounts").write_text(
        "a /ok nfs rw\nb /bad nfs rw\nc /dead lustre rw\nd /behind nfs rw\ne / ext4 rw\n"
    )

    def statvfs(path: str) -> None:
        if path == "/dead":
            time.sleep(LATE)
        if path == "/bad":
            raise OSError(116, "Stale file handle", path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    document = collect(["remote"], Source(str(tmp_path), live=True), 1)
    assert document.facts["remote"]["mounts"] == [
        {"path": "/ok", "type": "nfs"},
        {"path": "/bad", "type": "nfs", "error": "cannot read /bad: Stale file handle"},
        {"path": "/dead", "type": "lustre", "error": "Timeout"},
        {"path": "/behind", "type": "nfs"},
    ]


def test_the_caller_works_while_probes_run(node: Path) -> None:
    started = begin(["toolkits", "os"], Source(str(node), live=False))
    assert started.answers["os"].values["id"] == "rocky"
    assert started.finish(time.monotonic() + LATE).facts["toolkits"]["versions"] == ["12.4.1"]


def test_a_system_without_fork_still_reads_its_files(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    document = collect(["os", "gpus"], Source(str(node), live=True))
    assert document.unknown == {"gpus": "no probe could be started: this system cannot fork"}
    assert document.facts["os"]["id"] == "rocky"


def test_a_probe_that_cannot_be_forked_is_unknown(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    document = collect(["toolkits", "gpus", "driver", "cpu"], Source(str(node), live=True))
    assert document.unknown["toolkits"] == "no probe could be started: Resource temporarily unavailable"
    assert document.unknown["gpus"] == "no probe could be started: Resource temporarily unavailable"
    assert "nvml" not in document.facts["driver"]
    assert document.facts["cpu"] == {"count": 2}


def test_a_lost_parent_ends_the_child() -> None:
    def function(channel: Channel) -> None:
        channel.tell({"alarm": signal.getitimer(signal.ITIMER_REAL)[0]})

    (message,) = run_child("t", function, 7.0).messages
    assert 0 < message["alarm"] <= 8.0


HEAVY = {
    "click",
    "jinja2",
    "dataclasses",
    "tomllib",
    "distro",
    "subprocess",
    "logging",
    "asyncio",
    "pathlib",
    "inspect",
}
DRIVER = {"pynvml", "ctypes", "ctypes.util"}
SCRIPT = """
import sys, time
sys.path[:0] = sys.argv[2:]
from preflight.facts.collect import begin
from preflight.facts.source import Source
started = begin(source=Source(sys.argv[1] + "/node", run_dir=sys.argv[1]))
started.finish(time.monotonic() + 60)
print(*sys.modules)
"""


def test_with_a_warm_cache_nothing_heavy_is_imported(node: Path) -> None:
    here = [str(Path(__file__).parents[2] / "src"), *[path for path in sys.path if path.endswith("site-packages")]]
    for path in [*node.rglob("*"), node]:
        os.utime(path, (1_600_000_000, 1_600_000_000))
    command = [sys.executable, "-I", "-S", "-c", SCRIPT, str(node.parent), *here]
    cold, warm = (subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(2))
    assert "distro" in cold  # the control: this is how static facts are collected
    assert (HEAVY | DRIVER) & set(warm) == set()


# the command


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(facts, list(arguments))
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def no_policy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PREFLIGHT_CONFIG", raising=False)
    monkeypatch.setenv("SLURMD_NODENAME", "n1")


def test_the_command_prints_the_document(node: Path) -> None:
    code, out, _ = run("--json", "--root", str(node))
    document = FactsDocument.from_dict(json.loads(out))
    assert (code, document.node, document.facts["os"]["id"]) == (0, "n1", "rocky")
    assert document.unknown["gpus"] == NOT_LIVE


def test_the_page_is_printable_narrow_and_ends_with_what_is_unknown(node: Path) -> None:
    (node / "etc/os-release").write_text('ID=x\nPRETTY_NAME="\x1b[31mred\x07 \u202eevil"\n')
    code, out, _ = run("--root", str(node))
    assert code == 0
    assert all(line.isprintable() and len(line) <= COLUMNS for line in out.splitlines())
    assert "\\x1b[31mred" in out
    assert "\n  C library     glibc 2.34\n" in out
    assert "\n  toolkits      12.4.1 /usr/local/cuda-12.4\n" in out
    assert f"\n  gpus          {NOT_LIVE}\n" in out.partition("\nNot known\n")[2]


def test_mig_devices_on_the_page() -> None:
    cut = {"index": 0, "profile": "3g.40gb", "memory": 42144366592, "gi": 1, "ci": 0}
    odd = {"index": 2, "profile": "\x1b[2J" + "x" * 99, "memory": None, "gi": 2, "errors": {"memory": "Unknown"}}
    gpu = {"index": 0, "minor": 5, "name": "NVIDIA H100 80GB HBM3", "mig": True, "mig_devices": [cut, odd]}
    lines = list(page(FactsDocument("n1", "now", {"gpus": {"count": 1, "devices": [gpu]}}, {}, {})))
    assert lines[5] == "      MIG 0  3g.40gb      42.1 GB   gpu instance 1, compute instance 0"
    assert lines[6].startswith("      MIG 2  \\x1b[2J")
    assert all(line.isprintable() and len(line) <= COLUMNS for line in lines)


def test_gpus_on_the_page() -> None:
    gpu = {"index": 0, "minor": 5, "name": "NVIDIA H100 80GB HBM3", "memory": 85520809984, "ecc": True, "nvlink": 18}
    lost = {"index": 1, "error": "GpuIsLost"}
    sick = {**gpu, "index": 2, "ecc_uncorrected_volatile": 2, "errors": {"mig": "Unknown", "minor": "NotSupported"}}
    document = FactsDocument("n1", "now", {"gpus": {"count": 3, "devices": [gpu, lost, sick]}}, {}, {})
    assert list(page(document))[3:] == [
        "  #   minor name                   memory    cc    ecc mig links",
        "  0   5     NVIDIA H100 80GB HBM3  85.5 GB   -     on  -   18",
        "  1   -     ?                      -         -     -   -   -",
        "      ! error GpuIsLost",
        "  2   5     NVIDIA H100 80GB HBM3  85.5 GB   -     on  -   18",
        "      ! Unknown: mig",
        "      ! 2 uncorrected ECC errors since the driver was loaded",
    ]


def test_a_root_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    code, out, err = run("--root", str(tmp_path / "gone"))
    assert (code, out) == (2, "")
    assert err.startswith(f"{tmp_path}/gone: no such directory; ")
    assert err.count("\n") == 1


def test_a_policy_that_is_wrong_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("version = ")
    code, _, err = run("--config", str(tmp_path / "p.toml"))
    assert code == 2
    assert "p.toml" in err


def test_the_policy_says_where_facts_are(node: Path, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        f'version = 1\n[facts]\nroot = "{node.parent}/node"\nlive = true\nmodule_paths = ["/sw/modules"]\n'
    )
    code, out, _ = run("--json", "--config", str(tmp_path / "p.toml"))
    document = FactsDocument.from_dict(json.loads(out))
    assert code == 0
    assert document.facts["modules"]["names"] == ["cuda/12.4"]
    assert document.facts["tmp"]["path"] == "/tmp"
