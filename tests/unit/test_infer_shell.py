"""How the inference reads shell text: what surely runs, what words become, and text that is hostile."""

import shlex
from pathlib import Path

import pytest
from infer_samples import clauses, lines, put, read, unread


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> None:
    """A file system with the programs of the scripts: of one that is not there it would be said."""
    for name in ("program", "x/program", "a", "b", "p0", "p3"):
        put(tmp_path, f"/home/alice/project/{name}", "#!/usr/bin/perl\n")


@pytest.mark.parametrize(
    "body",
    [
        "module load a",
        "  module   load  a  # comment",
        "true && module load a",
        "module load a || exit 1",
        "(module load a)",
        "{ module load a; }",
        "module load a | tee log",
        "module load a > log 2>&1",
        "module > log load a",
        "X=1 module load a",
        "module load a & wait",
        "true && cd /tmp && module load a && echo loaded",
        "module load a || { echo 'no a' >&2; exit 1; }",
        "die() { echo $1; exit 1; }\nmodule load a || die 'no a'",
        "module load a || echo no && exit 3",
        "(exit 0)\nmodule load a",
        "exit 0 & module load a",
        "exit 0 | cat\nmodule load a",
        "f() { return; module load b; }\nf\nmodule load a",
        "set -e\nmodule load a",
        "set -e; set +e; set -e; module load a",
        "[ -d x ] || exit 1\nmodule load a",
        "if ! cd x; then echo no; exit 2; fi\nmodule load a",
        "mkdir -p x && cd x && module load a",
        "exec module load a",
        "time module load a",
        "env -u X Y=2 module load a",
        "module load 'a'",
        'module load "a"',
        "module load $'a'",
        "module load \\a",
        "module \\\nload a",
        "V=a; module load $V",
        'V=a; module load "${V}"',
        "export V=a\nmodule load $V",
        "readonly V=a; module load ${V:-b}",
        "A=a; V=$A; module load $V",
        "f() { module load a; }\nf",
        "f() { module load a; }\ntrue && f",
        "bash -c 'module load a'",
        "srun -n1 bash -lc 'module load a'",
        "bash -euo pipefail -c 'module load a'",
        "V=a; bash -c \"module load $V\"",
        "export V=a; bash -c 'module load $V'",
        "cat <<EOF | module load a\ntext\nEOF",
        "module load a\nexit 0\nmodule load b",
        # What ends the script before a program of the user's has run leaves nothing out.
        "if [ -f x ]; then exit 0; fi; module load a",
        "[ -f x ] && exit; module load a",
        "[ -f done ] && { echo done; exit 0; }\nmodule load a",
        "f() { exit 0; }; [ -f x ] && f; module load a",
        "case $1 in -h) usage; exit 0;; esac; module load a".replace("usage; ", ""),
        "clean() { rm -rf t; }; trap clean EXIT; [ -f x ] && exit 0; module load a",
        "trap './program' EXIT; trap - EXIT; [ -f x ] || exit 1; module load a",
        "trap 'sbatch next.sh' USR1 SIGTERM 10; [ -f x ] && exit 0; module load a",
        # What succeeds whenever the job goes well.
        "./program && module load a",
        "srun ./program && module load a",
        "python prepare.py && module load a",
        "cp x y && rm -rf z && module load a",
        "step() { cd x; srun ./program; }; step && module load a",
        "./program | tee log && module load a",
        "f() { module load a; }; f; f",
        "f() { module load a; }; f x",
        "f() { module load $1; }; f a",
        "f() { local V=a; module load $V; }; f",
        "f() { shift; module load \"$@\"; }; f x a",
        "set -- a; module load $1",
        "V=b; V=a; module load $V",
        "f() {\n! { ./program; }\nreturn\n}\nf; module load a",
        "main() { module load a & wait; }; main",
        "for i in 1 2; do ./program & done; module load a & wait",
        "V=a; module load $V; V=b",
        "V=; V+=a; module load $V",
        "V=(a); module load ${V[0]}",
        "V=(a); module load \"${V[@]}\"",
        "V=(a) ; module load $V",
        "V=(); V+=(a); module load ${V[*]}",
        "V=(load); V+=(a); module \"${V[@]}\"",
        "declare -a V=(load a); module ${V[@]}",
        "V=( # which\n  a\n); module load \"${V[@]}\"",
        "V='load a'; module $V",
        "RUN='srun -n1 -w '$(hostname); $RUN module load a",
        "RUN=(srun --time=\"$T\" -n $N); \"${RUN[@]}\" module load a",
        "(V=a; module load $V)",
        "eval 'module load a'",
        "V='module load a'; eval $V",
        "V=a; source /opt/site/setup.sh; module load $V".replace("source /opt/site/setup.sh; ", ""),
        "if [ -d x ]; then V=b; fi; V=a; module load $V",
    ],
)  # fmt: skip
def test_a_command_that_surely_runs_is_read(body: str, tmp_path: Path) -> None:
    assert clauses(body, tmp_path) == ["module=a"]
    assert unread(body, tmp_path) == []


