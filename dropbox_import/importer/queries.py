"""Every HQL text that the product sends to OMERO, as named constants; each says its parameters and its columns.

They are asked in the context of all groups (`omero.group=-1`), except where "own group" is written.
A stand-in answers exactly these texts.
"""

from __future__ import annotations

from typing import Final

# --- filesets and their tokens ---

# A token counts only if the fileset's owner has made it and its link: in a read-annotate group a member may link a copy to other filesets.
# ns, t (a LIKE pattern "<submission>/%") -> fileset, token, meta text, owner, group, status of the upload job
ATTEMPTS: Final = (
    "select f.id, an.name, an.textValue, f.details.owner.omeName, f.details.group.name, u.status.value from Fileset f "
    "join f.annotationLinks al join al.child an, FilesetJobLink jl, UploadJob u "
    "where an.ns=:ns and an.name like :t and jl.parent.id=f.id and jl.child.id=u.id "
    "and an.details.owner.id=f.details.owner.id and al.details.owner.id=f.details.owner.id"
)
# f (list) -> image, name, series, pixels.sha1, owner, group, lowest dataset or null
IMAGES_OF_FILESETS: Final = (
    "select i.id, i.name, i.series, px.sha1, i.details.owner.omeName, i.details.group.name, "
    "(select min(dl.parent.id) from DatasetImageLink dl where dl.child.id=i.id) "
    "from Image i join i.pixels px where i.fileset.id in (:f) order by i.id"
)
# f (list) -> fileset, image, series or null, pixels.sha1, x, y
STATE_OF_IMAGES: Final = (
    "select i.fileset.id, i.id, i.series, px.sha1, px.sizeX, px.sizeY from Image i join i.pixels px "
    "where i.fileset.id in (:f) order by i.id"
)
# f (list) -> filesets of the list whose images have such a row from the session that made them
THIRD_STEP: Final = {
    kind: f"select distinct i.fileset.id from {kind} t join t.pixels px join px.image i "
    "where i.fileset.id in (:f) and t.details.creationEvent.session.id=i.details.creationEvent.session.id"
    for kind in ("Thumbnail", "RenderingDef")
}
# f -> image, x, y, z, c, t
SIZES_OF_IMAGES: Final = (
    "select i.id, px.sizeX, px.sizeY, px.sizeZ, px.sizeC, px.sizeT from Image i join i.pixels px where i.fileset.id=:f order by i.id"
)
# f -> client path, stored path, stored name, size or null, hash or null, checksum algorithm or null
FILES_OF_FILESET: Final = (
    "select e.clientPath, o.path, o.name, o.size, o.hash, hs.value from FilesetEntry e join e.originalFile o left outer join o.hasher hs "
    "where e.fileset.id=:f order by e.id"
)
# f -> fileset
FILESET: Final = "select f.id from Fileset f where f.id=:f"
# f, ns -> token, meta text
TOKENS_OF_FILESET: Final = (
    "select an.name, an.textValue from Fileset f join f.annotationLinks al join al.child an where f.id=:f and an.ns=:ns "
    "and an.details.owner.id=f.details.owner.id and al.details.owner.id=f.details.owner.id"
)
# f -> status of the upload job
UPLOAD_STATUS: Final = "select u.status.value from FilesetJobLink l, UploadJob u where l.child.id=u.id and l.parent.id=:f"
# f -> original file that is the import log
LOG_OF_FILESET: Final = (
    "select o.id from FilesetJobLink l join l.child j join j.originalFileLinks jl join jl.child o "
    "where l.parent.id=:f and o.mimetype='application/omero-log-file'"
)
# d, i (list) -> images of the list that the dataset holds
IMAGES_IN_DATASET: Final = "select l.child.id from DatasetImageLink l where l.parent.id=:d and l.child.id in (:i)"

# --- containers ---

