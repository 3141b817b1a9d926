"""The page of `preflight code`, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from preflight.artifacts.gpu_code.model import IGNORED
from preflight.artifacts.gpu_code.survey import NONE, Demand, Outcome, Package, Survey
from preflight.catalog.targets import NO, UNKNOWN, YES
from preflight.catalog.versions import show
from preflight.cli.code_answer import BY_PTX, IN_PART, RUNS, Answered, generation, table, would_run
from preflight.report.clean import clean

COLUMNS = 80
INDENT = 13
MOST_NOTES = 20
MOST_BUILDS = 3
MOST_NAMED = 12
_LABELS = {RUNS: "runs on", BY_PTX: "by PTX on", IN_PART: "in part on", UNKNOWN: "not known", NO: "not on"}
_WORDS = {YES: "yes", NO: "no", UNKNOWN: "not known", NONE: "it has no GPU code; what compiles at run time is not seen"}


def page(found: Survey, answered: Sequence[Answered], driver: str | None) -> Iterator[str]:
    """Return a place's lines: what was asked, its packages, what it asks of the system, what was not read."""
    files = "1 file" if found.files == 1 else f"{found.files} files"
    yield from textwrap.wrap(f"{clean(found.path, 300)}  ({found.kind}, {files} looked into)", COLUMNS)
    for one in answered:
        yield ""
        yield from _answer(one)
    for package in found.packages:
        yield ""
        yield from _package(package, driver)
    if not found.packages:
        yield ""
        yield "No GPU code in it."
    yield from _system(found)
    if found.linkable:
        more = f" and {len(found.linkable) - 1} more" if len(found.linkable) > 1 else ""
        yield ""
        yield from _wrapped("For a linker", f"{clean(found.linkable[0], 300)}{more}; name it to see what it holds", "")
    if found.notes:
        yield ""
        yield "Not read, so that nothing is sure of it:"
        for note in found.notes[:MOST_NOTES]:
            yield from textwrap.wrap(clean(note), COLUMNS, initial_indent="  ", subsequent_indent="    ")
        if len(found.notes) > MOST_NOTES:
            yield f"  and {len(found.notes) - MOST_NOTES} more (--json has all)"


def _answer(one: Answered) -> Iterator[str]:
    question = one.question
    own = f" (CUDA {show(question.on.cuda)})" if question.on.cuda else ""
    driver = f", driver {question.driver}{own}" if question.driver else ""
    name = question.name if question.name == question.capability else f"{question.name} ({question.capability})"
    yield from textwrap.wrap(f"{name}{driver}: {_WORDS[one.answer]}", COLUMNS)
    if one.why:
        yield from textwrap.wrap(one.why, COLUMNS, initial_indent="  ", subsequent_indent="  ")
    rest = [(package, result) for package, result in one.packages if result.answer != YES]
    for package, result in rest:
        yield from _wrapped(_label(package), _counted(result), "  ")
        yield from _wrapped("", f"decided by {clean(result.library, 300)}", "  ")
        if result.answer == NO:
            for build in would_run(package, question)[:MOST_BUILDS]:
                yield from _wrapped("", f"would run: {build.shown}", "  ")
    for package, result in one.packages:
        if result.answer == YES and result.cuda and not question.driver:
            yield from _wrapped(_label(package), f"by PTX: needs a driver of CUDA {show(result.cuda)} or newer", "  ")


def _counted(result: Outcome) -> str:
    """Say how many containers run, and why the others do not."""
    if not result.of:
        return result.why
    text = f"{result.have} of {result.of} {'container' if result.of == 1 else 'containers'}"
    if result.unknown:
        text += f", {result.unknown} not known"
    return f"{text}: {clean(result.why, 300)}" if result.why else text


