"""The rows of requirement names about GPUs."""

from __future__ import annotations

from preflight.requirements import gpu_code, judges, mig
from preflight.requirements.kinds import Capability, Count, Flag, Size, Version
from preflight.requirements.kinds_of_names import TokenName
from preflight.requirements.row import Row

_COUNT = Count()
_FLAG = Flag()
_DECIMAL = Size(1000)

_OTHER_GPU = "ask for another GPU type or partition, or relax this clause; a job without GPUs needs --gpus"


def _gpu(name: str, kind: Version | Size | TokenName | Flag, attribute: str, noun: str, help: str, *words: str) -> Row:
    """Return the row of an attribute that every GPU considered must have."""
    key = name.replace(".", "_")
    example = {"gpu": "gpu=h100", "gpu.memory": "gpu.memory>=80G", "gpu.arch": "gpu.arch>=9.0"}.get(name, name)
    return Row(
        name,
        kind,
        f"gpus.{attribute}",
        judges.every_gpu,
        "gpu",
        "all",
        key,
        f"{key}_",
        help,
        example,
        noun,
        "no GPU",
        words,
        _OTHER_GPU,
    )


def _mig(name: str, kind: Count | mig.Profiles, key: str, help: str, example: str, *words: str) -> Row:
    """Return the row of a number of MIG devices."""
    return Row(
        name,
        kind,
        "gpus.mig_devices",
        mig.judge,
        "gpu",
        "one",
        key,
        f"gpu_{key.removesuffix('_')}_",
        help,
        example,
        "MIG devices",
        "no MIG device",
        words,
        "ask Slurm for a MIG device of that profile (--gres=gpu:3g.40gb:1), or relax this clause",
    )


GPU_ROWS = (
    _gpu(
        "gpu",
        TokenName(),
        "name",
        "name",
        "words of the name of every GPU, whole: a10 does not match A100",
        "every GPU is a {}",
        "no GPU is a {}",
    )._replace(judge=mig.name),
    Row(
        "gpu.count",
        _COUNT,
        "gpus.count",
        judges.gpu_count,
        "gpu",
        "one",
        "gpu_count",
        "gpu_count_",
        "number of GPUs",
        "gpu.count>=4",
        "GPUs",
        "no GPU",
        ("the number of GPUs",),
        _OTHER_GPU,
    ),
    _gpu(
        "gpu.memory",
        _DECIMAL,
        "memory",
        "memory",
        "memory of every GPU, decimal as vendors sell it: 80G is 80 000 000 000 bytes",
        "the memory of every GPU",
    ),
    _gpu(
        "gpu.arch",
        Capability(),
        "compute_capability",
        "compute capability",
        "compute capability of every GPU",
        "the compute capability of every GPU",
    ),
    Row(
        "gpu.code",
        gpu_code.Targets(),
        "gpus.compute_capability",
        gpu_code.judge,
        "gpu",
        "all",
        "gpu_arch",  # published once, as gpu.arch
        "gpu_arch_",
        "every GPU runs code that was compiled for it: machine code sm_90, sm_90a, sm_100f, or PTX compute_90; of "
        "several, joined by +, one",
        "gpu.code=sm_90",
        "compute capability",
        "no GPU",
        ("every GPU runs code for {}", "not every GPU runs code for {}"),
        "'preflight code FILE' lists what the code was compiled for: use a build for these GPUs, or ask for other GPUs",
    ),
    _gpu(
        "nvlink",
        _FLAG,
        "nvlink",
        "NVLink",
        "every GPU has an active NVLink",
        "every GPU has an active NVLink",
        "no GPU has an active NVLink",
    ),
    _gpu("ecc", _FLAG, "ecc", "ECC", "ECC is on for every GPU", "ECC is on for every GPU", "ECC is off for every GPU"),
    _gpu("mig", _FLAG, "mig", "MIG", "MIG is on for every GPU", "MIG is on for every GPU", "MIG is off for every GPU"),
    _mig(
        "mig.count",
        _COUNT,
        "mig_count",
        "number of MIG devices",
        "mig.count>=7",
        "the number of MIG devices",
    ),
    _mig(
        "mig.profile",
        mig.Profiles(),
        "mig_",  # and the profile
        "number of MIG devices of a profile: 1g.5gb:7 is seven; without a number, any at all",
        "mig.profile=1g.5gb:7",
        "the number of MIG devices of profile {}",
        "a MIG device has profile {}",
        "no MIG device has profile {}",
    ),
)
