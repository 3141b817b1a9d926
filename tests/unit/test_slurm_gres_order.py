"""The order of Slurm's GPU numbers: a test a row of the rules, which were run on three releases (docs/slurm.md)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from preflight.slurm.gres import Gres, devices, read
from preflight.slurm.gres.match import Place, places
from preflight.slurm.gres.names import natural, type_name

RELEASES = ("22.05", "24.11", "26.05")
A100, V100 = "NVIDIA A100-SXM4-40GB", "Tesla V100-SXM2-16GB"


def read_conf(place: Path, given: str, gres_conf: str, release: str = "22.05") -> Gres:
    (place / "slurm.conf").write_text(f"GresTypes=gpu\nNodeName=n1 Gres={given}\n")
    (place / "gres.conf").write_text(gres_conf)
    gres = read(str(place), "n1", release)
    assert gres.problem == ""
    return gres


def gpus(minors: str, names: str = "") -> list[dict[str, Any]]:
    """Return devices in NVML's order with these minor numbers; "a" is an A100, "v" a V100."""
    kinds = {"a": A100, "v": V100}
    return [
        {"index": at, "minor": int(minor), "name": kinds[(names or "a" * 9)[at]]} for at, minor in enumerate(minors)
    ]


def order(gres: Gres, there: list[dict[str, Any]], release: str) -> str:
    """Return the minor numbers in Slurm's order."""
    found, problem = devices(gres, there, release)
    assert problem == ""
    return "".join("-" if one is None else str(there[one[0]]["minor"]) for one in found)


def lines(*parts: str) -> str:
    return "\n".join(f"Name=gpu {part}" for part in parts) + "\n"


PLAIN = [
    # no AutoDetect, one type: gres.conf's lines, within brackets as written; Links= changes nothing
    ("gpu:4", lines("File=/dev/nvidia[3,1,2,0]"), "3120"),
    ("gpu:4", lines("File=/dev/nvidia[2-3]", "File=/dev/nvidia0", "File=/dev/nvidia1"), "2301"),
    ("gpu:a:2", lines("Type=a File=/dev/nvidia1 Links=0,-1", "Type=a File=/dev/nvidia0 Links=-1,0"), "10"),
    ("gpu:4", lines("Type=a File=/dev/nvidia[2-3]", "Type=b File=/dev/nvidia[0-1]"), "2301"),
    # several types: as in slurm.conf's Gres=, within a type the lines; Name= before NodeName=
    ("gpu:a100:2,gpu:v100:2", lines("Type=v100 File=/dev/nvidia[0-1]", "Type=a100 File=/dev/nvidia[2-3]"), "2301"),
    ("gpu:a:2,gpu:b:2", lines(*(f"Type={kind} File=/dev/nvidia{at}" for at, kind in enumerate("baba"))), "1302"),
    ("gpu:A:1,gpu:b:1", lines("Type=B File=/dev/nvidia0", "Type=a File=/dev/nvidia1"), "10"),
    (
        "gpu:a:3",
        "NodeName=n1 Name=gpu Type=a File=/dev/nvidia3\n" + lines("Type=a File=/dev/nvidia[1-2]"),
        "123",
    ),
    # more File= than Gres= counts: the first ones
    ("gpu:2", lines("File=/dev/nvidia[0-2]"), "01"),
    ("gpu:3", lines("File=/dev/nvidia[3,2]", "File=/dev/nvidia[1,0]"), "321"),
    ("gpu:b:1", lines("Type=a File=/dev/nvidia0", "Type=b File=/dev/nvidia[1-2]"), "1"),
    ("shard:4", lines("File=/dev/nvidia[0-3]"), ""),
    # off for the node, under a global nvml
    ("gpu:2", "AutoDetect=nvml\nNodeName=n1 AutoDetect=off Name=gpu File=/dev/nvidia[1,0]", "10"),
    # Index= of slurmd -G is no position; one position a MultipleFiles=
    ("gpu:2", lines("MultipleFiles=/dev/nvidia3,/dev/nvidia1", "MultipleFiles=/dev/nvidia2,/dev/nvidia0"), "32"),
]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("given", "text", "found"), PLAIN)
def test_without_autodetect(tmp_path: Path, given: str, text: str, found: str, release: str) -> None:
    there = gpus("0123")
    random.Random(text).shuffle(there)
    assert order(read_conf(tmp_path, given, text, release), there, release) == found


