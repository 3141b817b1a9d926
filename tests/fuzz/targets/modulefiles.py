"""Modulefiles: a tree's .modulerc, .version and names, and what a requirement finds among them."""

from fuzz.place import place, write
from preflight.facts.modulefiles import read
from preflight.facts.rootfs import Root
from preflight.facts.view import View
from preflight.requirements.evaluate import evaluate
from preflight.requirements.grammar import RequirementError, parse, quoted

ERRORS = (RequirementError,)
TOKENS = (
    b"module-version ", b"module-alias ", b'module_version("', b"cuda/12.4", b"default", b"/latest", b"@12:13",
    b"#%Module", b"--", b"#", b'", "', b"')", b"\0",
)  # fmt: skip


def seeds() -> list[bytes]:
    """Return rc files, and what is asked, parted by a NUL."""
    return [
        b"#%Module\nmodule-version /12.4 default stable\nmodule-alias gpu cuda/12.4\n\0cuda/default",
        b'module_version("cuda/12.4", "12")\nmodule_alias("c","cuda/12.4")\n\0cuda@12:13',
        b"# module-version x\nset v [list 1]\nmodule-version cuda/$v new\n\0cuda/12",
    ]


def check(data: bytes) -> None:
    """Read the tree with this rc file in both module systems' forms, and ask it."""
    where = place("modules")
    tree = where / "m/cuda"
    tree.mkdir(parents=True, exist_ok=True)
    rc, _, asked = data.partition(b"\0")
    for name in ("12.4", "12.4.1-gcc", "13.0"):
        if not (tree / name).exists():
            write(tree / name, b"#%Module\n")
    write(tree / ".modulerc", rc)
    write(where / "m/.version", rc)
    answer = read(Root(str(where), live=False), ("/m",))
    view = View({"modules": answer.values}, {})
    evaluate(parse(f"module={quoted(asked.decode('utf-8', 'surrogateescape'))}"), view)
