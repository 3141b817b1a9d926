"""A batch script: its #SBATCH lines, and what it says that it needs."""

from pathlib import Path

from preflight.requirements.grammar import parse
from preflight.submit.infer import infer
from preflight.submit.options import OptionError
from preflight.submit.options_asked import asked
from preflight.submit.script import read

ERRORS = (OptionError,)
SCRIPTS = Path(__file__).parents[2] / "scripts"
TOKENS = (
    b"#SBATCH --gres=gpu:2\n", b"#SBATCH -x n[1-9]\n", b"#SBATCH --exclude=", b"#SBATCH hetjob\n", b"srun ",
    b"module load ", b"apptainer exec --nv ", b"$(", b"${X:-", b"<<EOF\n", b"EOF\n", b"if ", b"then\n", b"fi\n",
    b"for i in ", b"; do\n", b"done\n", b"case $X in\n", b"esac\n", b"f() {\n", b"}\n", b"source ",
    b"conda activate ", b"export A=", b'"$@"', b"|| exit\n", b"--container-image=", b"A=(", b"((", b"[[", b"&& ",
    b"\\\n", b"`", b"eval ", b"python ", b"--gpus-per-node=", b"--mem=",
)  # fmt: skip
LONGEST = 8192
STEPS_LIMIT = (300_000, 8_000)
PEAK_LIMIT = (16 << 20, 4_000)


def seeds() -> list[bytes]:
    """Return the scripts of tests/scripts."""
    found = [path.read_bytes()[:LONGEST] for path in sorted(SCRIPTS.glob("*/*/job.sh"))]
    assert found
    return [*found, b"#!/bin/bash\n#SBATCH --gres=gpu:2 --mem=4G\n#SBATCH -x n[1-9]\nsrun python t.py\n"]


def check(data: bytes) -> None:
    """Read the script as sbatch reads it, and infer its needs: each is a requirement, each line is in the script."""
    text = data.decode("utf-8", "surrogateescape")
    job = read([], {}, stdin_text=text, cwd="/nowhere")
    for component in job.components:
        asked(component)
    found = infer(
        text, job.components, environment={"HOME": "/nowhere", "USER": "ann"}, cwd="/nowhere", home="/nowhere"
    )
    lines = text.count("\n") + 1
    for one in found.needs:
        parse(one.clause)
        assert one.line is None or 0 <= one.line <= lines
