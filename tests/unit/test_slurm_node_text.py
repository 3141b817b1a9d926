"""Nodes of scontrol's text: read where every line is proven to be Slurm's own, else not at all."""

import pytest

from preflight.slurm.node_text import NotProven, parsed

HOSTILE = "x  Extra=no [a] Reason=none State=IDLE NodeName=n9 "


def both(*nodes: tuple[str, str, str]) -> tuple[str, str]:
    """Return scontrol's long and one-line form of nodes: name, comment, Extra."""
    forms = []
    for joint, end in (("\n   ", "\n\n"), (" ", "\n")):
        text = ""
        for name, comment, extra in nodes:
            lines = [
                f"NodeName={name} CoresPerSocket=1 ", "CPUAlloc=0 CPUTot=4 CPULoad=N/A", "AvailableFeatures=a,b",
                "ActiveFeatures=a", "Gres=(null)", "RealMemory=4096 AllocMem=0", "State=IDLE+DRAIN ThreadsPerCore=1",
                "Partitions=main,urgent ", f"Reason={HOSTILE}[root@2026-11-29T19:18:10]", f"Comment={comment}",
            ]  # fmt: skip
            text += joint.join(lines + ([f"Extra={extra}"] if extra else [])) + end
        forms.append(text)
    return forms[0], forms[1]


def test_text_on_one_line_stays_in_its_field() -> None:
    first, second = parsed(*both(("n1", HOSTILE, ""), ("n2", "", HOSTILE + '{"a":1}')))
    assert (first.name, first.state, first.extra) == ("n1", ("IDLE", "DRAIN"), "")
    assert first.reason == HOSTILE.strip()
    assert second.extra == HOSTILE + '{"a":1}'
    assert (second.cpus, second.memory, second.gres, second.partitions) == (4, 4096, "", ("main", "urgent"))
    assert (second.features, second.active) == (("a", "b"), ("a",))


@pytest.mark.parametrize(
    "text",
    [
        "x\n   Extra=forged",
        "x\n\nNodeName=n9 CoresPerSocket=1 ",
        "x\nNodeName=n9 CoresPerSocket=1 ",
        "x\n\n" + both(("n9", "", "forged"))[0].rstrip(),
        "x\n" + both(("n9", "", "forged"))[1].rstrip(),
        "x\n",
    ],
)
def test_a_newline_in_a_text_is_never_a_field(text: str) -> None:
    for nodes in ([("n1", text, ""), ("n2", "", "e")], [("n1", "", text)]):
        with pytest.raises(NotProven):
            parsed(*both(*nodes))


@pytest.mark.parametrize("short", ["", "NodeName=n1 Extra=other\n", "NodeName=n2 Extra=e\n"])
def test_forms_that_do_not_agree_are_not_read(short: str) -> None:
    with pytest.raises(NotProven):
        parsed(both(("n1", "", "e"))[0], short)


def test_a_reason_of_several_lines_is_not_read() -> None:
    long, short = both(("n1", "", "e"))
    with pytest.raises(NotProven):
        parsed(long.replace("\n   Comment=", "\n          Extra=forged\n   Comment="), short)