# p, n -> dataset, owner, group id, group
DATASETS_IN_PROJECT: Final = (
    "select d.id, d.details.owner.omeName, d.details.group.id, d.details.group.name from ProjectDatasetLink l join l.child d "
    "where l.parent.id=:p and d.name=:n"
)
# n, g -> id, owner
DATASETS_IN_GROUP: Final = "select d.id, d.details.owner.omeName from Dataset d where d.name=:n and d.details.group.id=:g"
PROJECTS_IN_GROUP: Final = "select p.id, p.details.owner.omeName from Project p where p.name=:n and p.details.group.id=:g"
# d -> id, name, owner, group id, group
DATASET_BY_ID: Final = "select d.id, d.name, d.details.owner.omeName, d.details.group.id, d.details.group.name from Dataset d where d.id=:d"
PROJECT_BY_ID: Final = "select p.id, p.name, p.details.owner.omeName, p.details.group.id, p.details.group.name from Project p where p.id=:p"
SCREEN_BY_ID: Final = "select s.id, s.name, s.details.owner.omeName, s.details.group.id, s.details.group.name from Screen s where s.id=:s"
# d or p -> one map {id, name, ..._details_permissions {canLink, canAnnotate, canEdit, canDelete, perm}}
DATASET_PERMISSIONS: Final = "select new map(d.id as id, d.name as name, d as dataset_details_permissions) from Dataset d where d.id=:d"
PROJECT_PERMISSIONS: Final = "select new map(p.id as id, p.name as name, p as project_details_permissions) from Project p where p.id=:p"
# p, d -> number of links
DATASET_IS_IN_PROJECT: Final = "select count(l.id) from ProjectDatasetLink l where l.parent.id=:p and l.child.id=:d"
# o -> number of things inside, or of things that bear the tag; any but 0 means that it is in use
USES: Final = {
    "Project": ("select count(l.id) from ProjectDatasetLink l where l.parent.id=:o",),
    "Dataset": ("select count(l.id) from DatasetImageLink l where l.parent.id=:o",),
    "TagAnnotation": (
        "select count(l.id) from ImageAnnotationLink l where l.child.id=:o",
        "select count(l.id) from DatasetAnnotationLink l where l.child.id=:o",
        "select count(l.id) from ProjectAnnotationLink l where l.child.id=:o",
        "select count(l.id) from ScreenAnnotationLink l where l.child.id=:o",
        "select count(l.id) from PlateAnnotationLink l where l.child.id=:o",
        "select count(l.id) from AnnotationAnnotationLink l where l.parent.id=:o",
    ),
}
# i (list), u (login) -> those that were made in a session which that account opened for somebody, time in ms, lowest parent
# or null (not for projects)
MADE_BY: Final = {
    "Project": "select p.id, p.details.creationEvent.time from Project p "
    "where p.id in (:i) and p.details.creationEvent.session.sudoer.omeName=:u",
    "Dataset": "select d.id, d.details.creationEvent.time, (select min(l.parent.id) from ProjectDatasetLink l where l.child.id=d.id) "
    "from Dataset d where d.id in (:i) and d.details.creationEvent.session.sudoer.omeName=:u",
    "TagAnnotation": "select t.id, t.details.creationEvent.time, "
    "(select min(l.parent.id) from AnnotationAnnotationLink l where l.child.id=t.id) "
    "from TagAnnotation t where t.id in (:i) and t.details.creationEvent.session.sudoer.omeName=:u",
}

# --- people and sessions ---

# n -> id, name
GROUP_BY_NAME: Final = "select g.id, g.name from ExperimenterGroup g where g.name=:n"
# n (login) -> group id, group, leads it, position; the default group comes first
GROUPS_OF_USER: Final = (
    "select m.parent.id, m.parent.name, m.owner, index(m) from Experimenter e join e.groupExperimenterMap m "
    "where e.omeName=:n order by index(m)"
)
# n (login) -> id, login, first name, last name, e-mail, ldap
USER: Final = "select e.id, e.omeName, e.firstName, e.lastName, e.email, e.ldap from Experimenter e where e.omeName=:n"
# n (login) -> 1 if the account is active
USER_IS_ACTIVE: Final = "select count(m.id) from GroupExperimenterMap m where m.child.omeName=:n and m.parent.name='user'"
# i (numeric id) -> id, closed, started, idle time-out in ms, owner
SESSION_BY_ID: Final = "select s.id, s.closed, s.started, s.timeToIdle, s.owner.omeName from Session s where s.id=:i"

