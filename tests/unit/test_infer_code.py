"""What the code of an environment or a program asks of a node: certain needs, and lines for what is in doubt."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.artifacts.gpu_code import read_bytes
from preflight.artifacts.gpu_code.demands import holds, span
from preflight.artifacts.gpu_code.packages import Owner
from preflight.artifacts.gpu_code.runs import built_with, gpu
from preflight.artifacts.gpu_code.survey import Library, Package, outcome
from preflight.catalog import targets
from preflight.policy.model import Policy
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import parse
from preflight.submit.infer import Inferred, code
from preflight.submit.plan import ClusterState, plan
from preflight.submit.plan.model import Group
from preflight.submit.plan.text import render
from preflight.submit.script import read as script
from unit.gpu_code_samples import AARCH64, ACCELERATED, FAMILY, LTO, PLAIN, container, image, install, library, ptx
from unit.infer_samples import GPU, environment, put, read, unread
from unit.plan_samples import A100, H100, V100, node, view
from unit.test_requirement_gpu_code import node as gpus

PREFIX = "/home/alice/env"
ACTIVATE = f"source {PREFIX}/bin/activate"
TRAIN = f"{ACTIVATE}\ntorchrun train.py"
TORCH = library(
    [container(image(75), image(80)), container(image(90), ptx(90))],
    needed=["libcudart.so.12"],
    versions=["GLIBC_2.28"],
)
FLASH = library([container(image(80))], versions=["GLIBC_2.32"])
JAX = library([container(image(60))])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A home with an environment of PyTorch 2.8 and flash-attn, and a program."""
    environment(tmp_path, PREFIX)
    site = tmp_path / PREFIX.lstrip("/") / "lib/python3.11/site-packages"
    install(site, "torch", "2.8.0+cu128", {"torch/lib/libtorch_cuda.so": TORCH})
    install(site, "flash_attn", "2.8.3", {"flash_attn_2_cuda.so": FLASH})
    install(site, "nvidia_nccl_cu12", "2.27", {"nvidia/nccl/lib/libnccl.so.2": JAX})
    install(site, "jaxlib", "0.7", {"jaxlib/xla.so": JAX})
    program = library([container(image(80))], interpreter=True, needed=["libcudart.so.12"], versions=["GLIBC_2.17"])
    (tmp_path / "home/alice/project").mkdir()
    (tmp_path / "home/alice/project/app").write_bytes(program)
    put(tmp_path, "/home/alice/project/app.sh", "#!/bin/sh\n")
    return tmp_path


def needs(body: str, root: Path, *, gpus: bool = True) -> dict[str, Inferred]:
    return {one.clause: one for one in read(body, root, gpus=gpus).needs if one.clause != "gpu.count>=1"}


def test_an_environment_asks_by_its_libraries(root: Path) -> None:
    found = needs(TRAIN, root)
    of_torch = "gpu.code=sm_75+sm_80+sm_90+compute_90"
    assert {clause: one.binds for clause, one in found.items()} == {
        "arch=x86_64": True,
        "glibc>=2.32": False,
        of_torch: True,
        "gpu.code=sm_75+sm_80+sm_90|driver.cuda>=12.8": False,
        "gpu.code=sm_80": False,
    }
    assert {one.line for one in found.values()} == {3}
    assert found["glibc>=2.32"].why == f"flash_attn_2_cuda.so in {PREFIX} asks GLIBC_2.32"
    why = "torch 2.8.0+cu128: sm_75 to sm_90, compute_90 in libtorch_cuda.so; other GPUs answer 'no kernel image'"
    assert found[of_torch].why == why
    assert found["gpu.code=sm_80"].why.startswith("flash-attn 2.8.3: sm_80 in flash_attn_2_cuda.so")


@pytest.mark.parametrize("line", [f"conda run -p {PREFIX} python x.py", f"{PREFIX}/bin/python x.py"])
def test_whatever_uses_it(root: Path, line: str) -> None:
    assert "gpu.code=sm_80" in needs(line, root)


def test_a_job_without_gpus_needs_its_machine_and_glibc_alone(root: Path) -> None:
    assert set(needs(ACTIVATE, root, gpus=False)) == {"arch=x86_64", "glibc>=2.32"}
    assert set(needs("srun ./app", root, gpus=False)) == {"arch=x86_64", "glibc>=2.17"}


def test_a_program_asks_for_certain(root: Path) -> None:
    found = needs("srun -n 2 ./app --steps 10", root)
    assert {clause: one.binds for clause, one in found.items()} == {
        "arch=x86_64": True, "glibc>=2.17": True, "cuda>=12": True, "gpu.code=sm_80": True,
    }  # fmt: skip
    assert found["gpu.code=sm_80"].why == "app: sm_80 in app; other GPUs answer 'no kernel image'"
    for line in ("./app.sh", "./nothing", "apptainer exec x.sif ./app", 'srun "$APP"', "cat ./app"):
        assert needs(line, root).keys() & {"gpu.code=sm_80", "arch=x86_64"} == set(), line
    assert "gpu.code=sm_80" not in needs("if test -e x; then ./app; fi", root)


