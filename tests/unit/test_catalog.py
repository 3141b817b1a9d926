"""The catalog answers the questions of catalog_questions.py."""

from __future__ import annotations

from typing import Any

import pytest

from preflight.catalog import compiler, families, lifecycle, module, security, versions
from preflight.catalog.forward import Compat
from preflight.catalog.gpus import Gpu, look_up, with_toolkit
from preflight.catalog.runs import runs
from preflight.catalog.tables import Tables
from preflight.catalog.toolkit_os import System, toolkit_on
from preflight.catalog.xids import xid
from unit import catalog_questions as asked


def test_there_are_enough_questions_and_each_names_its_document() -> None:
    rows = [row for table in asked.TABLES for row in table]
    assert len(rows) >= 150
    assert all(isinstance(row[-1], str) and len(row[-1]) > 10 for row in rows)
    assert all(len({row[:-1].__repr__() for row in table}) == len(table) for table in asked.TABLES)


@pytest.mark.parametrize(("cuda", "driver", "gpu", "compat", "answer", "document"), asked.RUNS)
def test_programs(cuda: str, driver: str, gpu: str | None, compat: str | None, answer: str, document: str) -> None:
    here = None if compat is None else () if compat == "none" else (Compat("/usr/local/cuda/compat", compat),)
    found = runs(cuda, driver, look_up(gpu) if gpu else None, compat=here)
    assert found.answer == answer, found
    assert found.why
    if answer not in ("unknown", "forward"):
        assert found.source
    if answer == "no":
        assert found.needs


@pytest.mark.parametrize(("gpu", "cuda", "answer", "first", "last", "document"), asked.GPU)
def test_gpus(gpu: str, cuda: str, answer: str, first: str | None, last: str | None, document: str) -> None:
    found = with_toolkit(look_up(gpu), cuda)
    assert (found.answer, found.first_cuda, found.last_cuda) == (answer, first, last)


@pytest.mark.parametrize(("name", "capability", "kind", "document"), asked.LOOKUP)
def test_names(name: str, capability: str | None, kind: str | None, document: str) -> None:
    found = look_up(name)
    assert (found.capability, found.kind) == (capability, kind)


@pytest.mark.parametrize(("cuda", "os_id", "version", "more", "answer", "document"), asked.TOOLKIT_OS)
def test_toolkits_on_systems(
    cuda: str, os_id: str, version: str | None, more: dict[str, Any], answer: str, document: str
) -> None:
    found = toolkit_on(cuda, System(os_id, version, **more))
    assert found.answer == answer, found
    assert found.source or answer == "unknown"


@pytest.mark.parametrize(("cuda", "gcc", "clang", "answer", "max_gcc", "max_clang", "document"), asked.COMPILERS)
def test_compilers(
    cuda: str,
    gcc: str | None,
    clang: str | None,
    answer: str,
    max_gcc: int | None,
    max_clang: int | None,
    document: str,
) -> None:
    found = compiler.compilers(cuda, gcc=gcc, clang=clang)
    assert (found.answer, found.max_gcc, found.max_clang) == (answer, max_gcc, max_clang)


@pytest.mark.parametrize(("os_id", "version", "gcc", "document"), asked.GCC)
def test_default_compilers(os_id: str, version: str, gcc: str, document: str) -> None:
    assert compiler.default_gcc(os_id, version)[0] == gcc


@pytest.mark.parametrize(("os_id", "version", "stream", "answer", "eol", "extended", "document"), asked.SYSTEMS)
def test_systems(
    os_id: str,
    version: str | None,
    stream: bool,
    answer: str,
    eol: str | None,
    extended: str | None,
    document: str,
) -> None:
    found = lifecycle.operating_system(os_id, version, asked.TODAY, stream=stream)
    assert (found.answer, found.eol, found.extended_eol) == (answer, eol, extended)


@pytest.mark.parametrize(("driver", "answer", "kind", "eol", "fixed", "behind", "document"), asked.DRIVERS_LIFE)
def test_drivers(
    driver: str, answer: str, kind: str | None, eol: str | None, fixed: str | None, behind: bool | None, document: str
) -> None:
    life, fixes = lifecycle.driver(driver, asked.TODAY), security.driver(driver)
    assert (life.answer, life.type, life.eol) == (answer, kind, eol)
    assert (fixes.fixed, fixes.behind) == (fixed, behind)
    assert bool(fixes.missed) == (behind is True)


@pytest.mark.parametrize(("gpu", "driver", "answer", "document"), asked.MODULES)
def test_kernel_modules(gpu: str | None, driver: str | None, answer: str, document: str) -> None:
    assert module.flavour(look_up(gpu) if gpu else None, driver).open == answer


