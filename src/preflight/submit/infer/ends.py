"""Which parts of A && B || C surely run and must succeed, which commands end the script, and what runs at its end."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from preflight.submit.infer.programs import is_expected, starts
from preflight.submit.infer.tree import children, source

if TYPE_CHECKING:
    from tree_sitter import Node

BEHIND_OR = "runs only if what stands before || is not so"
BEHIND_FAILURE = "runs only if what stands before || fails"
_BEHIND_AND = "runs only if what stands before && succeeds"
_CAUGHT = "may fail: || goes on with something else"
_ASSIGNS = ("variable_assignment", "variable_assignments", "declaration_command", "unset_command")
_MAX_DEPTH = 20
# Signals that come from outside, if ever: what is trapped for others runs by itself, at the end or before it.
_SENT = re.compile(r"(?:SIG)?(?:USR[12]|TERM|INT|HUP|QUIT|CONT|ALRM|PIPE|CHLD|XCPU|TSTP|WINCH|[1-9]\d?)", re.IGNORECASE)


def doubts(parts: "Sequence[tuple[str, Node]]", functions: "Mapping[str, Node | None]") -> list[str]:
    """Return why each part of a chain may not run, or may fail; "" where it surely runs and its failure counts.

    ``parts``: (the sign before it, the part), the first without a sign.
    """
    found = []
    for at, (sign, _) in enumerate(parts):
        if sign == "||":
            fails = all(_is_expected(part, functions) for _, part in parts[:at])
            found.append(BEHIND_FAILURE if fails else BEHIND_OR)
        elif sign == "&&" and not all(_is_expected(part, functions) for _, part in parts[:at]):
            found.append(_BEHIND_AND)
        else:
            found.append("" if _counts(parts[at + 1 :], functions) else _CAUGHT)
    return found


def _counts(following: "Sequence[tuple[str, Node]]", functions: "Mapping[str, Node | None]") -> bool:
    """Whether a failure ends the script: nothing catches it with ||, or what does so ends the script in its turn."""
    caught = next((at for at, (sign, _) in enumerate(following) if sign == "||"), None)
    if caught is None:
        return True
    for at, (sign, part) in enumerate(following[caught:]):
        if at and sign != "&&":
            return False
        if leaves(part, functions):
            return True
        if not _is_expected(part, functions):
            return False
    return False


def leaves(node: "Node", functions: "Mapping[str, Node | None]", depth: int = 0) -> bool:
    """Whether a statement surely ends the script as failed: `exit 1`, a group or a function that comes to one."""
    if depth > _MAX_DEPTH:
        return False
    if node.type == "redirected_statement" and node.named_children:
        return leaves(node.named_children[0], functions, depth + 1)
    if node.type == "compound_statement":
        return any(leaves(one, functions, depth + 1) for one in node.named_children)
    if node.type != "command":
        return False
    words = _words(node)
    if words[:1] == ["exit"]:
        return words[1:] != ["0"]
    body = functions.get(words[0]) if words else None
    return body is not None and leaves(body, functions, depth + 1)


def may_end(body: "Node | None") -> bool:
    """Whether a function may end the script well, or turn into another program; one that is not known may."""
    if body is None:
        return True
    for one in children(body, ("command",)):
        words = _words(one)
        if words[:1] == ["exec"] and len(words) > 1:
            return True
        if words[:1] == ["exit"] and words[1:] in ([], ["0"]):
            return True
    return False


def is_sent(signal: str) -> bool:
    """Whether a signal, as `trap` is given it, comes from outside."""
    return _SENT.fullmatch(signal) is not None


def may_start(root: "Node", bodies: "Mapping[str, Sequence[Node]]") -> bool:
    """Whether a part of the script may start a program of the user's, by the functions that it calls too.

    ``bodies``: those of all functions by name.
    """
    todo, seen = [root], set()
    while todo:
        node = todo.pop()
        for one in children(node, ("command_name",)) if node.type != "command_name" else [node]:
            name = source(one)
            if name in bodies:
                todo += [] if name in seen else bodies[name]
                seen.add(name)
            elif starts(name.rpartition("/")[2]):
                return True
            if one.child_count:  # $(./program) as a name, or as a part of one
                todo += [each for child in one.children for each in child.children]
    return False


def _is_expected(node: "Node", functions: "Mapping[str, Node | None]", depth: int = 0) -> bool:
    """Whether a statement's success is expected: what follows && then runs whenever the job goes well."""
    if depth > _MAX_DEPTH:
        return False

    def every(parts: "Sequence[Node]") -> bool:
        return bool(parts) and all(_is_expected(one, functions, depth + 1) for one in parts)

    if node.type in _ASSIGNS:
        return not any(children(node, ("command_substitution",)))
    if node.type == "redirected_statement" and node.named_children:
        return every(node.named_children[:1])
    if node.type in ("subshell", "compound_statement", "pipeline"):
        chosen = node.type != "compound_statement" and not _goes_well(node, "exit")
        return source(node.children[0]) != "((" and not chosen and every(node.named_children)
    if node.type == "list":
        return source(node.children[1]) == "&&" and every(node.named_children)
    if node.type != "command":
        return False
    words = _words(node)
    if words and words[0] in functions:
        body = functions[words[0]]
        names = ("return", "exit") if body is not None and body.type == "subshell" else ("return",)
        return body is not None and _goes_well(body, *names) and every(body.named_children[-1:])
    return is_expected(words)


def _goes_well(body: "Node", *names: str) -> bool:
    """Whether a part of the script has no `return` (or `exit`) by which it would answer a question."""
    words = (_words(one) for one in children(body, ("command",)))
    return not any(found[:1] and found[0] in names and found[1:] != ["0"] for found in words)


def _words(node: "Node") -> list[str]:
    """Return a command's words as written, without what is assigned before it."""
    return [source(one) for one in node.named_children if one.type != "variable_assignment"]
