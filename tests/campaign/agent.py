"""`make agent-campaign`: prologs and epilogs of a node with an agent, while something befalls it at any instant.

Variables: N prologs, SEED, OUT: a file that has a line for each batch that was judged; another run goes on after those.
What holds whatever happens: a hook ends in time and stops no job, the agent answers for no GPU that has not been well
for longer than a look may be old, and every hook has one report, of whoever judged it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nvml import sim
from preflight.agent.client import AgentError
from preflight.agent.gpus import CRITICAL_S
from preflight.deploy.copy import copy_package
from unit.agent_site import AgentSite, build
from unit.hook_site import H100X2, JOB, REQUIRE, Site

BATCH = 250
AT_ONCE = 8  # jobs that begin together
FAULTS = 0.45  # rounds in which something befalls the agent
EPILOGS = 0.4  # of the jobs' that are run, too
DEADLINE_S = 20.0  # of a hook; a hung driver costs two thirds of it, and no machine may be too slow for the rest
GRACE_S = 4.0  # past which it was not kept: the backstop has half a second, and a machine may have much to do
CLAUSES = ("", "cuda>=12.4, ubuntu>=22.04", "gpu.count>=2, driver>=500")
WELL = "well"
LASTING: dict[str, dict[str, object]] = {
    "a GPU has ECC errors": {"gpu.0.ecc.uncorrected.volatile": 2, "gpu.0.ecc.uncorrected.aggregate": 2},
    "the driver is unloaded": {"ret.nvmlInitWithFlags": 9},
    "NVML hangs": {"delay_ms.nvmlDeviceGetTotalEccErrors": 600000},
}
OFTEN = {"NVML hangs": 1}  # it takes long
UNHEALTHY = "a GPU has ECC errors"


class Prolog(NamedTuple):
    """One hook as it was seen from outside; ``states``: what the GPUs were like from a look before it to its end."""

    phase: str
    job: int
    gpus: bool
    fault: str
    way: str
    status: int
    took_s: float
    states: frozenset[str]
    settled: bool  # long enough after the last lasting fault that nothing of it may show


class Batch:
    """A site with an agent, what befell it, and the prologs that ran on it."""

    def __init__(self, agent: AgentSite, seed: str) -> None:
        self.agent, self.site = agent, agent.site
        self.chance = random.Random(seed)
        self.prologs: list[Prolog] = []
        self._state = WELL
        self._states = [(0.0, WELL)]
        self._faults: dict[str, Callable[[], Callable[[], None]]] = {
            "the agent is killed": lambda: self._signal([self._pid()], signal.SIGKILL),
            "the agent is stopped": lambda: self._signal([self._pid()], signal.SIGSTOP),
            "the agent is ended": lambda: self._signal([self._pid()], signal.SIGTERM),
            "a child is killed": lambda: self._signal(self._child(), signal.SIGKILL),
            "a child is stopped": lambda: self._signal(self._child(), signal.SIGSTOP),
            "no descriptors": self._no_descriptors,
            "the runtime directory is full": lambda: _fill(self.site.run_dir),
            "the spool is full": lambda: _fill(self.site.spool),
        }

    def run(self, count: int, first: int) -> None:
        """Run ``count`` prologs of jobs numbered from ``first``, and epilogs of some; several at once, as on a node."""
        left, job = 0, first
        while job < first + count:
            left = self._weather(left)
            jobs = {one: self.chance.random() < 0.7 for one in range(job, min(job + self._many(), first + count))}
            job += len(jobs)
            self._hooks("prolog", jobs, self._fault())
            ends = {one: gpus for one, gpus in jobs.items() if self.chance.random() < EPILOGS}
            if ends:
                self._hooks("epilog", ends, self._fault())

    def _many(self) -> int:
        """Return how many jobs begin at once: often one, at most AT_ONCE."""
        return self.chance.choice((1, 2, 4, AT_ONCE))

    def _weather(self, left: int) -> int:
        """Let a lasting fault begin or end; return for how many rounds the node stays as it is."""
        if left:
            return left - 1
        if self._state != WELL:
            self._become(WELL)
        elif self.chance.random() < 0.02:
            kinds = sorted(LASTING)
            self._become(self.chance.choices(kinds, [OFTEN.get(one, 3) for one in kinds])[0])
            return self.chance.randrange(1, 3)
        return 0

    def _fault(self) -> str:
        """Return what is to befall the agent now, "" for nothing."""
        kinds = sorted(self._faults)
        weights = [1 if "agent is killed" in one or "agent is ended" in one else 3 for one in kinds]
        return self.chance.choices(kinds, weights)[0] if self.chance.random() < FAULTS else ""

    def judge(self) -> list[str]:
        """End the agent, have the health check put on record what is left, and return what is wrong."""
        self._become(WELL)
        self.agent.stop(signal.SIGKILL)
        for _ in range(2):
            self.site.hook("health")
        return [
            f"{one.phase} of job {one.job} ({one.fault or 'no fault'}, {one.way}): {why}"
            for one in self.prologs
            for why in self._wrong(one)
        ]

    # --- hooks ----------------------------------------------------------------------------------------------

    def _hooks(self, phase: str, jobs: dict[int, bool], fault: str) -> None:
        """Run the hooks of ``jobs`` (job -> has GPUs) at once, and let the fault befall the agent meanwhile."""
        asked = {}
        for job, gpus in jobs.items():
            clauses = self.chance.choice(CLAUSES) if gpus and phase == "prolog" else ""
            more = {"SLURM_JOB_GPUS": "0,1"} if gpus else {}
            asked[job] = {**JOB, "SLURM_JOB_ID": str(job), **more, **({REQUIRE: clauses} if clauses else {})}
        undo: list[Callable[[], None]] = []
        killer = threading.Timer(self.chance.random() ** 2 * 0.06, lambda: undo.append(self._faults[fault]()))
        run = self.agent.prolog if phase == "prolog" else self.agent.epilog

        def one(job: int) -> tuple[int, float, float, str, int]:
            began = time.monotonic()
            way, done = run(**asked[job])
            return job, began, time.monotonic(), way, done.returncode

        if fault:
            killer.start()
        with ThreadPoolExecutor(len(jobs)) as pool:
            ended = list(pool.map(one, jobs))
        if fault:
            killer.join()
        for back in undo:
            back()
        for job, began, end, way, status in ended:
            states = self._between(began - CRITICAL_S, end)
            settled = self._between(began - 60.0, end) == {WELL}
            self.prologs.append(Prolog(phase, job, jobs[job], fault, way, status, end - began, states, settled))
        if any(way == "one-shot" for *_, way, _ in ended):
            # A day passes: the agent leaves a node to its hooks on which something has failed.
            (self.site.spool / "streaks-n1.json").unlink(missing_ok=True)
        self._mend()

    def _between(self, since: float, until: float) -> frozenset[str]:
        """Return what the GPUs were like between two instants."""
        ends = [at for at, _ in self._states[1:]] + [float("inf")]
        return frozenset(state for (at, state), end in zip(self._states, ends) if at <= until and end >= since)

    def _wrong(self, one: Prolog) -> Iterator[str]:
        if one.status:
            yield f"it ended with {one.status}"
        if one.took_s > DEADLINE_S + GRACE_S:
            yield f"it took {one.took_s:.1f} s"
        if one.way == "agent" and one.gpus and WELL not in one.states:
            yield f"the agent answered while {sorted(one.states)}"
        path = self.site.spool / f"reports/{one.job}/n1.0.{one.phase}.json"
        if not path.exists():
            yield "its report is lost"
            return
        report = json.loads(path.read_text())
        if report["source"] != one.way:
            yield f"its report is of {report['source']}"
        if report["verdict"] != "ready" and (one.way == "agent" or one.settled):
            bad = [
                f"{row['check']}: {row['message']}"
                for row in report["findings"]
                if row["status"] not in ("pass", "skip")
            ]
            yield f"it was found {report['verdict']} on a sound node: {bad[:3]}"
        if report["verdict"] != "unhealthy" and one.gpus and one.states == {UNHEALTHY}:
            yield f"it was found {report['verdict']} on a sick node"
        if report["verdict"] == "ready" and one.gpus and WELL not in one.states:
            yield "it was found ready on a node that is not well"

    # --- what befalls it ------------------------------------------------------------------------------------

    def _become(self, state: str) -> None:
        """Give the node another state; both hold while it changes."""
        if state == self._state:
            return
        if state == WELL:
            self._states.append((time.monotonic(), state))
        new = self.site.place / "scenario.new"
        sim.write(new, H100X2, LASTING.get(state, {}))
        new.rename(self.site.place / "node.scenario")
        if state != WELL:
            self._states.append((time.monotonic(), state))
        else:
            with suppress(AgentError):
                self.agent.ask("refresh")
        self._state = state

    def _mend(self) -> None:
        """Have an agent that answers, before most prologs; its start is an instant as good as any other."""
        process = self.agent.process
        if process is not None and process.poll() is None:
            return
        self.agent.stop(signal.SIGKILL)
        if self._state == WELL and self.chance.random() < 0.7:
            self.agent.start()
        else:
            self.agent.spawn()

    def _pid(self) -> int:
        assert self.agent.process is not None
        return self.agent.process.pid

    def _child(self) -> list[int]:
        with suppress(OSError):
            children = sorted(self.agent.children())
            return [self.chance.choice(children)] if children else []
        return []

    def _signal(self, pids: list[int], number: int) -> Callable[[], None]:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

        def undo() -> None:
            for pid in pids:
                if number == signal.SIGSTOP:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
            if number in (signal.SIGKILL, signal.SIGTERM) and pids == [self._pid()] and self.agent.process is not None:
                self.agent.process.wait(60)

        return undo

    def _no_descriptors(self) -> Callable[[], None]:
        pid = self._pid()
        with suppress(OSError):
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            used = len(os.listdir(f"/proc/{pid}/fd"))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))

            def undo() -> None:
                with suppress(OSError):
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)

            return undo
        return lambda: None


def _fill(directory: Path) -> Callable[[], None]:
    """Fill a file system to its last byte; return what empties it again."""
    path = directory / ".fill"
    with suppress(OSError), open(path, "wb", buffering=0) as file:
        while file.write(b"\0" * 65536) == 65536:
            continue
    with suppress(OSError), open(path, "ab", buffering=0) as file:
        while file.write(b"\0" * 512):
            continue
    return lambda: path.unlink(missing_ok=True)


@contextmanager
def small(*directories: Path) -> Iterator[None]:
    """Give each directory a small file system of its own, in memory."""
    mounted: list[Path] = []
    try:
        for path in directories:
            path.mkdir(exist_ok=True)
            options = ["-o", "size=24m,mode=0755", "tmpfs"]
            subprocess.run(["mount", "-t", "tmpfs", *options, str(path)], check=True)
            mounted.append(path)
        yield
    finally:
        for path in mounted:
            subprocess.run(["umount", "-l", str(path)], check=False)


def play(agent: AgentSite, seed: str, count: int, first: int = 1000) -> tuple[Batch, list[str]]:
    """Run a batch on ``agent``'s site, which must not have run yet; return it, and what was wrong."""
    agent.site.policy(deadline_s=DEADLINE_S)
    with small(agent.site.run_dir, agent.site.spool):
        agent.start()
        batch = Batch(agent, seed)
        try:
            batch.run(count, first)
            return batch, batch.judge()
        finally:
            if agent.process is not None:
                agent.stop(signal.SIGKILL)


