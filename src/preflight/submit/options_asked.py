"""What a component asks for, in numbers and names."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from typing import TypeVar

from preflight.report.clean import clean
from preflight.submit.options import Option, OptionError
from preflight.submit.options_values import (
    gres_counts,
    gres_others,
    gres_shares,
    mebibytes,
    minutes,
    node_counts,
    whole,
    with_type,
)
from preflight.tuples import NamedTuple

T = TypeVar("T")
_HOST = re.compile(r"[A-Za-z0-9._\[\],-]*")  # an item of a host list
_PART = re.compile(r"(?:[^],[]|\[[^][]*\]|[][])+")  # what stands between the commas outside brackets
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")
_MOST_HOSTS = 1 << 17  # Slurm takes 64 Ki nodes
_LARGEST = 1 << 20  # characters of a file of hosts


class Component(NamedTuple):
    """One job, or one component of a heterogeneous one: its options by their long names."""

    options: dict[str, Option]


class Gpus(NamedTuple):
    """GPUs asked for, in each way that is used; ``type`` where one is named, and only one.

    ``shares``: of one GPU, by Slurm's plugin and number, on each node at least: (("shard", 2),), (("mps", 50),).
    """

    total: int | None = None
    per_node: int | None = None
    per_task: int | None = None
    per_socket: int | None = None
    type: str | None = None
    shares: tuple[tuple[str, int], ...] = ()


class Asked(NamedTuple):
    """The values of a component's options, None or "" where not given; no default of the cluster's is filled in.

    ``nodes``: least and most; ``mem``, ``mem_per_cpu``, ``mem_per_gpu``, ``tmp`` in MiB (``mem`` 0: all of a node's);
    ``time`` in minutes, -1 where it is unlimited. ``nodelist`` and ``exclude`` are host lists, a file of them read.
    ``others``: what --gres asks beside GPUs, by name and type. ``exclusive``: None, or what --exclusive says, "" alone.
    ``mem…`` of the command line or the script silences one of another kind from the environment, as in sbatch.
    """

    partition: tuple[str, ...]
    nodes: tuple[int, int] | None
    nodelist: str
    exclude: str
    constraint: str
    prefer: str
    extra: str
    comment: str
    require: str
    gpus: Gpus | None
    gres: str
    others: dict[str, dict[str, int]]
    ntasks: int | None
    ntasks_per_node: int | None
    cpus_per_task: int | None
    cpus_per_gpu: int | None
    mincpus: int | None
    mem: int | None
    mem_per_cpu: int | None
    mem_per_gpu: int | None
    tmp: int | None
    time: int | None
    account: str
    qos: str
    reservation: str
    clusters: str
    array: str
    licenses: str
    exclusive: str | None
    container: str
    container_image: str


_MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")


def asked(component: Component, cwd: str = ".") -> Asked:
    """Return what ``component`` asks for; files of hosts are beneath ``cwd``.

    Raises OptionError for a value that sbatch refuses too, naming the option and its line.
    """
    values = _Values(component.options)
    ntasks = values.number("ntasks")
    exclusive = component.options.get("exclusive")
    memory = {name: values.memory(name) for name in _memory_in_force(component.options)}
    return Asked(
        partition=tuple(one for one in values.text("partition").split(",") if one),
        nodes=_nodes(values, ntasks),
        nodelist=_hosts(component.options.get("nodefile") or component.options.get("nodelist"), cwd),
        exclude=_hosts(component.options.get("exclude"), cwd),
        constraint=values.text("constraint"),
        prefer=values.text("prefer"),
        extra=values.text("extra"),
        comment=values.text("comment"),
        require=values.text("require"),
        gpus=_gpus(values, ntasks),
        gres=values.text("gres"),
        others=values.counts("gres", gres_others),
        ntasks=ntasks,
        ntasks_per_node=values.number("ntasks-per-node"),
        cpus_per_task=values.number("cpus-per-task"),
        cpus_per_gpu=values.number("cpus-per-gpu"),
        mincpus=values.number("mincpus"),
        mem=memory.get("mem"),
        mem_per_cpu=memory.get("mem-per-cpu"),
        mem_per_gpu=memory.get("mem-per-gpu"),
        tmp=values.memory("tmp"),
        time=values.minutes("time"),
        account=values.text("account"),
        qos=values.text("qos"),
        reservation=values.text("reservation"),
        clusters=values.text("clusters"),
        array=values.text("array"),
        licenses=values.text("licenses"),
        exclusive=None if exclusive is None else exclusive.value or "",
        container=values.text("container"),
        container_image=values.text("container-image"),
    )


class _Values:
    """Values of options by name, with errors that say where the option stands."""

    def __init__(self, options: dict[str, Option]) -> None:
        self.options = options

    def text(self, name: str) -> str:
        option = self.options.get(name)
        return "" if option is None else option.value or ""

    def number(self, name: str) -> int | None:
        return self._read(name, whole, "a number")

    def memory(self, name: str) -> int | None:
        return self._read(name, mebibytes, "a size such as 4G")

    def minutes(self, name: str) -> int | None:
        return self._read(name, minutes, "a time such as 30, 2:00:00 or 1-12:00")

    def nodes(self) -> tuple[int, int] | None:
        return self._read("nodes", node_counts, "a number of nodes such as 4 or 2-8")

    def counts(self, name: str, read: Callable[[str], dict[str, T]]) -> dict[str, T]:
        return self._read(name, read, "a count of GPUs such as 2 or h100:2") or {}

    def _read(self, name: str, read: Callable[[str], T], what: str) -> T | None:
        option = self.options.get(name)
        if option is None or option.value is None:
            return None
        try:
            return read(option.value)
        except ValueError:
            where = f"line {option.line}: " if option.line else ""
            raise OptionError(f"{where}{option.text}: give {what}") from None


def _nodes(values: _Values, ntasks: int | None) -> tuple[int, int] | None:
    """Return least and most nodes: never more than tasks, as sbatch makes it."""
    given = values.nodes()
    if given is None or ntasks is None:
        return given
    return min(given[0], ntasks), min(given[1], ntasks)


def _memory_in_force(options: dict[str, Option]) -> list[str]:
    given = [name for name in _MEMORY if name in options]
    bound = [name for name in given if options[name].source != "environment"]
    return bound or given


def _gpus(values: _Values, ntasks: int | None) -> Gpus | None:
    """Return the GPUs of --gpus…, --gres and --tres-per-task, and shares of them; None where none names any."""
    gres = values.counts("gres", gres_counts)
    task = values.counts("gpus-per-task", with_type) or values.counts("tres-per-task", gres_counts)
    ways = {
        "total": values.counts("gpus", with_type),
        "per_node": values.counts("gpus-per-node", with_type) or gres,
        "per_task": task,
        "per_socket": values.counts("gpus-per-socket", with_type),
    }
    given = {way: sum(counts.values()) for way, counts in ways.items() if counts}
    types = {one for counts in ways.values() for one in counts if one}
    shares = values.counts("gres", gres_shares) or values.counts("tres-per-task", gres_shares)
    types |= {one for counts in shares.values() for one in counts if one}
    numbers = {name: sum(counts.values()) for name, counts in shares.items()}
    tasks_per_gpu = values.number("ntasks-per-gpu")
    if tasks_per_gpu and ntasks and not given:
        given["total"] = -(-ntasks // tasks_per_gpu)
    if not any(given.values()) and not any(numbers.values()):
        return None
    kept = tuple((name, number) for name, number in numbers.items() if number)
    return Gpus(**given, type=types.pop() if len(types) == 1 else None, shares=kept)


def _hosts(option: Option | None, cwd: str) -> str:
    """Return a host list; one that has a "/" (and every --nodefile) is a file of them."""
    value = "" if option is None else option.value or ""
    if option is not None and ("/" in value or option.text.startswith(("-F", "--nodef"))):
        lines = [line.partition("#")[0].strip() for line in _host_file(os.path.join(cwd, value), option.text)]
        hosts = [one.partition("*")[0].strip() for line in lines for one in _PART.findall(line)]
        # What else stands in a file is not repeated: root may have been led to it.
        if not all(_HOST.fullmatch(one) for one in hosts):
            raise OptionError(f"{option.text}: the file holds something else than hosts")
        value = ",".join(dict.fromkeys(one for one in hosts if one))
    for first, last in _RANGE.findall(value):
        if int(last) - int(first) > _MOST_HOSTS:
            raise OptionError(f"{clean(value, 60)}: a range of more hosts than a cluster has nodes")
    return value


def _host_file(path: str, text: str) -> list[str]:
    """Return the lines of a file of hosts. A pipe is left alone: whoever reads it first takes it away from sbatch."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, encoding="utf-8", errors="replace") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OptionError(f"{text}: no regular file, so it is not read; name the hosts themselves")
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise OptionError(f"{text}: the file of hosts cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise OptionError(f"{text}: the file is too large for one of hosts")
    return data.splitlines()
