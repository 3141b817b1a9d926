"""`preflight require --to extra|constraint|json`: what each job pays for at submit, so Click is not imported for it.

`quick` takes the plain forms of the command, such as the plugin's and cli_filter.lua's, and answers mistakes in the
requirement too; whatever else is asked goes the long way, by `preflight.cli.require`, with the same answer.
"""

from __future__ import annotations

import os
import sys
import time

from preflight.requirements.grammar import Requirement, RequirementError, parse, to_json
from preflight.tuples import NamedTuple

OPTIONS = ("--to", "--with", "--features", "--gres", "--config")
SINFO_S = 5.0


class Placed(NamedTuple):
    """What to print on stdout (None: nothing) and, a line each, on stderr.

    ``code``, the exit code: 3 where no node has the features for it, 2 where the requirement is mistaken.
    """

    text: str | None
    remarks: tuple[str, ...]
    code: int

    def say(self) -> int:
        """Print it and return the exit code."""
        for remark in self.remarks:
            sys.stderr.write(f"{remark}\n")
        sys.stderr.flush()
        if self.text is None:
            return self.code
        try:
            sys.stdout.buffer.write(os.fsencode(f"{self.text}\n"))  # a user's own --constraint may be any bytes
            sys.stdout.flush()
        except BrokenPipeError:  # a reader that went away does not change the answer
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return self.code


def quick(arguments: list[str]) -> Placed | None:
    """Return the answer to `require` with these arguments; None where they are not of a plain form, or Slurm fails."""
    given: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name in OPTIONS:
            given[name] = value if equals else next(words, "")
        elif word == "--" or not word.startswith("-"):
            rest = list(words) if word == "--" else [word, *words]
            break
    else:
        return None
    if rest[1:2] == ["--to"] and len(rest) == 3:  # SPEC --to extra, as people write it
        given["--to"] = rest.pop()
        rest.pop()
    if len(rest) != 1 or given.get("--to") not in ("extra", "constraint", "json"):
        return None
    own, features, config = given.get("--with", ""), given.get("--features"), given.get("--config")
    try:
        requirement = parse(rest[0])
    except RequirementError as error:
        return Placed(None, (str(error),), 2)
    if given["--to"] == "json":
        from preflight.json_text import indented

        return Placed(indented(to_json(requirement)), (), 0)
    from preflight.slurm.commands import SlurmError

    try:
        return place(requirement, given["--to"], own, features, config, given.get("--gres", ""))
    except SlurmError:
        return None


def place(
    requirement: Requirement, form: str, own: str, features: str | None, config: str | None, gres: str = ""
) -> Placed:
    """Return the requirement compiled to ``form`` and joined with the user's ``own``.

    ``features``: those of the cluster, separated by commas; None asks sinfo. ``gres``: the GPUs that the job asks for;
    only a MIG profile among them counts. Raises SlurmError; exits as `policy_for`.
    """
    from preflight.requirements.placeable import NotPlaceable, parted, profile_in
    from preflight.requirements.text import safe

    remarks = []
    requirement, of_device = parted(requirement) if profile_in(gres) else (requirement, ())
    if form == "extra":
        from preflight.requirements.extra import join_extra, to_extra

        compiled = to_extra(requirement)
        text = join_extra(own, compiled.text)
    else:
        from preflight.requirements.features import join_constraint, to_constraint

        listed = features.split(",") if features is not None else _cluster(config)
        compiled = to_constraint(requirement, [one.strip() for one in listed if one.strip()])
        try:
            text = join_constraint(own, compiled.text)
        except NotPlaceable as why:
            remarks.append(f"preflight: the prolog verifies all of it: {why}")
            text = own
    remarks += [
        f"preflight: the prolog verifies {safe(clause.text, 120)}: {why_not}"
        for clause, why_not in (*of_device, *compiled.not_placeable)
    ]
    remarks += [f"preflight: no node fits {safe(clause.text, 120)}" for clause in compiled.unmet]
    return Placed(text, tuple(remarks), 3 if compiled.unmet else 0)


def _cluster(config: str | None) -> list[str]:
    from preflight.cli.policies import policy_for
    from preflight.slurm.commands import Slurm
    from preflight.slurm.publish import cluster_features

    hook = policy_for(config).hook
    conf = hook.slurm_conf or os.environ.get("SLURM_CONF", "")
    return cluster_features(Slurm(hook.slurm_bin, conf, time.monotonic() + SINFO_S))
