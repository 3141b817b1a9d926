"""What a hook opens by itself, which of it stands on a server, and how it does without what does not answer.

Children open the rest, each of which may hang. Where one of these stands on a server is kept in the runtime directory
(`Own.mark`): each hook is a child then (hooks/supervised.py), and has them touched by children of its own first.
"""

from __future__ import annotations

import os
import time

from preflight.facts.isolate import Channel, process_state, run_child, start, wait
from preflight.facts.mounted import served
from preflight.facts.stuck import StuckGuard
from preflight.files import NOWHERE, read_json, read_plain, tolerate, unlink, write_json
from preflight.policy.cache import cached_policy, remembered_policy
from preflight.policy.files import drop_in_directory
from preflight.slurm.gres.cache import PLACES

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from preflight.facts.isolate import Child
    from preflight.policy.model import Policy

TOUCH_S = 1.0  # within which what stands on a server has to answer; what only lacks a processor has
MOST_S = 2.0
STEP_S = 0.05
REAP_S = 0.1
FILES = 64  # of a directory, that are read
PART = 512  # bytes of each
NAME_MAX = 100  # characters of a path in the name of the file that remembers a child at it


class Own:
    """What the hooks of ``node`` open: the policy ``config``, what that names, and Slurm's configuration.

    ``slurm_conf``: as slurmd names it, "" where it does not.
    """

    def __init__(self, config: str, node: str, run_dir: str, slurm_conf: str) -> None:
        self._config, self._node, self._run_dir, self._slurm_conf = config, node, run_dir, slurm_conf
        self._mark = f"{run_dir}/apart-{node}.json"

    def policy(self, examine: Callable[[Policy], Iterable[str]]) -> Policy:
        """Return the policy of a hook that is supervised: `cached_policy`, without what does not answer."""
        known = remembered_policy(self._config, self._node, self._run_dir, "")
        first = self.paths(known)
        suspect, gone = self._look(first, known.facts.root)
        policy = known
        if not gone.intersection((*self._policy_files(), known.catalog.file, *known.site.path)):
            policy = cached_policy(self._config, self._node, self._run_dir, examine)
            paths = self.paths(policy)
            more = self._look([path for path in paths if path not in first], policy.facts.root)
            suspect, gone = (suspect | more[0]).intersection(paths), (gone | more[1]).intersection(paths)
        self._keep(suspect)
        return self._without(policy, gone)

    def mark(self, policy: Policy) -> None:
        """Note for the next hooks which of what they open stands on a server. For a hook that opens it all anyway."""
        self._keep(served(self.paths(policy)))

    def paths(self, policy: Policy) -> tuple[str, ...]:
        """Return all that a hook opens by itself."""
        site = (policy.site.directory, *policy.site.path, policy.catalog.file)
        own = (policy.report.spool, policy.drain.kill_switch, policy.hook.slurm_bin, policy.facts.root)
        return tuple(dict.fromkeys(filter(None, (*self._policy_files(), *self._slurm_files(policy), *site, *own))))

    def _look(self, paths: Collection[str], root: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return which of ``paths`` stand on a server, and which of those do not answer.

        The node's ``root`` is not asked: its facts have their own deadline, and nothing could be done without it.
        """
        suspect = self._suspect(paths)
        return frozenset(suspect), silent(self._run_dir, [path for path in suspect if path != root])

    def known_cluster(self) -> dict[str, str]:
        """Return what an earlier hook has kept of its cluster (hooks/cluster.py): ``cluster`` and ``conf``."""
        stored = read_json(f"{self._run_dir}/cluster-{self._node}.json")
        kept = stored if isinstance(stored, dict) else {}
        return {key: kept[key] if isinstance(kept.get(key), str) else "" for key in ("cluster", "conf")}

    def _policy_files(self) -> tuple[str, str]:
        return self._config, drop_in_directory(self._config)

    def _slurm_files(self, policy: Policy) -> list[str]:
        """Return each slurm.conf that a hook may read, and the gres.conf beside it."""
        named = (policy.hook.slurm_conf or self._slurm_conf, self.known_cluster()["conf"])
        confs = [conf for conf in named if conf] or [f"{place}/slurm.conf" for place in PLACES]
        return [path for conf in confs for path in (conf, f"{os.path.dirname(conf)}/gres.conf")]

    def _suspect(self, paths: Collection[str]) -> list[str]:
        """Return which of ``paths`` stand on a server, links followed by a child; all, where that hangs."""
        guard = StuckGuard(self._run_dir, f"touch-links-{self._node}")
        if not paths or guard.stuck():
            return list(paths)
        try:
            outcome = run_child("links", lambda channel: channel.tell({"served": served(paths)}), TOUCH_S)
        except OSError:  # no process to be had
            return served(paths, follow=False)
        guard.record(outcome)
        return outcome.messages[0]["served"] if outcome.messages else list(paths)

    def _keep(self, found: Iterable[str]) -> None:
        listed = sorted(set(found))
        if not listed:
            unlink(self._mark)
        elif read_json(self._mark) != listed:
            with tolerate(OSError):
                write_json(self._mark, listed)

    def _without(self, policy: Policy, gone: Collection[str]) -> Policy:
        """Return the policy as if what is ``gone`` could not be read: in observe mode, unless that is the spool."""
        if not gone:
            return policy
        problem = f"{', '.join(sorted(gone))}: the file system does not answer"
        mode = policy.mode if set(gone) == {policy.report.spool} else "observe"
        if {policy.site.directory, *policy.site.path}.intersection(gone):
            policy = policy._replace(site_points=(), site=policy.site._replace(directory=NOWHERE, path=()))
        if set(self._slurm_files(policy)).intersection(gone):
            named = policy.cluster or self.known_cluster()["cluster"]
            policy = policy._replace(cluster=named, hook=policy.hook._replace(slurm_conf=NOWHERE))
        if policy.drain.kill_switch in gone:
            policy = policy._replace(drain=policy.drain._replace(kill_switch=""))
        if policy.report.spool in gone:
            policy = policy._replace(report=policy.report._replace(spool=NOWHERE))
        return policy._replace(mode=mode, problem=policy.problem or problem)


def silent(run_dir: str, paths: Iterable[str]) -> frozenset[str]:
    """Return those of ``paths`` that do not answer within TOUCH_S, each asked by a child of its own.

    One at which an earlier hook's child still hangs is not asked again.
    """
    found, children = set(), []
    for path in paths:
        guard = StuckGuard(run_dir, f"touch-{path.replace('/', '_')[-NAME_MAX:]}")
        if guard.stuck():
            found.add(path)
            continue
        with tolerate(OSError):
            children.append((path, guard, start("touch", _Touch(path), MOST_S)))
    _wait([child for _, _, child in children])
    for path, guard, child in children:
        outcome = child.conclude(REAP_S)
        if not outcome.finished:
            found.add(path)
            guard.record(outcome._replace(stuck_at=path))
    return frozenset(found)


def _wait(children: list[Child]) -> None:
    """Wait until all have ended, past TOUCH_S for those alone that are ready to run and lack a processor."""
    now = time.monotonic()
    most, until = now + MOST_S, now + TOUCH_S
    wait(children, until)
    while until < most and any(not one.closed and process_state(one.pid) == "R" for one in children):
        until += STEP_S
        wait(children, until)


class _Touch:
    """A child's work: to touch one path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, channel: Channel) -> None:
        touch(self._path)


def touch(path: str) -> None:
    """Look at ``path`` and read a little of it; of a directory list what is in it, and read of its files. May hang."""
    if not os.path.isdir(path):
        with tolerate(OSError):
            read_plain(path, PART)
        return
    with tolerate(OSError), os.scandir(path) as found:
        for one in list(found)[:FILES]:
            with tolerate(OSError):
                if one.is_file(follow_symlinks=False):
                    read_plain(one.path, PART)
                elif one.is_dir(follow_symlinks=False):
                    os.listdir(one.path)
