"""GPUs: what a product is, and which CUDA toolkits have code for it."""

from __future__ import annotations

from preflight.catalog import versions
from preflight.catalog.tables import SHIPPED, Row, Tables, source
from preflight.digits import is_whole
from preflight.tuples import NamedTuple

SUPPORTED, TOO_NEW, DROPPED, UNKNOWN = "supported", "too_new", "dropped", "unknown"
VARIANTS = ("ti", "super", "d", "laptop", "mobile", "gpu", "generation", "max", "q")  # of one chip family, so far
ARM_HOSTS = ("superchip", "soc", "jetson")  # kinds of GPUs that come with an Arm processor
ANY = 1 << 30  # a minor release that is not said


class Gpu(NamedTuple):
    """What is known of a GPU; None where it is not.

    ``name`` as it was given, ``model`` the product's, ``capability`` such as "9.0", ``arch`` such as "hopper",
    ``kind`` datacenter, superchip, workstation, geforce, titan, soc or jetson.
    """

    name: str
    model: str | None = None
    capability: str | None = None
    arch: str | None = None
    kind: str | None = None
    source: str = ""

    @property
    def shown(self) -> str:
        """Return the name for messages."""
        return self.model or self.name or f"a GPU of compute capability {self.capability}"


class Fit(NamedTuple):
    """Does a toolkit have code for a GPU: ``answer`` is supported, too_new (for this toolkit), dropped or unknown.

    What a too_new GPU runs of the toolkit is the PTX that the driver compiles, or code for a lower minor of its major.
    ``first_cuda``, ``last_cuda``: the toolkits with code for it; last_cuda None where the newest known still has it.
    """

    answer: str
    first_cuda: str | None
    last_cuda: str | None
    why: str
    needs: str | None
    source: str


def look_up(name: str, capability: str | None = None, tables: Tables = SHIPPED) -> Gpu:
    """Return what is known of the GPU whose name a driver reports, or a person writes ("a100").

    Names match by whole words, the longest product first: "A10" is not in "NVIDIA A100-SXM4-40GB". A shorter name than
    any product's is taken where all products that hold it agree. ``capability`` is the GPU's own, where it is known.
    """
    key = ("gpu", name, capability)
    if key not in tables.memo:
        tables.memo[key] = _look_up(name, capability, tables)
    found: Gpu = tables.memo[key]
    return found


def capability_of(name: str) -> str | None:
    """Return the compute capability that a name is, "9.0" of 9.0, sm_90 and compute_90; None of any other."""
    text = name.lower().removeprefix("sm_").removeprefix("compute_")
    if is_whole(text, 3) and text != name and len(text) > 1:
        return f"{text[:-1]}.{text[-1]}"
    major, dot, minor = name.partition(".")
    return name if dot and is_whole(major, 2) and is_whole(minor, 1) else None


def _look_up(name: str, capability: str | None, tables: Tables) -> Gpu:
    asked = words(name)
    row = _product(asked, tables)
    if row is None:
        asked = spelled(name, tables)
        row = _product(asked, tables)
    while row is None and len(asked) > 1 and (asked[-1] in VARIANTS or _capacity(asked[-1])):
        asked = asked[:-1]
        row = _product(asked, tables)
    known = capability or (row.get("capability") if row else None)
    if row and capability and row.get("capability") not in (None, capability):
        row = None  # the GPU's own word counts; this is another product
    arch = architecture(known, tables) if known else None
    kind = row.get("kind") if row else _kind(asked)
    model = row.get("name") if row and not row.get("shared") else None
    return Gpu(name, model, known, arch["arch"] if arch else None, kind, source(row) or source(arch))


class Nvlink(NamedTuple):
    """A board's NVLink: its version, "4.0", and the speed of one link each way, in MB/s, None where it is not known."""

    version: str
    speed: int | None
    source: str


