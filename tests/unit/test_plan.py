"""Which nodes fit a job, why the others do not, and what would gain more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import A100, CPU, H100, V100, cluster, node, part, planned, said, view

from preflight.requirements.encode import features_of
from preflight.requirements.evaluate import evaluate
from preflight.requirements.features import to_constraint
from preflight.requirements.grammar import Requirement, parse
from preflight.submit.additions import added
from preflight.submit.notices import shortfalls
from preflight.submit.options_table import PLUGIN_ROWS
from preflight.submit.plan import ClusterState, PlanError, constraint
from preflight.submit.plan.gres import gpus_of
from preflight.submit.plan.text import render
from preflight.submit.site import Site
from unit.test_requirement_compile import CLAUSES

GPU = "--gpus-per-node=1"
VIAS = pytest.mark.parametrize("extra", [True, False], ids=["extra", "features"])


@VIAS
def test_each_node_stands_in_one_place(extra: bool) -> None:
    found = part(GPU, "--require=driver>=550", state=cluster(extra)).nodes
    assert found is not None
    assert (found.total, found.fit, found.idle) == (8, ("h1", "h2"), ("h1",))
    assert said(found.misfit) == {
        "a1,a2": ("driver < 550", "driver 535.129.03"),
        "v1": ("driver < 550", "driver 470.57.02"),
        "c1": ("driver < 550", "no NVIDIA driver"),
    }
    assert said(found.away) == {"h3": ("IDLE+DRAIN", "bad \x1b[31mfan")}
    assert said(found.untold) == {"s1": ("nothing published", "")}
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("clause", "what"),
    [
        ("cuda>=12.4", "cuda < 12.4"),
        ("driver>550", "driver <= 550"),
        ("gpu.count<2", "gpu.count >= 2"),
        ("ubuntu>=22.04|rhel>=9", "not ubuntu>=22.04|rhel>=9"),
        ("ubuntu>=24.04", "not ubuntu>=24.04"),
        ("gpu=b200", "not gpu=b200"),
        ("mig", "no mig"),
        ("!ecc", "ecc"),
        ("driver=560", "driver is not 560"),
    ],
)
def test_what_a_node_lacks_is_named(clause: str, what: str) -> None:
    state = ClusterState([node("v1", V100)], "gpu", True)
    nodes = part("--gpus-per-node=4", f"--require={clause}", state=state).nodes
    assert nodes is not None
    assert [group.what for group in nodes.misfit] == [what]


def test_of_several_things_the_one_that_most_nodes_lack() -> None:
    """c1 lacks all three; driver is what four nodes lack."""
    nodes = part(GPU, "--require=ubuntu>=20.04, driver>=550, os=ubuntu").nodes
    assert nodes is not None
    assert {group.what for group in nodes.misfit} == {"not ubuntu>=20.04"}
    nodes = part(GPU, "--require=!os=debian, driver>=550").nodes
    assert nodes is not None
    assert {group.what for group in nodes.misfit} == {"driver < 550"}


def test_what_nobody_publishes_is_no_reason_to_leave_a_node_out() -> None:
    found = part(GPU, "--require=mount=/scratch, driver>=550")
    assert found.nodes is not None
    assert found.nodes.fit == ("h1", "h2")
    assert [clause.text for clause, _ in found.verified] == ["mount=/scratch"]
    everyone = part("--require=mount=/scratch").nodes
    assert everyone is not None
    assert everyone.fit == ("a1", "a2", "c1", "h1", "h2", "s1", "v1")


@VIAS
@pytest.mark.parametrize(
    ("clause", "by_extra", "by_features"),
    [
        ("cuda>=12.4", False, False),
        ("driver>=1|cuda>=9", False, False),
        ("gpu=h100", False, False),
        ("gpu.count=1", False, False),
        ("ubuntu>=22.04", False, False),
        ("arch=x86_64", False, False),
        ("!cuda>=99", False, False),
        ("gpu.memory>=16G", False, True),
        ("kernel>=4", False, True),
        ("mount=/scratch", True, True),
        ("driver>=1|mount=/scratch", True, True),
        ("tmp>=1G", True, True),
    ],
)
def test_where_nobody_published_what_can_be_published_is_not_told(
    extra: bool, clause: str, by_extra: bool, by_features: bool
) -> None:
    state = ClusterState([node(name, None) for name in ("n1", "n2")], "gpu", extra)
    found = part(GPU, f"--require={clause}", state=state)
    fits = by_extra if extra else by_features
    assert found.nodes is not None
    assert found.nodes.fit == (("n1", "n2") if fits else ())
    assert said(found.nodes.untold) == ({} if fits else {"n1,n2": ("nothing published", "")})
    assert found.enough is fits
    assert found.unproven == ((clause,) if fits else ())
    assert part(GPU, state=state).enough


ASKS = "--comment=require: ubuntu>=22.04"


def test_where_nobody_publishes_plan_says_so_and_how() -> None:
    bare = ClusterState([node("n1", None), node("n2", None)], "gpu", False)
    told = planned(ASKS, state=bare)
    text = " ".join(render(told).split())
    assert "None of 2 nodes of partition gpu fits now. No node has told Slurm what it is, so" in text
    assert "an admin runs preflight publish on each node, or sets [publish] enabled = true" in text
    assert "cannot be told: none has told Slurm what it is" in shortfalls(told, "preflight plan")[0]
    some = planned(ASKS, state=bare._replace(nodes=[*bare.nodes, node("n3", H100)]))
    assert "No node has told" not in render(some)


@pytest.mark.parametrize(("by_extra", "fit"), [(True, ("n1",)), (False, ())])
def test_of_two_publications_that_counts_by_which_the_cluster_places(by_extra: bool, fit: tuple[str, ...]) -> None:
    both = node("n1", H100)
    old = features_of(V100)
    both = both._replace(features=tuple(old), active=tuple(old))
    found = part("--comment=require: driver>=550", state=ClusterState([both], "gpu", by_extra)).nodes
    assert found is not None
    assert found.fit == fit


def test_a_node_that_published_something_else_is_not_told_either() -> None:
    """By Features, where no node publishes the CUDA range: what this one does publish proves nothing of it."""
    bare = node("n1", None, features=("os_ubuntu_22.04", "gpu_count_4"), active=("os_ubuntu_22.04", "gpu_count_4"))
    state = ClusterState([bare], "gpu", False)
    for clause in ("cuda>=12.4", "driver>=1", "gpu=h100", "gpu.arch>=7.0", "glibc>=2.1"):
        nodes = part(GPU, f"--require={clause}", state=state).nodes
        assert nodes is not None
        assert (nodes.fit, [group.what for group in nodes.untold]) == ((), [f"{clause} not told"]), clause
    assert part("--gpus-per-node=2", "--require=ubuntu>=22.04, gpu.count>=2", state=state).enough


def test_what_publishing_cannot_settle_stays_with_the_prolog() -> None:
    """The node published its GPU's words; two of them in a row are asked, which words do not tell."""
    state = ClusterState([node("h1", H100, False)], "gpu", False)
    found = part(GPU, "--require=gpu=nvidia h100, driver>=550", state=state)
    assert found.enough
    assert found.unproven == ("gpu=nvidia h100",)


