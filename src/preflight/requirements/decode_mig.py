"""What a node published of its MIG devices, back to facts: how many of each profile, not which GPU they are on."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.requirements.kinds_of_names import is_profile

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MOST = 256 * 7  # MIG devices of one node; more is no number of them


def cut(devices: list[dict[str, Any]], count: int | None, listed: list[dict[str, Any]]) -> None:
    """State a node's MIG devices, all on its first GPU.

    ``count``: of all, None where it is not published, and then nothing is stated. Those that are not among ``listed``
    have no profile.
    """
    if count is None or not devices or not len(listed) <= count <= MOST:
        return
    every = listed + [{"profile": None}] * (count - len(listed))
    for device in devices:
        device["mig_devices"] = []
    devices[0]["mig_devices"] = [{"index": at, **one} for at, one in enumerate(every)]


def cut_of_features(devices: list[dict[str, Any]], features: Iterable[str]) -> None:
    """State the MIG devices by gpu_mig_count_N and gpu_mig_PROFILE_N."""
    numbers: dict[str, int] = {}
    for one in features:
        name, _, number = one.removeprefix("gpu_mig_").rpartition("_")
        if one.startswith("gpu_mig_") and is_whole(number, 4):
            numbers[name] = int(number)
    listed: list[dict[str, Any]] = []
    for profile in sorted(filter(is_profile, numbers)):
        listed += [{"profile": profile}] * min(numbers[profile], MOST + 1 - len(listed))
    cut(devices, numbers.get("count"), listed)