@pytest.mark.parametrize(
    "body",
    [
        "false || module load a",
        "! module load a",
        "module load a &",
        "{ module load a; } &",
        "[ \"$DEVICE\" = gpu ] && module load a",
        "[[ -d x ]] && module load a",
        "test -d x && module load a",
        "((x > 1)) && module load a",
        "command -v module && module load a",
        "module is-avail a && module load a",
        "ml is-avail a && ml a",
        "grep -q x y && module load a",
        "module load a || module load b",
        "module load a || true",
        "module load a || echo no a",
        "module load a && true || true",
        "module load a || exit 0",
        "{ module load a; } || :",
        "(module load a) || true",
        "trap 'module load a' EXIT",
        "[ -f x ] && exec ./other; module load a",
        "f() { [ -f x ] && return; module load a; }; f",
        "set -e; set +e; module load a",
        "set -euo pipefail; set +o errexit; module load a",
        "true || false || module load a",
        "if true; then module load a; fi",
        "if module load a; then true; fi",
        "if false; then :; else module load a; fi",
        "case x in x) module load a;; esac",
        "while true; do module load a; done",
        "until false; do module load a; done",
        "for i in 1; do module load a; done",
        "for ((i=0; i<2; i++)); do module load a; done",
        "f() { module load a; }",
        "f() { module load a; }; if true; then f; fi",
        "X=$(module load a)",
        "echo `module load a`",
        "module load $V",
        "module load ${V:-a}",
        "if true; then V=a; fi; module load $V",
        "V=b; if [ -d x ]; then V=a; fi; module load $V",
        "V=b; [ -d x ] && V=a; module load $V",
        "V=b; for i in 1 2; do V=a; done; module load $V",
        "V=b; f() { V=a; }; [ -d x ] && f; module load $V",
        "V=b; f() { V=a; }; g() { f; }; while g; do module load $V; done",
        "V=b; read V < x; module load $V",
        "V=b; printf -v V a; module load $V",
        "V=b; (( V++ )); module load $V",
        "V=b; eval \"$X\"; module load $V",
        "V=b; source ./conf.sh; module load $V",
        "V=b; export $(cat x); module load $V",
        "V=b; declare -n W=V; W=a; module load $V",
        "V=b; declare -u V=a; module load $V",
        "V=b; trap 'V=a' USR1; module load $V",
        "V=b; V[0]=a; module load $V",
        "V=([1]=a); module load $V",
        "V=(a b); module load ${V[@]:1}",
        "IFS=,; V=a,b; module load $V",
        "IFS=/; V=(a b); module load \"${V[*]}\"",
        "if [ -d x ]; then V=(a); else V=(b); fi; module load \"${V[@]}\"",
        "srun ./program; [ -f x ] && exit 0; module load a",
        "if [ -f x ]; then srun ./program; exit 0; fi; module load a",
        "for i in 1 2; do [ -f x ] && exit 0; srun ./program; done; module load a",
        "f() { [ -f x ] && exit 0; srun ./program; }; f; f; module load a",
        "trap './program' EXIT; [ -f x ] && exit 0; module load a",
        "trap -- 'f' 0; f() { g; }; g() { srun ./program; }; [ -f x ] && exit 0; module load a",
        "if [ -f y ]; then trap ./program ERR; fi; [ -f x ] && exit 0; module load a",
        "trap 'echo $(./program)' EXIT; [ -f x ] && exit; module load a",
        "trap \"$CLEANUP\" EXIT; [ -f x ] && exit 0; module load a",
        "set -e; { true | exit 1; module load a; } | tee log",
        "set -e; { if [ -f x ]; then (exit 2); fi; module load a; } | tee log",
        "set -e; { if [ -f x ]; then false; fi; module load a; } | tee log",
        "V=a; if [ -f x ]; then export V; fi; bash -c 'module load $V'",
        "V=a; (export V); bash -c 'module load $V'",
        "(f() { module load a; }; trap f EXIT)",
        "eval './program'; [ -f x ] && exit 0; module load a",
        "R=srun; eval $R ./program; [ -f x ] && exit 0; module load a",
        "bash -c '[ -f x ] && exit 0; module load a'",
        "([ -f x ] && exit 0; module load a)",
        "./check_gpu && module load a",
        "srun test -f x && module load a",
        "nvidia-smi && module load a",
        "mkdir lock && module load a",
        "has() { grep -q x y; }; has && module load a",
        "has() { [ -f x ] || return 1; true; }; has && module load a",
        "timeout 5 ./program && module load a",
        "srun ./program && exit 0; module load a",
        "O=\"$X --container-image=nvidia/cuda:12.4.1-base\"; srun \"$O\" ./program",
        "{ f() { ./program; }; } | tee log; f && module load a",
        "! { module load a; }",
        "grep -q x y && ! { module load a; }",
        "f() { ! { true; }; exit 1; }; [ -f x ] && module load a",
        "f0() ( ./program || exit 2 ); f0 && module load a",
        "( [ -f x ] || exit 1; ./program ) && module load a",
        "if [ -f x ]; then f() { ./program; }; fi; f && module load a",
        "./program & while [ -f x ]; do wait; done; ./program && { module load a & }",
        "if [ -d x ]; then f() { module load a; }; fi; f",
        "f() { module load a; }; f() { module load b; }; f",
        "f() { module load a; f; }; trap f USR1",
        "srun $OPTS bash -c 'module load a'",
        "f() { module load $1; }; f $X",
        "module load $V; V=a",
        "V+=a; module load $V",
        "V=$(echo a); module load $V",
        "(V=a); module load $V",
        "read V; module load $V",
        "for V in a; do :; done; module load $V",
        "V=a; unset V; module load $V",
        "declare -i V=1+1; module load $V",
        "module load ${V%/*}",
        "module load a*",
        "module load {a,b}",
        "OPTS=\"$OPTS --container-image=a.sqsh\"; srun $OPTS python t.py",
        "OPTS+=' --container-image=a.sqsh'; srun $OPTS python t.py",
        "srun $OPTIONS ./program $ARGUMENTS",
        "\"${RUN[@]}\" python t.py",
        "$RUN python t.py",
        "srun \"$PROGRAM\"",
        "mpirun $PROGRAM",
        "mpirun -np 4 $PROGRAM x",
        "timeout $LIMIT apptainer exec a.sif b",
        "numactl $BINDING apptainer exec a.sif b",
        "env -S \"$LINE\"",
        "bash script.sh",
        "srun ./run.sh x",
        "bash <<'END'\nmodule load a\nEND",
        "srun bash <<END\nmodule load a\nEND",
        "echo 'module load a' | bash",
        "bash <<< 'module load a'",
        "srun sh < commands",
        "xargs -n1 apptainer exec a.sif b < list",
        "ls | parallel -j4 'singularity exec a.sif {}'",
        "ssh n1 'module load a; ./program'",
        "flock -n lock module load a",
        "alias run='apptainer exec a.sif'; run b",
        "module load $1",
        "module $ACTION a",
        "V=a; bash -c 'module load $V'",
        "eval 'cd x; module load a'",
        "eval 'module load a' $X",
        "source setup.sh",
        ". ~/.bashrc",
        "false || . setup.sh",
    ],
)  # fmt: skip
def test_a_need_that_is_not_sure_is_unread_and_no_need(body: str, tmp_path: Path) -> None:
    assert clauses(body, tmp_path) == []
    assert unread(body, tmp_path) == [1]


