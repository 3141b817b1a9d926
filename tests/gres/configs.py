"""Configurations of one GPU node, made up from a seed: its driver, its Gres= in slurm.conf, its gres.conf.

As sites write them, and a little worse: types that are part of a name, minors in another order than NVML's, File= lines
backwards or for some GPUs only, counts that differ, AutoDetect for all nodes, for one, in a line of its own or not.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from nvml import devices, sim

NODE = "n1"
# Name, and types that sites give it.
MODELS = (
    ("NVIDIA H100 80GB HBM3", ("h100", "H100", "nvidia_h100_80gb_hbm3")),
    ("NVIDIA A100-SXM4-80GB", ("a100", "A100", "a100-sxm4", "nvidia_a100-sxm4-80gb")),
    ("NVIDIA A10", ("a10", "nvidia_a10")),
    ("NVIDIA A30", ("a30",)),
    ("Tesla V100-SXM2-32GB", ("v100", "V100", "tesla")),
    ("NVIDIA L40S", ("l40s", "l40")),
    ("NVIDIA GeForce RTX 2080 Ti", ("2080", "rtx_2080_ti", "geforce")),
)
# Profile: bytes, slices, numbers that its GPU instances get (A100 80 GB: `nvidia-smi mig -lgi`).
PROFILES = {
    "7g.80gb": (85094039552, 7, (0,)),
    "4g.40gb": (42144366592, 4, (1,)),
    "3g.40gb": (42144366592, 3, (1, 2)),
    "2g.20gb": (20937965568, 2, (3, 4, 5)),
    "1g.10gb": (10334765056, 1, (7, 8, 9, 10, 11, 12, 13)),
}
LAYOUTS = (
    ("3g.40gb", "3g.40gb"), ("1g.10gb",) * 7, ("7g.80gb",), ("4g.40gb", "2g.20gb", "1g.10gb"), ("3g.40gb", "2g.20gb"),
    ("1g.10gb", "3g.40gb", "2g.20gb"), ("2g.20gb", "2g.20gb", "2g.20gb"),
)  # fmt: skip


@dataclass(frozen=True)
class Configuration:
    """``kind`` says in words what it is; ``gres`` is slurm.conf's Gres=; ``files`` are device files of no GPU.

    ``included``: the text of gpus.conf, which gres.conf includes; ``by_default``: Gres= stands in NodeName=DEFAULT.
    """

    seed: int
    kind: str
    scenario: str
    gres: str
    gres_conf: str
    files: tuple[str, ...] = ()
    included: str = ""
    by_default: bool = False

    @property
    def gres_types(self) -> str:
        """GresTypes= of slurm.conf."""
        return ",".join(["gpu", *(name for name in ("shard", "mps") if f"{name}:" in self.gres)])

    def __str__(self) -> str:
        found = devices.of(self.scenario)
        names = re.findall(r"^gpu\.\d+\.name = (.*)", self.scenario, re.MULTILINE)
        return (
            f"seed {self.seed} ({self.kind})\n  Gres={self.gres}\n  gres.conf:\n    "
            + self.gres_conf.rstrip("\n").replace("\n", "\n    ")
            + ("\n  gpus.conf:\n    " + self.included.rstrip("\n").replace("\n", "\n    ") if self.included else "")
            + f"\n  minors in NVML's order {list(found.minors)}\n  names {names}"
            + f"\n  MIG {[tuple(one) for one in found.migs]}"
        )


@dataclass
class Gpu:
    name: str
    kind: str
    minor: int
    layout: tuple[str, ...] = ()


def make(seed: int) -> Configuration:
    """Return the configuration of a seed."""
    return _Maker(seed).make()


class _Maker:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.words: list[str] = []

    def make(self) -> Configuration:
        self.auto = self.pick(nvml=10, none=6, off=1, nvidia=2, full=2)
        self.gpus = self.some_gpus()
        self.typed = self.chance(0.7)
        lines = self.file_lines()
        gres, gres_conf = self.gres(), self.gres_conf(lines)
        gres_conf, included = self.included(gres_conf)
        kind = ", ".join([f"AutoDetect {self.auto}", *self.words])
        by_default = self.chance(0.1)
        return Configuration(
            self.seed, kind, self.scenario(), gres, gres_conf, included=included, by_default=by_default
        )

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, **weights: int) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def say(self, word: str) -> None:
        self.words.append(word)

    # The node

    def some_gpus(self) -> list[Gpu]:
        count = self.random.choice((1, 2, 2, 3, 4, 4, 4, 6, 8))
        models = self.random.sample(MODELS, min(count, self.random.choice((1, 1, 2, 2, 2, 3))))
        chosen = [*models, *self.random.choices(models, k=count - len(models))]
        self.arrange(chosen)
        kinds = {name: self.random.choice(kinds) for name, kinds in models}
        minors = list(range(count)) if self.chance(0.9) else sorted(self.random.sample(range(12), count))
        order = self.pick(same=3, backwards=2, shuffled=4)
        if order == "backwards":
            minors.reverse()
        elif order == "shuffled":
            self.random.shuffle(minors)
        if len(models) > 1:
            self.say(f"{len(models)} models")
        if order != "same" and count > 1:
            self.say(f"minors {order}")
        gpus = [Gpu(name, kinds[name], minor) for (name, _), minor in zip(chosen, minors)]
        if self.auto in ("nvml", "full", "none") and self.chance(0.3):
            for gpu in gpus:
                if self.chance(0.6):
                    gpu.name, gpu.kind = "NVIDIA A100-SXM4-80GB", "a100"
                    gpu.layout = self.random.choice(LAYOUTS)
            if any(gpu.layout for gpu in gpus):
                self.say("MIG")
        return gpus

    def arrange(self, chosen: list[tuple[str, tuple[str, ...]]]) -> None:
        """Interleave the models, or keep them together."""
        if self.chance(0.6):
            self.random.shuffle(chosen)
        else:
            chosen.sort(key=lambda one: one[0])

    def scenario(self) -> str:
        keys: dict[str, object] = {"driver": "550.54.15", "cuda": "12.4", "gpus": len(self.gpus), "seed": self.seed}
        keys |= {"gpu.*.memory.total": 85198045184, "gpu.*.mig.mode": 0, **sim.near_every_cpu()}
        for index, gpu in enumerate(self.gpus):
            keys |= {f"gpu.{index}.name": gpu.name, f"gpu.{index}.minor": gpu.minor}
            if gpu.layout:
                keys[f"gpu.{index}.mig.mode"] = 1
                used: dict[str, int] = {}
                for number, profile in enumerate(gpu.layout):
                    size, slices, places = PROFILES[profile]
                    at = used.setdefault(profile, 0)
                    used[profile] += 1
                    keys |= {
                        f"gpu.{index}.mig.{number}.gi": places[at],
                        f"gpu.{index}.mig.{number}.name": f"{gpu.name} MIG {profile}",
                        f"gpu.{index}.mig.{number}.memory.total": size,
                        f"gpu.{index}.mig.{number}.slices": slices,
                    }
        return sim.scenario(keys)

    # slurm.conf

    def units(self) -> list[str]:
        """Return the type of each thing that a job can be given: whole GPUs and MIG devices."""
        found = []
        for gpu in self.gpus:
            found += [f"a100_{profile}" if self.chance(0.5) else profile for profile in gpu.layout] or [gpu.kind]
        return found

    def gres(self) -> str:
        kinds: dict[str, int] = {}
        units = self.units()
        same = {unit.split("_")[-1]: unit for unit in units if "g." in unit}
        for unit in units:
            kind = same.get(unit.split("_")[-1], unit)  # one spelling a profile
            kinds[kind] = kinds.get(kind, 0) + 1
        if not self.typed:
            kinds = {"": len(units)}
        change = self.pick(equal=17, below=1, above=1)
        if change != "equal":
            one = self.random.choice(list(kinds))
            kinds[one] = max(1, kinds[one] + (1 if change == "above" else -1))
            self.say(f"count {change}")
        parts = [
            part for kind, count in kinds.items() for part in self.counted(f"gpu:{kind}" if kind else "gpu", count)
        ]
        if self.typed and self.chance(0.04):
            parts = [f"gpu:nonesuch:{len(units)}"]
            self.say("type of no GPU")
        self.random.shuffle(parts)
        if self.chance(0.12):
            # Shards must divide among the GPUs that there are.
            shared = self.pick(shard=3, mps=1)
            each = 4 if shared == "shard" else 100
            parts.insert(self.random.randrange(len(parts) + 1), f"{shared}:{each * len(units)}")
            self.say(shared)
        return ",".join(parts)

    def counted(self, name: str, count: int) -> list[str]:
        """Write a GRES and its count in one of the ways that Slurm takes."""
        how = self.pick(plain=16, short=2, parted=1, sockets=1)
        # Slurm takes "2g.20gb" for a number where no count follows, and refuses it.
        if how == "short" and count == 1 and "g." not in name:
            return [name]
        if how == "parted" and count > 1:
            self.say("Gres= in parts")
            return [f"{name}:1", f"{name}:{count - 1}"]
        return [f"{name}:{count}(S:0)" if how == "sockets" else f"{name}:{count}"]

    # gres.conf

    def file_lines(self) -> list[str]:
        """Return File= records as words after Name=gpu."""
        if any(gpu.layout for gpu in self.gpus):
            return self.mig_lines() if self.auto == "none" else []
        how = "all" if self.auto in ("none", "off") else self.pick(none=5, all=2, some=2)
        if how == "none":
            return []
        gpus = list(self.gpus)
        if how == "some":
            gpus = self.random.sample(gpus, self.random.randint(1, len(gpus)))
        order = self.pick(by_minor=3, nvml=2, backwards=2, shuffled=2)
        gpus.sort(key=lambda gpu: gpu.minor)
        if order == "nvml":
            gpus.sort(key=self.gpus.index)
        elif order == "backwards":
            gpus.reverse()
        elif order == "shuffled":
            self.random.shuffle(gpus)
        self.say(f"File= of {how}, {order}")
        return self.grouped(gpus)

    def grouped(self, gpus: list[Gpu]) -> list[str]:
        """One record a GPU, or one for those of a type that follow each other."""
        groups: list[list[Gpu]] = []
        together = self.chance(0.5)
        for gpu in gpus:
            if together and groups and groups[-1][0].kind == gpu.kind:
                groups[-1].append(gpu)
            else:
                groups.append([gpu])
        lines = []
        for group in groups:
            words = [f"{self.random.choice(('File', 'File', 'Files', 'file'))}={self.paths([g.minor for g in group])}"]
            if self.typed:
                words.append(f"Type={group[0].kind}")
            if self.chance(0.1):
                words.append(f"Count={len(group)}")
            if self.chance(0.05):
                words.append("Flags=nvidia_gpu_env")
            if self.chance(0.07):
                words = [word.replace("=", '="', 1) + '"' for word in words]
            self.random.shuffle(words)
            lines.append(" ".join(words))
        return lines

    def paths(self, minors: list[int]) -> str:
        if len(minors) == 1:
            return f"/dev/nvidia{minors[0]}"
        if minors == list(range(minors[0], minors[0] + len(minors))) and self.chance(0.7):
            return f"/dev/nvidia[{minors[0]}-{minors[-1]}]"
        if self.chance(0.6):
            return f"/dev/nvidia[{','.join(map(str, minors))}]"
        return ",".join(f"/dev/nvidia{minor}" for minor in minors)

    def mig_lines(self) -> list[str]:
        """MIG devices by hand, as sites without NVML do: MultipleFiles, GPU and its capabilities."""
        self.say("MultipleFiles")
        lines = []
        for gpu in self.gpus:
            if not gpu.layout:
                lines.append(f"File=/dev/nvidia{gpu.minor}" + (f" Type={gpu.kind}" if self.typed else ""))
            used: dict[str, int] = {}
            for profile in gpu.layout:
                at = used.setdefault(profile, 0)
                used[profile] += 1
                caps = devices.Mig(gpu.minor, PROFILES[profile][2][at], 0).caps
                paths = ",".join([f"/dev/nvidia{gpu.minor}", *(f"/dev/nvidia-caps/nvidia-cap{cap}" for cap in caps)])
                lines.append(f"MultipleFiles={paths}" + (f" Type={profile}" if self.typed else ""))
        if self.chance(0.5):
            self.random.shuffle(lines)
        return lines

    def gres_conf(self, records: list[str]) -> str:
        """Put the records and AutoDetect into a file, with lines of other nodes around them."""
        auto = self.random.choice((self.auto, self.auto.upper())) if self.auto != "none" else ""
        where = self.pick(everywhere=4, node=2, line=2)
        lines: list[str] = []
        node = self.random.choice((NODE, NODE, "n[0-3]", "m1,n1"))
        if auto == "off":
            lines.append("AutoDetect=nvml")
            where = "line" if records else "node"
        if auto and where == "everywhere":
            lines.append(f"AutoDetect={auto}")
        if auto and where == "node":
            lines.append(f"NodeName={node} AutoDetect={auto}")
        for number, record in enumerate(records):
            form = self.pick(name=3, node=3) if not (auto and where == "line") else "node"
            head = f"NodeName={node} " if form == "node" else ""
            if auto and where == "line" and (number == 0 or auto == "off"):
                head += f"AutoDetect={auto} "
            lines.append(f"{head}Name=gpu {record}")
        if auto and where == "line" and not records:
            lines.append(f"NodeName={node} AutoDetect={auto}")
        if self.chance(0.3):
            lines.insert(self.random.randrange(len(lines) + 1), "NodeName=other[1-9] Name=gpu File=/dev/nvidia[0-3]")
        return self.spelled(lines)

    def included(self, text: str) -> tuple[str, str]:
        """Move the last lines into another file."""
        if "\\" in text or not self.chance(0.12):
            return text, ""
        lines = text.splitlines()
        at = self.random.randrange(len(lines))
        self.say("Include")
        word = self.random.choice(("Include", "include"))
        return "\n".join([*lines[:at], f"{word} gpus.conf"]) + "\n", "\n".join(lines[at:]) + "\n"

    def spelled(self, lines: list[str]) -> str:
        if self.chance(0.2):
            lines = [line.replace("Name=gpu", "name = gpu").replace("Type=", "TYPE =") for line in lines]
            self.say("blanks")
        if self.chance(0.15):
            lines = [line.replace(" ", " \\\n  ", 1) if line.count(" ") else line for line in lines]
            self.say("continued")
        if self.chance(0.3):
            lines.insert(0, "# the GPUs of this cluster")
        return "\n".join(lines) + "\n"
