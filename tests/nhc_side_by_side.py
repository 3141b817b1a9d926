"""By hand: does an imported line judge this machine as the real NHC does?

    python tests/nhc_side_by_side.py DIR

DIR holds NHC 1.4.3 (its file `nhc` and directory `scripts`). Each line is run by NHC alone, which marks no node and
reads only what the line names, and as `preflight check` of what import-nhc makes of it. Exits with 1 where they differ.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LINES = r"""
check_fs_mount_rw /
check_fs_mount_rw -t proc -f /proc
check_fs_mount_ro -f /proc
check_fs_mount -t ext9 -f /
check_fs_mount -o '/(^|,)nosuid(,|$)/' -f /proc
check_fs_free / 1%
check_fs_free / 99%
check_fs_used / 99%
check_fs_used / 1%
check_fs_ifree / 10
check_fs_size / 1g 900t
check_fs_size / 900t 901t
check_hw_cpuinfo 77 2 2
check_hw_physmem 1g 900g 3%
check_hw_physmem 900g 901g 3%
check_hw_mem_free 1mb
check_hw_physmem_free 900g
check_hw_eth lo
check_hw_eth eth99
check_file_test -r -w -x -d -k /tmp /var/tmp
check_file_test -d /etc/passwd
check_file_test -! -e /no/such/file
check_file_test -! -e /etc/passwd
check_file_stat -m 0644 -u 0 -g 0 /etc/passwd
check_file_stat -m 0600 /etc/passwd
check_file_stat -t 1 -T 3 /dev/null
check_file_stat -t 1 -T 5 /dev/null
check_file_contents /etc/passwd '/^root:x:0:0:/' 'daemon:*'
check_file_contents /etc/passwd '!/^root/'
check_file_contents /etc/passwd 'nosuch:*'
check_ps_service nosuchdaemon
check_ps_daemon python root
check_ps_blacklist nosuchdaemon
check_ps_loadavg 900
check_cmd_status true
check_cmd_status false
check_cmd_status -r 1 false
check_cmd_output -m 'Linux' uname
check_cmd_output -m 'Minix' uname
check_cmd_output -m '!/inux/' uname
check_cmd_output -e 'echo a  b' -m 'a b'
""".strip().split("\n")
SETTINGS = ("NHC_RM=none", "MARK_OFFLINE=0", "LOGFILE=-", "FORCE_SETSID=0", "TIMEOUT=20")


def by_nhc(place: str, directory: str, line: str) -> str:
    """Return "pass" or "fail", as NHC's exit status says it."""
    Path(directory, "nhc.conf").write_text(f"* || {line}\n")
    places = (f"CONFDIR={directory}", f"INCDIR={place}/scripts", f"CONFFILE={directory}/nhc.conf")
    command = ["bash", f"{place}/nhc", *places, *SETTINGS]
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return "pass" if done.returncode == 0 else "fail"


def by_us(directory: str) -> str:
    """Return "pass", "fail" or "unknown": the worst of the findings of the imported rows."""
    command = [sys.executable, "-m", "preflight"]
    imported = subprocess.run(
        [*command, "import-nhc", f"{directory}/nhc.conf"], capture_output=True, check=False
    ).stdout
    Path(directory, "p.toml").write_bytes(imported)
    command += ["check", "--phase", "health", "--config", f"{directory}/p.toml", "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    mine = {one["status"] for one in report["findings"] if one["check"].startswith("host.")}
    return "fail" if mine & {"fail", "warn"} else "unknown" if "unknown" in mine else "pass"


def main(place: str) -> int:
    """Print a line for each; return 1 where two differ."""
    differ = 0
    with tempfile.TemporaryDirectory() as directory:
        for line in LINES:
            theirs, ours = by_nhc(place, directory, line), by_us(directory)
            differ += theirs != ours
            print(f"{'     ' if theirs == ours else 'DIFF '}{theirs:5} {ours:8} {line}", flush=True)
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
