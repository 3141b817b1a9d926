"""The requirement language: parse, write again, judge, compile. docs/requirements.md."""

from preflight.facts.view import View
from preflight.requirements import features, words
from preflight.requirements.decode import view_of
from preflight.requirements.encode import extra_of, features_of
from preflight.requirements.evaluate import evaluate
from preflight.requirements.extra import to_extra
from preflight.requirements.grammar import RequirementError, from_json, parse, to_json
from preflight.requirements.names import ROWS
from report_samples import facts

ERRORS = (RequirementError,)
TOKENS = (
    *(row.name.encode() for row in ROWS), *(row.example.encode() for row in ROWS), b">=", b"<=", b"!=", b"~=", b"==",
    b"=", b">", b"<", b"!", b"|", b",", b'"', b"\\", b"12.4", b"80G", b"1T", b"9.0", b"cuda/12.4", b"1g.10gb:2",
)  # fmt: skip
STEPS_LIMIT = (60_000, 3_000)  # a name of two letters is judged, compiled to two forms and put in words
FACTS = View(facts(), {})
PUBLISHED = view_of(extra_of(FACTS))
FEATURES = features_of(FACTS)


def seeds() -> list[bytes]:
    """Return each name's example, and some together."""
    alone = [row.example.encode() for row in ROWS]
    return [*alone, b"cuda>=12.4, ubuntu>=22.04|rhel>=9, gpu.memory>=80G", b'! gpu="h100 \\"x\\"" | !nvlink,ecc', b"a"]


def check(data: bytes) -> None:
    """Parse a text as it arrives in argv; what was parsed means the same in each of its forms."""
    requirement = parse(data.decode("utf-8", "surrogateescape"))
    assert parse(requirement.text()) == requirement
    again = from_json(to_json(requirement))
    assert [one.predicates for one in again.clauses] == [one.predicates for one in requirement.clauses]
    measured = {one.text: one.status for one in evaluate(requirement, FACTS)}
    for one in evaluate(requirement, PUBLISHED):  # what is published never contradicts what was measured
        assert {one.status, measured[one.text]} not in ({"pass", "fail"}, {"warn", "fail"}), one.text
    evaluate(requirement, View({}, {}))
    for compiled in (to_extra(requirement), features.to_constraint(requirement, FEATURES)):
        assert len(compiled.placed) + len(compiled.not_placeable) == len(requirement.clauses)
        assert compiled.text.isprintable()
    assert all(line.isprintable() for line in words.explain(requirement))
