"""The report of a job that its hook could not judge: made of what is in memory, by the parent of one that is held."""

from __future__ import annotations

import os
import time

from preflight.checks.finding import Finding
from preflight.facts.document import FactsDocument
from preflight.files import NOWHERE
from preflight.hooks import outbox, record
from preflight.hooks.apart import Own
from preflight.hooks.assess import Assessment
from preflight.hooks.reading import reading_of
from preflight.hooks.run import Run
from preflight.policy.cache import remembered_policy
from preflight.slurm.environment import job_from
from preflight.verdict import Decision

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.hooks.supervised import Asked

DETAIL = "what its hook had begun, the next health check finishes"
REMEDY = "see which file system does not answer; policy, spool and Slurm's configuration belong on the node's own disk"


def keep(asked: Asked, why: str) -> None:
    """Keep the report in the runtime directory, for the health check to deliver; of a run without a job nothing."""
    job = job_from(os.environ)
    if job is None:
        return
    policy = remembered_policy(asked.config, asked.node, asked.run_dir, why)
    known = Own(asked.config, asked.node, asked.run_dir, "").known_cluster()["cluster"]
    policy = policy._replace(
        cluster=policy.cluster or job.cluster or known, hook=policy.hook._replace(slurm_conf=NOWHERE)
    )
    started = time.time() - (time.monotonic() - asked.began)
    reading = reading_of(policy, asked.node, asked.run_dir, asked.phase)
    run = Run(asked.phase, asked.node, policy, asked.run_dir, job, NOWHERE, started, asked.began, reading)
    finding = Finding("requirement", "unknown", "site", "hook", None, None, why, REMEDY, "hook", None)
    collected = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    found = Assessment(FactsDocument(asked.node, collected, {}, {}, {}), [finding], (), (), None)
    outbox.keep_record(run, record.make(run, found, Decision("none", DETAIL, True)))
