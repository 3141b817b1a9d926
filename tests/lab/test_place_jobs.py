"""All kinds of jobs with nothing but --require, placed by Features and by Extra: they start only where they fit."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import placing, unavailable
from lab.cluster import Cluster
from nvml import sim

pytestmark = pytest.mark.lab
SPEC = "cuda>=12.4, ubuntu>=22.04|rhel>=9"
REQUIRE = f"--require={SPEC}"
# debian1 comes first where Slurm may choose; rocky1 has the system but an older driver.
NODES = ("debian1", "rocky1", "ubuntu1", "ubuntu2")
FIT = {"ubuntu1", "ubuntu2"}
# Nothing that waits for a scheduler that is busy elsewhere gives up before this.
PATIENCE_S = 120


@pytest.fixture(scope="module", params=placing.WAYS)
def placed(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, str]]:
    reason = unavailable() or placing.lacks(request.param)
    if reason:
        pytest.skip(reason)
    with placing.make(request.param, NODES) as made:
        yield made, request.param


@pytest.fixture
def way(placed: tuple[Cluster, str]) -> str:
    """What the filter sets: "constraint" or "extra"."""
    return placed[1]


@pytest.fixture
def cluster(placed: tuple[Cluster, str]) -> Cluster:
    """Every node idle, its facts published, and the filter as it is installed."""
    made, way = placed
    made.reset()
    placing.write_filter(made, way)
    for node in NODES:
        placing.publish(made, node)
    made.forget_calls()
    return made


def ran(cluster: Cluster, job: str) -> str:
    """Return where the job ran: at the first try, so that no prolog had to move it."""
    done = cluster.lab.wait_job(job, "COMPLETED", PATIENCE_S)
    assert done["restarts"] == "0", done
    assert cluster.wait_report(done["id"])["verdict"] in ("ready", "degraded")
    return done["nodes"]


def waits_for_a_node(cluster: Cluster, job: str, reason: str = "Constraints") -> None:
    """Wait until Slurm says that no node meets the constraint."""
    cluster.lab.wait_until(
        lambda: cluster.lab.job(job)["reason"] == reason, PATIENCE_S, f"job {job} to wait with {reason}"
    )


def make_rocky_fit(cluster: Cluster) -> None:
    """Give rocky1 a new driver, which it publishes."""
    cluster.set_gpus("rocky1", sim.scenario(sim.example("h100x2"), {"driver": "560.35.03"}))
    placing.publish(cluster, "rocky1")


def told(cluster: Cluster, *options: str) -> str:
    """Submit what no node fits by Features; return what sbatch says."""
    done = cluster.lab.run(["sbatch", *options, "--wrap=true"], user="pfalice")
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_with_nothing_else_jobs_start_only_where_they_fit(cluster: Cluster) -> None:
    """A node each, so that four jobs would need all four nodes if they could have them."""
    jobs = [cluster.lab.sbatch("sleep 1", REQUIRE, "--exclusive") for _ in range(4)]
    assert {ran(cluster, job) for job in jobs} == FIT
    assert not [call for call in cluster.called() if "requeue" in call]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        # Each part is true of some node, both of none: Slurm's own words, by Features.
        ("cuda>=12.4, rhel>=9", "Requested node configuration is not available"),
        ("rhel>=9, cuda>=12.4, driver>=555", "no node fits driver>=555"),
    ],
)
def test_where_none_fits_it_waits_or_is_told_and_starts_when_one_does(
    cluster: Cluster, way: str, spec: str, said: str
) -> None:
    job = ""
    if way == "extra":
        job = cluster.lab.sbatch("true", f"--require={spec}")
        waits_for_a_node(cluster, job)
    else:
        assert said in told(cluster, f"--require={spec}")
    make_rocky_fit(cluster)
    assert ran(cluster, job or cluster.lab.sbatch("true", f"--require={spec}")) == "rocky1"


def test_the_users_constraint_is_kept(cluster: Cluster, way: str) -> None:
    job = cluster.lab.sbatch("true", "--require=ubuntu>=22.04|rhel>=9", "-C", "rocky|debian")
    assert ran(cluster, job) == "rocky1"
    assert "rocky|debian" in cluster.lab.job(job)["features"]


def test_exclude_is_kept(cluster: Cluster) -> None:
    """One node is left: the second job waits for it, though others are idle."""
    jobs = [cluster.lab.sbatch("sleep 1", REQUIRE, "--exclude=ubuntu1", "--exclusive") for _ in range(2)]
    assert [ran(cluster, job) for job in jobs] == ["ubuntu2", "ubuntu2"]
    assert cluster.lab.job(jobs[0])["excluded_nodes"] == "ubuntu1"


def test_nodelist_is_kept(cluster: Cluster) -> None:
    """The second node is Slurm's choice: without the constraint it would be the neighbour."""
    job = cluster.lab.sbatch("true", "--require=debian>=12|ubuntu>=22.04", "--nodelist=debian1", "-N2")
    assert ran(cluster, job) in ("debian1,ubuntu1", "debian1,ubuntu2")
    assert cluster.lab.job(job)["required_nodes"] == "debian1"


