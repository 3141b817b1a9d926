"""Where a run's facts come from, under the policy."""

from __future__ import annotations

import time

from preflight.facts.collect import begin, begin_nvml
from preflight.facts.document import FactsDocument
from preflight.facts.probe import Probe, Span
from preflight.facts.source import Source
from preflight.policy.model import Policy
from preflight.tuples import NamedTuple


class Reading(NamedTuple):
    """A source, and how it is read.

    ``nvml``: a probe that runs already. ``longer_s``: seconds that NVML may take past the deadline where it answers
    slowly. ``span``: the run's that reads.
    """

    source: Source
    nvml: Probe | None = None
    longer_s: float = 0.0
    span: Span = Span()

    def ahead(self, deadline: float) -> Reading:
        """Return the same with its NVML probe under way: importing pynvml there goes beside the imports here."""
        if not self.source.reads_live:
            return self
        return self._replace(nvml=begin_nvml(self.source, deadline - time.monotonic(), span=self.span))

    def collect(self, subjects: frozenset[str], deadline: float) -> FactsDocument:
        """Return the facts of ``subjects`` as far as they came by ``deadline`` (time.monotonic)."""
        limit_s = deadline - time.monotonic()
        begun = begin(sorted(subjects), self.source, limit_s, self.nvml, self.longer_s, self.span)
        return begun.finish(deadline, self.longer_s)


def reading_of(policy: Policy, node: str, run_dir: str | None, phase: str = "") -> Reading:
    """Return how facts are read under ``policy``; ``run_dir`` None keeps nothing between runs, and looks twice."""
    facts = policy.facts
    source = Source(
        root=facts.root,
        live=facts.live,
        cuda_prefixes=facts.cuda_prefixes,
        nvml_library=policy.nvml.library,
        module_paths=facts.module_paths,
        run_dir=run_dir,
        node=node,
        phase=phase,
        host=policy.host_asked(phase),
    )
    return Reading(source, longer_s=0.0 if run_dir else policy.hook.deadline_s)
