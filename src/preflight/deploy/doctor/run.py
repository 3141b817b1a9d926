"""All subjects in order, each kept apart: one that breaks is named, and the others go on."""

from collections.abc import Callable, Iterator

from preflight.deploy.doctor import (
    agent,
    dry_run,
    hook_keys,
    places,
    placing,
    plugstack,
    policy_state,
    recovery,
    slurm_conf,
    versions,
)
from preflight.deploy.doctor.host import Host
from preflight.deploy.doctor.result import Result, unknown

SUBJECTS: tuple[tuple[str, Callable[[Host], Iterator[Result]]], ...] = (
    ("Policy", policy_state.look),
    ("Slurm", slurm_conf.look),
    ("Hooks in slurm.conf", hook_keys.look),
    ("Plugin", plugstack.look),
    ("Placement", placing.look),
    ("Files", places.look),
    ("Versions", versions.look),
    ("Recovery", recovery.look),
    ("Agent", agent.look),
    ("Dry run", dry_run.look),
)


def examine(host: Host, without: frozenset[str] = frozenset()) -> list[tuple[str, list[Result]]]:
    """Return every subject's results under its title, but for the titles ``without``; never raises."""
    return [(title, _results(title, look, host)) for title, look in SUBJECTS if title not in without]


def _results(title: str, look: Callable[[Host], Iterator[Result]], host: Host) -> list[Result]:
    found: list[Result] = []
    try:
        found.extend(_at_the_controller(one, host) for one in look(host))
    except Exception as error:  # a bug of ours costs one subject, and is said
        text = f"the doctor itself failed here: {type(error).__name__}: {error}"
        found.append(unknown(title.lower(), text, fix="preflight --debug doctor shows where; please report it"))
    return found


def _at_the_controller(result: Result, host: Host) -> Result:
    """Return the result with a remedy where it lasts: a configless host's copy is slurmd's, which writes it anew."""
    copy = host.conf.copy
    if not copy or not result.fix or not (f"{copy}/" in result.fix or result.where.startswith(f"{copy}/")):
        return result
    there = host.conf.at_controller
    file = result.where.partition(":")[0].replace(copy, there, 1) if result.where.startswith(f"{copy}/") else there
    fix = result.fix.replace(f"{copy}/", f"{there}/").replace("write there:", f"write into {file}:")
    again = "" if "scontrol reconfigure" in fix else "; then: scontrol reconfigure"
    return result._replace(fix=f"on the controller's host ({copy} is slurmd's copy): {fix}{again}")
