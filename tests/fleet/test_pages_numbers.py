"""The numbers on the pages are those of `preflight fleet` and of the reports themselves."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fleet import generator, reckoning
from preflight import hostlist
from preflight.fleet.entry import DAY_MS, EntryReader
from preflight.fleet.pages import access, app, cells, charts, fleet_map, show, states, table
from preflight.fleet.pages.ask import link
from preflight.fleet.pages.views import common
from preflight.fleet.query import standing
from preflight.fleet.query.window import instant
from preflight.fleet.store.interface import Store
from preflight.fleet.store.open import open_store
from preflight.fleet.web.app import make_app

NODES, DAYS = 60, 8


@pytest.fixture(scope="module")
def raws() -> list[bytes]:
    return list(generator.month(NODES, DAYS, 3, gpus=2, seed=5))


@pytest.fixture(scope="module")
def reports(raws: list[bytes]) -> list[dict[str, Any]]:
    return reckoning.load(raws)


@pytest.fixture(scope="module")
def store(raws: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('numbers')}/fleet.db")
    read = EntryReader().read
    opened.add([read(raw) for raw in raws])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    token = access.make(store, "carol", "admin")
    with TestClient(make_app(store), headers={"authorization": f"Bearer {token}"}) as made:
        yield made


def ask(client: TestClient, path: str) -> Any:
    answer = client.get(path + ("&" if "?" in path else "?") + "format=json")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_fleet_is_as_the_reports_say(client: TestClient, reports: list[dict[str, Any]]) -> None:
    begin = int(time.time() * 1000) - 5 * DAY_MS
    page = ask(client, "/fleet?since=5d")
    newest = {one["node"]: one for one in reports}
    assert {name: number for name, number in page["figures"]["verdicts"].items() if number} == Counter(
        one["verdict"] for one in newest.values()
    )
    assert page["figures"]["nodes"] == NODES
    lasting = [one for one in reckoning.drains(reports, 0, 1 << 62) if one[2] is None]
    assert page["figures"]["drained"] == len(lasting)
    assert sorted(row["node"] for row in page["tables"]["drained"]) == sorted(one[0] for one in lasting)
    hours = -(-begin // 3_600_000)
    prologs = [one for one in reports if one["phase"] == "prolog" and one["at"] // 3_600_000 >= hours]
    assert page["figures"]["prologs"] == len(prologs)
    assert page["figures"]["misfits"] == sum(one["verdict"] == "mismatch" for one in prologs)
    days = range(begin // DAY_MS, int(time.time() * 1000) // DAY_MS + 1)
    failing = {(row["check"], row["status"]): (row["nodes"], row["runs"]) for row in page["tables"]["failing"]}
    assert failing == reckoning.failing(reports, days)
    undone = [one for one in reports if one["action"]["kind"] != "none" and not one["action"]["enforced"]]
    assert page["figures"]["not_enforced"] == sum(one["at"] >= begin for one in undone)


def test_the_fleet_is_as_the_command_says(client: TestClient, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    from preflight.cli.fleet_answers import drift_, status_
    from preflight.cli.fleet_nodes import node_

    url = f"sqlite:///{store._path}"  # type: ignore[attr-defined]
    page = ask(client, "/fleet")
    said = _command(status_, ["--store", url, "--json"], capsys)
    assert page["figures"]["nodes"] == len(said["nodes"])
    assert page["figures"]["drained"] == len(said["drained"])
    assert sorted(row["node"] for row in page["tables"]["silent"]) == sorted(said["silent"])
    assert page["figures"]["not_enforced"] == said["would"]
    its = said["last_24h"]
    ours = page["figures"]
    assert (ours["prologs"], ours["misfits"], ours["p50_ms"], ours["p95_ms"]) == (
        *(its["jobs"], its["misfits"], its["p50_ms"], its["p95_ms"]),
    )
    assert page["tables"]["failing"] == said["failing"]
    name = next(row["node"] for row in ask(client, "/fleet?since=8d")["tables"]["drained"] or said["nodes"])
    node = ask(client, f"/node?name={name}")
    history = _command(node_, [name, "--store", url, "--json"], capsys)
    assert node["figures"]["jobs_lost"] == history["lost"]
    assert node["figures"]["drains"] == len(history["drains"]) == len(node["tables"]["drains"])
    assert node["figures"]["availability"] == pytest.approx(history["availability"], abs=1e-5)
    assert [row["fact"] for row in node["tables"]["changes"]] == [one["fact"] for one in history["changes"]][::-1] or (
        sorted(row["fact"] for row in node["tables"]["changes"]) == sorted(one["fact"] for one in history["changes"])
    )
    drift = _command(drift_, ["--store", url, "--json"], capsys)
    assert ask(client, "/drift")["figures"]["outliers"] == len(drift)


def _command(command: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    command.main(arguments, standalone_mode=False)
    return json.loads(capsys.readouterr().out)


def test_jobs_by_every_filter(client: TestClient, reports: list[dict[str, Any]]) -> None:
    known: dict[int, list[dict[str, Any]]] = {}
    for one in reports:
        if one["job"]:
            known.setdefault(one["job"]["id"], []).append(one)

    def numbers(path: str) -> set[int]:
        rows, at = [], 1
        while True:
            page = ask(client, f"{path}&size=100&page={at}")
            rows += page["tables"]["jobs"]
            if not page["figures"]["more"]:
                found = [int(row["job"]) for row in rows]
                assert len(found) == len(set(found))
                return set(found)
            at += 1

    assert numbers("/jobs?since=30d") == set(known)
    assert numbers("/jobs?since=30d&verdict=mismatch") == {
        job for job, its in known.items() if any(one["verdict"] == "mismatch" for one in its)
    }
    assert numbers("/jobs?since=30d&node=gpu0005") == {
        job for job, its in known.items() if any(one["node"] == "gpu0005" for one in its)
    }
    assert numbers("/jobs?since=30d&user=nobody") == set()


def test_links_of_the_list_of_jobs_lead_on_and_back(client: TestClient, reports: list[dict[str, Any]]) -> None:
    def links(path: str) -> tuple[list[int], dict[str, str], str]:
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        rels = re.findall(r'<a href="(/jobs[^"]*)" rel="(prev|next)">', answer.text)
        rows = ask(client, path)["tables"]["jobs"]
        (span,) = re.findall(r"<span>([0-9,]+ to [0-9,]+)</span>", answer.text)
        return [int(row["job"]) for row in rows], {rel: unescape(href) for href, rel in rels}, span

    number = len({one["job"]["id"] for one in reports if one["job"]})
    pages = [links("/jobs?since=30d&size=100")]
    while "next" in pages[-1][1]:
        pages.append(links(pages[-1][1]["next"]))
    assert sum(len(jobs) for jobs, _, _ in pages) == number == len({job for jobs, _, _ in pages for job in jobs})
    assert [span for _, _, span in pages[:2]] == ["1 to 100", "101 to 200"]
    assert pages[-1][2].endswith(f"to {number:,}")
    at = pages[-1]
    for page in reversed(pages[:-1]):
        at = links(at[1]["prev"])
        assert at == page
    assert "prev" not in at[1]
    assert links("/jobs?since=30d&size=100&page=3")[0] == pages[2][0]  # as earlier links have it
    assert links("/jobs?since=30d&size=100&page=7&before=999999999999999.1.")[0] == pages[0][0]
    figures = ask(client, "/jobs?since=30d&size=100")["figures"]
    assert ask(client, f"/jobs?since=30d&size=100&after={figures['after']}")["figures"]["shown"] == 100


@pytest.mark.parametrize("place", ["x", "1", "1.2", "-1.2.c", "1.x.c", "9" * 16 + ".1.c", "1.\u0661.c"])
def test_a_place_in_the_list_of_jobs_that_is_none(client: TestClient, place: str) -> None:
    answer = client.get("/jobs", params={"after": place, "format": "json"})
    assert (answer.status_code, "is no place in the list of jobs" in answer.text) == (400, True)


def test_checks_by_day_and_by_node(client: TestClient, reports: list[dict[str, Any]]) -> None:
    page = ask(client, "/check?name=gpu.temperature&since=30d")
    mine = [
        one["node"]
        for one in reports
        for row in one["findings"]
        if (row["check"], row["status"]) == ("gpu.temperature", "warn")
    ]
    assert page["figures"]["findings"] == len(mine)
    assert {row["node"]: row["runs"] for row in page["tables"]["nodes"]} == Counter(mine)
    whole = ask(client, "/checks?since=30d")["tables"]["checks"]
    assert {row["check"]: row["runs"] for row in whole}["gpu.temperature"] == len(mine)


def test_lifecycle_names_every_node_once_for_each_thing(client: TestClient, reports: list[dict[str, Any]]) -> None:
    rows = ask(client, "/lifecycle")["tables"]["lifecycle"]
    newest = {one["node"]: one for one in reports}
    drivers = Counter(one["facts"]["driver"]["version"] for one in newest.values())
    assert {row["name"]: row["number"] for row in rows if row["kind"] == "driver"} == drivers
    assert sum(row["number"] for row in rows if row["kind"] == "distribution") == NODES


def test_slurms_states_are_read_as_sinfo_writes_them() -> None:
    text = (
        "gpu1|idle|Unknown|Unknown|none\n"
        "gpu2|drained*|root|1795478400|preflight:gpu.ecc.uncorrected:gpu0: 3 | errors\n"
        "gpu2|drained*|root|1795478400|preflight:gpu.ecc.uncorrected:gpu0: 3 | errors\n"
        "gpu3|mixed-|Unknown|Unknown|none\n"
        "a line of no node\n"
        "gpu[05-06]|idle|Unknown|Unknown|none\n"
        "gpu4|down*|slurm|N/A|Not responding\n"
    )
    found = states.parse(text)
    assert {name: (one.state, one.out, one.ours) for name, one in found.items()} == {
        "gpu1": ("idle", False, False),
        "gpu2": ("drained", True, True),
        "gpu3": ("mixed", False, False),
        "gpu4": ("down", True, False),
        "gpu05": ("idle", False, False),
        "gpu06": ("idle", False, False),
    }
    assert found["gpu2"].reason.endswith("3 | errors")
    assert found["gpu2"].since_ms == 1795478400_000


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "\uff1d1", '=HYPERLINK("http://x","y")', "\u202e=1"]
)
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    its = table.Table("t", "T", (table.Column("a", "A"),), [(text,), (text + "\n=2",)])
    rows = list(csv.reader(io.StringIO(table.to_csv(its))))
    assert len(rows) == 3
    assert all(row[0].startswith(("'", "\\")) for row in rows[1:]), rows


def test_numbers_stay_numbers_in_a_csv() -> None:
    its = table.Table("t", "T", (table.Column("a", "A", "number"), table.Column("b", "B", "share")), [(-5, 0.5)])
    assert table.to_csv(its) == "a,b\r\n-5,0.5\r\n"


def test_a_command_to_paste_and_a_list_of_nodes_are_whole() -> None:
    nodes = tuple(f"gpu{at:05d}" for at in range(0, 8000, 2))
    columns = (table.Column("nodes", "Nodes", "nodes"), table.Column("command", "To paste", "command"))
    said = common.resume_command(nodes)
    its = table.Table("t", "T", columns, [(nodes, said)])
    (row,) = list(csv.reader(io.StringIO(table.to_csv(its))))[1:]
    assert set(hostlist.names(row[0])) == set(nodes)
    assert row[1] == said
    shown = unescape(str(cells.rows(its)))
    assert said in shown
    assert 'tabindex="0"' in shown  # what is scrolled is reached by keys
    assert "(4,000 nodes)" in shown


def test_a_chart_keeps_its_gaps_and_its_scale() -> None:
    drawn = charts.lines("t", [0, 1, 2, 3], [charts.Line("p50", "c-first", [1, None, 90, 100])])
    assert drawn.count("M") - drawn.count("MH") >= 2
    assert [charts.nice(value) for value in (0, 0.7, 1, 3, 11, 99, 260)] == [1, 1, 1, 5, 20, 100, 500]


def test_a_map_has_each_node_once_in_host_list_order() -> None:
    names = ["n10", "n2", "n1", "m1", "n3", "x<y"]
    roster = standing.Roster({at: ("lab", name) for at, name in enumerate(names)})
    started = [5 if name == "n2" else 10 for _, name in roster.names]
    its = standing.Standing(roster, started, [4] * 6, {})
    drawn = str(fleet_map.draw(its, states.NONE, 6))
    order = [drawn.index(f'title="{name}:') for name in ("n1", "n2", "n3", "n10")]
    assert order == sorted(order)
    assert drawn.count("<a ") == 6
    assert "x<y" not in drawn
    assert [words for words in ("ready", "ready, silent") if f'title="n2: {words}"' in drawn] == ["ready, silent"]


def test_assets_are_in_the_package_under_their_hash() -> None:
    its = show.assets()
    assert set(its) == {"pages.css", "live.js", "icon.svg"}
    assert len({one.url for one in its.values()}) == 3
    here = Path(app.__file__).parent
    assert b"http" not in its["live.js"].content
    assert (here / "static" / "live.js").read_bytes() == its["live.js"].content
    assert link("/x", a="b c&", d="") == "/x?a=b+c%26"
    assert instant(0) == "1970-01-01 00:00"
