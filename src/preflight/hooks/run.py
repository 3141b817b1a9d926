"""One run of a hook: who, where, under which policy, until when."""

from __future__ import annotations

import os
import time

from preflight.facts.mounted import may_hold
from preflight.facts.probe import Span
from preflight.hooks import rundir, spool
from preflight.hooks.reading import Reading, reading_of
from preflight.policy.cache import cached_policy
from preflight.policy.model import Policy
from preflight.slurm.environment import Job, job_from
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Mapping

    from preflight.hooks.supervised import Line
    from preflight.slurm.commands import Slurm

PROBE_SHARE = 2 / 3
MEMORY = ("/run/", "/dev/shm/")  # everywhere
SLOW_SHARE = 0.85  # where NVML has not answered and is not known to hang: what is late is better than what is not known


class Run(NamedTuple):
    """``started`` seconds since the epoch; ``began`` and ``deadline`` time.monotonic() instants. ``line``: to the
    parent of a hook that is supervised.
    """

    phase: str
    node: str
    policy: Policy
    run_dir: str
    job: Job | None
    slurm_conf: str
    started: float
    began: float
    reading: Reading
    config: str = ""
    line: Line | None = None

    @property
    def deadline(self) -> float:
        """Return the instant by which the hook must have returned, actions included."""
        return self.began + self.policy.hook.deadline_s

    @property
    def probe_deadline(self) -> float:
        """Return the instant by which facts are taken as they are: a third of the time is kept for actions."""
        return self.began + self.policy.hook.deadline_s * PROBE_SHARE

    @property
    def killed(self) -> bool:
        """Return whether the kill switch is on."""
        switch = self.policy.drain.kill_switch
        return bool(switch) and os.path.exists(switch)

    @property
    def standing(self) -> str:
        """Return the file that remembers which of many expectations held."""
        return f"{self.run_dir}/expected-{self.node}.json"

    def slurm(self) -> Slurm:
        """Return the way to Slurm's commands, which ends a moment before the hook must."""
        from preflight.slurm.commands import Slurm

        hook = self.policy.hook
        return Slurm(hook.slurm_bin, hook.slurm_conf or self.slurm_conf, self.deadline - 0.5)


def is_apart(run_dir: str, node: str) -> bool:
    """Return whether the hook has to be supervised (hooks/supervised.py): what it opens stands on a server, or nobody
    has looked yet. Where all is well that costs two looks into memory.
    """
    if not run_dir.startswith(MEMORY) and may_hold(run_dir):
        return True
    return os.path.exists(f"{run_dir}/apart-{node}.json") or not os.path.exists(f"{run_dir}/policy-{node}.json")


def start(
    phase: str, config: str, run_dir: str, environment: Mapping[str, str], began: float, line: Line | None = None
) -> Run:
    """Return the run that Slurm's ``environment`` describes; never fails for a wrong policy.

    ``line``: to the parent of a hook that is supervised.
    """
    node = environment.get("SLURMD_NODENAME") or os.uname().nodename.split(".")[0]
    rundir.watch(run_dir, ahead=phase != "prolog")
    spool.watch(run_dir, node)
    slurm_conf = environment.get("SLURM_CONF", "")
    if line is None:
        policy = cached_policy(config, node, run_dir, lambda read: _anew(read, config, node, run_dir, slurm_conf))
    else:
        from preflight.hooks.apart import Own

        policy = Own(config, node, run_dir, slurm_conf).policy(_unknown_checks)
        line.deadline(began + policy.hook.deadline_s)
    job = job_from(environment)
    longer_s = policy.hook.deadline_s * (SLOW_SHARE - PROBE_SHARE)
    reading = reading_of(policy, node, run_dir, phase)._replace(longer_s=longer_s, span=Span(began))
    if phase == "health" or (job is not None and job.gpus_text):
        reading = reading.ahead(began + policy.hook.deadline_s * PROBE_SHARE)
    started = time.time() - (time.monotonic() - began)  # so that started and duration_ms add up to the end
    return Run(phase, node, policy, run_dir, job, slurm_conf, started, began, reading, config, line)


def _anew(policy: Policy, config: str, node: str, run_dir: str, slurm_conf: str) -> list[str]:
    """See to what is seen to once a policy; return its warnings."""
    from preflight.hooks.apart import Own

    Own(config, node, run_dir, slurm_conf).mark(policy)
    return _unknown_checks(policy)


def _unknown_checks(policy: Policy) -> list[str]:
    """Return a warning for each [checks."NAME"] that names no check; asked once a policy."""
    from preflight.checks.names import unknown_checks
    from preflight.hooks.site.run import names

    return unknown_checks(policy, lambda: names(policy))
