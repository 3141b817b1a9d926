"""What must be known of a whole script before it is read: how often it sets a variable, which functions it calls."""

from typing import TYPE_CHECKING, NamedTuple

from preflight.submit.infer.shell import source

if TYPE_CHECKING:
    from tree_sitter import Node

# Commands that set the variables named in their words.
_SETTERS = frozenset(("read", "readarray", "mapfile", "getopts", "printf", "let", "local", "unset"))
MAX_WRONG = 50
_TOP = ("program", "list", "compound_statement", "subshell", "pipeline", "redirected_statement", "negated_command")


class Scanned(NamedTuple):
    """``assigned``: name -> how often. ``functions``: name -> body, None of one that is defined twice. ``once``: those
    called exactly once, without arguments, where the call surely is reached. ``wrong``: the first nodes that are no
    shell syntax. ``waits``: where the last `wait` begins, in bytes; -1 without one."""

    assigned: dict[str, int]
    functions: "dict[str, Node | None]"
    once: frozenset[str]
    wrong: "list[Node]"
    waits: int


class _Found:
    """What the scan has counted so far. ``calls``: name -> whether each call has no arguments and is surely reached."""

    def __init__(self) -> None:
        self.assigned: dict[str, int] = {}
        self.functions: dict[str, Node | None] = {}
        self.calls: dict[str, list[bool]] = {}
        self.wrong: list[Node] = []
        self.waits = -1

    def count(self, node: "Node | None", times: int = 1) -> None:
        """Count an assignment to what ``node`` names; an element of an array counts as two, and so as unknown."""
        if node is not None:
            name, bracket, _ = source(node).partition("[")
            self.assigned[name] = self.assigned.get(name, 0) + (2 if bracket else times)


def scan(root: "Node") -> Scanned:
    """Look at every node once, without recursion; a node's parents are kept here, since asking it for them is slow."""
    found = _Found()
    broken = root.has_error
    cursor = root.walk()
    path: list[tuple[Node, bool]] = []  # the nodes around, and whether each is surely reached
    while True:
        node = cursor.node
        if node is not None:
            reached = _reached(path[-1], node) if path else True
            if broken and len(found.wrong) < MAX_WRONG and (node.is_missing or node.is_error):
                found.wrong.append(node)
            if node.is_named:
                _look(node, path[-1][0] if path else None, path[-1][1] if path else True, found)
            if cursor.goto_first_child():
                path.append((node, reached))
                continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return _result(found)
            path.pop()


def _result(found: _Found) -> Scanned:
    once = (name for name, body in found.functions.items() if body is not None and found.calls.get(name) == [True])
    return Scanned(found.assigned, found.functions, frozenset(once), found.wrong, found.waits)


def _reached(parent: "tuple[Node, bool]", node: "Node") -> bool:
    """Whether a node is surely reached: at the top level, and not behind ||."""
    around, reached = parent
    if not reached or around.type not in _TOP:
        return False
    behind = around.type == "list" and len(around.children) > 1 and source(around.children[1]) == "||"
    return not behind or around.children[0].id == node.id


def _look(node: "Node", parent: "Node | None", reached: bool, found: _Found) -> None:
    kind = node.type
    if kind == "variable_assignment":
        if parent is None or parent.type != "command":  # NAME=value in front of a command is set for that one only
            found.count(node.child_by_field_name("name"))
    elif kind in ("for_statement", "c_style_for_statement", "unset_command", "postfix_expression", "unary_expression"):
        for one in node.named_children:
            if one.type == "variable_name":
                found.count(one)
    elif kind == "expansion":
        if any(one.type in ("=", ":=") for one in node.children):
            found.count(next((one for one in node.named_children if one.type == "variable_name"), None))
    elif kind == "function_definition":
        name = node.child_by_field_name("name")
        if name is not None:
            body = None if source(name) in found.functions else node.child_by_field_name("body")
            found.functions[source(name)] = body
    elif kind == "command_name" and parent is not None:
        text = source(node)
        if text == "wait":
            found.waits = node.start_byte
        if text in _SETTERS:
            for one in parent.named_children[1:]:
                name_text = source(one).partition("=")[0]
                found.assigned[name_text] = found.assigned.get(name_text, 0) + 2
        else:
            found.calls.setdefault(text, []).append(parent.named_child_count == 1 and reached)
