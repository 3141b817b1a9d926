"""The hot path imports little (rule 6): the real prolog in a process that lists sys.modules when it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unit.hook_site import JOB, REQUIRE, Site

HEAVY = (
    "click",
    "jinja2",
    "dataclasses",
    "tomllib",
    "tomli",
    "distro",
    "subprocess",
    "logging",
    "asyncio",
    "packaging",
)
# Beyond the rule: docs/decisions/hot-path-imports.md.
SPARED = ("typing", "json", "re", "enum", "contextlib", "collections", "functools")
PARENTS = ("pynvml", "ClusterShell", "ctypes", "preflight.cli", "preflight.report.render", "preflight.slurm.commands")

# -I -S as the scripts run it; the names go to a file, since a hook says nothing on stdout.
WRAPPER = """
import os, sys
main, out, parent = sys.argv[1], sys.argv[2], os.getpid()
sys.argv = sys.argv[2:]
sys.argv[0] = main
end = os._exit
def tell(code):
    probes = sys.modules.get("preflight.facts.isolate")
    while os.getpid() == parent:
        try:
            os.wait()
        except ChildProcessError:
            break
    if os.getpid() == parent or (probes and probes._Here.on):  # not a probe's child, which ends so too
        with open(out, "a") as file:
            file.write("\\n".join((*sorted(sys.modules), "")))
    end(code)
os._exit = tell
with open(main) as file:
    code = compile(file.read(), main, "exec")
exec(code, {"__name__": "__main__", "__file__": main, "__package__": None})
"""


def modules(site: Site, out: Path, phase: str = "prolog", **environment: str) -> set[str]:
    """Run a hook and return the names of all modules that its process, and the child that judges, had at their end."""
    command = [sys.executable, "-I", "-S", "-c", WRAPPER, site.main, str(out), "hook", phase]
    command += ["--config", str(site.config), "--run-dir", str(site.run_dir)]
    out.unlink(missing_ok=True)
    done = subprocess.run(command, env=site.environment(**environment), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return set(out.read_text().splitlines())


def alone(site: Site) -> None:
    """Have the first hook judge by itself: where no policy was read yet it would be a child (hooks/supervised.py)."""
    site.run_dir.mkdir()
    (site.run_dir / "policy-n1.json").write_text("{}")


def loaded(names: set[str], wanted: tuple[str, ...]) -> list[str]:
    return sorted(name for name in names for one in wanted if name == one or name.startswith(f"{one}."))


ASKED = {"SLURM_JOB_GPUS": "0,1", REQUIRE: "gpu=h100, cuda>=12.4, ubuntu>=22.04, gpu.memory>=80G, kernel>=5"}


@pytest.mark.parametrize("environment", [ASKED, {REQUIRE: "ubuntu>=22.04"}, {}])
@pytest.mark.parametrize("phase", ["prolog", "epilog"])
def test_a_warm_hook_imports_little(hooked: Site, tmp_path: Path, phase: str, environment: dict[str, str]) -> None:
    out = tmp_path / "modules"
    modules(hooked, out, phase, **JOB, **environment)
    names = modules(hooked, out, phase, **JOB, **environment)
    assert "preflight.checks.run" in names  # it did its work
    assert loaded(names, HEAVY + SPARED + PARENTS) == []
    report = hooked.report(phase=phase)
    if phase == "prolog" and environment == ASKED:
        assert [one["status"] for one in report["requirement"]["clauses"]] == ["pass"] * 5
        assert len(report["facts"]["gpus"]["devices"]) == 2  # pynvml did run, in its child
    assert report["verdict"] in ("ready", "degraded")
    assert hooked.slurm_calls() == []


def test_the_health_check_is_as_light(hooked: Site, tmp_path: Path) -> None:
    modules(hooked, tmp_path / "modules", "health")
    names = modules(hooked, tmp_path / "modules", "health")
    assert loaded(names, tuple(one for one in HEAVY + PARENTS if one != "preflight.slurm.commands")) == []


def test_a_cold_cache_does_import_them_so_that_this_test_can_fail(hooked: Site, tmp_path: Path) -> None:
    alone(hooked)
    hooked.policy('[[expect]]\nnodes = "n[1-9]"\nrequire = "kernel>=4"')
    names = modules(hooked, tmp_path / "modules", **JOB, SLURM_JOB_GPUS="0")
    assert {"tomllib" if sys.version_info >= (3, 11) else "tomli", "preflight.hostlist"} <= names
    assert loaded(modules(hooked, tmp_path / "modules", **JOB, SLURM_JOB_GPUS="0"), HEAVY + PARENTS) == []


def test_slurm_is_imported_when_there_is_something_to_do(hooked: Site, tmp_path: Path) -> None:
    alone(hooked)
    names = modules(hooked, tmp_path / "modules", **JOB, **{REQUIRE: "gpu=a100"}, SLURM_JOB_GPUS="0")
    assert "preflight.slurm.commands" in names
    assert loaded(names, ("click", "jinja2", "asyncio")) == []
    assert hooked.slurm_calls()[0].startswith("squeue ")


def test_the_command_line_imports_click_only_outside_of_hooks(hooked: Site) -> None:
    show = "import sys; sys.argv = ['preflight', 'checks']; from preflight.__main__ import main; main(); "
    show += "import json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    environment = {**hooked.environment(), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", show], env=environment, capture_output=True, text=True, check=True)
    assert "click" in json.loads(done.stderr)


def test_the_task_prolog_is_lighter_still(hooked: Site, tmp_path: Path) -> None:
    names = modules(hooked, tmp_path / "modules", "task", SLURM_JOB_ID="7")
    assert loaded(names, (*HEAVY, *PARENTS, "preflight.checks", "preflight.facts", "preflight.policy.load")) == []


ROWS = ("preflight.facts.host", "preflight.facts.host_waiting", "preflight.checks.host", "preflight.hooks.samples")


@pytest.mark.parametrize("phase", ["prolog", "epilog", "health"])
def test_rows_of_other_nodes_and_phases_cost_no_import(hooked: Site, tmp_path: Path, phase: str) -> None:
    row = '[[host]]\ncheck = "mount"\npath = "/"\n'
    hooked.policy(f'{row}nodes = "m[1-9]"\n{row}phases = ["{"health" if phase == "prolog" else "prolog"}"]\n')
    modules(hooked, tmp_path / "modules", phase, **JOB)
    assert loaded(modules(hooked, tmp_path / "modules", phase, **JOB), ROWS) == []
    hooked.policy(row)
    modules(hooked, tmp_path / "modules", phase, **JOB)
    names = modules(hooked, tmp_path / "modules", phase, **JOB)
    assert {"preflight.checks.host.mount", "preflight.facts.host.mount"} <= names  # so that this test can fail
    assert loaded(names, ("preflight.checks.host.space", "preflight.facts.host_waiting")) == []
