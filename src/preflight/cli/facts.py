"""`preflight facts`: what this node is, as a page or as a facts document."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator
from typing import Any

import click

from preflight.cli.facts_formats import ansible, nfd
from preflight.facts.collect import collect
from preflight.facts.document import FactsDocument
from preflight.facts.source import Source
from preflight.facts.view import View
from preflight.policy.load import PolicyError, load_policy, node_name
from preflight.report.clean import clean, width

COLUMNS = 80
LABEL = 13
MAX_SHOWN = 24
PSEUDO = ("/proc", "/sys", "/dev", "/run")
PROBLEM = "!"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the document, format preflight.facts/1.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "nfd", "ansible"]),
    help="nfd: labels for Kubernetes (Node Feature Discovery); ansible: for facts.d.",
)
@click.option("--root", metavar="DIR", help="Read files beneath DIR: a chroot, an image, a recorded node.")
@click.option("--config", metavar="FILE", help="The policy (default /etc/preflight/preflight.toml).")
def facts(as_json: bool, form: str | None, root: str | None, config: str | None) -> None:
    """Say what this node is: system, CUDA, driver, GPUs, memory, mounts.

    With --root, live sources (NVML, uname, free space) are off unless the policy says [facts] live = true.
    """
    try:
        document = read_facts(root, config)
        policy = load_policy(config)
    except (PolicyError, ValueError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None
    if form == "nfd":
        click.echo(nfd(document, policy), nl=False)
    elif form == "ansible":
        click.echo(ansible(document))
    elif as_json or form == "json":
        click.echo(json.dumps(document.to_dict(), indent=2))
    else:
        for line in page(document):
            click.echo(line)


def read_facts(root: str | None, config: str | None) -> FactsDocument:
    """Return all facts as the policy says they are read; raises PolicyError, or ValueError for a missing ``root``."""
    policy = load_policy(config)
    where = root or policy.facts.root
    if not os.path.isdir(where):
        raise ValueError(f"{clean(where)}: no such directory; --root needs the directory that holds etc, usr, proc")
    source = Source(
        root=where,
        live=policy.facts.live,
        cuda_prefixes=policy.facts.cuda_prefixes,
        nvml_library=policy.nvml.library,
        module_paths=policy.facts.module_paths,
        node=node_name(),
        host=policy.host_asked(""),
    )
    return collect(None, source, policy.hook.deadline_s)


def page(document: FactsDocument) -> Iterator[str]:
    """Return the lines of the page: at most COLUMNS wide, only printable characters, unknowns at the end."""
    view = document.view()
    yield f"{clean(document.node, 40)}  {clean(document.collected, 30)}"
    for title, rows in (("System", _system(view)), ("NVIDIA", _nvidia(view)), ("Resources", _resources(view))):
        lines = [line for label, value in rows if value is not None for line in _row(label, value)]
        if lines:
            yield ""
            yield title
            yield from lines
    devices = view.devices()
    if isinstance(devices, list) and devices:
        yield ""
        yield "GPUs"
        yield from _gpus(devices)
    if document.unknown:
        yield ""
        yield "Not known"
        for name, reason in sorted(document.unknown.items()):
            yield from _row(name, reason)


def _row(label: str, value: str) -> list[str]:
    head = f"  {clean(label, 40):<{LABEL}} "
    body = textwrap.wrap(
        clean(value, 2000), COLUMNS, initial_indent=head, subsequent_indent=" " * (LABEL + 3), break_on_hyphens=False
    )
    return body or [head.rstrip()]


def _known(view: View, path: str) -> Any:
    """Return a fact, None where it is unknown or was not read (the page's end names those)."""
    subject, _, key = path.partition(".")
    if path in view.unknown or subject in view.unknown:
        return None
    return view.facts.get(subject, {}).get(key)


def _system(view: View) -> Iterator[tuple[str, str | None]]:
    system = view.facts.get("os")
    if system:
        named = " ".join(filter(None, (system.get("id"), system.get("version"), system.get("variant"))))
        l4t = f", L4T {system['l4t']}" if system.get("l4t") else ""
        yield "os", f"{system.get('name') or system.get('id')} ({named}){l4t}"
    yield "kernel", _known(view, "kernel.release")
    yield "architecture", _known(view, "arch.machine")
    if "libc" in view.facts:
        yield "C library", f"glibc {view.facts['libc'].get('glibc')}" if view.facts["libc"].get("glibc") else "musl"
    runtimes = _known(view, "container.runtimes")
    yield "containers", None if runtimes is None else ", ".join(runtimes) or "none"
    yield "modules", _listed(_known(view, "modules.names"))


def _nvidia(view: View) -> Iterator[tuple[str, str | None]]:
    state, module = _known(view, "driver.nvml"), _known(view, "driver.module")
    yield "driver", _known(view, "driver.version") or (f"none ({state})" if state and not module else None)
    yield "module", module
    yield "NVML", state if state != "ok" else None
    yield "CUDA", _known(view, "driver.cuda")
    items = _known(view, "toolkits.items")
    if items is not None:
        texts = [f"{_or(item['version'])} {item['path']}{'' if item['nvcc'] else ' (no nvcc)'}" for item in items]
        yield "toolkits", ", ".join(texts) or "none"
    if _known(view, "gpus.count") == 0:
        yield "GPUs", "none"


def _resources(view: View) -> Iterator[tuple[str, str | None]]:
    cpus = _known(view, "cpu.count")
    yield "cpus", None if cpus is None else str(cpus)
    total, available = _known(view, "memory.total"), _known(view, "memory.available")
    if total is not None:
        yield "memory", _gib(total) + ("" if available is None else f", {_gib(available)} available")
    for subject in ("tmp", "shm"):
        space = view.facts.get(subject)
        if space:
            yield str(space["path"]), f"{_gib(space['size'])}, {_gib(space['free'])} free"
    ports = _known(view, "ib.ports")
    if ports is not None:
        texts = [f"{port['device']}/{port['port']} {port['state']} {_or(port['rate'])} Gb/s" for port in ports]
        yield "InfiniBand", ", ".join(texts) or "none"
    paths = _known(view, "mounts.paths")
    if paths is not None:
        yield "mounts", _listed([path for path in paths if not path.startswith(PSEUDO)])
    remote = [mount for mount in _known(view, "remote.mounts") or [] if mount.get("error")]
    yield "not answering", ", ".join(f"{mount['path']} ({mount['error']})" for mount in remote) or None


def _gpus(devices: list[dict[str, Any]]) -> Iterator[str]:
    names = [clean(str(device.get("name") or "?"), 30) for device in devices]
    wide = max(4, *(width(name) for name in names))
    yield f"  #   minor {'name':<{wide}}  memory    cc    ecc mig links"
    for device, name in zip(devices, names):
        memory = device.get("memory")
        cells = (
            f"{_or(device.get('index')):<3}",
            f"{_or(device.get('minor')):<5}",
            name + " " * (wide - width(name) + 1),
            f"{'-' if memory is None else f'{memory / 1e9:.1f} GB':<9}",
            f"{clean(_or(device.get('compute_capability')), 5):<5}",
            f"{_flag(device.get('ecc')):<3}",
            f"{_flag(device.get('mig')):<3}",
            _or(device.get("nvlink")),
        )
        yield f"  {' '.join(cells)}".rstrip()
        yield from _mig_devices(device)
        for problem in _problems(device):
            yield from textwrap.wrap(problem, COLUMNS, initial_indent=f"      {PROBLEM} ", subsequent_indent=" " * 8)


def _mig_devices(device: dict[str, Any]) -> Iterator[str]:
    for one in device.get("mig_devices") or []:
        memory = one.get("memory")
        size = "-" if memory is None else f"{memory / 1e9:.1f} GB"
        where = f"gpu instance {_or(one.get('gi'))}, compute instance {_or(one.get('ci'))}"
        refused = "".join(f", {error}" for error in sorted(set(one.get("errors", {}).values())))
        yield clean(f"      MIG {_or(one.get('index'))}  {_or(one.get('profile')):<12} {size:<8}  {where}{refused}", 79)


def _problems(device: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a GPU, as NVML says it: its error, refused attributes, memory errors."""
    if device.get("error"):
        yield clean(f"error {device['error']}")
    refused = {name: error for name, error in device.get("errors", {}).items() if error != "NotSupported"}
    for error in sorted(set(refused.values())):
        if error != device.get("error"):
            yield clean(f"{error}: {', '.join(name for name, why in refused.items() if why == error)}")
    if device.get("ecc_uncorrected_volatile"):
        yield f"{device['ecc_uncorrected_volatile']} uncorrected ECC errors since the driver was loaded"
    if device.get("remap_failure"):
        yield "a row remapping failed"
    if device.get("remap_pending"):
        yield "a row remapping waits for a reset"
    if device.get("recovery_action"):
        yield f"the driver asks for recovery action {device['recovery_action']}"


def _listed(names: list[str] | None) -> str | None:
    if names is None:
        return None
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(clean(name, 60) for name in names[:MAX_SHOWN]) + more or "none"


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"


def _flag(value: Any) -> str:
    return "-" if value is None else "on" if value else "off"


def _or(value: Any) -> str:
    return "-" if value is None else str(value)
