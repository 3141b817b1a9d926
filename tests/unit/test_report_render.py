"""What the renderers show, and that nothing in a report can break out of them.

The texts in tests/golden/report are what a user sees; PREFLIGHT_GOLDEN=1 writes them anew.
"""

import base64
import hashlib
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.report import model
from preflight.report.advice import BREAKER, SLOW, advise
from preflight.report.clean import clean, width
from preflight.report.merge import merge
from preflight.report.nodes import fold
from preflight.report.render import markdown, pad, render, wrap
from preflight.report.store import encode
from preflight.report.validate import load
from preflight.submit.why.run_outcomes import spared
from report_samples import HOSTILE, SAMPLES, START, finding, large, report

GOLDEN = Path(__file__).parent.parent / "golden" / "report"
VOID = {"meta", "br", "use", "path", "circle", "rect"}


def view_of(reports, label="42"):
    return merge(label, [load(encode(one)) for one in reports])


@pytest.mark.parametrize("suffix", ["txt", "md"])
@pytest.mark.parametrize("name", ["ready", "moved", "unhealthy", "sixteen", "hostile"])
def test_what_a_user_sees(name, suffix):
    shown = render(view_of(SAMPLES[name]()), {"txt": "text", "md": "markdown"}[suffix])
    shown = shown.replace(model.__version__, "VERSION")
    path = GOLDEN / f"{name}.{suffix}"
    if os.environ.get("PREFLIGHT_GOLDEN"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """Collects tags and attributes, and checks that elements close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.words, self.raw = [], [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.raw += data
        else:
            self.words.append(data)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_stands_alone(name):
    text = render(view_of(SAMPLES[name]()), "html")
    page = Page(text)
    assert page.open == []
    assert not set(page.tags) & {"script", "img", "iframe", "link", "object", "embed", "a", "form", "b"}
    assert all(value.startswith("#") for _, key, value in page.attributes if key in ("href", "src"))
    assert not any(key.startswith("on") or key == "style" for _, key, _ in page.attributes)
    assert "url(" not in page.raw
    assert "@import" not in page.raw


def test_the_content_policy_lets_only_our_style_through():
    page = Page(render(view_of(SAMPLES["ready"]()), "html"))
    policy = next(value for tag, key, value in page.attributes if tag == "meta" and "default-src" in (value or ""))
    digest = base64.b64encode(hashlib.sha256(page.raw.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_the_page_comes_in_the_order_that_is_promised():
    text = render(view_of(SAMPLES["moved"]()), "html")
    marks = ["<h1>", 'id="next"', 'id="checks"', 'id="environment"', 'id="changes"', 'id="timings"', 'id="software"']
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_page_can_be_read_by_ear():
    page = Page(render(view_of(SAMPLES["large"]()), "html"))
    assert ("html", "lang", "en") in page.attributes
    scoped = sum(tag == "th" and key == "scope" for tag, key, _ in page.attributes)
    assert scoped == page.tags.count("th") > 64
    words = "".join(page.words)
    assert words.count("Fail") >= 2
    assert "not checked" in words


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_every_node_and_check_is_shown(form):
    view = view_of(SAMPLES["large"]())
    text = render(view, form).replace("\\_", "_")
    folded = {row.node for one in view.tries for row in one.rows if row.verdict == "ready"} if form == "text" else set()
    assert all(node in text for node in view.nodes if node not in folded)
    assert not folded or fold(sorted(folded)).split(",")[0] in text
    assert all(check in text for check in view.checks if check == "gpu.ecc.uncorrected" or form != "text")


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_hostile_text_moves_nothing(form):
    text = render(view_of(SAMPLES["hostile"]()), form)
    assert not {letter for letter in text if letter != "\n" and not letter.isprintable()}
    assert "A" * 600 not in text
    assert "{{7*7}}" in text.replace("\\", "")
    if form != "text":
        assert "<script>" not in text
        assert "<b>" not in text
    if form == "html":
        assert "&lt;script&gt;" in text


@pytest.mark.parametrize(("text", "shown"), [("- x", "\\- x"), ("1. x", "1\\. x"), ("9) x", "9\\) x"), ("a-b", "a-b")])
def test_markdown_begins_no_block(text, shown):
    assert markdown(text) == shown


def test_markdown_has_no_live_markup():
    text = render(view_of(SAMPLES["hostile"]()), "markdown")
    assert "[x](" not in text
    assert "`rm`" not in text.replace("\\`", "")
    for line in text.splitlines():
        if line.startswith("|"):
            # A cell that holds "|" would make one more column than the table's head has.
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5, 6)


@pytest.mark.parametrize("name", SAMPLES)
def test_text_fits_eighty_columns(name):
    for line in render(view_of(SAMPLES[name]()), "text").splitlines():
        assert width(line) <= 80


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300))
def test_any_text_is_laid_out_in_bounds(text):
    assert all(width(line) <= 80 for line in wrap(text, 7, 9).split("\n"))
    assert width(pad(text, 12)) == 12
    assert clean(text).isprintable()
    assert clean(clean(text)) == clean(text)
    assert "\n" not in markdown(text)
    assert "<" not in markdown(text)


def test_what_differs_stands_out():
    text = render(view_of(SAMPLES["sixteen"]()), "text")
    assert "*                        535.161.08  (gpu007)" in text
    assert "lacks /scratch  (gpu012)" in text
    assert "could not be told: Timeout  (gpu012)" in text
    assert "the same on all 16 nodes\n  Operating system       Ubuntu 22.04.4 LTS" in text
    html = render(view_of(SAMPLES["sixteen"]()), "html")
    assert html.index("Differs between the nodes") < html.index("535.161.08") < html.index("The same on all 16 nodes")


def test_free_memory_is_no_difference():
    one, two = report("n1"), report("n2")
    two["facts"]["memory"]["available"] = 1
    assert not any(row.differs for row in view_of([one, two]).environment)


def test_a_fact_added_later_is_shown():
    rows = view_of([report(facts={"quantum": {"qubits": 5}})]).environment
    assert [(row.label, row.groups[0].text) for row in rows] == [("quantum.qubits", "5")]


@pytest.mark.parametrize("value", [None, 3, "x", [], [[]], {"devices": 7}, {"devices": ["x", None]}])
def test_facts_of_an_odd_shape_break_nothing(value):
    keys = {"devices": value, "version": value, "names": value}
    odd = report() | {"facts": dict.fromkeys(report()["facts"], keys)}
    for form in ("text", "html", "markdown"):
        assert render(view_of([odd]), form)


def test_the_last_run_decides_the_verdict():
    view = view_of(SAMPLES["moved"]())
    assert view.verdict == "ready"
    assert [(one.run, one.last, one.verdict) for one in view.tries] == [(0, False, "mismatch"), (1, True, "ready")]
    assert "gpu001 did not have what it asks for" in advise(view).sentence


def test_an_array_names_its_tasks():
    jobs = [report(job={"id": 120 + task, "array_job_id": 120, "array_task_id": task}) for task in (2, 10, 1)]
    jobs[1] |= {"verdict": "unhealthy"}
    view = view_of(jobs, "120")
    assert [one.name for one in view.tries] == ["task 1", "task 2", "task 10"]
    assert view.verdict == "unhealthy"
    assert advise(view).sentence.startswith("3 tasks: 2 ready, 1 unhealthy.")


def _advice(**other):
    return advise(view_of([report(**other)]))


@pytest.mark.parametrize(
    ("kind", "enforced", "says"),
    [
        ("requeue", True, "queued again to run elsewhere"),
        ("hold", True, "scontrol release 42"),
        ("cancel", True, "Ask for what a node has"),
        ("requeue", False, "expect it to fail"),
    ],
)
def test_the_user_of_a_mismatch_is_told_what_became_of_the_job(kind, enforced, says):
    advice = _advice(verdict="mismatch", action=model.action_block(kind, "because", enforced))
    assert says in advice.user[0]
    assert bool(advice.admin) is not enforced


def test_blame_decides_who_is_told():
    findings = [
        finding("a", "fail", "job", remedy="for the user"),
        finding("b", "warn", "user", remedy="for the user too"),
        finding("c", "fail", "node", remedy="for the admin"),
        finding("d", "warn", "site", remedy="for the admin too"),
        finding("e", "unknown", "job", remedy="for the admin as well"),
    ]
    advice = _advice(findings=findings)
    assert [line for line in advice.user if "for the" in line] == [
        "gpu001: for the user. [a]",
        "gpu001: for the user too. [b]",
    ]
    assert len([line for line in advice.admin if "for the admin" in line]) == 3


def test_a_fault_found_after_the_job_is_said_to_the_user():
    assert "before you trust it" in _advice(phase="epilog", verdict="unhealthy").user[0]


def test_node_names_fold_as_slurm_writes_them():
    assert fold(["gpu002", "gpu001", "gpu003", "cpu1"]) in ("gpu[001-003],cpu1", "cpu1,gpu[001-003]")
    assert fold(["@group", HOSTILE]) == f"@group, {HOSTILE}"
    assert fold(str(number) + "!" for number in range(20)).endswith(" and 12 more")


def test_the_admin_reads_that_the_drain_breaker_held_not_that_something_was_only_recorded():
    detail = "drain breaker: 2 nodes are drained by preflight already; not drained: preflight:x:y: z"
    (line, *_) = _advice(verdict="unhealthy", action=model.action_block("drain", detail, False)).admin
    assert "was not drained, the drain breaker held: 2 nodes are drained" in line
    assert "Look at the policy first" in line


@pytest.mark.parametrize("held", [SLOW, BREAKER])  # as reports say it now, and as they once did
def test_a_slow_controller_is_no_sign_of_a_wrong_policy(held):
    detail = f"{held}: Slurm's commands take 2.0 s, and 1.1 s are left to count and undo; not drained: preflight:x:y: z"
    (line, *_) = _advice(verdict="unhealthy", action=model.action_block("drain", detail, False)).admin
    assert "nobody could count the drained nodes: Slurm's commands take 2.0 s, and 1.1 s are left to count" in line
    assert "policy" not in line
    report = {"phase": "prolog", "verdict": "unhealthy", "action": model.action_block("drain", detail, False)}
    assert spared(report).startswith("nobody could count the drained nodes: Slurm's commands take 2.0 s")
    assert not spared(report).endswith("z")


def test_many_ready_nodes_are_folded_in_text_and_html():
    reports = large()
    ready = [one for one in reports if one["verdict"] == "ready"]
    assert len(ready) > 16
    view = view_of(reports)
    text, html = render(view, "text"), render(view, "html")
    nodes = text.partition("\nNodes\n")[2].partition("\n\n")[0]
    assert len(nodes.splitlines()) < len(ready)
    assert f"{len(ready)} more are ready: " in nodes or f"{len(ready)} are ready: " in nodes
    assert "<summary>" in html.partition('id="checks"')[2].partition("Findings")[0]
    for one in ready:
        assert f">{one['node']}<" in html


def test_every_table_of_the_page_has_a_caption_and_a_number_beside_a_mark_is_explained():
    for sample in SAMPLES.values():
        html = render(view_of(sample()), "html")
        assert html.count("<table") == html.count("<caption")
        assert ('class="times"' in html) == ("A number beside a mark" in html)


def test_nobody_is_sent_to_a_node_that_is_well_again():
    fault = finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu3", remedy="reset it")
    well = finding("gpu.ecc.uncorrected", "pass", "node", subject="")
    job = report(job=model.job_block(42, restart=0), verdict="unhealthy", findings=[fault])
    later = {"job": model.job_block(42, restart=1), "started": START + 999, "verdict": "ready", "findings": [well]}
    again = report(**later)
    assert not any("reset it" in line for line in advise(view_of([job, again])).admin)
    elsewhere = report("gpu002", **later)
    assert any("reset it" in line for line in advise(view_of([job, elsewhere])).admin)


def test_checks_that_could_not_judge_a_node_are_one_line_for_its_admin():
    names = [f"gpu.{letter}" for letter in "abcdefghij"]
    advice = _advice(findings=[finding(name, "unknown", "node") for name in names])
    (line,) = advice.admin
    assert line.startswith("gpu001: 10 checks could not judge, Findings say why: gpu.a, gpu.b")
    assert line.endswith("gpu.h and 2 more.")
    (line,) = _advice(findings=[finding("gpu.a", "unknown", "node", message="the driver is silent")]).admin
    assert line == "gpu001: the driver is silent. [gpu.a]"
    assert len(_advice(findings=[finding(name, "fail", "node") for name in names[:3]]).admin) == 3
