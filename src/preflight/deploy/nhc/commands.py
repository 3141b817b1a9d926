"""A check's text as bash takes it apart: its simple commands, where all of them run one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from preflight.deploy.nhc.braces import Unread
from preflight.deploy.nhc.words import text_of

LONGEST = 20_000  # characters of a line; more is no check
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


class Command(NamedTuple):
    """A simple command: ``assigned`` variables before it, its words; without words it sets the variables.

    ``kept``: variables that it exports or makes constant as they are.
    """

    assigned: tuple[tuple[str, Node | None], ...]
    words: tuple[Node, ...]
    text: str
    kept: tuple[str, ...] = ()


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
    if name is None or text_of(name) not in _ENDING:
        return False
    return text_of(name) != "exec" or bool(node.children_by_field_name("argument"))


def _statement(node: Node) -> Iterator[Command]:
    if node.type == "comment":
        return
    if node.type == "list":
        if any(one.type == "||" for one in node.children):
            raise Unread("what follows || depends on how the first part answers")
        for one in node.named_children:
            if one.type == "test_command":
                raise Unread(f"it is done only where {text_of(one)} holds")
            yield from _statement(one)
    elif node.type == "command":
        yield _command(node)
    elif node.type in ("variable_assignment", "variable_assignments"):
        each = [node] if node.type == "variable_assignment" else node.named_children
        yield Command(tuple(_assignment(one) for one in each), (), text_of(node))
    elif node.type == "declaration_command":
        if not text_of(node).startswith(("export ", "readonly ", "declare ", "typeset ")):
            raise Unread(f"{text_of(node).split()[0]} is no setting")
        each = [one for one in node.named_children if one.type == "variable_assignment"]
        rest = [one for one in node.named_children if one.type != "variable_assignment"]
        if any(one.type != "variable_name" and text_of(one) not in ("-x", "-r") for one in rest):
            raise Unread(f"{text_of(node)[:60]}: more than values of variables is set")
        bare = tuple(text_of(one) for one in rest if one.type == "variable_name")
        yield Command(tuple(_assignment(one) for one in each), (), text_of(node), bare)
    elif node.type == "unset_command":
        each = [one for one in node.named_children if one.type == "variable_name"]
        yield Command(tuple((text_of(one), None) for one in each), (), text_of(node))
    elif node.type == "redirected_statement":
        body, *redirects = node.named_children
        for one in redirects:
            if not re.fullmatch(r"[0-9&]*(>|>>|>&|&>)\s*(/dev/null|[12])", text_of(one)):
                raise Unread(f"it has a redirection, {text_of(one)}")
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
            raise Unread(f"it has a redirection, {text_of(one)}")
        else:
            words.append(one)
    return Command(tuple(assigned), tuple(words), text_of(node))


def _assignment(node: Node) -> tuple[str, Node | None]:
    name, *value = node.named_children
    if (
        name.type != "variable_name"
        or any(one.type == "array" for one in value)
        or "+=" in [c.type for c in node.children]
    ):
        raise Unread("it sets an array, or a part of a variable")
    return text_of(name), value[0] if value else None