@pytest.mark.parametrize(
    "line",
    ["app --steps 10", "srun -n 2 app", "export OMP_NUM_THREADS=4\nsrun app", "PATH=/home/alice/other:$PATH\napp"],
)
def test_a_program_that_the_scripts_own_path_finds_is_told_and_does_not_bind(root: Path, line: str) -> None:
    (root / "home/alice/other").mkdir()
    for path in ("/home/alice/project:$PATH", "$HOME/project:$PATH", "/home/alice/project"):
        found = needs(f"export PATH={path}\n{line}", root)
        assert found["gpu.code=sm_80"].binds is False, path
        assert "found by PATH" in found["gpu.code=sm_80"].why
        assert not found["arch=x86_64"].binds


@pytest.mark.parametrize(
    "body",
    [
        "app", "export PATH=$PATH:/home/alice/project\napp", "export PATH=/nowhere:/home/alice/project:$PATH\napp",
        "export PATH=$X/bin:/home/alice/project:$PATH\napp", "export PATH=/home/alice/project:$PATH\nother",
        "export PATH=/home/alice/project:$PATH\necho app", "export PATH=/home/alice/project:$PATH\nexport PATH=$Y\napp",
        "export PATH=/home/alice/project:$PATH\napptainer exec x.sif app",
    ],
)  # fmt: skip
def test_what_path_finds_elsewhere_or_perhaps_is_not_looked_for(root: Path, body: str) -> None:
    assert "gpu.code=sm_80" not in needs(body, root)


def cxx(root: Path, *versions: str) -> None:
    site = root / PREFIX.lstrip("/") / "lib/python3.11/site-packages/more"
    site.mkdir(exist_ok=True)
    (site / "x.so").write_bytes(library(versions=versions))


@pytest.mark.parametrize(
    ("versions", "asked", "by"),
    [
        (("GLIBCXX_3.4.30", "CXXABI_1.3.9"), "glibcxx>=3.4.30", "x.so asks GLIBCXX_3.4.30"),
        (("GLIBCXX_3.4.21", "CXXABI_1.3.15"), "glibcxx>=3.4.33", "x.so asks CXXABI_1.3.15"),
        (("CXXABI_1.3.13",), "glibcxx>=3.4.29", "asks CXXABI_1.3.13"),
        (("GLIBCXX_3.4.19", "CXXABI_1.3.5"), "", ""),
    ],
)
def test_the_libstdcxx_that_libraries_ask_is_told_and_does_not_bind(
    root: Path, versions: tuple[str, ...], asked: str, by: str
) -> None:
    cxx(root, *versions)
    found = {clause: one for clause, one in needs(TRAIN, root).items() if clause.startswith("glibcxx")}
    assert {clause: one.binds for clause, one in found.items()} == ({asked: False} if asked else {})
    assert all(by in one.why for one in found.values())
    (root / PREFIX.lstrip("/") / "lib/libstdc++.so.6").touch()  # as conda's environments have it
    assert not [one for one in needs(TRAIN, root) if one.startswith("glibcxx")]


def test_a_cxxabi_of_no_known_libstdcxx_is_in_doubt(root: Path) -> None:
    cxx(root, "CXXABI_1.3.99")
    assert not [one for one in needs(TRAIN, root) if one.startswith("glibcxx")]
    assert any("CXXABI_1.3.99" in one.why for one in read(TRAIN, root).unread)


def test_a_program_asks_for_libstdcxx_as_well(root: Path) -> None:
    program = library(interpreter=True, versions=["GLIBC_2.17", "GLIBCXX_3.4.29"])
    (root / "home/alice/project/app").write_bytes(program)
    found = needs("srun ./app", root, gpus=False)
    assert found["glibcxx>=3.4.29"].binds is False
    assert found["glibc>=2.17"].binds


def test_what_is_in_doubt_is_a_line_and_no_need(root: Path) -> None:
    site = root / PREFIX.lstrip("/") / "lib/python3.11/site-packages"
    (site / "torch/lib/libtorch_cuda.so").write_bytes(library([container(image(80), image(90, kind=16))]))
    (site / "flash_attn_2_cuda.so").write_bytes(library([container(image(80))], machine=AARCH64))
    found = needs(ACTIVATE, root)
    assert set(found) == {"gpu.code=sm_80"}  # flash-attn's
    assert found["gpu.code=sm_80"].binds is False
    assert unread(ACTIVATE, root) == [1]
    says = read(ACTIVATE, root).unread[0].why
    assert "aarch64 and x86_64" in says
    (site / "flash_attn_2_cuda.so").unlink()
    assert "torch 2.8.0+cu128 is compiled for is not all known: images of kind 16" in read(ACTIVATE, root).unread[0].why


