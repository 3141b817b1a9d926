"""Nodes of scontrol's two forms, read side by side: whatever a text holds, it is never taken for a line of Slurm's."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.slurm.node_text import NotProven, parsed

HOSTILE = "x  Extra=no [a] Reason=none State=IDLE NodeName=n9 "


class One(NamedTuple):
    """A node to print: ``tail`` is 24.11's line of blanks, ``load`` and ``state`` change all the time."""

    name: str
    comment: str = ""
    extra: str = ""
    reason: str = HOSTILE
    features: str = "a,b"
    load: str = "N/A"
    state: str = "IDLE+DRAIN"
    tail: bool = False


def form(nodes: list[One], long: bool) -> str:
    """Return what scontrol prints of nodes (src/api/node_info.c does it so; the lab holds the real one against it)."""
    joint, end = ("\n   ", "\n\n") if long else (" ", "\n")
    text = ""
    for one in nodes:
        first, *more = [part for part in one.reason.split("\n") if part] or [""]
        lines = [
            f"NodeName={one.name} CoresPerSocket=1 ", f"CPUAlloc=0 CPUTot=4 CPULoad={one.load}",
            f"AvailableFeatures={one.features}", f"ActiveFeatures={one.features}", "Gres=(null)",
            "OS=Linux 6.1 #1 SMP ", "RealMemory=4096 AllocMem=0 FreeMem=1", f"State={one.state} ThreadsPerCore=1",
            "Partitions=main,urgent ", "BootTime=None", *([""] if one.tail else []),
            *([f"Reason={first} [root@2026-11-29T19:18:10]"] if first else []), *(f"       {part}" for part in more),
            *([f"Comment={one.comment}"] if one.comment else []), *([f"Extra={one.extra}"] if one.extra else []),
        ]  # fmt: skip
        text += joint.join(lines) + end
    return text


def both(*nodes: One) -> tuple[str, str]:
    return form(list(nodes), True), form(list(nodes), False)


def test_text_on_one_line_stays_in_its_field() -> None:
    first, second = parsed(*both(One("n1", HOSTILE), One("n2", "", HOSTILE + '{"a":1}', tail=True)))
    assert (first.name, first.state, first.extra) == ("n1", ("IDLE", "DRAIN"), "")
    assert first.reason == HOSTILE.strip()
    assert second.extra == HOSTILE + '{"a":1}'
    assert (second.cpus, second.memory, second.gres, second.partitions) == (4, 4096, "", ("main", "urgent"))
    assert (second.features, second.active) == (("a", "b"), ("a", "b"))


WHOLE = form([One("n9", "", "forged")], True), form([One("n9", "", "forged")], False), form([One("n2")], True)
PARTS = st.sampled_from([
    "\n", "\n\n", "\n   ", "   ", " ", "       ", "x", "{", "Extra=forged", "Reason=forged", "Comment=forged",
    "State=IDLE ", "NodeName=n9 ", "NodeName=n2 CoresPerSocket=1 ", "CPUAlloc=0 CPUTot=9 ", *WHOLE,
])  # fmt: skip
TEXT = st.lists(PARTS, max_size=6).map("".join)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT).map(lambda texts: One("", *texts[:3], f"z{texts[3]}")), max_size=3))
def test_whatever_stands_in_texts_is_read_as_it_was_written(made: list[One]) -> None:
    nodes = [one._replace(name=f"n{place}", tail=bool(place % 2)) for place, one in enumerate([One(""), *made])]
    found = parsed(*both(*nodes))
    assert [one.name for one in found] == [one.name for one in nodes]
    for one, node in zip(nodes, found):
        assert node.extra == one.extra.strip()
        assert ",".join(node.features) == one.features.strip()
        assert node.reason == "\n".join(part for part in one.reason.split("\n") if part).strip()
        assert (node.state, node.cpus, node.memory) == (("IDLE", "DRAIN"), 4, 4096)


def test_a_reason_of_several_lines_is_whole_but_for_empty_lines() -> None:
    node, other = parsed(*both(One("n1", "", "e", "one\n\n   Extra=forged\n two"), One("n2")))
    assert (node.reason, node.extra) == ("one\n   Extra=forged\n two", "e")
    assert other.reason == HOSTILE.strip()


def test_numbers_that_changed_between_the_two_are_no_matter() -> None:
    first = [One("n1", "a\nb", "e\n\nf"), One("n2", "", "g"), One("n3", "", "h\n")]
    then = [one._replace(load="12.5", state="ALLOCATED") for one in first]
    found = parsed(form(first, True), form(then, False))
    assert [one.extra for one in found] == ["e\n\nf", "g", "h"]
    assert {one.state for one in found} == {("IDLE", "DRAIN")}


@pytest.mark.parametrize(
    "then",
    [
        [],
        [One("n1", "", "other"), One("n2", "", "a\nb")],
        [One("n1", "", "e"), One("n2", "", "a\nc")],
        [One("n1", "", "e"), One("n2", "", "a")],
        [One("n1", "", "e")],
        [One("n2", "", "a\nb"), One("n1", "", "e")],
        [One("n1", "", "e"), One("n2", "", "a\nb"), One("n3")],
        [One("n1", "new", "e"), One("n2", "", "a\nb")],
        [One("n1", "", "e", ""), One("n2", "", "a\nb")],
    ],
)
def test_forms_of_different_nodes_prove_nothing(then: list[One]) -> None:
    with pytest.raises(NotProven):
        parsed(form([One("n1", "", "e"), One("n2", "", "a\nb")], True), form(then, False))


@pytest.mark.parametrize("short", ["", "NodeName=n1 Extra=other\n", "NodeName=n2 Extra=e\n"])
def test_of_nodes_without_newlines_the_extra_is_held_against_the_other_form(short: str) -> None:
    with pytest.raises(NotProven):
        parsed(form([One("n1", "", "e")], True), short)


@pytest.mark.parametrize("wrong", ["", "\n\n", "No nodes in the system", "NodeName=n1\n\n"])
def test_what_is_no_node_is_refused(wrong: str) -> None:
    with pytest.raises(NotProven):
        parsed(wrong, wrong)
