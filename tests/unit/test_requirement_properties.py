"""Properties of requirements that hold for all texts, versions and truths."""

from __future__ import annotations

import pytest
from allowed_values import allowed
from hypothesis import given
from hypothesis import strategies as st

from preflight.facts.view import View
from preflight.requirements import names
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import (
    Clause,
    Predicate,
    Requirement,
    RequirementError,
    from_comment,
    from_json,
    parse,
    to_json,
)
from preflight.requirements.kinds import Size, Version
from preflight.requirements.logic import every, negate, some
from preflight.requirements.words import explain

TARGETS = ("sm_50", "sm_80", "sm_87", "sm_90", "sm_90a", "sm_100f", "sm_95", "compute_70", "compute_90a")
TRUTH = st.sampled_from([True, False, None])
PARTS = st.lists(st.integers(0, 999), min_size=1, max_size=4)
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=12)


def dotted(parts: list[int]) -> str:
    return ".".join(map(str, parts))


@st.composite
def predicates(draw: st.DrawFn) -> Predicate:
    row = draw(st.sampled_from(names.ROWS))
    kind = row.kind
    ops = [*kind.operators, *([None] if kind.bare else [])]
    op = draw(st.sampled_from(ops))
    values = {
        "version": st.lists(st.integers(0, 999), min_size=2, max_size=4).map(dotted),
        "size": st.builds("{}{}".format, st.integers(0, 10**6), st.sampled_from("KMGT")),
        "count": st.integers(0, 10**6).map(str),
        "name": PRINTABLE.map(lambda text: "x" + text),
        "target": st.sampled_from(TARGETS) | st.lists(st.sampled_from(TARGETS), min_size=1, max_size=4).map("+".join),
        "profile": st.builds("{}g.{}gb:{}".format, st.integers(1, 7), st.integers(1, 280), st.integers(0, 9)),
    }
    value = allowed(row, op, None if op is None else draw(values[kind.name]))
    return Predicate(row.name, op, value, op != "!=" and draw(st.booleans()))


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A requirement with blanks wherever they may stand."""

    def blank() -> str:
        return draw(st.sampled_from(["", " ", "  "]))

    clauses = []
    for clause in draw(st.lists(st.lists(predicates(), min_size=1, max_size=3), min_size=1, max_size=4)):
        clauses.append(f"{blank()}|{blank()}".join(one.text() for one in clause))
    return blank() + f"{blank()},{blank()}".join(clauses) + blank()


@given(st.lists(st.lists(predicates(), min_size=1, max_size=3), min_size=1, max_size=4))
def test_predicates_survive_text(clauses: list[list[Predicate]]) -> None:
    text = ",".join("|".join(one.text() for one in clause) for clause in clauses)
    assert [list(clause.predicates) for clause in parse(text).clauses] == clauses


@given(texts())
def test_text_and_json_round_trip(text: str) -> None:
    requirement = parse(text)
    assert parse(requirement.text()) == requirement
    assert to_json(from_json(to_json(requirement))) == to_json(requirement)
    assert len(explain(requirement)) == len(requirement.clauses)


@given(st.text() | st.text(alphabet='cuda gpu.count>=<!~|,"\\12.4G\x1b\u202e', max_size=60))
def test_any_text_parses_or_is_a_requirement_error(text: str) -> None:
    outcome: Requirement | RequirementError
    try:
        outcome = parse(text)
    except RequirementError as error:
        outcome = error
    if isinstance(outcome, Requirement):
        assert parse(outcome.text()) == outcome
    else:
        assert 0 <= outcome.position <= len(text)
        assert str(outcome).replace("\n", "").isprintable()
        assert all(len(line) <= 80 for line in str(outcome).splitlines()[1:])


@given(st.text())
def test_any_comment_is_read(comment: str) -> None:
    found = from_comment(comment)
    assert found is None or ";" not in found


@given(st.lists(TRUTH), TRUTH)
def test_three_valued_logic(truths: list[bool | None], one: bool | None) -> None:
    assert negate(negate(one)) is one
    assert negate(every(truths)) is some([negate(truth) for truth in truths])
    assert negate(some(truths)) is every([negate(truth) for truth in truths])
    assert some([True, one]) is True
    assert every([False, one]) is False
    assert some([False, one]) is one
    assert every([True, one]) is one


@given(PARTS, PARTS)
def test_versions_order_as_tuples_over_the_asked_parts(have: list[int], asked: list[int]) -> None:
    kind = Version()
    answers = {op: kind.compare(op, tuple(asked), dotted(have)) for op in ("=", "!=", ">=", ">", "<=", "<")}
    shared = have[: len(asked)]
    if len(have) < len(asked) and shared == asked[: len(have)]:
        assert set(answers.values()) == {None}
    else:
        assert answers == {
            "=": shared == asked,
            "!=": shared != asked,
            ">=": shared >= asked,
            ">": shared > asked,
            "<=": shared <= asked,
            "<": shared < asked,
        }
    if len(asked) > 1:
        within = kind.compare("~=", tuple(asked), dotted(have))
        assert within is every((kind.compare("=", tuple(asked[:-1]), dotted(have)), answers[">="]))


@given(st.lists(st.integers(0, 5000), min_size=3, max_size=3), st.lists(st.integers(0, 5000), min_size=3, max_size=3))
def test_encoded_versions_keep_their_order(one: list[int], other: list[int]) -> None:
    first, second = sorted([one, other])
    low, high = Version().encode(dotted(first)), Version().encode(dotted(second))
    assert low is not None
    assert high is not None
    assert low <= high
    if max(one + other) < 1000 and one != other:
        assert low < high


@given(st.integers(0, 2**50), st.integers(0, 2**50))
def test_encoded_sizes_keep_their_order(one: int, other: int) -> None:
    low, high = (Size(1000).encode(size) for size in sorted([one, other]))
    assert low is not None
    assert high is not None
    assert low <= high


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FACTS = sorted({row.fact for row in names.ROWS if row.scope == "node"} | {"driver.version", "os.id"})
DEVICE = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("name", "memory", "ecc", "mig", "nvlink", "compute_capability", "mig_devices"), JSON)
)


@given(
    predicates(),
    st.fixed_dictionaries({}, optional=dict.fromkeys(FACTS, JSON)),
    st.lists(DEVICE, max_size=3),
    st.sampled_from(["accept", "warn", "reject"]),
)
def test_a_negation_never_agrees(
    predicate: Predicate, values: dict[str, object], devices: list[dict[str, object]], policy: str
) -> None:
    """Whatever the facts hold, evaluation answers, and a predicate and its negation never both pass."""
    view = View({"gpus": {"devices": devices}}, {})
    for path, value in values.items():
        subject, _, key = path.partition(".")
        view.facts.setdefault(subject, {})[key] = value
    # "!" before "!=" cannot be written, so the negation of "!=" is "=" (of cuda another question).
    other = predicate._replace(op="=") if predicate.op == "!=" else predicate._replace(negated=not predicate.negated)
    if other.op == "!=" or (predicate.op == "!=" and predicate.name == "cuda"):
        return
    answers = [
        evaluate(Requirement((Clause((one,), one.text()),)), view, cuda_minor=policy)[0] for one in (predicate, other)
    ]
    held = [answer.predicates[0].truth for answer in answers]
    assert held != [True, True]
    if names.find(predicate.name).scope == "node":  # type: ignore[union-attr]
        assert held[0] is negate(held[1])
    assert all(answer.message.isprintable() for answer in answers)


@pytest.mark.parametrize("text", ["ecc", "cuda>=12.4"])
def test_text_of_one_clause(text: str) -> None:
    assert parse(text).text() == text
