"""What GPU code costs to look into: a library of 80 MB, and an environment of PyTorch's size, first and from the cache.

CPU time of a process that has imported what it needs and has read each file once before: the files lie in memory, so
that little else is waited for. What plan takes beyond is wall time.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import Case, difference, measure
from preflight.tuples import NamedTuple
from unit import gpu_code_torch

_PROBE = """
import json, resource, sys, time
from preflight.artifacts.gpu_code.kept import kept_survey
from preflight.artifacts.gpu_code.read import read
from preflight.artifacts.gpu_code.survey import survey
library, place, cache = sys.argv[1:]
def timed(ask, *arguments):
    began = time.process_time()
    ask(*arguments)
    return (time.process_time() - began) * 1000
read(library)
times = [timed(read, library), 0, 0]
survey(place)
times[1] = timed(survey, place)
kept_survey(place, None, cache)
times[2] = timed(kept_survey, place, None, cache)
print(json.dumps([*times, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
SCRIPT = "#!/bin/bash\n#SBATCH --gpus=1\nsource {}/bin/activate\npython train.py\n"


class Figures(NamedTuple):
    """Medians: milliseconds for the library, the environment anew and from the cache, MiB; what plan takes beyond."""

    library: float
    anew: float
    kept: float
    memory: float
    plan: float


def figures(rounds: int) -> Figures:
    """Measure; the plans are of a machine without Slurm, with the environment (in the cache) and without it."""
    with tempfile.TemporaryDirectory() as directory:
        place = gpu_code_torch.environment(Path(directory, "env"))
        (place / "bin").mkdir()
        (place / "bin/activate").touch()
        library, cache = Path(directory, "lib.so"), Path(directory, "cache")
        gpu_code_torch.library(library, 60, 80 << 20)
        asked = [sys.executable, "-c", _PROBE, str(library), str(place), str(cache)]
        told = [json.loads(subprocess.check_output(asked)) for _ in range(rounds)]
        library_ms, anew, kept, memory = (statistics.median(one) for one in zip(*told))
        script, plain = Path(directory, "job.sh"), Path(directory, "plain.sh")
        script.write_text(SCRIPT.format(place), encoding="utf-8")
        plain.write_text(SCRIPT.format(place).replace("source", "true"), encoding="utf-8")
        environment = {"PATH": "/nowhere", "HOME": directory, "XDG_CACHE_HOME": str(cache)}
        command = [sys.executable, "-m", "preflight", "plan", "--json"]
        cases = [Case(one.name, [*command, str(one)], environment, 2) for one in (script, plain)]
        cases = [one._replace(status=_status(one)) for one in cases]
        with_it, without = measure(cases, rounds, cases[1].name)
        return Figures(library_ms, anew, kept, memory, difference(with_it, without))


def _status(case: Case) -> int:
    return subprocess.run(case.command, env=case.environment, capture_output=True, check=False).returncode


def text(found: Figures) -> str:
    """Return the figures as lines."""
    return (
        f"GPU code in a library of 80 MB: {found.library:.1f} ms of CPU time. "
        f"An environment of PyTorch's size (600 files, 60 with code, 4 GB): "
        f"{found.anew:.0f} ms, {found.kept:.1f} ms from the cache, at most {found.memory:.0f} MiB; "
        f"a plan with it takes {found.plan:.0f} ms more than without.\n"
    )
