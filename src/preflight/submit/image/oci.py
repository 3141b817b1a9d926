"""OCI images: an index, a manifest, a configuration and layers, by digest; in a directory or in a tar."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from preflight.submit.image.layers import Keep, Tree, scan
from preflight.submit.image.model import ImageError, machine
from preflight.submit.image.unpack import Budget, Stream

MAX_JSON = 8 << 20
MAX_LAYERS = 512
MAX_MANIFESTS = 256
MAX_NESTED = 4
_DIGEST = re.compile(r"(sha256|sha384|sha512):([0-9a-f]{64,128})")
_REF_NAME = "org.opencontainers.image.ref.name"
_FOREIGN = ("application/vnd.docker.image.rootfs.foreign", "application/vnd.oci.image.layer.nondistributable")


class Chosen(NamedTuple):
    """One image of an index: its configuration, layers ([{digest, mediaType}]), all ``platforms``, and notes."""

    config: dict[str, Any]
    layers: list[dict[str, Any]]
    platforms: tuple[str, ...]
    notes: list[str]


def blob_path(digest: object, what: str) -> str:
    """Return where a blob lies, "blobs/sha256/…"; ImageError where the digest is none."""
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if not found:
        raise ImageError(f"{what} names a blob without a sound digest: the image is damaged")
    return f"blobs/{found[1]}/{found[2]}"


def parse(data: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object; ImageError where it is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ImageError(f"{what} is not JSON: the image is damaged") from None
    if not isinstance(value, dict):
        raise ImageError(f"{what} is not a JSON object: the image is damaged")
    return value


def objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of a JSON list; nothing else is in what this gives."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def choose(read_json: Callable[[str], dict[str, Any]], tag: str = "") -> Chosen:
    """Return the image of an index that fits the running machine; ``read_json`` reads "index.json" and blobs.

    An index of several images and none for this machine gives the first, with a note that says so. ``tag``: the one
    that is asked; without it several tagged images are an ImageError that names them.
    """
    entries = tagged(objects(read_json("index.json").get("manifests")), tag, _tags, "digest")
    manifests = list(islice(_manifests(read_json, entries, [MAX_MANIFESTS], MAX_NESTED), MAX_MANIFESTS))
    if not manifests:
        raise ImageError("the OCI layout's index.json names no image: save the image again")
    described = [(one, _platform(one, manifest, read_json)) for one, manifest in manifests]
    platforms = tuple(dict.fromkeys(name for _, name in described if name))
    here = machine(platform.machine())
    fitting = [index for index, (_, name) in enumerate(described) if name == here]
    at = fitting[0] if fitting else 0
    notes = []
    if len(manifests) > 1:
        notes.append(_which(described, at, here, bool(fitting)))
    manifest = manifests[at][1]
    config = _config(manifest, read_json)
    return Chosen(config, objects(manifest.get("layers"))[: MAX_LAYERS + 1], platforms, notes)


def _tags(entry: dict[str, Any]) -> list[str]:
    """Return how an entry of index.json is named: its reference, and the tag at the end of that."""
    annotations = entry.get("annotations")
    name = annotations.get(_REF_NAME) if isinstance(annotations, dict) else None
    return [name] if isinstance(name, str) and name else []


def tagged(
    entries: list[dict[str, Any]], tag: str, tags: Callable[[dict[str, Any]], list[str]], identity: str
) -> list[dict[str, Any]]:
    """Return the entries of the image that is asked; ImageError that names the tags where that is not sure.

    ``identity``: the key that is the same where two tags name one image.
    """
    names = list(dict.fromkeys(name for entry in entries for name in tags(entry)))
    shown = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
    if tag:
        found = [one for one in entries if any(name == tag or name.endswith(f":{tag}") for name in tags(one))]
        if not found:
            raise ImageError(f"no image is tagged {tag}; there are: {shown or 'none with a tag'}")
        return found
    different = {str(one.get(identity)) for one in entries if tags(one)}
    if len(names) > 1 and len(different) > 1:
        raise ImageError(f"several images are tagged ({shown}): say which, PATH:TAG")
    return entries


def _which(described: list[tuple[dict[str, Any], str | None]], at: int, here: str, fits: bool) -> str:
    names = ", ".join(name or "not told" for _, name in described[:8])
    same = sum(name == described[at][1] for _, name in described)
    said = f"the layout holds {len(described)} images ({names}); read: "
    if not fits:
        return f"{said}the first, because none is for this machine ({here})"
    return (
        f"{said}the first of {same} for this machine ({here})"
        if same > 1
        else f"{said}the one for this machine ({here})"
    )


def _manifests(
    read_json: Callable[[str], dict[str, Any]], entries: list[dict[str, Any]], left: list[int], depth: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (descriptor, manifest) of each image, nested indexes opened; what describes a build is left out.

    ``left``: one number, the blobs that may still be read; an index may lead to itself in many ways.
    """
    for entry in entries:
        annotations = entry.get("annotations")
        if isinstance(annotations, dict) and "vnd.docker.reference.type" in annotations:
            continue
        left[0] -= 1
        if left[0] < 0:
            return
        manifest = read_json(blob_path(entry.get("digest"), "the index"))
        if "config" in manifest:
            yield entry, manifest
        elif depth:
            yield from _manifests(read_json, objects(manifest.get("manifests")), left, depth - 1)


def _platform(
    entry: dict[str, Any], manifest: dict[str, Any], read_json: Callable[[str], dict[str, Any]]
) -> str | None:
    told = entry.get("platform")
    name = told.get("architecture") if isinstance(told, dict) else None
    if not isinstance(name, str) or name in ("", "unknown"):
        name = _config(manifest, read_json).get("architecture")
    return machine(name) if isinstance(name, str) and name else None


def _config(manifest: dict[str, Any], read_json: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    told = manifest.get("config")
    return read_json(blob_path(told.get("digest") if isinstance(told, dict) else None, "the manifest"))


def stack(
    layers: Iterable[dict[str, Any]],
    open_blob: Callable[[str, str], Stream],
    budget: Budget,
    keep: Keep | None = None,
) -> tuple[Tree, list[str]]:
    """Return the merged layers, the first lowest; layers that the image only refers to are named in the notes."""
    tree = Tree()
    notes: list[str] = []
    for number, layer in enumerate(layers, 1):
        if number > MAX_LAYERS:
            raise ImageError(f"the image has more than {MAX_LAYERS} layers: it is damaged or hostile")
        what = f"layer {number}"
        if str(layer.get("mediaType", "")).startswith(_FOREIGN):
            notes.append(f"{what} is not part of the image file and was not read")
            continue
        tree.add(scan(open_blob(blob_path(layer.get("digest"), what), what), budget, what, keep))
    return tree, notes


def environment(config: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a configuration ("NAME=value" lines under config.Env)."""
    inner = config.get("config")
    lines = inner.get("Env") if isinstance(inner, dict) else None
    pairs = [line.partition("=") for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
    return {name: value for name, sign, value in pairs if sign}


def labels(config: dict[str, Any]) -> dict[str, str]:
    """Return the labels of a configuration."""
    inner = config.get("config")
    found = inner.get("Labels") if isinstance(inner, dict) else None
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def architecture(config: dict[str, Any]) -> str | None:
    """Return the architecture as uname -m says it, None where the configuration does not tell."""
    name = config.get("architecture")
    return machine(name) if isinstance(name, str) and name.strip() else None
