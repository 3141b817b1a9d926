"""What must be known of a whole script before it is read: how often it sets a variable, which functions it calls."""

from typing import TYPE_CHECKING, NamedTuple

from preflight.submit.infer.shell import source

if TYPE_CHECKING:
    from tree_sitter import Node

# Commands that set the variables named in their words.
_SETTERS = frozenset(("read", "readarray", "mapfile", "getopts", "printf", "let", "local", "unset"))
_TOP = ("program", "list", "compound_statement", "subshell", "pipeline", "redirected_statement", "negated_command")


class Scanned(NamedTuple):
    """``assigned``: name -> how often. ``functions``: their names. ``once``: those called exactly once, without
    arguments, where the call surely is reached."""

    assigned: dict[str, int]
    functions: frozenset[str]
    once: frozenset[str]


def scan(root: "Node") -> Scanned:
    """Look at every node once, without recursion."""
    assigned: dict[str, int] = {}
    functions: dict[str, int] = {}
    calls: dict[str, list[Node]] = {}
    cursor = root.walk()
    going = True
    while going:
        node = cursor.node
        if node is not None and node.is_named:
            _look(node, assigned, functions, calls)
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                going = False
                break
    once = (name for name, count in functions.items() if count == 1 and _reached(calls.get(name, [])))
    return Scanned(assigned, frozenset(functions), frozenset(once))


def _look(node: "Node", assigned: dict[str, int], functions: dict[str, int], calls: "dict[str, list[Node]]") -> None:
    kind = node.type
    if kind == "variable_assignment":
        parent = node.parent
        if parent is None or parent.type != "command":  # NAME=value in front of a command is set for that one only
            _count(assigned, node.child_by_field_name("name"))
    elif kind in ("for_statement", "c_style_for_statement", "unset_command", "postfix_expression", "unary_expression"):
        for one in node.named_children:
            if one.type == "variable_name":
                _count(assigned, one)
    elif kind == "expansion":
        if any(one.type in ("=", ":=") for one in node.children):
            _count(assigned, next((one for one in node.named_children if one.type == "variable_name"), None))
    elif kind == "function_definition":
        name = node.child_by_field_name("name")
        if name is not None:
            functions[source(name)] = functions.get(source(name), 0) + 1
    elif kind == "command_name":
        name_text = source(node)
        if name_text in _SETTERS and node.parent is not None:
            for one in node.parent.named_children[1:]:
                assigned_name = source(one).partition("=")[0]
                assigned[assigned_name] = assigned.get(assigned_name, 0) + 2
        elif node.parent is not None:
            calls.setdefault(name_text, []).append(node.parent)


def _count(assigned: dict[str, int], node: "Node | None") -> None:
    if node is None:
        return
    name = source(node)
    if node.type == "subscript":  # an array's element
        name = name.partition("[")[0]
        assigned[name] = assigned.get(name, 0) + 1
    assigned[name] = assigned.get(name, 0) + 1


def _reached(calls: "list[Node]") -> bool:
    """Whether there is one call, without arguments, that stands at the top level."""
    if len(calls) != 1 or calls[0].named_child_count != 1:
        return False
    node, parent = calls[0], calls[0].parent
    for _ in range(1000):
        if parent is None:
            return True
        if parent.type not in _TOP:
            return False
        behind = parent.type == "list" and len(parent.children) > 1 and source(parent.children[1]) == "||"
        if behind and parent.children[0].id != node.id:
            return False
        node, parent = parent, parent.parent
    return False
