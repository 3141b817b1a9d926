"""Which nodes a row of the policy is for.

    selector := chain ("||" chain)*        one of them selects the node
    chain    := term ("&&" term)*          all of them do
    term     := "!" term | "/regex/" | item ("," item)*
    item     := a host list such as gpu[001-064], or a glob with * or ?

A regular expression is looked for anywhere in the node's name. "" selects every node.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from preflight.hostlist import HostlistError, check, contains
from preflight.tuples import NamedTuple

MOST = 8192  # characters


class SelectorError(ValueError):
    """A text that selects no nodes; one line."""


class Term(NamedTuple):
    """One term: (kind, text) of its items, one of which must match; a kind is "list", "glob" or "regex"."""

    texts: tuple[tuple[str, str], ...]
    negated: bool = False


Selector = tuple[tuple[Term, ...], ...]


def parse_selector(text: str) -> Selector:
    """Return the chains of ``text``, () for ""; raises SelectorError."""
    if len(text) > MOST:
        raise SelectorError(f"no selector of nodes: longer than {MOST} characters")
    if not text.strip():
        return ()
    return tuple(tuple(_term(part, text) for part in chain) for chain in _chains(text))


def selects(text: str, node: str) -> bool:
    """Return whether the node is among those of a selector; raises SelectorError."""
    chains = parse_selector(text)
    return not chains or any(all(_holds(term, node) for term in chain) for chain in chains)


def _holds(term: Term, node: str) -> bool:
    return any(_matches(kind, one, node) for kind, one in term.texts) is not term.negated


def _matches(kind: str, text: str, node: str) -> bool:
    if kind == "regex":
        return re.search(text, node) is not None
    return fnmatchcase(node, text) if kind == "glob" else contains(text, node)


def _chains(text: str) -> list[list[str]]:
    """Split at "||" and "&&", which a regular expression between slashes may hold."""
    chains, term, inside = [[""]], "", False
    at = 0
    while at < len(text):
        if text[at] == "\\" and inside:
            term, at = term + text[at : at + 2], at + 2
            continue
        pair = text[at : at + 2]
        if not inside and pair in ("||", "&&"):
            chains[-1][-1], term, at = term, "", at + 2
            if pair == "||":
                chains.append([""])
            else:
                chains[-1].append("")
            continue
        inside = not inside if text[at] == "/" else inside
        term, at = term + text[at], at + 1
    if inside:
        raise SelectorError(f"no selector of nodes: {text!r:.60} has a / without its partner")
    chains[-1][-1] = term
    return chains


def _term(part: str, whole: str) -> Term:
    text, negated = part.strip(), False
    while text.startswith("!"):
        text, negated = text[1:].strip(), not negated
    if not text:
        raise SelectorError(f"no selector of nodes: {whole!r:.60} has nothing between or behind its signs")
    if text.startswith("/"):
        return Term((("regex", _regex(text)),), negated)
    return Term(tuple(_item(one) for one in _items(text)), negated)


def _regex(text: str) -> str:
    inside = text[1:-1]
    if not text.endswith("/") or not inside:
        raise SelectorError(f"no selector of nodes: {text!r:.60} is no regular expression between two slashes")
    try:
        re.compile(inside)
    except (re.error, RecursionError, OverflowError) as error:
        raise SelectorError(f"no selector of nodes: {text!r:.60}: {error}") from error
    return inside


def _items(text: str) -> list[str]:
    """Split at the commas that stand in no bracket."""
    items, depth = [""], 0
    for letter in text:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and depth <= 0:
            items.append("")
        else:
            items[-1] += letter
    return [one.strip() for one in items if one.strip()]


def _item(text: str) -> tuple[str, str]:
    if not set(text) & set("*?"):
        try:
            check(text)
        except HostlistError as error:
            raise SelectorError(str(error)) from error
        return "list", text
    if re.search(r"\[[^]]*(\d\d-|-\d\d|,)[^]]*\]", text):
        raise SelectorError(
            f"no selector of nodes: beside * or ? the brackets in {text!r:.60} are one character, no range of numbers"
        )
    return "glob", text