NVML = [
    # NVML's enumeration, whatever types, minors, order in Gres= or File= lines
    ("gpu:4", "", "3102", "avav", "3102"),
    ("gpu:a100:2,gpu:v100:2", "", "3102", "vava", "3102"),
    ("gpu:v100:2,gpu:a100:2", lines("Type=v100 File=/dev/nvidia[1-2]"), "3102", "avav", "3102"),
    ("gpu:4", lines("File=/dev/nvidia[3,2,1,0]"), "2031", "", "2031"),
    ("gpu:4", lines("File=/dev/nvidia1"), "2031", "", "2031"),
    ("gpu:a10:2", "", "10", "", "10"),  # any part of NVML's name, in any case
    ("gpu:SXM4:2", "", "10", "", "10"),
    # lines that match no detected GPU win; they come by file name, then by Links=
    ("gpu:mi300:2", lines("Type=mi300 File=/dev/nvidia[1,0]"), "01", "", "01"),
    ("gpu:2", lines("File=/dev/nvidia[9,4]"), "01", "", "--"),
    ("gpu:q:2", lines("Type=q File=/dev/nvidia0 Links=0,-1", "Type=q File=/dev/nvidia1 Links=-1,0"), "01", "", "10"),
    # fewer in Gres=: the lowest device files of each type
    ("gpu:2", "", "3102", "", "10"),
    ("gpu:a100:1,gpu:v100:1", "", "3102", "avav", "10"),
    ("gpu:2", lines("File=/dev/nvidia[2-3]"), "3102", "", "32"),
    # more, or of a wrong type: what is only configured is discarded
    ("gpu:4", "", "10", "", "10"),
    ("gpu:h100:2", "", "10", "", ""),
    ("gpu:a100:2,gpu:h100:2", "", "3102", "avav", "30"),
]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("of_node", [False, True])
@pytest.mark.parametrize(("given", "text", "minors", "names", "found"), NVML)
def test_autodetect_nvml(
    tmp_path: Path, given: str, text: str, minors: str, names: str, found: str, of_node: bool, release: str
) -> None:
    text = f"NodeName=n1 AutoDetect=nvml\n{text}" if of_node else f"AutoDetect=nvml\n{text}"
    assert order(read_conf(tmp_path, given, text, release), gpus(minors, names), release) == found


def test_a_gpu_that_nvml_lost_keeps_its_place(tmp_path: Path) -> None:
    gres = read_conf(tmp_path, "gpu:4", "AutoDetect=nvml")
    there = gpus("3102")
    there[1] = {"index": 1, "error": "GpuIsLost"}
    assert devices(gres, there) == ([(0, None), (1, None), (2, None), (3, None)], "")
    typed = read_conf(tmp_path, "gpu:a100:2", "AutoDetect=nvml")  # which two it was depends on the lost one's number
    assert devices(typed, there)[1] == ""  # 1 is the only number that is left
    there[2] = {"index": 2, "error": "GpuIsLost"}
    assert "does not answer" in devices(typed, there)[1]


NVIDIA = [
    ("24.11", "0123"),
    ("26.05", "0123"),
    ("22.05", "2031"),  # does not know it: the lines
]


@pytest.mark.parametrize(("release", "found"), NVIDIA)
def test_autodetect_nvidia_goes_by_minor_number(tmp_path: Path, release: str, found: str) -> None:
    text = "AutoDetect=nvidia\n" + lines("File=/dev/nvidia[2,0,3,1]")
    assert order(read_conf(tmp_path, "gpu:4", text, release), gpus("3102"), release) == found


@pytest.mark.parametrize(
    ("release", "nvml", "found"), [("26.05", True, "3102"), ("26.05", False, "0123"), ("24.11", True, "2031")]
)
def test_autodetect_full(tmp_path: Path, release: str, nvml: bool, found: str) -> None:
    text = "AutoDetect=full\n" + lines("File=/dev/nvidia[2,0,3,1]")
    gres = read_conf(tmp_path, "gpu:4", text, release)._replace(nvml=nvml)
    assert order(gres, gpus("3102"), release) == found


def mig(minor: int, *slices: tuple[str, int, int]) -> dict[str, Any]:
    """Return a GPU with MIG devices: (profile, capability of the GPU instance, of the compute instance)."""
    return {
        "index": minor,
        "minor": minor,
        "name": A100,
        "mig": True,
        "mig_devices": [
            {"index": at, "profile": profile, "caps": [gi, ci], "memory": int(profile.split(".")[1][:-2]) * 10**9}
            for at, (profile, gi, ci) in enumerate(slices)
        ],
    }


TWO_AND_A_WHOLE = [
    mig(0, ("3g.20gb", 21, 22), ("3g.20gb", 30, 31)),
    {"index": 1, "minor": 2, "name": A100},
    {**mig(1, ("2g.10gb", 48, 49), ("1g.5gb", 57, 58), ("1g.5gb", 66, 67)), "index": 2},
]


