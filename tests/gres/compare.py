"""Slurm's order of a node's GPUs by `preflight.slurm.gres`, held against slurmd's own.

    python -m gres.compare [--count 300] [--first SEED] [--verbose]      from tests/, as root

PREFLIGHT_LAB_RELEASE names the release. The status is 1 where an answer differs.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from gres import configs
from gres.configs import NODE, Configuration
from gres.facts import Facts
from gres.slurmd import Answer, Device, Slurmd
from lab import releases
from nvml import sim
from preflight.slurm import gres

NOWHERE: Device = (None, ())  # a number whose device NVML does not have
SAME, UNKNOWN, WRONG, REFUSED = "same", "unknown", "WRONG", "slurmd refuses it"


class Result(NamedTuple):
    """One configuration: what slurmd and Preflight answer, and whether that is the same."""

    configuration: Configuration
    slurmd: Answer
    ours: list[Device]
    problem: str
    word: str

    def __str__(self) -> str:
        return (
            f"{self.word}: {self.configuration}\n  slurmd {self.slurmd.devices} {self.slurmd.types}\n"
            f"  ours   {self.ours} {self.problem}"
        )


def compare(slurmd: Slurmd, facts: Facts, configuration: Configuration) -> Result:
    """Ask both."""
    theirs = slurmd.ask(configuration)
    gpus = facts.gpus(slurmd.scenario, slurmd.root)
    read = gres.read(str(slurmd.directory), NODE, slurmd.version)
    found, problem = gres.devices(read, gpus, slurmd.version)
    ours = [] if problem else [device(gpus, *one) if one else NOWHERE for one in found]
    if theirs.devices is None:
        word = REFUSED
    elif problem:
        word = UNKNOWN
    else:
        word = SAME if ours == theirs.devices else WRONG
    return Result(configuration, theirs, ours, problem, word)


def misled(slurmd: Slurmd, facts: Facts, result: Result) -> str:
    """Lose one GPU of a node whose slurmd has all of them; return what is then said wrongly of a number, "" nothing.

    A list that is shorter than slurmd's is no answer: hooks.gpus takes it for unknown.
    """
    configuration = result.configuration
    slurmd.write(configuration)
    sound = facts.gpus(slurmd.scenario, slurmd.root)
    lost = random.Random(configuration.seed).randrange(len(sound))
    sim.write(slurmd.scenario, configuration.scenario, {f"gpu.{lost}.lost": 1})
    read = gres.read(str(slurmd.directory), NODE, slurmd.version)
    found, problem = gres.devices(read, facts.gpus(slurmd.scenario, slurmd.root), slurmd.version)
    if problem or len(found) < len(result.ours):
        return ""
    for number, (one, wanted) in enumerate(zip(found, result.ours)):
        is_lost = wanted[0] == sound[lost]["minor"]
        if (one[0] != lost if one else False) if is_lost else one is None or device(sound, *one) != wanted:
            return f"GPU {lost} is lost: {number} is taken for {one}, and is {wanted}\n{result}"
    return ""


def device(gpus: list[dict[str, Any]], position: int, place: int | None) -> Device:
    """Return the minors of a place in the devices list, and in its mig_devices."""
    gpu = gpus[position]
    return gpu["minor"], () if place is None else tuple(gpu["mig_devices"][place]["caps"])


def run(seeds: Iterable[int]) -> Iterator[Result]:
    """Compare the configurations of ``seeds`` on the chosen release."""
    with Slurmd(releases.chosen()) as slurmd, Facts(slurmd.library) as facts:
        for seed in seeds:
            yield compare(slurmd, facts, configs.make(seed))


def main() -> int:
    """Run it by hand; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="print every configuration")
    arguments = parser.parse_args()
    words: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for result in run(range(arguments.first, arguments.first + arguments.count)):
        words[result.word] += 1
        problems[result.problem] += 1
        if arguments.verbose or result.word == WRONG:
            print(result, flush=True)
    print(", ".join(f"{word} {count}" for word, count in sorted(words.items())))
    for problem, count in problems.most_common():
        print(f"  {count:4} {problem or 'sure'}")
    return 1 if words[WRONG] else 0


if __name__ == "__main__":
    sys.exit(main())