def nvlink(name: str, tables: Tables = SHIPPED) -> Nvlink | None:
    """Return the NVLink that the GPU whose name a driver reports is built with; None where that is not known."""
    row = _product(words(name), tables)
    version = row.get("nvlink") if row else None
    if row is None or version is None:
        return None
    speed = tables.find("nvlinks", "version", version)
    return Nvlink(version, speed.get("speed") if speed else None, source(row, speed))


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name, lower case: "NVIDIA A100-SXM4-40GB" is nvidia, a100, sxm4, 40gb."""
    return tuple("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def _within(few: tuple[str, ...], many: tuple[str, ...]) -> bool:
    wide = len(few)
    return bool(few) and any(many[at : at + wide] == few for at in range(len(many) - wide + 1))


def _product(asked: tuple[str, ...], tables: Tables) -> Row | None:
    """Return the product's row; where several hold a short name, what they share (field ``shared``)."""
    best: Row | None = None
    longest = 0
    shorter: list[Row] = []
    for model, row in _models(tables):
        if len(model) > longest and (_within(model, asked) or model == ("geforce", *asked)):
            best, longest = row, len(model)
        if _within(asked, model):
            shorter.append(row)
    if best or not shorter:
        return best
    shared = {field: shorter[0].get(field) for field in ("capability", "kind")}
    if any(row.get(field) != value for row in shorter for field, value in shared.items()):
        return None
    return {**shared, "source": shorter[0]["source"], "shared": True}


def _models(tables: Tables) -> list[tuple[tuple[str, ...], Row]]:
    """Return each product's model as words, and its row."""
    if "models" not in tables.memo:
        # plain words, as the data's tests see to
        tables.memo["models"] = [(tuple(row["model"].lower().split()), row) for row in tables.rows("products")]
    found: list[tuple[tuple[str, ...], Row]] = tables.memo["models"]
    return found


def named(asked: tuple[str, ...], tables: Tables = SHIPPED) -> bool:
    """Tell whether all words are of products that the catalog knows, or a size of memory."""
    spelled("", tables)
    return bool(asked) and all(word in tables.memo["words"] or _capacity(word) for word in asked)


def spelled(name: str, tables: Tables = SHIPPED) -> tuple[str, ...]:
    """Return the words of a GPU's name as a person writes it, those written together apart: rtx5090 is rtx, 5090.

    Only words of products that the catalog knows are found so; "A100" stays one, and so does what is no such word.
    """
    if "words" not in tables.memo:
        known = {word for model, _ in _models(tables) for word in model}
        tables.memo["words"] = frozenset(known | {"nvidia", "tesla", *VARIANTS} - {"d", "q"})
    known = tables.memo["words"]
    return tuple(part for word in words(name) for part in _apart(word[:40], known))


