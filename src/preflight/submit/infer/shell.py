"""Shell text to words: what quoting, variables and splitting make of it, as far as the text itself tells.

The syntax tree is tree-sitter's, with the grammar for bash. What would have to be run, or is not in the text, becomes
a hole (words.py). Nothing here executes anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from preflight.submit.infer.tree import source, start_row
from preflight.submit.infer.variables import Variables
from preflight.submit.infer.words import HOLE, WIDE, Word

if TYPE_CHECKING:
    from tree_sitter import Node

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_QUOTED = re.compile(r'\\([$`"\\])')
_ANSI = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}
_GLOB = re.compile(r"(?<!\\)[*?\[]")
_EXPANSIONS = (
    "simple_expansion",
    "expansion",
    "command_substitution",
    "process_substitution",
    "arithmetic_expansion",
)
_DEFAULTS = (":-", "-", ":?", "?", ":=", "=", ":+", "+")
# "$@", "${@:2}", "${ARRAY[@]}", "${!NAME@}": as many words as there are.
_MANY = re.compile(r"^\s*\$(?:@|\{!?@)|@\]|^\s*\$\{!\w+@\}")
_SPACE = " \t\n"
_BLANKS = re.compile(r"[ \t\n]+")
_ARRAY = re.compile(r"\$(?:([@*])|\{(?:([@*])|(\w+)\[([@*])\])\})")
_ELEMENT = re.compile(r"\$\{(\w+)\[(\d{1,4})\]\}")
_WHOLE = re.compile(r"\w*")  # what no IFS splits


class _Fields:
    """The words that one piece of source becomes; unquoted values are split at blanks."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.open: str | None = None

    def add(self, text: str) -> None:
        self.open = (self.open or "") + text

    def split(self, value: str) -> None:
        """Add a value that is not quoted: what is not known in it may be several words, or match files."""
        value = value.replace(HOLE, WIDE)
        parts = [f"{part}{WIDE}" if _GLOB.search(part) else part for part in _BLANKS.split(value) if part]
        if not parts:
            if value:
                self.close()
            return
        if value[0] in _SPACE:
            self.close()
        for at, part in enumerate(parts):
            if at:
                self.close()
            self.add(part)
        if value[-1] in _SPACE:
            self.close()

    def spread(self, elements: tuple[str, ...], split: bool) -> None:
        """Add an array's elements, each a word of its own; ``split``: each may be several."""
        for at, element in enumerate(elements):
            if at:
                self.close()
            if split:
                self.split(element)
            else:
                self.add(element)

    def close(self) -> None:
        if self.open is not None:
            self.done.append(self.open)
            self.open = None


