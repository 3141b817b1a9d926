"""The policy and a drop-in, parted by a NUL, and the site's catalog."""

from fuzz.place import place, write
from preflight.catalog import site
from preflight.catalog.schema import CatalogError
from preflight.policy.load import PolicyError, for_node, parse_policy
from preflight.policy.model import from_cache, to_cache
from preflight.policy.rules import RULES

ERRORS = (PolicyError, CatalogError)
TOKENS = (
    *(f"[{name}]\n".encode() for name in RULES if name),
    *(f"{key} = ".encode() for part in RULES.values() for key in part), b"[[expect]]\n",
    b'[checks."gpu.ecc.uncorrected"]\n', b'"enforce"', b"true", b'"""', b"'''", b"1979-05-27T07:32:00Z", b"{a=1}",
    b"inf", b"nan", b"\0",
)  # fmt: skip
STEPS_LIMIT = (200_000, 20_000)


def seeds() -> list[bytes]:
    """Return policies as docs/policy.md shows them."""
    return [
        b'version = 1\ncluster = "lab"\nmode = "enforce"\n[hook]\ndeadline_s = 8\n[drain]\nmax_nodes = "5%"\n'
        b'[checks."gpu.ecc.uncorrected"]\naction = "drain"\nlimit = 0\n[[expect]]\nnodes = "gpu[001-064]"\n'
        b'require = "gpu=h100, gpu.count=8, driver>=550.54"\n',
        b'version = 1\nmode = "observe"\n\0[report]\ndir = "/r/%n"\nsearch = ["/a", "/b"]\n',
        b'[[gpus]]\nname = "X1"\narch = "9.0"\n',
    ]


def check(data: bytes) -> None:
    """Read the policy as it would be read from its files; a good one survives its cached form."""
    text, _, more = data.decode("utf-8", "replace").partition("\0")
    try:
        policy = parse_policy(text, "/p.toml", ((more, "/p.d/a.toml"),) if more else ())
    except PolicyError:
        path = write(place("policy") / "catalog.toml", data)
        site.read(str(path))
        raise
    assert from_cache(to_cache(policy))._replace(warnings=()) == policy._replace(warnings=())
    for_node(policy, "gpu001")
