"""Does code run on a GPU: the nine rules of docs/gpu-code.md, and that what is not known is never a yes."""

from __future__ import annotations

import pytest

from preflight.artifacts.gpu_code import Code, Container, Part, read_bytes
from preflight.artifacts.gpu_code.isa import CUDA_OF_ISA
from preflight.artifacts.gpu_code.runs import Fit, built_with, file_runs, gpu, part_runs
from preflight.catalog import drivers
from unit import gpu_code_samples as make
from unit.gpu_code_samples import ACCELERATED, FAMILY, LINUX, LTO, PTX, WIDE, ZSTD, container, image, library, obj, ptx

OLD, NEW = "550.54.15", "595.58.03"  # drivers of CUDA 12.4 and 13.2


def fit(data: bytes, capability: str, driver: str | None = None) -> Fit:
    code = read_bytes(data)
    return file_runs(code, gpu(capability, driver), built_with(code))


def counts(data: bytes, capability: str, driver: str | None = None) -> tuple[int, int, int]:
    found = fit(data, capability, driver)
    return found.have, found.of, found.unknown


def test_rule_1_a_listed_architecture_may_hold_no_kernel() -> None:
    data = library([container(image(90))])
    assert "sm_75" in [part.target for one in read_bytes(data).containers for part in one.parts]
    assert fit(data, "7.5").answer == "no"
    assert counts(data, "9.0") == (1, 1, 0)
    # where relocatable code was linked, the same container is the real one
    linked = library(linked=container(image(75)), inputs=[container(image(75))])
    assert counts(linked, "7.5") == (1, 1, 0)


def test_an_architecture_without_the_kernels_of_the_others_is_doubtful() -> None:
    """Kernels that stand under #if __CUDA_ARCH__ are in some images and not in others."""
    data = library([container(image(80, data=make.cubin(80, kernels=False)), image(90), ptx(80))])
    assert fit(data, "9.0").answer == "yes"
    assert fit(data, "8.6").answer == "unknown"
    assert "sm_80 holds no kernel" in fit(data, "8.6").why
    assert fit(data, "7.5").answer == "no"


def test_rule_2_the_verdict_is_by_container() -> None:
    data = library([container(image(90)), container(image(80))])
    assert counts(data, "9.0") == counts(data, "8.0") == (1, 2, 0)
    assert fit(data, "9.0").why == "has sm_80"


def test_rule_3_relocatable_ptx_is_no_ptx_to_load() -> None:
    cubins = container(image(80))
    one = library(linked=cubins, inputs=[container(image(80), ptx(80)), container(image(80), ptx(80))])
    assert fit(one, "8.6").answer == "yes"
    assert counts(one, "9.0") == (0, 1, 1)
    assert "link" in fit(one, "9.0").why
    # without section headers nothing tells the inputs of the link from what is loaded
    bare = library(linked=cubins, inputs=[container(image(80), ptx(80))], headers=False)
    assert {fit(bare, name).answer for name in ("8.0", "9.0", "7.5")} == {"unknown"}
    missing = library(linked=cubins, inputs=[container(image(80), ptx(80)), container(image(80))])
    assert counts(missing, "9.0") == (0, 1, 0)


def test_rule_4_relocatable_objects_that_were_never_linked() -> None:
    symbol = "__cudaRegisterLinkedBinary_12345_x_cu_7"
    for headers in (True, False):
        data = library(linked=None, inputs=[container(image(90))], undefined=["puts", symbol], headers=headers)
        assert read_bytes(data).unlinked
        assert fit(data, "9.0").answer == "no"
    data = library(linked=None, inputs=[container(image(90))], undefined=[symbol])
    found = fit(data, "9.0")
    assert found.answer == "no"
    assert "device-linked" in found.stop
    # an object is linked later
    assert counts(obj([], [container(image(90))]), "9.0") == (0, 1, 1)
    assert counts(obj([], [container(image(80))]), "9.0") == (0, 1, 0)


def test_rule_5_ptx_that_is_newer_than_the_driver() -> None:
    data = library([container(image(80), ptx(86, (8, 7)))] * 34)
    assert counts(data, "9.0", OLD) == (0, 34, 0)
    assert "needs a driver of CUDA 12.8" in fit(data, "9.0", OLD).why
    assert counts(data, "9.0", NEW) == (34, 34, 0)
    assert counts(data, "8.0", OLD) == (34, 34, 0)
    assert fit(data, "9.0").cuda == (12, 8)


