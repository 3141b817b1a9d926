"""slurm.conf and gres.conf as slurmd reads them for a node, parted by a NUL; gres.conf may include itself."""

from fuzz.place import place, write
from preflight.slurm.gres.reading import read

ERRORS = ()
TOKENS = (
    b"NodeName=", b"Name=gpu ", b"Type=a100 ", b"File=/dev/nvidia[0-3]", b"MultipleFiles=", b"Count=",
    b"AutoDetect=nvml", b"Gres=gpu:2", b"gpu:a100:2(S:0-1)", b"shard:8", b"GresTypes=gpu", b"include gres.conf",
    b"\\\n", b"#", b"DEFAULT", b"Links=0,-1", b"Flags=", b"ClusterName=%c", b'"', b"\0",
)  # fmt: skip
LONGEST = 8192
STEPS_LIMIT = (2_000_000, 6_000)  # a File= of 1024 devices, each looked at; includes
PEAK_LIMIT = (40 << 20, 400)  # a text file is read into room for MAX_BYTES


def seeds() -> list[bytes]:
    """Return the two files of some nodes."""
    return [
        b"NodeName=n[1-4] Gres=gpu:2\nGresTypes=gpu\n\0Name=gpu File=/dev/nvidia[0-1]\n",
        b"NodeName=DEFAULT Gres=gpu:a100:2,shard:8\nNodeName=n1\nGresTypes=gpu,shard\n\0AutoDetect=nvml\nNodeName=n1 "
        b"Name=gpu Type=a100 File=/dev/nvidia[0,1] Links=-1,4\nName=shard Count=8\n",
        b"ClusterName=c\ninclude other\n\0NodeName=n1 Name=gpu MultipleFiles=/dev/nvidia0,/dev/nvidia1 # x\n",
    ]


def check(data: bytes) -> None:
    """Read both: never raises, a problem is said in the answer."""
    where = place("gres")
    slurm, _, gres = data.partition(b"\0")
    write(where / "slurm.conf", slurm)
    write(where / "gres.conf", gres)
    found = read(str(where), "n1", "24.11")
    assert "\n" not in found.problem