def _apart(word: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return the fewest known words that a word is made of, never parted between two digits; itself where none are."""
    best: list[tuple[str, ...] | None] = [()] + [None] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(end):
            before, part = best[start], word[start:end]
            fits = part in known or (end == len(word) and _capacity(part))
            # "5080" is no 50 and 80, and "a100x" another product than A100; "titanx" is a Titan X
            parted = start and is_whole(word[start - 1]) and (is_whole(word[start]) or len(part) == 1)
            if before is None or parted or not fits:
                continue
            found = best[end]
            if found is None or len(before) + 1 < len(found):
                best[end] = (*before, part)
    return best[-1] or (word,)


def _capacity(word: str) -> bool:
    return word.endswith("gb") and is_whole(word[:-2])


def _kind(asked: tuple[str, ...]) -> str | None:
    """Return what the words say of a product that has no row."""
    if "geforce" in asked or "gtx" in asked:
        return "geforce"
    if "titan" in asked:
        return "titan"
    return "datacenter" if "tesla" in asked else None


def architecture(capability: str, tables: Tables = SHIPPED) -> Row | None:
    """Return the row of a compute capability, under the name it once had too (10.1 became 11.0)."""
    return next(
        (row for row in tables.rows("architectures") if capability in (row["capability"], row.get("once"))), None
    )


def cuda_range(capability: str, tables: Tables = SHIPPED) -> tuple[str | None, str | None, Row | None]:
    """Return the first and last toolkit with code for a compute capability, and the row that says so.

    last None: the newest toolkit known still has it. A row of None: nothing is known of this capability.
    """
    key = ("cuda_range", capability)
    if key not in tables.memo:
        tables.memo[key] = _cuda_range(capability, tables)
    found: tuple[str | None, str | None, Row | None] = tables.memo[key]
    return found


def _cuda_range(capability: str, tables: Tables) -> tuple[str | None, str | None, Row | None]:
    row = architecture(capability, tables)
    names = (capability,) if row is None else (row["capability"], row.get("once"))
    listed: list[tuple[int, int]] = []
    every: list[tuple[int, int]] = []
    newest_row = None
    for one in tables.rows("toolkits"):
        release = versions.minor(one["version"]) if "capabilities" in one else None
        if release is None:
            continue
        every.append(release)
        if any(name in one["capabilities"] for name in names):
            listed.append(release)
            if release == max(listed):
                newest_row = one
    first = row.get("first_cuda") if row else None
    last = row.get("last_cuda") if row else None
    if listed:
        if first is None and min(listed) > min(every):
            first = versions.show(min(listed))
        if last is None and max(listed) < max(every):
            last = versions.show(max(listed))
    return first, last, row or newest_row


def with_toolkit(gpu: Gpu, cuda: str, tables: Tables = SHIPPED) -> Fit:
    """Tell whether a toolkit, such as "12.4", has code for a GPU; "12" asks whether some release of it may."""
    asked = versions.minor(cuda)
    highest = (asked[0], ANY) if asked and len(versions.parse(cuda)) == 1 else asked
    if gpu.capability is None or asked is None:
        what = f"CUDA {cuda} is no version" if asked is None else _not_known(gpu.name, tables)
        return Fit(UNKNOWN, None, None, what, None, "")
    first, last, row = cuda_range(gpu.capability, tables)
    came_from = source(row)
    shown = f"{gpu.shown} (compute capability {gpu.capability})"
    if row is None:
        return Fit(UNKNOWN, None, None, f"compute capability {gpu.capability} is not in the catalog", None, "")
    if first and (highest or asked) < (versions.minor(first) or asked):
        why = (
            f"CUDA {cuda} has no code for {shown}: the first toolkit for it is {first}; "
            f"a program runs if it holds {_runs_too(gpu.capability, asked, tables)}PTX, which the driver compiles"
        )
        return Fit(TOO_NEW, first, last, why, f"CUDA {first} or newer, or a program that holds PTX", came_from)
    if last and asked > (versions.minor(last) or asked):
        why = f"CUDA {cuda} dropped {shown}: the last toolkit for it is {last}"
        return Fit(DROPPED, first, last, why, f"CUDA {last} or older, or a newer GPU", came_from)
    newest = newest_toolkit(tables)
    if last is None and newest and asked > newest:
        why = f"CUDA {cuda} is newer than the catalog, which ends at {versions.show(newest)}"
        return Fit(UNKNOWN, first, last, why, None, came_from)
    if first is None and not _listed(gpu.capability, asked, tables):
        return Fit(UNKNOWN, first, last, f"the first toolkit for {shown} is not known", None, came_from)
    span = f"from {first or 'an early release'}" + (f" to {last}" if last else " on")
    return Fit(SUPPORTED, first, last, f"CUDA has code for {shown} {span}", None, came_from)


def _not_known(name: str, tables: Tables) -> str:
    """Say that a name tells no product, or which ones it may mean."""
    asked = spelled(name, tables)
    several = [str(row.get("name")) for model, row in _models(tables) if _within(asked, model)]
    if len(several) > 1:
        return f"several GPUs are named {name}: {', '.join(several[:5])}"
    return f"nothing is known of a GPU named {name}"


def _runs_too(capability: str, asked: tuple[int, int], tables: Tables) -> str:
    """Return "code for 8.0 or " of 8.6 where the toolkit has that: within a major, code of a lower minor runs.

    Not that of a system on a chip: what CUDA 12.8 calls 10.1 is Thor.
    """
    from preflight.catalog import targets

    major, minor = versions.minor(capability) or (0, 0)
    lower = [one for one in range(minor) if _listed(f"{major}.{one}", asked, tables)]
    runs = [
        one
        for one in lower
        if targets.fits(targets.Target(targets.SM, major * 10 + one), major * 10 + minor) == targets.YES
    ]
    has = f"{major}.{runs[-1]}" if runs else ""
    return f"code for {has} or " if has else ""


def newest_toolkit(tables: Tables = SHIPPED) -> tuple[int, int] | None:
    """Return the newest release whose GPUs are known, as (13, 5)."""
    if "newest" not in tables.memo:
        known = [versions.minor(row["version"]) for row in tables.rows("toolkits") if "capabilities" in row]
        tables.memo["newest"] = max(filter(None, known), default=None)
    found: tuple[int, int] | None = tables.memo["newest"]
    return found


def _listed(capability: str, asked: tuple[int, int], tables: Tables) -> bool:
    """Tell whether some toolkit of the asked release, or an older one, has code for a capability."""
    for row in tables.rows("toolkits"):
        release = versions.minor(row["version"])
        if release and release <= asked and capability in row.get("capabilities", ()):
            return True
    return False