def _package(package: Package, driver: str | None) -> Iterator[str]:
    libraries = package.libraries
    containers = sum(each.role != IGNORED for one in libraries for each in one.code.containers)
    what = f"{len(libraries)} {'library' if len(libraries) == 1 else 'libraries'} with GPU code"
    made = list(dict.fromkeys(cuda for one in libraries for cuda in one.cudas))
    cuda = f", CUDA {', '.join(made[:6])}" if made else ""
    yield from textwrap.wrap(f"{_label(package)}  ({what}{cuda})", COLUMNS, subsequent_indent="  ")
    amd = [one.name for one in libraries if one.code.amd]
    if amd:
        more = f" and {len(amd) - 1} more" if len(amd) > 1 else ""
        yield from _wrapped("for AMD", f"{clean(amd[0], 200)}{more}", "  ")
    if not containers and not any(one.code.unlinked for one in libraries):
        yield "  no kernel for NVIDIA's GPUs"
        return
    rows = table(package, driver)
    for word in (RUNS, BY_PTX, IN_PART, UNKNOWN, NO):
        alike: dict[str, list[str]] = {}
        for capability, called, result in rows:
            if called == word:
                alike.setdefault(_remark(word, result), []).append(capability)
        for number, (remark, names) in enumerate(alike.items()):
            yield from _wrapped("" if number else _LABELS[word], _generations(names) + remark, "  ")
    decides = next((row for word in (IN_PART, UNKNOWN, NO) for row in reversed(rows) if row[1] == word), None)
    if decides and len(libraries) > 1:
        yield from _wrapped("decided by", clean(decides[2].library, 300), "  ")
    elif len(libraries) == 1 and libraries[0].name != package.owner.name:
        yield from _wrapped("library", clean(libraries[0].name, 300), "  ")


def _remark(word: str, result: Outcome) -> str:
    if word == BY_PTX and result.cuda:
        return f": with a driver of CUDA {show(result.cuda)} or newer"
    if word == IN_PART:
        return f": {result.have} of {result.of} containers"
    if word == UNKNOWN:
        return f": {clean(result.why, 200)}" if result.why else ""
    return ""


def _generations(names: Sequence[str]) -> str:
    """Return "Ampere 8.0 8.6, Hopper 9.0" of compute capabilities."""
    grouped: dict[str, list[str]] = {}
    for name in names:
        grouped.setdefault(generation(name), []).append(name)
    return ", ".join(f"{arch} {' '.join(each)}" for arch, each in grouped.items())


def _system(found: Survey) -> Iterator[str]:
    rows = [
        ("GLIBC", "glibc", found.glibc),
        ("GLIBCXX", "libstdc++", found.libstdcxx),
        ("CXXABI", "", found.cxxabi),
    ]
    if found.machines or found.tags or found.missing or any(one.version for _, _, one in rows):
        yield ""
        yield "Asks of the system"
    if found.machines:
        yield from _wrapped("machine", ", ".join(found.machines), "  ")
    for prefix, label, one in rows:
        if one.version:
            yield from _wrapped(label, _version(prefix, one), "  ")
    if found.tags:
        yield from _wrapped("platforms", _some(found.tags), "  ")
    if found.cudas:
        cudas = [f"{one.name}  ({one.by})" for one in found.cudas]
        yield from _wrapped("CUDA", _some(cudas), "  ")
    if found.missing:
        yield from _wrapped("not in it", _some([one.name for one in found.missing]), "  ")


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return clean(", ".join(texts[:MOST_NAMED]), 600) + more


def _version(prefix: str, one: Demand) -> str:
    by = f"  ({clean(one.by, 200)})"
    return (f"{show(one.version)} or newer" if prefix == "GLIBC" else f"{prefix}_{show(one.version)}") + by


def _label(package: Package) -> str:
    return clean(f"{package.owner.name} {package.owner.version}".strip(), 100)


def _wrapped(label: str, text: str, before: str) -> list[str]:
    """Return a label with a text beside it, or below where the label is long."""
    indent = " " * (len(before) + INDENT)
    lines = textwrap.wrap(text, COLUMNS - len(indent), break_on_hyphens=False) or [""]
    if len(label) >= INDENT:
        return [f"{before}{label}"[:COLUMNS], *(f"{indent}{line}" for line in lines)]
    return [f"{before}{label:<{INDENT}}{lines[0]}", *(f"{indent}{line}" for line in lines[1:])]
