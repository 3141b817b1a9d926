"""Which parts of A && B || C surely run and must succeed, and which commands end the script."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from preflight.submit.infer.shell import children, source
from preflight.submit.infer.words import names

if TYPE_CHECKING:
    from tree_sitter import Node

BEHIND_OR = "runs only if what stands before || fails"
_BEHIND_AND = "runs only if what stands before && succeeds"
_CAUGHT = "may fail: || goes on with something else"
_ASSIGNS = ("variable_assignment", "variable_assignments", "declaration_command", "unset_command")
# Commands that prepare a job and ask no question: that they succeed is expected, or the job is lost anyway.
_EXPECTED = names(
    "true : cd pushd popd echo printf date hostname export set shopt ulimit umask sleep source . conda mamba "
    "micromamba pwd unset touch"
)
_EXPECTED_MODULE = names("load add switch swap unload rm del purge use unuse reset restore list")
_MAX_DEPTH = 20


def doubts(parts: "Sequence[tuple[str, Node]]", functions: "Mapping[str, Node | None]") -> list[str]:
    """Return why each part of a chain may not run, or may fail; "" where it surely runs and its failure counts.

    ``parts``: (the sign before it, the part), the first without a sign.
    """
    found = []
    for at, (sign, _) in enumerate(parts):
        if sign == "||":
            found.append(BEHIND_OR)
        elif sign == "&&" and not all(_is_expected(part) for _, part in parts[:at]):
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
        if not _is_expected(part):
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


def _is_expected(node: "Node") -> bool:
    if node.type in _ASSIGNS:
        return not any(children(node, ("command_substitution",)))
    if node.type == "redirected_statement" and node.named_children:
        return _is_expected(node.named_children[0])
    if node.type != "command":
        return False
    words = [word for word in _words(node) if not word.startswith("-")]
    if words[:1] in (["module"], ["ml"]):
        known = words[1:2] and words[1] in _EXPECTED_MODULE
        return bool(known) or (words[0] == "ml" and len(words) > 1 and not words[1].startswith(("is-", "av", "sh")))
    return (words[:1] == ["mkdir"] and "-p" in _words(node)) or (bool(words) and words[0] in _EXPECTED)


def _words(node: "Node") -> list[str]:
    """Return a command's words as written, without what is assigned before it."""
    return [source(one) for one in node.named_children if one.type != "variable_assignment"]
