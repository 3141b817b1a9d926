"""What an image needs of a node: each need in a sentence, its evidence and, if it can be said, as a requirement."""

from __future__ import annotations

import re
from typing import NamedTuple

from preflight.catalog import families
from preflight.digits import is_whole
from preflight.requirements.grammar import RequirementError, parse
from preflight.submit.image.convert import Converted, convert
from preflight.submit.image.model import Found, Image
from preflight.submit.image.requires import DISABLE, Condition, read

_KINDS = {
    "toolkit": "the CUDA toolkit",
    "cuda directory": "CUDA's directory",
    "libcudart": "CUDA's runtime library",
    "pip": "CUDA's runtime, from pip",
    "conda": "CUDA's runtime, from conda",
    "torch": "PyTorch's CUDA build",
}
MAX_SHOWN = 300


class Need(NamedTuple):
    """One need.

    ``subject``      "system", "libc", "arch", "driver", "cuda", "compat", "gpus" or "capabilities".
    ``text``         a sentence for people. ``evidence``: the line or file that it comes from.
    ``requirement``  clauses of the requirement language ("cuda>=12.4"), None where it asks nothing that can be said.
    """

    subject: str
    text: str
    evidence: str
    requirement: str | None = None


def needs(image: Image, checked_by: str = "") -> list[Need]:
    """Return what the image needs, the system first; texts hold the image's own words and are not yet cleaned.

    ``checked_by``: what checks NVIDIA_REQUIRE_* before it starts the container, "enroot" (its hook, pyxis as well) or
    "toolkit" (NVIDIA's container toolkit: Docker, podman); "" where nothing does (Apptainer's --nv).
    """
    return [
        *_system(image),
        *_architecture(image),
        *_conditions(image, checked_by),
        *_cuda(image),
        *_compat(image),
        *_variables(image),
    ]


def requirement(found: list[Need]) -> str:
    """Return all needs as one requirement, without clauses that another one implies; "" where none can be said."""
    every = dict.fromkeys(clause for need in found if need.requirement for clause in need.requirement.split(", "))
    parts = [frozenset(clause.split("|")) for clause in every]
    clauses = [clause for clause in every if not any(part < frozenset(clause.split("|")) for part in parts)]
    text = ", ".join(clauses)
    try:
        return parse(text).text() if text else ""
    except RequirementError:  # longer than a requirement may be, or a machine that none of Slurm's is
        return ", ".join(clause for clause in clauses if "|" not in clause and _can_be_asked(clause))


def _can_be_asked(clause: str) -> bool:
    try:
        return bool(parse(clause))
    except RequirementError:
        return False


def _system(image: Image) -> list[Need]:
    found: list[Need] = []
    if image.os is not None:
        name = image.os["name"] or " ".join([families.title(image.os["id"]), image.os["version"] or ""]).strip()
        found.append(Need("system", f"brings its own system: {name}; the node's may be another", "os-release"))
    if image.libc is None:
        return found
    if image.libc["glibc"] is None:
        text = "runs on musl: NVIDIA publishes no CUDA for musl, so CUDA programs and libraries do not run in it"
        found.append(Need("libc", text, "/lib/ld-musl-*.so.1"))
    else:
        found.append(Need("libc", f"brings its own C library: glibc {image.libc['glibc']}", "libc.so.6"))
    return found


def _architecture(image: Image) -> list[Need]:
    several = [name for name in image.platforms if _plain(name)]
    names = several if len(several) > 1 else [image.architecture] if image.architecture else []
    names = [name for name in names if _plain(name)]
    if not names:
        return []
    text = f"runs on {' or '.join(names)} machines"
    evidence = "the index's platforms" if len(names) > 1 else _architecture_evidence(image)
    return [Need("arch", text, evidence, "|".join(f"arch={name}" for name in names[:16]))]


def _architecture_evidence(image: Image) -> str:
    return {
        "oci": "the image's configuration",
        "docker": "the image's configuration",
        "sif": "the SIF's header",
    }.get(image.kind, "the C library inside")


def _plain(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9_]{1,32}", name) is not None


def _conditions(image: Image, checked_by: str) -> list[Need]:
    """Return a need for each NVIDIA_REQUIRE_* variable, or for the CUDA_VERSION of an old image."""
    asked = read(image.environment)
    found: list[Need] = []
    for condition in asked.conditions:
        evidence = _line(image, condition.variable)
        if asked.disabled:
            text = f"{condition.variable} is set, but NVIDIA_DISABLE_REQUIRE turns it off: {_short(condition.value)}"
            found.append(Need("driver", text, f"{evidence}; {_line(image, 'NVIDIA_DISABLE_REQUIRE')}"))
            continue
        converted = convert(condition, checked=_is_checked(image, condition, checked_by))
        text = _asked(condition, converted)
        found.append(Need("driver", text, evidence, ", ".join(converted.clauses) or None))
    found += [Need("driver", note, _line(image, note.partition(":")[0].partition("=")[0])) for note in asked.notes]
    return found