@pytest.mark.parametrize(("driver", "kernel", "answer", "document"), asked.KERNELS)
def test_kernels(driver: str, kernel: str, answer: bool | None, document: str) -> None:
    assert module.builds(driver, kernel).answer is answer


@pytest.mark.parametrize(("code", "name", "application", "category", "document"), asked.XIDS)
def test_xids(code: int, name: str, application: bool, category: str, document: str) -> None:
    found = xid(code)
    assert found is not None
    assert name.lower() in found.name.lower()
    assert (found.application, found.category) == (application, category)
    assert found.action
    assert found.source


def test_an_xid_that_is_not_known() -> None:
    assert xid(99999) is None


@pytest.mark.parametrize(("l4t", "jetpack", "ubuntu", "document"), asked.JETPACKS)
def test_jetpacks(l4t: str, jetpack: str | None, ubuntu: str | None, document: str) -> None:
    found = lifecycle.jetpack(l4t)
    assert (found.jetpack, found.ubuntu) == (jetpack, ubuntu)


@pytest.mark.parametrize(("older", "newer", "document"), asked.ORDER)
def test_order(older: str, newer: str, document: str) -> None:
    assert versions.parse(older) < versions.parse(newer)


def test_the_answer_says_what_is_lost_and_what_is_needed() -> None:
    minor = runs("12.4", "525.60.13")
    assert "PTX" in minor.why
    assert "550.54.14" in (minor.needs or "")
    assert "525.60.13" in (runs("12.4", "470.256.02").needs or "")
    assert "cuda-compat-13-0 on a data-center GPU" in (runs("13.0", "535.183.01").needs or "")
    assert runs("12.4", "470.256.02", look_up("a100")).needs == "the package cuda-compat-12-4"
    none_here = runs("12.4", "470.256.02", look_up("a100"), compat=())
    assert none_here.answer == "no"
    assert (none_here.needs or "").endswith("or the package cuda-compat-12-4")
    assert "11.8" in (runs("11.0", "550.54.15", look_up("h100")).needs or "")
    assert runs("12.4", None).answer == "no"


def test_the_drivers_own_word_counts_before_its_branch() -> None:
    assert runs("12.9", "550.54.15", driver_cuda="12.9").answer == "native"
    assert runs("12.4", "550.54.15", driver_cuda="12.2").answer == "minor"
    assert runs("14.0", "990.1", driver_cuda="14.0").answer == "native"
    assert runs("14.2", "990.1", driver_cuda="14.0").answer == "minor"


def test_a_branch_that_is_not_known_has_at_least_the_cuda_of_the_one_before() -> None:
    assert runs("12.9", "600.10.01", look_up("a100")).answer == "native"
    assert runs("13.5", "600.10.01", look_up("a100")).answer == "minor"
    assert "or newer" in runs("13.5", "600.10.01", look_up("a100")).why


def test_a_program_older_than_its_gpu_runs_where_it_holds_ptx() -> None:
    assert runs("12.4", "570.124.06", look_up("b200")).answer == "ptx"
    assert runs("12.8", "570.124.06", look_up("b200")).answer == "native"
    assert runs("12.4", "550.54.15", look_up("b200")).answer == "no"  # the driver does not drive it
    assert "code for 8.0" in runs("11.0", "550.54.15", look_up("rtx3090")).why
    assert "holds code" not in runs("11.0", "550.54.15", look_up("h100")).why
    assert runs("13.0", "580.65.06", look_up("v100")).answer == "no"


def test_a_gpus_own_compute_capability_counts_before_its_name() -> None:
    odd = look_up("NVIDIA H100 80GB HBM3", "10.0")
    assert (odd.capability, odd.arch, odd.kind) == ("10.0", "blackwell", None)
    new = look_up("NVIDIA Nonesuch 9000", "9.0")
    assert with_toolkit(new, "12.4").answer == "supported"
    assert with_toolkit(Gpu("", capability="10.1"), "12.8").answer == "supported"  # renamed 11.0 in CUDA 13
    assert with_toolkit(Gpu("", capability="11.0"), "13.0").answer == "supported"
    assert with_toolkit(Gpu("", capability="10.7"), "13.3").answer == "too_new"
    assert with_toolkit(Gpu("", capability="99.0"), "13.3").answer == "unknown"


