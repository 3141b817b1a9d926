"""`preflight support`: do system, compiler, driver, CUDA and GPU fit together, and are they still supported?"""

from __future__ import annotations

import datetime
import difflib
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import click

from preflight.catalog import VERSION, families, versions
from preflight.catalog.forward import Compat
from preflight.catalog.gpus import Gpu, capability_of, look_up
from preflight.catalog.lifecycle import jetpack
from preflight.catalog.picture import BAD, GOOD, Entry, Machine, fits, picture, to_json
from preflight.catalog.tables import Tables
from preflight.catalog.toolkit_os import System
from preflight.cli.common import config_option, fail, policy_for, write_out
from preflight.report.clean import clean

COLUMNS = 80
_TOLD = ("compiler", "node", "driver_cuda", "wheels")  # answers that are neither yes nor no
_OS = re.compile(r"([a-z][a-z _-]*[a-z])[\s:=_-]*(\d+(?:\.\d+)*)?")


@click.command()
@click.option("--cuda", metavar="VERSION", help="The CUDA of a program or toolkit, such as 12.8.")
@click.option("--driver", metavar="VERSION", help="The NVIDIA driver, such as 535.183.01.")
@click.option("--gpu", metavar="NAME", help='A GPU, such as a100 or "GeForce RTX 4090", or 9.0.')
@click.option("--os", "system", metavar="NAME", help="A distribution and its version, such as rhel9.4 or ubuntu22.04.")
@click.option("--date", "day", metavar="DATE", help="Judge what is supported on another day (2027-06-30).")
@click.option("--json", "as_json", is_flag=True, help="Print the answers as JSON.")
@click.option("--root", metavar="DIR", help="This node's files beneath DIR.")
@config_option
def support(
    cuda: str | None,
    driver: str | None,
    gpu: str | None,
    system: str | None,
    day: str | None,
    as_json: bool,
    root: str | None,
    config: str | None,
) -> None:
    """Say what fits together, what is still supported, and what to do; each answer names its source.

    Without --cuda, --driver, --gpu and --os it answers for this node; with any of them for a machine with just those.

    Exits with 0 for yes, with 3 for no (or not known), with 2 for a mistake. Where CUDA, driver, GPU and system are
    to fit, that decides; where only one of them is asked for, whether it is still supported does.
    """
    today = _day(day)
    tables = policy_for(config).tables()
    given = (cuda, driver, gpu, system) != (None,) * 4
    if given and root:
        fail("--root is for this node: leave --cuda, --driver, --gpu and --os out")
    title = "A machine with what was given" if given else ""
    if given:
        machine = _asked(cuda, driver, gpu, system, tables)
        entries = picture(machine, today, tables)
    else:
        title, machine, notes = _node(root, config, tables)
        entries = [*notes, *picture(machine, today, tables)]
    if as_json:
        write_out(json.dumps(to_json(entries), indent=2))
    else:
        write_out("\n".join(page(title, entries, today)))
    if not fits(entries):
        raise SystemExit(3)


def _day(text: str | None) -> str:
    try:
        return (datetime.date.fromisoformat(text) if text else datetime.date.today()).isoformat()
    except ValueError:
        return fail(f"--date {clean(text or '', 40)} is no date; write one such as 2027-06-30")


def _asked(cuda: str | None, driver: str | None, gpu: str | None, system: str | None, tables: Tables) -> Machine:
    """Return the machine that the options describe; ends with exit code 2 where one cannot be read."""
    for name, text, example in (("--cuda", cuda, "12.8"), ("--driver", driver, "535.183.01")):
        if text is not None and not 1 <= len(versions.parse(text.strip())) <= 4:
            fail(f"{name} {clean(text, 40)} is no version; write one such as {example}")
    if gpu is not None and not any(letter.isalnum() for letter in gpu):
        fail(f"--gpu {clean(gpu, 40)} names no GPU; write one such as a100")
    return Machine(
        cuda=(cuda.strip(),) if cuda else (),
        driver=driver.strip() if driver else None,
        gpus=(look_up(clean(gpu, 80), capability_of(gpu.strip()), tables),) if gpu else (),
        system=_system(system) if system is not None else None,
    )


def _system(text: str) -> System:
    """Return the distribution that "rhel9.4", "ubuntu 22.04" or "centos-stream9" names."""
    found = _OS.fullmatch(text.strip().casefold())
    if not found:
        fail(f"--os {clean(text, 40)} is no distribution and version; write one such as rhel9.4")
    name, version = found[1].replace(" ", "-").replace("_", "-"), found[2]
    stream = name.replace("-", "") == "centosstream"
    known = {one for row in families.DISTRIBUTIONS for one in (row.id, *row.aliases)}
    plain = "centos" if stream else next((one for one in (name, name.replace("-", "")) if one in known), "")
    if not plain:
        near = difflib.get_close_matches(name, sorted(known), 1)
        hint = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(row.id for row in families.DISTRIBUTIONS)}"
        )
        fail(f"--os {clean(text, 40)}: no distribution {clean(name, 40)} is known; {hint}")
    return System(families.canonical(plain), version, stream=stream)


