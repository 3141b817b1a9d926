"""A small seeded sample of the fuzz targets (tests/fuzz): steps and memory are counted, so no machine is too slow."""

import sys

import pytest

from fuzz.meter import TooDear, measured
from fuzz.mutate import Mutator
from fuzz.target import Target, load, names
from fuzz.targets.squeue import past

SAMPLE = 50  # inputs a target; `make fuzz` runs as many as one has patience for
LONG = b"9" * 4400  # int refuses as many digits since Python 3.11, and takes long before
NODE = load("sinfo").seeds[0]
FOUND = {  # what long runs found, made short: a line each of the faults that were mended
    "a NUL in a path of gres.conf": ("gres_conf", b"NodeName=n1 Gres=gpu:1\nGresTypes=gpu\n\0Name=gpu File=/a\0b"),
    "hundreds of brackets in a file of gres.conf": ("gres_conf", b"\0Name=gpu File=/dev/n" + b"[0]" * 999),
    "a NUL in an include of gres.conf": ("gres_conf", b"\0include a\0b"),
    "a count of GPUs that is a digit and no number": ("gres_conf", "NodeName=n1 Gres=gpu:1²\nGresTypes=gpu\n".encode()),
    "a module's version that is a digit and no number": ("modulefiles", "\0cuda@12:²".encode()),
    "lists within lists in the site's catalog": ("policy", b"a=" + b"[" * 3000),
    "Extra with a number that JSON cannot hold": ("sinfo", b'{"a": 1e999}'),
    "a release of thousands of digits": ("sinfo", b"slurm 22.05." + LONG),
    "a node with thousands of digits of CPUs": ("sinfo", NODE.replace(b"CPUTot=4", b"CPUTot=" + LONG)),
    "a node with thousands of digits of memory": ("sinfo", NODE.replace(b"RealMemory=4096", b"RealMemory=" + LONG)),
    "a time-out of thousands of digits": ("slurm_conf", b"BatchStartTimeout=" + LONG),
    "a NUL in an include of slurm.conf": ("slurm_conf", b"include a\0/b*"),
    "a number that is infinite": (
        "slurm_json", b'{"jobs": [{"het_job_id": {"set": true, "infinite": false, "number": 1e999}}]}'
    ),
    "an error of Slurm's with an escape sequence": ("slurm_json", b'{"errors": [{"description": "\\u001b[2J"}]}'),
    "a row of squeue with a column too few": ("squeue", b"\n"),
    "a job id of thousands of digits": ("squeue", past(JobIDRaw="9" * 4400)),
    "a task of an array without a number": ("squeue", past(JobID="x_1")),
    "nodes that are a digit and no number": ("squeue", past(NNodes="²")),
}  # fmt: skip


def test_every_reader_of_what_others_write_has_a_target() -> None:
    assert len(names()) >= 17


@pytest.mark.parametrize("name", names())
def test_the_seeds_and_a_sample_are_stood(name: str) -> None:
    target = load(name)
    mutator = Mutator(target, 1)
    for data in (*target.seeds, *(mutator.new() for _ in range(SAMPLE))):
        measured(target, data)


@pytest.mark.parametrize("what", FOUND)
def test_what_fuzzing_found_is_stood(what: str) -> None:
    name, data = FOUND[what]
    measured(load(name), data)


def test_the_same_seed_gives_the_same_inputs() -> None:
    target = load("hostlist")
    first, second, other = Mutator(target, 3), Mutator(target, 3), Mutator(target, 4)
    made = [first.new() for _ in range(20)]
    assert made == [second.new() for _ in range(20)] != [other.new() for _ in range(20)]


def _costly(data: bytes) -> None:
    from preflight.hostlist import in_order

    in_order("n[1-20000]")


def test_what_costs_too_much_is_seen() -> None:
    target = Target("x", _costly, (), [b""], (), 10, (1000, 1), (64 << 20, 1))
    with pytest.raises(TooDear, match="1010 steps"):
        measured(target, b"0123456789"[:10])
    with pytest.raises(TooDear, match="bytes of memory"):
        measured(target._replace(steps=(10**9, 0), peak=(1000, 0)), b"")
    assert sys.gettrace() is None or "coverage" in repr(sys.gettrace())


def test_an_error_that_is_not_the_readers_own_is_seen() -> None:
    def check(data: bytes) -> None:
        raise ValueError("x\x1b[2J") if data else KeyError("x")

    target = Target("x", check, (ValueError,), [b""], (), 10, (1000, 1), (64 << 20, 1))
    with pytest.raises(KeyError):
        measured(target, b"")
    with pytest.raises(AssertionError, match="not printable"):
        measured(target, b"1")
