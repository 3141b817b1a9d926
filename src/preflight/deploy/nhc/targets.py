"""NHC's match strings: of nodes as a policy's selector, of anything else as its pattern.

Of NHC 1.4.3 (mcheck in scripts/common.nhc): "!" before it negates; /REGEX/ is looked for anywhere (bash's =~,
extended POSIX); {RANGES} are names and NAME[FIRST-LAST] between commas; all else is a glob of the whole (bash's ==,
with extended patterns).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from preflight.hostlist import HostlistError, names

CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9A-Fa-f",
    "cntrl": r"\x00-\x1f\x7f",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
    "word": r"\w",
}
_ONE_NAME = re.compile(r"[-a-zA-Z0-9_]+[0-9]+[-.a-zA-Z0-9]*")
_RANGE = re.compile(r"([-a-zA-Z0-9_]+)\[([0-9]+)-([0-9]+)\]([-.a-zA-Z0-9]*)")
_SIMPLE = re.compile(r"[-\w.]+")
_DIGIT_CLASS = re.compile(r"([-\w.]*[A-Za-z_-])\[([0-9])-([0-9])\]")
_OPTION = re.compile(r"\(\^\|,\)([-\w.:=/]+)\((?:\$\|,|,\|\$)\)")
_SPECIAL = set("*?[")


class NoMatch(ValueError):
    """A match string that a policy cannot say; one line."""


class Nodes(NamedTuple):
    """``text``: a selector, "" for every node. ``notes``: what the site should know about it.

    ``ran``: NHC itself matches nodes with it.
    """

    text: str
    notes: tuple[str, ...] = ()
    ran: bool = True


def nodes(target: str) -> Nodes:
    """Return the selector of a target; raises NoMatch.

    A chain with "&&" is taken as its author meant it, though NHC takes it as one glob, which matches no name.
    """
    parts = [part.strip() for part in _apart(target)]
    found = [_nodes(part) for part in parts]
    notes = tuple(note for one in found for note in one.notes)
    if len(parts) > 1:
        why = "NHC itself takes a target with && as one glob: it never ran this line, and so the row only warns"
        notes = (why, *notes)
    texts = [one.text for one in found if one.text]
    return Nodes(" && ".join(texts), tuple(dict.fromkeys(notes)), len(parts) == 1)


def _apart(target: str) -> list[str]:
    """Split at "&&" outside of slashes."""
    if target.lstrip("!").startswith("/"):
        whole = re.fullmatch(r"!?/[^/]*/", target)
        return [target] if whole else re.split(r"(?<=/)\s*&&\s*|\s*&&\s*(?=!?[/{])", target)
    return target.split("&&")


def both(first: str, second: str) -> str:
    """Return the selector of nodes that both select; neither holds "||"."""
    return " && ".join(dict.fromkeys(one for text in (first, second) for one in text.split(" && ") if one))


def without(selector: str) -> str:
    """Return the selector of all other nodes, of one that is a single term; raises NoMatch."""
    if not selector:
        raise NoMatch("no node is left")
    if " && " in selector:
        raise NoMatch("its nodes are given by a chain")
    return selector[1:] if selector.startswith("!") else f"!{selector}"


def _nodes(target: str) -> Nodes:
    if not target:
        raise NoMatch("a target is missing beside &&")
    negated, match = target.startswith("!"), target.removeprefix("!")
    if match in ("", "//"):  # a glob of nothing matches no name, an expression of nothing every name
        return Nodes("" if negated is (match == "") else "!*")
    made = _selected(match)
    if not negated:
        return made
    return made._replace(text=f"!{made.text or '*'}")


def _selected(match: str) -> Nodes:
    if match == "*":
        return Nodes("")
    if len(match) > 1 and match[0] == match[-1] == "/":
        return _domain(Nodes(f"/{_slashed(ere(match[1:-1]))}/"), match)
    if match[:1] == "{" and match[-1:] == "}":
        return _domain(_ranges(match[1:-1]), match)
    if set(match) <= {"*"}:
        return Nodes("")
    return _domain(_glob(match), match)


def _domain(made: Nodes, match: str) -> Nodes:
    """Note where a target speaks of a domain: NHC compares the kernel's host name, a policy Slurm's name."""
    if not re.search(r"[A-Za-z0-9\]*?]\\?\.[A-Za-z*]", match.replace(".*", "*")):
        return made
    note = "nodes are Slurm's names here, the kernel's host names in NHC: leave the domain out if Slurm's have none"
    return made._replace(notes=(*made.notes, note))


def _glob(match: str) -> Nodes:
    notes: tuple[str, ...] = ()
    wide = re.search(r"\[[^]]*(?:[0-9]{2,}-|-[0-9]{2,}|,)[^]]*\]", match)
    if wide:
        meant = re.sub(r"[*?].*", "", match)
        notes = (
            f'NHC takes {wide[0]} as ONE character, no range of numbers; if the range was meant: nodes = "{meant}"',
        )
    digit = _DIGIT_CLASS.fullmatch(match)
    if digit and digit[2] < digit[3]:
        return Nodes(match, notes)
    if _SIMPLE.fullmatch(match):
        return Nodes(_host(match), notes)
    if re.fullmatch(r"[-\w.*?]+", match):
        return Nodes(match, notes)
    return Nodes(f"/^{_slashed(glob_regex(match))}$/", notes)


def _host(name: str) -> str:
    try:
        names(name)
    except HostlistError:
        return f"/^{re.escape(name)}$/"
    return name


def _ranges(text: str) -> Nodes:
    """Return the ranges between braces. NHC reads them left to right and stops at one that it cannot read."""
    found, notes = [], []
    for one in text.split(","):
        if _ONE_NAME.fullmatch(one):
            found.append(_host(one))
            continue
        span = _RANGE.fullmatch(one)
        if not span:
            why = f"NHC cannot read {one!r} between braces: it takes names with a number and NAME[FIRST-LAST], no blank"
            if not found:
                raise NoMatch(f"{why} and no comma in brackets, so it never ran this line")
            notes.append(f"{why}, and takes nothing behind it")
            break
        prefix, first, last, suffix = span.groups()
        width = max(len(first), len(last))
        low, high = sorted((int(first), int(last)))
        if len(str(high)) > width or (len(first) != len(last) and not first.startswith("0")):
            notes.append(f"NHC matches numbers of {width} digits here only")
        span_text = f"{prefix}[{low:0{width}d}-{high:0{width}d}]{suffix}"
        found.append(span_text if low < high else f"{prefix}{low:0{width}d}{suffix}")
    for one in found:
        try:
            names(one)
        except HostlistError as error:
            raise NoMatch(f"{one!r} is no host list of Slurm's: {error}") from None
    return Nodes(",".join(found), tuple(notes))


def pattern(match: str) -> str:
    """Return the policy's pattern of a match string that is about something else than nodes; raises NoMatch."""
    negated, bare = match.startswith("!"), match.removeprefix("!")
    sign = "!" if negated else ""
    if len(bare) > 1 and bare[0] == bare[-1] == "/":
        return f"{sign}/{ere(bare[1:-1])}/" if bare != "//" else f"{sign}*"
    if bare[:1] == "{" and bare[-1:] == "}":
        raise NoMatch(f"{match!r} is a range of node names")
    if not bare:
        raise NoMatch("an empty text matches only an empty one")
    if bare.startswith("!"):
        return f"{sign}/^{glob_regex(bare)}$/"
    if re.search(r"\[|[@?*+!]\(|\\", bare):
        return f"{sign}/^{glob_regex(bare)}$/"
    return match


