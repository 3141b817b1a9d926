"""Where a run's facts are read, and under which limits: one object from the policy to the last probe."""

from __future__ import annotations

from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

PREFIXES = ("/usr/local/cuda*",)


class Source(NamedTuple):
    """Where facts are read.

    ``root``, ``live``: where files are read, and whether this machine's live sources count (NVML, uname, statvfs, /proc
    where the root has none). ``cuda_prefixes``: globs of toolkit directories. ``nvml_library``: path of
    libnvidia-ml.so.1. ``module_paths``: directories of modulefiles. ``run_dir``: root's own directory, for static facts
    and for the record of a probe that hangs; None keeps nothing between runs. ``node``: the name in the document.
    ``phase``: the hook's ("prolog", "epilog", "health"), "" for a command, which reads all there is.
    ``host``: the policy's [[host]] rows that this phase asks on this node, each (kind, its keys). ``keeps``: dear facts
    are kept for the prologs to come as they are read; False where whoever reads them does that.
    """

    root: str = "/"
    live: bool = True
    cuda_prefixes: tuple[str, ...] = PREFIXES
    nvml_library: str = ""
    module_paths: tuple[str, ...] = ()
    run_dir: str | None = None
    node: str = ""
    phase: str = ""
    host: tuple[tuple[str, dict[str, Any]], ...] = ()
    keeps: bool = True

    @property
    def reads_live(self) -> bool:
        """Return whether live sources count: always where the root is the running system's own."""
        return self.live or self.root == "/"
