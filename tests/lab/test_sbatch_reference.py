"""sbatch is the reference: what it makes of options, variables and #SBATCH lines, and what `read` makes of them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from lab import Lab, LabNode, unavailable
from preflight import hostlist
from preflight.submit.options_values import gres_counts, gres_shares
from preflight.submit.script import Asked, OptionError, asked, read

pytestmark = pytest.mark.lab
PARTITIONS = "\n".join(f"PartitionName={name} Nodes=ALL" for name in ("gpu", "cpu", "long"))
NODES = (
    LabNode("n1", gpus=4, gpu_type="h100", gres="gpu:h100:4,shard:h100:8,mps:h100:400", features=("a", "b")),
    LabNode("n2", gpus=4, gpu_type="h100", features=("a",)),
    LabNode("n3", gpus=2, gpu_type="a100", features=("b", "c")),
    LabNode("n4", gpus=4, gres="gpu:mi250:4", features=("c",)),
)
# Devices that every machine has: nothing is started on them.
DEVICES = ("null", "zero", "full", "random")
GRES = "".join(
    f"NodeName={nodes} Name=gpu Type={kind} File=/dev/{device}\n"
    for nodes, kind, number in (("n[1-2]", "h100", 4), ("n3", "a100", 2), ("n4", "mi250", 4))
    for device in DEVICES[:number]
)
SHARES = "NodeName=n1 Name=shard Count=8\nNodeName=n1 Name=mps Count=400\n"


class Case(NamedTuple):
    """One submission: sbatch's arguments, the script ("" where they give none) and variables."""

    arguments: Sequence[str]
    lines: str = ""
    environment: dict[str, str] = {}  # noqa: RUF012 (read only)


