"""The words that braces without quotes make of one, and how a variable's value without quotes is split, as in bash."""

from __future__ import annotations

import re

MOST_WORDS = 500
NESTED = 40
SPLIT, PLAIN, QUOTED = "split", "plain", "quoted"


class Unread(ValueError):
    """What cannot be known before a node runs it; one line."""


Pieces = list[tuple[str, str]]  # (text, how)
Tokens = list[tuple[str, str]]  # (character, how); an empty character keeps a quoted nothing


def tokens_of(pieces: Pieces) -> Tokens:
    return [(letter, how) for text, how in pieces for letter in (text or ("" if how == QUOTED else [])) or [""]]


def expanded(tokens: Tokens, depth: int = 0) -> list[Tokens]:
    """Return the words that braces without quotes make: {a,b} and {1..3}."""
    for at, (letter, how) in enumerate(tokens):
        if (letter, how) != ("{", PLAIN) or depth > NESTED:
            continue
        end, commas = _matching(tokens, at)
        if end is None:
            continue
        inner = tokens[at + 1 : end]
        if commas:
            cuts = [at, *commas, end]
            choices = [tokens[first + 1 : last] for first, last in zip(cuts, cuts[1:])]
        else:
            choices = [[(letter, PLAIN) for letter in word] for word in _sequence("".join(one for one, _ in inner))]
        if not choices:
            continue
        before, after = tokens[:at], expanded(tokens[end + 1 :], depth + 1)
        made = [[*before, *one, *rest] for choice in choices for one in expanded(choice, depth + 1) for rest in after]
        if len(made) > MOST_WORDS:
            raise Unread(f"its braces make more than {MOST_WORDS} words")
        return made
    return [tokens]


def _matching(tokens: Tokens, at: int) -> tuple[int | None, list[int]]:
    """Return where the brace at ``at`` is closed, and the commas between that are its own."""
    depth = 0
    commas: list[int] = []
    for place in range(at, len(tokens)):
        if tokens[place][1] != PLAIN:
            continue
        letter = tokens[place][0]
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            return place, commas
        if letter == "," and depth == 1:
            commas.append(place)
    return None, []


def _sequence(text: str) -> list[str]:
    """Return the words of "1..3", "01..10", "a..e" or with a step "0..8..2"; [] where it is none."""
    found = re.fullmatch(r"(-?[0-9]{1,9})\.\.(-?[0-9]{1,9})(?:\.\.(-?[0-9]{1,9}))?", text)
    letters = re.fullmatch(r"([A-Za-z])\.\.([A-Za-z])", text)
    if letters:
        first, last = ord(letters[1]), ord(letters[2])
        return [chr(one) for one in range(first, last + (1 if first <= last else -1), 1 if first <= last else -1)]
    if not found:
        return []
    first, last, step = int(found[1]), int(found[2]), abs(int(found[3] or 1)) or 1
    if abs(last - first) // step > MOST_WORDS:
        raise Unread(f"its braces make more than {MOST_WORDS} words")
    width = (
        max(len(found[1]), len(found[2])) if re.match(r"-?0[0-9]", found[1]) or re.match(r"-?0[0-9]", found[2]) else 0
    )
    each = range(first, last + (1 if first <= last else -1), step if first <= last else -step)
    return [f"{one:0{width}d}" for one in each]


def fields(tokens: Tokens) -> list[str]:
    """Return the words after splitting what a variable without quotes held; quotes keep an empty word."""
    fields: list[str] = []
    current: str | None = None
    for letter, how in tokens:
        if how == SPLIT and letter in (" ", "\t", "\n"):
            if current is not None:
                fields.append(current)
            current = None
        elif letter or how == QUOTED:
            current = (current or "") + letter
    return fields if current is None else [*fields, current]
