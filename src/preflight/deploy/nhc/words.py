"""The words of a simple command, where they can be known beforehand: quotes, variables, arithmetic."""

from __future__ import annotations

import re
from collections.abc import Callable

from tree_sitter import Node

from preflight.deploy.nhc.braces import (
    MOST_WORDS,
    NESTED,
    PLAIN,
    QUOTED,
    SPLIT,
    Pieces,
    Unread,
    expanded,
    fields,
    tokens_of,
)

Lookup = Callable[[str], str]


def text_of(node: Node) -> str:
    """Return the text of a node of the grammar."""
    return (node.text or b"").decode("utf-8", "replace")


def variables(node: Node) -> set[str]:
    """Return the names of the variables that a word uses."""
    found = {text_of(node)} if node.type == "variable_name" else set()
    return found.union(*(variables(one) for one in node.named_children)) if node.named_children else found


def value(node: Node | None, lookup: Lookup) -> str:
    """Return the value of an assignment; raises Unread."""
    if node is None:
        return ""
    return "".join(text for text, _ in _pieces(node, lookup))


def words(node: Node, lookup: Lookup) -> list[str]:
    """Return what becomes of one word: none, one or several; raises Unread."""
    found: list[str] = []
    for tokens in expanded(tokens_of(_pieces(node, lookup))):
        found += fields(tokens)
        if len(found) > MOST_WORDS:
            raise Unread(f"it makes more than {MOST_WORDS} words")
    return found


def _pieces(node: Node, lookup: Lookup, quoted: bool = False) -> Pieces:
    """Return (text, how) of a word's parts: "plain" as written, "quoted", or "split" from a variable without quotes."""
    kind = node.type
    if kind == "raw_string":
        return [(text_of(node)[1:-1], QUOTED)]
    if kind == "ansi_c_string":
        return [(_ansi(text_of(node)[2:-1]), QUOTED)]
    if kind in ("string", "translated_string", "concatenation"):
        inside = quoted or kind == "string"
        return _inside(node, lookup, inside) or [("", QUOTED if inside else PLAIN)]
    if kind in ("simple_expansion", "expansion"):
        return [(_expansion(node, lookup), QUOTED if quoted else SPLIT)]
    if kind == "arithmetic_expansion":
        return [(str(_arithmetic(node, lookup)), QUOTED)]
    if kind == "command_substitution":
        raise Unread(f"{text_of(node)} is the output of a command")
    if kind == "process_substitution":
        raise Unread(f"{text_of(node)} is the output of a command")
    text = text_of(node)
    if quoted:
        return [(re.sub(r'\\([$`"\\])', r"\1", text), QUOTED)]
    return _escaped(text)


def _escaped(text: str) -> Pieces:
    parts = re.split(r"\\(.)", text, flags=re.DOTALL)
    return [(one, QUOTED if at % 2 else PLAIN) for at, one in enumerate(parts) if one]


def _inside(node: Node, lookup: Lookup, quoted: bool) -> Pieces:
    """Return the parts of a string or a concatenation, with the text between them that the grammar gives no node."""
    whole, found = node.text or b"", []
    at, end = (node.start_byte + 1, node.end_byte - 1) if node.type == "string" else (node.start_byte, node.end_byte)
    if node.type == "translated_string":
        return _pieces(node.named_children[0], lookup, True)
    for one in node.named_children:
        between = whole[at - node.start_byte : one.start_byte - node.start_byte].decode("utf-8", "replace")
        found += [(between, QUOTED if quoted else PLAIN)] if between else []
        found += _pieces(one, lookup, quoted)
        at = one.end_byte
    rest = whole[at - node.start_byte : end - node.start_byte].decode("utf-8", "replace")
    return found + ([(rest, QUOTED if quoted else PLAIN)] if rest else [])


def _expansion(node: Node, lookup: Lookup) -> str:
    text = text_of(node)
    plain = re.fullmatch(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", text)
    if plain:
        return lookup(plain[1])
    default = re.fullmatch(r"\$\{([A-Za-z_][A-Za-z0-9_]*):?-([^${}`\"'\\]*)\}", text)
    if default:
        try:
            return lookup(default[1]) or default[2]
        except Unread:
            return default[2]
    raise Unread(f"{text} is more than a variable's value")


def _arithmetic(node: Node, lookup: Lookup, depth: int = 0) -> int:
    if depth > NESTED:
        raise Unread("it is nested too deep")
    inner = list(node.named_children)
    kind = node.type
    if kind in ("arithmetic_expansion", "parenthesized_expression") and len(inner) == 1:
        return _arithmetic(inner[0], lookup, depth + 1)
    if kind in ("number", "word"):
        return _whole(text_of(node))
    if kind == "variable_name":
        return _whole(lookup(text_of(node)))
    if kind in ("simple_expansion", "expansion"):
        return _whole(_expansion(node, lookup))
    if kind == "binary_expression" and len(node.children) == 3:
        left, right = (_arithmetic(node.children[at], lookup, depth + 1) for at in (0, 2))
        sign = node.children[1].type
        if sign in ("/", "%") and right:
            quotient = abs(left) // abs(right) * (1 if (left < 0) is (right < 0) else -1)
            return quotient if sign == "/" else left - right * quotient
        if sign in ("+", "-", "*"):
            return {"+": left + right, "-": left - right, "*": left * right}[sign]
    raise Unread(f"{text_of(node)} is arithmetic of the shell")


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or (text.startswith("0") and text != "0"):
        raise Unread(f"{text or 'nothing'!r} is no number")
    return int(text)


_ANSI = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "e": "\x1b", "f": "\f"}


def _ansi(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        word = found[1]
        if word in _ANSI:
            return _ANSI[word]
        if word[0] == "x":
            return chr(int(word[1:], 16))
        if word[0] in "01234567":
            return chr(int(word, 8) & 255)
        return f"\\{word}"

    return re.sub(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", one, text, flags=re.DOTALL)
