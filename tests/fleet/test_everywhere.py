"""Answers of many nodes, as srun --label prints them."""

import json

from preflight.fleet.everywhere import Answer, read, short

OUTPUT = """\
 1: node n2
 0: node n1
 0: ready
10: node n11
10: unhealthy
 1: ready
 0: status 0
10: status 1
 1: status 0
 3: node n4
 3: cut in the mid
srun: error: n3: task 2: Killed
"""


def test_equal_answers_come_once_and_the_worst_first() -> None:
    assert read(OUTPUT, ["n1", "n2", "n3", "n4", "n11"]) == [
        Answer("n11", 1, 1, "unhealthy"),
        Answer("n[3-4]", 2, -1, "no answer"),
        Answer("n[1-2]", 2, 0, "ready"),
    ]


def test_a_node_that_was_not_asked_is_not_believed() -> None:
    assert read("0: node evil\n0: ready\n0: status 0\n", ["n1"]) == [Answer("n1", 1, -1, "no answer")]


def test_a_report_is_told_by_what_is_not_well() -> None:
    rows = [
        {"status": "pass", "check": "a", "subject": "node", "message": "12 MiB free", "remedy": None},
        {"status": "fail", "check": "b", "subject": "gpu 1", "message": "broken\x1b[2J", "remedy": "replace it"},
        {"status": "warn", "check": "c", "subject": "gpu 0", "message": "warm", "remedy": "look"},
    ]
    text = json.dumps({"verdict": "unhealthy", "findings": rows}, indent=2)
    assert short(text) == "unhealthy\n  fail b gpu 1: broken\\x1b[2J\n    replace it\n  warn c gpu 0: warm"
    for other in ("", "no json", "[1]", '{"verdict": 1}'):
        assert short(other) == other