@VIAS
def test_a_node_with_fewer_gpus_than_asked_does_not_fit_whatever_its_gres(extra: bool) -> None:
    nodes = [node("a1", A100, extra, gres="gpu:8"), node("c1", CPU, extra, gres="gpu:h100:8"), node("h1", H100, extra)]
    state = ClusterState(nodes, "gpu", extra)
    found = part("--gpus-per-node=8", state=state)
    assert found.nodes is not None
    assert found.nodes.fit == ("h1",)
    assert said(found.nodes.misfit) == {
        "a1": ("GPUs < 8", "publishes 4 GPUs"),
        "c1": ("GPUs < 8", "publishes no GPU"),
    }
    assert {one.text: one.nodes for one in found.changes} == {"4 GPUs a node instead of 8": ("a1",)}
    one = part("--gpus-per-node=1", "--require=cuda>=12.4", state=state)
    assert "c1" not in {name for change in one.changes for name in change.nodes}


def test_a_job_without_gpus_has_none_for_gpu_clauses() -> None:
    nodes = part("--require=gpu=h100").nodes
    assert nodes is not None
    assert nodes.fit == ()
    assert ("not gpu=h100", "the job asks for no GPU") in said(nodes.misfit).values()


@pytest.mark.parametrize(
    ("words", "fit"),
    [
        (["--gpus-per-node=2", "--require=gpu.count=2"], ("a1", "a2", "h1", "h2", "v1")),
        (["--gpus-per-node=8", "--require=gpu.count=8"], ("h1", "h2")),
        (["--gpus=2", "-N1", "--require=gpu.count=2"], ("a1", "a2", "h1", "h2", "v1")),
        (["--gpus=8", "-N2", "--require=gpu.count=2"], ("a1", "a2", "h1", "h2", "s1", "v1")),  # the prolog's to verify
        (["--gpus-per-node=2", "--require=gpu.count>=4"], ()),
        (["--gres=gpu:5"], ("h1", "h2", "s1")),
    ],
)
def test_gpus_are_those_that_the_job_gets(words: list[str], fit: tuple[str, ...]) -> None:
    state = cluster()
    if "--gres=gpu:5" in words:
        nodes = [one._replace(gres="gpu:h100:8") if one.name == "s1" else one for one in state.nodes]
        state = state._replace(nodes=nodes)
    found = part(*words, state=state).nodes
    assert found is not None
    assert found.fit == fit


