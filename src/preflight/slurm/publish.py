"""What a node is, told to Slurm: its Extra JSON, or its Features. One read, and a write only where they differ."""

from __future__ import annotations

from preflight import jsonio
from preflight.facts.view import View
from preflight.requirements import encode
from preflight.requirements.decode import is_published, published_by_features
from preflight.slurm.commands import Slurm, SlurmError, lines
from preflight.slurm.conf_file import CONF, in_file, in_lines
from preflight.slurm.fields import ask
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from preflight.policy.model import Policy

NONE = ("", "(null)", "none", "N/A")
BY_EXTRA: tuple[str, ...] = ("Extra",)
BY_FEATURES: tuple[str, ...] = ("AvailableFeatures", "ActiveFeatures")


class UnknownNode(SlurmError):
    """Slurm has no node of that name."""


class Publication(NamedTuple):
    """What was published, or would be. ``via`` "extra" or "features"; ``before`` and ``after`` as Slurm has them.

    ``taken_back``: what had been published the other way is not there any more.
    """

    via: str
    before: str
    after: str
    taken_back: bool = False

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
        said = in_lines(lines(slurm.run("scontrol", "show", "config")), "SchedulerParameters")
    return "extra_constraints" in said.lower().replace(" ", "").split(",")


def publish(
    slurm: Slurm, node: str, view: View, policy: Policy, via: str = "auto", dry_run: bool = False
) -> Publication:
    """Tell Slurm the facts of ``node``; every feature and every key of its Extra that is not ours is kept.

    ``via`` "auto" asks the controller's configuration. What was published the other way before is taken back: it would
    grow old beside this. Raises SlurmError; nothing was written then.
    """
    if via == "auto":
        via = "extra" if uses_extra(slurm) else "features"
    minor, tables = policy.cuda.minor_version_compatibility, policy.tables()
    extra, *features = _read(slurm, node)
    if via == "extra":
        told = _merge_extra(extra, encode.extra_of(view, minor, tables), node)
        others = without_features(*features)
        names, other = BY_EXTRA, BY_FEATURES
    else:
        told = _merge_features(features, encode.features_of(view, minor, tables))
        others = without_extra(extra)
        names, other = BY_FEATURES, BY_EXTRA
    written = [f"{name}={told.after}" for name in names if told.changed]
    written += [f"{name}={others}" for name in other if others is not None]
    if written and not dry_run:
        slurm.run("scontrol", "update", f"NodeName={node}", *written)
    return told._replace(taken_back=others is not None)


def clear(slurm: Slurm, node: str, dry_run: bool = False) -> Publication:
    """Take back all that Preflight published of ``node``, by whichever way; what others put there is kept.

    ``via`` of the answer is how it was published, "" where nothing was. Raises SlurmError; nothing was written then.
    """
    extra, available, active = _read(slurm, node)
    written, via, before, after = [], "", "", ""
    kept = without_extra(extra)
    if kept is not None:
        written, via, before, after = [f"Extra={kept}"], "extra", extra, kept
    if published_by_features(_words(available)):
        features = without_features(available, active)
        if features is None:
            raise SlurmError(
                f"features of {node} are available but not active: take those of Preflight out by hand, "
                f"scontrol update NodeName={node} AvailableFeatures=…"
            )
        written += [f"{name}={features}" for name in BY_FEATURES]
        via, before, after = ("both" if via else "features"), available, features
    if written and not dry_run:
        slurm.run("scontrol", "update", f"NodeName={node}", *written)
    return Publication(via, before, after)


def _read(slurm: Slurm, node: str) -> tuple[str, str, str]:
    """Return the node's Extra, its available and its active features, as Slurm has them."""
    rows = ask(slurm, "sinfo", ("-N", "-n", node), ("Extra", "Features", "features_act"))
    if not rows:
        raise UnknownNode(f"Slurm does not know node {node}")
    extra, available, active = (one.strip() for one in rows[0])
    return "" if extra in NONE else extra, available, active


def without_extra(extra: str) -> str | None:
    """Return an Extra without what Preflight published there, "" where nothing else is; None where nothing of it is."""
    try:
        kept = jsonio.loads(extra) if extra.startswith("{") else None
    except ValueError:
        return None
    if not isinstance(kept, dict) or not is_published(kept):
        return None
    others = {key: value for key, value in kept.items() if not encode.is_ours(key)}
    try:
        return jsonio.dumps(others) if others else ""
    except ValueError:
        return None


def without_features(available: str, active: str) -> str | None:
    """Return the features without those that Preflight published; None where there are none.

    None too where a feature of others is switched off: those are the site's to activate.
    """
    words, on = _words(available), _words(active)
    if not published_by_features(words):
        return None
    kept = [one for one in words if not one.startswith(encode.PREFIXES)]
    return None if any(one not in on for one in kept) else ",".join(kept)


def _merge_extra(before: str, ours: dict[str, Any], node: str) -> Publication:
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
        return Publication("extra", before, before)
    try:
        return Publication("extra", before, jsonio.dumps(merged))
    except ValueError:  # 1e999, which JSON's readers take for infinity
        raise SlurmError(f"the Extra of {node} holds a number too large to be kept: make it smaller") from None


def _merge_features(before: list[str], ours: list[str]) -> Publication:
    """Return the features with ours made anew; raises SlurmError where a feature of others is switched off."""
    available, active = (_words(one) for one in before)
    mine = [one for one in available if one.startswith(encode.PREFIXES)]
    kept = [one for one in available if not one.startswith(encode.PREFIXES)]
    as_was = ",".join(available)
    inactive = [one for one in kept if one not in active]
    if sorted(mine) == ours and all(one in active for one in mine):
        return Publication("features", as_was, as_was)
    if inactive:
        # Features that the site switches (KNL modes, node_features plugins) are not ours to activate.
        raise SlurmError(f"features {','.join(inactive)} are available but not active here: publish by Extra instead")
    return Publication("features", as_was if sorted(mine) != ours else "", ",".join([*kept, *ours]))


def _words(text: str) -> list[str]:
    return [] if text in NONE else [word for word in text.split(",") if word]


def cluster_features(slurm: Slurm) -> list[str]:
    """Return all features that nodes of the cluster have, sorted; raises SlurmError."""
    found: set[str] = set()
    for line in lines(slurm.run("sinfo", "-h", "-o", "%f")):
        found.update(_words(line.strip()))
    return sorted(found)
