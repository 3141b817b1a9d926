"""What plan says of generic resources is what Slurm does: case tells types apart, shares come of one GPU."""

from collections.abc import Iterator

import pytest

from lab import unavailable
from lab.cluster import Cluster, Site

pytestmark = pytest.mark.lab
GRES = """
NodeName=small1 Name=gpu Type=h100 File=DEV/nvidia[0-1]
NodeName=large1 Name=gpu Type=H100 File=DEV/nvidia[0-1]
NodeName=even1 Name=gpu Type=a100 File=DEV/nvidia[0-1]
NodeName=even1 Name=shard Count=4
NodeName=odd1 Name=gpu Type=a100 File=DEV/nvidia[0-1]
NodeName=odd1 Name=shard Count=1 File=DEV/nvidia0
NodeName=odd1 Name=shard Count=3 File=DEV/nvidia1
NodeName=odd1 Name=fs Type=lustre Count=2 Flags=CountOnly
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := unavailable():
        pytest.skip(reason)
    gres = {"small1": "gpu:h100:2", "large1": "gpu:H100:2", "even1": "gpu:a100:2,shard:4",
            "odd1": "gpu:a100:2,shard:4,fs:lustre:2"}  # fmt: skip
    sites = [Site(name, scenario=None, minors=(0, 1), gres=text) for name, text in gres.items()]
    with Cluster(sites, gres_conf=GRES, extra="GresTypes=gpu,shard,fs") as made:
        yield made


@pytest.mark.parametrize(
    ("node", "words", "starts"),
    [
        ("small1", "--gres=gpu:h100:1", True),
        ("small1", "--gres=gpu:H100:1", False),
        ("small1", "--gpus=H100:1", False),
        ("small1", "--gpus-per-node=H100:1", False),
        ("small1", "--gpus-per-task=H100:1 -n1", False),
        ("large1", "--gres=gpu:h100:1", False),
        ("large1", "--gpus-per-node=H100:1", True),
        ("even1", "--gres=shard:2", True),
        ("even1", "--gres=shard:3", False),
        ("even1", "--gres=shard:5", False),
        ("even1", "--gres=shard:A100:1", False),
        ("even1", "--gres=shard:1 --exclusive", False),
        ("odd1", "--gres=shard:3", True),
        ("odd1", "--gres=shard:4", False),
        ("odd1", "--gres=fs:lustre:2", True),
        ("odd1", "--gres=fs:3", False),
    ],
)
def test_plan_says_what_slurm_does(cluster: Cluster, node: str, words: str, starts: bool) -> None:
    """A job that waits for Resources on an idle node waits for ever."""
    lab = cluster.lab
    options = ["-w", node, *words.split(), "--wrap=sleep 600", "-o", "/dev/null"]
    planned = cluster.preflight("plan", *options, user="pfalice")
    done = lab.run(["sbatch", "--parsable", *options], user="pfalice")
    if done.returncode:
        assert not starts, done.stderr
    else:
        job = done.stdout.strip()
        lab.wait_until(lambda: _told(cluster, job), 60, f"the scheduler to look at {words}")
        assert ("RUNNING" in _told(cluster, job)) is starts
        lab.run(["scancel", job])
        lab.wait_until(lambda: lab.node_state(node) == "IDLE", 60, f"{node} to be idle")
    assert planned.returncode == (0 if starts else 3), planned.stdout + planned.stderr


def _told(cluster: Cluster, job: str) -> str:
    """Return the job's state and reason once Slurm has looked at it, else ""."""
    state, _, reason = cluster.lab.check_run(["squeue", "-h", "-j", job, "-o", "%T %r"]).strip().partition(" ")
    return f"{state} {reason}" if state == "RUNNING" or reason in ("Resources", "ReqNodeNotAvail") else ""