@pytest.mark.parametrize(
    ("gres", "kind", "count"),
    [
        ("gpu:8", None, 8),
        ("gpu:h100:8(S:0-1)", None, 8),
        ("gpu:h100:4(S:0,2),gpu:a100:2(S:1)", None, 6),
        ("gpu:h100:4(S:0,2),gpu:a100:2(S:1)", "a100", 2),
        ("gpu:h100:4(S:0,2),gpu:a100:2(S:1)", "A100", 0),
        ("gpu:h100:4", "b200", 0),
        ("craynetwork:4,gpu", None, 1),
        ("", None, 0),
        ("gpu:(null):2(S:0)", None, 1),
    ],
)
def test_gpus_of_a_node(gres: str, kind: str | None, count: int) -> None:
    assert gpus_of(gres, kind) == count


def test_a_type_in_other_letters_is_another_type_to_slurm() -> None:
    """As sbatch, which refuses it (seen on 22.05, 24.11 and 26.05)."""
    state = ClusterState([node("h1", H100, gres="gpu:h100:4"), node("h2", H100, gres="gpu:H100:4(S:0)")], "gpu", True)
    nodes = part("--gres=gpu:H100:1", state=state).nodes
    assert nodes is not None
    assert nodes.fit == ("h2",)
    assert said(nodes.misfit) == {"h1": ("H100 GPUs < 1", "Slurm calls them h100")}


@pytest.mark.parametrize(
    ("words", "fit"), [("fs:2", ("n1",)), ("fs:lustre:3", ()), ("GPU:1", ()), ("none", ("n1",)), ("fs:2K", ())]
)
def test_other_generic_resources_are_counted_as_slurm_does(words: str, fit: tuple[str, ...]) -> None:
    state = ClusterState([node("n1", CPU, gres="fs:lustre:no_consume:2,fs:nfs:1,gpu:h100:1")], "gpu", True)
    found = part(f"--gres={words}", state=state).nodes
    assert found is not None
    assert found.fit == fit


@VIAS
def test_gpus_of_no_type_on_a_node_without_nvidias_driver_are_slurms_to_count(extra: bool) -> None:
    """They may be another vendor's: nothing that the script shows keeps the job away."""
    nodes = [
        node("amd1", CPU, extra, gres="gpu:4"),
        node("amd2", CPU, extra, gres="gpu:mi250:4"),
        node("h1", H100, extra),
    ]
    state = ClusterState(nodes, "gpu", extra)
    script = "#!/bin/bash\n#SBATCH -p gpu -N1\n{}\n./a\n"
    for ask in ("--gres=gpu:2", "--gpus=2", "--gpus-per-node=2", "--gres=gpu:1\ntorchrun --nproc_per_node=2 t.py"):
        plan = planned(script.format(f"#SBATCH {ask}"), mode="require", state=state)
        (one,) = plan.parts
        assert one.nodes is not None
        assert one.nodes.fit == ("amd1", "amd2", "h1"), ask
        assert [need for need in one.wants.needs if need.source == "inferred"] == []


