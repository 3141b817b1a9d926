"""How a node answers `module`: would `module load` find it, by the rules of Lmod and of Environment Modules?

Both load the highest NAME/V.REST for NAME/V, and neither takes a part of a number (cuda/1 is not cuda/12). They differ
elsewhere (Lmod 8.6 and 8.7; Environment Modules 5.2, 5.5 and 5.7, as a test of the real ones shows):

- Lmod also parts versions at "-", "_", "+" and "=", and after a letter; Modules at "-" from a release after 5.5 on.
- "latest" and NAME@SPEC are Modules' alone, a lone module's NAME/default is Lmod's.
- Of a tree below NAME (NAME/SUB/1.0) Modules loads the highest for NAME; Lmod has it as another module, NAME/SUB.

Where a node does not tell which of them it has, and they differ, that is unknown.
"""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.facts.view import Unknown, View
from preflight.requirements.judges import untold
from preflight.requirements.kinds_of_names import Name
from preflight.requirements.row import Answer, Ask
from preflight.requirements.text import safe
from preflight.tuples import NamedTuple

LMOD, MODULES = "lmod", "environment-modules"
_PARTS = "-+_.="  # what parts a version for Lmod
_NEWER = "only Lmod, and Environment Modules after 5.5, take it for a longer version: an older one needs it in full"


class Site(NamedTuple):
    """A node's modules: ``names``, other names for some of them, and which module ``system`` it has (None: not told).

    ``certain``: whether every other name was read. ``behind``: why there may be modules beside these, None if not.
    """

    names: frozenset[str]
    aliases: frozenset[str]
    system: str | None
    certain: bool
    behind: str | None = None


class ModuleName(Name):
    """A module as `module load` takes it: NAME, NAME/VERSION, NAME/default, NAME@SPEC. Case counts."""

    value_help = "a module such as cuda/12.4"

    def parse(self, value: str) -> str:
        """Return the name; raise ValueError for what names no module: a variant, an option, several."""
        words = value.split()
        variant = next((word for word in words if word[0] in "+~-"), None)
        if variant:
            rest = " ".join(word for word in words if word != variant) or "cuda/12.4"
            raise ValueError(
                f"asks for the variant or option {safe(variant, 20)}, which is no module: write {safe(rest, 40)}"
            )
        if len(words) > 1:
            raise ValueError("names several modules: write a clause for each, module=gcc/13, module=cuda/12.4")
        name, at, spec = value.partition("@")
        if at and not (name and spec.strip(":,")):
            raise ValueError("is no version specification: write NAME@VERSION, such as cuda@12.4")
        return self.fold(value)

    def fold(self, text: str) -> str:
        """Return the name without a trailing slash."""
        return text.rstrip("/") or text[:1]


def judge(ask: Ask, view: View) -> Answer:
    """Judge a module: whether one of the node's would be loaded for it."""
    ask, row = ask.positive(), ask.row
    have = view.get(row.fact)
    if isinstance(have, Unknown):
        return untold(row.noun, have.reason)
    site = site_of(view, have)
    truth, found, caveat = resolve(ask.asked, site)
    shown = safe(ask.value, 48)
    if truth is None:
        return Answer(None, f"module {shown} unclear", reason=_why(ask.asked, site))
    observed = f"module {safe(found, 48)}" if found else _instead(ask.asked, site)
    return Answer(ask.signed(truth), observed, caveat=None if ask.negated else caveat)


def site_of(view: View, names: object) -> Site:
    """Return the node's modules as facts state them."""

    def known(key: str) -> object:
        value = view.get(f"modules.{key}")
        return None if isinstance(value, Unknown) else value

    aliases = known("aliases")
    system = known("system")
    return Site(
        frozenset(one for one in names if isinstance(one, str)) if isinstance(names, list) else frozenset(),
        frozenset(one for one in aliases if isinstance(one, str)) if isinstance(aliases, list) else frozenset(),
        system if system in (LMOD, MODULES) else None,
        known("unread") is not True,
        behind if isinstance(behind := known("behind"), str) else None,
    )