@pytest.mark.parametrize(
    "body",
    [
        "echo module load a",
        "cat <<EOF\nmodule load a\nEOF",
        "# module load a",
        "python -c 'module load a'",
        "if true; then echo $X; fi",
        "if true; then module unload a; module purge; fi",
        "exit 1\nmodule load a",
        "exec ./program\nmodule load a",
        "trap 'rm -rf x' EXIT",
        "(exit 0; module load a)",
        "exit 0 && module load a",
        "cat <<EOF\nEOF_OF_PART\nmodule load a\n EOF\nmodule load b\nEOF ",
        "cat <<-EOF\n\ttext\n\tmodule load a\n  EOF\n\tmodule load b\n\tEOF",
        "cat <<'E F' <<A\nmodule load a\nE F\nmodule load b\nA",
        "cat <<EOF\nmodule load a \\\nEOF\nmodule load b\nEOF",
        "cat <<'EOF'\n$(module load a)\nEOF",
        "X=$(cat <<EOF\n`date`\nmodule load a\nEOF\n)",
        "command -v module",
        "module=load",
        "module() { :; }; module load a",
        "srun ./program $ARGUMENTS",
        "srun -n $N --time=$T ./program $ARGUMENTS",
        "torchrun --nproc_per_node=$N train.py",
        "X=$(date)",
    ],
)
def test_what_asks_nothing_is_neither(body: str, tmp_path: Path) -> None:
    assert clauses(body, tmp_path) == []
    assert unread(body, tmp_path) == []


