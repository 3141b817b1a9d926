"""Jobs as fields of squeue, of sacct, and one field of a job, as the hooks ask for it."""

from typing import Any

from preflight.slurm import accounting, job, job_fields, members
from preflight.slurm.commands import SlurmError
from preflight.slurm.marks import marks

ERRORS = (SlurmError,)
MARK = b"|M|"
TOKENS = (
    MARK, b"\n", b"(null)", b"N/A", b"NONE", b"RUNNING", b"[1-4]", b"1792", b"0:9", b"gres:gpu:2",
    b"preflight:moved:n1:run0: x", b"|",
)  # fmt: skip
LONGEST = 16384


class Slurm:
    """Answers every command with one text, the mark of the question in its place."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _replace(self, **_: Any) -> "Slurm":
        return self

    def both(self, command: str, *arguments: str) -> tuple[str, str]:
        """Return the text as stdout, nothing as stderr."""
        asked = arguments[-1]
        mark = asked.partition(":0")[2].partition(",")[0]
        return self.text.replace(MARK.decode(), mark) if mark else self.text, ""

    def run(self, command: str, *arguments: str) -> str:
        """Return the text."""
        return self.both(command, *arguments)[0]


def past(**changed: str) -> bytes:
    """Return a row of sacct's."""
    one = {
        "JobIDRaw": "7",
        "JobID": "7",
        "User": "ann",
        "UID": "1000",
        "NNodes": "1",
        "Start": "Unknown",
        "ReqMem": "4G",
    }
    return "|".join({**one, **changed}.get(name, "") for name in accounting.FIELDS).encode() + b"\n"


def seeds() -> list[bytes]:
    """Return what squeue prints for a job, an array's task and a waiting job, and sacct's rows."""
    one = (
        b"7", b"a job", b"7", b"N/A", b"0", b"N/A", b"ann", b"1000", b"main", b"RUNNING", b"None", b"100", b"1", b"1",
        b"0", b"n[1-2]", b"2", b"", b"(null)", b"(null)", b"require: ecc", b"(null)", b"gres:gpu:2", b"1700000000",
        b"1700000000", b"1700000001", b"NONE", b"1792", b"(null)", b"(null)",
    )  # fmt: skip
    task = (b"9", b"x", b"8", b"[1-4]", *one[4:])
    row = MARK.join(one) + MARK + b"\n"
    return [
        row, row + MARK.join(task) + MARK + b"\n", b"7 N/A n1\n", b"7 7 =1\n42" + b" " * 38 + b"7\n",
        b"7 8 3 100 PENDING 8_3 None\n",
        past(JobID="7_1", State="CANCELLED by 0"),
        b"me; preflight:moved:n1:run0: gpu; preflight:held:n2:run3: x",
    ]  # fmt: skip


def check(data: bytes) -> None:
    """Read the text as each of the answers; one that is refused does not spare the others."""
    text = data.decode("utf-8", "surrogateescape")
    slurm: Any = Slurm(text)
    marks(text)
    first: SlurmError | None = None
    for ask in (
        lambda: job_fields.jobs(slurm, ("-j", "7")),
        lambda: accounting.past(slurm, "7"),
        lambda: job.find(slurm, 7),
        lambda: job.queued(slurm, "7"),
        lambda: job.admin_comment(slurm, "7"),
        lambda: job.excluded(slurm, "7"),
        lambda: job.priority(slurm, "7"),
        lambda: accounting.earlier_runs(slurm, "7"),
        lambda: job.nodes_of(slurm, "main", True),
        lambda: members.members(slurm, 7),
    ):
        try:
            ask()
        except SlurmError as error:
            first = first or error
    if first is not None:
        raise first
