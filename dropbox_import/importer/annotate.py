"""Tags, key-values, comments, rating, attachments and names: each looked for first, so that asking twice makes nothing twice.

What is put there is found again by its marker, the name of the annotation: on images that of the submission and the content, so that a
corrected sidecar adds what is new in it; on a container that of the content, which is put there once, however many drops say it.
What the server refuses is told in the answer, not raised; the images are in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import omero.model
from omero.rtypes import rlong, rstring

from dropbox_import.errors import DropboxImportError
from dropbox_import.importer import queries
from dropbox_import.importer.attempts import Teller
from dropbox_import.importer.errors import calling
from dropbox_import.importer.sessions import OwnerSession
from dropbox_import.importer.twins import settle
from dropbox_import.model import KeyValues, On, Tag

RATING_NS = "openmicroscopy.org/omero/insight/rating"
TAG_SET_NS = "openmicroscopy.org/omero/insight/tagset"
CHUNK = 500
OTHERS = 5
REFUSALS = ("permission", "refused", "not-a-member")
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
        digest = hashlib.sha256(json.dumps(content, ensure_ascii=True).encode("ascii")).hexdigest()
        return f"{self.marker if self.kind == 'Image' else 'dropbox-import'}/{what}-{digest[:32]}"

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Collects a refusal of the server; anything else leaves it."""
        try:
            yield
        except DropboxImportError as error:
            if error.kind not in REFUSALS:
                raise
            self.refused.append({"what": what, "why": error.sentence})

    def turn(self, *what: str) -> AbstractContextManager[None]:
        """Around "look, then make": several drops may say the same about a container at the same moment. Images are of one drop."""
        return nullcontext() if self.kind == "Image" else self.session.turn(*what)

    def link(self, number: int, annotation: Any) -> Any:
        link = getattr(omero.model, f"{self.kind}AnnotationLinkI")()
        link.parent = getattr(omero.model, f"{self.kind}I")(number, False)
        link.child = annotation
        return link

    def save(self, what: str, links: Sequence[Any]) -> None:
        """Saves links (with their new annotations) in a few calls, and tells each that was made."""
        for start in range(0, len(links), CHUNK):
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
    with bearer.trying(what), bearer.turn():
        links = []
        for number in bearer.without_marker(name):
            annotation = make()
            annotation.name = rstring(name)
            links.append(bearer.link(number, annotation))
        bearer.save(f"adding the {what}", links)


def key_values(bearer: Bearer, blocks: Sequence[KeyValues]) -> None:
    """One MapAnnotation per object and block; order and repeated keys are kept."""
    for block in blocks:

        def make(block: KeyValues = block) -> Any:
            annotation = omero.model.MapAnnotationI()
            annotation.ns = rstring(block.namespace)
            annotation.mapValue = [omero.model.NamedValue(key, value) for key, value in block.pairs]
            return annotation

        content = [block.namespace, [list(pair) for pair in block.pairs]]
        one_each(bearer, f"key-values in {block.namespace}", bearer.marker_of("kv", content), make)


def comments(bearer: Bearer, texts: Sequence[str]) -> None:
    for text in texts:

        def make(text: str = text) -> Any:
            annotation = omero.model.CommentAnnotationI()
            annotation.textValue = rstring(text)
            return annotation

        one_each(bearer, "comment", bearer.marker_of("comment", text), make)


def rating(bearer: Bearer, stars: int) -> None:
    def make() -> Any:
        annotation = omero.model.LongAnnotationI()
        annotation.ns, annotation.longValue = rstring(RATING_NS), rlong(stars)
        return annotation

    one_each(bearer, "rating", f"{bearer.marker}/rating", make)  # one of a submission: two of one user on an image would make no sense


def tags(bearer: Bearer, wanted: Sequence[Tag]) -> None:
    """Existing tags first: the owner's own, then those of others if the group's rules let the owner use them; else a new one."""
    for tag in wanted:
        with bearer.trying(f'tag "{tag.name}"'), bearer.session.turn():
            _tag(bearer, tag)


def _tag(bearer: Bearer, tag: Tag) -> None:
    for last in (False, False, True):
        try:
            _find_or_make_tag(bearer, tag)
        except DropboxImportError as error:
            # one of several of its name that were made at the same moment may be taken away before it is used
            if last or error.kind != "refused":
                raise
        else:
            return


def _find_or_make_tag(bearer: Bearer, tag: Tag) -> None:
    session = bearer.session
    tag_set = _tag_set(bearer, tag.set) if tag.set else None

    def rows() -> list[list[Any]]:
        with calling(f'looking for the tag "{tag.name}"'):
            if tag_set is None:
                return session.ask_here(queries.TAGS_BY_TEXT, t=tag.name)
            return session.ask_here(queries.TAGS_IN_SET, s=tag_set, t=tag.name)

    own, others = _by_owner(session, rows())
    if own or not _link_one_of(bearer, others[:OTHERS]):
        _link_tag(bearer, _own_tag(session, own, rows, lambda: _new_tag(bearer, tag.name, tag.description, None, tag_set)))


def _by_owner(session: OwnerSession, rows: Sequence[Sequence[Any]]) -> tuple[list[int], list[int]]:
    """The owner's own, and those of others, lowest id first."""
    mine = sorted(int(row[0]) for row in rows if row[1] == session.record.owner)
    return mine, sorted(int(row[0]) for row in rows if row[1] != session.record.owner)


def _own_tag(session: OwnerSession, own: list[int], rows: Callable[[], list[list[Any]]], make: Callable[[], int]) -> int:
    """The one to use of the owner's own; made if there is none. Of several made at the same moment one is left."""
    if len(own) == 1:
        return own[0]
    made = make() if not own else 0
    left = settle(session, "TagAnnotation", lambda: _by_owner(session, rows())[0], made)
    return left[0] if left else made


def _link_one_of(bearer: Bearer, numbers: Sequence[int]) -> bool:
    """The first of these tags of others that the owner may use is linked."""
    for number in numbers:
        try:
            _link_tag(bearer, number)
        except DropboxImportError as error:
            if error.kind not in REFUSALS:
                raise
        else:
            return True
    return False


def _link_tag(bearer: Bearer, number: int) -> None:
    links = [bearer.link(each, omero.model.TagAnnotationI(number, False)) for each in bearer.without(number)]
    bearer.save("adding a tag", links)


def _tag_set(bearer: Bearer, name: str) -> int:
    session = bearer.session

    def rows() -> list[list[Any]]:
        with calling(f'looking for the tag set "{name}"'):
            return session.ask_here(queries.TAG_SETS_BY_TEXT, t=name, ns=TAG_SET_NS)

    return _own_tag(session, _by_owner(session, rows())[0], rows, lambda: _new_tag(bearer, name, None, TAG_SET_NS, None))


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
