"""Plan for jobs that ask for MIG devices or another vendor's GPUs; nodes that publish what their GPUs are cut into."""

from __future__ import annotations

import pytest

from preflight.facts.view import View
from preflight.submit.gpu_types import is_other, profile_of
from preflight.submit.plan import ClusterState
from preflight.submit.plan.model import Nodes, Part
from unit.plan_samples import A100, CPU, H100, node, part, said, view

VIAS = pytest.mark.parametrize("extra", [True, False], ids=["extra", "features"])


def cut(*profiles: tuple[str, int], whole: int = 0) -> View:
    """A node with one GPU cut into MIG devices, (profile, MiB of each), and whole ones."""
    made = view("ubuntu 22.04", "550.54.15", "12.4", "NVIDIA A100-SXM4-40GB", "8.0", 1 + whole)
    listed = [{"index": at, "profile": name, "memory": mib << 20} for at, (name, mib) in enumerate(profiles)]
    made.facts["gpus"]["devices"][0] |= {"mig": True, "mig_devices": listed}
    return made


SEVEN = cut(*[("1g.5gb", 4864)] * 7)
MIXED = cut(("3g.20gb", 19968), ("2g.10gb", 9856), whole=1)


def cluster(extra: bool) -> ClusterState:
    nodes = [
        node("s1", SEVEN, extra, gres="gpu:1g.5gb:7"),
        node("m1", MIXED, extra, gres="gpu:a100:1,gpu:a100_3g.20gb:1,gpu:a100_2g.10gb:1"),
        node("a1", A100, extra, gres="gpu:a100:4"),
        node("h1", H100, extra, gres="gpu:h100:8"),
        node("r1", CPU, extra, gres="gpu:mi250:8(S:0-1)"),
        node("p1", H100, extra, gres="gpu:h100:8,shard:h100:16,mps:800"),
        node("c1", CPU, extra),
    ]
    return ClusterState(nodes, "gpu", extra)


def planned(*words: str, extra: bool = True) -> tuple[Part, Nodes]:
    found = part(*words, state=cluster(extra))
    assert found.nodes is not None
    return found, found.nodes


@VIAS
@pytest.mark.parametrize(
    ("option", "fit"),
    [
        ("--gres=gpu:1g.5gb:2", ("s1",)),
        ("--gres=gpu:1g.5gb:7", ("s1",)),
        ("--gres=gpu:1g.5gb:8", ()),
        ("--gpus-per-node=a100_3g.20gb:1", ("m1",)),
        ("--gpus-per-node=a100:1", ("a1", "m1")),
        ("--gpus-per-node=mi250:8", ("r1",)),
        ("--gpus-per-node=4", ("a1", "h1", "p1", "r1", "s1")),
        ("--gpus-per-node=h100:2", ("h1", "p1")),
        ("--gres=shard:2", ("p1",)),
        ("--gres=shard:h100:2", ("p1",)),
        ("--gres=shard:a100:2", ()),
        ("--gres=shard:17", ()),
        ("--gres=mps:50", ("p1",)),
        ("--tres-per-task=cpu=1,gres/shard=1", ("p1",)),
        ("--gpus-per-task=h100:1", ("h1", "p1")),
        ("--gpus-per-socket=mi250:1", ("r1",)),
        ("--gpus=mi250:8", ("r1",)),
    ],
)
def test_which_nodes_fit(extra: bool, option: str, fit: tuple[str, ...]) -> None:
    assert planned(option, extra=extra)[1].fit == fit


@pytest.mark.parametrize(
    ("option", "require", "fit"),
    [
        ("--gres=gpu:1g.5gb:2", "gpu.count>=2", ("s1",)),
        ("--gres=gpu:1g.5gb:2", "gpu.count>=3", ()),
        ("--gres=gpu:1g.5gb:2", "gpu.memory>=5G, gpu.memory<6G, mig, gpu=a100, gpu=1g.5gb", ("s1",)),
        ("--gres=gpu:1g.5gb:1", "gpu.memory>=20G", ()),
        ("--gres=gpu:1g.5gb:1", "!mig", ()),
        ("--gres=gpu:1g.5gb:1", "nvlink", ()),
        ("--gres=gpu:a100_3g.20gb:1", "gpu.memory>=20G, gpu=a100_3g.20gb", ("m1",)),
        ("--gres=gpu:a100_3g.20gb:1", "gpu.memory>=40G", ()),
        ("--gres=gpu:1g.5gb:1", "mig.profile=1g.5gb:1", ("s1",)),
        ("--gres=gpu:1g.5gb:1", "gpu=h100", ()),
    ],
)
def test_clauses_are_judged_by_the_devices_that_the_job_gets(option: str, require: str, fit: tuple[str, ...]) -> None:
    assert planned(option, f"--require={require}")[1].fit == fit