# --- annotations ---

# t -> tag, owner (own group)
TAGS_BY_TEXT: Final = "select t.id, t.details.owner.omeName from TagAnnotation t where t.textValue=:t and t.ns is null"
# t, ns -> tag set, owner (own group)
TAG_SETS_BY_TEXT: Final = "select t.id, t.details.owner.omeName from TagAnnotation t where t.textValue=:t and t.ns=:ns"
# s, t -> tag of that set, owner (own group)
TAGS_IN_SET: Final = (
    "select t.id, t.details.owner.omeName from AnnotationAnnotationLink l, TagAnnotation t "
    "where l.child.id=t.id and l.parent.id=:s and t.textValue=:t"
)
# i (list), n (marker) -> object, annotation
MARKED: Final = {
    "Image": "select l.parent.id, a.id from ImageAnnotationLink l join l.child a where l.parent.id in (:i) and a.name=:n",
    "Dataset": "select l.parent.id, a.id from DatasetAnnotationLink l join l.child a where l.parent.id in (:i) and a.name=:n",
    "Project": "select l.parent.id, a.id from ProjectAnnotationLink l join l.child a where l.parent.id in (:i) and a.name=:n",
}
# i (list), a -> objects of the list that carry that annotation
CARRIERS: Final = {
    "Image": "select l.parent.id from ImageAnnotationLink l where l.parent.id in (:i) and l.child.id=:a",
    "Dataset": "select l.parent.id from DatasetAnnotationLink l where l.parent.id in (:i) and l.child.id=:a",
    "Project": "select l.parent.id from ProjectAnnotationLink l where l.parent.id in (:i) and l.child.id=:a",
}
# d (object), ns, h (SHA-1) -> file annotation, file name, hash
ATTACHED: Final = {
    "Image": "select fa.id, f.name, f.hash from ImageAnnotationLink l, FileAnnotation fa join fa.file f "
    "where l.child.id=fa.id and l.parent.id=:d and fa.ns=:ns and f.hash=:h",
    "Dataset": "select fa.id, f.name, f.hash from DatasetAnnotationLink l, FileAnnotation fa join fa.file f "
    "where l.child.id=fa.id and l.parent.id=:d and fa.ns=:ns and f.hash=:h",
    "Project": "select fa.id, f.name, f.hash from ProjectAnnotationLink l, FileAnnotation fa join fa.file f "
    "where l.child.id=fa.id and l.parent.id=:d and fa.ns=:ns and f.hash=:h",
}
# d (object), h (SHA-1) -> the same, of attachments without a namespace
ATTACHED_PLAIN: Final = {kind: text.replace("fa.ns=:ns", "fa.ns is null") for kind, text in ATTACHED.items()}
# f (original file) -> its file annotations
ATTACHMENTS: Final = "select fa.id from FileAnnotation fa where fa.file.id=:f"
# p, n, o (login) -> original file
UPLOADS: Final = "select o.id from OriginalFile o where o.path=:p and o.name=:n and o.details.owner.omeName=:o order by o.id"
# i (list) -> image, name, description or null
IMAGE_TEXTS: Final = "select i.id, i.name, i.description from Image i where i.id in (:i) order by i.id"


def like_pattern(submission: str) -> str:
    """The LIKE pattern for the tokens of `submission`. Its own wildcards become "any one character": compare again."""
    return "".join("_" if letter in "%_\\" else letter for letter in submission) + "/%"
