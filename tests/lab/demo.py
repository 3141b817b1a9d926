"""`make demo`: a private Slurm with four simulated nodes, and what Preflight does to the jobs of an ordinary user.

Everything runs on loopback below one directory in /tmp and is stopped at the end, also on Ctrl-C. The exit status is 1
where something did not go as the story says.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from lab import LabError, places, unavailable
from lab.cluster import SITES, Cluster, sites_of
from lab.demo_page import Progress, Row, block, heading, say, table
from lab.demo_serve import serve

USER = "pfalice"
REPORTS = Path(__file__).resolve().parents[2] / "demo-reports"  # or the one argument
# Slurm takes the first node that is free: a job that says nothing about nodes meets the old driver first.
NODES = {
    "rocky1": "Rocky Linux 9.4, two A100, driver 470.256 (CUDA 11.4)",
    "sick1": "Ubuntu 22.04, two H100, one with two uncorrected ECC errors",
    "ubuntu1": "Ubuntu 22.04, two H100, driver 550.54 (CUDA 12.4)",
    "debian1": "Debian 12, no GPU",
}
# The lab's own scheduling, and: a job that a broken node sends back is not left held.
SCHEDULER = "batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_resolution=1,nohold_on_prolog_fail"
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT")
CUDA = "cuda>=12.4"
SCRIPT = "train.sh"


@dataclass
class Act:
    """One job. ``tries``: what has to come of it, (node, verdict, action kind) in order; ``end``: its last state."""

    title: str
    why: str
    asked: str
    options: tuple[str, ...]
    tries: tuple[tuple[str, str, str], ...]
    end: str
    command: str = "sbatch"
    job: str = ""
    reports: list[dict[str, Any]] = field(default_factory=list)

    def arguments(self) -> list[str]:
        """Return the options as they are typed."""
        return [*((f"--require={self.asked}",) if self.asked else ()), *self.options]

    def typed(self) -> str:
        """Return the command line as a person would type it."""
        words = [f'--require="{self.asked}"' if self.asked else "", *self.options]
        tail = "hostname" if self.command == "srun" else SCRIPT
        line = " ".join([self.command, *filter(None, words), tail])
        return line if len(line) < 78 else line.replace('" ', '" \\\n      ', 1)


ACTS = [
    Act(
        "fits",
        "the node holds what the job asks for",
        f"{CUDA}, ubuntu>=22.04|rhel>=9, gpu.memory>=80G",
        ("--gpus=2", "-x", "sick1,rocky1"),
        (("ubuntu1", "ready", "none"),),
        "COMPLETED",
    ),
    Act(
        "moves",
        "it meets a driver that is too old, and runs elsewhere",
        CUDA,
        ("--gpus=1", "-x", "sick1"),
        (("rocky1", "mismatch", "requeue"), ("ubuntu1", "ready", "none")),
        "COMPLETED",
    ),
    Act(
        "sick",
        "it meets a broken GPU: the node is drained, the job runs elsewhere",
        "gpu=h100",
        ("--gpus=2", "--constraint=ubuntu"),
        (("sick1", "unhealthy", "drain"), ("ubuntu1", "ready", "none")),
        "COMPLETED",
    ),
    Act(
        "lost",
        "no node has what it asks for: it is held and says why",
        "gpu=b200",
        ("--gpus=1", "-x", "sick1"),
        (("rocky1", "mismatch", "requeue"), ("ubuntu1", "mismatch", "hold")),
        "PENDING",
    ),
    Act(
        "cpu",
        "a job without GPUs: no GPU is asked anything",
        "debian>=12, glibc>=2.31",
        ("--constraint=debian",),
        (("debian1", "ready", "none"),),
        "COMPLETED",
    ),
    Act(
        "srun",
        "interactive: it can't be moved, so its user is told at once",
        CUDA,
        ("--gpus=1", "-w", "rocky1"),
        (("rocky1", "mismatch", "cancel"),),
        "CANCELLED",
        command="srun",
    ),
]
NONSENSE = ("cuda>=twelve", "cudaa>=12.4")


class Demo:
    """The story, told on one cluster."""

    def __init__(self, cluster: Cluster, progress: Progress, pages: Path) -> None:
        self.cluster, self.progress, self.pages = cluster, progress, pages
        self.lab = cluster.lab
        self.wrong: list[str] = []

    def tell(self) -> None:
        """Run every act; what did not go as told is in ``wrong``."""
        self.progress.clear()
        Path(self.lab.work, SCRIPT).write_text("#!/bin/sh\nhostname\nsleep 1\n", encoding="utf-8")
        heading("The nodes")
        for name, text in NODES.items():
            say(f"    {name:<8} {text}")
        self.refuse()
        self.batch()
        self.interactive()
        self.resume()
        self.write_pages()
        self.show_text()
        self.show_table()

    def refuse(self) -> None:
        """Submit what is no requirement: sbatch says so before there is a job."""
        heading("A mistake is refused while the user still looks")
        for spec in NONSENSE:
            done = self.lab.run(["sbatch", f"--require={spec}", SCRIPT], user=USER)
            say(f'$ sbatch --require="{spec}" {SCRIPT}')
            block(done.stderr)
            self.expect(done.returncode != 0 and "^" in done.stderr, f"sbatch refuses {spec} with a caret")

    def batch(self) -> None:
        """Submit the batch jobs, one after the other where a node must be free for it, and wait for all."""
        heading("Jobs of an ordinary user")
        for act in (act for act in ACTS if act.command == "sbatch"):
            command = ["sbatch", "--parsable", *act.arguments(), SCRIPT]
            act.job = self.lab.check_run(command, user=USER).strip()
            say(f"$ {act.typed()}")
            say(f"    job {act.job}: {act.why}")
            self.wait(f"job {act.job} ({act.title}) meets {act.tries[0][0]}", lambda act=act: self._reports(act))
            self.wait(f"job {act.job} ({act.title}) goes on", lambda act=act: self._settled(act))

    def interactive(self) -> None:
        """Run the interactive job; its terminal says why it ends."""
        act = next(act for act in ACTS if act.command == "srun")
        self.progress.show("srun on the old driver")
        before = {path.name for path in self._spool("rocky1").glob("*")}
        done = self.lab.run(["srun", *act.arguments(), "hostname"], user=USER, timeout=60)
        act.job = next(iter({path.name for path in self._spool("rocky1").glob("*")} - before), "")
        self.progress.clear()
        say(f"$ {act.typed()}")
        block(done.stderr)
        self.expect("cannot run on rocky1" in done.stderr, "srun's terminal says why the job cannot run")
        self.expect(done.returncode != 0 and "rocky1\n" not in done.stdout, "srun ends without running anything")
        self.wait(f"job {act.job} ends", lambda: self._settled(act))

    def resume(self) -> None:
        """Mend the sick node: its next health check gives it back, since the drain is exactly Preflight's own."""
        heading("The sick node")
        reason = self.lab.node_reason("sick1") or ""
        said = self.lab.check_run(["sinfo", "-R", "-h", "-o", "%N: %E"])
        say('$ sinfo -R -h -o "%N: %E"')
        block(said)
        self.expect(reason.startswith("preflight:gpu.ecc.uncorrected:gpu0:"), "sick1 is drained with the reason")
        self.cluster.set_gpus("sick1", SITES["ubuntu1"].scenario)
        self.cluster.health("sick1")
        self.wait("sick1 comes back", lambda: self.lab.node_state("sick1") == "IDLE")
        say("The board is replaced, the next health check passes: sick1 is idle again.")
        for name in ("rocky1", "ubuntu1", "debian1"):
            self.expect("DRAIN" not in self.lab.node_state(name), f"{name} was never drained")

    def write_pages(self) -> None:
        """Write each job's page, and compare what happened with the story."""
        shutil.rmtree(self.pages, ignore_errors=True)
        self.pages.mkdir(parents=True)
        for act in ACTS:
            act.reports = self._reports(act)
            seen = tuple((one["node"], one["verdict"], one["action"]["kind"]) for one in act.reports)
            self.expect(seen == act.tries, f"job {act.job} ({act.title}): {act.tries}, not {seen}")
            state = self.lab.job_state(act.job)
            self.expect(state == act.end, f"job {act.job} ({act.title}) ends {act.end}, not {state}")
            written = f"{self.cluster.directory}/{act.job}.html"  # a Slurm in a chroot sees this place only
            done = self._report(act, "--format", "html", "-o", written)
            self.expect(done.returncode == 0, f"preflight report {act.job}: {done.stderr.strip()}")
            if done.returncode == 0:
                shutil.copyfile(written, self.pages / f"{act.job}.html")

    def show_table(self) -> None:
        """Print the table of all tries."""
        heading("What came of them")
        rows = []
        for act in ACTS:
            for at, one in enumerate(act.reports):
                first = at == 0
                action = {"none": "runs", "requeue": "moved", "hold": "held", "drain": "drained", "cancel": "cancelled"}
                rows.append(
                    Row(
                        f"{act.job} {act.title}" if first else "",
                        act.asked if first else "",
                        one["node"],
                        one["verdict"],
                        action.get(one["action"]["kind"], one["action"]["kind"]),
                        f"{self.pages.name}/{act.job}.html" if first else "",
                    )
                )
        say(table(rows))

    def show_text(self) -> None:
        """Print the first half of a report as a user sees it in a terminal: what came of the job, and why."""
        act = next(act for act in ACTS if act.title == "moves")
        heading("A report in the terminal (its first half)")
        say(f"$ preflight report {act.job}")
        say(self._report(act).stdout.partition("\nEnvironment")[0].rstrip("\n"))

    def wait(self, what: str, answer: Callable[[], Any]) -> None:
        """Wait with progress shown; one that does not come in 60 s fails the demonstration."""

        def asked() -> Any:
            self.progress.show(what)
            return answer()

        self.lab.wait_until(asked, 60, what)
        self.progress.clear()

    def expect(self, holds: bool, what: str) -> None:
        """Keep what does not go as told."""
        if not holds:
            self.wrong.append(what)

    def _settled(self, act: Act) -> bool:
        """Return whether the job has had all its tries and Slurm has done with it."""
        state = self.lab.job(act.job)
        if state.get("state") in ENDED:
            return True
        return act.end == "PENDING" and len(self._reports(act)) >= len(act.tries) and "held:" in state["admin_comment"]

    def _reports(self, act: Act) -> list[dict[str, Any]]:
        return self.cluster.reports(act.job)

    def _report(self, act: Act, *options: str) -> Any:
        return self.cluster.preflight("report", act.job, *options, "--config", self.cluster.config)

    def _spool(self, node: str) -> Path:
        return self.cluster.node_dir(node) / "spool" / "reports"