def test_slurm_is_not_asked_for_whole_gpus_that_are_like_a_mig_device() -> None:
    found, nodes = planned(
        "--gres=gpu:1g.5gb:2", "--require=gpu.count>=2, gpu.memory>=5G, mig, gpu=1g.5gb, driver>=550"
    )
    assert nodes.fit == ("s1",)
    assert found.placement is not None
    assert found.placement.value == "mig_1g.5gb>=1&driver>=550000000"
    assert [clause.text for clause, _ in found.verified] == ["gpu.count>=2", "gpu.memory>=5G", "mig"]


@VIAS
def test_what_a_node_lacks_is_named(extra: bool) -> None:
    nodes = planned("--gres=gpu:1g.5gb:8", extra=extra)[1]
    assert said(nodes.misfit)["s1"] == ("1g.5gb MIG devices < 8", "7 MIG devices")
    changed = part("--gres=gpu:1g.5gb:8", state=cluster(extra)).changes
    assert ("7 MIG devices a node instead of 8", ("s1",)) in [(one.text, one.nodes) for one in changed]


@VIAS
def test_slurms_gres_may_promise_more_than_the_gpus_are_cut_into(extra: bool) -> None:
    state = ClusterState([node("s1", SEVEN, extra, gres="gpu:1g.5gb:14")], "gpu", extra)
    nodes = part("--gres=gpu:1g.5gb:8", state=state).nodes
    assert nodes is not None
    assert said(nodes.misfit) == {"s1": ("1g.5gb MIG devices < 8", "publishes 7 MIG devices")}
    uncut = ClusterState([node("a1", A100, True, gres="gpu:1g.5gb:14")], "gpu", True)
    nodes = part("--gres=gpu:1g.5gb:8", state=uncut).nodes
    assert nodes is not None
    assert said(nodes.misfit) == {"a1": ("1g.5gb MIG devices < 8", "publishes no MIG device")}


def test_a_profile_as_22_05_rounds_it_is_left_to_slurm() -> None:
    state = ClusterState([node("m1", MIXED, gres="gpu:a100_3g.19gb:1")], "gpu", True)
    nodes = part("--gres=gpu:a100_3g.19gb:1", state=state).nodes
    assert nodes is not None
    assert nodes.fit == ("m1",)


def test_clauses_on_another_vendors_gpus_are_not_told() -> None:
    nodes = planned("--gpus-per-node=mi250:8", "--require=gpu.memory>=60G")[1]
    assert nodes.fit == ()
    assert "r1" in {name for group in nodes.untold for name in group.nodes}


@pytest.mark.parametrize(
    ("kind", "other", "profile"),
    [
        ("mi250", True, ""),
        ("mi300x", True, ""),
        ("gaudi2", True, ""),
        ("fat", True, ""),
        ("h100", False, ""),
        ("rtx_4090", False, ""),
        ("nvidia_h100_80gb_hbm3", False, ""),
        ("tesla", False, ""),
        ("1g.5gb", False, "1g.5gb"),
        ("a100_3g.20gb", False, "3g.20gb"),
        ("nvidia_a100-sxm4-40gb_1g.5gb+me", False, "1g.5gb+me"),
    ],
)
def test_what_a_type_names(kind: str, other: bool, profile: str) -> None:
    assert (is_other(kind), profile_of(kind)) == (other, profile)


@VIAS
@pytest.mark.parametrize("option", ["--gpus-per-node=mi250:8", "-N2 --gpus=mi250:16"])
def test_what_was_published_says_nothing_of_another_vendors_gpus(extra: bool, option: str) -> None:
    _, nodes = planned(*option.split(), "--require=gpu.count>=2", extra=extra)
    assert "r1" in said(nodes.untold)


@VIAS
def test_a_share_is_one_of_a_node_that_slurm_has_cut_into_shares(extra: bool) -> None:
    found, nodes = planned("--gres=shard:32", extra=extra)
    assert said(nodes.misfit)["p1"] == ("shard < 32", "16 shard")
    assert not found.changes
    _, nodes = planned("--gres=shard:2", "--require=gpu=h100, gpu.memory>=70G", extra=extra)
    assert nodes.fit == ("p1",)


def test_shares_of_one_gpu_that_are_not_told_are_noted() -> None:
    """As of Slurm 22.05, whose sinfo lists the shares of a node alone: 16 of 8 GPUs."""
    at_most = "how many shard one GPU of p1 has is not told: a job that asks for more waits for ever"
    for asked, noted in (("shard:2", False), ("shard:3", True), ("shard:16", True), ("shard:17", False)):
        found = part(f"--gres={asked}", state=cluster(True))
        assert (at_most in found.notes) is noted, asked
    for known in (cluster(True)._replace(several=True), cluster(True)._replace(shares={"p1": {"shard": 9}})):
        assert at_most not in part("--gres=shard:4", state=known).notes