CASES = {
    "long": Case(["--partition=gpu", "--nodes", "2", "--constraint=a"]),
    "short": Case(["-pgpu", "-N2-3", "-C", "a&b", "-x", "n4", "-w", "n1"]),
    "bundled": Case(["-OHpgpu", "-sN2"]),
    "abbreviated": Case(["--part=gpu", "--constr", "a|c", "--exclud=n[1-2]", "--gpus-per-n=1"]),
    "exact name of a longer one": Case(["--mem=100", "--gpus=2", "--nodes=2"]),
    "optional value": Case(["--exclusive", "--nice", "--no-kill", "-k", "--partition=cpu"]),
    "optional value given": Case(["--exclusive=user", "--nice=5", "-koff", "--partition=cpu"]),
    "last one counts": Case(["-p", "gpu", "-p", "cpu", "--partition=long", "-N1", "-N2"]),
    "end of options": Case(["-p", "cpu", "--"]),
    "several partitions": Case(["-p", "gpu,cpu"]),
    "nodes and tasks": Case(["-N", "2-4", "-n", "3"]),
    "fewer tasks than nodes": Case(["-N", "4", "-n", "2"]),
    "nodelist alone": Case(["-w", "n[1-2],n4"]),
    "gpus of a type": Case(["--gpus=h100:2", "-N1"]),
    "gres": Case(["--gres=gpu:h100:2"]),
    "gres among others": Case(["--gres=gpu:1"], environment={"SBATCH_GPUS": "1"}),
    "gpus per task": Case(["-n2", "--gpus-per-task=1"]),
    "gpus per socket": Case(["--gpus-per-socket=2", "--sockets-per-node=1"]),
    "gpus of two types": Case(["-Gh100:1,a100:1"]),
    "another vendor's gpus": Case(["--gpus-per-node=mi250:4"]),
    "gpus per task of a type": Case(["-n2", "--gpus-per-task=h100:1"]),
    "gpus per socket of a type": Case(["--gpus-per-socket=h100:1", "--sockets-per-node=1"]),
    "no count of gpus": Case(["--gpus="]),
    "none of them": Case(["--gres=gpu:0"]),
    "two entries": Case(["--gres=gpu:2,gpu:1"]),
    "shards": Case(["--gres=shard:2"]),
    "a shard": Case(["--gres=shard"]),
    "shards of a type": Case([], "#SBATCH --gres=shard:h100:2"),
    "mps": Case(["--gres=mps:50", "-N1"]),
    "shares by both plugins": Case(["--gres=shard:2,mps:50"]),
    "no shard": Case(["--gres=shard:0"]),
    "script": Case([], "#SBATCH -p gpu\n#SBATCH --nodes=2\n#SBATCH --constraint=a"),
    "several on a line": Case([], "#SBATCH -p gpu -N 2 --constraint=a  # why\n#SBATCH -x n3"),
    "a value on the next line": Case([], "#SBATCH -p\n#SBATCH gpu -N\n# not this\n\n#SBATCH 2"),
    "quotes": Case([], "#SBATCH --comment=\"it's # this\" -C 'a|b'\n#SBATCH -J 'a b' -p\"g\"pu"),
    "backslashes": Case([], '#SBATCH --comment=a\\#b\\"c -p gp\\u\n#SBATCH -C a\\|b'),
    "a comment in a word": Case([], "#SBATCH -p gpu#cpu -N2\n#SBATCH -x n1"),
    "nothing behind the word": Case([], "#SBATCH\n#SBATCH \n#SBATCH-pgpu\n#SBATCH\t-N2"),
    "not at the beginning": Case([], " #SBATCH -p gpu\n##SBATCH -p cpu\n# SBATCH -N2\n#sbatch -N3\n#SBATCH -C a"),
    "after the first command": Case([], "# x\n\n#SBATCH -N2\nhostname\n#SBATCH -p gpu"),
    "after a blank of spaces": Case([], "   \n\t\n  # x\n#SBATCH -p gpu"),
    "an empty pair of quotes ends the line": Case([], "#SBATCH -p gpu '' -N2\n#SBATCH -C a"),
    "options for the command line only": Case([], "#SBATCH -Q -v --wrap=x -p gpu"),
    "separators of another kind": Case([], "#SLURM -p gpu\n#SBATCH\v-N2"),
    "command line over script": Case(["-p", "cpu", "-x", "n1"], "#SBATCH -p gpu -N2 -C a"),
    "environment over script": Case([], "#SBATCH -p gpu -C a", {"SBATCH_PARTITION": "cpu", "SBATCH_CONSTRAINT": "b"}),
    "command line over environment": Case(["-p", "long"], "#SBATCH -p gpu", {"SBATCH_PARTITION": "cpu"}),
    "variables": Case([], "", {"SBATCH_GRES": "gpu:2", "SBATCH_ACCOUNT": "x", "SBATCH_EXCLUSIVE": "user"}),
    "gpus by variable": Case([], "", {"SBATCH_GPUS_PER_NODE": "h100:1", "SBATCH_QOS": ""}),
    "not variables of sbatch": Case(
        [], "", {"SBATCH_NODELIST": "n1", "SLURM_PARTITION": "gpu", "SBATCH_EXCLUDE": "n2"}
    ),
    "hosts by variable": Case(["-p", "gpu"], "", {"SLURM_HOSTFILE": "hosts"}),
    "hosts by option over the variable": Case(["-w", "n4"], "", {"SLURM_HOSTFILE": "hosts"}),
    "flags by variable": Case([], "#SBATCH --overcommit -p gpu", {"SBATCH_OVERCOMMIT": "no", "SBATCH_NO_REQUEUE": ""}),
    "wrapped": Case(["--wrap=hostname", "-p", "gpu"]),
    "wrapped lines are not options": Case(["--wrap=x\n#SBATCH -p gpu", "-N2"]),
    "a file of hosts": Case(["--nodefile=hosts"]),
    "a file of hosts by its slash": Case(["-x", "./hosts"]),
    "the last of two node lists": Case(["-F", "hosts", "-w", "n3"]),
    "het by hand": Case(["-p", "gpu", "-N1", "-x", "n4", "-C", "a", ":", "-N2", "-p", "cpu"]),
    "het in the script": Case([], "#SBATCH -p gpu -x n1 --comment=x\n#SBATCH hetjob\n#SBATCH -N2 -p cpu"),
    "het options behind the separator": Case([], "#SBATCH -p gpu\n#SBATCH hetjob -N2 -p cpu\n#SBATCH -C a"),
    "a separator that is not alone": Case([], "#SBATCH -p gpu hetjob -N2\n#SBATCH -C a"),
    "packjob, and capitals": Case([], "#SBATCH -p gpu\n#SBATCH packjob\n#SBATCH -N2\n#SBATCH HETJOB\n#SBATCH -C a"),
    "het in the script, words for all": Case(["-p", "long"], "#SBATCH -C a\n#SBATCH hetjob\n#SBATCH -N2"),
    "het by hand and in the script": Case(["-x", "n1", ":", "-x", "n2"], "#SBATCH -N1\n#SBATCH hetjob\n#SBATCH -N2"),
    "more in the script than by hand": Case(
        ["-x", "n1", ":", "-x", "n2"], "#SBATCH -N1\n#SBATCH hetjob\n#SBATCH -N2\n#SBATCH hetjob\n#SBATCH -p gpu"
    ),
    "het by hand, one in the script": Case(["-x", "n1", ":", "-C", "c"], "#SBATCH -p gpu -C a"),
    "het with variables": Case(["-N1", ":", "-N2"], "#SBATCH -p gpu", {"SBATCH_PARTITION": "cpu"}),
}
# Spellings that 22.05 does not take.
NEWER = {
    "gres with a slash": Case(["--gres=gres/gpu:h100:2"]),
    "shards with a slash": Case(["--gres=gres/shard:2"]),
    "an equals sign": Case(["--gres=gpu=2"]),
    "tres per task": Case(["-n2", "--tres-per-task=gres/gpu:1"]),
    "tres per task, equals sign": Case(["-n2", "--tres-per-task=cpu=1,gres/gpu=1"]),
    "tres per task of a type": Case(["-n1", "--tres-per-task=cpu:1,gres/gpu:h100:2"]),
    "tres per task without a number": Case(["-n1", "--tres-per-task=gres/gpu"]),
    "tres per task, old sign": Case(["-n1", "--tres-per-task=gres:gpu:1"]),
    "tres per task, no gpu": Case(["-n2", "--tres-per-task=cpu=1"]),
    "shards per task": Case(["-n2", "--tres-per-task=gres/shard:1"]),
}
REFUSED = {
    "a word that is no option": Case([], "#SBATCH -p gpu foo -N2"),
    "no value": Case([], "#SBATCH -p gpu\n#SBATCH -N"),
    "a flag with a value": Case(["--hold=yes"]),
    "an unknown letter": Case(["-j", "x"]),
    "an abbreviation of several": Case(["--gpu=1"]),
    "a quote without its end": Case([], "#SBATCH -p 'gpu\n#SBATCH -N2"),
    "a colon": Case([], "#SBATCH -p gpu : -N2"),
    "nodes that are no number": Case(["-N", "two"]),
    "nodes the wrong way round": Case(["-N", "3-2"]),
    "an open range of nodes": Case(["-N", "3-"]),
    "memory that is no size": Case(["--mem=much"]),
    "a time that is none": Case(["-t", "soon"]),
    "no such file of hosts": Case(["-F", "nowhere"]),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    extra = f"GresTypes=gpu,shard,mps\n{PARTITIONS}"
    with Lab(nodes=NODES, slurm_conf_extra=extra, gres_conf=f"AutoDetect=off\n{GRES}{SHARES}") as running:
        Path(running.work, "hosts").write_text("n1\nn[2-3] # comment\n", encoding="utf-8")
        yield running
        running.run(["scancel", "-u", "root"])


def submit(lab: Lab, case: Case) -> list[dict[str, str]]:
    """Submit held and return what Slurm has of each component; raises LabError where sbatch refuses."""
    said = lab.check_run(["sbatch", "-H", *case.arguments], env=case.environment, stdin=_script(case))
    job = re.search(r"\d+", said)
    assert job is not None, said
    shown = lab.check_run(["scontrol", "show", "job", job[0], "-o"]).splitlines()
    lab.check_run(["scancel", job[0]])
    rows = [dict(pair.split("=", 1) for pair in line.split(" ") if "=" in pair) for line in shown if "JobId=" in line]
    return sorted(rows, key=lambda row: int(row["JobId"]))


def ours(lab: Lab, case: Case) -> list[Asked]:
    submission = read(["-H", *case.arguments], case.environment, _script(case), cwd=lab.work)
    return [asked(component, lab.work) for component in submission.components]


def _script(case: Case) -> str:
    return f"#!/bin/sh\n{case.lines}\nexit 0\n"


def _hosts(text: str) -> set[str]:
    return set() if text in ("", "(null)") else hostlist.names(text)


def _same(row: dict[str, str], mine: Asked, default: str) -> None:
    assert row["Partition"] == (",".join(mine.partition) or default)
    assert _hosts(row["ReqNodeList"]) == _hosts(mine.nodelist)
    assert _hosts(row["ExcNodeList"]) == _hosts(mine.exclude)
    assert row.get("Features", "(null)").replace("(null)", "") == mine.constraint
    if mine.nodes is not None:
        least, most = mine.nodes
        assert row["NumNodes"].removesuffix("-1") in (f"{least}-{most}", f"{least}" if least == most else "-")
    elif mine.nodelist:
        assert row["NumNodes"].partition("-")[0] == str(len(_hosts(mine.nodelist)))
    counts = mine.gpus
    for key, value in (
        ("TresPerJob", counts and counts.total),
        ("TresPerNode", counts and counts.per_node),
        ("TresPerSocket", counts and counts.per_socket),
        ("TresPerTask", counts and counts.per_task),
    ):
        assert sum(gres_counts(row.get(key, "")).values()) == (value or 0), key
    shares = gres_shares(row.get("TresPerNode", "")) or gres_shares(row.get("TresPerTask", ""))
    numbers = {name: sum(by_type.values()) for name, by_type in shares.items()}
    assert {name: number for name, number in numbers.items() if number} == dict(counts.shares if counts else ())
    kinds = {kind for key in row if key.startswith("TresPer") for kind in gres_counts(row[key]) if kind}
    kinds |= {kind for by_type in shares.values() for kind in by_type if kind}
    kinds = kinds if len(kinds) < 2 else set()
    assert kinds == ({counts.type} if counts and counts.type else set())


@pytest.mark.parametrize("name", {**CASES, **NEWER})
def test_what_sbatch_makes_of_it(lab: Lab, name: str) -> None:
    if name in NEWER and lab.release.version() < (23, 11):
        pytest.skip("this sbatch does not take it")
    case = {**CASES, **NEWER}[name]
    default = lab.check_run(["sinfo", "-h", "-o", "%P"]).split("*")[0].split()[-1]
    rows = submit(lab, case)
    mine = ours(lab, case)
    assert len(rows) == len(mine)
    for row, one in zip(rows, mine):
        _same(row, one, default)


@pytest.mark.parametrize("name", REFUSED)
def test_what_sbatch_refuses_is_refused(lab: Lab, name: str) -> None:
    case = REFUSED[name]
    assert lab.run(["sbatch", "-H", *case.arguments], env=case.environment, stdin=_script(case)).returncode != 0
    with pytest.raises(OptionError) as error:
        ours(lab, case)
    assert "\n" not in str(error.value)