@pytest.mark.parametrize(
    ("name", "capability", "kind"),
    [
        ("rtx5090", "12.0", "geforce"),
        ("rtx2060", "7.5", "geforce"),
        ("RTX-2070", "7.5", "geforce"),
        ("rtx3050", "8.6", "geforce"),
        ("nvidia_geforce_rtx_4060", "8.9", "geforce"),
        ("rtx5070ti", "12.0", "geforce"),
        ("gtx1060", "6.1", "geforce"),
        ("gtx1080ti", "6.1", "geforce"),
        ("gtx1650super", "7.5", "geforce"),
        ("titanv", "7.0", "titan"),
        ("titanx", "6.1", "titan"),
        ("t1000", "7.5", "workstation"),
        ("a2000", "8.6", "workstation"),
        ("rtxpro4500", "12.0", "workstation"),
        ("RTX PRO 5000 Blackwell", "12.0", "workstation"),
        ("NVIDIA RTX 4500 Ada Generation", "8.9", "workstation"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9", "geforce"),
        ("NVIDIA GeForce RTX 3050 A Laptop GPU", "8.9", "geforce"),  # an AD106 under an older name
        ("a100-80gb", "8.0", "datacenter"),
        ("gb300", "10.3", "superchip"),
        ("Orin (nvgpu)", "8.7", "jetson"),
        ("rtx4000", None, None),  # a Quadro of Turing, an Ada, and no word which
        ("rtx6000", None, None),
        ("a100x", None, None),
        ("rtx9999", None, None),
    ],
)
def test_names_as_people_write_them(name: str, capability: str | None, kind: str | None) -> None:
    found = look_up(name)
    assert (found.capability, found.kind) == (capability, kind)


def test_a_major_alone_asks_whether_some_release_of_it_may() -> None:
    assert with_toolkit(look_up("h100"), "11").answer == "supported"
    assert with_toolkit(look_up("h100"), "10").answer == "too_new"
    assert with_toolkit(look_up("v100"), "13").answer == "dropped"
    assert runs("13", "580.65.06", look_up("v100")).answer == "no"


def test_dates_turn_with_the_day() -> None:
    assert lifecycle.operating_system("rhel", "9.4", "2032-05-31").answer == "supported"
    assert lifecycle.operating_system("rhel", "9.4", "2032-06-01").answer == "extended"
    assert lifecycle.operating_system("rhel", "9.4", "2036-06-01").answer == "eol"
    assert lifecycle.driver("535.183.01", "2026-06-30").answer == "supported"  # a month is meant to its last day
    assert lifecycle.driver("535.183.01", "2026-07-01").answer == "eol"


def test_the_later_of_support_end_and_the_table_counts() -> None:
    assert lifecycle.operating_system("amzn", "2023", asked.TODAY, support_end="2028-03-01").eol == "2029-06-30"
    assert lifecycle.operating_system("fedora", "43", asked.TODAY, support_end="2027-01-01").eol == "2027-01-01"
    unknown = lifecycle.operating_system("newdistro", "1", asked.TODAY, support_end="2030-01-01")
    assert (unknown.answer, unknown.source) == ("supported", "SUPPORT_END in os-release")


def test_a_toolkit_has_no_end_but_a_newest_update() -> None:
    found = lifecycle.toolkit("12.4")
    assert (found.answer, found.latest) == ("unknown", "12.4.1")
    assert lifecycle.toolkit("12.7").latest is None


def test_families_compare_by_their_table() -> None:
    for os_id in ("rhel", "rocky", "almalinux", "ol", "centos"):
        assert families.counts_as(os_id, 9, "rhel") is True
    assert families.counts_as("amzn", 2, "rhel") is False
    assert families.counts_as("opensuse-leap", 15, "sles") is True
    assert families.counts_as("opensuse-leap", 16, "sles") is False
    assert families.counts_as("ubuntu", 22, "debian") is False


NEW = {
    "toolkits": [
        {
            "version": "14.0.0",
            "driver": "650.10.01",
            "branch": 650,
            "minimum_driver": "650.10.01",
            "capabilities": ["8.0", "9.0"],
            "gcc_max": 17,
            "source": ["here"],
        }
    ]
}


def test_a_new_release_is_one_row() -> None:
    tables = Tables(NEW)
    h100 = look_up("h100", tables=tables)
    assert runs("14.0", "650.10.01", h100, tables=tables).answer == "native"
    assert runs("14.1", "650.10.01", h100, tables=tables).answer == "unknown"  # of a GPU it is not known
    assert runs("14.1", "650.10.01", tables=tables).answer == "minor"
    assert runs("14.0", "620.70.06", tables=tables).answer == "no"
    turing = with_toolkit(look_up("t4"), "14.0", tables)
    assert (turing.answer, turing.last_cuda) == ("dropped", "13.5")
    assert compiler.compilers("14.0", gcc="18.1", tables=tables).answer == "too_new"