@pytest.mark.parametrize(
    ("option", "out"),
    [
        ("-xh1", {"h1": ("--exclude", "")}),
        ("-wh1", {"h2,h3,a1,a2,v1,c1,s1": ("--nodelist", "")}),
        ("-Cnone", {"h1,h2,h3,a1,a2,v1,c1,s1": ("--constraint=none", "")}),
    ],
)
def test_the_users_own_options_leave_nodes_out(option: str, out: dict[str, Any]) -> None:
    nodes = part(option, "--require=driver>=470").nodes
    assert nodes is not None
    assert {frozenset(names.split(",")): what for names, what in said(nodes.left_out).items()} == {
        frozenset(names.split(",")): what for names, what in out.items()
    }


def test_a_nodelist_must_fit_whole() -> None:
    assert part("-wh[1-2]", "--require=driver>=550").enough
    assert not part("-wh[1-2]", "-N3", "--require=driver>=550").enough
    for words in (["-wh1,a1"], ["-wh1,nowhere"], ["-wh3"]):
        found = part(*words, "--require=driver>=550")
        assert not found.enough
        assert found.nodes is not None
        assert found.nodes.lacking
    with pytest.raises(PlanError, match="not a host list"):
        part("-wn[1-")


def test_too_few_is_not_enough() -> None:
    assert part("-N2", "--require=driver>=550").enough
    assert not part("-N3", "--require=driver>=550").enough


def changes(*words: str, **options: Any) -> dict[str, str]:
    return {one.text: ",".join(one.nodes) for one in part(*words, **options).changes}


@VIAS
def test_what_to_change(extra: bool) -> None:
    found = changes(GPU, "--require=cuda>=12.4, driver>=550", state=cluster(extra))
    assert found == {"driver>=550 -> driver>=535.129": "a1,a2"}
    found = changes(GPU, "--require=driver>=550.54", state=cluster(extra))
    assert found == {"driver>=550.54 -> driver>=535.129": "a1,a2", "driver>=550.54 -> driver>=470.57": "a1,a2,v1"}
    assert changes("--require=driver>=550.54", state=cluster(extra))["without driver>=550.54"] == "a1,a2,c1,v1"
    assert changes(GPU, "--require=cuda>=12.4", state=cluster(extra)) == {"cuda>=12.4 -> cuda>=11.4": "v1"}


@VIAS
def test_a_distribution_is_lowered_as_its_makers_write_it(extra: bool) -> None:
    found = changes(GPU, "--require=ubuntu>=24.04", state=cluster(extra))
    assert found == {"ubuntu>=24.04 -> ubuntu>=22.04": "h1,h2", "without ubuntu>=24.04": "a1,a2,h1,h2,v1"}
    rhel = changes(GPU, "--require=rhel>=10", state=cluster(extra))
    assert rhel["rhel>=10 -> rhel>=9.4"] == "a1,a2"


def test_memory_is_lowered_to_the_most_that_fits() -> None:
    nodes = [node("h1", H100, memory=4096), node("h2", H100, memory=2048), node("v1", V100, memory=8192)]
    state = ClusterState(nodes, "gpu", True)
    found = part(GPU, "--mem=500G", "--require=driver>=550", state=state)
    assert {one.text: one.nodes for one in found.changes} == {"--mem=4096M instead of 512000M": ("h1",)}
    assert not any("--mem" in text for text in changes(GPU, "--mem=4G", "--require=driver>=550", state=state))


def test_two_clauses_at_once_where_one_helps_nobody() -> None:
    assert changes(GPU, "--require=driver>=560, cuda>=13.0", state=cluster())
    state = ClusterState([node("v1", V100)], "gpu", True)
    found = changes("--gpus-per-node=4", "--require=gpu=h100, os=ubuntu", state=state)
    assert found == {"without both gpu=h100 and os=ubuntu": "v1"}


def test_own_options_and_gpus_are_proposed() -> None:
    assert changes("-xh1", "--require=driver>=550")["without your --exclude"] == "h1"
    assert changes("--gpus-per-node=8", "--require=driver>=535") == {"4 GPUs a node instead of 8": "a1,a2"}


