"""Node lists made by chance, and what a release's scontrol makes of them.

By hand, for many: cd tests && PREFLIGHT_LAB_RELEASE=26.05 python -m lab.hostlists 10000 [SEED]
"""

import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import places, releases
from lab.release import Release
from preflight.hostlist import HostlistError, contains, folded, in_order, names

HEADS = ("n", "w", "gpu-", "node", "r1n", "x1000c0s0b", "a-b", "cn.", "", "7", "N", "ip-10-0-")
TAILS = ("", "", "", "-ib", "c1", "x", ".cluster", "b0n", "-", "0", "07")
PROMPT = "scontrol: "
CONF = "ClusterName=lists\nSlurmctldHost=localhost\nNodeName=n1\nPartitionName=p Nodes=n1\n"
LONGEST = 400  # characters of a list that scontrol reads from stdin
MOST = 200  # hosts that a list is let have, so that thousands of lists take seconds


def made(seed: int, count: int) -> list[str]:
    """Return ``count`` lists, right and wrong ones, the same for the same seed; none has a blank."""
    chance = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        text = chance.choice((",", ",", ",", ",,")).join(_item(chance) for _ in range(chance.randint(1, 6)))
        if chance.random() < 0.2:
            text = _spoiled(chance, text)
        if text.strip(",") and len(text) <= LONGEST and _size(text) <= MOST:
            found.append(text)
    return found


def _size(text: str) -> int:
    """Return how many hosts the list has for us, 0 where it has none; more than MOST where it is not for comparing."""
    try:
        hosts = in_order(text)
    except HostlistError as error:
        return MOST + 1 if "more hosts" in str(error) else 0
    # Slurm cuts the number that ends a name to 2^64 - 1.
    return MOST + 1 if any(re.search("[0-9]{19}$", host) for host in hosts) else len(hosts)


def _number(chance: random.Random) -> str:
    number = chance.choice((0, 1, 2, 7, 8, 9, 10, 11, 98, 99, 100, 101, 999, 1000, chance.randrange(10**6)))
    return f"{number:0{chance.choice((0, 0, 1, 2, 2, 3, 4))}}"


def _range(chance: random.Random) -> str:
    low = _number(chance)
    if chance.random() < 0.4:
        return low
    high = str(int(low) + chance.choice((0, 0, 1, 1, 2, 2, 5, 5, 30, 30, 1, 1, 2, 2, 5, -1)))
    return f"{low}-{high.zfill(chance.choice((1, len(low), 3)))}"


def _item(chance: random.Random) -> str:
    text = chance.choice(HEADS)
    kind = chance.random()
    if kind < 0.35:
        return f"{text}{_number(chance)}{chance.choice(TAILS)}" or "n"
    for _ in range(chance.choice((1, 1, 1, 1, 2, 2, 3))):
        inside = ",".join(_range(chance) for _ in range(chance.choice((1, 1, 2, 3))))
        text += f"[{inside}]{chance.choice(TAILS)}"
    return text


