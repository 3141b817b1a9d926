"""`preflight plan` on a real Slurm: right nodes and reasons, by Features and Extra, before and after a change."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import placing, unavailable
from lab.cluster import Cluster
from lab.placing import publish
from nvml import sim
from preflight.submit.plan import constraint
from unit.gpu_code_samples import container, image, library

pytestmark = pytest.mark.lab
# An H100 with driver 550, an A100 with driver 470, a node without GPUs, and one that says nothing.
NODES = ("ubuntu1", "rocky1", "debian1", "ubuntu2")
SILENT = "ubuntu2"
SCRIPT = "#!/bin/bash\n#SBATCH --gpus-per-node=1\n#SBATCH --require=cuda>=12.4\nmodule load cuda/12.4\nsrun ./train\n"


@pytest.fixture(scope="module", params=placing.WAYS)
def planned(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    reason = unavailable() or placing.lacks(request.param)
    if reason:
        pytest.skip(reason)
    with placing.make(request.param, NODES) as made:
        yield made


@pytest.fixture
def cluster(planned: Cluster) -> Cluster:
    planned.reset()
    for node in NODES:
        if node != SILENT:
            publish(planned, node)
    silence(planned)
    Path(planned.lab.work, "job.sh").write_text(SCRIPT, encoding="utf-8")
    planned.forget_calls()
    return planned


def silence(cluster: Cluster, node: str = SILENT) -> None:
    """Take back what a node may have published."""
    own = node.rstrip("0123456789")
    changes = ["Extra=", f"AvailableFeatures={own}", f"ActiveFeatures={own}"]
    cluster.lab.check_run(["scontrol", "update", f"NodeName={node}", *changes])


def plan(cluster: Cluster, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Return the plan of a job of one component, made by an ordinary user."""
    done = cluster.preflight("plan", "--json", *arguments, user="pfalice")
    assert (done.returncode, done.stderr) == (code, "")
    whole: dict[str, Any] = json.loads(done.stdout)
    assert whole["cluster_asked"] is True
    found: dict[str, Any] = whole["components"][0]
    return found


def script(cluster: Cluster) -> str:
    return f"{cluster.lab.work}/job.sh"


def reasons(groups: list[dict[str, Any]]) -> dict[str, str]:
    return {group["nodes"]: f"{group['what']} ({group['detail']})" for group in groups}


def test_each_node_with_its_reason(cluster: Cluster) -> None:
    found = plan(cluster, script(cluster))
    nodes = found["nodes"]
    assert (nodes["total"], nodes["fit"], nodes["idle"]["count"]) == (4, {"count": 1, "nodes": "ubuntu1"}, 1)
    lacking = reasons(nodes["misfit"])
    assert lacking.keys() == {"rocky1", "debian1"}
    assert lacking["rocky1"].startswith("cuda < 12.4 (driver 470.256.02")
    assert lacking["debian1"] == "cuda < 12.4 (no NVIDIA driver)"  # what most lack: it has no GPU either
    assert [one["nodes"] for one in nodes["untold"]] == [SILENT]
    assert nodes["untold"][0]["what"] == "nothing published"
    assert [one["change"] for one in found["changes"]] == ["cuda>=12.4 -> cuda>=11.4"]


def test_a_change_of_a_node_changes_the_plan(cluster: Cluster) -> None:
    assert plan(cluster, script(cluster))["nodes"]["fit"]["nodes"] == "ubuntu1"
    cluster.set_gpus("rocky1", sim.example("h100x2"))
    publish(cluster, "rocky1")
    publish(cluster, SILENT)
    assert plan(cluster, script(cluster))["nodes"]["fit"]["nodes"] == "rocky1,ubuntu[1-2]"
    cluster.lab.check_run(["scontrol", "update", "NodeName=ubuntu1", "State=DRAIN", "Reason=bad \x1b[31mfan"])
    nodes = plan(cluster, script(cluster))["nodes"]
    assert nodes["fit"]["nodes"] == "rocky1,ubuntu2"
    assert [(one["nodes"], "DRAIN" in one["what"]) for one in nodes["away"]] == [("ubuntu1", True)]
    shown = cluster.preflight("plan", script(cluster), user="pfalice").stdout
    assert "bad \\x1b[31mfan" in shown


@pytest.mark.parametrize(
    ("require", "fit", "code"),
    [
        ("rhel>=9", "rocky1", 0),
        ("gpu=a100|gpu=h100", "rocky1,ubuntu1", 0),
        ("driver>=550.54, ubuntu>=22.04", "ubuntu1", 0),
        ("cuda>=13.0", "", 3),
        ("gpu.count>=4", "", 3),
        ("!os=rocky", "ubuntu1", 0),
        ("mount=/", "debian1,rocky1,ubuntu[1-2]", 0),
    ],
)
def test_who_fits(cluster: Cluster, require: str, fit: str, code: int) -> None:
    gpus = [] if require == "mount=/" else ["--gpus-per-node=1"]
    found = plan(cluster, f"--require={require}", *gpus, "--wrap=true", code=code)
    assert found["nodes"]["fit"]["nodes"] == fit


def test_where_nobody_published_nothing_is_promised(cluster: Cluster) -> None:
    for node in NODES:
        silence(cluster, node)
    gpu = "--gpus-per-node=1"
    for require in ("cuda>=12.4", "gpu=h100", "ubuntu>=22.04", "cuda>=12.4, mount=/"):
        found = plan(cluster, f"--require={require}", gpu, "--wrap=true", code=3)
        assert (found["nodes"]["fit"]["count"], found["unproven"]) == (0, [])
        assert [one["what"] for one in found["nodes"]["untold"]] == ["nothing published"]
    found = plan(cluster, "--require=mount=/", "--wrap=true")
    assert (found["nodes"]["fit"]["count"], found["unproven"]) == (len(NODES), ["mount=/"])


