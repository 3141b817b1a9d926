"""The health check tells Slurm what the node is, where [publish] says so; the prolog never does."""

from __future__ import annotations

from preflight.facts.document import FactsDocument
from preflight.facts.view import View
from preflight.files import tolerate
from preflight.hooks.run import Run
from preflight.hooks.turn import turn
from preflight.requirements import names
from preflight.slurm.commands import SlurmError
from preflight.slurm.publish import publish

SUBJECTS = frozenset(subject for row in names.ROWS if row.extra for subject in (row.subject, *row.also))


def tell(run: Run, document: FactsDocument) -> None:
    """Publish the node's facts: those in ``document``, and what it lacks of the published ones is read now.

    One read of Slurm, and a write only where it has something else (facts changed, or the controller forgot them). A
    controller that cannot be reached gets them from the next health check.
    """
    view = document.view()
    missing = frozenset(one for one in SUBJECTS if one not in document.facts and one not in document.unknown)
    if missing:
        more = run.reading.collect(missing, run.deadline - 1)
        view = View({**document.facts, **more.facts}, {**document.unknown, **more.unknown})
    with turn(run.policy.report.spool, "publish") as mine, tolerate(SlurmError):
        if mine:  # another does it just now: the node agent, or somebody by hand
            publish(run.slurm(), run.node, view, run.policy, run.policy.publish.via)
