"""Stand-ins for Slurm's commands that answer with fields, and record what they are asked."""

import json
import sys
import time
from pathlib import Path

from preflight.slurm.commands import Slurm

STAND_IN = """#!{python} -IS
import json, sys
answers = json.load(open({place!r} + "/answers"))
open({place!r} + "/log", "a").write(json.dumps(["{name}"] + sys.argv[1:]) + "\\n")
mark = sys.argv[-1].split(":0", 1)[1].split(",")[0] if ":0|" in sys.argv[-1] else ""
key = "{name} rows" if mark else " ".join(["{name}"] + sys.argv[1:])
if key == "sinfo rows" and "hang" in answers:
    import time
    time.sleep(60)
sys.stdout.write(answers.get(key, "").replace("MARK", mark))
sys.stderr.write(answers.get(key + " stderr", ""))
sys.exit(0 if key in answers else 1)
"""


class Desk:
    """Stand-ins for Slurm's commands: they answer by their arguments, and rows of fields with the mark asked for."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("squeue", "sinfo", "scontrol"):
            text = STAND_IN.format(python=sys.executable, place=str(place), name=name)
            (place / name).write_text(text)
            (place / name).chmod(0o755)
        self.slurm = Slurm(str(place), "", time.monotonic() + 60, 60)

    def set(self, answers: dict[str, str]) -> Slurm:
        (self.place / "answers").write_text(json.dumps(answers))
        return self.slurm

    def asked(self) -> list[str]:
        log = self.place / "log"
        return [json.loads(line)[0] for line in log.read_text().splitlines()] if log.exists() else []


def row(*values: str) -> str:
    return "".join(f"{value}MARK" for value in values) + "\n"


def group(nodes: str, partition: str, **more: str) -> list[str]:
    usual = {
        "StateComplete": "idle",
        "Reason": "none",
        "Features": "(null)",
        "features_act": "(null)",
        "Extra": "(null)",
        "Gres": "(null)",
        "CPUs": "4",
        "Memory": "4096",
    }
    return [nodes, partition, *(usual | more).values()]


UNPROVEN = {"scontrol -a show node": "", "scontrol -a -o show node": ""}  # no text that may be read
