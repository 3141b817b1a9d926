"""What is added to sbatch's command line so that a job is placed by what it needs."""

from collections.abc import Sequence

from preflight.requirements.grammar import RequirementError, parse
from preflight.requirements.summary import NONE as NO_CODE
from preflight.requirements.summary import write as summary
from preflight.submit.plan import Plan
from preflight.submit.plan.model import Part
from preflight.submit.site import Site
from preflight.tuples import NamedTuple

CODE = "gpu-code"  # the plugin's option for the summary of the job's environment
# Slurm takes no empty --extra, nor the plugin an empty --require: what every node fits.
NOTHING = {"require": "cpus>=1", "extra": "cpus>=1", "comment": "", CODE: NO_CODE}
COMMENT_LIMIT = 1024  # bytes that slurmctld takes (docs/slurm.md)


class Added(NamedTuple):
    """Options to add to each component's, long name to value, and what is worth a line."""

    components: tuple[dict[str, str], ...]
    remarks: tuple[str, ...]


def elsewhere(part: Part, cluster: str) -> bool:
    """Return whether a component goes to another cluster than ``cluster``, whose nodes are not known here."""
    return part.wants.asked.clusters not in ("", cluster)


def added(plan: Plan, site: Site, cluster: str = "") -> Added:
    """Return the options that make what ``plan`` says bind.

    Where Preflight's filter at submit places by --require, nothing but needs that were inferred is added. Where its
    plugin is missing those go into the comment, from which the prolog takes them. ``cluster``: the name of this one.
    """
    components: list[dict[str, str]] = []
    remarks: list[str] = []
    carried: set[str] = set()
    for part in plan.parts:
        options = _of_needs(part, site, remarks) | _of_code(part, site)
        if elsewhere(part, cluster):
            remarks.append("another cluster's nodes are not known here: the job is placed by Slurm alone")
        elif not (site.filtered and site.takes_require):
            options |= _of_placement(part, remarks)
        # These stay from one component to the next: what was added to one is taken back from the others.
        own = part.wants.asked
        for name, mine in (("require", own.require), ("extra", own.extra), ("comment", own.comment), (CODE, "")):
            if name in options:
                carried.add(name)
            elif name in carried:
                options[name] = mine or NOTHING[name]
        components.append(options)
    return Added(tuple(components), tuple(dict.fromkeys(remarks)))


def _of_needs(part: Part, site: Site, remarks: list[str]) -> dict[str, str]:
    """Return what makes inferred needs bind, where they are to."""
    inferred = [need.clause.text for need in part.wants.needs if need.source == "inferred"]
    if not inferred:
        return {}
    if site.takes_require:
        return {"require": joined(part.wants.asked.require, inferred)}
    return _by_comment(part.wants.asked.comment, inferred, remarks)


def _of_code(part: Part, site: Site) -> dict[str, str]:
    """Return the summary of what the job's environment has GPU code for: it asks nothing, the report tells by it why
    the job fails on other GPUs. What binds is asked anyway; a driver's CUDA counts where it is a package's code that
    asks it."""
    if not site.takes_code:
        return {}
    needs = [one for one in part.wants.inferred if one.package or one.clause.predicates[0].name == "gpu.code"]
    text = summary((one.package, one.clause) for one in needs)
    return {CODE: text} if text else {}


def _of_placement(part: Part, remarks: list[str]) -> dict[str, str]:
    placement = part.placement
    if placement is None:
        return {}
    if placement.problem:
        remarks.append(f"the prolog verifies all of it: {placement.problem}")
    own = part.wants.asked
    mine = own.extra if placement.option == "--extra" else own.constraint
    if not placement.value or placement.value == mine:
        return {}
    return {placement.option.removeprefix("--"): placement.value}


def joined(own: str, clauses: Sequence[str]) -> str:
    """Return a requirement and further clauses as one, each clause once."""
    try:
        present = {clause.text for clause in parse(own).clauses} if own else set()
    except RequirementError:  # sbatch refuses it, and says why
        return own
    return ", ".join([*([own] if own else []), *(one for one in clauses if one not in present)])


def _by_comment(comment: str, clauses: Sequence[str], remarks: list[str]) -> dict[str, str]:
    text = f"require: {', '.join(clauses)}"
    whole = f"{comment}; {text}" if comment else text
    if len(whole.encode("utf-8", "surrogateescape")) > COMMENT_LIMIT:
        remarks.append("the comment has no room for what the script needs: the prolog will not verify it")
        return {}
    return {"comment": whole}
