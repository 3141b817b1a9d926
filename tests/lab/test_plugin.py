"""The SPANK plugin on a real Slurm: --require in sbatch, #SBATCH lines, salloc and srun.

The checking program is the real ``preflight require`` where requirements are judged, and a stand-in where the fault
itself (missing, slow, crashing, talkative) or what the plugin hands over is the subject.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Lab, releases, unavailable

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
    pytest.mark.skipif(not Path("/usr/include/slurm/spank.h").exists(), reason="needs Slurm's headers"),
]

REPOSITORY = Path(__file__).parents[2]
USER = "pfalice"
OPTION = "SPANK__SLURM_SPANK_OPTION_preflight_require"
DEFAULT = "SLURM_SPANK__SLURM_SPANK_OPTION_preflight_require"
GOOD = "cuda>=12.4, ubuntu>=22.04|rhel>=9, gpu.memory>=80G"
UNCHECKED = "preflight: warning: the requirement is not checked before the job starts"

# Writes down who called it with what; refuses whatever holds the word "bad".
RECORDER = """
{ id -u; printf '%s\\0' "$@"; } > "$CALLS/$$.new" && mv "$CALLS/$$.new" "$CALLS/$$"
case "$*" in *bad*) printf '%s\\n' 'preflight: unknown name "bad"' '    a, bad>=1' '       ^~~' >&2; exit 2;; esac
exit 0
"""


class Site:
    """A lab with the plugin, whose checking program a test can replace."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.release = releases.chosen()
        self.release.prepare(str(base))
        self.program = base / "checker"
        self.calls_dir = base / "calls"
        self.calls_dir.mkdir(mode=0o777)
        self.calls_dir.chmod(0o777)
        self.prolog_env = base / "prolog-env"
        self.prolog_env.mkdir()
        self.plugin = self._build()
        prolog = base / "prolog"
        # Values are whole, whatever they hold, in /proc/self/environ only.
        prolog.write_text(f"#!/bin/sh\n/bin/cat /proc/self/environ > {self.prolog_env}/$SLURM_JOB_ID\n")
        prolog.chmod(0o755)
        self.lab = Lab(base / "lab", plugstack=self.plugstack(), prolog=str(prolog), release=self.release)

    def _build(self) -> Path:
        sources = self.base / "source"
        shutil.copytree(REPOSITORY / "slurm_plugin", sources, ignore=shutil.ignore_patterns("*.o", "*.so"))
        make = ["-s", "-C", str(sources), "install", f"PLUGINDIR={self.base}/plugins"]
        subprocess.run(self.release.argv("make", make), check=True)
        return self.base / "plugins" / "preflight.so"

    def plugstack(self, word: str = "optional", arguments: str | None = None) -> str:
        return f"{word} {self.plugin} {f'preflight={self.program}' if arguments is None else arguments}\n"

    def stand_in(self, shell: str) -> None:
        """Put a shell script in the place of the checking program."""
        new = self.base / "checker.new"
        new.write_text(f"#!/bin/sh\nCALLS={self.calls_dir} PYTHON={self.release.interpreter()}\n{shell}\n")
        new.chmod(0o755)
        new.rename(self.program)

    def real(self) -> None:
        """Put the real preflight in the place of the checking program, as an ordinary user can run it."""
        library = self.base / "lib"
        if not library.exists():
            copy = "import sys; from preflight.deploy.copy import copy_package; copy_package(sys.argv[1])"
            subprocess.run(self.release.python(["-c", copy, str(library)]), check=True)
        # As installed: a checkout below /root is closed to users, and so is its virtual environment.
        self.stand_in(f'exec {self.release.interpreter()} -I -S {library}/preflight/__main__.py "$@"')

    def calls(self) -> list[list[str]]:
        """What the recorder saw since the last call: [uid, argument, ...] each."""
        seen = []
        for file in sorted(self.calls_dir.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            uid, arguments = file.read_text().split("\n", 1)
            seen.append([uid, *arguments.split("\0")[:-1]])
            file.unlink()
        return seen

    def asked(self) -> list[str]:
        """The requirements among them."""
        return [call[-1] for call in self.calls()]

    def submit(self, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return self.lab.run(["sbatch", "--parsable", *options, "--wrap=true"], USER, env)

    def submit_script(self, lines: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self.lab.run(["sbatch", "--parsable", *options], USER, stdin=f"#!/bin/sh\n{lines}\ntrue\n")

    def jobs(self) -> int:
        """How many jobs the controller has ever had."""
        return len(self.lab.check_run(["squeue", "-h", "-r", "-t", "all", "-o", "%A"]).split())

    def judged(self, submit: Callable[[], subprocess.CompletedProcess[str]]) -> tuple[str, int, int]:
        """Submit; return stderr, exit status and the number of jobs this made.

        Again where the real program was too slow: a busy machine makes it so, and another test is about that.
        """
        for _ in range(10):
            before = self.jobs()
            done = submit()
            if "it gave no answer within" not in done.stderr:
                break
        return done.stderr, done.returncode, self.jobs() - before

    def prolog_requirement(self, job: str) -> str | None:
        """The requirement as the job's prolog had it, once the job has ended."""
        self.lab.wait_job(job, "COMPLETED")
        pairs = [entry.split("=", 1) for entry in (self.prolog_env / job).read_text().split("\0") if "=" in entry]
        return dict(pairs).get(OPTION)


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    base = Path(tempfile.mkdtemp(prefix="preflight-plugin-", dir="/tmp"))
    base.chmod(0o755)
    try:
        site = Site(base)
        try:
            with site.lab:
                yield site
        finally:
            site.release.release(str(base))
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    running.stand_in(RECORDER)
    running.calls()
    if running.lab.settings.plugstack != running.plugstack():
        running.lab.reconfigure(plugstack=running.plugstack())
    yield running
    running.lab.reset()


@pytest.fixture
def real(site: Site) -> Site:
    site.real()
    # Bytecode and disk caches are warm then: a busy machine must not make the plugin give up.
    site.lab.check_run([str(site.program), "require", "--to", "json", "--", GOOD])
    return site


# -- the option ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["sbatch", "salloc", "srun"])
def test_help_shows_the_option(site: Site, command: str) -> None:
    shown = site.lab.check_run([command, "--help"], USER)
    assert re.search(r"Options provided by plugins:\n +--require=REQUIREMENT +what the job needs", shown)
    assert site.calls() == []


def test_exports_only_what_slurm_looks_up(site: Site) -> None:
    table = subprocess.run(["nm", "-D", "--defined-only", site.plugin], check=True, capture_output=True, text=True)
    names = {line.split()[-1] for line in table.stdout.splitlines()}
    assert {"plugin_name", "plugin_type", "plugin_version", "slurm_spank_init"} <= names
    assert not [name for name in names if not name.startswith(("slurm_spank_", "plugin_"))]


def test_a_job_without_the_option_is_none_of_its_business(site: Site) -> None:
    done = site.submit()
    assert (done.returncode, done.stderr) == (0, "")
    assert site.prolog_requirement(done.stdout.strip()) is None
    assert site.calls() == []


# -- good and bad requirements, judged by the real program -------------------------------------------------------


def test_a_good_requirement_reaches_the_prolog(real: Site) -> None:
    done = real.submit(f"--require={GOOD}")
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "it gave no answer within" not in line]
    assert real.prolog_requirement(done.stdout.strip()) == GOOD


def test_a_good_sbatch_line_reaches_the_prolog(real: Site) -> None:
    done = real.submit_script(f'#SBATCH --require="{GOOD}"')
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "it gave no answer within" not in line]
    assert real.prolog_requirement(done.stdout.strip()) == GOOD


@pytest.mark.parametrize("word", ["optional", "required"])
@pytest.mark.parametrize("way", ["command line", "#SBATCH line", "salloc", "srun"])
def test_a_bad_requirement_is_refused_with_a_caret(real: Site, way: str, word: str) -> None:
    real.lab.reconfigure(plugstack=real.plugstack(word))
    bad = "ubuntu>=22.04, cudda>=12.4"
    ways = {
        "command line": lambda: real.submit(f"--require={bad}"),
        "#SBATCH line": lambda: real.submit_script(f'#SBATCH --require="{bad}"'),
        "salloc": lambda: real.lab.run(["salloc", f"--require={bad}", "true"], USER),
        "srun": lambda: real.lab.run(["srun", f"--require={bad}", "true"], USER),
    }
    stderr, status, jobs = real.judged(ways[way])
    assert (status != 0, jobs) == (True, 0)
    lines = stderr.splitlines()
    caret = next((number for number, line in enumerate(lines) if re.fullmatch(r"(\w+: )?\s*\^\s*", line)), None)
    assert caret is not None, stderr
    # The caret stands below the name that is wrong.
    assert lines[caret - 1].index("cudda") == lines[caret].index("^")
    assert '"cuda"' in stderr


@pytest.mark.parametrize(
    "spec",
    [
        "$(touch {marker})",
        "`touch {marker}`",
        "cuda>=12.4; touch {marker}",
        "'; touch {marker}; '",
        '"; touch {marker}; "',
        "cuda>=12.4\ntouch {marker}\n",
        "cuda>=12.4 | touch {marker}",
        "--help",
        "--to",
        "-",
        "--",
        "\\",
        "cuda>=\x1b]0;owned\x07\x1b[31m12",
        "cuda>=\x9b31m12",
        "%s%n%n%n>=1",
        "n" * 5000,
        "n" * 4000,
    ],
)
def test_hostile_text_is_refused_as_text(real: Site, spec: str) -> None:
    marker = Path(real.lab.work) / "executed"
    stderr, status, jobs = real.judged(lambda: real.submit(f"--require={spec.format(marker=marker)}"))
    assert (status != 0, jobs) == (True, 0), stderr
    assert UNCHECKED not in stderr
    # Slurm's own line repeats the option as it was given.
    ours = stderr.split("sbatch: error: Invalid --require")[0]
    assert ours.strip()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", ours)
    assert not marker.exists()


# -- what is handed to the program -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec", ["a $(b) `c` 'd' \"e\" \\ %s", "-x", "--to", "a\n\tb", "é≥4", " lead and trail ", "=", "n" * 4096]
)
def test_the_requirement_is_one_argument_as_it_stands(site: Site, spec: str) -> None:
    done = site.submit(f"--require={spec}")
    assert done.returncode == 0, done.stderr
    uid = site.lab.check_run(["id", "-u", USER]).strip()
    assert site.calls() == [[uid, "require", "--to", "json", "--", spec]]
    assert site.prolog_requirement(done.stdout.strip()) == spec