def test_rule_6_machine_code_alone_ends_with_its_generation() -> None:
    data = library([container(image(70), image(80))] * 182)
    assert counts(data, "8.0") == counts(data, "8.9") == counts(data, "7.5") == (182, 182, 0)
    assert counts(data, "9.0") == counts(data, "10.0") == counts(data, "12.0") == (0, 182, 0)


def test_rule_7_ptx_of_one_architecture_alone() -> None:
    short = library([container(image(90, variant=ACCELERATED), ptx(90, (8, 0)))])
    written = library([container(image(90, variant=ACCELERATED), ptx(90, (8, 0), ACCELERATED))])
    assert fit(short, "10.0").answer == "yes"
    assert fit(written, "10.0").answer == "no"
    assert fit(written, "9.0").answer == "yes"


@pytest.mark.parametrize(
    ("one", "runs_on", "not_on", "unknown"),
    [
        (image(80), ["8.0", "8.6", "8.9"], ["7.5", "9.0", "12.0"], ["8.7"]),
        (image(86), ["8.6", "8.9"], ["8.0"], ["8.7"]),
        (image(87), ["8.7"], ["8.6", "9.0"], ["8.9"]),
        (image(70), ["7.0", "7.5"], ["8.0", "6.1"], ["7.2"]),
        (image(90, variant=ACCELERATED), ["9.0"], ["8.9", "10.0"], []),
        (image(100, variant=ACCELERATED), ["10.0"], ["10.3", "12.0"], []),
        (image(100), ["10.0", "10.3"], ["9.0", "12.0", "11.0"], []),
        (image(100, variant=FAMILY), ["10.0", "10.3"], ["12.0", "11.0", "9.0"], ["10.7"]),
        (image(103, variant=FAMILY), ["10.3"], ["10.0", "12.0"], []),
        (image(120, variant=FAMILY), ["12.0", "12.1"], ["10.0", "9.0"], []),
        (image(101), [], ["9.0", "12.0"], ["11.0"]),
        (ptx(52, (7, 8)), ["5.2", "9.0", "12.0", "8.7"], ["5.0"], []),
        (ptx(90, (8, 0)), ["9.0", "12.0"], ["8.9"], []),
        (ptx(90, (8, 0), ACCELERATED), ["9.0"], ["10.0"], []),
        (ptx(100, (8, 8), FAMILY), ["10.0", "10.3"], ["12.0", "11.0"], ["10.7"]),
        (image(75, LTO), [], ["7.0"], ["7.5", "9.0"]),
        (image(99), [], [], ["9.0", "8.0"]),
        (ptx(80, (9, 9)), [], ["7.5"], ["8.0", "9.0"]),
        (image(90, 16), [], [], ["9.0"]),
        (image(90, flags=0x411), [], [], ["9.0"]),
    ],
)  # fmt: skip
def test_rule_8_where_an_image_runs(one: bytes, runs_on: list[str], not_on: list[str], unknown: list[str]) -> None:
    data = container(one)
    assert {gpu: fit(data, gpu).answer for gpu in (*runs_on, *not_on, *unknown)} == {
        **dict.fromkeys(runs_on, "yes"), **dict.fromkeys(not_on, "no"), **dict.fromkeys(unknown, "unknown"),
    }  # fmt: skip


def test_rule_9_what_is_damaged_is_never_whole() -> None:
    sound = library([container(image(90)), container(image(90))])
    assert fit(sound, "9.0").answer == "yes"
    at = sound.rindex(b"\x50\xed\x55\xba") + 16 + 8  # the size of the last image
    damaged = sound[:at] + b"\xff" * 4 + sound[at + 4 :]
    assert fit(damaged, "9.0").answer == "unknown"
    for end in (30, 100, len(sound) - 70):
        assert fit(sound[:end], "9.0").answer != "yes"
    object_ = obj([container(image(90))])
    packed = make.archive({"a.o": object_, "b.o": object_})
    assert counts(packed, "9.0") == (2, 2, 0)
    assert fit(packed[:-80], "9.0").answer == "unknown"


def test_a_gpu_that_nobody_knows_runs_nothing_for_sure() -> None:
    assert fit(container(image(90), ptx(90)), "47.3").answer == "unknown"
    assert fit(container(image(90), ptx(90)), "x").answer == "unknown"
    assert fit(container(image(100)), "10.1").answer == "unknown"  # is 11.0 by now


def test_a_suffix_that_the_file_does_not_tell() -> None:
    assert fit(make.cubin(100), "10.0").answer == "yes"
    assert fit(make.cubin(100), "10.3").answer == "unknown"
    assert fit(make.cubin(100), "12.0").answer == "no"


