"""Expectations that held the last time, where a site has hundreds: judged again only when what they read has changed.

What a clause reads is known by its names: a fact, a subject, of GPUs what any requirement may ask of them. Clauses that
read the same stand together, with that value and the clauses of them that held. A clause that did not hold, or that
users can use up, is judged every time. A site with few rows has every clause in every report.
"""

from __future__ import annotations

import time

from preflight import __version__, jsonio
from preflight.checks.registry import SourcedRequirement
from preflight.files import read_json, tolerate, write_json
from preflight.policy.files import identity
from preflight.requirements import judges, names
from preflight.requirements.evaluate import consumable
from preflight.requirements.grammar import Clause, Requirement, parse
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from preflight.checks.finding import Finding
    from preflight.checks.run import Memo
    from preflight.facts.view import View
    from preflight.policy.model import Policy

# Of a GPU, what requirements ask; temperatures change with every run.
OF_A_GPU = frozenset(row.fact.partition(".")[2] for row in names.ROWS if row.subject == "gpus")
_WHOLE = ("index", "error", "mig", "mig_devices")


class Group(NamedTuple):
    """Clauses that read the same ``paths`` (facts or subjects): their ``value``, and the texts of those that held."""

    paths: tuple[str, ...]
    value: str
    texts: list[str]
    at: str


class Stored(NamedTuple):
    """What a file says of a policy's rows: what held, and the clauses to judge in any case; ``new``: nothing yet."""

    groups: tuple[Group, ...]
    rest: tuple[Clause, ...]
    new: bool


def stored(place: str, policy: Policy) -> Stored:
    """Return what the file at ``place`` says of ``policy``; where that is nothing, all rows are to be judged."""
    with tolerate((KeyError, TypeError, ValueError)):
        found = read_json(place, 16 << 20)
        if found is not None and found["key"] == _key(policy):
            groups = tuple(Group(tuple(paths), value, texts, at) for paths, value, texts, at in found["groups"])
            if groups:
                return Stored(groups, _clauses(found["rest"]), False)
    rows = dict.fromkeys(one.require for one in policy.expect if not one.partitions)
    return Stored((), _clauses(rows), True)


def _key(policy: Policy) -> list[Any]:
    return [__version__, policy.sha256, policy.catalog_rows, policy.cuda.minor_version_compatibility]


def _clauses(texts: Iterable[str]) -> tuple[Clause, ...]:
    return tuple(clause for text in texts for clause in parse(text).clauses)


class Standing:
    """What is known of the rows for one node in the file at ``place``; ``rest``: clauses to judge in any case.

    ``memo``: what was read and worked out before; ``known`` is what it knows the file by then.
    """

    def __init__(self, place: str, policy: Policy, memo: Memo | None = None) -> None:
        self._place, self._memo = place, memo
        self._key = _key(policy)
        self.known: tuple[Any, ...] = ()
        if memo is None:
            found = stored(place, policy)
        else:  # a file that is replaced after this look is read under the old name once, and anew the next time
            self.known = ("standing", *identity(place))
            found = memo.once(self.known, lambda: stored(place, policy))
        self.groups, self.rest, self._changed = list(found.groups), list(found.rest), found.new

    def subjects(self) -> Iterable[str]:
        """Return the subjects of facts that the clauses of `groups` read."""
        return {path.partition(".")[0] for group in self.groups for path in group.paths}

    def judge(self, view: View) -> None:
        """Move to `rest` the clauses of groups whose facts are not in ``view`` what they were."""
        still = [group for group in self.groups if self._value(view, group.paths) == group.value]
        if len(still) < len(self.groups):
            kept = {id(group) for group in still}
            for group in self.groups:
                if id(group) not in kept:
                    self.rest += _clauses(group.texts)
            self._changed, self.groups = True, still

    def _value(self, view: View, paths: tuple[str, ...]) -> str:
        """Return the `value`; worked out once for each answer of the facts that it is made of."""
        versions = [self._memo.versions.get(path.partition(".")[0]) for path in paths] if self._memo else [None]
        if self._memo is None or None in versions:
            return value(view, paths)
        return self._memo.once(("value", paths, *versions), lambda: value(view, paths))

    def asked(self) -> list[SourcedRequirement]:
        """Return what is to be judged in this run, each clause once."""
        once = {one.text: one for one in self.rest}
        return [SourcedRequirement(Requirement((one,)), "policy") for one in once.values()]

    def keep(self, view: View, findings: list[Finding]) -> None:
        """Remember which clauses hold now, where that is not known already; a full disk costs only time."""
        held = {one.expected for one in findings if one.check == "expectation" and one.status == "pass"}
        found: dict[tuple[str, ...], list[str]] = {}
        rest = []
        for text, clause in {one.text: one for one in self.rest}.items():
            if text in held and not consumable(clause):
                found.setdefault(reads(clause), []).append(text)
            else:
                rest.append(text)
        if not found and not self._changed:
            return
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        groups = [*self.groups, *(Group(paths, value(view, paths), texts, at) for paths, texts in found.items())]
        with tolerate(OSError):
            write_json(self._place, {"key": self._key, "groups": groups, "rest": rest})


def reads(clause: Clause) -> tuple[str, ...]:
    """Return what answers a clause: a fact ("kernel.release") where a name reads no more, else whole subjects."""
    found: dict[str, None] = {}
    for predicate in clause.predicates:
        row = names.find(predicate.name)
        if row is None:  # the grammar lets no unknown name through
            raise ValueError(predicate.name)
        found.update(dict.fromkeys((row.fact,) if row.judge is judges.one else (row.subject, *row.also)))
    return tuple(sorted(found))


def value(view: View, paths: tuple[str, ...]) -> str:
    """Return as text what the facts at ``paths`` are, and why what could not be told was not."""
    return jsonio.dumps([_value(view, path) for path in paths])


def _value(view: View, path: str) -> Any:
    subject, _, key = path.partition(".")
    why = [[name, view.unknown[name]] for name in sorted(view.unknown) if name.split(".")[0] == subject]
    keys = view.facts.get(subject)
    if keys is None or key:
        return [None if keys is None else keys.get(key, "not read"), why]
    if subject != "gpus":
        return [keys, why]
    return [[_of_gpu(device) for device in keys.get("devices") or ()], why]


def _of_gpu(device: dict[str, Any]) -> list[Any]:
    errors = device.get("errors") or {}
    return [[name, device.get(name), errors.get(name)] for name in sorted({*OF_A_GPU, *_WHOLE})]