@pytest.mark.parametrize(
    ("spec", "why"), [("", "is missing"), ("n" * 4097, "longer than 4096 bytes"), ("a\x07", "control character")]
)
def test_what_no_program_needs_to_see_is_refused(site: Site, spec: str, why: str) -> None:
    done = site.submit(f"--require={spec}")
    assert done.returncode != 0
    assert why in done.stderr
    assert site.calls() == []


@pytest.mark.parametrize("summary", ["x" * 1025, "x" * 200_000, "v1:\x1b[31m", "v1: sm_90", "é"])
@pytest.mark.parametrize("command", ["sbatch", "salloc", "srun"])
def test_a_summary_that_a_prolog_may_not_get_is_refused(site: Site, command: str, summary: str) -> None:
    """More than 128 KiB in one variable, and no node could execute its prolog."""
    before = site.jobs()
    if command == "sbatch":
        done = site.submit_script(f"#SBATCH --gpu-code='{summary}'")
    elif len(summary) < 100_000:  # else the kernel refuses the command line
        done = site.lab.run([command, f"--gpu-code={summary}", "true"], USER)
    else:
        return
    assert (done.returncode != 0, site.jobs()) == (True, before), done.stderr[:500]
    assert "preflight: --gpu-code: the summary is longer than 1024 bytes, or holds" in done.stderr