def test_an_exit_that_may_not_happen_ends_nothing(tmp_path: Path) -> None:
    for body in ("true || exit 1", "(exit 1)", "if false; then exit 1; fi", "f() { exit; }", "bash -c 'exit 1'"):
        assert clauses(f"{body}\nmodule load a", tmp_path) == ["module=a"]


def test_unquoted_values_become_several_words(tmp_path: Path) -> None:
    assert clauses("M='a b  c'; module load $M", tmp_path) == ["module=a", "module=b", "module=c"]
    assert clauses("M='a b'; module load x/$M/y", tmp_path) == ["module=x/a", "module=b/y"]
    assert clauses("M=; module load $M a", tmp_path) == ["module=a"]


def test_what_is_known_at_submit_is_known(tmp_path: Path) -> None:
    body = "module load a$HOME $USER b${SLURM_SUBMIT_DIR}/y c$PWD"
    found = [one.clause for one in read(body, tmp_path, USER="alice").needs][1:]
    home = "/home/alice"
    assert found == [f"module=a{home}", "module=alice", f"module=b{home}/project/y", f"module=c{home}/project"]
    assert [one.text for one in read("apptainer run ~/x", tmp_path).unread] == ["apptainer run ~/x"]
    assert unread("module load ~bob/x", tmp_path) == [1]
    assert unread("cd /tmp\nmodule load a$PWD", tmp_path) == [2]
    assert clauses("HOME=/a; HOME=/b\nmodule load a$HOME", tmp_path) == ["module=a/b"]


def test_lines_are_those_of_the_words(tmp_path: Path) -> None:
    assert lines("module load a \\\n  b\nmodule load a c", tmp_path) == [
        ("module=a", 1), ("module=b", 2), ("module=c", 3),
    ]  # fmt: skip
    assert lines("srun bash -c '\n  module load a\n\n  module load b'", tmp_path) == [("module=a", 2), ("module=b", 4)]
    assert lines('V=b; bash -c "true \\\n&& module load a\n  module load $V"', tmp_path) == [
        ("module=a", 2), ("module=b", 3),
    ]  # fmt: skip
    # What a variable brings has no lines of its own.
    assert lines("V='true\ntrue\nmodule load a'\n\nbash -c \"$V\"", tmp_path) == [("module=a", 5)]


