"""`make bench`: every figure that README quotes, in one run; --write puts the table there."""

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from bench import agent, code, growth, nhc, placing, planning, publishing, reports  # noqa: E402
from bench.measure import Case, difference, measure, table  # noqa: E402
from lab.cluster import Cluster, Site  # noqa: E402
from nvml import sim  # noqa: E402

README = ROOT / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
SPANK = "SPANK__SLURM_SPANK_OPTION_preflight_require"
REQUIRE = "cuda>=12.4, ubuntu>=22.04|rhel>=9, gpu=h100, gpu.memory>=80G"
REFERENCE = "python -I -S -c pass"
FULL, WITHOUT = "prolog, job with 8 GPUs and 4 clauses", "the same without the clause cuda>=12.4"


@contextmanager
def node() -> Iterator[Cluster]:
    """A node with eight simulated H100s and Preflight installed; no Slurm runs, the hook's passing path needs none."""
    cluster = Cluster([Site("g8", "ubuntu", sim.example("h100x8"), 8)], agent=True)
    try:
        (cluster.node_dir("g8") / "reports").mkdir(parents=True)
        Path(cluster.directory, "gres.conf").write_text(
            "NodeName=g8 Name=gpu File=/dev/nvidia[0-7]\n", encoding="utf-8"
        )
        cluster.start_agent("g8")
        yield cluster
    finally:
        cluster.stop()


def cases(cluster: Cluster) -> list[Case]:
    """Return what is timed: the references, then the hooks as slurmd runs them."""
    job = {
        "SLURMD_NODENAME": "g8",
        "SLURM_JOB_ID": "1",
        "SLURM_JOB_UID": str(os.getuid()),
        "SLURM_JOB_USER": "bench",
        "SLURM_NODELIST": "g8",
        "SLURM_CONF": f"{cluster.directory}/slurm.conf",
    }
    gpus = {**job, "SLURM_JOB_GPUS": "0,1,2,3,4,5,6,7", SPANK: REQUIRE}
    python = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
    nothing = Path(cluster.directory, "exit0")
    nothing.write_text("#!/bin/bash\nexit 0\n", encoding="utf-8")
    nothing.chmod(0o755)
    hooks, program = f"{cluster.prefix}/libexec", f"{cluster.prefix}/bin/preflight"
    return [
        Case(agent.BASH, [str(nothing)], {}),
        Case(REFERENCE, [python, "-I", "-S", "-c", "pass"], {}),
        Case(FULL, [f"{hooks}/prolog"], gpus),
        Case(WITHOUT, [f"{hooks}/prolog"], {**gpus, SPANK: REQUIRE.partition(", ")[2]}),
        Case("epilog of that job", [f"{hooks}/epilog"], gpus),
        Case("prolog, job without GPUs", [f"{hooks}/prolog"], job),
        Case("task prolog", [f"{hooks}/taskprolog"], job),
        *agent.cases(cluster, job, gpus),
        Case("health check, 8 GPUs", [f"{hooks}/healthcheck"], {"SLURMD_NODENAME": "g8"}),
        Case("compile at submit, 4 clauses to --extra", [program, "require", REQUIRE, "--to", "extra"], {}),
        Case("the plugin's check at submit", [program, "require", "--to", "json", "--", REQUIRE], {}),
        Case("the same of a mistake", [program, "require", "--to", "json", "--", f"{REQUIRE}, cudda>=12"], {}, 2),
    ]


def _growth(cluster: Cluster, full: Case, rounds: int) -> str:
    """Return a line on what a long policy, many modulefiles and many old records cost."""
    health = next(case for case in cases(cluster) if case.name.startswith("health check"))
    place, same = Path(cluster.directory, "grown"), growth.unchanged
    rows = growth.ratio(full, place / "rows", rounds, growth.with_rows, same)
    asking = full._replace(environment={**full.environment, SPANK: f"{REQUIRE}, module=tool0/0.0"})
    many, few = growth.with_modules(growth.MODULES, "g8"), growth.with_modules(100, "g8")
    modules = growth.ratio(asking, place / "modules", rounds, many, few)
    jobs = growth.ratio(health, place / "jobs", rounds, growth.with_jobs(growth.JOBS), growth.with_jobs(100))
    return (
        f"CPU time of that prolog with {growth.ROWS} rows of [[expect]]: {rows:.2f} times; with {growth.MODULES:,} "
        f"modulefiles, by 100: {modules:.2f}. Of the health check with {growth.JOBS:,} records, by 100: {jobs:.2f}.\n"
    )


def main() -> int:
    """Measure, print, and with --write put the table into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--nhc", metavar="DIR", default="", help="a checkout of NHC, which is timed beside")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    with node() as cluster:
        full = next(case for case in cases(cluster) if case.name == FULL)
        others = [nhc.case(options.nhc, Path(cluster.directory, "nhc"), full.environment)] if options.nhc else []
        figures = {one.name: one for one in measure([*cases(cluster), *others], options.rounds, REFERENCE)}
        text = table(list(figures.values()), "python", dict(zip(["NHC"], (figures[one.name] for one in others))))
        check_ms = growth.per_check(full, Path(cluster.directory, "growth"), options.rounds)
        one = {"SLURMD_NODENAME": "g8", "SLURM_JOB_UID": "0", "SLURM_JOB_GPUS": "0"}
        nothing = next(case.command for case in cases(cluster) if case.name == agent.BASH)
        many = agent.at_once(cluster, "g8", one, nothing)
        grown = _growth(cluster, full, options.rounds)
        large = reports.figures(
            next(one for one in cluster.reports(1) if one["phase"] == "prolog"),
            f"{cluster.prefix}/bin/preflight",
            Path(cluster.directory, "reports"),
            3,
        )
        ready = [one["verdict"] for one in cluster.reports(1)]
    if ready != ["ready"]:
        raise RuntimeError(f"the timed prolog should have said ready, not {ready}")
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    catalog = difference(figures[FULL], figures[WITHOUT])
    text += f"\n{options.rounds} rounds in turn; {machine}.\n"
    text += f"The catalog's share, by the cuda clause: {catalog:.1f} ms (median of the differences round by round).\n"
    more = f"by {growth.MORE} more, in turn"
    text += f"A check more of those 8 GPUs costs that prolog {check_ms:.3f} ms of CPU time ({more}).\n"
    text += grown + reports.text(large)
    text += agent.text(figures, many)
    took, fitting = placing.seconds(REQUIRE)
    text += f"{placing.NODES:,} nodes judged by those 4 clauses: {took * 1000:.0f} ms ({fitting:,} fit).\n"
    text += planning.text(planning.figures(REQUIRE, max(options.rounds // 6, 3)))
    text += code.text(code.figures(max(options.rounds // 6, 3)))
    asked = publishing.commands()
    text += f"`preflight publish` runs {' and '.join(asked.unchanged)} where nothing changed, "
    text += f"{' and '.join(asked.changed)} where something did.\n"
    print(text)
    if options.write:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        README.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
