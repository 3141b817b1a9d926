"""The catalog's data: valid, compiled, and open to a site's own rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from preflight import catalog
from preflight.catalog import compile as compiling
from preflight.catalog import lifecycle, schema, site, tables
from preflight.catalog.schema import CatalogError, Reader
from preflight.policy.cache import cached_policy
from preflight.policy.load import PolicyError, parse_policy
from preflight.policy.model import from_cache, to_cache


def test_the_compiled_form_is_current() -> None:
    for name, text in compiling.expected().items():  # raises where the data is wrong
        assert (compiling.COMPILED / name).read_text(encoding="utf-8") == text, "python -m preflight.catalog.compile"
    assert {path.name for path in compiling.COMPILED.glob("*.py")} == set(compiling.expected())


def test_the_hooks_list_of_tables_is_the_schemas() -> None:
    assert {name: (file, keys) for name, (file, keys, _) in schema.TABLES.items()} == tables.WHERE


def test_every_table_loads_and_its_rows_have_sources() -> None:
    for name in schema.TABLES:
        rows = tables.SHIPPED.rows(name)
        assert rows
        assert all(row["source"] and row["source"][0] for row in rows)


def test_no_row_is_a_guess() -> None:
    words = ("guess", "assumed", "by analogy", "from memory")
    rows = [row for name in schema.TABLES for row in tables.SHIPPED.rows(name)]
    assert [row["note"] for row in rows if any(word in row.get("note", "") for word in words)] == []


def test_the_version_is_the_day_of_the_data() -> None:
    for name in schema.FILES:
        assert f"as_of = {catalog.VERSION}" in (compiling.DATA / f"{name}.toml").read_text(encoding="utf-8")


GOOD: dict[str, Any] = {"branch": 700, "type": "lts", "cuda": "14.0", "eol": "2030-06", "source": ["s"]}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"branch": "700"}, "row 1 (700): branch needs a whole number"),
        ({"cuda": 14.0}, "cuda needs a version"),
        ({"cuda": "fourteen"}, "cuda needs a version"),
        ({"eol": "soon"}, "eol needs a date"),
        ({"eol": "2030-13"}, "eol needs a date"),
        ({"archs": "hopper"}, "archs needs a list of texts"),
        ({"type": ""}, "type needs a text"),
        ({"brand": "x"}, "unknown field brand"),
        ({"source": ["nowhere"]}, "source 'nowhere' is not in [sources]"),
        ({"source": []}, "needs a source"),
    ],
)
def test_a_wrong_row_is_named(row: dict[str, Any], said: str) -> None:
    reader = Reader("f.toml", {"branches": [{**GOOD, **row}], "sources": {"s": "a document"}})
    reader.tables(("branches",))
    assert said in "\n".join(reader.errors)
    assert all(line.startswith("f.toml: branches row 1") for line in reader.errors)


def test_a_right_row_is_taken() -> None:
    reader = Reader("f.toml", {"branches": [GOOD], "sources": {"s": "a document"}})
    assert reader.tables(("branches",)) == {"branches": [{**GOOD, "source": ["a document"]}]}
    assert reader.errors == []


def test_a_row_that_stands_twice_or_misses_its_name() -> None:
    unnamed = {key: value for key, value in GOOD.items() if key != "branch"}
    reader = Reader("f.toml", {"branches": [GOOD, GOOD, unnamed], "sources": {"s": "a document"}})
    reader.tables(("branches",))
    assert "f.toml: branches row 2 (700): stands twice" in reader.errors
    assert "f.toml: branches row 3 (): needs branch" in reader.errors


SITE = """
[[branches]]
branch = 535
eol = "2027-06"
source = "support contract 4711"

[[toolkits]]
version = "13.6.0"
driver = "625.40.03"
branch = 625
"""


def test_a_site_adds_and_overrides(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(SITE)
    own = tables.Tables(site.read(str(file)))
    life = lifecycle.driver("535.183.01", "2026-11-24", own)
    assert (life.answer, life.eol, life.type, life.source) == ("supported", "2027-06", "lts", "support contract 4711")
    assert lifecycle.driver("535.183.01", "2026-11-24").answer == "eol"
    assert lifecycle.toolkit("13.6", own).source == str(file)
    assert lifecycle.toolkit("13.6").source == ""
    assert lifecycle.driver("580.95.05", "2026-11-24", own).answer == "supported"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("branches = 3", "branches: needs a list of rows"),
        ("[[nonsense]]\na = 1", "unknown table nonsense"),
        ("[[branches]]\ncuda = '1.0'", "branches row 1 (): needs branch"),
        ("[[branches]]\nbranch = 1\nwat = 2", "branches row 1 (1): unknown field wat"),
        ("[[branches]]\nbranch = [1]", "branches row 1 ([1]): branch needs a whole number"),
        ("[[branches", "not TOML"),
        ("[[products]]\nmodel = 'H100-X'", "products row 1 (H100-X): model needs the words"),
        ("sources = 3", "[sources] needs a text for each name"),
    ],
)
def test_a_sites_mistake_names_file_and_row(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(text)
    with pytest.raises(CatalogError) as caught:
        site.read(str(file))
    assert said in str(caught.value)
    assert all(line.startswith(f"{file}: ") for line in caught.value.lines)
    with pytest.raises(PolicyError, match=r"p\.toml:3: catalog\.file: "):
        parse_policy(f'version = 1\n[catalog]\nfile = "{file}"\n', "p.toml")


def test_a_sites_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be read: No such file"):
        site.read(str(tmp_path / "none"))


def test_the_policys_cache_follows_the_sites_file(tmp_path: Path) -> None:
    file, policy, run_dir = tmp_path / "catalog.toml", tmp_path / "p.toml", str(tmp_path / "run")
    file.write_text(SITE)
    policy.write_text(f'version = 1\n[catalog]\nfile = "{file}"\n')

    def eol() -> str | None:
        return lifecycle.driver("535.1", "2026-11-24", cached_policy(str(policy), "n1", run_dir).tables()).eol

    assert eol() == "2027-06"
    assert eol() == "2027-06"  # from the cache
    file.write_text(SITE.replace("2027-06", "2028-06"))
    os.utime(file, ns=(1, 1))
    assert eol() == "2028-06"
    file.write_text("broken")
    found = cached_policy(str(policy), "n1", run_dir)
    assert found.mode == "observe"
    assert str(file) in found.problem


def test_the_sites_rows_survive_the_cache(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(SITE)
    policy = parse_policy(f'version = 1\n[catalog]\nfile = "{file}"\n', "p.toml")
    assert from_cache(json.loads(json.dumps(to_cache(policy)))).tables().rows("branches") == policy.tables().rows(
        "branches"
    )


def test_asking_imports_only_what_the_question_needs() -> None:
    code = (
        "import sys\nfrom preflight.catalog.runs import runs\nfrom preflight.catalog.gpus import look_up\n"
        "print(runs('12.4', '550.54.15', look_up('h100'), compat=()).answer)\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    answer, modules = done.stdout.split("\n", 1)
    loaded = set(modules.split())
    assert answer == "native"
    assert {name for name in loaded if name.startswith("preflight.catalog.compiled.")} == {
        f"preflight.catalog.compiled.{name}" for name in ("toolkits", "drivers", "gpus")
    }
    assert not loaded & {"tomllib", "json", "datetime", "preflight.catalog.schema", "preflight.catalog.compile"}
