"""LBNL's Node Health Check beside the hooks: 25 of its checks, which hold on any machine, as a prolog would run them.

`make bench NHC=/path/to/checkout` names a checkout of NHC: its script `nhc` and its directory `scripts`, not installed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.measure import Case

NAME = "NHC, {} checks, without its watchdog"
# Its checks by a command need its watchdog, those of GPUs a program of NVIDIA's: so none of them. What the checks of
# processes cost goes with how many run.
CHECKS = r"""
check_hw_cpuinfo
check_hw_physmem 1mb 900tb 5%
check_hw_mem 1mb 900tb 5%
check_hw_swap 0 900tb
check_hw_physmem_free 1kb
check_hw_mem_free 1mb
check_hw_eth lo
check_fs_mount_rw -f /
check_fs_mount -t proc -f /proc
check_fs_mount -t sysfs -f /sys
check_fs_size / 1mb 900tb
check_fs_free / 1kb
check_fs_used / 900tb
check_fs_free /tmp 1kb
check_file_test -r -w -x -d -k /tmp /var/tmp
check_file_test -r -s /etc/passwd /etc/group
check_file_test -d -r -x /etc /usr /var
check_file_test -c -r -w /dev/null /dev/zero
check_file_stat -m 0666 -u 0 -g 0 -t 1 -T 3 /dev/null
check_file_contents /etc/passwd "/^root:x:0:0:/"
check_ps_loadavg 99999 99999 99999
check_ps_daemon nhc root
check_ps_blacklist no-such-daemon
check_ps_mem -0 900tb
check_ps_physmem -0 900tb
"""


def case(checkout: str, place: Path, environment: Mapping[str, str]) -> Case:
    """Return how NHC is run, with its files in ``place``; raises RuntimeError where its checks do not hold here.

    It is spared its watchdog, the second start that makes it a session's leader (under slurmd a prolog is a group's),
    and the command that marks a node online again.
    """
    place.mkdir()
    conf, log, checks = place / "nhc.conf", place / "nhc.log", CHECKS.strip().split("\n")
    conf.write_text("".join(f"* || {check}\n" for check in checks), encoding="utf-8")
    words = ["-t", "0", "-D", str(place), "-c", str(conf), "-l", str(log)]
    settings = [f"INCDIR={checkout}/scripts", "MARK_OFFLINE=0", "FORCE_SETSID=0"]
    command = [f"{checkout}/nhc", *words, *settings]
    try:  # once, with each check named in its log
        tried = subprocess.run([*command, "VERBOSE=1"], env=environment, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise RuntimeError(f"NHC={checkout} is no checkout of NHC: {error}") from None
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    if tried.returncode or said.count("Running check:") != len(checks):
        raise RuntimeError(f"NHC did not run {len(checks)} checks to the end: {said[-600:]}")
    return Case(NAME.format(len(checks)), command, environment)