def test_the_longest_summary_reaches_the_prolog(site: Site) -> None:
    summary = "v1:" + "x" * 1021
    done = site.submit_script(f"#SBATCH --gpu-code={summary}")
    assert done.returncode == 0, done.stderr
    site.lab.wait_job(done.stdout.strip(), "COMPLETED")
    environment = (site.prolog_env / done.stdout.strip()).read_text().split("\0")
    assert f"SPANK__SLURM_SPANK_OPTION_preflight_gpu_code={summary}" in environment


def test_the_environment_is_the_users_without_what_redirects_interpreters(site: Site) -> None:
    site.stand_in("cat /proc/$$/environ > $CALLS/environ; exit 0")
    dropped = {"PYTHONPATH": "/x", "PYTHONHOME": "/x", "LD_LIBRARY_PATH": "/x", "BASH_ENV": "/x", "ENV": "/x"}
    dropped["LD_PRELOAD"] = ""
    dropped["BASH_FUNC_ls%%"] = "() { :; }"
    done = site.submit("--require=a", env={**dropped, "MY_VARIABLE": "mine"})
    environ = (site.calls_dir / "environ").read_text().split("\0")
    (site.calls_dir / "environ").unlink()
    assert done.returncode == 0
    names = {entry.split("=", 1)[0] for entry in environ if entry}
    assert {"PATH", "HOME", "SLURM_CONF", "MY_VARIABLE"} <= names
    assert not names & set(dropped)


