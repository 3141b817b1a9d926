"""``make lab-breaker``: a [[host]] row that is wrong for all of 40 nodes of a real Slurm, each with a job and a slurmd.

At most the limit is drained, and rebooted by [recover]; the other jobs run; syslog, report and doctor say *breaker*.
Outside the test run: 40 prologs at one moment are minutes of two cores.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lab import places, unavailable
from lab.cluster import Cluster, Site

NODES = [f"n{number:02d}" for number in range(40)]
LIMIT = 2  # 5 % of 40
FIRST_JOB = 41001  # other labs of this machine write to the same syslog
WRONG = '[[host]]\ncheck = "mount"\naction = "drain"\npath = "/scartch-of-the-lab"\n'  # for /scratch
REBOOT = '[recover.steps]\n"host.*" = ["reboot"]\n'
SYSLOG = "/dev/log"
TOGETHER = 4  # health checks at one moment


def main() -> int:
    """Run it on the release that PREFLIGHT_LAB_RELEASE names; the status is 1 where something does not hold."""
    reason = unavailable()
    if reason:
        print(f"lab: {reason}", file=sys.stderr)
        return 2
    directory = places.temporary()
    program = Path(directory, "reboot-program")
    program.write_text(f"#!/bin/sh\necho once >>{directory}/rebooted\n", encoding="utf-8")
    program.chmod(0o755)
    extra = f"RebootProgram={program}\nResumeTimeout=1800\nFirstJobId={FIRST_JOB}\nPrologEpilogTimeout=60\n"
    with _syslog() as lines, Cluster([Site(name) for name in NODES], "", extra, directory=directory) as cluster:
        wrong = list(_play(cluster, lines))
    for line in wrong:
        print(f"wrong: {line}")
    return 1 if wrong else 0


def _play(cluster: Cluster, lines: list[str] | None) -> Iterator[str]:
    lab = cluster.lab
    cluster.write_policy(WRONG + REBOOT, drain='max_nodes = "5%"')
    jobs = {name: lab.sbatch("echo ran", "-w", name, "--begin=now+1hour") for name in NODES}
    for job in jobs.values():
        lab.check_run(["scontrol", "update", f"JobId={job}", "StartTime=now"])
    reports = {name: cluster.wait_report(job, timeout=300) for name, job in jobs.items()}
    for _ in range(3):
        with ThreadPoolExecutor(TOGETHER) as pool:
            list(pool.map(cluster.health, NODES))
    drained = [name for name in NODES if "DRAIN" in lab.node_state(name)]
    rebooted = [call for call in cluster.called() if call.startswith("scontrol reboot")]
    print(f"{len(drained)} of {len(NODES)} drained ({', '.join(drained)}), {len(rebooted)} reboots asked for")
    if not 0 < len(drained) <= LIMIT:
        yield f"{len(drained)} nodes are drained"
    if len(rebooted) > LIMIT:
        yield f"{len(rebooted)} reboots: {rebooted}"
    held = [name for name in NODES if name not in drained]
    lab.wait_until(lambda: all(lab.job_state(jobs[name]) == "COMPLETED" for name in held), 300, "the jobs to run")
    print(f"{len(held)} jobs ran")
    quiet = [name for name in held if not reports[name]["action"]["detail"].startswith("drain breaker:")]
    if quiet:
        yield f"the reports of {quiet} say nothing of the breaker: {reports[quiet[0]]['action']}"
    doctor = lab.run([f"{cluster.prefix}/bin/preflight", "doctor"], env={"SLURMD_NODENAME": held[0]}).stdout
    if "drain breaker: held at the latest health check" not in " ".join(doctor.split()):
        yield f"doctor says nothing of the breaker: {doctor}"
    page = lab.run([f"{cluster.prefix}/bin/preflight", "report", jobs[held[0]]]).stdout
    if "the drain breaker held" not in " ".join(page.split()):
        yield f"the job's report says nothing of the breaker: {page}"
    if lines is None:
        print(f"{SYSLOG} is this machine's own: not looked at")
        return
    said = {
        name for name, job in jobs.items() if any(f"job={job} " in one and "drain(breaker)" in one for one in lines)
    }
    print(f"{len(said)} lines of syslog say breaker")
    if not set(held) <= said:
        yield f"syslog says nothing of the breaker for {sorted(set(held) - said)}"


@contextmanager
def _syslog() -> Iterator[list[str] | None]:
    """Take what hooks write to syslog, where this machine has none; else None."""
    if os.path.lexists(SYSLOG):
        yield None
        return
    lines: list[str] = []
    over = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as place:
        place.bind(SYSLOG)
        place.settimeout(0.5)

        def read() -> None:
            while not over.is_set():
                try:
                    lines.append(place.recv(4096).decode(errors="replace"))
                except (socket.timeout, TimeoutError):
                    continue

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield lines
        finally:
            over.set()
            thread.join()
            os.unlink(SYSLOG)


if __name__ == "__main__":
    sys.exit(main())
