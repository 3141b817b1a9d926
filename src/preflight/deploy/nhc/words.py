"""What bash makes of a check's text: its simple commands, and their words where those can be known beforehand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

MOST_WORDS = 500
LONGEST = 20_000  # characters of a line; more is no check
_NESTED = 40
_SPLIT, _PLAIN, _QUOTED = "split", "plain", "quoted"
_KINDS = {
    "pipeline": "a pipeline",
    "subshell": "a subshell",
    "if_statement": "an if",
    "for_statement": "a loop",
    "c_style_for_statement": "a loop",
    "while_statement": "a loop",
    "case_statement": "a case",
    "function_definition": "the definition of a function",
    "negated_command": "a negation",
    "test_command": "a condition",
    "compound_statement": "a group of commands",
    "heredoc_redirect": "a here-document",
}
_ENDING = ("exit", "return", "exec")
_PARSER = Parser(Language(tree_sitter_bash.language()))


class Unread(ValueError):
    """What cannot be known before a node runs it; one line."""


class Command(NamedTuple):
    """A simple command: ``assigned`` variables before it, its words; without words it sets the variables.

    ``kept``: variables that it exports or makes constant as they are.
    """

    assigned: tuple[tuple[str, Node | None], ...]
    words: tuple[Node, ...]
    text: str
    kept: tuple[str, ...] = ()


Lookup = Callable[[str], str]


def commands(text: str) -> list[Command]:
    """Return the commands of a check that all run, one after the other; raises Unread for anything else."""
    if len(text) > LONGEST:
        raise Unread(f"it is longer than {LONGEST} characters")
    root = _PARSER.parse(text.encode()).root_node
    if root.has_error:
        raise Unread("it could not be taken apart as bash")
    if any(one.type == "&" for one in root.children):
        raise Unread("it runs in the background, and nothing waits for its answer")
    try:
        return [one for node in root.named_children for one in _statement(node)]
    except RecursionError:
        raise Unread("it is nested too deep") from None


def ends_run(text: str) -> bool | None:
    """Return whether a check's text ends NHC's run, as exit and return do; None where only bash on the node knows."""
    root = _PARSER.parse(text.encode()).root_node
    if root.has_error:
        return None if re.search(rf"\b({'|'.join(_ENDING)})\b", text) else False
    statements = [one for one in root.named_children if one.type != "comment"]
    if len(statements) == 1 and _ends(statements[0]):
        return True
    waiting = statements
    while waiting:
        node = waiting.pop()
        if _ends(node):
            return None
        if node.type not in ("function_definition", "subshell", "command_substitution", "process_substitution"):
            waiting += node.named_children
    return False


def _ends(node: Node) -> bool:
    name = node.child_by_field_name("name") if node.type == "command" else None
    if name is None or _text(name) not in _ENDING:
        return False
    return _text(name) != "exec" or bool(node.children_by_field_name("argument"))


def _statement(node: Node) -> Iterator[Command]:
    if node.type == "comment":
        return
    if node.type == "list":
        if any(one.type == "||" for one in node.children):
            raise Unread("what follows || depends on how the first part answers")
        for one in node.named_children:
            if one.type == "test_command":
                raise Unread(f"it is done only where {_text(one)} holds")
            yield from _statement(one)
    elif node.type == "command":
        yield _command(node)
    elif node.type in ("variable_assignment", "variable_assignments"):
        each = [node] if node.type == "variable_assignment" else node.named_children
        yield Command(tuple(_assignment(one) for one in each), (), _text(node))
    elif node.type == "declaration_command":
        if not _text(node).startswith(("export ", "readonly ", "declare ", "typeset ")):
            raise Unread(f"{_text(node).split()[0]} is no setting")
        each = [one for one in node.named_children if one.type == "variable_assignment"]
        rest = [one for one in node.named_children if one.type != "variable_assignment"]
        if any(one.type != "variable_name" and _text(one) not in ("-x", "-r") for one in rest):
            raise Unread(f"{_text(node)[:60]}: more than values of variables is set")
        bare = tuple(_text(one) for one in rest if one.type == "variable_name")
        yield Command(tuple(_assignment(one) for one in each), (), _text(node), bare)
    elif node.type == "unset_command":
        each = [one for one in node.named_children if one.type == "variable_name"]
        yield Command(tuple((_text(one), None) for one in each), (), _text(node))
    elif node.type == "redirected_statement":
        body, *redirects = node.named_children
        for one in redirects:
            if not re.fullmatch(r"[0-9&]*(>|>>|>&|&>)\s*(/dev/null|[12])", _text(one)):
                raise Unread(f"it has a redirection, {_text(one)}")
        yield from _statement(body)
    else:
        raise Unread(f"it is {_KINDS.get(node.type, 'more than a command')}, which only bash on the node can follow")


def _command(node: Node) -> Command:
    assigned, words = [], []
    for one in node.named_children:
        if one.type == "variable_assignment":
            assigned.append(_assignment(one))
        elif one.type == "command_name":
            words += one.named_children or [one]
        elif one.type.endswith("redirect"):
            raise Unread(f"it has a redirection, {_text(one)}")
        else:
            words.append(one)
    return Command(tuple(assigned), tuple(words), _text(node))


def _assignment(node: Node) -> tuple[str, Node | None]:
    name, *value = node.named_children
    if (
        name.type != "variable_name"
        or any(one.type == "array" for one in value)
        or "+=" in [c.type for c in node.children]
    ):
        raise Unread("it sets an array, or a part of a variable")
    return _text(name), value[0] if value else None


def variables(node: Node) -> set[str]:
    """Return the names of the variables that a word uses."""
    found = {_text(node)} if node.type == "variable_name" else set()
    return found.union(*(variables(one) for one in node.named_children)) if node.named_children else found


def value(node: Node | None, lookup: Lookup) -> str:
    """Return the value of an assignment; raises Unread."""
    if node is None:
        return ""
    return "".join(text for text, _ in _pieces(node, lookup))


def words(node: Node, lookup: Lookup) -> list[str]:
    """Return what becomes of one word: none, one or several; raises Unread."""
    fields: list[str] = []
    for tokens in _braces(_tokens(_pieces(node, lookup))):
        fields += _fields(tokens)
        if len(fields) > MOST_WORDS:
            raise Unread(f"it makes more than {MOST_WORDS} words")
    return fields


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


Pieces = list[tuple[str, str]]


def _pieces(node: Node, lookup: Lookup, quoted: bool = False) -> Pieces:
    """Return (text, how) of a word's parts: "plain" as written, "quoted", or "split" from a variable without quotes."""
    kind = node.type
    if kind == "raw_string":
        return [(_text(node)[1:-1], _QUOTED)]
    if kind == "ansi_c_string":
        return [(_ansi(_text(node)[2:-1]), _QUOTED)]
    if kind in ("string", "translated_string", "concatenation"):
        inside = quoted or kind == "string"
        return _inside(node, lookup, inside) or [("", _QUOTED if inside else _PLAIN)]
    if kind in ("simple_expansion", "expansion"):
        return [(_expansion(node, lookup), _QUOTED if quoted else _SPLIT)]
    if kind == "arithmetic_expansion":
        return [(str(_arithmetic(node, lookup)), _QUOTED)]
    if kind == "command_substitution":
        raise Unread(f"{_text(node)} is the output of a command")
    if kind == "process_substitution":
        raise Unread(f"{_text(node)} is the output of a command")
    text = _text(node)
    if quoted:
        return [(re.sub(r'\\([$`"\\])', r"\1", text), _QUOTED)]
    return _escaped(text)


