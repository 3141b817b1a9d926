"""This cluster's nodes as questions to `preflight code`: by the GPU, driver, machine and glibc that they published."""

from __future__ import annotations

import time
from collections.abc import Sequence

from preflight.artifacts.gpu_code.runs import gpu
from preflight.catalog import versions
from preflight.cli.code_answer import Question
from preflight.cli.common import fail
from preflight.facts.view import Unknown, View
from preflight.policy.model import Policy
from preflight.report.clean import clean
from preflight.slurm.models import Node
from preflight.submit.plan.judge import hosts
from preflight.submit.plan.kinds import Kinds

DEADLINE_S = 30.0


def read(policy: Policy) -> tuple[list[Question], list[str]]:
    """Return the questions, and a sentence for nodes that cannot be asked; ends with exit code 2 without a cluster."""
    from preflight.slurm.cluster import slurm_for
    from preflight.submit.plan.ask import ask, is_installed

    if not is_installed(policy):
        fail("--nodes: Slurm is not installed here; give a GPU instead (--gpu h100)")
    _, cluster, problem = ask(slurm_for(policy, time.monotonic() + DEADLINE_S), policy.publish.via)
    if cluster is None:
        fail(f"--nodes: {clean(problem, 300)}")
    return questions(cluster.nodes, cluster.by_extra)


def questions(nodes: Sequence[Node], by_extra: bool) -> tuple[list[Question], list[str]]:
    """Return a question for each kind of nodes with GPUs, and a sentence for those whose GPUs are not known.

    What a node has not published is no yes for it.
    """
    kinds = Kinds(nodes, by_extra)
    found: dict[tuple[str, str | None, str, tuple[int, ...]], list[str]] = {}
    untold: list[str] = []
    for node in nodes:
        view = kinds.views[kinds.of[node.name]]
        capabilities = _capabilities(view)
        if capabilities is None:
            untold += [node.name] if "gpu" in node.gres else []
            continue
        for one in capabilities:
            key = (one, _text(view, "driver.version"), _text(view, "arch.machine") or "", _glibc(view))
            found.setdefault(key, []).append(node.name)
    made = []
    for (capability, driver, machine, glibc), names in found.items():
        told = {"driver": driver, "machine": machine, "GLIBC": glibc}
        missing = tuple(what for what, value in told.items() if not value)
        on = gpu(capability, driver)
        made.append(Question(hosts(sorted(names)), capability, driver, on, machine, glibc, missing))
    notes = [f"which GPUs {hosts(sorted(untold))} has is not published"] if untold else []
    return made, notes


def _capabilities(view: View) -> list[str] | None:
    """Return the compute capabilities of a node's GPUs, None where they are not all known."""
    devices = view.devices()
    if isinstance(devices, Unknown):
        return None
    told = {one.get("compute_capability") for one in devices}
    known = [one for one in told if isinstance(one, str)]
    return sorted(known) if len(known) == len(told) else None


def _text(view: View, path: str) -> str | None:
    have = view.get(path)
    return have if isinstance(have, str) else None


def _glibc(view: View) -> tuple[int, ...]:
    return versions.parse(_text(view, "libc.glibc") or "") or ()