def test_no_descriptor_is_inherited(site: Site) -> None:
    look = 'all="$all $(readlink /proc/$$/fd/$fd || echo none)"'
    site.stand_in(f"for fd in 0 1 2 7 8; do {look}; done; echo $all > $CALLS/fds")
    done = site.lab.run(["sh", "-c", "exec 7</etc/passwd 8>&2; exec sbatch --require=a --wrap=true"], USER)
    descriptors = (site.calls_dir / "fds").read_text().split()
    (site.calls_dir / "fds").unlink()
    assert done.returncode == 0
    assert descriptors[:2] == ["/dev/null", "/dev/null"]
    assert descriptors[2].startswith("pipe:")
    assert descriptors[3:] == ["none", "none"]


@pytest.mark.parametrize("setting", ["trap '' CHLD PIPE", "exec <&-", "exec <&- >&-", "exec <&- >&- 2>&-"])
def test_an_odd_caller_changes_nothing(site: Site, setting: str) -> None:
    before = site.jobs()
    for spec in ("a, bad>=1", "good"):
        site.lab.run(["bash", "-c", f'{setting}; exec sbatch "--require={spec}" --wrap=true'], USER)
    assert site.asked() == ["a, bad>=1", "good"]
    assert site.jobs() == before + 1


# -- a program that fails never stops a job ----------------------------------------------------------------------


def passes_with_warning(site: Site, why: str) -> str:
    done = site.submit("--require=anything>=1")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if UNCHECKED in line]
    assert len(warnings) == 1
    assert why in warnings[0]
    # The prolog judges it in any case.
    assert site.prolog_requirement(done.stdout.strip()) == "anything>=1"
    return done.stderr


def test_missing_program(site: Site) -> None:
    site.program.unlink()
    text = passes_with_warning(site, "No such file or directory")
    assert str(site.program) in text


def test_program_that_cannot_be_executed(site: Site) -> None:
    site.program.chmod(0o644)
    passes_with_warning(site, "Permission denied")


