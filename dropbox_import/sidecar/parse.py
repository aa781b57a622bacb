"""`parse_sidecar`: bytes to an ImportRequest, or every mistake at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from dropbox_import import model, strict_yaml
from dropbox_import.errors import Mistake, NotAllowed, SidecarInvalid
from dropbox_import.sidecar import templates
from dropbox_import.sidecar.checks import check
from dropbox_import.sidecar.merge import merge
from dropbox_import.sidecar.recognise import wrong_name
from dropbox_import.sidecar.schema import SHAPE, AttachmentPart, ContainerPart, KeyValuesPart, SidecarFile, TargetPart
from dropbox_import.strict_yaml import MOST_MISTAKES, Mark, Node, Unreadable, shown

DEFAULTS_NAME = "defaults of the box"
_LAST_WORD_FOR_IMAGES = ("file", "stem", *templates.PER_IMAGE)


def parse_sidecar(data: bytes, file: str, *, defaults: Mapping[str, Any] | None = None) -> model.ImportRequest:
    """What the sidecar `file` asks for, with a box's `defaults` under it. Raises SidecarInvalid with every mistake, and nothing else."""
    name = shown(file, 300)
    wrong = wrong_name(file)
    if wrong:
        raise invalid(file, [Mark(name).mistake(*wrong)])
    try:
        document = strict_yaml.load(data, name)
    except Unreadable as error:
        raise invalid(file, error.mistakes) from None
    root = document.root
    if root is None:
        raise invalid(file, [Mark(name).mistake("the file is empty", "write target: {dataset: HeLa}; or it is still being written")])
    if not isinstance(root, strict_yaml.Mapping):
        raise invalid(
            file, [root.mark.mistake("the file does not begin with a key", "write key: value lines, like target: {dataset: HeLa}")]
        )
    if defaults:
        merged = merge(strict_yaml.from_value(defaults, DEFAULTS_NAME), root)
        root = merged if isinstance(merged, strict_yaml.Mapping) else root
    body, extra = _split(root)
    checked, mistakes = check(SHAPE, body, SidecarFile)
    mistakes = mistakes if checked is None else list(_on_nothing(body, checked))
    if checked is None or mistakes:
        raise invalid(file, mistakes)
    return replace(_request(checked), extra=extra, notices=document.notices)


def _on_nothing(body: strict_yaml.Mapping, side: SidecarFile) -> Iterator[Mistake]:
    """What goes on a project or dataset that the target does not name. What a box's defaults put there goes where there is one."""
    both: dict[str, Sequence[KeyValuesPart | AttachmentPart]] = {"key_values": side.key_values, "attachments": side.attachments}
    for key, parts in both.items():
        nodes = body.get(key)
        places = nodes.items if isinstance(nodes, strict_yaml.Sequence) else ()
        for part, node in zip(parts, places, strict=True):
            if part.on != "image" and getattr(side.target, part.on) is None and node.mark.file != DEFAULTS_NAME:
                hint = "write on: image" if side.target.dataset is None else "write on: dataset, or name project and dataset in target"
                yield node.mark.mistake(f"{key}: on: {part.on}, and the target names no {part.on}", hint)


def check_defaults(node: Node) -> list[Mistake]:
    """The mistakes in a box's `defaults`, a part of a sidecar: everything may be missing."""
    if not isinstance(node, strict_yaml.Mapping):
        return [node.mark.mistake("defaults: keys of a sidecar with their values are expected", "write defaults: {tags: [HeLa]}")]
    body, _ = _split(node)
    _, mistakes = check(SHAPE, body, SidecarFile, {"partial": True})
    return [one for one in mistakes if not one.sentence.startswith("target: is missing")]


def invalid(file: str, mistakes: Iterable[Mistake]) -> SidecarInvalid:
    found = list(mistakes)
    many = "a mistake" if len(found) == 1 else f"{len(found)} mistakes" if len(found) <= MOST_MISTAKES else "many mistakes"
    return SidecarInvalid(f"The sidecar {shown(file, 200)} has {many}.", mistakes=found)


