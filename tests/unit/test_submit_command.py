"""sbatch's command line: Preflight's own options out, additions in; sbatch reads the result as it is meant."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.cli.become import real_sbatch
from preflight.slurm.commands import SlurmError
from preflight.submit.additions import joined
from preflight.submit.command import add, take_own
from preflight.submit.options import OptionError
from preflight.submit.options_help import plugin_rows
from preflight.submit.script import read

JOB = "#!/bin/sh\n"


@pytest.mark.parametrize(
    ("arguments", "words", "strict", "infer"),
    [
        ([], [], False, "warn"),
        (["job.sh"], ["job.sh"], False, "warn"),
        (["--strict", "-N2", "job.sh"], ["-N2", "job.sh"], True, "warn"),
        (["-N2", "--infer=off", "job.sh", "--strict"], ["-N2", "job.sh", "--strict"], False, "off"),
        (["-N", "2", "--infer", "require", "--", "job.sh"], ["-N", "2", "--", "job.sh"], False, "require"),
        (["--comment", "--strict", "job.sh"], ["--comment", "--strict", "job.sh"], False, "warn"),
        (["-Hp", "gpu", ":", "--strict", "-N1", "j"], ["-Hp", "gpu", ":", "-N1", "j"], True, "warn"),
    ],
)
def test_our_own_options_are_taken_out(arguments: list[str], words: list[str], strict: bool, infer: str) -> None:
    own = take_own(arguments)
    assert (list(own.words), "strict" in own.given, own.infer) == (words, strict, infer)


def test_an_infer_of_another_value_is_refused() -> None:
    with pytest.raises(OptionError, match="--infer=yes: give one of"):
        take_own(["--infer=yes", "job.sh"])


@pytest.mark.parametrize(
    ("arguments", "additions", "words"),
    [
        (["-N2", "job.sh", "-x"], [{}], ["-N2", "job.sh", "-x"]),
        (["-N2", "job.sh", "-x"], [{"constraint": "a|b"}], ["-N2", "--constraint=a|b", "job.sh", "-x"]),
        (["-N2", "--", "-odd"], [{"extra": "x"}], ["-N2", "--extra=x", "--", "-odd"]),
        (["-N2", ":", "-N1", "j", ":"], [{}, {"extra": "x"}], ["-N2", ":", "-N1", "--extra=x", "j", ":"]),
        # Two components in the script, one on the command line: its words are those of both.
        (["-H", "j"], [{"extra": "x"}, {"extra": "y"}], ["-H", "--extra=x", ":", "-H", "--extra=y", "j"]),
        (["--wrap", "x"], [{"extra": "y"}], ["--wrap", "x", "--extra=y"]),
        ([], [{"extra": "y"}], ["--extra=y"]),
    ],
)
def test_options_are_added_to_each_component(
    arguments: list[str], additions: list[dict[str, str]], words: list[str]
) -> None:
    assert add(take_own(arguments), additions) == words


OPTIONS = [["-N2"], ["-p", "gpu"], ["-x", "n1"], [":"], ["--time=5"], ["-HC", "a"], ["--strict"], ["--infer", "off"]]


@given(
    st.lists(st.sampled_from(OPTIONS), max_size=8), st.lists(st.sampled_from(["a", ":", "-N9", "--strict"]), max_size=3)
)
def test_only_what_was_added_is_read_differently(options: list[list[str]], more: list[str]) -> None:
    lines = f"{JOB}#SBATCH -p cpu\n#SBATCH hetjob\n#SBATCH -C b\n"
    own = take_own([*(word for option in options for word in option), "job.sh", *more])
    before = read(own.words[: own.script], {}, lines)
    words = add(own, [{"extra": str(number)} for number in range(len(before.components))])
    assert words[len(words) - len(more) - 1 :] == ["job.sh", *more]
    after = read(words[: len(words) - len(more) - 1], {}, lines)
    assert len(after.components) == len(before.components)
    for number, (old, new) in enumerate(zip(before.components, after.components)):
        assert new.options.pop("extra").value == str(number)
        assert new.options == old.options


def test_clauses_join_a_requirement_once() -> None:
    assert joined("", ["cuda>=12.4"]) == "cuda>=12.4"
    assert joined("ecc, cuda>=12.4", ["cuda>=12.4", "gpu.count>=2"]) == "ecc, cuda>=12.4, gpu.count>=2"
    assert joined("no such thing", ["ecc"]) == "no such thing"


HELP = """\
Affinity/Multi-core options:
      --mem-bind=             Bind memory to locality domains (ldom)

Options provided by plugins:
      --require=REQUIREMENT   what the job needs of its nodes, in quotes:
                              --not-this
      --x11-forward           a flag
      --mem-bind=             not again

GPU scheduling options:
      --cpus-per-gpu=n        number of CPUs required per allocated GPU
