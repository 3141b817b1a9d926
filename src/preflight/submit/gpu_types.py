"""Types of GPUs as --gres and --gpus name them: a MIG profile, another vendor's GPU, or one that the catalog knows."""

from __future__ import annotations

from preflight.catalog.gpus import look_up
from preflight.requirements.kinds_of_names import TokenName, with_profile

_WORDS = TokenName()
_NVIDIA = frozenset({"nvidia", "tesla", "quadro", "geforce", "gtx", "rtx"})


def profile_of(kind: str | None) -> str:
    """Return the MIG profile in a type ("1g.5gb", "a100_3g.20gb"), "" where it is a whole GPU's."""
    return with_profile(_WORDS.fold(kind))[1] if kind else ""


def is_other(kind: str) -> bool:
    """Tell whether a type may be another vendor's GPU, or a word of the site's own: nothing NVIDIA calls a GPU."""
    if not kind or profile_of(kind) or _NVIDIA.intersection(_WORDS.fold(kind).split()):
        return False
    return look_up(kind).capability is None


def is_counted(kind: str) -> bool:
    """Tell whether a job that asks for a number of this type ("": any) gets so many GPUs of NVIDIA."""
    return not profile_of(kind) and not is_other(kind)