def test_a_named_node_that_does_not_fit(cluster: Cluster, way: str) -> None:
    """By Features Slurm refuses it; by Extra Slurm holds it, until the node fits and an admin releases it."""
    options = (REQUIRE, "--nodelist=rocky1")
    if way == "constraint":
        assert "Requested node configuration is not available" in told(cluster, *options)
        make_rocky_fit(cluster)
        assert ran(cluster, cluster.lab.sbatch("true", *options)) == "rocky1"
        return
    job = cluster.lab.sbatch("true", *options)
    waits_for_a_node(cluster, job, "BadConstraints")
    make_rocky_fit(cluster)
    cluster.lab.check_run(["scontrol", "release", job])
    assert ran(cluster, job) == "rocky1"


def test_every_task_of_an_array(cluster: Cluster) -> None:
    array = cluster.lab.sbatch("sleep 1", REQUIRE, "--array=1-4", "--exclusive")
    assert {ran(cluster, f"{array}_{task}") for task in range(1, 5)} == FIT


def test_each_component_of_a_heterogeneous_job_has_its_own_requirement(cluster: Cluster) -> None:
    """The last is not of those that Slurm can be asked: nothing of the others' must be left for it."""
    last = ["--require=os.like=debian", "--nodelist=debian1", "--wrap=echo ran"]
    components = [REQUIRE, "--exclude=ubuntu1"], ["--require=rhel>=9"], last
    words = [word for one in components for word in (":", "-n1", *one)][1:]
    leader = int(cluster.lab.check_run(["sbatch", "--parsable", *words], user="pfalice"))
    nodes = []
    for number in range(leader, leader + 3):
        report = cluster.wait_report(number, timeout=PATIENCE_S)
        assert report["verdict"] in ("ready", "degraded")
        nodes.append(report["node"])
    assert nodes == ["ubuntu2", "rocky1", "debian1"]
    cluster.lab.wait_until(lambda: "ran" in cluster.lab.output(leader), PATIENCE_S, "the script to run")


def test_all_nodes_of_a_multi_node_job_fit(cluster: Cluster) -> None:
    two = cluster.lab.sbatch("true", REQUIRE, "-N2")
    assert ran(cluster, two) == "ubuntu[1-2]"
    three = cluster.lab.sbatch("true", "--require=ubuntu>=22.04|rhel>=9", "-N3")
    assert ran(cluster, three) == "rocky1,ubuntu[1-2]"


def test_more_nodes_than_fit(cluster: Cluster, way: str) -> None:
    """Three fit as soon as rocky1 does."""
    if way == "constraint":
        assert "not available" in told(cluster, REQUIRE, "-N3")
        make_rocky_fit(cluster)
        job = cluster.lab.sbatch("true", REQUIRE, "-N3")
    else:
        job = cluster.lab.sbatch("true", REQUIRE, "-N3")
        waits_for_a_node(cluster, job)
        make_rocky_fit(cluster)
    assert ran(cluster, job) == "rocky1,ubuntu[1-2]"