@settings(deadline=None, max_examples=60)
@given(st.lists(CLAUSES, min_size=1, max_size=3), st.sampled_from(["--gpus-per-node=1", "--gpus-per-node=4", "-N1"]))
def test_every_proposal_is_true(several: list[Any], gpus: str) -> None:
    """A node that a change gains fits when the job is planned with that change, and does not without it."""
    clauses = {one.clauses[0].text: one.clauses[0].text for one in several}
    before = part(gpus, f"--require={','.join(clauses)}")
    assert before.nodes is not None
    for change in before.changes:
        assert not set(change.nodes) & set(before.nodes.fit)
        words, changed = gpus, dict(clauses)
        text = change.text
        if text.startswith("without both "):
            for clause in clauses:
                if clause in text:
                    changed.pop(clause, None)
        elif text.startswith("without "):
            changed.pop(text.removeprefix("without "))
        elif " -> " in text:
            old, _, new = text.partition(" -> ")
            changed[old] = new
        else:
            words = f"--gpus-per-node={text.split()[0]}"
        require = [f"--require={','.join(changed.values())}"] if changed else []
        after = part(words, *require).nodes
        assert after is not None
        assert set(change.nodes) <= set(after.fit), text


@settings(deadline=None, max_examples=200)
@given(CLAUSES, st.booleans())
def test_no_node_fits_that_fails_and_none_is_refused_that_passes(requirement: Any, extra: bool) -> None:
    """Against the node's own facts, judged on all its GPUs."""
    text = requirement.clauses[0].text
    facts = {"h1": H100, "a1": A100, "v1": V100, "c1": CPU}
    state = ClusterState([node(name, one, extra) for name, one in facts.items()], "gpu", extra)
    nodes = part("--gpus=1", f"--require={text}", state=state).nodes
    assert nodes is not None
    misfit = {name for group in nodes.misfit if "GPUs <" not in group.what for name in group.nodes}
    if "gpu.count" in text:  # of the one GPU that the job gets, not of the node's
        return
    for name, one in facts.items():
        own = evaluate(parse(text), one)[0].status
        if own == "fail":
            verified = [clause.text for clause, _ in part("--gpus=1", f"--require={text}", state=state).verified]
            assert name not in nodes.fit or verified
        if own in ("pass", "warn"):
            assert name not in misfit


def test_the_constraint_is_what_require_compiles() -> None:
    by_extra = part(GPU, "--require=ubuntu>=22.04", "--extra=rack=1").placement
    assert by_extra is not None
    assert (by_extra.option, by_extra.value) == ("--extra", "(rack=1)&(os=ubuntu&os_version>=22004000)")
    by_feature = part(GPU, "--require=driver>=550", state=cluster(False)).placement
    assert by_feature is not None
    assert (by_feature.option, by_feature.value) == ("--constraint", "driver_550|driver_550.54.15")
    unmet = part(GPU, "--require=driver>=999", state=cluster(False)).placement
    assert unmet is not None
    assert [clause.text for clause in unmet.unmet] == ["driver>=999"]
    counted = part("-Ca*2", "--require=driver>=550", state=cluster(False)).placement
    assert counted is not None
    assert (counted.value, bool(counted.problem)) == ("a*2", True)


def test_the_constraint_carries_nothing_that_is_implied() -> None:
    def value(require: str, extra: bool) -> str:
        placed = part(GPU, f"--require={require}", state=cluster(extra)).placement
        assert placed is not None
        return placed.value

    for extra in (True, False):
        assert value("driver>=470, driver>=535, arch=x86_64", extra) == value("driver>=535, arch=x86_64", extra)
        assert value("driver>=535, driver>=470, driver>=535.0", extra) == value("driver>=535.0", extra)
        assert value("gpu.count>=4, gpu.count>=8", extra) == value("gpu.count>=8", extra)
        assert value("driver>=500, driver<550", extra) not in (value("driver<550", extra), value("driver>=500", extra))
        assert value("driver>=470|gpu=h100, driver>=535", extra) == value("driver>=535", extra) or extra
    assert value("cuda>=11.8, cuda>=12.4", False) == value("cuda>=12.4", False)
    assert "cuda_from<=11008000" in value("cuda>=11.8, cuda>=12.4", True)  # a GPU may need a newer CUDA


