"""What `preflight sbatch` says on stderr: what it added, what does not fit, in lines of 80 columns."""

from plan_samples import H100, V100, cluster, node, planned, view

from preflight.requirements.grammar import parse
from preflight.requirements.summary import read
from preflight.submit.additions import added
from preflight.submit.notices import additions, plan_command, shortfalls, wrapped
from preflight.submit.options_table import Row
from preflight.submit.plan import ClusterState
from preflight.submit.plan.model import Need
from preflight.submit.site import Site

REQUIRE = Row("require", "", "value", "require", False, False)
SITE, FILTERED, BARE = Site((REQUIRE,), False), Site((REQUIRE,), True), Site((), False)
SCRIPT = "#!/bin/bash\n#SBATCH -p gpu --gres=gpu:2\nmodule load cuda/12.4\n"
OLD = view("rocky 8.9", "460.32.03", "11.2", "NVIDIA A100-SXM4-80GB", "8.0", 4)
FOUR = ClusterState(
    [node("n1", V100), node("n2", OLD), node("n3", OLD), node("n4", H100), node("c1", None, partitions=("x",))],
    "gpu",
    True,
)


def of(*words: str, site: Site = SITE, mode: str = "require", state: ClusterState = FOUR) -> list[str]:
    """Return what is told of what is added."""
    plan = planned(*words, mode=mode, state=state)
    return additions(plan, added(plan, site).components)


def test_what_is_added_is_told_with_its_lines_and_what_fits() -> None:
    require = "--require='module=cuda/12.4, cuda>=12.4'"
    (line,) = of(SCRIPT, site=FILTERED)
    assert line == f"added {require} (line 3); 1 of 4 nodes may fit now"  # modules are not published
    (line,) = of(SCRIPT)
    assert line.startswith(f"added {require} (line 3) and --extra='")
    assert line.endswith("'; 1 of 4 nodes may fit now")
    (line,) = of(SCRIPT, site=BARE)
    assert line.startswith("added --comment='require: module=cuda/12.4, cuda>=12.4' (line 3) and")
    (line,) = of("--require=driver>=465", mode="warn")
    assert line == "added --extra='driver>=465000000'; 2 of 4 nodes fit now"
    (line,) = of("--require=driver>=550", mode="warn")
    assert line.endswith("; 1 of 4 nodes fits now")


def test_needs_from_the_command_line_have_no_line() -> None:
    (line,) = of("-p", "gpu", "--gres=gpu:2", "--container-image=nvidia/cuda:12.4.1-base", "#!/bin/sh\n", site=FILTERED)
    assert line.startswith("added --require=container=enroot (your options); ")


def test_nothing_is_told_where_nothing_is_new() -> None:
    assert of(SCRIPT, mode="warn") == []
    assert of("--require=module=cuda/12.4, cuda>=12.4", SCRIPT, site=FILTERED) == []
    assert of("--require=driver>=535", site=FILTERED) == []


def test_components_are_told_apart_and_what_is_taken_back_is_not_told() -> None:
    lines = of("--require=driver>=535", ":", "--require=driver>=465", mode="warn")
    assert [line[:21] for line in lines] == ["component 0: added --", "component 1: added --"]
    het = SCRIPT.replace("module", "#SBATCH hetjob\n#SBATCH -N1\nmodule")
    (line,) = of(het, site=FILTERED)
    assert line.startswith("component 0: added --require='module=cuda/12.4, cuda>=12.4' (line 5)")


def test_no_count_beside_the_line_that_no_node_fits() -> None:
    plan = planned("--require=driver>=999", state=FOUR)
    (line,) = additions(plan, added(plan, SITE).components)
    assert line == "added --extra='driver>=999000000'"


def test_too_few_nodes_are_counted_whatever_asks_for_them() -> None:
    for words in (("-N3",), ("--nodes=3-4",), ("--nodes", "3")):
        first, *_ = shortfalls(planned(*words, "--comment=require: driver>=465", state=FOUR), "preflight plan x")
        assert first == "only 2 of the 3 nodes needed fit in gpu now (driver < 465: n[2-3])"


def test_equal_causes_are_said_once() -> None:
    lines = shortfalls(planned("--require=cuda>=13", state=FOUR), "preflight plan job.sh")
    assert lines == ["no node fits in gpu now (cuda < 13: n[1-4])", "preflight plan job.sh says more"]


