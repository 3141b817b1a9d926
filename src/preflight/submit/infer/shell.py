"""Shell text to words: what quoting, variables and splitting make of it, as far as the text itself tells.

The syntax tree is tree-sitter's, with the grammar for bash. What would have to be run, or is not in the text, becomes
a hole (words.py). Nothing here executes anything.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

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
MAX_VALUE = 1 << 16  # of a variable: one made of others, over and over, would fill the memory


class Variables:
    """What the shell's variables are, as far as it is known.

    ``counts``  name -> how often the script sets it anywhere; only one that it sets once is ever known.
    ``given``   variables that the script does not set and that are the same at submit and in the job.
    """

    def __init__(self, counts: dict[str, int], given: dict[str, str]) -> None:
        self.counts = counts
        self.given = given
        self.values: dict[str, str] = {}
        self.exported: set[str] = set()

    def get(self, name: str) -> str | None:
        """Return a variable's value, None where it is not known."""
        if name in self.counts:
            return self.values.get(name) if self.counts[name] == 1 else None
        return self.given.get(name)

    def set(self, name: str, value: str | None) -> None:
        """Take an assignment that surely happens; None: to something that is not known."""
        if value is None or len(value) > MAX_VALUE or HOLE in value or WIDE in value:
            self.values.pop(name, None)
        else:
            self.values[name] = value


class _Fields:
    """The words that one piece of source becomes; unquoted values are split at blanks."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.open: str | None = None

    def add(self, text: str) -> None:
        self.open = (self.open or "") + text

    def split(self, value: str) -> None:
        parts = value.split()
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

    def line(self, node: "Node") -> int:
        """Return the line of the script on which a node begins, 1-based."""
        return self.base + (0 if self.flat else start_row(node)) + 1

    def words(self, node: "Node") -> list[Word]:
        """Return the words that an argument becomes."""
        fields = _Fields()
        self._into(fields, node, True)
        fields.close()
        line = self.line(node)
        script, flat = self._script(node)
        return [Word(text, line, script if len(fields.done) == 1 else None, flat) for text in fields.done]

    def value(self, node: "Node | None") -> str | None:
        """Return what an assignment's right side is, None where it is not known (an array, a hole)."""
        if node is None:
            return ""
        if node.type == "array":
            return None
        fields = _Fields()
        for part in _parts(node):
            if part.type == "word" and not part.prev_sibling:
                fields.add("")
            self._into(fields, part, False)
        text = "".join([*fields.done, fields.open or ""])
        return None if HOLE in text or WIDE in text else text

    def _script(self, node: "Node") -> tuple[str | None, bool]:
        """Return a quoted text with its line breaks as written, and whether its lines are not the script's."""
        if node.type != "string":
            return None, node.type not in ("raw_string", "word", "concatenation")
        text = self._quoted(node, True)
        return text, text.count("\n") != source(node).count("\n")

    def _into(self, fields: _Fields, node: "Node", split: bool) -> None:
        for part in _parts(node):
            kind = part.type
            if kind == "string":
                fields.add(self._quoted(part))
            elif kind == "raw_string":
                fields.add(source(part)[1:-1])
            elif kind == "ansi_c_string":
                fields.add(_ANSI.sub(_ansi, source(part)[2:-1]))
            elif kind == "translated_string":
                fields.add("".join(self._quoted(one) for one in part.named_children))
            elif kind in ("simple_expansion", "expansion"):
                value = self._variable(part)
                if value is None:
                    fields.add(WIDE)
                elif split:
                    fields.split(value)
                else:
                    fields.add(value)
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

    def _quoted(self, node: "Node", breaks: bool = False) -> str:
        """Return a double-quoted string's text; ``breaks``: keep its line continuations."""
        raw, start = node.text or b"", node.start_byte
        out: list[str] = []
        at = 1
        for child in node.named_children:
            if child.type not in _EXPANSIONS:
                continue
            begin = child.start_byte - start
            while raw[begin : begin + 1].isspace():  # the grammar counts blanks before a $ to the expansion
                begin += 1
            out.append(_unescape(raw[at:begin], breaks))
            value = self._variable(child) if child.type in _EXPANSIONS[:2] else None
            many = child.type in _EXPANSIONS[:2] and _MANY.search(source(child)) is not None
            out.append((WIDE if many else HOLE) if value is None else value)
            at = child.end_byte - start
        end = len(raw) - 1 if raw.endswith(b'"') and len(raw) > 1 else len(raw)
        out.append(_unescape(raw[at:end], breaks))
        return "".join(out)

    def _variable(self, node: "Node") -> str | None:
        """Return the value of $NAME or ${NAME...}, None where it is not known."""
        name = next((source(one) for one in node.named_children if one.type == "variable_name"), "")
        text = source(node).strip()
        if text in (f"${name}", f"${{{name}}}"):
            return self.variables.get(name)
        sign = next((source(one) for one in node.children if source(one) in _DEFAULTS), None)
        # Only for what the script itself sets: of another variable it is not known whether the job has it.
        if sign is None or not text.startswith("${" + name + sign) or name not in self.variables.counts:
            return None
        value = self.variables.get(name)
        if value is None or sign in (":+", "+"):
            return None
        return value if value or not sign.startswith(":") else None


def source(node: "Node") -> str:
    """Return a node's own text."""
    return (node.text or b"").decode("utf-8", "replace")


def start_row(node: "Node") -> int:
    """Return the row (0-based) on which a node's text begins; the grammar may count a line break before it to it."""
    return node.start_point[0]


def children(node: "Node", kinds: tuple[str, ...]) -> "Iterator[Node]":
    """Yield the outermost descendants of some kinds, at any depth, without recursion."""
    todo = list(reversed(node.children))
    while todo:
        one = todo.pop()
        if one.type in kinds:
            yield one
        else:
            todo.extend(reversed(one.children))


def _parts(node: "Node") -> "list[Node]":
    return node.children if node.type == "concatenation" else [node]


def _unescape(raw: bytes, breaks: bool) -> str:
    text = raw.decode("utf-8", "replace")
    if "\\" not in text:
        return text
    return _ESCAPED_QUOTED.sub(r"\1", text if breaks else text.replace("\\\n", ""))


def _ansi(found: "re.Match[str]") -> str:
    if found[3]:
        return _LETTERS.get(found[3], found[3])
    return chr(int(found[1], 16) if found[1] else int(found[2], 8) & 0xFF)
