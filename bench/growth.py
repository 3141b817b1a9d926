"""What a hook costs more: with MORE checks, a long policy, many modulefiles, many records; in turn with its own.

Ratios are of CPU time, which other load on the machine moves little.
"""

import os
import re
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import Case

MORE = 40
MODULE = '''
from preflight.checks.finding import failed
from preflight.checks.registry import gpu_check


def _declare(number):
    @gpu_check(f"gpu.bench.{number}", ("temperature", "pcie_width"), action="warn", remedy="none", limit=1000)
    def one(value, width, limit):
        """The temperature is at or below the limit."""
        return None if value <= limit and width else failed("hot", observed=value)


for _number in range(COUNT):
    _declare(_number)
'''


# A policy's text, and a directory of its own, to the policy that is timed.
Change = Callable[[str, Path], str]
ROWS, MODULES, JOBS = 500, 10_000, 100_000
_ASKS = ("kernel>=4.{0}", "memory>={0}K", "driver>=450.{0}", "ubuntu>=20.{0}|rhel>=9.{0}", "gpu=h100, gpu.memory>={0}K")


def with_rows(policy: str, place: Path) -> str:
    """Return a policy with ROWS expectations of every node."""
    return policy + "".join(f'[[expect]]\nrequire = "{_ASKS[one % len(_ASKS)].format(one)}"\n' for one in range(ROWS))


def with_modules(number: int, node: str) -> Change:
    """Return what makes a policy that names a tree of so many modulefiles below the node's root, tool0/0.0 and on."""

    def changed(policy: str, place: Path) -> str:
        root = re.search(r'(?m)^root = "(.*)"$', policy)
        if root is None:
            raise ValueError("the policy names no root")
        tree = f"/opt/{number}-modules"
        for one in range(number):
            file = Path(f"{root[1].replace('%n', node)}{tree}/tool{one // 20}/{one % 20}.0")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("#%Module1.0\n", encoding="utf-8")
        return policy.replace("[facts]\n", f'[facts]\nmodule_paths = ["{tree}"]\n', 1)

    return changed


def with_jobs(number: int) -> Change:
    """Return what makes a policy whose spool has the records of so many jobs."""

    def changed(policy: str, place: Path) -> str:
        spool = place / "spool"
        for job in range(1, number + 1):
            (spool / "reports" / str(job)).mkdir(parents=True, mode=0o700)
        spool.chmod(0o700)
        return re.sub(r'^spool = ".*"$', f'spool = "{spool}"', policy, flags=re.MULTILINE)

    return changed


def ratio(case: Case, directory: Path, rounds: int, more: Change, than: Change) -> float:
    """Return how many times the CPU time of ``case``, an installed hook, it takes with another policy.

    ``more`` and ``than`` make the two policies compared, of the text of the installed one and a directory of their own.
    """
    cases = [_with_policy(case, directory / name, change) for name, change in (("more", more), ("than", than))]
    ratios = []
    for turn in range(rounds + 3):
        one, other = (_cpu_ms(each) for each in cases)
        if turn > 2:  # the first ones read all, and what they read is young
            ratios.append(one / other)
    return statistics.median(ratios)


def unchanged(policy: str, place: Path) -> str:
    """Return the policy as it is."""
    return policy


def _with_policy(case: Case, place: Path, change: Change) -> Case:
    script = Path(case.command[0])
    text = script.read_text(encoding="utf-8")
    config, run_dir = (re.search(rf"--{name} (\S+)", text)[1] for name in ("config", "run-dir"))  # type: ignore[index]
    (place / "run").mkdir(parents=True, mode=0o700)
    policy = place / "preflight.toml"
    policy.write_text(change(Path(config).read_text(encoding="utf-8"), place), encoding="utf-8")
    os.utime(policy, (time.time() - 60,) * 2)
    copy = place / script.name
    copy.write_text(text.replace(config, str(policy)).replace(run_dir, f"{place}/run"), encoding="utf-8")
    copy.chmod(0o755)
    return Case(place.name, [str(copy), *case.command[1:]], case.environment)


def per_check(case: Case, directory: Path, rounds: int) -> float:
    """Return the milliseconds of CPU time that a check of every GPU adds to ``case``, an installed prolog.

    Two copies of what its script runs are made below ``directory`` and timed in turn, one with MORE checks in a module
    beside the others.
    """
    script = Path(case.command[0])
    text = script.read_text(encoding="utf-8")
    main = next(Path(word) for word in text.split() if word.endswith("/preflight/__main__.py"))
    library = main.parent.parent
    cases: list[Case] = []
    for name in ("plain", "more"):
        place = directory / name
        shutil.copytree(library, place)
        copy = directory / f"{name}-{script.name}"
        copy.write_text(text.replace(f"{library}/", f"{place}/"), encoding="utf-8")
        copy.chmod(0o755)
        cases.append(Case(name, [str(copy), *case.command[1:]], case.environment))
    module = directory / "more/preflight/checks/bench_growth.py"
    module.write_text(MODULE.replace("COUNT", str(MORE)), encoding="utf-8")
    differences = []
    for turn in range(rounds + 1):
        without, having = (_cpu_ms(one) for one in cases)
        if turn:  # the first compiles the module
            differences.append(having - without)
    return statistics.median(differences) / MORE


def _cpu_ms(case: Case) -> float:
    """Return the CPU time of a hook and its children, which other load on the machine moves little."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(case.command, env=case.environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