def test_gpus_without_a_type_are_slurms_to_count(cluster: Cluster) -> None:
    """Slurm knows two GPUs of ubuntu1, which has lost NVIDIA's driver; they might as well be another vendor's."""
    assert plan(cluster, "--gpus-per-node=1", "--wrap=true")["nodes"]["fit"]["nodes"] == "rocky1,ubuntu[1-2]"
    cluster.set_gpus("ubuntu1", None)
    publish(cluster, "ubuntu1")
    assert plan(cluster, "--gpus-per-node=1", "--wrap=true")["nodes"]["fit"]["nodes"] == "rocky1,ubuntu[1-2]"
    found = plan(cluster, "--require=gpu.count>=1", "--gpus-per-node=1", "--wrap=true")
    assert found["nodes"]["fit"]["nodes"] == "rocky1"  # ubuntu2 publishes nothing
    assert reasons(found["nodes"]["misfit"])["debian1,ubuntu1"] == "gpu.count < 1 (no GPU)"


def test_a_job_that_is_placed_starts_on_a_node_that_plan_named(cluster: Cluster) -> None:
    for require in ("rhel>=9", "driver>=550"):
        fit = plan(cluster, f"--require={require}", "--wrap=true")["nodes"]["fit"]["nodes"]
        job = cluster.lab.sbatch("true", f"--require={require}")
        assert cluster.lab.wait_job(job, "COMPLETED")["nodes"] == fit


def test_the_constraint_that_plan_shows_is_one_that_slurm_takes(cluster: Cluster) -> None:
    placed = plan(cluster, "--require=ubuntu>=22.04|rhel>=9, driver>=550", "--wrap=true")["placement"]
    assert placed["option"].startswith("--")
    listed = cluster.lab.run(["sbatch", "--test-only", f"{placed['option']}={placed['value']}", "--wrap=true"])
    if placed["option"] == "--constraint":
        assert "ubuntu1" in listed.stderr
    else:  # users' own --extra is checked for its grammar before anything else
        assert "Invalid" not in listed.stderr


@pytest.mark.parametrize("own", ["-Crocky", "-xubuntu1,debian1,ubuntu2", "-wrocky1"])
def test_the_users_own_options_are_honoured(cluster: Cluster, own: str) -> None:
    found = plan(cluster, own, "--require=rhel>=9", "--wrap=true")
    assert found["nodes"]["fit"]["nodes"] == "rocky1"
    assert sum(one["count"] for one in found["nodes"]["left_out"]) == 3
    assert plan(cluster, own, "--require=debian>=12", "--wrap=true", code=3)["nodes"]["fit"]["count"] == 0


EXPRESSIONS = [
    "ubuntu",
    "ubuntu|rocky",
    "ubuntu&rocky",
    "(ubuntu|rocky)&debian",
    "debian&(ubuntu|rocky)",
    "ubuntu|(rocky&debian)",
    "ubuntu|rocky&debian",
    "ubuntu&debian|rocky",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_constraint_is_read_as_slurm_reads_it(cluster: Cluster, expression: str) -> None:
    """By sbatch --test-only with all other nodes excluded; what is left to Slurm is allowed here."""
    for node in NODES:
        rows = cluster.lab.check_run(["sinfo", "-h", "-N", "-n", node, "-o", "%b"]).splitlines()
        ours = constraint.read(expression).allows(rows[0].strip().split(","))
        others = ",".join(other for other in NODES if other != node)
        test = ["sbatch", "--test-only", "-x", others, "-N1", f"--constraint={expression}", "--wrap=true"]
        done = cluster.lab.run(test)
        assert ours or done.returncode != 0, (node, expression)
        if not constraint.read(expression).left and "mixed" not in str(constraint.read(expression).term):
            assert ours == (done.returncode == 0), (node, expression, done.stderr)


def test_brackets_leave_out_nodes_without_any_of_them(cluster: Cluster) -> None:
    """--test-only does not look at brackets, so a job is submitted."""
    assert not constraint.read("[ubuntu|rocky]").allows(["debian"])
    done = cluster.lab.run(["sbatch", "-x", "ubuntu1,ubuntu2,rocky1", "--constraint=[ubuntu|rocky]", "--wrap=true"])
    assert "node configuration is not available" in done.stderr


def test_few_commands_are_run_and_they_only_read(cluster: Cluster) -> None:
    """As root, who alone may write the record of them; what follows the ping is asked at once."""
    done = cluster.preflight("plan", "--json", script(cluster))
    assert (done.returncode, done.stderr) == (0, "")
    first, *others = cluster.called()
    assert first == "scontrol ping"
    assert sorted(others) == ["scontrol -a -o show node", "scontrol -a show node", "scontrol -a show partition"]


def test_code_is_asked_of_the_nodes(cluster: Cluster) -> None:
    """ubuntu1 has an H100, rocky1 an A100 with glibc 2.34; an ordinary user asks."""
    program = Path(cluster.lab.work, "app")
    program.write_bytes(library([container(image(80))], interpreter=True, versions=["GLIBC_2.17"]))
    done = cluster.preflight("code", str(program), "--nodes", "--json", user="pfalice")
    answers = {one["gpu"]: one["answer"] for one in json.loads(done.stdout)["places"][0]["asked"]}
    assert done.returncode == 3
    assert answers["ubuntu1"] == "no"
    assert answers["rocky1"] != "no"
    assert SILENT in done.stderr