@pytest.mark.parametrize(
    ("release", "found"),
    [
        # by the device's place (MIG number, NVML's index of a whole one), ties by file name
        ("22.05", [(0, 0), (2, 0), (0, 1), (2, 1), (1, None), (2, 2)]),
        ("24.11", [(1, None), (0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]),
        ("26.05", [(1, None), (0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]),
    ],
)
def test_mig_devices_under_nvml(tmp_path: Path, release: str, found: list[tuple[int, int | None]]) -> None:
    gres = read_conf(tmp_path, "gpu:6", "AutoDetect=nvml", release)
    assert devices(gres, TWO_AND_A_WHOLE, release) == (found, "")
    without = [{**TWO_AND_A_WHOLE[0], "mig_devices": None}, *TWO_AND_A_WHOLE[1:]]
    assert "were not read" in devices(gres, without, release)[1]
    nameless = [{**TWO_AND_A_WHOLE[0], "mig_devices": [{"index": 0, "caps": None}]}, *TWO_AND_A_WHOLE[1:]]
    assert "capability files" in devices(gres, nameless, release)[1]


@pytest.mark.parametrize(
    ("release", "memory", "kind", "number"),
    [
        ("22.05", 42_000_000_000, "a100_3g.39gb", 2),  # 40055 MiB
        ("22.05", 42_000_000_000, "3g.40gb", 0),
        ("24.11", 42_000_000_000, "3g.40gb", 2),
        ("26.05", 42_000_000_000, "a100_3g.40gb", 2),
        ("24.11", 42_000_000_000, "3g.39gb", 0),
    ],
)
def test_the_types_of_mig_devices(tmp_path: Path, release: str, memory: int, kind: str, number: int) -> None:
    gpu = mig(0, ("3g.40gb", 21, 22), ("3g.40gb", 30, 31))
    for one in gpu["mig_devices"]:
        one["memory"] = memory
    gres = read_conf(tmp_path, f"gpu:{kind}:2", "AutoDetect=nvml", release)
    assert devices(gres, [gpu], release) == ([(0, at) for at in range(number)], "")


def test_a_lost_gpu_is_of_the_type_that_the_others_are_not(tmp_path: Path) -> None:
    gres = read_conf(tmp_path, "gpu:a100:1,gpu:v100:1", "AutoDetect=nvml")
    there = [{"index": 0, "error": "GpuIsLost"}, *gpus("10", "av")[:1]]
    assert devices(gres, there) == ([(0, None), (1, None)], "")


def test_a_lost_gpus_minor_may_be_one_of_gres_conf(tmp_path: Path) -> None:
    text = "AutoDetect=nvml\n" + lines("File=/dev/nvidia3", "File=/dev/nvidia9", "File=/dev/nvidia8")
    there = gpus("398")
    there[1] = {"index": 1, "error": "GpuIsLost"}
    assert devices(read_conf(tmp_path, "gpu:3", text), there) != ([(0, None), (2, None), None], "")


@pytest.mark.parametrize("given", ["gpu:7", "gpu:3g.20gb:2,gpu:a100:1"])
def test_a_lost_gpu_may_have_been_cut_in_mig_devices(tmp_path: Path, given: str) -> None:
    gres = read_conf(tmp_path, given, "AutoDetect=nvml")
    whole = [] if "3g" in given else TWO_AND_A_WHOLE[:1]
    there = [*whole, *gpus("9"), {"index": 2, "error": "GpuIsLost"}]
    assert "does not answer" in devices(gres, there)[1]


MULTIPLE = lines(*(f"MultipleFiles=/dev/nvidia{one}" for one in (
    "1,/dev/nvidia-caps/nvidia-cap66,/dev/nvidia-caps/nvidia-cap67",
    "0,/dev/nvidia-caps/nvidia-cap30,/dev/nvidia-caps/nvidia-cap31",
)))  # fmt: skip


@pytest.mark.parametrize("release", RELEASES)
def test_mig_devices_by_their_files(tmp_path: Path, release: str) -> None:
    gres = read_conf(tmp_path, "gpu:2", MULTIPLE, release)
    assert devices(gres, TWO_AND_A_WHOLE, release) == ([(2, 2), (0, 1)], "")
    caps = read_conf(tmp_path, "gpu:2", lines("File=/dev/nvidia-caps/nvidia-cap[49,21]"), release)
    assert devices(caps, TWO_AND_A_WHOLE, release) == ([(2, 0), (0, 0)], "")
    other = read_conf(tmp_path, "gpu:1", lines("File=/dev/nvidia-caps/nvidia-cap99"), release)
    assert places(other, TWO_AND_A_WHOLE) == ([Place(missing="/dev/nvidia-caps/nvidia-cap99")], "")
    unread = [{**TWO_AND_A_WHOLE[0], "mig_devices": None}]
    assert "capability files" in devices(other, unread, release)[1]


def test_one_number_may_be_two_gpus(tmp_path: Path) -> None:
    gres = read_conf(tmp_path, "gpu:1", lines("MultipleFiles=/dev/nvidia1,/dev/nvidia0"))
    assert places(gres, gpus("01")) == ([Place(((1, None), (0, None)))], "")
    assert places(gres, gpus("02")) == ([Place(((0, None),), "/dev/nvidia1")], "")


def test_an_unknown_release_answers_where_all_releases_agree(tmp_path: Path) -> None:
    same = read_conf(tmp_path, "gpu:4", "AutoDetect=nvml")._replace(release=0)
    assert devices(same, gpus("3102"))[1] == ""
    by_name = read_conf(tmp_path, "gpu:4", "AutoDetect=nvidia\n" + lines("File=/dev/nvidia[2,0,3,1]"))._replace(
        release=0
    )
    assert devices(by_name, gpus("3102")) == ([], "Slurm's release is not known, and its order depends on it")
    assert "release" in devices(read_conf(tmp_path, "gpu:6", "AutoDetect=nvml")._replace(release=0), TWO_AND_A_WHOLE)[1]


def test_whether_slurmd_has_its_plugin_may_be_unknown(tmp_path: Path) -> None:
    lines_backwards = read_conf(tmp_path, "gpu:2", "AutoDetect=nvml\n" + lines("File=/dev/nvidia[1,0]"))
    assert order(lines_backwards._replace(nvml=False), gpus("01"), "") == "10"
    assert "AutoDetect=nvml" in devices(lines_backwards._replace(nvml=None), gpus("01"))[1]
    # Without it slurmd would have no GPU, and the node no job: so it is there.
    for nvml in (None, False):
        assert order(read_conf(tmp_path, "gpu:2", "AutoDetect=nvml")._replace(nvml=nvml), gpus("10"), "") == "10"


def test_without_slurm_conf_the_lines_alone_count(tmp_path: Path) -> None:
    (tmp_path / "gres.conf").write_text(lines("File=/dev/nvidia[1,0]"))
    assert order(read(str(tmp_path), "n1", "22.05"), gpus("01"), "22.05") == "10"
    (tmp_path / "gres.conf").write_text("AutoDetect=nvml")
    assert order(read(str(tmp_path), "n1", "22.05"), gpus("10"), "22.05") == "10"


def test_other_vendors_plugins(tmp_path: Path) -> None:
    for vendor in ("rsmi", "oneapi", "nrt"):
        gres = read_conf(tmp_path, "gpu:2", f"AutoDetect={vendor}")
        assert places(gres, gpus("01")) == ([Place(other=f"AutoDetect={vendor}")] * 2, "")
    gres = read_conf(tmp_path, "gpu:1", "AutoDetect=rsmi\n" + lines("File=/dev/nvidia0"))
    assert "names NVIDIA's GPUs" in places(gres, gpus("01"))[1]


def test_names_are_slurms() -> None:
    assert type_name("NVIDIA H100 80GB HBM3") == "nvidia_h100_80gb_hbm3"
    files = ["/dev/nvidia10", "/dev/nvidia2", "/dev/nvidia2,/dev/a", "/dev/nvidia", "", "/dev/nvidiax"]
    assert sorted(files, key=natural) == [
        "", "/dev/nvidia", "/dev/nvidia2", "/dev/nvidia2,/dev/a", "/dev/nvidia10", "/dev/nvidiax",
    ]  # fmt: skip


def test_any_configuration_has_an_answer_or_a_problem(tmp_path: Path) -> None:
    """Random lines and GPUs: never an exception, never one GPU under two numbers."""
    source = random.Random(7)
    for _ in range(300):
        count = source.randint(0, 6)
        there = gpus("".join(source.sample("0123456789", count)), "".join(source.choices("av", k=count)))
        for one in there:
            for key in source.choices(("minor", "name", ""), (1, 1, 12)):
                one.pop(key, None)
        given = source.choice(("gpu:4", "gpu", "gpu:a100:1,gpu:v100:3", "gpu:v100:2,gpu:a100:2", "shard:4"))
        text = source.choice(("", "AutoDetect=nvml\n", "AutoDetect=nvidia\n", "AutoDetect=full\n", "AutoDetect=x\n"))
        kinds = source.choice((("",), ("Type=a100 ", "Type=v100 ")))  # some with a type and some without are refused
        for _ in range(source.randint(0, 3)):
            kind = source.choice(kinds)
            text += f"Name=gpu {kind}File=/dev/nvidia{source.randint(0, 9)}\n"
        gres = read_conf(tmp_path, given, text)._replace(release=source.choice((0, 2205, 2411, 2605)))
        found, problem = devices(gres, there)
        known = [one for one in found if one is not None]
        assert not found or not problem or "twice" in problem
        assert problem or len(set(known)) == len(known)
