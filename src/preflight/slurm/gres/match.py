"""Which of the GPUs that NVML lists each of Slurm's numbers means; what cannot be told is a problem, never a guess."""

from __future__ import annotations

from preflight.slurm.gres.model import Gres
from preflight.slurm.gres.order import Ambiguous, Entry, entries, method
from preflight.tuples import NamedTuple

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

RELEASES = (2205, 2311, 2411, 2605)  # one of each kind that differs here
MOST_UNSAID = 256  # GPUs of a node whose slurm.conf was not found
PROFILE = "g."  # of a MIG device's type: a100_3g.40gb
FAR = 4096  # a minor number beyond every other


class Place(NamedTuple):
    """What one of Slurm's numbers is.

    ``found``: (position in facts' devices, position in its mig_devices or None); two where MultipleFiles= names two
    GPUs. ``missing``: the device file that NVML's list does not have. ``other``: the file of another vendor's device.
    """

    found: tuple[tuple[int, int | None], ...] = ()
    missing: str = ""
    other: str = ""


def places(gres: Gres, gpus: list[dict[str, Any]], release: int = 0) -> tuple[list[Place], str]:
    """Return what Slurm's numbers 0, 1, … mean on this node, and a problem in place of an answer.

    ``gpus``: ``devices`` of the facts' subject gpus. ``release``: 2205 for 22.05, 0 for what the configuration's own
    reading found. Where something is not known (the release, the plugins, a GPU that does not answer), each
    possibility is worked out, and only what all of them give is an answer.
    """
    if gres.problem:
        return [], gres.problem
    # A node whose slurmd has fewer GPUs than slurm.conf says is INVALID and runs no job.
    needed = gres.total or 1
    try:
        found = _answers(gres, gpus, release or gres.release)
        if gres.nvml is False and all(len(answer) < needed for answer, _ in found):
            # Without the plugin it would be so: it is there, in a place that is not known.
            found = _answers(gres._replace(nvml=True), gpus, release or gres.release)
    except Ambiguous as error:
        return [], str(error)
    likely = [one for one in found if len(one[0]) >= needed] or found
    if len(likely) > 1:
        return [], likely[1][1] or likely[0][1]
    return likely[0][0], _twice(likely[0][0])


def _answers(gres: Gres, gpus: list[dict[str, Any]], release: int) -> list[tuple[list[Place], str]]:
    """Return each different answer with what it is that is not known; raises Ambiguous."""
    found = list[tuple[list[Place], str]]()
    for number, nvml, why in _possible(gres, release):
        how = method(gres, number, nvml)
        for complete, untold in _complete(gres, gpus, how):
            if how == "other":
                answer = _others(gres)
            else:
                answer = [_place(one, gpus) for one in entries(gres, complete, number, how)]
            if answer not in [one for one, _ in found]:
                found.append((answer, why or untold))
    return found


def _possible(gres: Gres, release: int) -> Iterator[tuple[int, bool, str]]:
    """Yield (release, whether slurmd detects by NVML, what is not known)."""
    for number in (release,) if release else RELEASES:
        for nvml in (True, False) if gres.nvml is None else (gres.nvml,):
            why = "Slurm's release is not known, and its order depends on it" if not release else ""
            if gres.nvml is None and "nvml" in gres.autodetect.lower():
                why = why or "whether slurmd detects GPUs (AutoDetect=nvml) is not known, and its order depends on it"
            yield number, nvml, why