def test_an_inferred_need_is_one_line_whatever_nodes_have() -> None:
    lines = shortfalls(planned(SCRIPT, state=FOUR), "preflight plan job.sh")
    assert lines == [
        "line 3: module load cuda/12.4 needs cuda>=12.4, not on n[1-3]",
        "preflight plan job.sh says more",
    ]
    alike = FOUR._replace(nodes=list(FOUR.nodes)[1:])
    assert shortfalls(planned(SCRIPT, state=alike), "")[0].endswith("not on n[2-3] (driver 460.32.03 (CUDA 11.2))")


def test_lines_have_80_columns_with_the_name_before_them() -> None:
    many = [node(f"rack{at % 7}-node{at:04}-x", H100, False) for at in range(900)]
    plan = planned("--require=driver>=999", SCRIPT, state=ClusterState(many, "gpu", False), mode="require")
    for line in wrapped((*additions(plan, added(plan, SITE).components), *shortfalls(plan, "preflight plan"))):
        assert len(f"preflight: {line}") <= 80 or len(line.split()) == 1, line  # a longer word stays whole
    long = wrapped(["word " * 40])
    assert len(long) == 3
    assert max(map(len, long)) <= 69
    assert long[1].startswith("  word")


def test_hostile_text_is_cleaned() -> None:
    script = "#!/bin/bash\n#SBATCH --gres=gpu:2\nmodule load 'cuda/12.4\x1b[2J'\n"
    for mode in ("warn", "require"):
        plan = planned(script, mode=mode, state=FOUR)
        lines = (
            *additions(plan, added(plan, BARE).components),
            *shortfalls(plan, plan_command(["\x1b[2J.sh"], mode, False)),
        )
        assert lines
        assert "\x1b" not in "".join(wrapped(lines))


def test_the_command_that_says_more_can_be_copied() -> None:
    assert plan_command(["-N2", "my job.sh"], "warn", False) == "preflight plan -N2 'my job.sh'"
    assert plan_command(["job.sh"], "require", False) == "preflight plan --infer=require job.sh"
    for words, by_stdin in ((["-N2"], True), (["x" * 500], False), (["a\x1bb"], False)):
        assert plan_command(words, "warn", by_stdin) == "preflight plan, with the same words,"


def test_nothing_is_asked_of_extra_that_no_node_has() -> None:
    """extra_constraints is on, but nodes publish nothing, or by Features: such a job would wait for ever."""
    state = ClusterState([node("h1", None), node("h2", None, extra='{"rack": 1}')], "gpu", True)
    plan = planned("--require=driver>=550", state=state)
    made = added(plan, BARE)
    assert made.components == ({},)
    assert made.remarks == ("the prolog verifies all of it: no node has published its facts by Extra",)


def test_another_cluster_gets_nothing_of_this_one() -> None:
    plan = planned("--require=driver>=550", "--clusters=other", state=cluster(False))
    assert added(plan, BARE, "here").components == ({},)
    assert added(plan, BARE, "other").components == ({"constraint": "driver_550|driver_550.54.15"},)


def test_what_the_environment_has_code_for_goes_along_and_is_not_told() -> None:
    plan = planned("-p", "gpu", ":", "-N1", SCRIPT, mode="warn", state=FOUR)
    texts = (("torch", "gpu.code=sm_90"), ("torch", "gpu.code=sm_80|driver.cuda>=12.4"), ("", "driver.cuda>=12.4"))
    needs = tuple(Need(parse(text).clauses[0], "inferred", 3, "x", "y", package) for package, text in texts)
    first, second = plan.parts
    coded = plan._replace(parts=(first._replace(wants=first.wants._replace(inferred=needs)), second))
    knows = Site((REQUIRE, Row("gpu-code", "", "value", "gpu-code", False, False)), True)
    one, other = added(coded, knows).components
    found = read(one["gpu-code"])
    assert found
    assert [clause.text for clause in found.requirement.clauses] == [
        "gpu.code=sm_90",
        "gpu.code=sm_80|driver.cuda>=12.4",
    ]
    assert other["gpu-code"] == "none"  # Slurm would hand on that of the component before
    assert additions(coded, (one, other)) == []
    for site in (FILTERED, BARE):
        assert not any("gpu-code" in options for options in added(coded, site).components)
    assert not any("gpu-code" in options for options in added(plan, knows).components)


def test_nodes_that_would_fill_a_line_are_counted() -> None:
    many = [node(f"gpu{at:04}", H100, False) for at in range(0, 900, 2)]
    (first, _) = shortfalls(planned("--require=driver>=999", state=ClusterState(many, "gpu", False)), "preflight plan")
    assert first == "no node fits in gpu now (driver < 999: 450 nodes)"
