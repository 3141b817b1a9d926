"""NVIDIA_REQUIRE_*: what an image asks of driver and GPU, in NVIDIA's own grammar.

    value   := term *( SPACE term )      any term may hold
    term    := factor *( "," factor )    all factors must hold
    factor  := name op literal           name: cuda driver arch brand; op: = != < <= > >=

Every NVIDIA_REQUIRE_<X> must hold. Source: NVIDIA/libnvidia-container src/cli/dsl.c and NVIDIA/nvidia-container-toolkit
internal/config/image. Where those two differ, the weaker reading is taken and the difference is told.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PREFIX = "NVIDIA_REQUIRE_"
NAMES = ("cuda", "driver", "arch", "brand")
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
MAX_VALUE = 16_384
MAX_FACTORS = 2048
DISABLE = "NVIDIA_DISABLE_REQUIRE"
_FACTOR = re.compile(r"([^<>=!]+)([<>=!]+)(.*)", re.DOTALL)
# What Go's strconv.ParseBool takes for true; everything else leaves the checks on.
_TRUE = ("1", "t", "T", "TRUE", "true", "True")


class Factor(NamedTuple):
    """One comparison: ``name`` of NAMES, ``op`` of OPERATORS, ``value`` as written."""

    name: str
    op: str
    value: str

    def text(self) -> str:
        """Return the factor as it is written."""
        return f"{self.name}{self.op}{self.value}"


Term = tuple[Factor, ...]


class Condition(NamedTuple):
    """One variable, read. ``terms``: one of them must hold; an empty term always holds, no terms ask nothing.

    ``problems``: what is no factor, one line each. Such a factor is taken to hold.
    """

    variable: str
    value: str
    terms: tuple[Term, ...]
    problems: tuple[str, ...]


class Requires(NamedTuple):
    """All variables of an image. ``conditions`` must all hold; ``notes`` say where NVIDIA's tools differ."""

    conditions: tuple[Condition, ...]
    disabled: bool
    notes: tuple[str, ...]


def parse(variable: str, value: str) -> Condition:
    """Read one value. Never raises: what is malformed is named in ``problems``."""
    problems: dict[str, None] = {}
    terms: dict[Term, None] = {}
    left = MAX_FACTORS
    if len(value) > MAX_VALUE:
        return Condition(variable, value, (), (f"longer than {MAX_VALUE} characters: not read",))
    for position, text in enumerate(part for part in value.split(" ") if part):
        parts = [part for part in text.split(",") if part]
        left -= len(parts)
        if left < 0:
            return Condition(variable, value, (), (f"more than {MAX_FACTORS} comparisons: not read",))
        if not parts and position:
            continue  # "," alone: as the first term the C code lets everything pass, later it adds nothing
        term: dict[Factor, None] = {}
        for part in parts:
            found = _factor(part)
            if isinstance(found, Factor):
                term[found] = None
            else:
                problems[found] = None
        terms[tuple(term)] = None
    return Condition(variable, value, tuple(terms), tuple(problems))


def _factor(text: str) -> Factor | str:
    """Return a factor, or what is wrong with it."""
    matched = _FACTOR.fullmatch(text)
    if not matched:
        return f'"{text}" is no comparison'
    name, op, value = matched[1].lower(), matched[2], matched[3]
    if op not in OPERATORS:
        return f'"{text}": {op} is none of {" ".join(OPERATORS)}'
    if name not in NAMES:
        return f'"{text}": {matched[1]} is none of {" ".join(NAMES)}'
    if not value:
        return f'"{text}": the value is missing'
    if name == "brand":
        return Factor(name, op, value.lower()) if op in ("=", "!=") else f'"{text}": brand takes only = and !='
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){0,7}", value):
        return f'"{text}": {value} is no version'
    return Factor(name, op, value)


def read(environment: dict[str, str]) -> Requires:
    """Return what the variables of an image ask, as nvidia-container-cli and the container toolkit read them."""
    notes: list[str] = []
    conditions = [
        parse(name, value)
        for name, value in sorted(environment.items())
        if name.startswith(PREFIX) and len(name) > len(PREFIX) and not name.startswith(f"{PREFIX}JETPACK")
    ]
    legacy = _legacy(environment, notes)
    if legacy is not None:
        conditions.append(legacy)
    for condition in conditions:
        notes += [
            f"{condition.variable}: {problem}; nvidia-container-cli refuses that (invalid expression), "
            "the container toolkit skips it"
            for problem in condition.problems
        ]
    return Requires(tuple(conditions), _disabled(environment, notes), tuple(notes))


def _legacy(environment: dict[str, str], notes: list[str]) -> Condition | None:
    """Return the condition of an image that says only CUDA_VERSION: cuda>=major.minor."""
    value = environment.get("CUDA_VERSION")
    if not value or f"{PREFIX}CUDA" in environment:
        return None
    found = re.match(r"v?(\d{1,4})(?:\.(\d{1,4}))?(?![\d])", value)
    if not found:
        notes.append(f'CUDA_VERSION: "{value}" is no version')
        return None
    return parse("CUDA_VERSION", f"cuda>={found[1]}.{found[2] or 0}")


def _disabled(environment: dict[str, str], notes: list[str]) -> bool:
    """Tell whether every tool leaves the checks out; a note says where they differ."""
    value = environment.get(DISABLE, "")
    if not value:
        return False
    toolkit = value in _TRUE
    if not toolkit:
        notes.append(
            f'{DISABLE}="{value}": enroot takes any value as yes and checks nothing; '
            "the container toolkit takes it as no and checks"
        )
    return toolkit
