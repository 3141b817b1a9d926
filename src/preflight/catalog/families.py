"""Distributions: their os-release IDs, the other names people use, and which count as another.

ID_LIKE does not tell families: Oracle Linux 8 says only "fedora", Amazon Linux 2 says "rhel". So the families
stand here. An ID is written as in the distribution's own os-release file, lower case.
"""

from __future__ import annotations

from preflight.tuples import NamedTuple

# IDs: os-release files collected by which-distro/os-release (2026-01-26) unless the row says otherwise.
_OS_RELEASE = "which-distro/os-release, 2026-01-26"


class Distribution(NamedTuple):
    """One distribution: ``id`` as in os-release, ``title`` for people, a ``release`` of it (an example, as its
    VERSION_ID has it), ``aliases`` that mean the same, ``source``.
    """

    id: str
    title: str
    release: str
    aliases: tuple[str, ...] = ()
    source: str = _OS_RELEASE


class Family(NamedTuple):
    """What a distribution's name stands for when a requirement compares its version.

    ``members`` maps os-release ID to the major versions that count, or None for all of them.
    """

    name: str
    members: dict[str, frozenset[int] | None]
    source: str


DISTRIBUTIONS = (
    Distribution("almalinux", "AlmaLinux", "9.4", ("alma",)),
    Distribution("alpine", "Alpine Linux", "3.21"),
    Distribution("amzn", "Amazon Linux", "2023", ("amazon", "amazonlinux")),
    Distribution("arch", "Arch Linux", "rolling", ("archlinux",)),
    Distribution("azurelinux", "Azure Linux", "3.0"),
    Distribution("centos", "CentOS", "9"),
    Distribution("debian", "Debian", "12"),
    Distribution("fedora", "Fedora", "42"),
    Distribution("flatcar", "Flatcar Container Linux", "4459"),
    Distribution("gentoo", "Gentoo", "2.15"),
    Distribution("mariner", "CBL-Mariner", "2.0"),
    Distribution("nixos", "NixOS", "25.05"),
    Distribution("ol", "Oracle Linux", "9.4", ("oracle", "oraclelinux")),
    Distribution("openeuler", "openEuler", "24.03"),
    Distribution("opensuse-leap", "openSUSE Leap", "15.6", ("leap",)),
    Distribution(
        "opensuse-tumbleweed",
        "openSUSE Tumbleweed",
        "20250101",
        ("tumbleweed",),
        "mayeut/pep600_compliance cache @2d70275",
    ),
    Distribution("photon", "Photon OS", "5.0"),
    Distribution("raspbian", "Raspbian", "12"),
    Distribution("rhel", "RHEL", "9", ("redhat",)),
    Distribution("rocky", "Rocky Linux", "9.4", ("rockylinux",)),
    Distribution("scientific", "Scientific Linux", "7.5", ("scientificlinux",)),
    Distribution("sles", "SLES", "15.6", ("suse",)),
    Distribution("ubuntu", "Ubuntu", "22.04"),
)

FAMILIES = (
    Family(
        "rhel",
        {
            **dict.fromkeys(("rhel", "rocky", "almalinux", "ol", "centos", "scientific")),
            **dict.fromkeys(("cloudlinux", "eurolinux", "miraclelinux", "springdale", "virtuozzo")),
            "anolis": frozenset({7, 8}),
        },
        "each project's own statement of compatibility with RHEL; CentOS Stream is RHEL's upstream of the same major; "
        "Anolis OS 23 is no rebuild of RHEL",
    ),
    Family(
        "sles",
        {
            "sles": None,
            "opensuse-leap": frozenset({15}),
            # SLE by another product's name: High Performance Computing, Real Time, for SAP, Desktop.
            **dict.fromkeys(("sle_hpc", "sle-hpc", "sle_rt", "sles_sap", "sled")),
        },
        "openSUSE Leap 15.x shares the packages of SLE 15 SPx; no such tie is claimed for other majors of Leap; "
        "SLE_HPC, SLE_RT, SLES_SAP and SLED are products on SLE's code base with its version numbers",
    ),
)

_BY_NAME = {name: one for one in DISTRIBUTIONS for name in (one.id, *one.aliases)}
_FAMILY = {family.name: family.members for family in FAMILIES}


def canonical(name: str) -> str:
    """Return the os-release ID that a distribution's name stands for, lower case; an unknown name as it is."""
    known = _BY_NAME.get(name.casefold())
    return known.id if known else name.casefold()


def title(os_id: str) -> str:
    """Return the name people use for an os-release ID; an unknown ID as it is."""
    known = _BY_NAME.get(os_id.casefold())
    return known.title if known else os_id


def aliases(os_id: str) -> tuple[str, ...]:
    """Return the other names of an os-release ID."""
    known = _BY_NAME.get(os_id)
    return known.aliases if known else ()


def members(name: str) -> dict[str, frozenset[int] | None]:
    """Return the os-release IDs that count as distribution ``name``, each with its majors (None: all)."""
    os_id = canonical(name)
    return _FAMILY.get(os_id, {os_id: None})


def counts_as(os_id: str, major: int | None, name: str) -> bool | None:
    """Tell whether a node's distribution counts as ``name``; None when that hangs on a major it does not state."""
    family = members(name)
    os_id = canonical(os_id)
    if os_id not in family:
        return False
    majors = family[os_id]
    if majors is None:
        return True
    return None if major is None else major in majors
