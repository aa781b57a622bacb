"""What an OMERO holds, as JSON, read through OMERO's own client: for the table of the demo and for looking around.

    python -m dropbox_import.standin.holdings --dir D                      (a stand-in that runs in D)
    python -m dropbox_import.standin.holdings --host H --port P --user U --password-file F [--ca-file CA]

{"images": [{"id", "name", "size": [x, y, z, c, t], "owner", "group", "project", "dataset", "fileset", "tags", "key_values": [[k, v]],
"comments", "rating", "attachments"}], "datasets": [{"id", "name", "project", "owner", "group", and the same annotations}], "projects": […]}
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RATING_NS = "openmicroscopy.org/omero/insight/rating"
ROOT_PASSWORD = "root"

_IMAGES = (
    "select i.id, i.name, px.sizeX, px.sizeY, px.sizeZ, px.sizeC, px.sizeT, i.details.owner.omeName, i.details.group.name, i.fileset.id "
    "from Image i join i.pixels px order by i.id"
)
_IN_DATASETS = "select l.child.id, l.parent.id from DatasetImageLink l order by l.id"
_CONTAINERS = "select x.id, x.name, x.details.owner.omeName, x.details.group.name from {} x order by x.id"
_IN_PROJECTS = "select l.child.id, l.parent.id from ProjectDatasetLink l order by l.id"
_TEXTS = "select l.parent.id, a.textValue from {0}AnnotationLink l, {1} a where l.child.id = a.id order by l.id"
_PAIRS = (
    "select l.parent.id, mv.name, mv.value from {0}AnnotationLink l, MapAnnotation a join a.mapValue mv where l.child.id = a.id "
    "order by l.id, index(mv)"
)
_RATINGS = "select l.parent.id, a.longValue from {0}AnnotationLink l, LongAnnotation a where l.child.id = a.id and a.ns = :ns order by l.id"
_FILES = "select l.parent.id, f.name from {0}AnnotationLink l, FileAnnotation a join a.file f where l.child.id = a.id order by l.id"


class Reader:
    """Asks one connected client, over all groups that it may see."""

    def __init__(self, client: Any) -> None:
        import omero.rtypes
        import omero.sys

        self._rtypes = omero.rtypes
        self._parameters = omero.sys.ParametersI
        self._query = client.getSession().getQueryService()
        self._context = {**client.getContext(), "omero.group": "-1"}

    def rows(self, hql: str, **values: str) -> list[list[Any]]:
        params = self._parameters()
        for name, value in values.items():
            params.addString(name, value)
        return [[self._rtypes.unwrap(cell) for cell in row] for row in self._query.projection(hql, params, self._context)]

    def annotations(self, kind: str) -> dict[int, dict[str, Any]]:
        """By object: its tags, key-values, comments, rating, attachments."""
        found: dict[int, dict[str, Any]] = {}

        def of(row_id: int) -> dict[str, Any]:
            return found.setdefault(row_id, {"tags": [], "key_values": [], "comments": [], "rating": None, "attachments": []})

        for row_id, text in self.rows(_TEXTS.format(kind, "TagAnnotation")):
            of(row_id)["tags"].append(text)
        for row_id, text in self.rows(_TEXTS.format(kind, "CommentAnnotation")):
            of(row_id)["comments"].append(text)
        for row_id, key, value in self.rows(_PAIRS.format(kind)):
            of(row_id)["key_values"].append([key, value])
        for row_id, rating in self.rows(_RATINGS.format(kind), ns=RATING_NS):
            of(row_id)["rating"] = rating
        for row_id, name in self.rows(_FILES.format(kind)):
            of(row_id)["attachments"].append(name)
        return found

    def holdings(self) -> dict[str, Any]:
        nothing: dict[str, Any] = {"tags": [], "key_values": [], "comments": [], "rating": None, "attachments": []}
        projects = {row[0]: row for row in self.rows(_CONTAINERS.format("Project"))}
        datasets = {row[0]: row for row in self.rows(_CONTAINERS.format("Dataset"))}
        project_of = dict(self.rows(_IN_PROJECTS))
        dataset_of = dict(self.rows(_IN_DATASETS))
        notes = {kind: self.annotations(kind) for kind in ("Image", "Dataset", "Project")}

        def name(rows: dict[int, list[Any]], row_id: int | None) -> str | None:
            return str(rows[row_id][1]) if row_id in rows else None

        images = [
            {
                "id": row[0],
                "name": row[1],
                "size": row[2:7],
                "owner": row[7],
                "group": row[8],
                "fileset": row[9],
                "dataset": name(datasets, dataset_of.get(row[0])),
                "project": name(projects, project_of.get(dataset_of.get(row[0], -1))),
                **notes["Image"].get(row[0], nothing),
            }
            for row in self.rows(_IMAGES)
        ]
        return {
            "images": images,
            "datasets": [
                {
                    "id": row[0],
                    "name": row[1],
                    "owner": row[2],
                    "group": row[3],
                    "project": name(projects, project_of.get(row[0])),
                    **notes["Dataset"].get(row[0], nothing),
                }
                for row in datasets.values()
            ],
            "projects": [
                {"id": row[0], "name": row[1], "owner": row[2], "group": row[3], **notes["Project"].get(row[0], nothing)}
                for row in projects.values()
            ],
        }


def read(host: str, port: int, user: str, password: str, ca_file: str | None) -> dict[str, Any]:
    """What the server there holds, as `user` may see it."""
    import omero.clients

    properties = {"omero.host": host, "omero.port": str(port), "Ice.Override.ConnectTimeout": "10000"}
    if ca_file:
        properties |= {"IceSSL.VerifyPeer": "2", "IceSSL.CAs": ca_file, "IceSSL.CheckCertName": "1"}
    client = omero.client(pmap=properties)
    try:
        client.createSession(user, password)
        return Reader(client).holdings()
    finally:
        client.closeSession()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dropbox_import.standin.holdings", description="What an OMERO holds, as JSON.")
    parser.add_argument("--dir", type=Path, help="folder of a running stand-in; then nothing else is needed")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=4064)
    parser.add_argument("--user", default="root")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--ca-file")
    given = parser.parse_args(words)
    logging.disable(logging.WARNING)
    password = given.password_file.read_text(encoding="utf-8").rstrip("\r\n") if given.password_file else ROOT_PASSWORD
    port, ca_file = given.port, given.ca_file
    if given.dir is not None:
        ready = json.loads((given.dir / "ready.json").read_text(encoding="utf-8"))
        port, ca_file = ready["ssl"], ready["ca_file"]
    sys.stdout.write(json.dumps(read(given.host, port, given.user, password, ca_file)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