@pytest.mark.parametrize(
    ("shell", "why"),
    [
        ("exit 1", "exited with status 1"),
        ("exit 126", "exited with status 126"),
        ("exec no-such-program", "exited with status 127"),
        ("kill -SEGV $$", "ended by signal 11"),
        ("exit 2", "exited with status 2"),
        ("printf 'Usage: preflight [OPTIONS]\\n\\nError: No such command.\\n' >&2; exit 2", "exited with status 2"),
        ("exec $PYTHON /nonexistent/preflight", "exited with status 2"),
        ("exec $PYTHON -c 'import nonexistent_module'", "ModuleNotFoundError"),
        ("printf 'one\\n\\033[31mtwo\\n' >&2; exit 1", "(?[31mtwo)"),
    ],
)
def test_crashing_program(site: Site, shell: str, why: str) -> None:
    site.stand_in(shell)
    text = passes_with_warning(site, why)
    assert "\x1b" not in text


def test_slow_program_is_ended_with_all_it_started(site: Site) -> None:
    site.stand_in("trap '' TERM INT HUP; sleep 300 & echo $$ $! > $CALLS/pids; echo partial >&2; wait; sleep 300")
    passes_with_warning(site, "it gave no answer within")
    pids = (site.calls_dir / "pids").read_text().split()
    (site.calls_dir / "pids").unlink()
    assert len(pids) == 2
    assert not [pid for pid in pids if is_running(pid)]


def test_what_an_answering_program_leaves_behind_is_ended(site: Site) -> None:
    # It holds the pipe open: the plugin must not wait for its end either.
    site.stand_in("sleep 300 & echo $! > $CALLS/pids; exit 0")
    done = site.submit("--require=a")
    pids = (site.calls_dir / "pids").read_text().split()
    (site.calls_dir / "pids").unlink()
    assert (done.returncode, done.stderr) == (0, "")
    assert not is_running(pids[0])


def test_interrupted_caller_takes_the_program_along(site: Site) -> None:
    site.stand_in("echo $$ > $CALLS/pid.new; mv $CALLS/pid.new $CALLS/pid; exec sleep 300")
    wait = f"while [ ! -e {site.calls_dir}/pid ]; do sleep 0.02; done"
    site.lab.run(["sh", "-c", f"sbatch --require=a --wrap=true & {wait}; kill -KILL $!; wait"], USER)
    pid = (site.calls_dir / "pid").read_text().strip()
    (site.calls_dir / "pid").unlink()
    site.lab.wait_until(lambda: not is_running(pid), 5, "the program to end with sbatch")


@pytest.mark.parametrize("status", [0, 1, 2])
def test_endless_talk_is_read_and_dropped(site: Site, status: int) -> None:
    site.stand_in(f"echo 'preflight: first line' >&2; head -c 10000000 /dev/zero | tr '\\0' 'x' >&2; exit {status}")
    done = site.submit("--require=a")
    assert (done.returncode == 0) == (status != 2)
    assert len(done.stderr) < 10000
    assert ("preflight: first line" in done.stderr) == (status == 2)


def test_text_of_a_refusal_is_cleaned(site: Site) -> None:
    site.stand_in("printf 'bad \\033]0;owned\\007 name\\n\\ta, b\\n\\t   ^\\n' >&2; exit 2")
    done = site.submit("--require=a")
    assert done.returncode != 0
    assert done.stderr.splitlines()[:3] == ["preflight: bad ?]0;owned? name", " a, b", "    ^"]


def test_a_failing_program_is_asked_once_a_command(site: Site) -> None:
    site.stand_in("echo x >> $CALLS/count; exit 1")
    done = site.submit_script('#SBATCH --require="one"', "--require=two")
    count = (site.calls_dir / "count").read_text().split()
    (site.calls_dir / "count").unlink()
    assert done.returncode == 0
    assert done.stderr.count(UNCHECKED) == 1
    assert len(count) == 1
    assert site.prolog_requirement(done.stdout.strip()) == "two"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("", "names no checker"),
        ("preflight=bin/preflight", "absolute path"),
        ("preflight=", "absolute path"),
        ("preflght=/x", "preflght=/x"),
    ],
)
@pytest.mark.parametrize("word", ["optional", "required"])
def test_wrong_line_in_plugstack(site: Site, word: str, arguments: str, why: str) -> None:
    site.lab.reconfigure(plugstack=site.plugstack(word, arguments))
    passes_with_warning(site, why)
    quiet = site.submit()
    assert (quiet.returncode, quiet.stderr) == (0, "")