def test_inside_a_reservation(cluster: Cluster, way: str) -> None:
    reservation = ["scontrol", "create", "reservation", "ReservationName=maintenance", "StartTime=now"]
    cluster.lab.check_run([*reservation, "Duration=60", "Users=pfalice", "Nodes=debian1,ubuntu2"])
    try:
        job = cluster.lab.sbatch("true", REQUIRE, "--reservation=maintenance")
        assert ran(cluster, job) == "ubuntu2"
        # Outside of it, the other node that fits.
        assert ran(cluster, cluster.lab.sbatch("true", REQUIRE)) == "ubuntu1"
    finally:
        cluster.lab.run(["scontrol", "delete", "ReservationName=maintenance"])


def test_srun_starts_where_it_fits(cluster: Cluster) -> None:
    done = cluster.lab.run(["srun", REQUIRE, "sh", "-c", "echo $SLURMD_NODENAME"], user="pfalice", timeout=PATIENCE_S)
    assert done.stdout.strip() in FIT, done.stderr
    assert cluster.lab.job(_last(cluster))["restarts"] == "0"


def _last(cluster: Cluster) -> str:
    """Return the id of the job that was submitted last."""
    return max(cluster.lab.check_run(["squeue", "-h", "-t", "all", "-o", "%A"]).split(), key=int)


STEPS = 'for step in 1 2; do srun -n1 sh -c "echo step $step on \\$SLURMD_NODENAME"; done'


@pytest.mark.parametrize("kind", ["sbatch", "salloc"])
def test_steps_of_a_placed_job_run_and_the_filter_leaves_them_alone(cluster: Cluster, way: str, kind: str) -> None:
    """A step has the job's own --require from its environment: it must not be placed again, nor cost a program."""
    counted = _counting(cluster, way)
    if kind == "sbatch":
        job = cluster.lab.sbatch(STEPS, REQUIRE)
        node = ran(cluster, job)
        said = cluster.lab.output(job)
    else:
        done = cluster.lab.run(["salloc", REQUIRE, "sh", "-c", STEPS], user="pfalice", timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        said = done.stdout
        node = ran(cluster, _last(cluster))
    assert node in FIT
    assert re.findall(r"step \d on \w+", said) == [f"step 1 on {node}", f"step 2 on {node}"]
    assert "error" not in said
    assert counted() == 1


def test_a_step_with_an_option_of_its_own_still_runs(cluster: Cluster) -> None:
    """The plugin says that a step's requirement is not enforced; the filter does not place it either."""
    job = cluster.lab.sbatch("srun -n1 '--require=debian>=12' sh -c 'echo step on $SLURMD_NODENAME'", REQUIRE)
    assert f"step on {ran(cluster, job)}" in cluster.lab.output(job)


def test_a_job_submitted_in_a_job_is_placed_by_its_own_option(cluster: Cluster, way: str) -> None:
    inner = f"sbatch --parsable -D {cluster.lab.work} --wrap=true"
    script = f"{inner}; {inner} '--require=debian>=12'"
    job = cluster.lab.sbatch(script, REQUIRE)
    assert ran(cluster, job) in FIT
    plain, placed = (line for line in cluster.lab.output(job).splitlines() if line.isdigit())
    assert ran(cluster, placed) == "debian1"
    cluster.lab.wait_job(plain, "COMPLETED", PATIENCE_S)
    assert cluster.wait_report(plain)["requirement"] is None
    assert cluster.lab.job(plain)["features"] == ""


def test_a_line_in_the_script(cluster: Cluster) -> None:
    job = cluster.lab.sbatch(f'#!/bin/sh\n#SBATCH --require="{SPEC}"\ntrue\n')
    assert ran(cluster, job) in FIT


def _counting(cluster: Cluster, way: str) -> Callable[[], int]:
    """Have the filter call a program that counts its calls; return what tells the count."""
    count = Path(cluster.lab.work, "filter-calls")
    count.unlink(missing_ok=True)
    program = Path(cluster.directory, "counting")
    program.write_text(f'#!/bin/sh\necho "$*" >>{count}\nexec {cluster.prefix}/bin/preflight "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    placing.write_filter(cluster, way, str(program))
    return lambda: len(count.read_text(encoding="utf-8").splitlines())
