"""The sidecar as models: what each key takes, in the words of the JSON Schema that editors read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from dropbox_import.model import CLIENT_NAMESPACE
from dropbox_import.sidecar import json_schema, targets
from dropbox_import.sidecar.checks import Name, Part, Shape, Text, Whole, YesNo, between, one_of, told
from dropbox_import.sidecar.fields import (
    Comment,
    Glob,
    Id,
    ImageName,
    Mail,
    Mime,
    OnWhat,
    Path,
    Sha256,
    Submission,
    TargetName,
    as_attachment,
    as_description,
    as_pair,
    as_pairs,
    as_tag,
    few_addresses,
    known_version,
)


class ContainerPart(Part):
    """A project or dataset."""

    id: Id | None = Field(None, description="Its id in OMERO.")
    name: TargetName | None = Field(None, description="Its name; may hold {date}, {folder}, {file}, {stem}, {path1} …")
    description: Text | None = Field(None, description="Description for a new one.")
    create: YesNo = Field(False, description="Make it if there is none of that name.")

    @model_validator(mode="after")
    def _one_way(self, info: ValidationInfo) -> ContainerPart:
        if self.id is not None and self.name is not None:
            raise told("id and name are both given", "keep the id, or the name")
        if self.id is not None and self.create:
            raise told("create has no meaning together with an id", "remove create, or write a name instead of the id")
        if self.id is None and self.name is None and not partial(info):
            raise told("neither id nor name is given", "write {name: HeLa} or {id: 151}")
        return self


Container = Annotated[ContainerPart, BeforeValidator(targets.as_container, json_schema_input_type=ContainerPart | str | int)]


class TargetPart(Part):
    """Where the images go."""

    project: Container | None = Field(None, description="The project in which the dataset is looked up.")
    dataset: Container | None = Field(None, description="The dataset that takes the images: a name, an id, or a mapping.")
    on_ambiguous: Annotated[Literal["fail", "newest", "oldest"], BeforeValidator(one_of("fail", "newest", "oldest"))] = Field(
        "fail", description="What to do when several have that name."
    )

    @model_validator(mode="after")
    def _complete(self, info: ValidationInfo) -> TargetPart:
        if partial(info):
            return self
        if self.dataset is None:
            raise told(
                "no dataset is given",
                "write target: {dataset: HeLa}" if self.project is None else "images lie in a dataset: add dataset: and its name",
            )
        if self.dataset.id is not None and self.project is not None:
            raise told("a dataset that is given by its id needs no project", "remove project, or write the dataset's name")
        return self


def _target(value: object, handler: ValidatorFunctionWrapHandler) -> TargetPart:
    made = targets.as_target(value)
    if made == targets.NOWHERE:
        return TargetPart.model_construct()
    checked: TargetPart = handler(made)
    return checked


class ExpectPart(Part):
    """What must be there before the drop is taken."""

    count: Annotated[Whole, AfterValidator(between(1, 10_000_000))] | None = Field(None, description="How many member files.")
    size: dict[Path, Annotated[Whole, AfterValidator(between(0, 1 << 62))]] = Field({}, description="Size in bytes, by file.")
    sha256: dict[Path, Sha256] = Field({}, description="Checksum, by file.")


class FilesPart(Part):
    """Which files belong to this sidecar."""

    include: Annotated[list[Glob], Field(min_length=1)] | None = Field(None, description="Names or patterns below the sidecar's folder.")
    exclude: list[Glob] = Field([], description="Names or patterns that are left out.")
    expect: ExpectPart = Field(ExpectPart(), description="What must be there before the drop is taken.")


class DescriptionPart(Part):
    text: Text | None = Field(None, description="Replaces what the file says.")
    append: Text | None = Field(None, description="Added after what the file says.")


class ImagePart(Part):
    """Name and description of the images."""

    name: ImageName | None = Field(
        None, description="May hold {file}, {stem}, {series}, {series:02d}, {series_name}, {date}, {folder}, {path1} …"
    )
    description: (
        Annotated[DescriptionPart, BeforeValidator(as_description, json_schema_input_type=str | dict[Literal["append"], str])] | None
    ) = Field(None, description="A text, which replaces what the file says, or {append: text}.")


class TagPart(Part):
    name: Name = Field(description="The tag.")
    set: Name | None = Field(None, description="The tag set it belongs to.")
    description: Text | None = Field(None, description="Description for a new tag.")


class KeyValuesPart(Part):
    """One group of key-value pairs."""

    namespace: Name = Field(CLIENT_NAMESPACE, description="Its namespace; the default can be edited in OMERO.web.")
    on: OnWhat = Field("image", description="What it is attached to.")
    pairs: Annotated[
        list[Annotated[tuple[str, str], BeforeValidator(as_pair)]],
        BeforeValidator(as_pairs, json_schema_input_type=dict[str, str | int | float | bool] | list[list[str | int | float | bool]]),
    ] = Field(description="The pairs, as a mapping or as a list of [key, value]; order and repeated keys are kept.")


class AttachmentPart(Part):
    file: Path = Field(description="A file below the sidecar's folder; it is copied and stays where it is.")
    on: OnWhat = Field("image", description="What it is attached to.")
    namespace: Name | None = Field(None, description="Its namespace.")
    mime: Mime | None = Field(None, description="Its media type, like application/pdf.")


class SidecarFile(Part):
    """Says where images belong, who owns them and what is known about them."""

    schema_: Annotated[Whole, AfterValidator(known_version)] = Field(1, alias="schema", description="Version of this format.")
    owner: Name | None = Field(None, description="OMERO login; default: the user of the drop folder.")
    group: Name | None = Field(None, description="OMERO group; default: that of a target given by id, else the owner's default group.")
    notify: Annotated[list[Mail], AfterValidator(few_addresses)] = Field([], description="E-mail addresses that are told too; 20 at most.")
    submission: Submission | None = Field(None, description="For programs: the same submission twice is imported once.")
    target: Annotated[TargetPart, WrapValidator(_target, json_schema_input_type=TargetPart | str)] = Field(
        description="Where the images go: {dataset: …}, {project: …, dataset: …}, or none."
    )
    files: FilesPart = Field(FilesPart(), description="Which files belong to this sidecar; default: those of its own name.")
    image: ImagePart = Field(ImagePart(), description="What the images are called.")
    tags: list[Annotated[TagPart, BeforeValidator(as_tag, json_schema_input_type=TagPart | str | int | float)]] = Field(
        [], description="Tags on the images."
    )
    key_values: list[KeyValuesPart] = Field([], description="Groups of key-value pairs.")
    comments: list[Comment] = Field([], description="Comments on the images.")
    rating: Annotated[Whole, AfterValidator(between(1, 5))] | None = Field(None, description="1 to 5 stars.")
    attachments: list[Annotated[AttachmentPart, BeforeValidator(as_attachment, json_schema_input_type=AttachmentPart | str)]] = Field(
        [], description="Files to attach."
    )
    end: YesNo = Field(False, description="Last key of a complete sidecar, where the administrator asks for it.")


def partial(info: ValidationInfo) -> bool:
    """Is it a box's `defaults` that is being checked, to which a sidecar adds the rest?"""
    return bool((info.context or {}).get("partial"))


