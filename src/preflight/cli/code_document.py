"""The JSON of `preflight code`, format preflight.code/1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from preflight.artifacts.gpu_code import Code, Container
from preflight.artifacts.gpu_code.survey import Demand, Outcome, Package, Survey
from preflight.catalog.targets import NO
from preflight.catalog.versions import show
from preflight.cli.code_answer import Answered, table, would_run


def document(found: Survey, answered: Sequence[Answered], driver: str | None) -> dict[str, Any]:
    """Return a place as a JSON object; texts are not cleaned."""
    return {
        "path": found.path,
        "kind": found.kind,
        "files": found.files,
        "asked": [_answer(one) for one in answered],
        "packages": [_package(one, driver) for one in found.packages],
        "system": {
            "machines": list(found.machines),
            "glibc": _asked(found.glibc),
            "libstdcxx": _asked(found.libstdcxx),
            "cxxabi": _asked(found.cxxabi),
            "cuda": [{"version": one.name, "by": one.by} for one in found.cudas],
            "missing": [{"library": one.name, "by": one.by} for one in found.missing],
            "platforms": list(found.tags),
        },
        "linkable": list(found.linkable),
        "notes": list(found.notes),
    }


def _answer(one: Answered) -> dict[str, Any]:
    question = one.question
    return {
        "gpu": question.name,
        "capability": question.capability,
        "driver": question.driver,
        "driver_cuda": show(question.on.cuda) if question.on.cuda else None,
        "answer": one.answer,
        "why": one.why or None,
        "packages": [
            {"name": package.owner.name, **_outcome(result), "builds": _builds(package, result, one)}
            for package, result in one.packages
        ],
    }


def _builds(package: Package, result: Outcome, one: Answered) -> list[dict[str, Any]]:
    """Return what would run where a package does not."""
    found = would_run(package, one.question) if result.answer == NO else []
    return [build._asdict() for build in found]


def _outcome(result: Outcome) -> dict[str, Any]:
    return {
        "answer": result.answer,
        "runs": result.have,
        "of": result.of,
        "unknown": result.unknown,
        "decided_by": result.library,
        "why": result.why or None,
        "needs_driver_cuda": show(result.cuda) if result.cuda else None,
    }


def _package(package: Package, driver: str | None) -> dict[str, Any]:
    return {
        "name": package.owner.name,
        "version": package.owner.version or None,
        "gpus": {capability: _outcome(result) for capability, _, result in table(package, driver)},
        "libraries": [
            {"path": one.name, "built_with_cuda": list(one.cudas), **_code(one.code)} for one in package.libraries
        ],
    }


def _code(code: Code) -> dict[str, Any]:
    return {
        "kind": code.kind,
        "machine": code.machine,
        "amd": code.amd,
        "unlinked": code.unlinked,
        "complete": code.complete,
        "needed": list(code.needs.libraries),
        "containers": _grouped(code.containers),
    }


def _grouped(containers: Sequence[Container]) -> list[dict[str, Any]]:
    """Return the containers, those that are alike as one with how many there are."""
    count: dict[Container, int] = {}
    for one in containers:
        alike = one._replace(offset=0, parts=tuple(part._replace(kernels=None) for part in one.parts))
        count[alike] = count.get(alike, 0) + 1
    return [
        {
            "count": number,
            "role": one.role,
            "record": one.record,
            "section": one.section or None,
            "member": one.member or None,
            "doubt": one.doubt or None,
            "images": [
                {
                    "kind": part.kind,
                    "target": part.target,
                    "isa": show(part.isa) if part.isa else None,
                    "flags": part.flags,
                    "doubt": part.doubt or None,
                }
                for part in one.parts
            ],
        }
        for one, number in count.items()
    ]


def _asked(one: Demand) -> dict[str, Any] | None:
    return {"version": show(one.version), "by": one.by} if one.version else None
