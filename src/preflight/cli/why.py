"""`preflight why`: why a job waits, was moved, is held, was cancelled, or how it ended, and what to do next."""

from __future__ import annotations

import time

import click

from preflight.cli import completion
from preflight.cli.common import config_option, fail, policy_for, write_out

LIMIT_S = 60.0


@click.command()
@click.argument("jobid", shell_complete=completion.jobs)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, format preflight.why/1.")
@config_option
def why(jobid: str, as_json: bool, config: str | None) -> None:
    """Say what became of job JOBID: 123, 123_4 (a task of an array) or 123+1 (a component), from Slurm and its reports.

    Exits with 0, or with 2 where nothing is known of the job or something is mistaken.
    """
    from preflight.report.find import ReportPlaces
    from preflight.slurm.cluster import cluster_for
    from preflight.submit.why.document import to_json
    from preflight.submit.why.fits import Fitting
    from preflight.submit.why.gather import Reader, parse
    from preflight.submit.why.several import tell
    from preflight.submit.why.text import render

    try:
        asked = parse(jobid)
    except ValueError as error:
        fail(str(error))
    policy = policy_for(config)
    places = ReportPlaces(policy.report.spool, policy.report.dir, policy.report.search)
    cluster = cluster_for(policy, time.monotonic() + LIMIT_S)
    reader = Reader(cluster, places, Fitting(cluster.slurm, policy))
    try:
        told = tell(reader, asked)
    except ValueError as error:
        fail(str(error))
    write_out(to_json(told) if as_json else render(told, time.time()))
