"""What the stand-in's own store has, held against what result.yaml says of it; and the sessions that are open there."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.said import Filed

if TYPE_CHECKING:
    from tests.support.realrun import Dropped

Ask = Callable[[str], list[tuple[Any, ...]]]

_FILES = (
    "FilesetEntry e join OriginalFile o on o.id = e.originalFile join Fileset f on f.id = e.fileset join Experimenter x on x.id = f.owner"
)
_LINKED = "ImageAnnotationLink l join Annotation a on a.id = l.child"


_OF_OWNERS = "Session s join Experimenter e on e.id = s.owner where s.closed is null and e.omeName <> 'importer'"


def open_sessions(ask: Ask) -> dict[int, int]:
    """Those of owners, and after how many idle milliseconds each ends."""
    return dict(ask(f"select s.id, s.timeToIdle from {_OF_OWNERS}"))


def is_in_a_journal(box: Path, session: int) -> bool:
    """Whether something was begun or made in it."""
    sign = re.compile(rb'"session": ?%d\b' % session)
    return any(sign.search(path.read_bytes()) for path in box.rglob("journal*.jsonl"))


class Truth:
    """Read once, for all folders."""

    def __init__(self, ask: Ask) -> None:
        self.files: dict[int, set[tuple[str, int, str]]] = defaultdict(set)
        self.owner: dict[int, str] = {}
        for number, path, size, digest, owner in ask(f"select f.id, e.clientPath, o.size, o.hash, x.omeName from {_FILES}"):
            self.files[number].add((path, size, digest))
            self.owner[number] = owner
        self.images: dict[int, dict[int, str]] = defaultdict(dict)
        for number, fileset, name in ask("select id, fileset, name from Image"):
            self.images[fileset][number] = name
        self.dataset: dict[int, int] = dict(ask("select l.child, l.parent from DatasetImageLink l"))
        self.named: dict[int, str] = dict(ask("select id, name from Dataset"))
        self.borne = {f"Image:{image} <- {kind}:{number}" for image, kind, number in ask(f"select l.parent, a.kind, a.id from {_LINKED}")}

    def misreported(self, filed: Filed) -> list[str]:
        """What the report of a folder in done/ says that is not so."""
        name, said = filed.folder.name, filed.said
        target = said.get("target", {})
        told = []
        for one in said.get("filesets", []):
            number, images = one["fileset"], {image["id"]: image["name"] for image in one["images"]}
            files = {(each["client_path"], each["size"], each["sha1"]) for each in one["files"]}
            if (images, files, said["owner"]) != (self.images[number], self.files[number], self.owner.get(number)):
                has = f"{self.images[number]} of {self.files[number]}, {self.owner.get(number)}'s"
                told.append(f"the report of {name} says {images} of {files}, {said['owner']}'s, OMERO has {has}")
            told += [f"the report of {name} says that {each} was made" for each in one.get("annotations", []) if each not in self.borne]
            places = {self.dataset.get(image) for image in images}
            if places != {target.get("dataset")} or self.named.get(target.get("dataset")) != target.get("dataset_name"):
                told.append(f"the report of {name} says that it is in {target}, OMERO has it in {places}")
        return told


def check_server(ask: Ask, drops: Sequence[Dropped]) -> None:
    """One whole fileset for each member, annotated once; nothing else."""
    wanted = Counter(f"{one.user}/{member}" for one in drops for member in one.fine)
    rows = ask("select e.fileset, e.clientPath from FilesetEntry e")
    held = Counter(str(path).partition("/")[2] for _, path in rows)
    assert held == wanted, f"more or less than wanted: {held - wanted}, {wanted - held}"
    empty = ask("select f.id from Fileset f where not exists (select 1 from Image i where i.fileset = f.id)")
    assert not empty, f"filesets without images: {empty}"
    images = ask("select i.fileset, count(*), min(p.sha1), max(p.sha1) from Image i join Pixels p on p.image = i.id group by i.fileset")
    assert all(count == 1 and low and not low.startswith("Pending") for _, count, low, _ in images), f"images: {images}"
    borne: dict[int, Counter[str]] = defaultdict(Counter)
    links = "ImageAnnotationLink l join Annotation a on a.id = l.child join Image i on i.id = l.parent"
    for fileset, kind, count in ask(f"select i.fileset, a.kind, count(*) from {links} group by 1, 2"):
        borne[fileset][str(kind)] = count
    kind_of = {f"{one.user}/{member}": one for one in drops for member in one.fine}
    for number, path in rows:
        wanted_kinds = {"CommentAnnotation": 1}
        one = kind_of[str(path).partition("/")[2]]
        if one.rich:
            wanted_kinds |= {"TagAnnotation": 1, "MapAnnotation": 1, "LongAnnotation": 1}
        if one.attached:
            wanted_kinds |= {"FileAnnotation": 1}
        kinds = borne[number]
        assert kinds == wanted_kinds, f"annotations of {path}: {kinds}"
    linked = ask("select i.id, count(l.id) from Image i left join DatasetImageLink l on l.child = i.id group by i.id")
    assert all(count == 1 for _, count in linked), f"in datasets: {linked}"
    doubles = ask("select name, owner, count(*) from Dataset group by name, owner having count(*) > 1")
    assert not doubles, f"datasets twice: {doubles}"
    doubles = ask("select name, owner, count(*) from Project group by name, owner having count(*) > 1")
    assert not doubles, f"projects twice: {doubles}"
    doubles = ask("select textValue, owner, count(*) from Annotation where kind = 'TagAnnotation' group by 1, 2 having count(*) > 1")
    assert not doubles, f"tags twice: {doubles}"
