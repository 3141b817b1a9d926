"""What `preflight sbatch` does before it becomes sbatch: ask the cluster, plan, and say what to add."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress

from preflight.cli.become import real_sbatch
from preflight.policy.load import load_policy
from preflight.policy.model import Policy
from preflight.slurm.at_once import Begun
from preflight.slurm.cluster import slurm_for
from preflight.slurm.commands import Slurm, SlurmTimeout
from preflight.slurm.ping import awaited
from preflight.submit.options_help import plugin_rows
from preflight.submit.options_table import Row
from preflight.submit.plan.ask import default_partition, read_cluster, with_shares
from preflight.submit.plan.state import ClusterState
from preflight.submit.site import Site, ask_site
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from preflight.submit.script import Submission


PING_AFTER_S = 0.2  # a cluster that answers by then has a controller


class Connected(NamedTuple):
    """The cluster that sbatch will submit to: how it places, and its nodes.

    ``default``: whether its default partition was asked for.
    """

    policy: Policy
    site: Site
    state: ClusterState
    slurm: Slurm
    default: bool


class Prepared(NamedTuple):
    """``additions``: options for each component, ``added``: a line on them. ``lines``: what else to say. ``fits``:
    whether enough nodes fit now."""

    additions: tuple[dict[str, str], ...]
    added: tuple[str, ...]
    lines: tuple[str, ...]
    fits: bool


def connect(deadline: float, words: Sequence[str]) -> Connected:
    """Ask the cluster, all at once, and whether a controller is there where that takes longer than a cluster does.

    ``deadline``: a time.monotonic() instant. ``words``: sbatch's. What planning needs is imported while Slurm answers.
    Raises NoController, other SlurmErrors, PolicyError.
    """
    default = not _names_partition(words)
    policy = load_policy(None)
    slurm, sbatch = slurm_for(policy, deadline), real_sbatch(os.environ.get("PATH", os.defpath))
    begun = Begun(
        lambda: ask_site(slurm, sbatch), lambda: read_cluster(slurm, policy.publish.via, default), _import_planning
    )
    reached = slurm if begun.answered(2, time.monotonic() + PING_AFTER_S) else awaited(slurm)
    try:
        site, state, _ = begun.answers(reached.deadline)
    except TimeoutError:
        raise SlurmTimeout("Slurm's commands did not end in time") from None
    return Connected(policy, site, state, reached, default)


def _names_partition(words: Sequence[str]) -> bool:
    """Return whether the command line or the environment seems to name a partition: then the default is not asked for.

    Only a guess, which `prepare` proves once sbatch's own options are known.
    """
    return "SBATCH_PARTITION" in os.environ or any(word.startswith(("-p", "--part")) for word in words)


def _import_planning() -> None:
    """Import what `prepare` and its caller use: meanwhile Slurm's commands run."""
    with suppress(ImportError):  # a script is then not read, and its plan says so
        import tree_sitter_bash  # noqa: F401
    import preflight.submit.additions
    import preflight.submit.infer
    import preflight.submit.notices
    import preflight.submit.plan.make  # noqa: F401


def plugins_here(deadline: float) -> tuple[Row, ...]:
    """Return the options of the plugins of sbatch's, without a controller; raises SlurmError, PolicyError."""
    directory, name = os.path.split(real_sbatch(os.environ.get("PATH", os.defpath)))
    return plugin_rows(slurm_for(load_policy(None), deadline)._replace(bin=directory).run(name, "--help"))


def prepare(submission: Submission, infer: str, cluster: Connected, command: str) -> Prepared:
    """Plan the submission: what to add so that its components are placed by their needs, and what to say.

    ``command`` is what the user may call to read more.
    Raises PlanError and OptionError; whatever else a plan may raise is its fault.
    """
    from preflight.submit.additions import added, elsewhere
    from preflight.submit.infer import Inference
    from preflight.submit.infer import infer as read_needs
    from preflight.submit.notices import additions, shortfalls
    from preflight.submit.options_asked import asked
    from preflight.submit.plan.make import plan
    from preflight.submit.script_file import is_anothers

    cwd = os.getcwd()
    if infer == "off" or is_anothers(submission.script):
        needs = Inference((), (), ())
    else:
        home = os.path.expanduser("~")
        needs = read_needs(submission.text, submission.components, environment=os.environ, cwd=cwd, home=home)
    state = cluster.state
    if not cluster.default and not all(asked(one, cwd).partition for one in submission.components):
        state = state._replace(default=default_partition(cluster.slurm))
    state = with_shares(cluster.slurm, state, submission.components, cwd)
    planned = plan(submission, needs, state, cluster.policy, infer, cwd)
    more = added(planned, cluster.site, cluster.site.cluster)
    lines = (*more.remarks, *shortfalls(planned, command))
    # Nodes of another cluster, or those that a reservation keeps in maintenance, were not judged: nothing to refuse by.
    unjudged = any(elsewhere(one, cluster.site.cluster) or one.wants.asked.reservation for one in planned.parts)
    return Prepared(more.components, tuple(additions(planned, more.components)), lines, planned.enough or unjudged)