_LATER = {
    "": ("contact", "ready", "rows", "table", "options", "links", "annotations", "each", "until"),
    "target": ("screen", "plate"),
    "files": ("sets",),
}
_MEANT = {
    "target is missing": ("is missing: it is not said where the images go", "add target: {dataset: HeLa}, or target: none"),
    "dataset": ("dataset: unknown key here; it belongs below target", "write target: {dataset: …}"),
    "project": ("project: unknown key here; it belongs below target", "write target: {project: …, dataset: …}"),
    "screen": ("screen: not supported yet", "this release imports into a dataset: target: {dataset: …}"),
    "name": ("name: unknown key here; it belongs below image", "write image: {name: …}"),
    "description": ("description: unknown key here; it belongs below image", "write image: {description: …}"),
    "include": ("include: unknown key here; it belongs below files", 'write files: {include: ["*.czi"]}'),
    "exclude": ("exclude: unknown key here; it belongs below files", 'write files: {exclude: ["*_preview.czi"]}'),
    "expect": ("expect: unknown key here; it belongs below files", "write files: {expect: {count: 12}}"),
    "user": ('user: unknown key, did you mean "owner"?', ""),
}
SHAPE = Shape(
    SidecarFile,
    {
        "": SidecarFile,
        "target": TargetPart,
        "target.project": ContainerPart,
        "target.dataset": ContainerPart,
        "files": FilesPart,
        "files.expect": ExpectPart,
        "image": ImagePart,
        "image.description": DescriptionPart,
        "tags.*": TagPart,
        "key_values.*": KeyValuesPart,
        "attachments.*": AttachmentPart,
    },
    _LATER,
    _MEANT,
)


def schema() -> dict[str, Any]:
    """The JSON Schema of a sidecar, made from the models."""
    made = json_schema.of_model(SidecarFile, "dropbox-import sidecar")
    made["patternProperties"] = {"^x-": {"description": "For the writer's own use; kept in the result file."}}
    return made


def schema_text() -> str:
    """The committed file sidecar.schema.json."""
    return json_schema.as_text(schema())
