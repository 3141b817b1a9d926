"""Real jobs on nodes with made-up configurations: one cluster, a configuration and a gres.conf for each node."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from gres import configs
from gres.compare import SAME, Result, compare
from gres.configs import NODE, Configuration
from gres.facts import Facts
from gres.slurmd import Slurmd
from lab import Lab, LabNode, places
from lab.driver import Driver
from lab.release import Release
from nvml import devices, sim

_PROLOG = """#!/bin/sh
export PATH=/usr/bin:/bin
env >DIR/work/$SLURM_JOB_ID.prolog
"""
# Jobs of one GPU each run beside each other, so that they have different ones.
_SCRIPT = "scontrol show job -d $SLURM_JOB_ID; sleep 1"


class Candidate(NamedTuple):
    """A configuration that gives a node in service, what slurmd and Preflight say of it, and the GPUs' facts."""

    result: Result
    gpus: list[dict[str, Any]]

    def kinds(self) -> Counter[str]:
        """Return how many GPUs there are of each type."""
        return Counter(self.result.slurmd.types)

    def uuid(self, position: int) -> str:
        """Return the UUID of what Preflight takes Slurm's number for."""
        minor, caps = self.result.ours[position]
        gpu = next(one for one in self.gpus if one["minor"] == minor)
        own = [one for one in gpu.get("mig_devices") or [] if tuple(one["caps"]) == caps]
        return str((own[0] if own else gpu)["uuid"])


class Seen(NamedTuple):
    """What one job saw: SLURM_JOB_GPUS, IDX of scontrol, CUDA_VISIBLE_DEVICES of the prolog."""

    numbers: list[int]
    shown: list[int]
    visible: list[str]


def candidates(release: Release, count: int, first: int = 0) -> list[Candidate]:
    """Return ``count`` configurations of several GPUs, without shards or MPS; Gres= counts what slurmd finds."""
    found: list[Candidate] = []
    with Slurmd(release) as slurmd, Facts(slurmd.library) as facts:
        seed = first
        while len(found) < count and seed < first + 50 * count:
            configuration = configs.make(seed)
            seed += 1
            if configuration.gres_types != "gpu" or configuration.included:
                continue
            result = compare(slurmd, facts, configuration)
            if result.word == SAME and len(result.ours) > 1 and _asked(configuration) == Counter(result.slurmd.types):
                found.append(Candidate(result, facts.gpus(slurmd.scenario, slurmd.root)))
    return found


def _asked(configuration: Configuration) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for part in configuration.gres.split(","):
        _, *rest = part.removesuffix("(S:0)").split(":")
        count = int(rest.pop()) if rest and rest[-1].isdigit() and len(rest[-1]) < 4 else 1
        kinds[rest[0] if rest else "(null)"] += count
    return kinds


@contextmanager
def cluster(release: Release, chosen: list[Candidate]) -> Iterator[Lab]:
    """Run a node for each: n0, n1 …"""
    directory = Path(places.temporary())
    directory.chmod(0o755)
    release.prepare(str(directory))
    library = sim.build(directory / "nvml")
    nodes = []
    for number, one in enumerate(chosen):
        name, configuration = f"g{number}", one.result.configuration
        own = directory / "nodes" / name
        scenario = sim.write(own / "scenario", configuration.scenario)
        devices.write_root(own / "root", configuration.scenario)
        text = re.sub(rf"n\[0-3\]|\b{NODE}\b", name, configuration.gres_conf)
        (own / "gres.conf").write_text(text, encoding="utf-8")
        driver = Driver(str(library), str(scenario), str(own / "root"), configuration.files)
        driver = replace(driver, instead=((str(own / "gres.conf"), f"{directory}/gres.conf"),))
        nodes.append(LabNode(name, cpus=32, gres=configuration.gres, driver=driver))
    prolog = directory / "prolog"
    prolog.write_text(_PROLOG.replace("DIR", str(directory)), encoding="utf-8")
    prolog.chmod(0o755)
    # slurmctld's own gres.conf says nothing: each slurmd has its node's.
    with Lab(directory, nodes, prolog=prolog, gres_conf="# each node has its own\n", release=release) as lab:
        yield lab


def submit(lab: Lab, node: str, one: Candidate) -> list[tuple[str, int, str]]:
    """Submit jobs for the node's GPUs; return (type, how many GPUs, job) of each.

    One job for all of a type. Of a node with MIG, one for each GPU: 24.11 and 26.05 cannot give out all GPUs of a node
    that has whole ones and MIG devices of one type (seen: gpu:12 has 11, or waits for ever).
    """
    mig = any(caps for _, caps in one.result.ours)
    wanted = [(kind, 1 if mig else count) for kind, count in one.kinds().items() for _ in range(count if mig else 1)]
    return [
        (kind, count, lab.sbatch(_SCRIPT, "-w", node, f"--gres=gpu:{'' if kind == '(null)' else f'{kind}:'}{count}"))
        for kind, count in wanted
    ]


def seen(lab: Lab, job: str) -> Seen:
    """Return what the job saw, once it has ended."""
    lab.wait_job(job, "COMPLETED")
    text = Path(lab.work, f"{job}.prolog").read_text(encoding="utf-8")
    words = dict(line.partition("=")[::2] for line in text.splitlines())
    shown = re.search(r"GRES=\S*\(IDX:([\d,-]+)\)", lab.output(job))
    return Seen(
        [int(number) for number in words.get("SLURM_JOB_GPUS", "").split(",") if number],
        _numbers(shown[1]) if shown else [],
        words.get("CUDA_VISIBLE_DEVICES", "").split(","),
    )


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found
