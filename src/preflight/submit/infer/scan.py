"""What must be known of a whole script before it is read: what it sets and where, and its functions."""

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from preflight.submit.infer.tree import children, source

if TYPE_CHECKING:
    from tree_sitter import Node

# Commands that set the variables named in their words; and those that may set any.
_SETTERS = frozenset(("read", "readarray", "mapfile", "getopts", "printf", "let", "local", "unset", "wait", "export"))
OPEN = frozenset(("eval", "source", "."))
ANY = "*"
_RESERVED = frozenset(("{", "}", "then", "else", "elif", "fi", "do", "done", "esac"))
MAX_WRONG = 50
_NAME = re.compile(r"""["']?([A-Za-z_]\w*)(?:$|["']|\+?=|\[)""")
_ENDED = re.compile(rb"(?:[ \t]|\\\n)*\n")
_COUNTED = ("postfix_expression", "unary_expression", "binary_expression")
_ASSIGNING = re.compile(r"(?:[-+*/%&|^]|<<|>>)?=|\+\+|--")


class Scanned(NamedTuple):
    """What a script holds.

    ``sets``       (byte, name) of all that is set, ascending; the name "*" is any.
    ``functions``  name -> body, None of one that is defined twice; ``bodies``: all of them.
    ``wrong``      the first nodes that are no shell syntax; ``mistaken``: a reserved word was taken for a command, so
                   that groups may end elsewhere than it looks.
    """

    sets: tuple[tuple[int, str], ...]
    functions: "dict[str, Node | None]"
    bodies: "dict[str, list[Node]]"
    wrong: "list[Node]"
    mistaken: bool

    @property
    def names(self) -> frozenset[str]:
        """Return the names of all variables that are set anywhere."""
        return frozenset(name for _, name in self.sets) - {ANY}

    def within(self, node: "Node") -> frozenset[str]:
        """Return what is set in a part of the script."""
        first, last = (bisect_left(self.sets, (at, "")) for at in (node.start_byte, node.end_byte))
        return frozenset(name for _, name in self.sets[first:last])

    def called(self, node: "Node") -> frozenset[str]:
        """Return what is set in a part of the script, and in the functions where it calls any."""
        found = self.within(node)
        if any(source(one) in self.functions for one in children(node, ("command_name",))):
            for body in (one for every in self.bodies.values() for one in every):
                found |= self.within(body)
        return found


class _Found:
    """What the scan has met so far."""

    def __init__(self) -> None:
        self.sets: list[tuple[int, str]] = []
        self.bodies: dict[str, list[Node]] = {}
        self.wrong: list[Node] = []
        self.mistaken = False

    def add(self, node: "Node | None", name: "str | None" = None) -> None:
        """Keep that ``node`` names a variable that is set."""
        if node is not None:
            self.sets.append((node.start_byte, source(node).partition("[")[0] if name is None else name))


def scan(root: "Node") -> Scanned:
    """Look at every node once, without recursion; a node's parents are kept here, since asking it for them is slow."""
    found = _Found()
    broken = root.has_error
    cursor = root.walk()
    path: list[Node] = []
    while True:
        node = cursor.node
        if node is not None:
            if broken and len(found.wrong) < MAX_WRONG and (node.is_missing or node.is_error):
                found.wrong.append(node)
            if node.is_named:
                _look(node, path[-1] if path else None, found)
            if cursor.goto_first_child():
                path.append(node)
                continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                single = {name: one[0] if len(one) == 1 else None for name, one in found.bodies.items()}
                return Scanned(tuple(sorted(found.sets)), single, found.bodies, found.wrong, found.mistaken)
            path.pop()


def _look(node: "Node", parent: "Node | None", found: _Found) -> None:
    kind = node.type
    if kind == "variable_assignment":
        if parent is None or parent.type != "command":  # NAME=value in front of a command is set for that one only
            found.add(node.child_by_field_name("name"))
    elif kind in ("for_statement", "unset_command"):
        for one in node.named_children:
            if one.type == "variable_name" or (kind == "unset_command" and one.type == "word"):
                found.add(one)
            elif kind == "unset_command":
                found.add(one, ANY)
    elif kind in _COUNTED:
        if any(_ASSIGNING.fullmatch(source(one)) for one in node.children):
            for one in node.named_children:
                if one.type in ("variable_name", "word", "subscript"):
                    found.add(one)
    elif kind == "test_command" and source(node).startswith("(("):
        if _ASSIGNING.search(source(node)):  # the grammar before 0.25, which Python 3.9 has, sees one word in it
            found.add(node, ANY)
    elif kind == "expansion":
        if any(one.type in ("=", ":=") for one in node.children):
            found.add(next((one for one in node.named_children if one.type == "variable_name"), None))
    elif kind == "declaration_command":
        _declared(node, found)
    elif kind == "function_definition":
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is not None and body is not None:
            found.bodies.setdefault(source(name), []).append(body)
    elif kind in ("command", "file_redirect") and node.start_point[0] != node.end_point[0]:
        _joined(node, found)
    elif kind == "command_name" and parent is not None:
        _called(node, parent, found)


def _joined(node: "Node", found: _Found) -> None:
    """Keep what the grammar takes for words of a command, or behind a redirection, though they stand on lines of their
    own: behind some pipelines it loses the end of the line."""
    parts = node.named_children
    at = next((at for at in range(1, len(parts)) if is_apart(parts[at - 1], parts[at])), None)
    if at is not None:
        found.mistaken = True
        found.wrong += parts[at : at + MAX_WRONG]


def is_apart(before: "Node", node: "Node") -> bool:
    """Whether two words of what the grammar takes for one command stand on lines of their own."""
    around = node.parent
    if around is None or node.end_point[0] == before.end_point[0]:
        return False
    return _ENDED.match(around.text or b"", before.end_byte - around.start_byte) is not None


def _declared(node: "Node", found: _Found) -> None:
    """Keep what export, declare, local set in other ways than NAME=value; a reference to a name may be any."""
    keeps = source(node).startswith(("export", "readonly"))
    for one in node.named_children:
        text = source(one)
        if one.type == "word" and text.startswith(("-", "+")):
            if "n" in text:
                found.add(one, ANY)
        elif one.type == "variable_name":
            if not keeps:
                found.add(one)
        elif one.type != "variable_assignment":
            name = _NAME.match(text)
            found.add(one, name[1] if name else ANY)


def _called(node: "Node", parent: "Node", found: _Found) -> None:
    text = source(node)
    if text in _RESERVED:
        found.mistaken = True
        found.wrong.append(node)
    if text in OPEN:
        found.add(node, ANY)
    elif text in _SETTERS and (text not in ("printf", "wait") or b"-" in (parent.text or b"")):
        for one in parent.named_children:
            word = source(one)
            if one.id == node.id or word.startswith(("-", "+")) or one.type.endswith(("redirect", "assignment")):
                continue
            name = _NAME.match(word)
            if name:
                found.add(one, name[1])
            elif text not in ("printf", "getopts", "wait") and not one.type.endswith(("string", "number")):
                found.add(one, ANY)