def _complete(gres: Gres, gpus: list[dict[str, Any]], how: str) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Yield the GPUs as slurmd may have seen them at its start: those that do not answer now did so then.

    Raises Ambiguous where one of them may have been several MIG devices.
    """
    silent = [at for at, gpu in enumerate(gpus) if not isinstance(gpu.get("minor"), int)]
    types = [kind for kind, _ in gres.wanted or () if kind]
    named = dict.fromkeys([gpu["name"] for gpu in gpus if isinstance(gpu.get("name"), str)][:4] + types)
    if not silent and all(isinstance(gpu.get("name"), str) for gpu in gpus):
        yield gpus, ""
        return
    why = "a GPU does not answer, and Slurm's order depends on it"
    if how == "nvml" and (any(gpu.get("mig") for gpu in gpus) or any(PROFILE in kind for kind in types)):
        raise Ambiguous(why)
    used = {gpu["minor"] for gpu in gpus if isinstance(gpu.get("minor"), int)}
    free = [minor for minor in range(len(gpus)) if minor not in used]
    files = [int(one[4:]) for line in gres.lines for one in line.targets if one.startswith("gpu:")]
    configured = [minor for minor in dict.fromkeys(files) if minor not in used]
    guesses = [free] if len(free) == len(silent) == 1 else [free, free[::-1], list(range(FAR, FAR + len(silent)))]
    for minors in [*guesses, configured, configured[::-1]] if configured else guesses:
        by_position = dict(zip(silent, minors + list(range(FAR, FAR + len(silent)))))
        for name in list(named) or [""]:
            yield (
                [
                    {**gpu, "minor": by_position.get(at, gpu.get("minor")), "name": gpu.get("name") or name}
                    for at, gpu in enumerate(gpus)
                ],
                why,
            )


def _others(gres: Gres) -> list[Place]:
    """Return the GPUs that another vendor's plugin finds; which comes first makes no difference here."""
    files = [path for line in gres.lines for path in line.files]
    if any(not target.startswith("other:") for line in gres.lines for target in line.targets):
        raise Ambiguous(f"gres.conf has AutoDetect={gres.autodetect[:20]} and names NVIDIA's GPUs")
    names = files or [f"AutoDetect={gres.autodetect[:20]}"]
    return [Place(other=names[0])] * (gres.total if gres.total is not None else max(len(files), MOST_UNSAID))


def _place(entry: Entry, gpus: list[dict[str, Any]]) -> Place:
    if entry.found is not None:
        return Place((entry.found,))
    wholes = [int(one[4:]) for one in entry.targets if one.startswith("gpu:")]
    caps = [int(one[4:]) for one in entry.targets if one.startswith("cap:")]
    if not wholes and not caps:
        return Place(other=entry.file)
    if caps:
        if any(gpu.get("mig") and _untold(gpu.get("mig_devices")) for gpu in gpus):
            raise Ambiguous("which MIG devices have which capability files (mig-minors) is not known")
        slices = [
            (at, place)
            for at, gpu in enumerate(gpus)
            for place, one in enumerate(gpu.get("mig_devices") or ())
            if set(caps) & set(one.get("caps") or ())
        ]
        whole = [one for one in slices if set(caps) <= set(gpus[one[0]]["mig_devices"][one[1]]["caps"])]
        slices = whole if whole else slices
        return Place((slices[0],)) if len(slices) == 1 else Place(missing=_named(entry))
    found = tuple((at, None) for minor in wholes for at, gpu in enumerate(gpus) if gpu.get("minor") == minor)
    return Place(found) if len(found) == len(wholes) else Place(found, missing=_named(entry))


def _untold(slices: list[dict[str, Any]] | None) -> bool:
    return slices is None or any(not one.get("caps") for one in slices)


def _named(entry: Entry) -> str:
    """Return the device that a finding names: /dev/nvidia3 by its minor number, whatever link gres.conf has."""
    minors = [one[4:] for one in entry.targets if one.startswith("gpu:")]
    caps = [one[4:] for one in entry.targets if one.startswith("cap:")]
    return f"/dev/nvidia-caps/nvidia-cap{caps[-1]}" if caps else f"/dev/nvidia{minors[0]}"


def _twice(answer: list[Place]) -> str:
    """Return a problem where two numbers mean one whole GPU: slurmd does not start with such a configuration."""
    wholes = [one for place in answer for one in place.found if one[1] is None]
    return "gres.conf lists a GPU twice" if len(set(wholes)) != len(wholes) else ""