def _is_checked(image: Image, condition: Condition, checked_by: str) -> bool:
    """Tell whether a runtime checks a condition. Source of enroot's: NVIDIA/enroot conf/hooks/98-nvidia.sh.

    Its hook checks nothing where NVIDIA_VISIBLE_DEVICES is not set or void, and knows no CUDA_VERSION.
    """
    if checked_by != "enroot":
        return bool(checked_by)
    if image.environment.get("NVIDIA_VISIBLE_DEVICES", "void") in ("", "void") or image.environment.get(DISABLE):
        return False
    return condition.variable != "CUDA_VERSION"


def _asked(condition: Condition, converted: Converted) -> str:
    if not condition.terms or () in condition.terms:
        text = f"{condition.variable} asks nothing"
    elif condition.variable == "CUDA_VERSION":
        text = f"says only CUDA_VERSION, which NVIDIA's tools take as: {condition.value}"
    else:
        first = ", ".join(factor.text() for factor in condition.terms[0])
        others = len(condition.terms) - 1
        more = f", or one of {others} alternatives" if others > 1 else ", or one alternative" if others else ""
        text = f"the driver must satisfy {first}{more}"
    return "; ".join([text, *converted.lost])


def _cuda(image: Image) -> list[Need]:
    """Return what the CUDA libraries inside ask: the lowest of them, since it is not known which one a job uses."""
    versions = sorted({_minor(one.version) for one in image.cuda if _minor(one.version)})
    if not versions:
        return []
    found = [
        Need("cuda", f"holds {_KINDS.get(one.kind, one.kind)} {one.version}", one.where)
        for one in sorted(image.cuda, key=_order)[:24]
    ]
    lowest = ".".join(str(part) for part in versions[0])
    evidence = next(one.where for one in image.cuda if _minor(one.version) == versions[0])
    if image.libc is not None and image.libc["glibc"] is None:
        return [
            *found,
            Need("cuda", "its CUDA libraries are built for glibc, and it has musl: they do not load", evidence),
        ]
    if image.compat:
        text = (
            f"CUDA {lowest} inside can run on an older driver through the cuda-compat inside, so no CUDA is asked for"
        )
        return [*found, Need("cuda", text, evidence)]
    which = f" (the lowest of {len(versions)} versions inside)" if len(versions) > 1 else ""
    return [*found, Need("cuda", f"programs built with CUDA {lowest}{which} must run", evidence, f"cuda>={lowest}")]


def _order(one: Found) -> tuple[tuple[int, ...], str, str]:
    return _minor(one.version), one.kind, one.where


def _minor(version: str) -> tuple[int, ...]:
    """Return (major, minor): a library named libcudart.so.12 says 12.0 or later; () for what is no CUDA version."""
    parts = [int(part) for part in version.split(".")[:2] if is_whole(part, 4)]
    return (parts[0], parts[1] if len(parts) > 1 else 0) if parts and 0 < parts[0] < 1000 else ()


def _compat(image: Image) -> list[Need]:
    return [
        Need(
            "compat",
            f"brings cuda-compat of driver {one.version}: an older driver of a data center GPU can run its CUDA; "
            "Apptainer and CDI do not put it in front by themselves",
            one.where,
        )
        for one in image.compat[:8]
    ]


def _variables(image: Image) -> list[Need]:
    found: list[Need] = []
    visible = image.environment.get("NVIDIA_VISIBLE_DEVICES")
    legacy = "CUDA_VERSION" in image.environment and "NVIDIA_REQUIRE_CUDA" not in image.environment
    if visible is not None:
        found.append(Need("gpus", _visible(visible), _line(image, "NVIDIA_VISIBLE_DEVICES")))
    elif legacy:
        found.append(Need("gpus", "gets all GPUs from the container toolkit", _line(image, "CUDA_VERSION")))
    elif image.cuda and image.kind != "sif":
        text = (
            "does not ask for GPUs: enroot and the container toolkit give it none unless NVIDIA_VISIBLE_DEVICES is set"
        )
        found.append(Need("gpus", text, "NVIDIA_VISIBLE_DEVICES is not set"))
    capabilities = image.environment.get("NVIDIA_DRIVER_CAPABILITIES")
    if capabilities:
        text = f"wants the driver's parts: {_short(capabilities)}"
        if "compute" not in capabilities and "all" not in capabilities.split(","):
            text += "; compute is not among them, so CUDA programs find no driver"
        found.append(Need("capabilities", text, _line(image, "NVIDIA_DRIVER_CAPABILITIES")))
    elif visible not in (None, "", "void", "none"):
        text = "does not say which of the driver's parts it wants: enroot gives utility only, without CUDA; "
        found.append(Need("capabilities", f"{text}set NVIDIA_DRIVER_CAPABILITIES=compute,utility", "it is not set"))
    return found


def _visible(value: str) -> str:
    if value in ("", "void"):
        return "asks for no NVIDIA support"
    if value == "none":
        return "wants the driver's files, but no GPU"
    return "wants all GPUs that the job has" if value == "all" else f"wants the GPUs {_short(value)}"


def _line(image: Image, name: str) -> str:
    """Return a variable as it stands in the image, and where."""
    if name not in image.environment:
        return "the image's environment"
    return f"{name}={_short(image.environment[name])} ({image.sources.get(name, 'the environment')})"


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
