"""A box's defaults under a sidecar: mappings merge, lists append, the deepest wins."""

from __future__ import annotations

from dropbox_import.strict_yaml import Mapping, Node, Scalar, Sequence

# One container is meant by its id or by its name: the deeper way of saying it replaces the other.
_INSTEAD = {"id": ("name", "create", "description"), "name": ("id",)}


def merge(under: Node, over: Node, path: tuple[str, ...] = ()) -> Node:
    """The tree of both; every node keeps the place where it was written."""
    if isinstance(under, Sequence) and isinstance(over, Sequence):
        return Sequence(over.mark, under.items + over.items)
    container = len(path) == 2 and path[0] == "target" and path[1] in ("project", "dataset")
    if container and isinstance(over, Scalar):
        # A bare name or id is a whole container; what the default said of another one does not belong to it.
        return over
    if not (isinstance(under, Mapping) and isinstance(over, Mapping)):
        return over
    dropped: set[str] = set()
    if container:
        dropped = {gone for key, _ in over.entries for gone in _INSTEAD.get(key.text, ())}
    elif path == ("target",) and _by_id(over.get("dataset")):
        dropped = {"project"}
    own = {key.text for key, _ in over.entries}
    entries = [(key, value) for key, value in under.entries if key.text not in own and key.text not in dropped]
    for key, value in over.entries:
        below = under.get(key.text)
        entries.append((key, value if below is None else merge(below, value, (*path, key.text))))
    return Mapping(over.mark, tuple(entries), over.flow)


def _by_id(dataset: Node | None) -> bool:
    if isinstance(dataset, Mapping):
        return dataset.get("id") is not None
    return isinstance(dataset, Scalar) and dataset.plain and dataset.text.isdigit()