class Expander:
    """Expands nodes of one text; ``base`` is added to its rows to give the script's lines."""

    def __init__(self, variables: Variables, base: int, flat: bool) -> None:
        self.variables = variables
        self.base = base
        self.flat = flat

    def line(self, node: Node) -> int:
        """Return the line of the script on which a node begins, 1-based."""
        return self.base + (0 if self.flat else start_row(node)) + 1

    def words(self, node: Node) -> list[Word]:
        """Return the words that an argument becomes."""
        fields = _Fields()
        self._into(fields, node, True)
        fields.close()
        line = self.line(node)
        script, flat = self._script(node)
        return [Word(text, line, script if len(fields.done) == 1 else None, flat) for text in fields.done]

    def value(self, node: Node | None) -> str | tuple[str, ...] | None:
        """Return what an assignment's right side is: text, or an array's elements, with holes for what is not known;
        None where nothing is."""
        if node is None:
            return ""
        if node.type == "array":
            return self._array(node)
        fields = _Fields()
        for part in _parts(node):
            if part.type == "word" and not part.prev_sibling:
                fields.add("")
            self._into(fields, part, False)
        return "".join([*fields.done, fields.open or ""]).replace(WIDE, HOLE)

    def _array(self, node: Node) -> tuple[str, ...] | None:
        """Return the elements of NAME=(…), None where they are given by index or key."""
        parts = [one for one in node.named_children if one.type != "comment"]
        if any(source(one).startswith("[") for one in parts):
            return None
        return tuple(word.text for one in parts for word in self.words(one))

    def _script(self, node: Node) -> tuple[str | None, bool]:
        """Return a quoted text with its line breaks as written, and whether its lines are not the script's."""
        if node.type != "string":
            return None, node.type not in ("raw_string", "word", "concatenation")
        text = self._quoted(node, True)
        return text, text.count("\n") != source(node).count("\n")

    def _into(self, fields: _Fields, node: Node, split: bool) -> None:
        for part in _parts(node):
            kind = part.type
            if kind == "string":
                for one in self._segments(part):
                    if isinstance(one, str):
                        fields.add(one)
                    elif split:
                        fields.spread(one, False)
                    else:
                        fields.add(" ".join(one))
            elif kind == "raw_string":
                fields.add(source(part)[1:-1])
            elif kind == "ansi_c_string":
                fields.add(_ANSI.sub(_ansi, source(part)[2:-1]))
            elif kind == "translated_string":
                fields.add("".join(self._quoted(one) for one in part.named_children))
            elif kind in _EXPANSIONS[:2]:
                self._expansion(fields, part, split)
            elif part.named_child_count == 0 and kind not in ("command_substitution", "process_substitution"):
                fields.add(self._plain(source(part), fields.open is None and not fields.done, split))
            else:
                fields.add(WIDE)

    def _plain(self, text: str, first: bool, split: bool) -> str:
        """Return unquoted text: a leading ~ is the home directory, a pattern is a hole, backslashes go."""
        if first and text.startswith("~"):
            user, slash, rest = text[1:].partition("/")
            home = self.variables.get("HOME") if not user else None
            if not slash and user:  # somebody's home, or a variant of a module
                return "~" + HOLE
            return (home or HOLE) + slash + self._plain(rest, False, split)
        if split and (_GLOB.search(text) or (text in ("{", "}") and not first)):
            return WIDE
        return _ESCAPED.sub(lambda found: "" if found[1] == "\n" else found[1], text)

    def _expansion(self, fields: _Fields, node: Node, split: bool) -> None:
        """Add $NAME, ${NAME}, ${NAME[@]} where it is not quoted."""
        elements = self._elements(node)
        value = self._variable(node) if elements is None else " ".join(elements)
        if value is None or (split and not self.variables.splits and not _WHOLE.fullmatch(value)):
            fields.add(WIDE)
        elif not split:
            fields.add(value)
        elif elements is None:
            fields.split(value)
        else:
            fields.spread(elements, True)

    def _quoted(self, node: Node, breaks: bool = False) -> str:
        """Return a double-quoted string's text, of an array's elements with blanks between them."""
        return "".join(one if isinstance(one, str) else " ".join(one) for one in self._segments(node, breaks))

    def _segments(self, node: Node, breaks: bool = False) -> list[str | tuple[str, ...]]:
        """Return the pieces of a double-quoted string: text, or the elements of "${NAME[@]}", each a word of its own.
        ``breaks``: keep its line continuations."""
        raw, start = node.text or b"", node.start_byte
        out: list[str | tuple[str, ...]] = []
        at = 1
        for child in node.named_children:
            if child.type not in _EXPANSIONS:
                continue
            begin = child.start_byte - start
            while raw[begin : begin + 1].isspace():  # the grammar counts blanks before a $ to the expansion
                begin += 1
            out.append(_unescape(raw[at:begin], breaks))
            out.append(self._inside(child))
            at = child.end_byte - start
        end = len(raw) - 1 if raw.endswith(b'"') and len(raw) > 1 else len(raw)
        out.append(_unescape(raw[at:end], breaks))
        return [one for one in out if one != ""] or [""]

    def _inside(self, node: Node) -> str | tuple[str, ...]:
        """Return what an expansion in double quotes becomes."""
        if node.type not in _EXPANSIONS[:2]:
            return HOLE
        elements = self._elements(node)
        if elements is not None:
            joins = "*" in source(node)
            return elements if not joins else " ".join(elements) if self.variables.splits else HOLE
        value = self._variable(node)
        if value is None:
            return WIDE if _MANY.search(source(node)) else HOLE
        return value

    def _elements(self, node: Node) -> tuple[str, ...] | None:
        """Return the elements of ${NAME[@]}, or the positional parameters; None for others and where not known."""
        found = _ARRAY.fullmatch(source(node).strip())
        return self.variables.elements(found[1] or found[2] or found[3]) if found else None

    def _variable(self, node: Node) -> str | None:
        """Return the value of $NAME or ${NAME...}, None where nothing of it is known."""
        name = next((source(one) for one in node.named_children if one.type == "variable_name"), "")
        text = source(node).strip()
        if text in (f"${name}", f"${{{name}}}"):
            return self.variables.get(name)
        one = _ELEMENT.fullmatch(text)
        if one:
            elements = self.variables.elements(one[1])
            return None if elements is None else elements[int(one[2])] if int(one[2]) < len(elements) else ""
        sign = next((source(one) for one in node.children if source(one) in _DEFAULTS), None)
        # Only for what the script itself sets: of another variable it is not known whether the job has it.
        if sign is None or not text.startswith("${" + name + sign) or name not in self.variables.names:
            return None
        value = self.variables.get(name)
        if value is None or sign in (":+", "+"):
            return None
        return value if value.strip(HOLE) or not sign.startswith(":") else None


def _parts(node: Node) -> list[Node]:
    return node.children if node.type == "concatenation" else [node]


def _unescape(raw: bytes, breaks: bool) -> str:
    text = raw.decode("utf-8", "replace")
    if "\\" not in text:
        return text
    return _ESCAPED_QUOTED.sub(r"\1", text if breaks else text.replace("\\\n", ""))


def _ansi(found: re.Match[str]) -> str:
    if found[3]:
        return _LETTERS.get(found[3], found[3])
    return chr(int(found[1], 16) if found[1] else int(found[2], 8) & 0xFF)
