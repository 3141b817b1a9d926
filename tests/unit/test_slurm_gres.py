"""slurm.conf and gres.conf as slurmd reads them: what `slurmd -G` of 22.05.8 made of the same files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from preflight.slurm import gres as package
from preflight.slurm.gres import Gres, cache, cached, conf_directory, read
from preflight.slurm.gres.device_files import expand, target
from preflight.slurm.gres.installed import installed, plugin_release
from preflight.slurm.gres.model import from_json, release_number, to_json
from preflight.slurm.gres.reading import wanted
from preflight.slurm.gres.syntax import ConfError, logical_lines, parsed

SLURM_CONF = "ClusterName=Lab\nGresTypes=gpu,shard\nNodeName=n[1-4] CPUs=4 Gres={}\n"


def conf(place: Path, gres_conf: str | None = None, given: str | None = None, **files: str) -> Gres:
    """Return what is read from ``place`` for n1 after gres.conf, slurm.conf (Gres= ``given``) and more were written."""
    if given is not None:
        (place / "slurm.conf").write_text(SLURM_CONF.format(given) if "=" not in given else given)
    if gres_conf is not None:
        (place / "gres.conf").write_text(gres_conf)
    for name, text in files.items():
        (place / f"{name}.conf").write_text(text)
    return read(str(place), "n1", "22.05")


def minors(gres: Gres) -> list[str]:
    return [target.removeprefix("gpu:") for line in gres.lines for target in line.targets]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Name=gpu File=/dev/nvidia0", "0"),
        ("NodeName=n[1-4] Name=gpu Type=h100 File=/dev/nvidia[0-3]", "0123"),
        ("Name=gpu File=/dev/nvidia[2-3]\nname=GPU file=/dev/nvidia[0-1]", "2301"),
        ("Name=gpu File=/dev/nvidia[3,1,2,0]", "3120"),
        ("Name=gpu File=/dev/nvidia3,/dev/nvidia1", "31"),
        ("Name=gpu Files=/dev/nvidia[0-1]", "01"),
        ("NodeName=n9 Name=gpu File=/dev/nvidia7\nNodeName=n1 Name=gpu File=/dev/nvidia1", "1"),
        ("NodeName=n1,n2 Name=gpu File=/dev/nvidia1 # File=/dev/nvidia2", "1"),
        ("NodeName=n1 Name=gpu \\\n File=/dev/nvidia5", "5"),
        ("NodeName=n1 File=/dev/nvidia5 Name=gpu", "5"),
        ("AutoDetect=off\nName=nic File=/dev/nic0\nName=gpu File=/dev/nvidia0 Cores=0-3", "0"),
        ("NodeName=n1 Name=gpu File=/dev/nvidia[0-1]\nName=gpu File=/dev/nvidia[2-3]", "2301"),
        ('Name="gpu" File="/dev/nvidia[0-1]"', "01"),
        ("NodeName = n1 Name = gpu File = /dev/nvidia2", "2"),
        ("  NodeName=n1\tName=gpu\tFile=/dev/nvidia2  ", "2"),
        ("Name=gpu File=/dev/nvidia0\r\nName=gpu File=/dev/nvidia1\r\n", "01"),
        ("Name=gpu MultipleFiles=/dev/nvidia[0-1]", "01"),
    ],
)
def test_lines_are_read_as_slurmd_reads_them(tmp_path: Path, text: str, found: str) -> None:
    gres = conf(tmp_path, text)
    assert (gres.problem, "".join(minors(gres))) == ("", found)


@pytest.mark.parametrize("word", ["include", "Include", "INCLUDE", "include \t"])
def test_includes_are_followed_from_the_configurations_directory(tmp_path: Path, word: str) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "deep.conf").write_text("Name=gpu File=/dev/nvidia3\ninclude last.conf\n")
    gres = conf(
        tmp_path,
        f"Name=gpu File=/dev/nvidia0\n{word} generated.conf\nName=gpu File=/dev/nvidia1\n",
        generated=f"Name=gpu File=/dev/nvidia2\ninclude more/deep.conf\n{word} {tmp_path}/last.conf\n",
        last="Name=gpu File=/dev/nvidia9",
    )
    assert (gres.problem, "".join(minors(gres))) == ("", "023991")


def test_patterns_are_passed_over_and_the_clusters_name_put_in(tmp_path: Path) -> None:
    (tmp_path / "lab-nodes.conf").write_text("NodeName=n1 Gres=gpu:3\n")
    (tmp_path / "gpus.conf").write_text("Name=gpu File=/dev/nvidia9")
    gres = conf(
        tmp_path,
        "include gpu*.conf\nName=gpu File=/dev/nvidia1",
        "ClusterName=Lab\nGresTypes=gpu\ninclude %c-nodes.conf",
    )
    assert (gres.problem, minors(gres), gres.wanted) == ("", ["1"], ((None, 3),))


def test_hostile_files_end_in_a_line(tmp_path: Path) -> None:
    assert "included too deep" in conf(tmp_path, "include gres.conf").problem
    assert "No such file" in conf(tmp_path, "include absent.conf").problem
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in conf(tmp_path, "include pipe").problem
    assert "Is a directory" in conf(tmp_path, f"include {tmp_path}").problem
    assert "more than 1024" in conf(tmp_path, "Name=gpu File=/dev/nvidia[0-99999999]").problem
    assert "more than 1024" in conf(tmp_path, "Name=gpu File=/dev/nvidia[0-99]/x[0-99]").problem
    assert "more than 512 characters" in conf(tmp_path, "Name=gpu File=/dev/" + "n/" * 400 + "nvidia0").problem
    assert "no range" in conf(tmp_path, "Name=gpu File=/dev/nvidia[3-1]").problem
    assert "not closed" in conf(tmp_path, "Name=gpu File=/dev/nvidia[0").problem
    assert "does not match" in conf(tmp_path, "Name=gpu Count=3 File=/dev/nvidia[0-1]").problem
    assert conf(tmp_path, "\xff=\\\\\\" * 99 + "\n# \\").problem != ""
    assert "a NUL byte" in conf(tmp_path, "Name=gpu File=/dev/nvidia0\n\0\0\0").problem
    many = "\n".join("include one.conf" for _ in range(99))
    assert "too many files" in conf(tmp_path, many, one="# nothing").problem


@pytest.mark.parametrize(
    "line",
    [
        "File=/dev/nvidia0 Name=gpu",
        "Name=gpu NodeName=n1 File=/dev/nvidia0",
        "AutoDetect=off Name=gpu File=/dev/nvidia0",
        "gpu",
        "Name=gpu File=/dev/nvidia0 \\# no comment",
        'Name=gpu "File"=/dev/nvidia0',
        "Name=gpu MultipleFiles=/dev/nvidia0",
        "Name=gpu File=/dev/nvidia0\nName=gpu Count=1",
        "Name=gpu Type=a100 File=/dev/nvidia0\nName=gpu File=/dev/nvidia1",
        "Name=gpu File=/dev/nvidia0\nNodeName=n1 Name=gpu Type=a100 File=/dev/nvidia1",
    ],
)
def test_a_line_that_slurmd_refuses_is_a_problem(tmp_path: Path, line: str) -> None:
    assert "slurmd refuses" in conf(tmp_path, line).problem


def test_other_nodes_lines_are_not_judged(tmp_path: Path) -> None:
    others = "NodeName=n2 Name=gpu Type=a100 File=/dev/nvidia0\nNodeName=n2 Name=gpu MultipleFiles=/dev/nvidia1\n"
    gres = conf(tmp_path, f"{others}NodeName=n1 Name=gpu File=/dev/nvidia[1,0]")
    assert (gres.problem, minors(gres)) == ("", ["1", "0"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("gpu", ((None, 1),)),
        ("gpu:4", ((None, 4),)),
        ("gpu:a100:2,gpu:v100:2", (("a100", 2), ("v100", 2))),
        ("gpu:v100:2(S:0),shard:8,gpu:a100:2(S:1)", (("v100", 2), ("a100", 2))),
        ("gpu:a100:2,gpu:v100:1,gpu:a100:1", (("a100", 3), ("v100", 1))),
        ("gpu:tesla", (("tesla", 1),)),
        ("gpu:1K", ((None, 1024),)),
        ("nic:2,gpu:no_consume:4", ((None, 4),)),
        ("gpus:4", ()),
        ("shard:8,mps:400", ()),
    ],
)
def test_gres_of_slurm_conf(text: str, found: tuple[object, ...]) -> None:
    assert wanted(text) == found


def test_gres_of_slurm_conf_that_slurm_refuses() -> None:
    for text in ("gpu:4x", "gpu:2,gpu:a100:2"):
        with pytest.raises(ConfError, match="slurm"):
            wanted(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("GresTypes=gpu\nNodeName=n[1-4] Gres=gpu:2", ((None, 2),)),
        ("GresTypes=gpu\nNodeName=DEFAULT Gres=gpu:8\nNodeName=DEFAULT CPUs=4\nNodeName=n1", ((None, 8),)),
        ("GresTypes=gpu\nNodeName=n1\nNodeName=DEFAULT Gres=gpu:8", ()),
        ("GresTypes=gpu\nNodeName=DEFAULT Gres=gpu:8\nnodename=n1 gres=gpu:a:1", (("a", 1),)),
        ("GresTypes=gpu\nNodeName=n2 Gres=gpu:2", None),  # a dynamic node, or another cluster's file
        ("NodeName=n1 Gres=gpu:2", ()),
        ("GresTypes=nic,GPU\nNodeName=n1 Gres=gpu:2", ((None, 2),)),
        ("GresTypes=gpu\nNodeName=a1 Gres=gpu:1\nNodeName=n0,n1,n2 Gres=gpu:3", ((None, 3),)),
        ("GresTypes=gpu\nNodeName=n[1,3-9],m1 Gres=gpu:3", ((None, 3),)),
    ],
)
def test_the_nodes_line_of_slurm_conf(tmp_path: Path, text: str, found: tuple[object, ...] | None) -> None:
    gres = conf(tmp_path, None, text)
    assert (gres.problem, gres.wanted) == ("", found)
    assert gres.total == (None if found is None else sum(number for _, number in found))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ""),
        ("AutoDetect=nvml", "nvml"),
        ("autodetect = NVML", "NVML"),
        ("AutoDetect=nvml\nNodeName=n1 AutoDetect=off Name=gpu File=/dev/nvidia0", "off"),
        ("NodeName=n1 AutoDetect=off Name=gpu File=/dev/nvidia0\nAutoDetect=nvml", "off"),
        ("NodeName=n1 AutoDetect=nvml", "nvml"),
        ("NodeName=n[2-9] AutoDetect=off\nAutoDetect=rsmi", "rsmi"),
        ("AutoDetect=nvml\nAutoDetect=off", "off"),
        ("Name=gpu AutoDetect=nvml File=/dev/nvidia0", ""),  # in a line of its own, or with NodeName=
    ],
)
def test_autodetect_is_of_the_node_or_of_all(tmp_path: Path, text: str, found: str) -> None:
    gres = conf(tmp_path, text)
    assert (gres.problem, gres.autodetect) == ("", found)


def test_a_device_is_known_by_what_it_is(tmp_path: Path) -> None:
    assert target("/dev/nvidia7") == "gpu:7"
    assert target("/dev/nvidia-caps/nvidia-cap66") == "cap:66"
    for path in ("/dev/dri/renderD128", "/dev/fakegpu0", "/dev/nvidiactl", "/dev/nvidia", "/dev/accel3"):
        assert target(path) == f"other:{path}"
    (tmp_path / "nvidia3").write_text("")
    (tmp_path / "by-slot").symlink_to("nvidia3")
    (tmp_path / "nvidia0").symlink_to("by-slot")
    assert target(f"{tmp_path}/by-slot") == target(f"{tmp_path}/nvidia0") == "gpu:3"
    (tmp_path / "loop").symlink_to("loop")
    assert target(f"{tmp_path}/loop").startswith("other:")


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a device")
def test_a_device_of_nvidias_major_number_is_a_gpu_under_any_name(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "first", 0o600 | 0o020000, os.makedev(195, 5))
    except PermissionError:
        pytest.skip("no devices may be made here")
    assert target(f"{tmp_path}/first") == "gpu:5"


def test_files_are_expanded_in_the_order_written() -> None:
    assert expand("/dev/nvidia[2,0-1],/dev/x") == ("/dev/nvidia2", "/dev/nvidia0", "/dev/nvidia1", "/dev/x")
    assert expand("/dev/a[08-10]b[1-2]")[:3] == ("/dev/a08b1", "/dev/a08b2", "/dev/a09b1")
    assert expand("") == ()


def test_logical_lines_and_pairs() -> None:
    text = "a=1 # b\n\\# c=2\nd=3 \\\n e=4\\\\\n\nlast=\\"
    assert list(logical_lines(text)) == ["a=1", "# c=2", "d=3  e=4\\", "last="]
    assert parsed('A="x y" b+=2 c = 3 "d" e=5') == ({"a": "x y", "b": "2", "c": "3"}, '"d" e=5')
    assert parsed('a="x"y b=') == ({"a": '"x"y'}, "b=")
    assert parsed("a=1 a=2  ") == ({"a": "2"}, "")


def test_what_is_read_survives_as_json(tmp_path: Path) -> None:
    gres = conf(tmp_path, "Name=gpu Type=a File=/dev/nvidia[0-1] Links=-1,0", "gpu:a:2")
    assert from_json(to_json(gres)) == gres
    assert from_json(to_json(Gres())) == Gres()


def test_releases_compare_as_numbers() -> None:
    given = ("22.05", "22.05.8", "24.11.0-rc1", "", "unknown", "26", "9" * 50 + ".1")
    assert [release_number(one) for one in given] == [2205, 2205, 2411, 0, 0, 0, 0]
    assert release_number((26, 5)) == release_number(2605) == 2605


def test_a_plugin_tells_its_release(tmp_path: Path) -> None:
    file = tmp_path / "gres_gpu.so"
    for data in (b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 900, b"#!/bin/sh\n"):
        file.write_bytes(data)
        assert plugin_release(str(file)) == 0
    assert plugin_release(str(tmp_path / "absent")) == 0
    here = installed("", "")
    if here.paths:  # a Slurm is installed on this machine
        assert here.release > 2000


def test_several_installations_count_only_where_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("old", "new"):
        (tmp_path / name / "lib/slurm").mkdir(parents=True)
        (tmp_path / name / "lib/slurm/gres_gpu.so").write_text(name)
    (tmp_path / "new/lib/slurm/gpu_nvml.so").write_text("")
    monkeypatch.setattr("preflight.slurm.gres.installed.PREFIXES", (f"{tmp_path}/old", f"{tmp_path}/new"))
    monkeypatch.setattr("preflight.slurm.gres.installed.plugin_release", lambda path: 2205 if "/old/" in path else 2411)
    assert installed("", "")[:2] == (0, None)
    assert installed("", f"{tmp_path}/new/sbin/slurmd")[:2] == (2411, True)
    assert installed(f"/nowhere:{tmp_path}/old/lib/slurm", "")[:2] == (2205, False)
    assert installed(f"{tmp_path}/old/lib/slurm:{tmp_path}/new/lib/slurm/", "")[:2] == (2205, True)
    assert installed("/nowhere", "") == (0, None, ())


def test_gres_conf_is_looked_for_beside_slurm_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PLACES", (f"{tmp_path}/run", f"{tmp_path}/etc"))
    (tmp_path / "etc").mkdir()
    assert conf_directory("") == f"{tmp_path}/run"
    (tmp_path / "etc" / "slurm.conf").write_text("")
    assert conf_directory("") == conf_directory("/nowhere/slurm.conf") == f"{tmp_path}/etc"
    (tmp_path / "gres.conf").write_text("Name=gpu File=/dev/nvidia4")
    assert conf_directory(f"{tmp_path}/slurm.conf") == str(tmp_path)
    assert conf_directory("", str(tmp_path)) == str(tmp_path)


def test_files_are_read_again_only_when_one_of_them_changed(tmp_path: Path) -> None:
    slurm_conf, run_dir = str(tmp_path / "slurm.conf"), str(tmp_path / "run")
    assert cached(slurm_conf, "n1", run_dir).lines == ()
    conf(tmp_path, "include more.conf", "gpu:2", more="Name=gpu File=/dev/nvidia[0-1]")
    assert minors(cached(slurm_conf, "n1", run_dir)) == ["0", "1"]
    more = tmp_path / "more.conf"
    info = more.stat()
    more.write_text("Name=gpu File=/dev/nvidia[2-3]")
    os.utime(more, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert minors(cached(slurm_conf, "n1", run_dir)) == ["0", "1"]  # kept: the same file by all we look at
    os.utime(more, ns=(5, 5))
    assert minors(cached(slurm_conf, "n1", run_dir)) == ["2", "3"]
    assert cached(slurm_conf, "n1", run_dir).wanted == ((None, 2),)
    conf(tmp_path, given="gpu:a:1,gpu:b:1")
    assert cached(slurm_conf, "n1", run_dir).wanted == (("a", 1), ("b", 1))
    for _ in range(2):
        conf(tmp_path, "nothing")
        assert "slurmd refuses" in cached(slurm_conf, "n1", run_dir).problem
    (tmp_path / "run" / "gres-n1.json").write_text('{"key": [], "files": 3, "gres": {}}')
    assert "slurmd refuses" in cached(slurm_conf, "n1", run_dir).problem


def test_the_health_check_remembers_what_a_prolog_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PLACES", (f"{tmp_path}/nowhere",))
    (tmp_path / "conf-cache").mkdir()
    conf(tmp_path / "conf-cache", "Name=gpu File=/dev/nvidia1")
    run_dir = str(tmp_path / "run")
    assert cached("", "n1", run_dir).lines == ()
    cached(f"{tmp_path}/conf-cache/slurm.conf", "n1", run_dir)
    for _ in range(2):
        assert minors(cached("", "n1", run_dir)) == ["1"]


def test_a_warm_cache_reads_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf(tmp_path, "Name=gpu File=/dev/nvidia1", "gpu:1")
    first = cached(f"{tmp_path}/slurm.conf", "n1", str(tmp_path / "run"))
    monkeypatch.setattr("preflight.slurm.gres.reading.read_with_files", None)
    assert cached(f"{tmp_path}/slurm.conf", "n1", str(tmp_path / "run")) == first
    with pytest.raises(TypeError):
        cached(f"{tmp_path}/slurm.conf", "n2", str(tmp_path / "run"))


def test_a_missing_run_dir_costs_only_the_cache(tmp_path: Path) -> None:
    (tmp_path / "gres.conf").write_text("Name=gpu File=/dev/nvidia0")
    (tmp_path / "run").write_text("no directory")
    assert minors(cached(f"{tmp_path}/slurm.conf", "n1", str(tmp_path / "run"))) == ["0"]


def test_slurms_own_test_file_makes_the_order_unknown(tmp_path: Path) -> None:
    assert "fake_gpus.conf" in conf(tmp_path, "Name=gpu File=/dev/nvidia0", fake_gpus="a|4|0-3|-1|/dev/nvidia0").problem
    assert package.devices(conf(tmp_path), [], "22.05")[0] == []


@pytest.mark.parametrize(
    ("gres", "shared"),
    [("gpu:2,shard:8", True), ("gpu:2,mps:200", True), ("gpu:a:1,shard:a:4", True), ("gpu:2", False), ("", False)],
)
def test_whether_jobs_share_gpus(tmp_path: Path, gres: str, shared: bool) -> None:
    (tmp_path / "slurm.conf").write_text(f"GresTypes=gpu,shard,mps\nNodeName=n1 {gres and 'Gres=' + gres}\n")
    found = read(str(tmp_path), "n1")
    assert found.shared is shared
    assert from_json(to_json(found)) == found
    assert read(str(tmp_path), "dynamic").shared is True


def test_gres_conf_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    found = conf(tmp_path, "# a comment\n" * 200_000 + "Name=gpu File=/dev/nvidia[0-1]\n")
    assert (len(found.lines), found.problem) == (1, "")
    found = conf(tmp_path, "# a comment\n" * 1_500_000 + "Name=gpu File=/dev/nvidia[0-1]\n")
    assert (found.lines, found.problem) == ((), f"{tmp_path}/gres.conf: larger than 16 MiB")
