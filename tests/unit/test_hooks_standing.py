"""Hundreds of expectations: judged again only when what they read has changed, and never more than a report holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from preflight.facts.document import FactsDocument
from preflight.hooks import assess as assessing
from preflight.hooks import record
from preflight.hooks.assess import FEW, Assessment, Question, assess
from preflight.hooks.reading import reading_of
from preflight.policy.model import Expectation, Policy
from preflight.slurm.environment import job_from
from preflight.verdict import verdict

MANY = [f"kernel>=4.{number}" for number in range(FEW)] + [f"gpu.memory>={number}M" for number in range(FEW)]
DEVICE = {"index": 0, "minor": 0, "name": "NVIDIA H100", "memory": 80_000_000_000, "temperature": 40}


def document(release: str = "5.14.0", **device: Any) -> FactsDocument:
    facts: dict[str, Any] = {
        "kernel": {"release": release},
        "tmp": {"free": 10**12},
        "gpus": {"count": 1, "devices": [{**DEVICE, **device}], "stuck_at": None},
    }
    return FactsDocument("n1", "2026-11-30T14:00:00Z", facts, {}, {})


class Site:
    """A node whose policy has many rows; ``judged`` counts the clauses that a run judged."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place / "expected-n1.json"
        self.rows = [*MANY]
        self.judged = 0
        from preflight.requirements import evaluate

        real = evaluate.evaluate

        def counting(requirement: Any, view: Any, **more: Any) -> Any:
            self.judged += len(requirement.clauses)
            return real(requirement, view, **more)

        monkeypatch.setattr(evaluate, "evaluate", counting)

    def run(self, facts: FactsDocument, partition: str = "", **row: Any) -> Assessment:
        rows = (*(Expectation("n1", (), text) for text in self.rows), *((Expectation(**row),) if row else ()))
        policy = Policy(expect=rows, sha256="|".join(self.rows))
        job = job_from({"SLURM_JOB_ID": "7", "SLURM_JOB_PARTITION": partition}) if partition else None
        question = Question("prolog", "n1", policy, job, standing=str(self.place))
        self.judged = 0
        return assess(question, reading_of(policy, "n1", None), 0.0, facts)

    @staticmethod
    def of(found: Assessment, status: str) -> list[str]:
        rows = [one for one in found.findings if one.check == "expectation" and one.status == status]
        return [one.subject for one in rows]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def test_what_held_is_judged_once(site: Site) -> None:
    first = site.run(document())
    assert (len(site.of(first, "pass")), site.judged) == (len(MANY), len(MANY))
    again = site.run(document(temperature=71))
    assert (site.of(again, "pass"), site.judged) == (["kernel.release", "gpus"], 0)
    told = next(one for one in again.findings if one.subject == "kernel.release")
    assert told.message.startswith(f"{FEW} expectations hold, as judged at 20")
    assert verdict(first.findings) == verdict(again.findings)


@pytest.mark.parametrize(
    ("now", "fails"),
    [
        (document("3.10.0"), FEW),  # no row of 4.x holds any more
        (document(memory=10_000_000), FEW - 11),
        (document(error="GpuIsLost", memory=None), 0),
    ],
)
def test_what_changed_is_judged_again_and_nothing_else(site: Site, now: FactsDocument, fails: int) -> None:
    site.run(document())
    changed = site.run(now)
    assert (len(site.of(changed, "fail")), site.judged) == (fails, FEW)
    assert site.run(now).findings != []
    assert site.judged <= FEW
    back = site.run(document())
    assert len(site.of(back, "fail")) == 0
    site.run(document())
    assert site.judged == 0


def test_a_policy_that_changed_is_judged_anew(site: Site) -> None:
    site.run(document())
    site.rows.append("kernel>=6")
    assert site.of(site.run(document()), "fail") == ["kernel>=6"]
    assert site.judged == len(MANY) + 1
    assert site.of(site.run(document()), "fail") == ["kernel>=6"]
    assert site.judged == 1


def test_what_users_can_use_up_and_rows_of_a_partition_are_judged_every_time(site: Site) -> None:
    site.rows.append("tmp>=1M")
    for partition, judged in (("gpu", 2), ("cpu", 1)):
        site.run(document(), partition, partitions=("gpu",), require="kernel>=5")
        found = site.run(document(), partition, partitions=("gpu",), require="kernel>=5")
        assert site.judged == judged
        assert ("kernel>=5" in site.of(found, "pass")) == (partition == "gpu")


@pytest.mark.parametrize("text", ["", "null", "[]", '{"key": [], "groups": 7}', '{"groups": [], "rest": []}'])
def test_a_record_that_is_none_of_ours_costs_only_time(site: Site, text: str) -> None:
    whole = site.run(document()).findings
    site.place.write_text(text)
    again = site.run(document()).findings
    assert [one._replace(duration_ms=None) for one in whole] == [one._replace(duration_ms=None) for one in again]


def test_a_job_without_gpus_reads_what_the_rows_ask(site: Site) -> None:
    site.run(document())
    policy = Policy(expect=tuple(Expectation("n1", (), text) for text in MANY), sha256="|".join(MANY))
    job = job_from({"SLURM_JOB_ID": "7"})
    question = Question("prolog", "n1", policy, job, standing=str(site.place))
    many = assessing._many(question)
    assert many is not None
    assert "gpus" in assessing.subjects(question, (), many)


def test_a_report_lists_so_many_and_counts_the_rest(site: Site) -> None:
    site.rows = [f"kernel>=4.{number}" for number in range(3000)] + [f"kernel>=6.{number}" for number in range(2000)]
    found = site.run(document())
    rows = record._listed(found.findings)
    assert [one.message for one in rows if one.subject == "more"] == [
        f"{number - record.LISTED} more expectations have this answer: too many to list" for number in (3000, 2000)
    ]
    assert verdict(rows) == verdict(found.findings) == "unhealthy"
    assert len(json.dumps([one.as_dict() for one in rows])) < 1 << 20
    block = record._requirement(found)
    assert block is not None
    assert len(block["text"]) < record.MOST_TEXT + 100
