"""slurm.conf as doctor reads it, `scontrol show config`, and plugstack.conf."""

from fuzz.place import place, write
from preflight.deploy.doctor import conf, plugstack
from preflight.slurm.gres import syntax

ERRORS = ()
TOKENS = (
    b"Prolog=", b"Epilog=/a", b"include *.conf\n", b"include plugstack.conf", b"\\\n", b"#", b"Prolog[0] = ", b" = ",
    b"30 sec", b"65534", b"optional ", b"required ", b"preflight.so ", b"preflight=", b'"', b"[", b"**/", b"~",
)  # fmt: skip
LONGEST = 8192
STEPS_LIMIT = (200_000, 6_000)
PEAK_LIMIT = (12 << 20, 400)  # a text file is read into room for MAX_BYTES


def seeds() -> list[bytes]:
    """Return files and answers."""
    return [
        b"ClusterName=c\nProlog=/usr/lib/preflight/prolog\nPrologFlags=Alloc,DeferBatch\nBatchStartTimeout=30\n",
        b"Prolog[0] = /a\nProlog[1] = /b\nBatchStartTimeout = 30 sec\nSLURM_CONF = /etc/s.conf\n",
        b"include plugstack.conf.d/*\noptional /usr/lib/slurm/preflight.so preflight=/opt/preflight # x\n",
    ]


def check(data: bytes) -> None:
    """Read the text as each of the three."""
    path = write(place("conf") / "plugstack.conf", data)
    lines, files, problem = conf._read_files(str(path))
    assert len(files) <= conf.MAX_FILES
    assert "\n" not in problem
    for values in (conf.in_force(lines), conf.parse_shown(data.decode("utf-8", "replace"))):
        shown = conf.Conf(values, "x", True)
        for key in ("batchstarttimeout", "prolog", "prologflags"):
            shown.seconds(key, None)
            shown.words(key)
        assert shown.directory
    list(plugstack._lines(str(path), "/usr/lib/slurm", [], []))
    for line in syntax.logical_lines(data.decode("utf-8", "replace")):
        syntax.parsed(line)
