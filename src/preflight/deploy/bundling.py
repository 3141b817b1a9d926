"""Making the one file of a hook's compiled modules (`preflight.bundle`) beside the copied package.

What only a reader of the source needs is left out: of docstrings those of decorated functions stay, for a check's and
a fact's is its help; of annotations those of classes, which name a tuple's fields; of where each instruction stands its
line.
"""

from __future__ import annotations
import __future__

import ast
import marshal
import os
import sys
from collections.abc import Iterator
from types import CodeType

from preflight.bundle import NAME, mark, source_hash
from preflight.checks.registry import FRAMEWORK
from preflight.hooks.assess import ALWAYS, DESCRIBES

TYPE_CHECKING = False  # as typing's
if TYPE_CHECKING:
    from preflight.bundle import Entry, Groups

ROOMS = ("", "catalog", "facts", "requirements", "policy", "checks", "slurm", "report", "hooks")  # a hook's
# A module -> what else is sure to be imported when it is ("…*": every check in that place), and which of these modules
# come before it. A hook that does not come to one of these imports no more for it.
GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "preflight.start": (("preflight.hooks.main",), ()),
    "preflight.hooks.run": (("preflight.hooks.passing",), ("preflight.start",)),
    "preflight.hooks.prolog": (
        ("preflight.checks.*", *(f"preflight.facts.{subject}" for subject in ALWAYS + DESCRIBES)),
        ("preflight.hooks.run",),
    ),
    "preflight.hooks.epilog": (
        ("preflight.checks.*", *(f"preflight.facts.{subject}" for subject in ALWAYS)),
        ("preflight.hooks.run",),
    ),
    "preflight.hooks.health": (("preflight.checks.*", "preflight.checks.health.*"), ("preflight.hooks.run",)),
    "preflight.facts.gpu": (("preflight.facts.nvml_direct.calls",), ("preflight.hooks.run",)),
    "preflight.requirements.grammar": (("preflight.requirements.evaluate",), ("preflight.hooks.prolog",)),
    "preflight.facts.driver": (
        (
            *(f"preflight.facts.{one}" for one in ("gpus", "kernel_log", "kept", "kmsg.source", "nvml_result")),
            *(f"preflight.slurm.gres.{one}" for one in ("match", "order")),
        ),
        ("preflight.hooks.prolog",),
    ),
    "preflight.facts.cuda": (
        tuple(f"preflight.catalog.{one}" for one in ("runs", "drivers", "compiled.toolkits", "compiled.drivers")),
        ("preflight.hooks.prolog", "preflight.requirements.grammar"),
    ),
}


def make(package: str, named: str = "") -> None:
    """Write the bundle of the package in the directory ``package``; raises OSError or SyntaxError.

    ``named``: the path by which its code knows itself, where the package is to be moved.
    """
    index: dict[str, Entry] = {}
    trees, compiled, codes = {}, {}, []
    end = 0
    for name, path in _modules(package):
        with open(path, "rb") as file:
            known = f"{named or package}{path[len(package) :]}"
            source = file.read()
            info = os.fstat(file.fileno())
        trees[name] = ast.parse(source)
        compiled[name] = _compiled(trees[name], known)
        code = marshal.dumps(compiled[name])
        is_package = os.path.basename(path) == "__init__.py"
        part = (end, len(code), source_hash(code))
        index[name] = (is_package, part, info.st_size, info.st_mtime_ns, source_hash(source))
        codes.append(code)
        end += len(code)
    groups: Groups = {}
    for name, modules in grouped(trees).items():
        code = marshal.dumps([(one, compiled[one]) for one in modules])
        groups[name] = (end, len(code), source_hash(code))
        codes.append(code)
        end += len(code)
    codes.append(marshal.dumps(compiled["preflight.bundle"]))  # which __main__.py takes from the end
    head = marshal.dumps((index, groups))
    last = len(codes[-1]).to_bytes(8, "big") + source_hash(codes[-1])
    body = last + len(head).to_bytes(8, "big") + source_hash(head) + head + b"".join(codes)
    size = len(mark()) + 8 + len(body)
    with open(f"{package}/{NAME}", "wb") as out:
        out.write(mark() + size.to_bytes(8, "big") + body)