def resolve(asked: str, site: Site) -> tuple[bool | None, str | None, str | None]:
    """Return whether the asked module would be found, one that is, and a caveat.

    None: the two module systems differ and the node does not say which one it has, or other names were not all read, or
    there may be modules that nobody read.
    """
    if asked in site.names or asked in site.aliases:
        return True, asked, None
    answers = {}
    if site.system != MODULES:
        answers[LMOD] = _best(one for one in site.names if _lmod(asked, one))
    if site.system != LMOD:
        answers[MODULES] = _best(one for one in site.names if _modules(asked, one, "."))
    held = {system: found is not None for system, found in answers.items()}
    if all(held.values()):
        return True, next(iter(answers.values())), None
    newer = _best(one for one in site.names if _modules(asked, one, ".-"))
    if newer and held.get(LMOD, True):
        return True, newer, _NEWER
    if any(held.values()):
        return (None, None, None) if site.system is None and "@" not in asked else (True, _best(answers.values()), None)
    return (False, None, None) if site.certain and site.behind is None else (None, None, None)


def _best(found: object) -> str | None:
    """Return the highest of the names, numbers in them compared as numbers; None of none."""
    from preflight.catalog.versions import natural

    names = [one for one in found if one] if hasattr(found, "__iter__") else []
    return max(names, key=lambda one: (natural(one), one), default=None)


def _lmod(asked: str, name: str) -> bool:
    """Tell whether Lmod loads a module for what is asked: NAME is all before the last "/"."""
    own, slash, version = name.rpartition("/")
    if asked == own or (asked == f"{own}/default" and slash):
        return True
    if not slash:
        return asked == f"{version}/default"
    rest = name[len(asked) :] if name.startswith(asked) and asked.startswith(f"{own}/") else ""
    return bool(rest) and (rest[0] in _PARTS or asked[-1] in _PARTS or asked[-1].isalpha())


def _modules(asked: str, name: str, parts: str) -> bool:
    """Tell whether Environment Modules load a module for what is asked; ``parts`` parts a version."""
    base, at, spec = asked.partition("@")
    if at:
        own = name[len(base) + 1 :] if name.startswith(f"{base}/") else ""
        return bool(own) and any(_specified(one.strip(), own, parts) for one in spec.split(","))
    for word in ("/default", "/latest"):
        if asked.endswith(word):
            asked = asked[: -len(word)]
            return name.startswith(f"{asked}/")
    rest = name[len(asked) :] if name.startswith(asked) else ""
    return rest[:1] == "/" or (bool(rest) and rest[0] in parts and "/" in asked)


def _specified(spec: str, version: str, parts: str) -> bool:
    """Tell whether a version is in a specification: "12.4", "12:", ":12", "11:12", default or latest."""
    low, colon, high = spec.partition(":")
    if not colon:
        return spec in ("default", "latest", version) or (version.startswith(spec) and version[len(spec)] in parts)
    if not is_whole(version[:1]):
        return False
    return (not low or _reaches(version, low)) and (not high or _reaches(high, version) or _begins(version, high))


def _reaches(version: str, least: str) -> bool:
    from preflight.catalog.versions import natural

    return natural(version) >= natural(least)


def _begins(version: str, short: str) -> bool:
    return version.startswith(short) and version[len(short) :][:1] in ("", ".", "-")


def _why(asked: str, site: Site) -> str:
    shown = safe(asked, 48)
    if site.behind:
        return f"{safe(site.behind, 160)}, where {shown} may be"
    if not site.certain:
        return f"whether {shown} is another name for a module is written in a .modulerc that was not understood"
    return f"Lmod and Environment Modules differ on {shown}, and the node does not tell which one it has"


def _instead(asked: str, site: Site) -> str:
    """Say what there is of the asked name instead."""
    own = asked.partition("@")[0].partition("/")[0]
    same = sorted(one for one in site.names if one == own or one.startswith(f"{own}/"))
    others = same or (sorted(site.names) if len(site.names) <= 4 else [])
    only = f" (only {', '.join(safe(one, 48) for one in others[:4])}{' and more' if len(others) > 4 else ''})"
    return f"no module {safe(asked, 48)}{only if others else ''}" if site.names else "no module"
