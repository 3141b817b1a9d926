"""A plan as people and programs read it, and the command around it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from plan_samples import H100, node, planned

from preflight.cli.main import group
from preflight.report.clean import width
from preflight.submit.plan import ClusterState
from preflight.submit.plan.form import to_json
from preflight.submit.plan.text import render

SCRIPT = """#!/bin/bash
#SBATCH -p gpu --nodes=2 --gpus-per-node=1
#SBATCH --require="driver>=550, mount=/scratch"
module load cuda/12.4
source $VENV/bin/activate
"""


def test_the_answer_comes_first_and_the_rest_in_order() -> None:
    text = render(planned(SCRIPT))
    assert text.startswith(
        "2 of 8 nodes of partition gpu may fit: mount=/scratch is told only on the node.\n  h[1-2]; 1 of them idle\n"
    )
    order = [
        "The job asks: partition gpu; nodes 2; GPUs 1 a node",
        "driver>=550  (--require, line 3)",
        "Why the others do not fit",
        "driver < 550: a[1-2] (2 nodes; driver 535.129.03)",
        "Would fit, but are away",
        "IDLE+DRAIN: h3 (bad \\x1b[31mfan)",
        "Cannot be told",
        "nothing published: s1",
        "What you could change",
        "driver>=550 -> driver>=535.129: 2 more nodes (a[1-2])",
        "Inferred from the script",
        "cuda>=12.4  (line 4: module load cuda/12.4)\n    holds on all that fit",
        "Verified on the node by the prolog",
        "mount=/scratch: mount is not published",
        "For Slurm's scheduler",
        "--extra='driver>=550000000'",
        "Not read, so perhaps needs",
        "line 5: source $VENV/bin/activate",
    ]
    places = [text.find(line) for line in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


def test_the_answer_claims_no_more_than_is_proven() -> None:
    def first(*words: str, lines: int = 1) -> list[str]:
        return render(planned(*words)).split("\n")[:lines]

    gpu = "--gpus-per-node=1"
    assert first(gpu, "--require=driver>=550") == ["2 of 8 nodes of partition gpu fit now."]
    assert first(gpu, "--require=driver>=550, mount=/a, module=b", lines=2) == [
        "2 of 8 nodes of partition gpu may fit: mount=/a and module=b are told only on",
        "  the node.",
    ]
    many = " ".join(first("--require=mount=/a, mount=/b, mount=/c, mount=/d, mount=/e", lines=2))
    assert "may fit: mount=/a, mount=/b, mount=/c and 2 more" in many
    assert first("--require=driver>=999") == ["None of 8 nodes of partition gpu fits now."]


def test_the_answer_tells_how_many_have_what_the_script_shows() -> None:
    script = "#!/bin/bash\n#SBATCH --gpus-per-node=1 --require=driver>=470\nmodule load cuda/12.4\n"
    lines = render(planned(script)).split("\n")
    assert lines[:3] == [
        "5 of 8 nodes of partition gpu fit now.",
        "  a[1-2],h[1-2],v1; 3 of them idle",
        "  4 of them also have what the script's lines show",
    ]
    assert "also ha" not in render(planned(script.replace("470", "550")))
    assert "also ha" not in render(planned(script, mode="require"))


def test_too_few_and_a_missing_partition_are_said_once() -> None:
    none = render(planned("-N2", "--require=driver>=999"))
    assert none.startswith("None of 8 nodes of partition gpu fits now; the job needs 2.\n\n")
    assert "Too few" not in none
    assert "\nToo few: the job needs 9 nodes.\n" in render(planned("-N9", "--require=driver>=550"))
    missing = render(planned("-pnosuch"))
    assert missing.startswith("There is no partition nosuch with nodes; there are: gpu, other.\n\nThe job asks:")
    assert "None of" not in missing
    assert missing.count("there are") == 1
    assert to_json(planned("-pnosuch"))["components"][0]["notes"]
    both = render(planned("-pnosuch,other"))
    assert both.startswith("There is no partition nosuch with nodes; there are: gpu, other.\n1 of 1 node")


@pytest.mark.parametrize("extra", [True, False])
def test_text_fits_a_terminal(extra: bool) -> None:
    nodes = [node(f"rack{at % 7}-node{at:04}-x", H100, extra) for at in range(900)]
    away = [one._replace(name=f"z{one.name}", state=("DOWN",), reason="long " * 99) for one in nodes[:50]]
    state = ClusterState([*nodes, *away], "gpu", extra)
    for words in (["--require=driver>=560"], ["--require=driver>=550"], ["-xrack0-node0000-x"], ["-N999"]):
        lines = render(planned(*words, state=state)).split("\n")
        assert all(width(line) <= 80 for line in lines if not line.startswith("  --")), lines


def test_hostile_text_is_cleaned() -> None:
    evil = "\x1b[2J\u202e"
    nodes = [node("h1", H100, reason=evil, state=("DOWN",)), node("h2", None, partitions=(f"p{evil}", "gpu"))]
    made = planned(f"-C{evil}|a", f"--reservation={evil}", "--require=gpu=x|driver>=1", "-pnope,gpu",
                   state=ClusterState(nodes, "gpu", True))  # fmt: skip
    text = render(made)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.isprintable() or all(line.isprintable() for line in text.split("\n"))


def test_set_up_lines_are_one_line() -> None:
    hook = 'source /etc/profile\neval "$(conda shell.bash hook)"\n'
    text = render(planned(f"#!/bin/bash\n#SBATCH --gres=gpu:1\n{hook}"))
    assert "\nSet-up lines not read: 3, 4\n" in text
    assert "Not read, so perhaps needs" not in text
    text = render(planned(f"{SCRIPT}{hook}"))
    assert "  line 5: source $VENV/bin/activate" in text
    assert "\n\nSet-up lines not read: 6, 7\n" in text
    assert "is not read" not in text
    assert "Set-up" not in render(planned(SCRIPT))


def test_the_evidence_of_a_need_that_its_line_does_not_show(tmp_path: Path) -> None:
    site = tmp_path / "env/lib/python3.11/site-packages/torch"
    site.mkdir(parents=True)
    (site / "version.py").write_text("cuda = '12.4'\n")
    script = f"#!/bin/bash\n#SBATCH --gres=gpu:1\ncd {tmp_path}\nsource env/bin/activate\n"
    for mode in ("warn", "require"):
        text = render(planned(script, mode=mode))
        after = text.partition("cuda>=12.4  (line 4: source env/bin/activate)\n")[2]
        assert after.startswith("    ")
        assert "torch/version.py" in after.partition("cannot")[0].replace("\n      ", "")
    assert "cuda>=12.4  (line 4: module load cuda/12.4)\n    holds on" in render(planned(SCRIPT))


def test_where_no_cluster_is_asked() -> None:
    text = render(planned(SCRIPT)._replace(cluster_asked=False, parts=()))
    assert "line 5" in text


def test_json_says_all_of_it() -> None:
    found = json.loads(json.dumps(to_json(planned(SCRIPT))))
    assert (found["format"], found["enough"], found["infer"]) == ("preflight.plan/1", True, "warn")
    (one,) = found["components"]
    assert (one["partitions"], one["needed"], one["asked"]["gpus"]["per_node"]) == (["gpu"], 2, 1)
    assert one["requirement"][0] == {
        "clause": "driver>=550",
        "source": "--require",
        "line": 3,
        "text": "--require=driver>=550, mount=/scratch",
        "why": None,
    }
    assert one["nodes"]["fit"] == {"count": 2, "nodes": "h[1-2]"}
    assert one["nodes"]["misfit"][0] == {
        "what": "driver < 550", "detail": "driver 535.129.03", "count": 2, "nodes": "a[1-2]",
    }  # fmt: skip
    assert one["placement"]["value"] == "driver>=550000000"
    assert [need["clause"] for need in one["inferred"]] == ["module=cuda/12.4", "cuda>=12.4"]
    assert found["inference"]["unread"][0]["line"] == 5


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("SBATCH_", "SLURM"))]:
        monkeypatch.delenv(name)
    (tmp_path / "job.sh").write_text(SCRIPT)
    return Call(tmp_path)


class Call:
    """The command, with a Slurm that is what a test makes of it: none at first."""

    def __init__(self, where: Path) -> None:
        self.bin = where / "bin"
        self.policy = where / "p.toml"
        self.policy.write_text(f'version = 1\n[hook]\nslurm_bin = "{self.bin}"\n')

    def slurm(self, **commands: str) -> None:
        """Make commands of shell text."""
        self.bin.mkdir(exist_ok=True)
        for name, text in commands.items():
            (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.bin / name).chmod(0o755)

    def __call__(self, *words: str, stdin: str | None = None) -> tuple[int, str, str]:
        arguments = ["plan", "--config", str(self.policy), *words]
        done = CliRunner().invoke(group, arguments, input=stdin, standalone_mode=False)
        assert done.exception is None, done.exception
        code = done.return_value
        return int(code or 0), done.stdout, done.stderr


def test_without_slurm_it_says_what_the_script_needs(call: Call) -> None:
    code, out, err = call("job.sh")
    assert (code, err) == (0, "")
    assert out.startswith("No cluster was asked: Slurm is not installed here.")
    assert "driver>=550  (--require, line 3)" in out
    assert "cuda>=12.4  (line 4" in out


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="root's own restraint")
def test_root_follows_no_path_of_a_users_script(call: Call, tmp_path: Path) -> None:
    call.slurm(sinfo="exit 1", scontrol="exit 1")
    script = tmp_path / "theirs.sh"
    script.write_text("#!/bin/bash\n#SBATCH --gpus=1\nmodule load cuda/12.4\n")
    assert "cuda>=12.4" in call(str(script))[1]
    os.chown(script, 4242, 4242)
    _, out, _ = call(str(script))
    assert "cuda>=12.4" not in out
    assert "root follows no paths of a user's script" in " ".join(out.split())
    for line in ("--nodefile=hosts", "-F hosts", "-x ./hosts", "-w /no/such/place"):
        script.write_text(f"#!/bin/bash\n#SBATCH {line}\n#SBATCH --gpus=1\n")
        _, out, err = call(str(script))
        assert err == ""
        assert "not read, root follows no path of a user's script" in " ".join(out.split())
    assert "no/such" in call("-w", "/no/such/place", str(script))[2]  # root's own words count


def test_a_controller_that_is_down_is_an_error_and_the_script_is_read_all_the_same(call: Call) -> None:
    call.slurm(sinfo="echo 'slurm_load_node: Unable to contact slurm controller' >&2; exit 1", scontrol="exit 1")
    code, out, _ = call("job.sh")
    assert code == 2
    assert out.startswith("The cluster could not be asked: sinfo: slurm_load_node: Unable to contact")
    assert "driver>=550  (--require, line 3)" in out
    assert json.loads(call("--json", "job.sh")[1])["problem"]


def test_a_script_on_stdin_and_one_in_no_file(call: Call) -> None:
    assert "driver>=550  (--require, line 3)" in call(stdin=SCRIPT)[1]
    assert "driver>=1  (--require)" in call("--wrap=hostname", "--require=driver>=1")[1]
    code, _, err = call("missing.sh")
    assert code == 2
    assert err.count("\n") == 1


@pytest.mark.parametrize("own", [("--json", "job.sh"), ("-N3", "--json", "job.sh", "--json")])
def test_own_options_stand_before_the_script(call: Call, own: tuple[str, ...]) -> None:
    code, out, _ = call(*own)
    assert code == 0
    assert json.loads(out)["script"].endswith("job.sh")


def test_mistakes_are_one_line_and_a_caret(call: Call) -> None:
    code, out, err = call("--require=cudaa>=12", "--wrap=true")
    assert (code, out) == (2, "")
    assert err == 'preflight: --require: unknown name "cudaa": did you mean "cuda"?\n  cudaa>=12\n  ^\n'
    code, _, err = call("--infer=perhaps", "job.sh")
    assert (code, err) == (2, "preflight: --infer=perhaps: give one of warn, require, off\n")


def test_help_names_the_exit_codes(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    assert "Exits with 0" in out
    assert all(width(line) <= 80 for line in out.split("\n")[1:])