def test_a_function_is_read_where_it_stands(tmp_path: Path) -> None:
    assert lines("f() {\n  module load a\n}\nV=1\nf", tmp_path) == [("module=a", 2)]


def test_other_languages_are_not_read(tmp_path: Path) -> None:
    from preflight.submit.infer import infer

    for first in ("#!/bin/csh", "#!/bin/tcsh -f", "#!/usr/bin/env fish"):
        found = infer(f"{first}\nmodule load a\n", (), environment={}, cwd="/", home="/", root=str(tmp_path))
        assert (found.needs, [one.line for one in found.unread]) == ((), [1])
    for first in ("#!/usr/bin/env python3", "#!/usr/bin/perl -w", "#! /usr/bin/env -S Rscript --vanilla"):
        found = infer(f"{first}\nmodule load a\n", (), environment={}, cwd="/", home="/", root=str(tmp_path))
        assert (found.needs, found.unread) == ((), ())
        assert [one.line for one in found.notes] == [1]
        assert "no shell script" in found.notes[0].why
    for first in ("#!/bin/sh", "#!/usr/bin/env bash", "#!/bin/bash -l", "#!/usr/bin/zsh", "# none"):
        found = infer(f"{first}\nmodule load a\n", (), environment={}, cwd="/", home="/", root=str(tmp_path))
        assert [one.clause for one in found.needs] == ["module=a"]


def test_without_its_parser_the_script_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tree_sitter_bash", None)
    found = read("module load a", tmp_path)
    assert [one.clause for one in found.needs] == ["gpu.count>=1"]
    assert found.notes == ()
    assert [one.why for one in found.unread] == [
        "the script is not read: the Python package tree-sitter or tree-sitter-bash is missing"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "(" * 20_000,
        "echo " + "$(" * 20_000,
        "if true; then " * 20_000,
        '"$(' * 20_000,
        "`" * 20_001,
        "{ " * 20_000,
        "env " * 20_000 + "module load x",
        "a && " * 20_000 + "b",
        "module load " + "x" * 1_000_000,
        "module load " + "\ud800",
        "f() { f; }; f",
        "f() { g; }; g() { f; }; f",
        "\n".join(["V0=aaaaaaaa", *(f"V{i}=$V{i - 1}$V{i - 1}$V{i - 1}" for i in range(1, 60)), "module load $V59"]),
        "srun",
        "srun --container-image",
        "mpirun -genv",
        "docker",
        "apptainer exec --bind",
        "conda run -n",
        "uv run --project",
        "source",
        "bash -c",
        "env",
        "timeout",
        "taskset",
        "module",
        "ml",
        "spack",
        "enroot import",
        "python -m",
        "torchrun --nproc_per_node",
    ],
)  # fmt: skip
def test_hostile_and_broken_text_is_survived(body: str, tmp_path: Path) -> None:
    found = read(body, tmp_path)
    assert found.needs[0].clause == "gpu.count>=1"


def test_commands_in_a_here_documents_text_have_their_lines(tmp_path: Path) -> None:
    body = (
        "cat <<END; cat <<-'X'\ntext\n  $(module load a) `module load b`\nEND\n\t$(module load c)\n\tX\nmodule load d"
    )
    assert unread(body, tmp_path) == [3]
    assert lines(body, tmp_path) == [("module=d", 7)]


def test_a_script_that_takes_too_long_is_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preflight.submit.infer.session.MAX_SECONDS", 0.05)
    for body in ("a=(" * 8000, "module load a\n" * 100_000):
        found = read(body, tmp_path)
        assert any("too long" in one.why for one in found.unread), body[:20]


def test_deep_scripts_in_deep_scripts_are_survived(tmp_path: Path) -> None:
    inner = "module load x"
    for _ in range(6):
        inner = f"bash -c {shlex.quote('( ' * 40 + inner + ' )' * 40)}"
    found = read("( " * 55 + inner + " )" * 55, tmp_path)
    assert "module=x" not in [one.clause for one in found.needs]
    assert any("too deep" in one.why for one in (*found.unread, *found.notes))