@settings(deadline=None, max_examples=40)
@given(st.lists(CLAUSES, min_size=2, max_size=4))
def test_what_is_left_out_of_a_constraint_changes_no_node(several: list[Any]) -> None:
    """By Features, whose meaning is plain: the same nodes have them, with all clauses and without the implied."""
    state = cluster(False)
    features = {feature for one in state.nodes for feature in one.features}
    requirement = Requirement(tuple({one.clauses[0].text: one.clauses[0] for one in several}.values()))
    short = part("--gpus=1", f"--require={', '.join(one.text for one in requirement.clauses)}", state=state).placement
    whole = to_constraint(requirement, features).text
    assert short is not None
    for one in state.nodes:
        assert constraint.read(short.value).allows(one.active) == constraint.read(whole).allows(one.active)


SCRIPT = """#!/bin/bash
#SBATCH --gpus-per-node=1
#SBATCH --comment="paper 3; require: os=ubuntu"
module load cuda/12.4
if hostname | grep x; then module load cuda/11.0; fi
"""


def test_inferred_needs_warn_and_bind_when_asked() -> None:
    warned = part(SCRIPT.replace("os=ubuntu", "driver>=470"))
    assert warned.nodes is not None
    assert [need.clause.text for need in warned.wants.needs] == ["driver>=470"]
    assert warned.nodes.fit == ("a1", "a2", "h1", "h2", "v1")
    cuda = next(one for one in warned.inferring if one.need.clause.text == "cuda>=12.4")
    assert (cuda.need.line, said(cuda.fails)) == (4, {"v1": ("cuda < 12.4", "driver 470.57.02 (CUDA 11.4)")})
    bound = part(SCRIPT, mode="require")
    assert bound.nodes is not None
    assert bound.nodes.fit == ("h1", "h2")
    assert ("cuda>=12.4", "inferred", 4) in [(one.clause.text, one.source, one.line) for one in bound.wants.needs]
    assert bound.inferring == ()
    off = part(SCRIPT, mode="off")
    assert (off.inferring, len(off.wants.needs)) == ((), 1)


def test_a_mistake_names_the_line_and_points_at_it() -> None:
    with pytest.raises(PlanError) as wrong:
        planned("#!/bin/bash\n\n#SBATCH --require=cudaa>=12\n")
    assert str(wrong.value).split("\n") == [
        'script: line 3: --require: unknown name "cudaa": did you mean "cuda"?', "  cudaa>=12", "  ^",
    ]  # fmt: skip
    with pytest.raises(PlanError, match="line 2: comment: "):
        planned('#!/bin/bash\n#SBATCH --comment="require: cuda"\n')


def test_each_component_of_a_heterogeneous_job() -> None:
    script = "#!/bin/bash\n#SBATCH -N1 --require=driver>=550\n#SBATCH hetjob\n#SBATCH -N2 -p gpu --require=os=debian\n"
    made = planned(script)
    assert [one.enough for one in made.parts] == [True, False]
    assert not made.enough


def test_gpus_of_another_component_are_not_asked_of_the_scripts_own() -> None:
    script = "#!/bin/bash\n#SBATCH -N1\n#SBATCH hetjob\n#SBATCH -N1 --gpus-per-node=8\nmodule load foss\n"
    first, second = planned(script, mode="require").parts
    assert [need.clause.text for need in first.wants.needs] == ["module=foss"]
    assert first.enough
    assert second.nodes is not None
    assert second.nodes.fit == ("h1", "h2")


def test_an_inferred_need_binds_the_component_whose_step_has_it() -> None:
    script = (
        "#!/bin/bash\n#SBATCH -N1 -p gpu\n#SBATCH hetjob\n#SBATCH -N1 -p gpu --gpus-per-node=4\n"
        "srun ./a : --container-image=nvidia/cuda:12.2.2-base-ubuntu22.04 ./b\n"
    )
    first, second = planned(script).parts
    assert first.wants.inferred == ()
    assert [need.clause.text for need in second.wants.inferred] == ["container=enroot", "cuda>=12.2"]
    assert {one.need.clause.text: [group.nodes for group in one.fails] for one in second.inferring} == {
        "container=enroot": [], "cuda>=12.2": [("v1",)],
    }  # fmt: skip
    # What binds is added to that component's options and to no other's.
    row = PLUGIN_ROWS["require"]
    made = added(planned(script, mode="require"), Site((row,), True))
    assert [one.get("require") for one in made.components] == [None, "container=enroot"]