def _escaped(text: str) -> Pieces:
    parts = re.split(r"\\(.)", text, flags=re.DOTALL)
    return [(one, _QUOTED if at % 2 else _PLAIN) for at, one in enumerate(parts) if one]


def _inside(node: Node, lookup: Lookup, quoted: bool) -> Pieces:
    """Return the parts of a string or a concatenation, with the text between them that the grammar gives no node."""
    whole, found = node.text or b"", []
    at, end = (node.start_byte + 1, node.end_byte - 1) if node.type == "string" else (node.start_byte, node.end_byte)
    if node.type == "translated_string":
        return _pieces(node.named_children[0], lookup, True)
    for one in node.named_children:
        between = whole[at - node.start_byte : one.start_byte - node.start_byte].decode("utf-8", "replace")
        found += [(between, _QUOTED if quoted else _PLAIN)] if between else []
        found += _pieces(one, lookup, quoted)
        at = one.end_byte
    rest = whole[at - node.start_byte : end - node.start_byte].decode("utf-8", "replace")
    return found + ([(rest, _QUOTED if quoted else _PLAIN)] if rest else [])


def _expansion(node: Node, lookup: Lookup) -> str:
    text = _text(node)
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
    if depth > _NESTED:
        raise Unread("it is nested too deep")
    inner = list(node.named_children)
    kind = node.type
    if kind in ("arithmetic_expansion", "parenthesized_expression") and len(inner) == 1:
        return _arithmetic(inner[0], lookup, depth + 1)
    if kind in ("number", "word"):
        return _whole(_text(node))
    if kind == "variable_name":
        return _whole(lookup(_text(node)))
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
    raise Unread(f"{_text(node)} is arithmetic of the shell")


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


Tokens = list[tuple[str, str]]  # (character, how); an empty character keeps a quoted nothing


def _tokens(pieces: Pieces) -> Tokens:
    return [(letter, how) for text, how in pieces for letter in (text or ("" if how == _QUOTED else [])) or [""]]


def _braces(tokens: Tokens, depth: int = 0) -> list[Tokens]:
    """Return the words that braces without quotes make: {a,b} and {1..3}."""
    for at, (letter, how) in enumerate(tokens):
        if (letter, how) != ("{", _PLAIN) or depth > _NESTED:
            continue
        end, commas = _matching(tokens, at)
        if end is None:
            continue
        inner = tokens[at + 1 : end]
        if commas:
            cuts = [at, *commas, end]
            choices = [tokens[first + 1 : last] for first, last in zip(cuts, cuts[1:])]
        else:
            choices = [[(letter, _PLAIN) for letter in word] for word in _sequence("".join(one for one, _ in inner))]
        if not choices:
            continue
        before, after = tokens[:at], _braces(tokens[end + 1 :], depth + 1)
        made = [[*before, *one, *rest] for choice in choices for one in _braces(choice, depth + 1) for rest in after]
        if len(made) > MOST_WORDS:
            raise Unread(f"its braces make more than {MOST_WORDS} words")
        return made
    return [tokens]


def _matching(tokens: Tokens, at: int) -> tuple[int | None, list[int]]:
    """Return where the brace at ``at`` is closed, and the commas between that are its own."""
    depth = 0
    commas: list[int] = []
    for place in range(at, len(tokens)):
        if tokens[place][1] != _PLAIN:
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


def _fields(tokens: Tokens) -> list[str]:
    """Return the words after splitting what a variable without quotes held; quotes keep an empty word."""
    fields: list[str] = []
    current: str | None = None
    for letter, how in tokens:
        if how == _SPLIT and letter in (" ", "\t", "\n"):
            if current is not None:
                fields.append(current)
            current = None
        elif letter or how == _QUOTED:
            current = (current or "") + letter
    return fields if current is None else [*fields, current]
