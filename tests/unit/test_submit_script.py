"""Reading a submission: the script's file, its lines, the options' forms and their values."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.submit.options import Option
from preflight.submit.script import Gpus, OptionError, Submission, asked, read
from preflight.submit.script_file import LIMIT

SCRIPT = "#!/bin/bash\n#SBATCH -p gpu --gpus-per-node=h100:2 # two\n#SBATCH --comment 'a b'\nsrun x\n#SBATCH -N9\n"


def of(*arguments: str, lines: str = "", **environment: str) -> Submission:
    return read(arguments, environment, f"#!/bin/sh\n{lines}\n")


def one(*arguments: str, lines: str = "", **environment: str) -> dict[str, Option]:
    (component,) = of(*arguments, lines=lines, **environment).components
    return component.options


def test_each_option_says_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text(SCRIPT)
    found = read(["-x", "n1", "job.sh", "-p", "arg"], {"SBATCH_QOS": "low"}, cwd=str(tmp_path))
    assert (found.script, found.text) == (str(tmp_path / "job.sh"), SCRIPT)
    assert found.arguments == ["-p", "arg"]
    assert found.components[0].options == {
        "partition": Option("gpu", "script", 2, "-p gpu"),
        "gpus-per-node": Option("h100:2", "script", 2, "--gpus-per-node=h100:2"),
        "comment": Option("a b", "script", 3, "--comment a b"),
        "qos": Option("low", "environment", 0, "SBATCH_QOS=low"),
        "exclude": Option("n1", "command line", 0, "-x n1"),
    }


def test_a_name_without_a_slash_is_looked_for_as_sbatch_does(tmp_path: Path) -> None:
    for name in ("here", "bin"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job").write_text(f"#!/bin/{name}\n")
    (tmp_path / "bin" / "other").write_text("#!/bin/other\n")
    path = {"PATH": os.pathsep.join(["", str(tmp_path / "nowhere"), str(tmp_path / "bin")])}
    here = str(tmp_path / "here")
    assert read(["job"], path, cwd=here).text == "#!/bin/here\n"
    assert read(["other"], path, cwd=here).text == "#!/bin/other\n"
    with pytest.raises(OptionError, match="no such script"):
        read(["./other"], path, cwd=here)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (b"echo\n", "first line must be #!"),
        (b"\x7fELF\x02\x01", "first line must be #!"),
        (b"#!/bin/sh\nx\0y\n", "NUL"),
        (b"#!/bin/sh\r\necho\r\n", "CR LF"),
    ],
)
def test_what_is_no_script_says_what_to_do(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "job.sh").write_bytes(content)
    with pytest.raises(OptionError, match=said) as error:
        read([str(tmp_path / "job.sh")], {})
    assert "\n" not in str(error.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="a directory"):
        read([str(tmp_path)], {})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OptionError, match="left for sbatch"):
        read([str(tmp_path / "pipe")], {})
    with pytest.raises(OptionError, match="no script: name one"):
        read(["-N1"], {})
    with pytest.raises(OptionError, match="beside --wrap"):
        read(["--wrap=x", "job.sh"], {})


def test_of_a_large_script_the_beginning_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.sh"
    large.write_bytes(SCRIPT.encode() + b"#" * LIMIT)
    found = read([str(large)], {})
    assert found.components[0].options["partition"].value == "gpu"
    assert len(found.text) == LIMIT
    assert "only its beginning" in found.notes[0]


def test_bytes_that_are_no_text_stay(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"#!/bin/sh\n#SBATCH -J \xff\xfe -p gpu\n")
    options = read(["j"], {}, cwd=str(tmp_path)).components[0].options
    assert os.fsencode(options["job-name"].value or "") == b"\xff\xfe"
    assert options["partition"].value == "gpu"


def test_wrapped_commands_are_the_script() -> None:
    found = of("--wrap", "srun x", "-p", "gpu")
    assert (found.script, found.text.splitlines()[-1]) == (None, "srun x")
    assert found.components[0].options["partition"].line == 0


def test_options_of_plugins() -> None:
    given = one("--require", "cuda>=12.4", "--container-image=x.sqsh", "--container-mount-home", "-N1")
    assert given["require"].value == "cuda>=12.4"
    assert given["container-image"].value == "x.sqsh"
    assert given["container-mount-home"].value is None
    assert one("--requi=x")["require"].value == "x"


def test_what_another_plugin_takes_cannot_be_known() -> None:
    found = of("--foo=bar", "--baz")
    assert found.components[0].options["foo"].value == "bar"
    assert found.components[0].options["baz"].value is None
    assert len(found.notes) == 1
    assert "--baz" in found.notes[0]


def test_the_plugins_variables() -> None:
    name = "SLURM_SPANK__SLURM_SPANK_OPTION_preflight_require"
    assert one(**{name: "ecc"})["require"].source == "environment"
    assert "require" not in one(**{name: "ecc", "SLURM_JOB_ID": "7"})  # of the job that this one is submitted from
    assert one(PYXIS_CONTAINER_IMAGE="a.sqsh")["container-image"].value == "a.sqsh"
    assert one("--container-image=b", PYXIS_CONTAINER_IMAGE="a.sqsh")["container-image"].value == "b"


@pytest.mark.parametrize(("value", "kept"), [("no", False), ("0", False), ("", True), ("yes", True), ("2", True)])
def test_a_variable_takes_back_a_flag_of_the_script(value: str, kept: bool) -> None:
    assert ("overcommit" in one(lines="#SBATCH -O", SBATCH_OVERCOMMIT=value)) is kept
    assert "overcommit" in one("-O", lines="#SBATCH -O", SBATCH_OVERCOMMIT=value)


def test_what_a_component_keeps_of_the_one_before() -> None:
    first, second = of("-x", "n1", "-C", "a", "--time=5", "--require=ecc", ":", "-N2").components
    assert set(first.options) == {"exclude", "constraint", "time", "require"}
    assert set(second.options) == {"exclude", "time", "require", "nodes"}


def test_notes_of_lines_that_sbatch_passes_over() -> None:
    found = of(lines="#PBS -l nodes=2\n#SBATCH hetjob -N2\n#PBS -q x")
    assert [note.partition(": ")[2].partition(":")[0] for note in found.notes] == ["line 2", "line 3"]
    assert len(found.components) == 2


@pytest.mark.parametrize(
    ("arguments", "gpus"),
    [
        (["--gpus=4"], Gpus(total=4)),
        (["-G", "h100:2,a100:1"], Gpus(total=3)),
        (["--gres=gpu"], Gpus(per_node=1)),
        (["--gres=gpu:h100"], Gpus(per_node=1, type="h100")),
        (["--gres=nvme:1,gres/gpu:h100:4,craynetwork:1"], Gpus(per_node=4, type="h100")),
        (["--gres=gpumem:4", "--gres=nvme:2"], None),
        (["--gres=none"], None),
        (["--gpus-per-task=2", "-n4"], Gpus(per_task=2)),
        (["--tres-per-task=cpu=4,gres/gpu:a100=1"], Gpus(per_task=1, type="a100")),
        (["--gpus-per-socket=1"], Gpus(per_socket=1)),
        (["--ntasks-per-gpu=2", "-n5"], Gpus(total=3)),
        (["--gpus=0"], None),
        (["--gpus="], None),
        (["--gres=gpu:h100=2"], Gpus(per_node=2, type="h100")),
        (["--gres=gpu=2"], Gpus(per_node=2)),
        (["--gres=gres:gpu:2"], Gpus(per_node=2)),
        (["--gres=gpu:2,gpu:1"], Gpus(per_node=3)),
        (["--gres=gpu:1g.5gb:2"], Gpus(per_node=2, type="1g.5gb")),
        (["--gpus-per-node=mi250:8"], Gpus(per_node=8, type="mi250")),
        (["-Gmi250"], Gpus(total=1, type="mi250")),
        (["--gpus-per-socket=h100:1", "--sockets-per-node=2"], Gpus(per_socket=1, type="h100")),
        (["--gpus-per-task=1", "--gpus=2"], Gpus(total=2, per_task=1)),
        (["-n2", "--tres-per-task=gres:gpu:1"], Gpus(per_task=1)),
        (["-n2", "--tres-per-task=gres/gpu"], Gpus(per_task=1)),
        (["-n2", "--tres-per-task=cpu:1,gres/gpu:h100:2"], Gpus(per_task=2, type="h100")),
        (["-n2", "--tres-per-task=cpu=1"], None),
        (["--gres=shard:2"], Gpus(shares=(("shard", 2),))),
        (["--gres=shard"], Gpus(shares=(("shard", 1),))),
        (["--gres=shard=2"], Gpus(shares=(("shard", 2),))),
        (["--gres=gres/shard:h100:2"], Gpus(type="h100", shares=(("shard", 2),))),
        (["--gres=mps:50"], Gpus(shares=(("mps", 50),))),
        (["--gres=nvme:1,shard:2,mps:50"], Gpus(shares=(("shard", 2), ("mps", 50)))),
        (["--gres=shard:0"], None),
        (["--gres=shards:2"], None),
        (["-n2", "--tres-per-task=gres/shard:1"], Gpus(shares=(("shard", 1),))),
    ],
)
def test_gpus(arguments: list[str], gpus: Gpus | None) -> None:
    assert asked(of(*arguments).components[0]).gpus == gpus


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4", (4, 4)), ("2-8", (2, 8)), ("-8", (1, 8)), ("1k", (1024, 1024)), ("1,3-9:2", (1, 9)), ("2-9:3", (2, 8))],
)
def test_node_counts(text: str, expected: tuple[int, int]) -> None:
    assert asked(of("-N", text).components[0]).nodes == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", 30), ("1:30", 2), ("2:00:00", 120), ("1-12", 2160), ("1-12:30", 2190), ("1-0:0:1", 1441),
        ("UNLIMITED", -1), ("0", -1),
    ],
)  # fmt: skip
def test_times(text: str, expected: int) -> None:
    assert asked(of("-t", text).components[0]).time == expected


@pytest.mark.parametrize(("text", "expected"), [("4G", 4096), ("512", 512), ("100K", 1), ("1TB", 1 << 20), ("0", 0)])
def test_memory(text: str, expected: int) -> None:
    assert asked(of(f"--mem={text}").components[0]).mem == expected


def test_memory_of_the_environment_gives_way() -> None:
    found = asked(of("--mem=4G", SBATCH_MEM_PER_CPU="1G").components[0])
    assert (found.mem, found.mem_per_cpu) == (4096, None)
    assert asked(of(SBATCH_MEM_PER_CPU="1G").components[0]).mem_per_cpu == 1024


def test_a_wrong_value_names_its_line() -> None:
    with pytest.raises(OptionError, match=r"line 2: -N two: give a number of nodes"):
        asked(of(lines="#SBATCH -N two").components[0])


@given(st.lists(st.text(alphabet="-:=pN x1,#\n\"'\\", max_size=8), max_size=6), st.text(max_size=80))
def test_nothing_but_an_option_error_of_one_line_comes_of_any_text(arguments: list[str], lines: str) -> None:
    problem = ""
    try:
        found = read(arguments, {"SBATCH_GPUS": lines}, f"#!/bin/sh\n#SBATCH {lines}")
        for component in found.components:
            asked(component)
    except OptionError as error:
        problem = str(error)
    assert problem.isprintable()


def hosts(option: str, cwd: Path = Path("/")) -> str | None:
    return asked(read([option, "--wrap", "true"], {}, None, str(cwd)).components[0], str(cwd)).exclude


def test_a_file_of_hosts(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("n1*4\n# all of rack 2\nn[3-5],n7\n")
    assert hosts("--exclude=./hosts", tmp_path) == "n1,n[3-5],n7"


def test_a_pipe_of_hosts_is_left_for_sbatch() -> None:
    """As of `--exclude=<(command)`; /dev/zero would never end, and a FIFO without a writer never begin."""
    reader, writer = os.pipe()
    os.write(writer, b"n1")
    with pytest.raises(OptionError, match="no regular file"):
        hosts(f"--exclude=/dev/fd/{reader}")
    assert os.read(reader, 9) == b"n1"
    os.close(reader)
    os.close(writer)
    with pytest.raises(OptionError, match="no regular file"):
        hosts("--exclude=/dev/zero")


def test_a_fifo_without_a_writer_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hosts")
    with pytest.raises(OptionError, match="no regular file"):
        hosts("--exclude=./hosts", tmp_path)


def test_what_is_no_file_of_hosts_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("root:$6$secret:19000::::::\n")
    with pytest.raises(OptionError) as told:
        hosts("--exclude=./shadow", tmp_path)
    assert "secret" not in str(told.value)
    (tmp_path / "long").write_text("n1\n" * 400_000)
    with pytest.raises(OptionError, match="too large"):
        hosts("--exclude=./long", tmp_path)


def test_more_hosts_than_a_cluster_has_are_refused() -> None:
    with pytest.raises(OptionError, match="range of more hosts"):
        hosts("--exclude=n[0-99999999]")
    assert hosts("--exclude=n[1-65535]") == "n[1-65535]"


@pytest.mark.parametrize(
    ("line", "cut"),
    [
        ("--comment=nvcr.io#nvidia/pytorch:24.05-py3", True),
        ("-N2 --comment nvcr.io#nvidia/pytorch", True),
        ("--comment='nvcr.io#nvidia/pytorch'", False),
        ("--comment=nvcr.io\\#nvidia/pytorch", False),
        ("--comment=mine # a comment", False),
        ("--comment=mine #", False),
        ("# --comment=a#b", False),
    ],
)
def test_a_value_that_a_hash_ends_is_noted(line: str, cut: bool) -> None:
    found = read([], {}, f"#!/bin/sh\n#SBATCH {line}\n")
    assert found.notes == (("stdin: line 2: sbatch ends the value at '#': quote it",) if cut else ())
    value = found.components[0].options.get("comment")
    if value:
        assert value.value == ("mine" if "mine" in line else "nvcr.io" if cut else "nvcr.io#nvidia/pytorch")