def _split(root: strict_yaml.Mapping) -> tuple[strict_yaml.Mapping, dict[str, Any]]:
    """The keys of the format, and those that begin with x-."""
    extra = {key.text: strict_yaml.to_value(value) for key, value in root.entries if key.text.startswith("x-")}
    return strict_yaml.Mapping(root.mark, tuple(entry for entry in root.entries if not entry[0].text.startswith("x-")), root.flow), extra


def _request(side: SidecarFile) -> model.ImportRequest:
    files, expect, described = side.files, side.files.expect, side.image.description
    append = described is not None and described.append is not None
    return model.ImportRequest(
        target=_target(side.target),
        owner=side.owner,
        group=side.group,
        notify=tuple(side.notify),
        submission=side.submission,
        files=model.FilesRule(
            include=None if files.include is None else tuple(files.include),
            exclude=tuple(files.exclude),
            expect=model.Expect(expect.count, dict(expect.size), dict(expect.sha256)),
        ),
        image=model.ImageRule(side.image.name, None if described is None else described.append if append else described.text, append),
        tags=tuple(model.Tag(tag.name, tag.set, tag.description) for tag in side.tags),
        key_values=tuple(model.KeyValues(tuple(block.pairs), block.namespace, block.on) for block in side.key_values),
        comments=tuple(side.comments),
        rating=side.rating,
        attachments=tuple(model.Attachment(one.file, one.on, one.namespace, one.mime) for one in side.attachments),
        end=side.end,
    )


def _target(part: TargetPart) -> model.Target:
    return model.Target(_container(part.project), _container(part.dataset), part.on_ambiguous)


def _container(part: ContainerPart | None) -> model.ContainerRef | None:
    return None if part is None else model.ContainerRef(part.id, part.name, part.description, part.create)


def render(request: model.ImportRequest, *, sidecar_path: str, folder: str, file: str, date: datetime) -> model.ImportRequest:
    """The request with its templates filled in, once, at the claim.

    In the name of images {file}, {stem}, {series} and {series_name} stay for `templates.for_fileset` and the importer.
    Raises SidecarInvalid where a placeholder has no value or a name gets too long or empty.
    """
    values = templates.values_at_claim(sidecar_path=sidecar_path, folder=folder, file=file, date=date)
    mark = Mark(shown(sidecar_path.rsplit("/", 1)[-1], 300))
    mistakes: list[Mistake] = []

    def fill(where: str, text: str, later: tuple[str, ...] = ()) -> str:
        try:
            made = templates.render(text, values, later=later)
        except templates.BadTemplate as bad:
            mistakes.append(mark.mistake(f"{where}: {bad.sentence}", bad.hint))
            return text
        if not made.strip():
            mistakes.append(mark.mistake(f"{where}: the name {shown(text)} is empty once it is filled in", "write a fixed text too"))
        elif not later and len(made) > 255:
            mistakes.append(mark.mistake(f"{where}: the name gets {len(made)} characters; OMERO keeps at most 255", "write a shorter name"))
        return made

    def container(where: str, ref: model.ContainerRef | None) -> model.ContainerRef | None:
        return ref if ref is None or ref.name is None else replace(ref, name=fill(where, ref.name))

    target = replace(
        request.target,
        project=container("target.project.name", request.target.project),
        dataset=container("target.dataset.name", request.target.dataset),
    )
    image = request.image
    if image.name is not None:
        image = replace(image, name=fill("image.name", image.name, _LAST_WORD_FOR_IMAGES))
    if mistakes:
        raise invalid(sidecar_path.rsplit("/", 1)[-1], mistakes)
    return replace(request, target=target, image=image)


def allowed_owner(request: model.ImportRequest, user: str, box_owners: str | Iterable[str]) -> str:
    """Whose images these become, for a drop of `user` in a box with that policy ("from_folder", "any" or a list). Raises NotAllowed."""
    wanted = request.owner or user
    if wanted == user or box_owners == "any":
        return wanted
    listed = () if isinstance(box_owners, str) else tuple(box_owners)
    if wanted in listed:
        return wanted
    raise NotAllowed(
        f"owner {shown(wanted)} is not allowed here: this is the drop folder of {shown(user)}",
        hint=f"Remove owner from the sidecar, put the files into the drop folder of {shown(wanted)}, "
        "or ask the administrator to allow that owner for this box.",
        code="owner-not-allowed",
    )
