"""Tags, key-values, comments, rating, attachments and names: each looked for first, so that asking twice makes nothing twice.

What is put on images is found again by its marker (the name of the annotation), on a container by its content: that is put there once,
however many drops say it. What the server refuses is told in the answer, not raised; the images are in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import omero.model
from omero.rtypes import rlong, rstring

from dropbox_import.errors import DropboxImportError
from dropbox_import.importer import queries
from dropbox_import.importer.attempts import Teller
from dropbox_import.importer.errors import calling
from dropbox_import.importer.sessions import OwnerSession
from dropbox_import.model import KeyValues, On, Tag

RATING_NS = "openmicroscopy.org/omero/insight/rating"
TAG_SET_NS = "openmicroscopy.org/omero/insight/tagset"
CHUNK = 500
OTHERS = 5
_REFUSALS = ("permission", "refused", "not-a-member")
KINDS: dict[On, str] = {"image": "Image", "dataset": "Dataset", "project": "Project"}


@dataclass(slots=True)
class Bearer:
    """The objects that annotations go to, and what came of it."""

    session: OwnerSession
    kind: str
    ids: list[int]
    marker: str
    teller: Teller
    made: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)

    def marker_of(self, what: str, content: object) -> str:
        if self.kind == "Image":
            return f"{self.marker}/{what}"
        digest = hashlib.sha256(json.dumps(content, ensure_ascii=True).encode("ascii")).hexdigest()
        return f"dropbox-import/{what.rstrip('0123456789')}-{digest[:32]}"

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Collects a refusal of the server; anything else leaves it."""
        try:
            yield
        except DropboxImportError as error:
            if error.kind not in _REFUSALS:
                raise
            self.refused.append({"what": what, "why": error.sentence})

    def link(self, number: int, annotation: Any) -> Any:
        link = getattr(omero.model, f"{self.kind}AnnotationLinkI")()
        link.parent = getattr(omero.model, f"{self.kind}I")(number, False)
        link.child = annotation
        return link

    def save(self, what: str, links: Sequence[Any]) -> None:
        """Saves links (with their new annotations) in a few calls, and tells each that was made."""
        for start in range(0, len(links), CHUNK):
            self.teller.in_call("save")
            with calling(what, changes=True):
                saved = self.session.update().saveAndReturnArray(list(links[start : start + CHUNK]))
            for link in saved:
                kind = type(link.child).__name__.removesuffix("I")
                self.made.append(f"{self.kind}:{link.parent.id.val} <- {kind}:{link.child.id.val}")

    def without_marker(self, name: str) -> list[int]:
        """Those that do not have the annotation of that marker yet."""
        with calling("looking for annotations"):
            have = {int(row[0]) for row in self.rows(queries.MARKED[self.kind], n=name)}
        return [number for number in self.ids if number not in have]

    def without(self, annotation: int) -> list[int]:
        with calling("looking for annotations"):
            have = {int(row[0]) for row in self.rows(queries.CARRIERS[self.kind], a=annotation)}
        return [number for number in self.ids if number not in have]

    def rows(self, hql: str, **values: str | int) -> list[list[Any]]:
        """Rows of a query with the objects as its list `i`, in parts."""
        found = []
        for start in range(0, len(self.ids), CHUNK):
            found += self.session.ask(hql, i=self.ids[start : start + CHUNK], **values)
        return found


def one_each(bearer: Bearer, what: str, name: str, make: Callable[[], Any]) -> None:
    """An annotation of its own for each object that has none of that marker."""
    with bearer.trying(what):
        links = []
        for number in bearer.without_marker(name):
            annotation = make()
            annotation.name = rstring(name)
            links.append(bearer.link(number, annotation))
        bearer.save(f"adding the {what}", links)


def key_values(bearer: Bearer, blocks: Sequence[KeyValues]) -> None:
    """One MapAnnotation per object and block; order and repeated keys are kept."""
    for index, block in enumerate(blocks):

        def make(block: KeyValues = block) -> Any:
            annotation = omero.model.MapAnnotationI()
            annotation.ns = rstring(block.namespace)
            annotation.mapValue = [omero.model.NamedValue(key, value) for key, value in block.pairs]
            return annotation

        content = [block.namespace, [list(pair) for pair in block.pairs]]
        one_each(bearer, f"key-values in {block.namespace}", bearer.marker_of(f"kv{index}", content), make)


def comments(bearer: Bearer, texts: Sequence[str]) -> None:
    for index, text in enumerate(texts):

        def make(text: str = text) -> Any:
            annotation = omero.model.CommentAnnotationI()
            annotation.textValue = rstring(text)
            return annotation

        one_each(bearer, "comment", bearer.marker_of(f"comment{index}", text), make)


def rating(bearer: Bearer, stars: int) -> None:
    def make() -> Any:
        annotation = omero.model.LongAnnotationI()
        annotation.ns, annotation.longValue = rstring(RATING_NS), rlong(stars)
        return annotation

    one_each(bearer, "rating", bearer.marker_of("rating", stars), make)


def tags(bearer: Bearer, wanted: Sequence[Tag]) -> None:
    """Existing tags first: the owner's own, then those of others if the group's rules let the owner use them; else a new one."""
    for tag in wanted:
        with bearer.trying(f'tag "{tag.name}"'), bearer.session.making:
            _tag(bearer, tag)


def _tag(bearer: Bearer, tag: Tag) -> None:
    session = bearer.session
    tag_set = _tag_set(bearer, tag.set) if tag.set else None
    with calling(f'looking for the tag "{tag.name}"'):
        if tag_set is None:
            rows = session.ask_here(queries.TAGS_BY_TEXT, t=tag.name)
        else:
            rows = session.ask_here(queries.TAGS_IN_SET, s=tag_set, t=tag.name)
    owner = session.record.owner
    own = sorted(int(row[0]) for row in rows if row[1] == owner)
    others = sorted(int(row[0]) for row in rows if row[1] != owner)[:OTHERS]
    for number in [*own[:1], *others] if not own else own[:1]:
        try:
            _link_tag(bearer, number)
        except DropboxImportError as error:
            if error.kind not in _REFUSALS or number in own:
                raise
        else:
            return
    _link_tag(bearer, _new_tag(bearer, tag.name, tag.description, None, tag_set))


def _link_tag(bearer: Bearer, number: int) -> None:
    links = [bearer.link(each, omero.model.TagAnnotationI(number, False)) for each in bearer.without(number)]
    bearer.save("adding a tag", links)


def _tag_set(bearer: Bearer, name: str) -> int:
    session = bearer.session
    with calling(f'looking for the tag set "{name}"'):
        rows = session.ask_here(queries.TAG_SETS_BY_TEXT, t=name, ns=TAG_SET_NS)
    own = sorted(int(row[0]) for row in rows if row[1] == session.record.owner)
    return own[0] if own else _new_tag(bearer, name, None, TAG_SET_NS, None)


def _new_tag(bearer: Bearer, name: str, description: str | None, namespace: str | None, tag_set: int | None) -> int:
    tag = omero.model.TagAnnotationI()
    tag.textValue = rstring(name)
    if description is not None:
        tag.description = rstring(description)
    if namespace is not None:
        tag.ns = rstring(namespace)
    with calling(f'making the tag "{name}"', changes=True):
        if tag_set is None:
            return int(bearer.session.update().saveAndReturnObject(tag).id.val)
        link = omero.model.AnnotationAnnotationLinkI()
        link.parent, link.child = omero.model.TagAnnotationI(tag_set, False), tag
        return int(bearer.session.update().saveAndReturnObject(link).child.id.val)