# -- which one counts, and what goes on inside a job ---------------------------------------------------------------


def test_the_last_one_counts(site: Site) -> None:
    line = '#SBATCH --require="line"'
    jobs = [
        (site.submit("--require=first", "--require=second"), "second"),
        (site.submit_script(line, "--require=command"), "command"),
        (site.submit(env={DEFAULT: "default"}), "default"),
        (site.submit("--require=command", env={DEFAULT: "default"}), "command"),
    ]
    for done, expected in jobs:
        assert done.returncode == 0, done.stderr
        assert site.prolog_requirement(done.stdout.strip()) == expected


def test_a_mistake_in_the_script_is_refused_though_overridden(site: Site) -> None:
    assert site.submit_script('#SBATCH --require="a, bad>=1"', "--require=good").returncode != 0
    assert site.submit(env={DEFAULT: "a, bad>=1"}).returncode != 0


def test_each_part_of_a_heterogeneous_job_is_checked_once(site: Site) -> None:
    done = site.lab.run(["sbatch", "--require=one", ":", "--require=two", "--wrap=true"], USER)
    assert done.returncode == 0, done.stderr
    assert site.asked() == ["one", "two"]


@pytest.mark.parametrize("command", ["salloc", "srun"])
def test_interactive_jobs(site: Site, command: str) -> None:
    done = site.lab.run([command, "--require=mine>=1", "sh", "-c", "echo job=$SLURM_JOB_ID"], USER)
    assert done.returncode == 0, done.stderr
    job = re.search(r"job=(\d+)", done.stdout)
    assert job
    assert site.prolog_requirement(job.group(1)) == "mine>=1"
    assert site.asked() == ["mine>=1"]


@pytest.mark.parametrize("outer", ["sbatch", "salloc"])
def test_steps_and_jobs_inside_a_job(site: Site, outer: str) -> None:
    inside = (
        "srun true && srun --require=step true && ! srun --require=bad true"
        " && sbatch --parsable --wrap=true > inner && sbatch --parsable --require=own --wrap=true >> inner"
    )
    if outer == "sbatch":
        job = site.lab.sbatch(inside, "--require=outer", user=USER)
        site.lab.wait_job(job, "COMPLETED")
        said = site.lab.output(job)
    else:
        done = site.lab.run(["salloc", "--require=outer", "sh", "-c", inside], USER)
        assert done.returncode == 0, done.stderr
        said = done.stderr
    assert said.count("its --require is not enforced") == 1
    assert UNCHECKED not in said
    assert site.asked() == ["outer", "step", "bad", "own"]
    plain, own = (Path(site.lab.work) / "inner").read_text().split()
    (Path(site.lab.work) / "inner").unlink()
    assert site.prolog_requirement(plain) is None
    assert site.prolog_requirement(own) == "own"


def test_only_submitting_users_run_the_program(site: Site) -> None:
    job = site.lab.sbatch("srun true; srun true", "--require=once", user=USER)
    assert site.prolog_requirement(job) == "once"
    uid = site.lab.check_run(["id", "-u", USER]).strip()
    assert [call[0] for call in site.calls()] == [uid]


def is_running(pid: str) -> bool:
    """Whether the process exists and is no zombie; waits a moment for one that is ending."""
    until = time.monotonic() + 2
    while os.path.exists(f"/proc/{pid}"):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        if time.monotonic() > until:
            return True
        time.sleep(0.02)
    return False