def test_text_that_no_terminal_should_see_is_escaped(tmp_path: Path) -> None:
    found = read("module load a \x1b[31m; module load $X", tmp_path)
    for one in (*found.needs, *found.unread, *found.notes):
        assert one.text.isprintable()
        assert one.why.isprintable()
    assert "\\x1b" in found.unread[0].text


def test_line_ends_and_nul_bytes_change_nothing(tmp_path: Path) -> None:
    from preflight.submit.infer import infer

    text = "#!/bin/bash\r\nmod\0ule load a\r\nmodule load b\r\n"
    found = infer(text, (), environment={}, cwd="/", home="/", root=str(tmp_path))
    assert [(one.clause, one.line) for one in found.needs] == [("module=a", 2), ("module=b", 3)]


def test_broken_syntax_is_unread(tmp_path: Path) -> None:
    found = read("module load a\nif true; then\nmodule load b\n", tmp_path)
    assert [one.why for one in found.unread if "syntax" in one.why]
    assert "module=b" not in [one.clause for one in found.needs]


def test_a_script_beyond_slurms_limit_is_not_read(tmp_path: Path) -> None:
    from preflight.submit.infer import MAX_SCRIPT, infer

    text = "#!/bin/bash\nmodule load a\n#" + "x" * MAX_SCRIPT
    found = infer(text, (), environment={}, cwd="/", home="/", root=str(tmp_path))
    assert found.needs == ()
    assert "not read" in found.unread[0].why


def test_it_runs_where_there_is_no_posix(tmp_path: Path) -> None:
    import subprocess
    import sys

    from test_portable import WITHOUT

    job = tmp_path / "job.sh"
    job.write_text("#!/bin/bash\n#SBATCH --gres=gpu:1\nmodule load cuda/12.4\nsource env/bin/activate\n")
    text = f"""{WITHOUT}
import pathlib
from preflight.submit import script
from preflight.submit.infer import infer
made = script.read([{str(job)!r}], {{}})
found = infer(made.text, made.components, environment={{}}, cwd="/p", home="/h", root={str(tmp_path)!r})
print([one.clause for one in found.needs], [one.line for one in found.unread], found.notes)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "['gpu.count>=1', 'module=cuda/12.4', 'cuda>=12.4'] [4] ()\n"


def test_lines_that_the_grammar_joins_are_unread(tmp_path: Path) -> None:
    """tree-sitter's grammar loses the end of the first line (0.25): bash runs two commands."""
    body = "[ -f x ] | module load a | true\nX=1 module load b\nmodule load c"
    assert "module=b" in clauses(body, tmp_path) or 2 in unread(body, tmp_path)
    assert "module=c" in clauses(body, tmp_path) or 3 in unread(body, tmp_path)


def test_lines_that_the_grammar_takes_for_words_of_a_redirection_are_unread(tmp_path: Path) -> None:
    """Behind some pipelines it loses the ends of lines."""
    body = (
        'ml b | exit 1 | srun "${A[@]}" ./p3 | ./p0\nsrun p > log\nmodule load a || touch t ; { echo; exit 1; } ; true'
    )
    assert clauses(body, tmp_path) == []
    assert unread(body, tmp_path) == [1, 2, 3]


def test_a_script_among_the_words_of_another_program_is_unread(tmp_path: Path) -> None:
    assert unread("mpirun -n 1 -odd host1 ./run.sh\nparallel ./run.sh ::: 1 2\n./a --config=./x.sh", tmp_path) == [1, 2]


@pytest.mark.parametrize(
    "body",
    [
        "return 0\nmodule load a",
        "if [ -f x ]; then return 1; fi\nmodule load a",
        "f() { return; }\nf\nreturn\nmodule load a",
    ],
)
def test_a_return_outside_of_functions_ends_nothing(body: str, tmp_path: Path) -> None:
    assert clauses(body, tmp_path) == ["module=a"]
    assert unread(body, tmp_path) == []


def test_a_return_outside_of_functions_fails(tmp_path: Path) -> None:
    assert clauses("set -e\nreturn 0\nmodule load a", tmp_path) == []
