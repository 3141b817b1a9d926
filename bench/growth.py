"""What one check more costs the prolog: the same hook with MORE checks added to the installed package, in turn."""

import resource
import shutil
import statistics
import subprocess
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
