"""A job that was sent away: whether a node that is left can take it, by what nodes publish."""

from preflight.hostlist import folded
from preflight.submit.why.case import Case
from preflight.submit.why.model import Candidates, Step, away
from preflight.submit.why.words import listed

NO_NODE_LEFT = "no-node-left"


def hopeless(case: Case) -> str:
    """Return why no node that is left can take the job, as a sentence; "" where one can, or it is not known."""
    left = case.evidence.left
    if left is None:
        return ""
    possible = {*left.fit, *left.away, *left.untold}
    if len(possible) >= left.needed:
        return ""
    if possible:
        return f" It asks for {left.needed} nodes, and of those left only {folded(possible)} can still fit."
    lacking = sorted({name for _, nodes in left.misfit for name in nodes})
    if not lacking:
        return " No node of its partition is left."
    if len(lacking) == 1:
        state = _state(case, lacking[0])
        but = f"; it is {state} and" if state else ", and"
        return f" {lacking[0]} is the only node left{but} does not fit ({left.misfit[0][0]})."
    return f" None of the nodes left fits: {listed([f'{folded(set(nodes))} ({what})' for what, nodes in left.misfit])}."


def only_away(case: Case) -> tuple[str, ...]:
    """Return the nodes it waits for: those of the nodes left that fit, where Slurm starts no job now; () else."""
    left: Candidates | None = case.evidence.left
    if left is None or len({*left.fit, *left.untold}) >= left.needed or hopeless(case):
        return ()
    return left.away


def waits_for(case: Case, nodes: tuple[str, ...]) -> str:
    """Return which nodes it waits for and what is with them, as a sentence."""
    told = [f"{name} ({_state(case, name) or 'away'})" for name in nodes]
    return f" Of the nodes left only {listed(told)} would fit: it waits for {'it' if len(nodes) == 1 else 'them'}."


def wait_step(nodes: tuple[str, ...]) -> Step:
    """Return how to see what is with the nodes that it waits for."""
    return Step("Nothing to do but wait, or ask the admins when they come back:",
                (f"scontrol show node {folded(set(nodes))}",))  # fmt: skip


def ask_anew(case: Case) -> Step:
    """Return how to ask for what can be met: the requirement and what was set for it cannot be changed in place."""
    return Step("Cancel it, see which nodes fit, and submit it again with what can be met:",
                (f"scancel {case.address}", "preflight plan SCRIPT", "sbatch --require=… SCRIPT"))  # fmt: skip


def _state(case: Case, name: str) -> str:
    """Return "drained", "down" …, "" where jobs start there."""
    node = case.evidence.nodes.get(name)
    if node is None or not away(node):
        return ""
    flags = "+".join(node.state).lower()
    return "down" if "down" in flags else "drained" if "drain" in flags else flags
