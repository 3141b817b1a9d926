"""`preflight check`: judge this node, a root directory or recorded facts, as a hook would, and change nothing."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import click

from preflight.cli.common import config_option, fail, policy_for, recorded_facts, write_out
from preflight.policy.model import Policy

if TYPE_CHECKING:
    from preflight.hooks.assess import Assessment
    from preflight.slurm.gres import Gres

EXIT = {"ready": 0, "degraded": 0, "unhealthy": 1, "mismatch": 3, "unknown": 4}


@click.command()
@click.option("--require", "spec", metavar="SPEC", default="", help="What a job asks for.")
@click.option("--phase", type=click.Choice(["prolog", "epilog", "health"]), default="prolog", show_default=True)
@click.option("--gpus", metavar="0,1", help="NVML indexes of the GPUs to judge, 0:2 for a MIG device; default all.")
@click.option("--json", "as_json", is_flag=True, help="Print the report, format preflight.report/1.")
@click.option("--timings", is_flag=True, help="Say what reading each fact and running each check took.")
@click.option("--facts", "facts_file", metavar="FILE", help="Judge recorded facts (preflight facts --json).")
@click.option("--root", metavar="DIR", help="Read the files beneath DIR: a chroot, an image, a recorded node.")
@config_option
def check(
    spec: str,
    phase: str,
    gpus: str | None,
    as_json: bool,
    timings: bool,
    facts_file: str | None,
    root: str | None,
    config: str | None,
) -> int:
    """Judge this node as a hook would; nothing is drained, moved or written.

    Exits with 0 ready or degraded, 1 unhealthy, 2 usage or configuration error, 3 mismatch, 4 unknown.
    """
    from preflight.hooks.assess import Question, assess
    from preflight.hooks.reading import reading_of
    from preflight.policy.load import node_name
    from preflight.requirements.grammar import RequirementError, parse
    from preflight.slurm.gres import Gres

    if facts_file and root:
        fail("--facts and --root exclude each other: facts are read from one place")
    try:
        spec = parse(spec).text() if spec else ""
    except RequirementError as error:
        click.echo(str(error), err=True)
        return 2
    document = recorded_facts(facts_file)
    node = document.node if document else node_name()
    policy = policy_for(config, node)
    if root:
        policy = policy._replace(facts=policy.facts._replace(root=_directory(root), live=policy.facts.live))
    began, started = time.monotonic(), time.time()
    indexes = _gpus(gpus)
    here = indexes is None and phase != "epilog" and not facts_file and not root
    configured = _configured(policy, node) if here else Gres()
    question = Question(phase, node, policy, require=spec, gpus=indexes, gres=configured)
    if here and phase == "health":
        from preflight.slurm.gres import conf_directory
        from preflight.slurm.node_conf import configured as of_node

        directory = conf_directory(policy.hook.slurm_conf or os.environ.get("SLURM_CONF", ""))
        question = question._replace(configured=of_node(directory, node))
    found = assess(question, reading_of(policy, node, None, phase), began + policy.hook.deadline_s, document)
    _any_there(indexes, found)
    report = _report(policy, node, phase, started, began, found)
    if as_json:
        write_out(json.dumps(report, indent=2))
    else:
        from preflight.report.merge import merge
        from preflight.report.render import render

        costs = _timings(report) if timings else ""
        write_out(render(merge(node, [report]), "text") + costs + _switched_off(policy, bool(facts_file or root)))
    return EXIT[report["verdict"]]


def _timings(report: dict[str, Any]) -> str:
    """Return what each fact and each check took, the longest first; a fact that a child read took it beside others."""
    checks: dict[str, float] = {}
    for one in report["findings"]:
        checks[one["check"]] = max(checks.get(one["check"], 0.0), one["duration_ms"] or 0.0)
    lines = []
    for title, took in (("facts", report["timings_ms"]), ("checks", checks)):
        lines += ["", f"{title}: {sum(took.values()):.1f} ms in all"]
        rows = sorted(took.items(), key=lambda row: (-row[1], row[0]))
        lines += [f"  {name:<28} {ms:9.3f} ms" for name, ms in rows]
    return "\n".join(lines) + "\n"


def _switched_off(policy: Policy, elsewhere: bool) -> str:
    """Return a line that says why this node's hooks would do nothing about what was found, "" where they would."""
    switch = policy.drain.kill_switch
    if not elsewhere and switch and os.path.lexists(switch):
        return f"\nThe kill switch is on ({switch}): hooks drain, move and resume nothing here.\n"
    if policy.mode == "observe":
        return f"\nObserve mode ({policy.path}): hooks judge and report, and drain and move nothing.\n"
    return ""


def _directory(root: str) -> str:
    if not os.path.isdir(root):
        fail(f"--root {root}: not a directory")
    return os.path.abspath(root)


def _gpus(text: str | None) -> tuple[int | tuple[int, int], ...] | None:
    """Return NVML indexes, a MIG device as (its GPU's, its own)."""
    if text is None:
        return None
    from preflight.slurm.environment import positions

    found: list[int | tuple[int, int]] = []
    for part in text.split(","):
        gpu, colon, mig = part.partition(":")
        numbers = positions(gpu), positions(mig) if colon else ()
        if numbers[0] is None or numbers[1] is None or (colon and len(numbers[0]) > 1):
            fail(f"--gpus {text!r}: needs NVML indexes such as 0,1, of a MIG device its GPU's and its own: 0:2")
        found += [(numbers[0][0], one) for one in numbers[1]] if colon else numbers[0]
    return tuple(found)


def _any_there(indexes: tuple[int | tuple[int, int], ...] | None, found: Assessment) -> None:
    """End with exit code 2 where GPUs are named on a node without any, a login node: no fault of the node."""
    if indexes and found.document.facts.get("gpus", {}).get("devices") == []:
        fail("--gpus: this node has no NVIDIA GPU; leave --gpus out, or run it on a node that has")


def _configured(policy: Policy, node: str) -> Gres:
    """Return this node's GPUs as Slurm's configuration gives them: one that it hands out and that is gone fails."""
    from preflight.slurm.gres import conf_directory, read

    return read(conf_directory(policy.hook.slurm_conf or os.environ.get("SLURM_CONF", "")), node)


def _report(policy: Policy, node: str, phase: str, started: float, began: float, found: Assessment) -> dict[str, Any]:
    from preflight.hooks import record
    from preflight.hooks.reading import reading_of
    from preflight.hooks.run import Run
    from preflight.verdict import NOTHING

    run = Run(phase, node, policy, "", None, "", started, began, reading_of(policy, node, None))
    return record.make(run, found, NOTHING, [] if phase == "epilog" else None)
