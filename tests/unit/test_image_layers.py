"""Layers on top of each other: what lies where, held against the plain rules; and how many looks that takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.submit.image import layers
from preflight.submit.image.layers import Layer, Node, Tree
from preflight.submit.image.model import ImageError
from preflight.submit.image.virtual import Entry, walk


def made(nodes: dict[str, str], dirs: tuple[str, ...] = (), removed: Any = (), emptied: Any = ()) -> Layer:
    """Return a layer of links, path -> target, "" for a file."""
    layer = Layer()
    layer.dirs = {hash(path) for path in dirs} - {hash(path) for path in nodes}
    layer.files = {hash(path) for path in nodes}
    layer.nodes = {path: Node("link" if to else "file", 0, to) for path, to in nodes.items()}
    layer.removed, layer.emptied = list(removed), list(emptied)
    return layer


def plainly(stack: list[Layer]) -> dict[str, Node]:
    """Put layers on each other as the image specification says, without any memory of what was looked at."""
    have: dict[str, Node] = {}

    def link(path: str) -> Entry | None:
        node = have.get(path)
        return Entry("link", 0, node.target) if node is not None and node.kind == "link" else None

    def real(path: str) -> str:
        parent, _, name = path.rpartition("/")
        return f"{(walk(parent, link, lenient=True) or '/').rstrip('/')}/{name}" if name else "/"

    for layer in stack:
        removed, emptied = ({real(one) for one in some} for some in (layer.removed, layer.emptied))
        for path in list(have):
            above = path.split("/")
            parents = ["/".join(above[:end]) for end in range(1, len(above))]
            exact = hash(path) in layer.dirs or hash(path) in layer.files or path in removed
            inside = any(one in removed or one in emptied or hash(one) in layer.files for one in parents if one)
            if exact or inside or emptied & {"", "/"}:
                del have[path]
        for path, node in layer.nodes.items():
            have[real(path)] = node
    return have


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
TARGETS = st.sampled_from(("", "", "/a", "/b/c", "../a", "b", "/"))
LAYERS = st.builds(
    made, st.dictionaries(PATHS, TARGETS, max_size=6), st.lists(PATHS, max_size=3).map(tuple),
    st.lists(PATHS, max_size=2), st.lists(PATHS | st.just(""), max_size=1),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(LAYERS, max_size=4))
def test_what_lies_where_is_as_the_plain_rules_say(stack: list[Layer]) -> None:
    tree = Tree()
    for layer in stack:
        tree.add(layer)
    assert dict(tree.nodes()) == plainly(stack)


def test_links_of_one_deep_directory_cost_a_look_each() -> None:
    """It took a minute when each layer looked at each directory above each link."""
    deep = "/d" * 250
    tree = Tree()
    for _ in range(20):
        tree.add(made({f"{deep}/{name}": "x" for name in range(3000)}))
    assert len(list(tree.nodes())) == 3000
    assert tree._looks < 20 * (2 * 3000 + 2 * 250) + 100


def test_an_image_that_takes_more_looks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MAX_LOOKS", 1000)
    tree = Tree()
    with pytest.raises(ImageError, match="more looks than Preflight makes"):
        tree.add(made({f"/{name}/a/b": "x" for name in range(1000)}))


@pytest.mark.parametrize(("name", "path"), [("a/" * 255 + "b", "/" + "a/" * 255 + "b"), ("a/" * 256 + "b", None)])
def test_paths_have_a_depth(name: str, path: str | None) -> None:
    assert layers._path(name) == path
