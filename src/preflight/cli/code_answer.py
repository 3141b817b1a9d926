"""What `preflight code` answers: a place's packages on the GPUs that are asked for, or on all that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from preflight.artifacts.gpu_code.places import FILE
from preflight.artifacts.gpu_code.runs import Gpu, gpu
from preflight.artifacts.gpu_code.survey import NONE, Outcome, Package, Survey, outcome
from preflight.catalog import wheels
from preflight.catalog.tables import SHIPPED
from preflight.catalog.targets import NO, TEGRA, UNKNOWN, YES
from preflight.catalog.versions import show
from preflight.catalog.wheels import Build

OLDEST = 50  # Maxwell: older ones are told only where code is for them
# What an outcome is called: all of it runs as machine code, some by PTX, only some of it runs, …
RUNS, BY_PTX, IN_PART = "runs", "ptx", "part"


class Question(NamedTuple):
    """A GPU that is asked for. ``name``: as shown. ``capability``: "9.0". ``driver``: None where none is given.

    ``machine``: that of every host of such a GPU ("aarch64" of a GH200), "" where there are several. ``glibc``: of the
    hosts, () where none is asked. ``missing``: what of "driver", "machine" and "GLIBC" the nodes have not published.
    """

    name: str
    capability: str
    driver: str | None
    on: Gpu
    machine: str = ""
    glibc: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()


class Answered(NamedTuple):
    """``answer``: yes, no, unknown, or none where there is no GPU code. ``packages``: each with its outcome.

    ``why``: what no package decides.
    """

    question: Question
    answer: str
    packages: tuple[tuple[Package, Outcome], ...]
    why: str = ""


def answers(found: Survey, asked: Sequence[Question]) -> list[Answered]:
    """Answer each question for a place."""
    made = []
    for one in asked:
        packages = tuple((package, outcome(package, one.on)) for package in found.packages)
        told = {result.answer for _, result in packages}
        answer = next((word for word in (NO, UNKNOWN, YES) if word in told), NONE)
        if found.notes and answer in (YES, NONE):
            answer = UNKNOWN
        why = ""
        if one.machine and found.machines and one.machine not in found.machines:
            answer, why = (
                NO,
                f"its programs are for {', '.join(found.machines)}, and hosts of {one.name} are {one.machine}",
            )
        elif one.glibc and found.glibc.version > one.glibc:
            # Of a place with several libraries perhaps nothing loads the one that asks.
            answer = NO if found.kind == FILE or answer == NO else UNKNOWN
            why = f"{found.glibc.by} asks GLIBC_{show(found.glibc.version)}, and {one.name} has {show(one.glibc)}"
        unknown = [what for what in one.missing if _counts(what, found)]
        if answer == YES and unknown:
            answer, why = UNKNOWN, f"not published: {', '.join(unknown)} of {one.name}"
        made.append(Answered(one, answer, packages, why))
    return made


def _counts(what: str, found: Survey) -> bool:
    """Tell whether something of a node is of account for a place that asks what it asks."""
    return {"machine": bool(found.machines), "GLIBC": bool(found.glibc.version)}.get(what, True)


def would_run(package: Package, question: Question) -> list[Build]:
    """Return the builds of a package, where the catalog has it, that have code for a GPU that its own is not for."""
    family = wheels.family_of(package.owner.name)
    machines = {one.code.machine for one in package.libraries}
    machine = question.machine or (machines.pop() if len(machines) == 1 else None) or "x86_64"
    return wheels.builds(family, question.capability, question.driver, machine) if family else []


def fits(answered: Sequence[Answered]) -> bool:
    """Tell whether all of the code runs on all of the GPUs."""
    return all(one.answer == YES for one in answered)


def capabilities(package: Package) -> list[str]:
    """Return the compute capabilities that are told of a package, in order.

    Those from Maxwell on, and what it has code for; those of systems on a chip are of machines that are no x86.
    """
    own = {part.arch for one in package.libraries for each in one.code.containers for part in each.parts}
    x86 = {one.code.machine for one in package.libraries} == {"x86_64"}
    known = {_sm(row["capability"]): row["capability"] for row in SHIPPED.rows("architectures")}
    told = {sm for sm in known if sm >= OLDEST and not (x86 and sm in TEGRA)} | own
    return [name for sm, name in sorted(known.items()) if sm in told]


def table(package: Package, driver: str | None) -> list[tuple[str, str, Outcome]]:
    """Return what a package does on each GPU that is known: compute capability, what it is called, the outcome."""
    rows = []
    for capability in capabilities(package):
        result = outcome(package, gpu(capability, driver))
        word = result.answer
        if word == YES:
            word = BY_PTX if result.cuda else RUNS
        elif word == NO and result.have:
            word = IN_PART
        rows.append((capability, word, result))
    return rows


def generation(capability: str) -> str:
    """Return the name of a compute capability's generation, "Hopper" of 9.0; "" where it is not known."""
    row = SHIPPED.find("architectures", "capability", capability)
    return str(row["arch"]).capitalize() if row else ""


def _sm(capability: str) -> int:
    major, _, minor = capability.partition(".")
    return int(major) * 10 + int(minor)