"""


def test_the_plugins_options_are_read_from_the_help() -> None:
    assert {row.name: row.takes for row in plugin_rows(HELP)} == {"require": "value", "x11-forward": "flag"}
    assert plugin_rows("") == ()
    shown = HELP.replace("--x11-forward", "--site=VALUE  ")
    assert take_own(["--site", "5", "job"]).script == 1
    assert take_own(["--site", "5", "job"], plugin_rows(shown)).script == 2


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_wrapper_that_calls_us_is_passed_over(tmp_path: Path) -> None:
    executable(tmp_path / "site/sbatch", '#!/bin/sh\nexec preflight sbatch "$@"\n')
    real = executable(tmp_path / "slurm/sbatch", "#!/bin/sh\n")
    path = os.pathsep.join([str(tmp_path / "site"), str(tmp_path / "slurm")])
    assert real_sbatch(path) == str(real)


@pytest.mark.skipif(os.name != "posix", reason="exec")
def test_a_wrapper_that_is_not_seen_to_call_us_ends_at_the_real_sbatch(tmp_path: Path) -> None:
    """Else each would call the other for ever; one that execs, and one that forks."""
    for name, how in (("execs", "exec "), ("forks", "")):
        wrapper = f'#!/bin/sh\n{how}"$PF" -m preflight sbatch "$@"\n'
        executable(tmp_path / name / "sbatch", wrapper)
        place = tmp_path / "slurm"
        place.mkdir(exist_ok=True)
        (place / "sbatch").unlink(missing_ok=True)
        shutil.copy("/bin/echo", place / "sbatch")  # a program, as Slurm's own is
        environment = {"PATH": f"{tmp_path / name}:{place}:/usr/bin:/bin", "PF": sys.executable}
        command = [sys.executable, "-m", "preflight", "sbatch", "-N2", "job.sh"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
        assert (done.returncode, done.stdout) == (0, "-N2 job.sh\n"), name


@pytest.mark.skipif(os.name != "posix", reason="exec")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "2>/dev/full", ">&- 2>&-"])
def test_what_cannot_be_told_does_not_stop_the_submission(tmp_path: Path, closed: str) -> None:
    executable(tmp_path / "sbatch", f'#!/bin/sh\necho "$@" >{tmp_path}/submitted\n')
    executable(tmp_path / "job.sh", JOB)
    line = f"exec {sys.executable} -m preflight sbatch -N2 {tmp_path}/job.sh {closed}"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PREFLIGHT_CONFIG": str(tmp_path / "none.toml")}
    subprocess.run(["sh", "-c", line], check=False, env=environment, timeout=60)
    assert (tmp_path / "submitted").read_text() == f"-N2 {tmp_path}/job.sh\n"


def test_without_any_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preflight.slurm.commands.PLACES", (str(tmp_path),))
    with pytest.raises(SlurmError, match="sbatch not found"):
        real_sbatch(str(tmp_path))


STAND_IN = """\
#!/bin/sh
for word; do echo "[$word]"; done
grep -E 'SigIgn' /proc/self/status
cat
kill -TERM $$
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("piped", [True, False])
def test_sbatch_gets_words_stdin_and_signals_as_from_a_shell(tmp_path: Path, piped: bool) -> None:
    executable(tmp_path / "sbatch", STAND_IN)
    body = f"{JOB}{'x' * 200_000}"
    (tmp_path / "body").write_text(body)
    command = [sys.executable, "-m", "preflight", "sbatch", "--strict", "-N", "2"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PREFLIGHT_CONFIG": str(tmp_path / "none.toml")}
    plain = subprocess.run(
        ["sh", "-c", f"exec {tmp_path}/sbatch -N 2"], input=body, capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    given: dict[str, object] = {"input": body}
    if not piped:
        given = {"stdin": (tmp_path / "body").open()}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **given)  # type: ignore[call-overload]
    assert done.stdout == plain.stdout
    assert done.returncode == plain.returncode == -15
    assert done.stderr.startswith("preflight: not planned")
    assert len(done.stderr.splitlines()) == 1


def test_a_fault_in_reading_the_words_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from preflight.cli import submission

    def broken(*_: object) -> None:
        raise KeyError("broken by the test")

    became: list[list[str]] = []
    monkeypatch.setattr(submission, "take_own", broken)
    monkeypatch.setattr(submission, "become", lambda words: became.append(list(words)) or 0)
    assert submission.run(["--strict", "-N2", "job.sh"]) == 0
    assert became == [["-N2", "job.sh"]]


def test_help_without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    from preflight.cli.submission import run

    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert run(["-h"]) == 0
    assert "--infer=require" in out.getvalue()


def test_it_imports_neither_click_nor_what_only_some_scripts_need() -> None:
    program = (
        "import sys, preflight.cli.submission, preflight.cli.submitting as submitting\n"
        "before = set(sys.modules)\nsubmitting._import_planning()\nprint(*before)\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = (set(line.split()) for line in done.stdout.splitlines())
    assert "preflight.submit.infer" in after - before  # while Slurm answers
    assert "shutil" not in before
    assert after.isdisjoint(("click", "preflight.submit.image.open", "preflight.artifacts.gpu_code.survey"))
