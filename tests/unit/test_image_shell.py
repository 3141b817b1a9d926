"""Variables that a shell script sets, read without running it, against sh itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from random import Random

import pytest

from preflight.submit.image.shell import MAX_TOKENS, Script

KNOWN = re.compile(r"(?:NVIDIA|CUDA)_[A-Z0-9_]+")


def left(text: str, **before: str) -> tuple[dict[str, str], list[str]]:
    script = Script(before, KNOWN)
    assert script.read(text)
    return script.values, script.unread


@pytest.mark.parametrize(
    ("text", "values", "unread"),
    [
        ('export CUDA_A="${CUDA_A:-"x y"}"', {"CUDA_A": "x y"}, []),
        ('export CUDA_A=1 CUDA_B="x y"; CUDA_C=2 # CUDA_D=1\nunset CUDA_A', {"CUDA_B": "x y", "CUDA_C": "2"}, []),
        ("if true; then\n  CUDA_A=1\nfi\nCUDA_B=2", {"CUDA_B": "2"}, ["CUDA_A"]),
        (
            "[ -x /a ] && CUDA_A=1\nCUDA_B=$(date)\nCUDA_C=`x`\nCUDA_D=$HOME/x",
            {},
            ["CUDA_A", "CUDA_B", "CUDA_C", "CUDA_D"],
        ),
        ("f() {\n CUDA_A=1\n}\n{ CUDA_B=2; }\n(CUDA_C=1)", {"CUDA_B": "2"}, ["CUDA_A", "CUDA_C"]),
        ("cat <<'EOF'\nCUDA_A=1\nEOF\nCUDA_B=1", {"CUDA_B": "1"}, []),
        ("case x in\n a) CUDA_A=1;;\nesac\nCUDA_B=3", {"CUDA_B": "3"}, ["CUDA_A"]),
        (': "${CUDA_A:=5}"\nCUDA_B="$CUDA_A x"\nCUDA_A=${CUDA_A}1', {"CUDA_A": "51", "CUDA_B": "5 x"}, []),
        ("CUDA_A=1 true\nexport CUDA_B\nCUDA_C=a\\ b'c d'\"e\"", {"CUDA_C": "a bc de"}, []),
        ("CUDA_A=1\nexit 0\nCUDA_A=2", {"CUDA_A": "1"}, []),
        ("[ a ] && return\nCUDA_A=1", {}, ["CUDA_A"]),
        ("echo x | CUDA_A=1\nCUDA_B=1 >/dev/null", {"CUDA_B": "1"}, ["CUDA_A"]),
        ("V=12.4\nCUDA_A=cuda\\>=$V", {"V": "12.4", "CUDA_A": "cuda>=12.4"}, []),
        ("CUDA_A=\\\n1", {"CUDA_A": "1"}, []),
    ],
)
def test_read(text: str, values: dict[str, str], unread: list[str]) -> None:
    assert left(text) == (values, unread)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('CUDA_A="${CUDA_A:-x}"', "old"),
        ('CUDA_A="${CUDA_A:+x}"', "x"),
        ("unset CUDA_A", None),
        ("if a; then unset CUDA_A; fi", None),
        ("CUDA_A=${CUDA_B:-x}", "x"),
        ("CUDA_A=${OTHER:-x}", None),
        ("export CUDA_A", "old"),
    ],
)
def test_what_was_set_before(text: str, value: str | None) -> None:
    assert left(text, CUDA_A="old")[0].get("CUDA_A") == value


NAMES = ("CUDA_A", "CUDA_B", "NVIDIA_C")
WORDS = (
    "1", '"x y"', "'a b'", "a\\ b", "$CUDA_A", '"$CUDA_B z"', '"${CUDA_A:-"q r"}"', "${CUDA_B-d}", '"${NVIDIA_C:+p}"',
    '""', "cuda\\>=1", "'it'\\''s'", '"a\\"b"', "$(true)", '"${CUDA_A%x}"',
)  # fmt: skip
SHOWN = """for n in CUDA_A CUDA_B NVIDIA_C; do
eval "[ -z \\"\\${$n+x}\\" ] || printf '%s=%s\\\\n' $n \\"\\$$n\\""
done
"""


def generated(random: Random) -> str:
    """A script of assignments in all positions, of which sh itself says what they leave."""

    def assignment() -> str:
        return f"{random.choice(NAMES)}={random.choice(WORDS)}"

    def simple() -> str:
        return random.choice(
            [
                assignment(),
                "export " + " ".join(assignment() for _ in range(random.randint(1, 3))),
                f"unset {random.choice(NAMES)}",
                f': "${{{random.choice(NAMES)}:="v w"}}"',
                f"{assignment()} true",
                f"{assignment()} # a comment",
            ]
        )

    def line() -> str:
        frames = ("{}", "{}; CUDA_B=2", "if true; then\n{}\nfi", "true && {}", "f() {{\n{}\n}}")
        return random.choice([*(frame.format(simple()) for frame in frames), "cat >/dev/null <<EOF\nCUDA_A=9\nEOF"])

    return "\n".join(line() for _ in range(random.randint(0, 5)))


def test_what_is_told_is_what_sh_leaves() -> None:
    random = Random(7)
    scripts = [generated(random) for _ in range(1500)]
    shell = shutil.which("sh")
    assert shell
    text = "".join(f"(\n{one}\n{SHOWN})\necho --\n" for one in scripts)
    done = subprocess.run([shell], input=text, capture_output=True, text=True, env={}, check=True)
    several = done.stdout.split("--\n")
    assert len(several) == len(scripts) + 1
    told = 0
    for script, said in zip(scripts, several):
        truth = dict(line.split("=", 1) for line in said.splitlines())
        values, unread = left(script)
        assert {name: truth.get(name) for name in values} == values, script
        assert set(truth) <= set(values) | set(unread), script
        told += bool(values)
    assert told > len(scripts) // 4


@pytest.mark.parametrize(
    "text", ['"' * 9999, "${" * 9999, "$(" * 9999, "A='x\n" * 999, "((" * 5000, "<<E\n" * 999, "\\" * 999]
)
def test_hostile_text_ends(text: str) -> None:
    Script({}, KNOWN).read(text)


def test_a_script_of_too_many_words_is_not_read() -> None:
    assert not Script({}, KNOWN).read("CUDA_A=1\n" * MAX_TOKENS)
