"""What a node is, told to Slurm: its Extra JSON, or its Features. One read, and a write only where they differ."""

from __future__ import annotations

from preflight import jsonio
from preflight.facts.view import View
from preflight.requirements import encode
from preflight.slurm.commands import Slurm, SlurmError
from preflight.slurm.conf_file import CONF, in_file, in_lines
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.policy.model import Policy

NONE = ("", "(null)", "none", "N/A")
WIDTH = 32768  # no field of Slurm's is cut at this width that could be a node's


class Told(NamedTuple):
    """What was published, or would be. ``via`` "extra" or "features"; ``before`` and ``after`` as Slurm has them."""

    via: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Return whether Slurm has (or had) something else."""
        return self.before != self.after


def uses_extra(slurm: Slurm) -> bool:
    """Return whether SchedulerParameters has extra_constraints: by slurm.conf here, else by the controller.

    Raises SlurmError where neither can be asked.
    """
    said = in_file(slurm.conf or CONF, "SchedulerParameters")
    if said is None:
        said = in_lines(slurm.run("scontrol", "show", "config").splitlines(), "SchedulerParameters")
    return "extra_constraints" in said.lower().replace(" ", "").split(",")


def publish(slurm: Slurm, node: str, view: View, policy: Policy, via: str = "auto", dry_run: bool = False) -> Told:
    """Tell Slurm the facts of ``node``; every feature and every key of its Extra that is not ours is kept.

    ``via`` "auto" asks the controller's configuration. Raises SlurmError; nothing was written then.
    """
    if via == "auto":
        via = "extra" if uses_extra(slurm) else "features"
    minor, tables = policy.cuda.minor_version_compatibility, policy.tables()
    if via == "extra":
        told = _merge_extra(_read_extra(slurm, node), encode.extra_of(view, minor, tables), node)
    else:
        told = _merge_features(_read_features(slurm, node), encode.features_of(view, minor, tables))
    if told.changed and not dry_run:
        names = ("Extra",) if via == "extra" else ("AvailableFeatures", "ActiveFeatures")
        slurm.run("scontrol", "update", f"NodeName={node}", *(f"{name}={told.after}" for name in names))
    return told


def _merge_extra(before: str, ours: dict[str, Any], node: str) -> Told:
    """Return the Extra with our keys made anew; raises SlurmError where it holds no JSON object."""
    kept: Any = {}
    if before:
        try:
            kept = jsonio.loads(before)
        except (ValueError, RecursionError):
            kept = None
        if not isinstance(kept, dict):
            raise SlurmError(
                f"the Extra of {node} is no JSON object: clear it with scontrol update Extra=, or use features"
            )
    merged = {key: value for key, value in kept.items() if not encode.is_ours(key)} | ours
    if merged == kept:
        return Told("extra", before, before)
    try:
        return Told("extra", before, jsonio.dumps(merged))
    except ValueError:  # 1e999, which JSON's readers take for infinity
        raise SlurmError(f"the Extra of {node} holds a number too large to be kept: make it smaller") from None


def _merge_features(before: tuple[str, str], ours: list[str]) -> Told:
    """Return the features with ours made anew; raises SlurmError where a feature of others is switched off."""
    available, active = (_words(one) for one in before)
    mine = [one for one in available if one.startswith(encode.PREFIXES)]
    kept = [one for one in available if not one.startswith(encode.PREFIXES)]
    as_was = ",".join(available)
    inactive = [one for one in kept if one not in active]
    if sorted(mine) == ours and all(one in active for one in mine):
        return Told("features", as_was, as_was)
    if inactive:
        # Features that the site switches (KNL modes, node_features plugins) are not ours to activate.
        raise SlurmError(f"features {','.join(inactive)} are available but not active here: publish by Extra instead")
    return Told("features", as_was if sorted(mine) != ours else "", ",".join([*kept, *ours]))


def _words(text: str) -> list[str]:
    return [] if text in NONE else [word for word in text.split(",") if word]


def _read_features(slurm: Slurm, node: str) -> tuple[str, str]:
    """Return the available and the active features."""
    lines = slurm.run("sinfo", "-h", "-N", "-n", node, "-o", "%f %b").splitlines()
    if not lines:
        raise SlurmError(f"Slurm does not know node {node}")
    available, _, active = lines[0].strip().partition(" ")
    return available, active.strip()


def _read_extra(slurm: Slurm, node: str) -> str:
    lines = slurm.run("sinfo", "-h", "-N", "-n", node, "-O", f"Extra:{WIDTH}").splitlines()
    if not lines:
        raise SlurmError(f"Slurm does not know node {node}")
    text = lines[0].strip()
    return "" if text in NONE else text


def cluster_features(slurm: Slurm) -> list[str]:
    """Return all features that nodes of the cluster have, sorted; raises SlurmError."""
    found: set[str] = set()
    for line in slurm.run("sinfo", "-h", "-o", "%f").splitlines():
        found.update(_words(line.strip()))
    return sorted(found)
