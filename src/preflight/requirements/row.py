"""The shapes that names, judges and evaluation share."""

from __future__ import annotations

from preflight.catalog.tables import SHIPPED, Tables
from preflight.facts.view import View
from preflight.requirements.kinds import Kind
from preflight.requirements.logic import negate
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MINOR_VERSION_POLICIES = ("accept", "warn", "reject")


class Answer(NamedTuple):
    """What a node answers to one predicate.

    ``truth``      True, False or None (could not be told).
    ``observed``   what the node has, short: "driver 550.54.15".
    ``statement``  the same as the rest of a sentence, where "the node has <observed>" does not say it well.
    ``reason``     why it could not be told, when ``truth`` is None.
    ``caveat``     what a True leaves out, when policy wants that said.
    ``remedy``     what to do, where the row's own remedy is not it.
    """

    truth: bool | None
    observed: str
    statement: str | None = None
    reason: str | None = None
    caveat: str | None = None
    remedy: str | None = None


class Ask(NamedTuple):
    """One predicate made ready for judging: its row, canonical operator (None for a bare name) and parsed value."""

    row: Row
    op: str | None
    asked: Any
    value: str
    negated: bool
    text: str
    cuda_minor: str = "warn"
    tables: Tables = SHIPPED

    def positive(self) -> Ask:
        """Return the predicate with its "!=" written as the negation that it is."""
        return self._replace(op="=", negated=True) if self.op == "!=" else self

    def holds(self, have: Any) -> bool | None:
        """Tell whether the predicate, negation left out, holds for one value of the node."""
        kind = self.row.kind
        return kind.truth(have) if self.op is None else kind.compare(self.op, self.asked, have)

    def signed(self, truth: bool | None) -> bool | None:
        """Return a truth with the predicate's negation applied."""
        return negate(truth) if self.negated else truth


class Row(NamedTuple):
    """One requirement name: everything that parsing, evaluating, publishing, compiling and the docs need of it.

    ``fact``        the path it reads; of a GPU's attribute "gpus.<attribute>".
    ``judge``       the function that answers an Ask from a View.
    ``scope``       "node" or "gpu".
    ``quantifier``  "one" value, "any" of several, "all" of the GPUs considered.
    ``extra``       key in the node's Extra JSON, None when it is not published (volatile, or a set of names).
    ``feature``     prefix of the node's Features, None when it is not published.
    ``words``       plain English: of a name or flag the sentence and its negation with {} for the value, else the
                    sentence's subject.
    ``also``        more subjects of facts that it reads.
    ``consumable``  users' processes can use it up (free space, free memory): a lack of it is never the node's fault.
    ``noun``        what the value is called in "driver 550.54.15"; ``absent`` what is said when it is known absent.
    """

    name: str
    kind: Kind
    fact: str
    judge: Callable[[Ask, View], Answer]
    scope: str
    quantifier: str
    extra: str | None
    feature: str | None
    help: str
    example: str
    noun: str
    absent: str
    words: tuple[str, ...]
    remedy: str
    also: tuple[str, ...] = ()
    consumable: bool = False

    @property
    def subject(self) -> str:
        """Return the subject of facts that the row reads."""
        return self.fact.partition(".")[0]
