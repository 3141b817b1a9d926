"""Slurm's own grammars, written again for tests: the Extra constraint and the Features expression.

Extra as in Slurm's extra_constraints (24.11): one kind of child operator on a level, no operator in a key or value, a
missing key or a value of another type is false, numbers are compared as doubles.
"""

import re
from collections.abc import Collection, Mapping

_LEAF = re.compile(r"([^,&|<>=!()]+)(<=|>=|!=|<|>|=)([^,&|<>=!()]*)")


def extra_holds(text: str, data: Mapping[str, object]) -> bool:
    """Tell whether a node with ``data`` as its Extra passes; ValueError where Slurm refuses the text."""
    answer, end = _level(text, 0, data, 0)
    if end != len(text):
        raise ValueError(f"unbalanced at {end}: {text}")
    return answer


def _level(text: str, at: int, data: Mapping[str, object], depth: int) -> tuple[bool, int]:
    operator, answers, expecting = "", [], True
    while at < len(text) and text[at] != ")":
        if text[at] in "&,|":
            found = re.compile(r"[&,|]+").match(text, at)
            assert found is not None
            sign = "&" if found[0] == "," else found[0]
            if expecting or sign not in ("&", "|") or operator not in ("", sign):
                raise ValueError(f"operator {found[0]} at {at}: {text}")
            operator, at, expecting = sign, found.end(), True
            continue
        if not expecting:
            raise ValueError(f"no operator at {at}: {text}")
        if text[at] == "(":
            answer, at = _level(text, at + 1, data, depth + 1)
            if at >= len(text) or text[at] != ")":
                raise ValueError(f"unbalanced: {text}")
            at += 1
        else:
            leaf = _LEAF.match(text, at)
            if leaf is None:
                raise ValueError(f"no comparison at {at}: {text}")
            answer, at = _compare(data, *leaf.groups()), leaf.end()
        answers.append(answer)
        expecting = False
    if expecting:
        raise ValueError(f"nothing at {at}: {text}")
    return (any(answers) if operator == "|" else all(answers)), at


def _compare(data: Mapping[str, object], key: str, sign: str, value: str) -> bool:
    if key not in data:
        return False
    have = data[key]
    if isinstance(have, str):
        order = (have > value) - (have < value)
    elif isinstance(have, (int, float)):
        try:
            other = float(value)
        except ValueError:
            return False
        order = 0 if abs(have - other) < 0.00001 else (have > other) - (have < other)
    else:
        raise TypeError(f"{key} holds {have!r}")
    return {"=": order == 0, "!=": order != 0, ">": order > 0, ">=": order >= 0, "<": order < 0, "<=": order <= 0}[sign]


def features_hold(text: str, features: Collection[str]) -> bool:
    """Tell whether a node passes a --constraint of the forms a, a|b, a&(b|c); ValueError for another."""
    if not re.fullmatch(r"[A-Za-z0-9_.|&()-]+", text):
        raise ValueError(f"not a plain constraint: {text}")
    answers = []
    parts = text.split("&")
    for part in parts:
        inner = part
        if part.startswith("(") and part.endswith(")"):
            inner = part[1:-1]
        elif "|" in part and len(parts) > 1:
            raise ValueError(f"| beside & without parentheses: {text}")
        if "(" in inner or ")" in inner or not all(inner.split("|")):
            raise ValueError(f"nested or empty: {text}")
        answers.append(any(one in features for one in inner.split("|")))
    return all(answers)
