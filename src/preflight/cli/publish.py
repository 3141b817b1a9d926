"""`preflight publish`: this node's facts into Slurm, where the scheduler picks nodes by them."""

from __future__ import annotations

import os
import random
import time

import click

from preflight.cli import completion
from preflight.cli.common import config_option, fail, policy_for, recorded_facts, write_out
from preflight.facts.document import FactsDocument
from preflight.facts.schema import FactsError
from preflight.hooks.notes import RUN_DIR
from preflight.hooks.turn import turn
from preflight.policy.model import Policy

LIMIT_S = 60.0


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be written.")
@click.option("--clear", "clearing", is_flag=True, help="Take back what Preflight published; what others did stays.")
@click.option(
    "--node", metavar="NAME", help="Another node: needs --facts, or --clear.", shell_complete=completion.nodes
)
@click.option("--facts", "facts_file", metavar="FILE", help="Recorded or expected facts (preflight facts --json).")
@click.option("--jitter", type=click.FloatRange(0, 3600), default=0.0, help="Wait up to so many seconds first (boot).")
@click.option("--via", type=click.Choice(["auto", "extra", "features"]), help="Default: the policy's [publish] via.")
@click.option("--agent", is_flag=True, help="Take the facts that the node agent has at hand; nothing is read anew.")
@click.option("--run-dir", metavar="DIR", default=RUN_DIR, show_default=True, help="--agent: the runtime directory.")
@config_option
def publish(
    dry_run: bool,
    clearing: bool,
    node: str | None,
    facts_file: str | None,
    jitter: float,
    via: str | None,
    agent: bool,
    run_dir: str,
    config: str | None,
) -> None:
    """Tell Slurm what this node is; what others put there is kept, and nothing is written where nothing changed.

    For nodes that are powered down: --node NAME --facts FILE, from the controller's host.
    """
    from preflight.policy.load import node_name
    from preflight.slurm.commands import Slurm, SlurmError
    from preflight.slurm.publish import publish as tell

    if clearing:
        _clear(node or node_name(), dry_run, config)
        return
    if node and not facts_file:
        fail("--node: the facts of another node must be given with --facts FILE")
    if agent and (node or facts_file):
        fail("--agent: takes this node's own facts, so no --node and no --facts")
    recorded = _of_the_agent(run_dir) if agent else recorded_facts(facts_file)
    name = node or (recorded.node if recorded else "") or node_name()
    policy = policy_for(config, name)
    time.sleep(random.uniform(0, jitter))
    document = recorded or _collect(policy, name)
    conf = policy.hook.slurm_conf or os.environ.get("SLURM_CONF", "")
    slurm = Slurm(policy.hook.slurm_bin, conf, time.monotonic() + LIMIT_S, each_s=20.0)
    try:
        with turn(policy.report.spool, "publish", LIMIT_S / 2) as mine:
            if not mine:
                fail(f"another publication of {name} goes on: try again, or look for a scontrol that hangs")
            told = tell(slurm, name, document.view(), policy, via or policy.publish.via, dry_run)
    except SlurmError as error:
        more = " (--node with --facts, or SLURMD_NODENAME)" if "does not know node" in str(error) else ""
        fail(f"{error}{more}")
    state = "unchanged" if not told.changed else "would be" if dry_run else "now"
    write_out(f"{name}: {told.via} {state}: {told.after}")
    if told.taken_back:
        other = "features" if told.via == "extra" else "Extra"
        write_out(f"{name}: what was published by {other} before {'would be' if dry_run else 'is'} taken back")


def _of_the_agent(run_dir: str) -> FactsDocument:
    """Return the facts at the agent's hand; ends with exit code 2 where one that is published is not among them."""
    from preflight.agent.client import AgentError, ask
    from preflight.agent.wire import socket_path
    from preflight.hooks.publish import SUBJECTS
    from preflight.policy.load import node_name

    run_dir = os.path.abspath(run_dir)
    try:
        said = ask(run_dir, "facts", path=socket_path(run_dir, node_name()))
        document = FactsDocument.from_dict(said["document"])
    except (AgentError, FactsError) as error:
        fail(str(error))
    why = [said["missing"][one] for one in sorted(SUBJECTS) if one in said["missing"]]
    if why:
        fail(f"not at the agent's hand: {why[0]}")
    return document


def _clear(name: str, dry_run: bool, config: str | None) -> None:
    from preflight.slurm.commands import Slurm, SlurmError
    from preflight.slurm.publish import clear

    policy = policy_for(config, name)
    conf = policy.hook.slurm_conf or os.environ.get("SLURM_CONF", "")
    try:
        done = clear(Slurm(policy.hook.slurm_bin, conf, time.monotonic() + LIMIT_S, each_s=20.0), name, dry_run)
    except SlurmError as error:
        fail(str(error))
    if not done.via:
        write_out(f"{name}: unchanged: nothing is published by Preflight")
        return
    places = {"extra": "Extra", "features": "features", "both": "Extra and features"}[done.via]
    left = f"; of others there: {done.after}" if done.after else ""
    write_out(f"{name}: what Preflight published in {places} {'would be' if dry_run else 'is'} taken back{left}")
    if policy.publish.enabled:
        click.echo(
            "preflight: warning: [publish] enabled = true: the node agent or the next health check publishes again",
            err=True,
        )


def _collect(policy: Policy, node: str) -> FactsDocument:
    from preflight.facts.registry import every_fact
    from preflight.hooks.reading import reading_of

    return reading_of(policy, node, None).collect(frozenset(every_fact()), time.monotonic() + policy.hook.deadline_s)
