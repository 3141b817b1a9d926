"""Images of layers: an OCI layout in a directory or a tar, and what `docker save` writes."""

from __future__ import annotations

import os
from typing import IO, Any, NamedTuple

from preflight.facts.rootfs import Root
from preflight.submit.image import archive, oci
from preflight.submit.image.layers import Keep, Tree
from preflight.submit.image.model import ImageError
from preflight.submit.image.unpack import Budget, Stream, opened

DOCKER, OCI = "docker", "oci"


class Layered(NamedTuple):
    """One image: ``kind`` DOCKER or OCI, its layers merged, its configuration, all ``platforms``, and notes."""

    kind: str
    tree: Tree
    config: dict[str, Any]
    platforms: tuple[str, ...]
    notes: list[str]


def is_layout(path: str) -> bool:
    """Tell whether a directory is an OCI layout."""
    return os.path.isfile(os.path.join(path, "oci-layout")) or os.path.isfile(os.path.join(path, "index.json"))


def in_archive(file: IO[bytes], tag: str, forms: str, keep: Keep | None = None) -> Layered:
    """Read an archive; ``forms``: what an image may be, for the message. Raises ImageError.

    ``keep``: what of a layer's entries is kept, as `layers.scan` says.
    """
    budget = Budget()
    packed = archive.Archive(file, budget, keep)
    if packed.has("manifest.json"):
        config, tree, notes = archive.docker(packed, tag)
        return Layered(DOCKER, tree, config, (), notes)
    if not packed.has("index.json"):
        raise ImageError(f"a tar without manifest.json or index.json is no image: give {forms}")
    chosen = oci.choose(lambda name: oci.parse(packed.small(name), name), tag)
    layers = [(oci.blob_path(one.get("digest"), "a layer"), f"layer {n}") for n, one in enumerate(chosen.layers, 1)]
    if len(layers) > oci.MAX_LAYERS:
        raise ImageError(f"the image has more than {oci.MAX_LAYERS} layers: it is damaged or hostile")
    return Layered(OCI, packed.stack(layers), chosen.config, chosen.platforms, chosen.notes)


def in_layout(path: str, tag: str, keep: Keep | None = None) -> Layered:
    """Read an OCI layout in a directory; blobs are opened beneath it only, links resolved inside it."""
    root = Root(path, live=False)
    budget = Budget()
    files: list[IO[bytes]] = []

    def read_json(name: str) -> dict[str, Any]:
        data = root.read(f"/{name}", oci.MAX_JSON)
        if data is None:
            raise ImageError(f"{name} is missing in the OCI layout: copy or save the image again")
        return oci.parse(data, name)

    def open_blob(name: str, what: str) -> Stream:
        real = root.resolve(f"/{name}")
        if real is None or not root.is_file(real):
            raise ImageError(f"{what} ({name}) is missing in the OCI layout: copy or save the image again")
        if files:
            files.pop().close()
        files.append(open(os.path.join(path, real.lstrip("/")), "rb"))  # noqa: SIM115 - closed below
        return opened(files[0], budget, what)

    try:
        chosen = oci.choose(read_json, tag)
        tree, notes = oci.stack(chosen.layers, open_blob, budget, keep)
    finally:
        for file in files:
            file.close()
    return Layered(OCI, tree, chosen.config, chosen.platforms, [*chosen.notes, *notes])
