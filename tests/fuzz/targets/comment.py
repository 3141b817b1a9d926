"""The requirement in a job's comment."""

from preflight.requirements.grammar import RequirementError, from_comment, parse

ERRORS = (RequirementError,)
TOKENS = (
    b"require:", b"Require: ", b";", b"\n", b"\r", b":", b"cuda>=12.4", b"REQUIRE", b" require:",
)  # fmt: skip
LONGEST = 65536
STEPS_LIMIT = (60_000, 40)


def seeds() -> list[bytes]:
    """Return comments with and without a requirement."""
    return [b"require: cuda>=12.4", b"mine; require: gpu=h100\nrequire: ecc;x", b"note: none", b":" * 64, b";require:"]


def check(data: bytes) -> None:
    """Find the requirement, and parse what was found."""
    found = from_comment(data.decode("utf-8", "surrogateescape"))
    if found is not None:
        parse(found)