def test_partitions() -> None:
    assert part("-pother", "--require=driver>=550").nodes.fit == ("other1",)  # type: ignore[union-attr]
    both = part("-pother,gpu", "--require=driver>=550")
    assert both.nodes.fit == ("h1", "h2", "other1")  # type: ignore[union-attr]
    wrong = part("-pnowhere")
    assert not wrong.enough
    assert wrong.no_partition == ("there is no partition nowhere with nodes; there are: gpu, other",)
    nameless = part(state=cluster()._replace(default=""))
    assert any("give --partition" in note for note in nameless.notes)


def test_nodes_that_are_alike_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from preflight.submit.plan import kinds

    decoded: list[Any] = []

    def counted(extra: Any, features: Any = ()) -> Any:
        decoded.append(extra)
        return real(extra, features)

    real = kinds.view_of
    monkeypatch.setattr(kinds, "view_of", counted)
    racks = [node(f"n{number}", H100) for number in range(20)]
    racks = [one._replace(extra=one.extra.replace('"rack": 1', f'"rack": {at}')) for at, one in enumerate(racks)]
    part(GPU, "--require=driver>=550", state=ClusterState(racks, "gpu", True))
    assert len(decoded) == 1


@pytest.mark.parametrize("extra", ["{", "[1]", '{"cuda_runs": [], "gpu_count": {}, "driver": "x"}', "\x1b[31m", "nan"])
def test_an_extra_that_others_wrote_is_no_failure(extra: str) -> None:
    state = ClusterState([node("x", None)._replace(extra=extra)], "gpu", True)
    nodes = part("--require=driver>=550", state=state).nodes
    assert nodes is not None
    assert [group.nodes for group in nodes.untold] == [("x",)]


def test_mixed_gpus_of_a_node_are_all_asked() -> None:
    mixed = view("ubuntu 22.04", "550.54.15", "12.4", "NVIDIA H100", "9.0", 2)
    mixed.facts["gpus"]["devices"][1]["name"] = "NVIDIA A100"
    state = ClusterState([node("m1", mixed)], "gpu", True)
    nodes = part("--gpus-per-node=2", "--require=gpu=h100", state=state).nodes
    assert nodes is not None
    assert nodes.fit == ()


@VIAS
def test_a_gpu_newer_than_the_asked_cuda_fits_with_a_caveat_and_a_dropped_one_does_not(extra: bool) -> None:
    old = view("rocky 9.4", "580.95.05", "13.0", "Tesla V100-SXM2-32GB", "7.0", 4)
    new = view("rocky 9.4", "570.124.06", "12.8", "NVIDIA B200", "10.0")
    state = ClusterState([node("v9", old, extra), node("b1", new, extra)], "gpu", extra)
    found = part(GPU, "--require=cuda>=12.4", state=state)
    assert found.nodes is not None
    assert found.nodes.fit == ("b1", "v9")
    assert [(group.nodes, "holds PTX" in group.detail) for group in found.nodes.caveats] == [(("b1",), True)]
    assert found.placement is not None
    dropped = part(GPU, "--require=cuda>=13.0", state=state).nodes
    assert dropped is not None
    assert dropped.misfit
    by_name = {name: group for group in dropped.misfit for name in group.nodes}
    assert by_name["v9"].what == "not cuda>=13.0"  # its driver is of CUDA 13.0
    assert "dropped" in by_name["v9"].detail
    assert "b1" not in by_name or by_name["b1"].what == "cuda < 13.0"


def test_what_only_an_images_name_says_does_not_bind() -> None:
    """nvidia/cuda's images bring cuda-compat: an older driver of a data center GPU may run them."""
    script = "#!/bin/bash\n#SBATCH -p gpu -N1 --gpus=1\nsrun --container-image=nvidia/cuda:12.4.1-base ./a\n"
    (one,) = planned(script, mode="require").parts
    assert [need.clause.text for need in one.wants.needs] == ["container=enroot"]
    assert [need.clause.text for need in one.wants.inferred] == ["cuda>=12.4"]
    (one,) = planned(f"{script}module load cuda/12.4\n", mode="require").parts  # that says it too
    assert [need.clause.text for need in one.wants.needs] == ["container=enroot", "cuda>=12.4", "module=cuda/12.4"]
    assert one.wants.inferred == ()
