"""Does CUDA start: what cuInit answers (cuda_init.py). NVML answers also where no CUDA program can run.

It may take seconds where no persistence daemon keeps the GPUs awake, so a prolog takes what the last epilog or health
check found.
"""

from __future__ import annotations

from preflight.facts.answer import NOT_LIVE, Answer, unknown
from preflight.facts.registry import fact
from preflight.facts.rootfs import Root


@fact(
    "cuda",
    keys={
        "result": "text: ok, or what cuInit answered: SystemNotReady, NoDevice …; LibraryNotFound without libcuda",
        "devices": "count?: that CUDA shows, null where it did not start",
        "version": "text?: 12.4, of libcuda",
        "age_s": "count s: since it was read, where a prolog takes an earlier answer",
    },
    child="cuda",
    budget_s=4,
    keep_s=3600,
)
def read(root: Root) -> Answer:
    """Whether CUDA starts (cuInit), and how many GPUs it shows."""
    if not root.live:
        return unknown(NOT_LIVE)
    from preflight.facts.cuda_init import start

    return start(root)
