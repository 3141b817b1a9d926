"""Where a run's facts come from, under the policy."""

from __future__ import annotations

import time

from preflight.facts.collect import begin, begin_nvml
from preflight.facts.document import FactsDocument
from preflight.facts.probe import Probe
from preflight.facts.rootfs import Root
from preflight.policy.model import Policy
from preflight.tuples import NamedTuple


class Source(NamedTuple):
    """Where facts are read: the parameters of preflight.facts.collect.begin. ``run_dir`` is root's, or None.

    ``nvml``: a probe that runs already. ``longer_s``: seconds that NVML may take past the deadline where it answers
    slowly.
    """

    root: str
    live: bool
    cuda_prefixes: tuple[str, ...]
    nvml_library: str
    module_paths: tuple[str, ...]
    run_dir: str | None
    node: str
    nvml: Probe | None = None
    longer_s: float = 0.0

    def ahead(self, deadline: float) -> Source:
        """Return the same with its NVML probe under way: importing pynvml there goes beside the imports here."""
        root = Root(self.root, self.live)
        if not root.live:
            return self
        return self._replace(nvml=begin_nvml(root, self.nvml_library, self.run_dir, deadline - time.monotonic()))

    def collect(self, subjects: frozenset[str], deadline: float) -> FactsDocument:
        """Return the facts of ``subjects`` as far as they came by ``deadline`` (time.monotonic)."""
        started = begin(
            sorted(subjects),
            root=self.root,
            live=self.live,
            cuda_prefixes=self.cuda_prefixes,
            nvml_library=self.nvml_library,
            module_paths=self.module_paths,
            cache_dir=self.run_dir,
            run_dir=self.run_dir,
            deadline_s=deadline - time.monotonic() + self.longer_s,
            node=self.node,
            nvml=self.nvml,
        )
        return started.finish(deadline, self.longer_s)


def source_of(policy: Policy, node: str, run_dir: str | None) -> Source:
    """Return where facts are read under ``policy``; ``run_dir`` None keeps nothing between runs, and looks twice."""
    facts = policy.facts
    live = facts.live or facts.root == "/"
    source = Source(facts.root, live, facts.cuda_prefixes, policy.nvml.library, facts.module_paths, run_dir, node)
    return source if run_dir else source._replace(longer_s=policy.hook.deadline_s)
