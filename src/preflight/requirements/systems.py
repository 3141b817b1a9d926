"""The names that ask for an operating system: os, os.like, and one for each distribution of the catalog."""

from preflight.catalog import families
from preflight.requirements import judges
from preflight.requirements.kinds import Version
from preflight.requirements.kinds_of_names import AliasedName
from preflight.requirements.row import Row


class _System(AliasedName):
    """An os-release ID; any may be one, but not a known one with a version behind it."""

    def parse(self, value: str) -> str:
        """Return the canonical ID; raise ValueError for "ubuntu22.04"."""
        name = value.rstrip("0123456789.").rstrip("-_ ")
        version = value[len(name) :].lstrip("-_ ")
        if version and families.canonical(name.casefold()) in _KNOWN and value.casefold() not in _KNOWN:
            raise ValueError(
                f"names a version, which the distribution's own name asks: write {name.casefold()}>={version}"
            )
        return super().parse(value)


_KNOWN = frozenset(one.id for one in families.DISTRIBUTIONS)
_SYSTEM = _System(families.canonical)

_OTHER_SYSTEM = "choose nodes with that system, or run in a container that brings it"

SYSTEM_ROWS = (
    Row(
        "os",
        _SYSTEM,
        "os.id",
        judges.system,
        "node",
        "one",
        "os",
        "os_",
        "distribution, by its os-release ID (ol, opensuse-leap) or another name for it (oracle, leap)",
        "os=ubuntu",
        "distribution",
        "no os-release ID",
        ("the distribution is {}", "the distribution is not {}"),
        _OTHER_SYSTEM,
    ),
    Row(
        "os.like",
        _SYSTEM,
        "os.like",
        judges.like,
        "node",
        "any",
        None,
        "os_like_",
        "distribution, by its os-release ID or one of its ID_LIKE",
        "os.like=debian",
        "distribution",
        "no os-release ID",
        ("the distribution is {} or says it is like it", "the distribution neither is {} nor says it is like it"),
        _OTHER_SYSTEM,
    ),
)


def distribution_row(one: families.Distribution) -> Row:
    """Return the row that compares the version of a distribution or its family."""
    members = families.members(one.id)
    named = [
        families.title(os_id) + (f" {', '.join(str(major) for major in sorted(majors))}" if majors else "")
        for os_id, majors in members.items()
    ]
    others = f" (counts: {', '.join(named)})" if len(members) > 1 else ""
    return Row(
        one.id,
        # A number of several digits is a slip (2204 for 22.04) where the distribution counts otherwise.
        Version(most=99 if int(one.release.split(".")[0]) < 100 else 0, example=one.release),
        "os.version",
        judges.distribution,
        "node",
        "one",
        "os_version",
        f"{one.id}_",
        f"version of {one.title}{others}; does not hold on any other distribution",
        f"{one.id}>={one.release}",
        one.title,
        f"no {one.title}",
        (f"the distribution is {' or '.join(named)}, and its version",),
        _OTHER_SYSTEM,
    )
