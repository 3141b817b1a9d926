"""One run of a hook: who, where, under which policy, until when."""

from __future__ import annotations

import os
import time

from preflight.facts.probe import Span
from preflight.hooks import rundir, spool, supervised
from preflight.hooks.reading import Reading, reading_of
from preflight.policy.cache import cached_policy, remembered_policy
from preflight.policy.files import drop_in_directory
from preflight.policy.model import Policy
from preflight.slurm.environment import Job, job_from
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from preflight.slurm.commands import Slurm

PROBE_SHARE = 2 / 3
NOWHERE = "/dev/null/does-not-answer"  # what stands below it is refused at once
SLOW_SHARE = 0.85  # where NVML has not answered and is not known to hang: what is late is better than what is not known


class Run(NamedTuple):
    """``started`` seconds since the epoch; ``began`` and ``deadline`` time.monotonic() instants."""

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


def start(phase: str, config: str, run_dir: str, environment: Mapping[str, str], began: float) -> Run:
    """Return the run that Slurm's ``environment`` describes; never fails for a wrong policy."""
    node = environment.get("SLURMD_NODENAME") or os.uname().nodename.split(".")[0]
    rundir.watch(run_dir, ahead=phase != "prolog")
    spool.watch(run_dir, node)
    slurm_conf = environment.get("SLURM_CONF", "")

    def read_anew(policy: Policy) -> list[str]:
        supervised.mark(run_dir, node, opened(config, policy, slurm_conf))
        return _unknown_checks(policy)

    if supervised.silent(run_dir, *files_of(config)):
        policy = remembered_policy(config, node, run_dir, f"{config}: its file system does not answer")
    else:
        policy = cached_policy(config, node, run_dir, read_anew)
    policy = without(policy, slurm_conf, supervised.silent(run_dir, *own_files(policy, slurm_conf)))
    job = job_from(environment)
    longer_s = policy.hook.deadline_s * (SLOW_SHARE - PROBE_SHARE)
    reading = reading_of(policy, node, run_dir, phase)._replace(longer_s=longer_s, span=Span(began))
    if phase == "health" or (job is not None and job.gpus_text):
        reading = reading.ahead(began + policy.hook.deadline_s * PROBE_SHARE)
    started = time.time() - (time.monotonic() - began)  # so that started and duration_ms add up to the end
    return Run(phase, node, policy, run_dir, job, slurm_conf, started, began, reading, config)


def without(policy: Policy, slurm_conf: str, silent: Collection[str]) -> Policy:
    """Return the policy for a node whose files at ``silent`` do not answer: as if each of them could not be read."""
    if not silent:
        return policy
    report, hook = policy.report, policy.hook
    used = hook.slurm_conf or slurm_conf
    if report.spool in silent:
        policy = policy._replace(report=report._replace(spool=NOWHERE))
    if used in silent or gres_conf(used) in silent:
        policy = policy._replace(hook=hook._replace(slurm_conf=NOWHERE))
    if policy.drain.kill_switch in silent or hook.slurm_bin in silent:
        policy = policy._replace(mode="observe")
    problem = f"{', '.join(sorted(silent))}: the file system does not answer"
    return policy._replace(problem=policy.problem or problem)


def files_of(config: str) -> tuple[str, str]:
    """Return where the policy ``config`` stands: the file, and the directory of its drop-ins."""
    return config, drop_in_directory(config)


def opened(config: str, policy: Policy, slurm_conf: str) -> tuple[str, ...]:
    """Return all that a hook itself opens, "" for what there is not."""
    return (*files_of(config), *own_files(policy, slurm_conf), policy.facts.root)


def own_files(policy: Policy, slurm_conf: str) -> tuple[str, ...]:
    """Return what a hook itself opens, and not a child of it, beside the policy; "" for what there is not."""
    used = policy.hook.slurm_conf or slurm_conf
    more = (policy.report.spool, policy.drain.kill_switch, policy.catalog.file, policy.hook.slurm_bin)
    return (used, gres_conf(used), *more)


def gres_conf(slurm_conf: str) -> str:
    """Return the gres.conf beside a slurm.conf, "" for none."""
    return f"{os.path.dirname(slurm_conf)}/gres.conf" if slurm_conf else ""


def _unknown_checks(policy: Policy) -> list[str]:
    """Return a warning for each [checks."NAME"] that names no check; asked once a policy."""
    from preflight.checks.names import unknown_checks
    from preflight.hooks.site.run import names

    return unknown_checks(policy, lambda: names(policy))