@pytest.mark.parametrize(
    ("capability", "driver", "needed", "answer"),
    [
        ("9.0", "470.256.02", "libcudart.so.11.0", "no"),  # the branch knows no Hopper
        ("9.0", "525.60.13", "libcudart.so.12", "yes"),
        ("9.0", "520.61.05", "libcudart.so.12", "no"),
        ("9.0", NEW, "libcudart.so.13", "yes"),
        ("9.0", "550.54.15", "libcudart.so.13", "no"),
        ("9.0", "1234.5", "libcudart.so.12", "unknown"),
        ("9.0", "junk", "libcudart.so.12", "unknown"),
    ],
)
def test_the_driver_counts(capability: str, driver: str, needed: str, answer: str) -> None:
    assert fit(library([container(image(90))], needed=[needed]), capability, driver).answer == answer


def test_code_of_an_unknown_cuda_is_never_known_to_run_with_a_driver() -> None:
    packed = library([container(image(90, flags=0x8011, packed=8))])
    assert fit(packed, "9.0").answer == "yes"
    assert fit(packed, "9.0", NEW).answer == "unknown"
    assert fit(packed, "8.0", NEW).answer == "no"


def test_a_chip_that_came_after_the_driver_is_not_known_to_run() -> None:
    data = library([container(image(120))], needed=["libcudart.so.12"])
    assert fit(data, "12.0", "570.26").answer == "yes"
    assert fit(data, "12.1", "570.26").answer == "unknown"  # 12.9 was the first for it; this driver is of 12.8


def test_a_file_without_a_kernel_has_nothing_to_run() -> None:
    assert counts(library(), "9.0") == (0, 0, 0)
    nothing = container(image(90, data=make.cubin(90, kernels=False)))
    assert counts(library([nothing, container(image(80))]), "8.0") == (1, 1, 0)


def test_no_image_of_an_unknown_kind_flag_or_isa_is_ever_a_yes() -> None:
    doubtful = (
        Part("other", 16, doubt="x"), Part("cubin", 90, doubt="x"), Part("ptx", 90, isa=(9, 9)), Part("ptx", 90),
        Part("cubin", 255), Part("lto", 90),
    )  # fmt: skip
    for part in doubtful:
        for capability in ("9.0", "10.0", "47.3"):
            for driver in (None, OLD, NEW, "junk"):
                assert part_runs(part, gpu(capability, driver)).answer != "yes"
    code = Code("fatbin", containers=(Container((Part("cubin", 90),), doubt="x"),))
    assert file_runs(code, gpu("9.0")).answer == "unknown"


def test_each_isa_names_a_cuda_that_some_driver_is_of() -> None:
    ordered = sorted(CUDA_OF_ISA)
    assert [CUDA_OF_ISA[one] for one in ordered] == sorted(CUDA_OF_ISA.values())
    for isa, cuda in CUDA_OF_ISA.items():
        if isa >= (8, 0) and cuda != (12, 7):
            assert drivers.first_driver(".".join(map(str, cuda)))[0] or cuda >= (13, 2)


# Sources: nvcc's documentation, --compress-mode: not compatible with drivers released before CUDA 12.4's; rapids-cmake:
# its compressed builds need 550.54.14; github.com/ollama/ollama/pull/12258: "device kernel image is invalid" on older.
@pytest.mark.parametrize(
    ("driver", "answer"),
    [(None, "yes"), ("525.60.13", "no"), ("535.54.03", "no"), ("545.23.06", "no"), ("550.54.14", "yes")],
)
def test_a_driver_has_to_unpack_what_zstd_packed(driver: str | None, answer: str) -> None:
    for one in (image(90, flags=WIDE | LINUX | ZSTD), image(90, PTX, isa=(8, 0), flags=WIDE | LINUX | ZSTD)):
        code = read_bytes(library([container(one)], needed=["libcudart.so.12"]))
        found = file_runs(code, gpu("9.0", driver), ("12",))
        assert found.answer == answer, found
        assert answer != "no" or "packed by zstd" in found.why
        assert file_runs(code, gpu("8.0", driver), ("12",)).answer == "no"


def test_what_a_driver_may_take_and_cannot_unpack_is_no_yes() -> None:
    packed = image(90, flags=WIDE | LINUX | ZSTD)
    code = read_bytes(library([container(packed, ptx(90, (8, 0)))], needed=["libcudart.so.12"]))
    assert file_runs(code, gpu("9.0", "535.54.03"), ("12",)).answer == "unknown"
    assert file_runs(code, gpu("9.0", "550.54.14"), ("12",)).answer == "yes"
    assert file_runs(code, gpu("10.0"), ("12",)).answer == "yes"