def option(match: str) -> str:
    """Return the pattern of mount options: NHC compares all of them, as one text; one option of it reads better."""
    found = pattern(match)
    negated, bare = found.startswith("!"), found.removeprefix("!")
    sign = "!" if negated else ""
    if bare.startswith("/"):
        one = _OPTION.fullmatch(bare[1:-1])
        return f"{sign}{one[1]}" if one else found
    return f"{sign}/^{glob_regex(bare)}$/"


def _slashed(text: str) -> str:
    return text.replace("/", r"\/")


def ere(text: str, word: bool = False) -> str:
    """Return an extended POSIX regular expression (with glibc's additions) as Python's; raises NoMatch.

    ``word``: it is for the first word of a text, which a blank or the text's end ends.
    """
    out, at, repeats = "", 0, False
    while at < len(text):
        letter = text[at]
        if letter == "[":
            part, at = _bracket(text, at, "^", word)
            out, repeats = out + part, False
            continue
        if repeats and letter in "*+?{":
            raise NoMatch(f"/{text}/ repeats what repeats already")
        repeats = letter in "*+?}"
        if word and (letter == " " or text[at : at + 2] in ("\\s", "\\W")):
            raise NoMatch(f"/{text}/ is about blanks, and NHC looks at the first word only")
        if word and letter in ".$":
            out, at = out + {".": "[^ ]", "$": "(?= |$)"}[letter], at + 1
            continue
        if letter == "\\":
            following = text[at + 1 : at + 2]
            if not following:
                raise NoMatch(f"/{text}/ ends with a backslash")
            if following in "<>":
                out += r"\b"
            elif following in "bBwWsS":
                out += f"\\{following}"
            elif following == "`" or following == "'":
                out += r"\A" if following == "`" else r"\Z"
            elif following.isalnum():
                raise NoMatch(f"\\{following} in /{text}/ depends on the C library")
            else:
                out += re.escape(following)
            at += 2
            continue
        if letter == "(" and text[at + 1 : at + 2] == "?":
            raise NoMatch(f"/{text}/ is no POSIX expression")
        out, at = out + letter, at + 1
    return _compiled(out, f"/{text}/")


