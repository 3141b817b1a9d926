"""Many nodes at once answer as each alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.facts.view import View
from preflight.requirements import many
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import Requirement, parse
from preflight.requirements.many import evaluate_many
from unit.test_requirement_compile import CLAUSES, NODE, views


@settings(deadline=None)
@given(CLAUSES, st.lists(views(), max_size=6))
def test_each_answer_is_that_of_evaluate(requirement: Requirement, several: list[View]) -> None:
    twice = [*several, *several]
    assert list(evaluate_many(requirement, twice)) == [evaluate(requirement, view) for view in twice]


def test_nodes_alike_are_judged_once_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[View] = []

    def counted(requirement: Requirement, view: View, **options: object) -> object:
        asked.append(view)
        return evaluate(requirement, view)

    monkeypatch.setattr(many, "evaluate", counted)
    serial = [{**gpu, "uuid": f"GPU-{number}"} for number, gpu in enumerate(NODE.facts["gpus"]["devices"])]
    alike = NODE._replace(facts={**NODE.facts, "gpus": {"devices": serial}})
    other = NODE._replace(facts={**NODE.facts, "gpus": {"devices": [{**serial[0], "name": "NVIDIA A100"}]}})
    untold = NODE._replace(unknown={"gpus": "NVML: Timeout"})
    one = NODE._replace(gpus=(0,))
    found = list(evaluate_many(parse("gpu=h100"), [NODE, alike, other, untold, one, NODE]))
    assert [answer[0].status for answer in found] == ["pass", "pass", "fail", "unknown", "pass", "pass"]
    assert len(asked) == 4


def test_facts_that_are_no_json_are_judged_each_time() -> None:
    odd = View({"os": {"id": object()}}, {})
    assert [answer[0].status for answer in evaluate_many(parse("os=ubuntu"), [odd, odd])] == ["unknown"] * 2
