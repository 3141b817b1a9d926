"""Lines that only set a tool up are unread as any, and marked."""

from pathlib import Path

import pytest
from infer_samples import read


@pytest.mark.parametrize(
    ("line", "setup"),
    [
        ("source /opt/miniconda3/etc/profile.d/conda.sh", True),
        ('source "$CONDA_ROOT/etc/profile.d/conda.sh"', True),
        (". $HOME/mambaforge/etc/profile.d/mamba.sh", True),
        ("source ~/.bashrc", True),
        ("source /etc/profile", True),
        (". /etc/profile.d/modules.sh", True),
        (". /etc/profile.d/z00-lmod.sh", True),
        ("source /usr/share/lmod/lmod/init/bash", True),
        (". $SPACK_ROOT/share/spack/setup-env.sh", True),
        ('eval "$(conda shell.bash hook)"', True),
        ('eval "$(/opt/conda/bin/conda shell.bash hook 2> /dev/null)"', True),
        ('eval "$(micromamba shell hook --shell bash)"', True),
        ('eval "$("$MAMBA_EXE" shell hook --shell bash 2> /dev/null)"', True),
        ("source env.sh", False),
        ("source /etc/profile.d/cuda.sh", False),
        ("source /opt/x/profile", False),
        ("source /etc/profile more", False),
        ('eval "$(make conda shell.bash hook)"', False),
        ('eval "$(conda shell.bash hook; make)"', False),
        ('eval "$(conda shell.bash hook $(make))"', False),
        ('eval "$(conda shell.bash hook)" more', False),
        ('eval "$(make)"', False),
        ("source ~/.bashrc; source env.sh", False),
        ("source env.sh; source ~/.bashrc", False),
    ],
)
def test_lines_that_only_set_a_tool_up_are_marked(line: str, setup: bool, tmp_path: Path) -> None:
    (one,) = read(line, tmp_path).unread
    assert one.setup is setup
    if ";" in line and "eval" not in line:
        assert one.why == "env.sh is not read"
