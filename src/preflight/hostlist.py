"""Slurm host lists ("n[01-04],gpu7"), by ClusterShell; imported only where there is one to expand."""

from typing import Any

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException


class HostlistError(ValueError):
    """A text that is no host list; one line."""


def _parsed(text: str) -> Any:
    try:
        return NodeSet(text or None, resolver=RESOLVER_NOGROUP)  # type: ignore[no-untyped-call]
    except NodeSetException as error:
        raise HostlistError(f"not a host list: {error}") from error


def names(text: str) -> set[str]:
    """Return the hosts of ``text``; "" has none. Raises HostlistError."""
    return {str(one) for one in _parsed(text)}


def contains(text: str, host: str) -> bool:
    """Return whether ``host`` is among the hosts of ``text``, without expanding it. Raises HostlistError."""
    return host in _parsed(text)


def folded(hosts: set[str]) -> str:
    """Return the hosts as one host list."""
    # Hosts that differ in their last number alone are given to the library as one: that is ten times as fast.
    groups: dict[tuple[str, int], list[str]] = {}
    for host in hosts:
        head = host.rstrip("0123456789")
        number = host[len(head) :]
        groups.setdefault((head, len(number) if number[:1] == "0" else 0 if number else -1), []).append(number)
    together = [
        f"{head}[{','.join(numbers)}]" if len(numbers) > 1 and width >= 0 else f"{head}{numbers[0]}"
        for (head, width), numbers in sorted(groups.items())
    ]
    return str(NodeSet.fromlist(together, resolver=RESOLVER_NOGROUP))  # type: ignore[no-untyped-call]


def in_order(text: str) -> list[str]:
    """Return the hosts of ``text`` in the order written, as slurmd takes gres.conf's File=; a node set would sort.

    Raises HostlistError.
    """
    found: list[str] = []
    for part in _split(text):
        before, bracket, rest = part.partition("[")
        ranges, _, after = rest.partition("]")
        for one in ranges.split(",") if bracket and "[" not in after else [""]:
            found += [str(host) for host in _parsed(f"{before}[{one}]{after}" if one else part)]
    return found


def _split(text: str) -> list[str]:
    """Split at the commas outside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