def first_word(match: str) -> str:
    """Return the pattern of texts whose first word matches a match string; raises NoMatch."""
    negated, bare = match.startswith("!"), match.removeprefix("!")
    sign = "!" if negated else ""
    if len(bare) > 1 and bare[0] == bare[-1] == "/":
        found = ere(bare[1:-1], word=True)
        return f"{sign}/^[^ ]*(?:{found})/"
    if bare[:1] == "{" and bare[-1:] == "}":
        raise NoMatch(f"{match!r} is a range of node names")
    if not bare or " " in bare:
        raise NoMatch(f"{match!r} is no word, and NHC looks at the first word only")
    return f"{sign}/^{glob_regex(bare, word=True)}( |$)/"


def glob_regex(text: str, word: bool = False) -> str:
    """Return a glob of bash's, with extended patterns, as Python's regular expression without anchors.

    ``word``: as for `ere`.
    """
    any_letter = "[^ ]" if word else "."
    out, at, open_groups = "", 0, []
    while at < len(text):
        letter = text[at]
        if letter in "@?*+" and text[at + 1 : at + 2] == "(":
            out += "(?:"
            open_groups.append({"@": ")", "?": ")?", "*": ")*", "+": ")+"}[letter])
            at += 2
        elif letter == "!" and text[at + 1 : at + 2] == "(":
            raise NoMatch(f"{text!r} has !(…), which no regular expression says")
        elif letter == ")" and open_groups:
            out, at = out + open_groups.pop(), at + 1
        elif letter == "|" and open_groups:
            out, at = f"{out}|", at + 1
        elif letter == "[" and "]" in text[at + 2 :]:
            part, at = _bracket(text, at, "!^", word)
            out += part
        elif letter == "\\" and at + 1 < len(text):
            out, at = out + re.escape(text[at + 1]), at + 2
        else:
            out += {"*": f"{any_letter}*", "?": any_letter}.get(letter) or re.escape(letter)
            at += 1
    if open_groups:
        raise NoMatch(f"{text!r} has a ( without its )")
    return _compiled(out, repr(text))


def _bracket(text: str, at: int, negating: str, word: bool = False) -> tuple[str, int]:
    """Return a bracket expression as Python writes it, and where the text goes on behind it."""
    out, begun = "[", at
    at += 1
    if text[at : at + 1] and text[at] in negating:
        out, at = "[^ " if word else "[^", at + 1
    first = True
    while at < len(text):
        if text[at] == "]" and not first:
            return f"{out}]", at + 1
        first = False
        if text.startswith("[:", at):
            name, end, _ = text[at + 2 :].partition(":]")
            if not end or name not in CLASSES:
                raise NoMatch(f"no class of characters is named {name!r:.20}")
            out, at = out + CLASSES[name], at + len(name) + 4
            continue
        if text.startswith(("[.", "[="), at):
            raise NoMatch("collating elements depend on the locale")
        out += f"\\{text[at]}" if text[at] in "\\[]&|~^" else text[at]
        at += 1
    raise NoMatch(f"{text[begun:]!r} has a [ without its ]")


def _compiled(made: str, shown: str) -> str:
    try:
        re.compile(made)
    except (re.error, RecursionError, OverflowError) as error:
        raise NoMatch(f"{shown} is no regular expression, and bash matches nothing with it: {error}") from None
    return made