def _node(root: str | None, config: str | None, tables: Tables) -> tuple[str, Machine, list[Entry]]:
    """Return this node's title, what is known of it, and what is told besides."""
    from preflight.cli.facts import read_facts

    try:
        document = read_facts(root, config)
    except ValueError as error:
        fail(str(error).splitlines()[0])
    facts = document.facts
    driver, toolkits = facts.get("driver", {}), facts.get("toolkits", {})
    installed = sorted(filter(versions.parse, toolkits.get("versions") or []), key=versions.parse, reverse=True)
    if not installed and driver.get("cuda"):
        installed = [driver["cuda"]]  # no toolkit: programs of the driver's own CUDA are what people ask about
    machine = Machine(
        cuda=tuple(dict.fromkeys(clean(one, 20) for one in installed)),
        driver=driver.get("version") or driver.get("module"),
        driver_cuda=driver.get("cuda"),
        gpus=_gpus(facts.get("gpus", {}).get("devices") or [], tables),
        system=_node_system(facts),
        support_end=facts.get("os", {}).get("support_end"),
        compat=tuple(Compat(one["path"], one["driver"]) for one in toolkits.get("compat") or []),
    )
    return clean(document.node, 40), machine, _notes(facts, document.unknown, machine, tables)


def _gpus(devices: list[dict[str, Any]], tables: Tables) -> tuple[Gpu, ...]:
    kinds = {(one.get("name"), one.get("compute_capability")): None for one in devices if one.get("name")}
    return tuple(look_up(clean(str(name), 60), capability, tables) for name, capability in kinds)


def _node_system(facts: dict[str, Any]) -> System | None:
    told = facts.get("os", {})
    if not told.get("id"):
        return None
    glibc = facts.get("libc", {}).get("glibc")
    return System(
        clean(told["id"], 40),
        clean(told["version"], 40) if told.get("version") else None,
        facts.get("arch", {}).get("machine") or "x86_64",
        stream=told.get("variant") == "stream",
        kernel=facts.get("kernel", {}).get("release"),
        glibc=glibc,
        musl="libc" in facts and glibc is None,
        l4t=told.get("l4t"),
    )


def _notes(facts: dict[str, Any], unknown: dict[str, str], machine: Machine, tables: Tables) -> list[Entry]:
    """Say what stands on the node, and what could not be read."""
    found = []
    if machine.driver is None:
        why = clean(unknown.get("driver") or unknown.get("driver.version") or "there is none", 200)
        found.append(Entry("node", "NVIDIA driver", "none", why, None, ""))
    for item in facts.get("toolkits", {}).get("items") or []:
        kind = "with nvcc" if item["nvcc"] else "no nvcc: libraries alone"
        title = f"toolkit {clean(item['version'] or '?', 20)}"
        found.append(Entry("node", title, "here", f"{clean(item['path'], 200)} ({kind})", None, ""))
    for one in machine.compat or ():
        found.append(Entry("node", "cuda-compat", "here", f"{clean(one.path, 200)}, driver {one.driver}", None, ""))
    l4t = facts.get("os", {}).get("l4t")
    if l4t:
        pack = jetpack(l4t, tables)
        why = f"JetPack {pack.jetpack}, CUDA {pack.cuda}" if pack.jetpack else "not in the catalog"
        found.append(Entry("node", f"Jetson, L4T {clean(l4t, 20)}", "here", why, None, pack.source))
    return found


def page(title: str, entries: list[Entry], today: str) -> Iterator[str]:
    """Return the page's lines, at most COLUMNS wide: the answers, what ends when, what to do, the sources."""
    sources = list(dict.fromkeys(entry.source for entry in entries if entry.source))
    yield from textwrap.wrap(f"{title}  (on {today}, catalog of {VERSION})", COLUMNS)
    yield ""
    for entry in entries:
        number = f" [{sources.index(entry.source) + 1}]" if entry.source else ""
        mark = {GOOD: " ", BAD: "!"}.get(entry.mark, " " if entry.key in _TOLD else "?")
        yield from _wrapped(f"{mark} {entry.title}: {entry.answer.replace('_', ' ')}", "    ")
        yield from _wrapped(f"    {entry.why}{number}", "    ")
    yield from _ends(entries)
    yield from _to_do(entries)
    if sources:
        yield ""
        yield "Sources"
        for position, text in enumerate(sources, 1):
            yield from _wrapped(f"  [{position}] {text}", "      ")


def _ends(entries: list[Entry]) -> Iterator[str]:
    ending = sorted((entry.ends, entry.title, entry.answer) for entry in entries if entry.ends)
    if ending:
        yield ""
        yield "Ends"
        for date, title, answer in ending:
            yield from _wrapped(f"  {date:<10}  {title}" + (" (has ended)" if answer == "eol" else ""), "    ")


def _to_do(entries: list[Entry]) -> Iterator[str]:
    needed: dict[str, str] = {}
    for entry in entries:
        if entry.needs and entry.mark != GOOD:
            needed.setdefault(entry.needs, entry.title)
    if needed:
        yield ""
        yield "What to do"
        for needs, title in needed.items():
            yield from _wrapped(f"  - {title}: {needs}", "    ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(clean(text, 1000), COLUMNS, subsequent_indent=indent, break_on_hyphens=False)