def _compiled(tree: ast.Module, path: str) -> CodeType:
    """Return a module's code without what only a reader needs, and without the import of annotations: its flag does
    what that asks for.
    """
    _without_docs(tree)
    _Bare().visit(tree)
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            flags |= __future__.annotations.compiler_flag
    tree.body = [one for one in tree.body if not (isinstance(one, ast.ImportFrom) and one.module == "__future__")]
    return by_line(compile(tree, path, "exec", flags, dont_inherit=True))


def by_line(code: CodeType) -> CodeType:
    """Return the code with the line of each instruction, but not its columns: a fifth of what is read and unmarshalled.

    From Python 3.11 on; the form is that of CPython's Objects/locations.md, of which two kinds are used: a line without
    columns, and no line.
    """
    if sys.version_info < (3, 11):
        return code
    out, last = bytearray(), code.co_firstlineno
    for start, end, line in code.co_lines():
        units = (end - start) // 2  # an entry is of eight at most
        for at in range(0, units, 8):
            kind = 15 if line is None else 13
            out.append(0x80 | kind << 3 | (min(units - at, 8) - 1))
            if line is not None:
                out += _signed(line - last)
                last = line
    consts = tuple(by_line(one) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_linetable=bytes(out), co_consts=consts)


def _signed(number: int) -> bytes:
    """Return a number as six bits a byte, the lowest first, the first of all its sign."""
    left = -number << 1 | 1 if number < 0 else number << 1
    out = bytearray()
    while left >= 64:
        out.append(0x40 | left & 63)
        left >>= 6
    return bytes((*out, left))


class _Bare(ast.NodeTransformer):
    """Takes the annotations of functions, and of what is in no class, away."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Take them from the function and all that is in it."""
        node.returns = None
        every = node.args
        for one in (*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg):
            if one is not None:
                one.annotation = None
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Leave those of a class: they name a tuple's fields."""
        for one in node.body:
            if not isinstance(one, ast.AnnAssign):
                self.visit(one)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Leave what only declares a name: within a function it makes it the function's."""
        if node.value is None:
            return node
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)


def grouped(trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Return GROUPS as lists of modules in the order in which Python runs them; ``trees``: all modules by name."""
    found: dict[str, list[str]] = {}
    for first, (others, before) in GROUPS.items():
        wanted = [first]
        for one in others:
            wanted += _checks(one.removesuffix(".*"), trees) if one.endswith(".*") else [one]
        done = {name for one in before for name in _closure([one, *found[one]], trees)}
        every = [name for name in _closure(wanted, trees) if name not in done]
        found[first] = [name for name in every if first not in _closure([name], trees)]  # that would run it twice
    return found


def _checks(package: str, trees: dict[str, ast.Module]) -> list[str]:
    """Return the modules of a package that declare checks."""
    found = (name.rpartition(".") for name in sorted(trees))
    mine = [last for place, _, last in found if place == package and f"{last}.py" not in FRAMEWORK]
    return [f"{package}.{last}" for last in mine if not any(name.startswith(f"{package}.{last}.") for name in trees)]


def _closure(wanted: list[str], trees: dict[str, ast.Module]) -> list[str]:
    """Return ``wanted`` and what they import while they are imported, each after what it imports."""
    order: dict[str, None] = {}
    seen = set()

    def visit(name: str) -> None:
        if name in seen or name not in trees:
            return
        seen.add(name)
        visit(name.rpartition(".")[0])
        for one in _imports(trees[name]):
            visit(one)
        order[name] = None

    for name in wanted:
        visit(name)
    return list(order)


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the names of what a module imports when it is run; some are of no module but of what is in one."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
            yield from (f"{node.module}.{one.name}" for one in node.names)


def _without_docs(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) or getattr(node, "decorator_list", None):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body[:1] = [] if len(node.body) > 1 else [ast.copy_location(ast.Pass(), node.body[0])]


def _modules(package: str) -> Iterator[tuple[str, str]]:
    """Yield (name, path) of each module of a hook's rooms."""
    top = os.path.basename(package)
    for directory, _, files in sorted(os.walk(package)):
        inside = os.path.relpath(directory, package).replace(os.sep, ".").removeprefix(".")
        if inside.partition(".")[0] not in ROOMS:
            continue
        for file in sorted(files):
            if file.endswith(".py") and file != "__main__.py":
                parts = [top, inside, "" if file == "__init__.py" else file[:-3]]
                yield ".".join(part for part in parts if part), os.path.join(directory, file)