def test_why_a_line_may_not_run_is_a_sentence(root: Path) -> None:
    says = read("if test -e x; then exec python x.py; fi\nsrun ./app", root).unread
    assert any(one.why.endswith(", but it may not run: the script may end on line 3 (exec)") for one in says)


def test_what_was_not_looked_into_binds_nothing(root: Path) -> None:
    """The library that is damaged, or lies behind a link to a directory, may be the one that decides."""
    assert {one.binds for one in needs(TRAIN, root).values()} == {True, False}
    (root / "home/alice/store").mkdir()
    (root / PREFIX.lstrip("/") / "lib/more").symlink_to(root / "home/alice/store")
    found = read(TRAIN, root)
    assert [one.line for one in found.unread] == [3]
    assert f"not all of {PREFIX} was looked into: lib/more: a link to a directory elsewhere" in found.unread[0].why
    binds = {one.clause: one.binds for one in found.needs}
    assert (binds["arch=x86_64"], binds["gpu.code=sm_75+sm_80+sm_90+compute_90"]) == (False, False)


def test_time_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "SECONDS", -1.0)
    assert needs(ACTIVATE, root) == {}
    assert "takes too long" in read(ACTIVATE, root).unread[0].why
    assert needs("srun ./app", root) == {}
    assert "takes too long" in read("srun ./app", root).unread[0].why


def test_plan_tells_the_nodes_on_which_it_fails(root: Path) -> None:
    old = view("rhel 8.10", "550.54.15", "12.4", "NVIDIA H100 80GB HBM3", "9.0")
    old.facts["libc"] = {"glibc": "2.28"}
    arm = view("ubuntu 22.04", "550.54.15", "12.4", "NVIDIA GH200 480GB", "9.0")
    arm.facts["arch"] = {"machine": "aarch64"}
    nodes = [
        node(f"{name}{at}", facts)
        for name, facts in (("v", V100), ("h", H100), ("old", old), ("gh", arm), ("a", A100))
        for at in (1, 2)
    ]
    submission = script(["--gpus=1"], {}, f"#!/bin/bash\n{GPU}{ACTIVATE}\n")
    made = plan(submission, read(ACTIVATE, root), ClusterState(nodes, "gpu", True), Policy())
    fails = {one.need.clause.text: [group.nodes for group in one.fails] for one in made.parts[0].inferring}
    assert fails["arch=x86_64"] == [("gh1", "gh2")]
    assert fails["glibc>=2.32"] == [("old1", "old2")]
    assert fails["gpu.code=sm_75+sm_80+sm_90+compute_90"] == [("v1", "v2")]
    (torch,) = [
        one for one in made.parts[0].inferring if one.need.package == "torch" and len(one.need.clause.predicates) == 1
    ]
    assert torch.builds == (Group("torch 2.7 (cu118), driver 450.80.02 or newer", "", ("v1", "v2")),)
    assert "would run: torch 2.7 (cu118), driver 450.80.02 or newer (v[1-2])" in " ".join(render(made).split())
    assert sorted(fails["gpu.code=sm_80"]) == [("gh1", "gh2", "h1", "h2", "old1", "old2"), ("v1", "v2")]


IMAGES = st.one_of(
    st.builds(lambda sm, variant: image(sm, variant=variant), st.sampled_from([70, 75, 80, 86, 87, 90, 100, 103, 120]),
              st.sampled_from([PLAIN, PLAIN, ACCELERATED, FAMILY])),
    st.builds(ptx, st.sampled_from([70, 80, 90, 120]), st.sampled_from([(7, 0), (8, 7)])),
    st.builds(image, st.sampled_from([80, 90]), st.just(LTO)),
    st.builds(image, st.sampled_from([80, 95]), st.just(2)),
)  # fmt: skip


@given(st.lists(st.lists(IMAGES, min_size=1, max_size=3), min_size=1, max_size=3), st.booleans())
def test_where_the_clause_fails_nothing_of_it_runs(units: list[list[bytes]], linked: bool) -> None:
    made = [container(*one) for one in units]
    data = library([], linked=made[0], inputs=made) if linked else library(made)
    found = read_bytes(data)
    package = Package(Owner("x"), (Library("x.so", found, built_with(found)),))
    held = holds(package)
    if held is None or held.doubt:
        return
    assert span(held.targets)
    for sm in targets.capabilities():
        capability = f"{sm // 10}.{sm % 10}"
        told = evaluate(parse(f"gpu.code={'+'.join(held.targets)}"), gpus(capability))[0].status
        runs = outcome(package, gpu(capability))
        assert told != "fail" or (runs.have, runs.unknown) == (0, 0)
        assert told == "fail" or runs.have + runs.unknown