def main() -> int:
    """Run the batches that are not on record yet; return 1 where something was wrong."""
    count, seed = int(os.environ.get("N") or 10000), os.environ.get("SEED") or "16"
    record = Path(os.environ.get("OUT") or "agent-campaign.jsonl")
    done = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    done = [one for one in done if one["seed"] == seed]
    with tempfile.TemporaryDirectory(prefix="preflight-agent-campaign-") as place:
        os.chmod(place, 0o755)
        lib, programs = Path(place, "lib"), build(Path(place, "client"))
        copy_package(str(lib))
        library = str(sim.build(Path(place, "nvml")))
        for number in range(len(done), -(-count // BATCH)):
            where = Path(place, str(number))
            where.mkdir()
            agent = AgentSite(Site(where, library, str(lib / "preflight/__main__.py")), programs, wait_ms=500)
            began = time.monotonic()
            batch, wrong = play(agent, f"{seed}/{number}", min(BATCH, count - number * BATCH))
            ways = Counter(one.way for one in batch.prologs)
            faults = Counter(one.fault or "none" for one in batch.prologs)
            slowest = round(max(one.took_s for one in batch.prologs), 2)
            row = {"seed": seed, "batch": number, "ways": ways, "faults": faults, "slowest_s": slowest, "wrong": wrong}
            done.append(row)
            with open(record, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(
                f"{number:4} {dict(ways)} slowest {slowest} s, {time.monotonic() - began:.0f} s, wrong: {wrong}",
                flush=True,
            )
    total, ways = sum(sum(one["ways"].values()) for one in done), Counter[str]()
    for one in done:
        ways.update(one["ways"])
    wrong = [why for one in done for why in one["wrong"]]
    print(f"{total} prologs: {dict(ways)}, slowest {max(one['slowest_s'] for one in done)} s, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