def main(pages: Path = REPORTS) -> int:
    """Tell the story, write the jobs' pages into ``pages``; return 0 where all of it came true."""
    reason = unavailable()
    if reason:
        print(f"demo: {reason}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: in the background a shell has it ignored
        signal.signal(number, _interrupt)
    progress = Progress()
    progress.show("installing Preflight and starting a private Slurm on loopback")
    directory = places.temporary()
    try:
        extra = f"SchedulerParameters={SCHEDULER}"
        cluster = Cluster(list(sites_of(*NODES)), extra=extra, directory=directory, checked=False)
        demo = Demo(cluster, progress, pages)
        try:
            cluster.lab.start()
            demo.tell()
            if os.environ.get("SERVE"):
                serve(cluster, USER)
        finally:
            _unhurried(cluster.stop)
    except KeyboardInterrupt:
        progress.clear()
        print("demo: interrupted; everything that it started is stopped", file=sys.stderr)
        return 130
    except (LabError, RuntimeError, OSError) as error:
        progress.clear()
        print(f"demo: {_briefly(str(error), pages)}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return _close(demo, progress)


def _briefly(text: str, pages: Path) -> str:
    """Return the first line; what follows (the daemons' logs) goes into a file."""
    first, _, rest = text.partition("\n")
    if rest:
        pages.mkdir(parents=True, exist_ok=True)
        (pages / "lab.log").write_text(text + "\n", encoding="utf-8")
        first += f"; the daemons' logs: {pages.name}/lab.log"
    return first


def _close(demo: Demo, progress: Progress) -> int:
    say()
    if demo.wrong:
        for line in demo.wrong:
            print(f"demo: not as it should be: {line}", file=sys.stderr)
        return 1
    say(f"All as it should be, in {progress.seconds:.0f} s. Every daemon is stopped.")
    say(f"Open a page:  xdg-open {demo.pages.name}/{ACTS[1].job}.html")
    say(f"or serve them:  python3 -m http.server -b 127.0.0.1 -d {demo.pages.name} 8000")
    return 0


def _unhurried(stop: Callable[[], None]) -> None:
    """Stop everything; a second Ctrl-C must not leave daemons behind."""
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    stop()
    for number, handler in kept.items():
        signal.signal(number, handler)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(*(Path(one).absolute() for one in sys.argv[1:2])))