def _spoiled(chance: random.Random, text: str) -> str:
    """Return the list with a few characters put in, taken out or changed."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text) + 1)
        new = chance.choice("[],-0123456789nx/:+]]--,,[")
        text = chance.choice(
            (text[:at] + new + text[at:], text[:at] + text[at + 1 :], text[:at] + new + text[at + 1 :])
        )
    return text


@dataclass(frozen=True)
class Scontrol:
    """The scontrol of ``release``, with a ``directory`` in which the slurm.conf stands that it wants even for this."""

    release: Release
    directory: str

    def run(self, args: Sequence[str], lines: str = "") -> "subprocess.CompletedProcess[str]":
        """Run it with ``lines`` on stdin; what it says of errors is left out."""
        return subprocess.run(
            self.release.argv("scontrol", args),
            input=lines,
            # COLUMNS: readline breaks the line that it repeats at the edge of a terminal that is not there.
            env={"SLURM_CONF": f"{self.directory}/slurm.conf", "PATH": "/usr/bin:/bin", "COLUMNS": "32000"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=300,
            check=False,
        )

    def asked(self, what: str, lists: Sequence[str]) -> list[list[str]]:
        """Return the lines that `scontrol show WHAT LIST` prints for each list, [] where it refuses it; one process.

        It ends with 0 for a list that it refuses, so only what it printed tells.
        """
        done = self.run([], "".join(f"show {what} {text}\n" for text in lists))
        _, *parts = done.stdout.split(PROMPT)  # it prints the prompt and the line that it read
        answers = [part.splitlines() for part in parts[: len(lists)]]
        for text, answer in zip(lists, answers):
            if answer[:1] != [f"show {what} {text}"]:
                raise RuntimeError(f"scontrol read {answer[:1]} for {text!r}")
        return [answer[1:] for answer in answers]


@contextmanager
def ready(release: Release) -> Iterator[Scontrol]:
    """Give the release's scontrol, which needs no daemon for node lists."""
    with tempfile.TemporaryDirectory(prefix=places.PREFIX, dir=places.PARENT) as directory:
        Path(directory, "slurm.conf").write_text(CONF, encoding="ascii")
        release.prepare(directory)
        try:
            yield Scontrol(release, directory)
        finally:
            release.release(directory)


def guessed(text: str) -> bool:
    """Return whether it is a list that Slurm reads by guessing, and that hostlist.py refuses (see there)."""
    if re.search(r"[][]", re.sub(r"\[[^][]*\]", "", text)):
        return True
    for inside in re.findall(r"\[([^][]*)\]", text):
        for one in inside.split(","):
            read = re.fullmatch(r"\+?([0-9]+)(-(\+?([0-9]+))?)?", one)
            if read is None:
                return True
            if read[4] and not 0 <= int(read[4]) - int(read[1]) < 1 << 16:  # in the first of three brackets
                return bool(re.search(r"\[[^][]*\][^][,]*\[[^][]*\][^][,]*\[", text))
    return False


def wrong(release: tuple[int, ...], text: str, slurm: list[str]) -> str:
    """Return what differs between Slurm's answer and ours, "" where nothing does."""
    try:
        ours = in_order(text)
    except HostlistError:
        return "" if not slurm or guessed(text) else f"{text!r}: refused, Slurm reads {slurm[:5]}"
    if release < (23,) and not slurm and re.search(r"\][^][,]+(,|$)", text):
        ours = []  # text behind a name's last bracket
    if ours != slurm:
        return f"{text!r}: {ours[:5]} ({len(ours)}), Slurm reads {slurm[:5]} ({len(slurm)})"
    if not all(contains(text, host) for host in ours):
        return f"{text!r}: does not contain all of its own hosts"
    return ""


def compare(scontrol: Scontrol, seed: int, count: int) -> list[str]:
    """Return every difference between the release and hostlist.py on ``count`` lists, both ways."""
    lists, version = made(seed, count), scontrol.release.version()
    read = scontrol.asked("hostnames", lists)
    found = [one for text, slurm in zip(lists, read) if (one := wrong(version, text, slurm))]
    sets = [names(text) for text in lists if _size(text)]
    written = [folded(one) for one in sets]
    again = scontrol.asked("hostnames", written)
    for hosts, text, slurm in zip(sets, written, again):
        if set(slurm) != hosts or len(slurm) != len(hosts) or names(text) != hosts:
            found.append(f"{text!r} is written for {sorted(hosts)[:5]}, Slurm reads {slurm[:5]}")
    # What Slurm itself writes for the same hosts; "/x" is a file of them for it.
    written = [text for text in written if not text.startswith("/")]
    for text, slurm in zip(written, scontrol.asked("hostlist", written)):
        if len(slurm) != 1 or names(slurm[0]) != names(text):
            found.append(f"{text!r} written, Slurm writes {slurm}")
    return found


def main() -> int:
    """Compare as many lists as the first argument says and print what differs."""
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with ready(releases.chosen()) as scontrol:
        found = compare(scontrol, seed, count)
    print(*found[:40], f"{count} lists of seed {seed}: {len(found)} differ", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
