"""`submit`: files and a sidecar into a drop folder, in the safe order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit
from dropbox_import.cli.options import CONFIG_VARIABLE

PATH = click.Path(path_type=Path)


@click.command(short_help="Put images and their sidecar into a drop folder.")
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="FILES...")
@click.option("--drop", type=PATH, metavar="DIR", help="The drop box, or a user's drop folder in it.")
@click.option("--config", type=PATH, envvar=CONFIG_VARIABLE, metavar="FILE", help=f"Or the daemon's config. [or set {CONFIG_VARIABLE}]")
@click.option("--dataset", metavar="NAME", help="The dataset; id:151 names it by its number.")
@click.option("--project", metavar="NAME", help="The project that the dataset is in.")
@click.option("--create", is_flag=True, help="Make the project and the dataset if they are missing.")
@click.option("--orphaned", is_flag=True, help='No dataset: into "Orphaned images".')
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; may be repeated.")
@click.option("--key-value", "key_values", multiple=True, metavar="KEY=VALUE", help="A key-value pair; may be repeated.")
@click.option("--comment", "comments", multiple=True, metavar="TEXT", help="A comment; may be repeated.")
@click.option("--rating", type=click.IntRange(1, 5), help="Stars.")
@click.option("--attach", "attachments", multiple=True, type=PATH, metavar="FILE", help="A file to attach to the images; may be repeated.")
@click.option("--image-name", metavar="TEXT", help='Name of the images, as in "{stem}_{series:02d}".')
@click.option("--description", metavar="TEXT", help="Description of the images.")
@click.option("--owner", metavar="LOGIN", help="OMERO user who will own them, if the box permits it.")
@click.option("--group", metavar="NAME", help="OMERO group they go to.")
@click.option("--notify", multiple=True, metavar="ADDRESS", help="Who else gets a mail; may be repeated.")
@click.option("--submission", metavar="TEXT", help="For programs: the same submission is imported only once.")
@click.option("--user", metavar="NAME", help="Whose drop folder. [default: you]")
@click.option("--folder", default="", metavar="NAME", help="A folder inside the drop folder to put them in.")
@click.option("--name", metavar="NAME", help="Name of the sidecar. [default: that of the first file]")
@click.option("--move", is_flag=True, help="Move the files instead of copying them.")
@click.option("--even-if-down", is_flag=True, help="Leave them there even if no daemon is running now.")
def submit(files: tuple[Path, ...], drop: Path | None, config: Path | None, **asked: Any) -> int:
    """Put FILES (images and folders) into a drop folder, with a sidecar that says where they belong.

    The files come first and the sidecar last, so that nothing is taken half. The path of the sidecar
    is printed on stdout. If anything goes wrong, nothing is left behind. Where the images go must be
    said, unless --config is given and the box has a default target.

    \b
    Examples:
      dropbox-import submit cells.czi --drop /srv/imports --dataset HeLa
      dropbox-import submit run7/ --config config.yaml --create \\
          --project "Mitosis 2025" --dataset "run 7"
      dropbox-import submit a.tif b.tif --drop /srv/imports/drop/jdoe --dataset id:151 \\
          --tag live --key-value "Organism=Homo sapiens"

    \b
    Exit codes: 0 submitted; 3 there is no such box or drop folder; 4 the files or the sidecar are
    refused, as when a name is taken; 5 no daemon is running.
    """
    if drop is None and config is None:
        raise click.UsageError("Say where: --drop DIR or --config FILE.")
    fields = sidecar_fields(**{key: asked[key] for key in _FIELDS})
    from dropbox_import.submit import submit as bring

    showing = sys.stderr.isatty()

    def progress(name: str, done: int, total: int) -> None:
        if showing:
            share = 100 if not total else done * 100 // total
            terminal.rewrite(f"{share:3d} %  {terminal.visible(name)}")

    result = bring(
        files,
        drop=drop,
        config=None if drop is not None else config,
        fields=fields,
        attachments=asked["attachments"],
        user=asked["user"],
        folder=asked["folder"],
        name=asked["name"],
        move=asked["move"],
        even_if_down=asked["even_if_down"],
        on_progress=progress,
    )
    if showing:
        terminal.rewrite("")
    for notice in result.notices:
        terminal.tell(terminal.visible(notice))
    terminal.tell(f"Submitted {terminal.count(len(result.files), 'file')} ({terminal.size(result.bytes)}) with the sidecar:")
    terminal.say(str(result.sidecar))
    return Exit.OK


_FIELDS = (
    "dataset", "project", "create", "orphaned", "tags", "key_values", "comments",
    "rating", "image_name", "description", "owner", "group", "notify", "submission",
)  # fmt: skip


def sidecar_fields(
    *,
    dataset: str | None,
    project: str | None,
    create: bool,
    orphaned: bool,
    tags: tuple[str, ...],
    key_values: tuple[str, ...],
    image_name: str | None,
    description: str | None,
    **plain: Any,
) -> dict[str, Any]:
    """The keys of the sidecar that the options ask for. Raises click.UsageError for options that contradict each other."""
    fields: dict[str, Any] = {}
    if orphaned and (dataset or project):
        raise click.UsageError("--orphaned excludes --dataset and --project.")
    if project and not dataset:
        raise click.UsageError("--project needs --dataset: images lie in a dataset.")
    if create and not dataset:
        raise click.UsageError("--create needs --dataset.")
    if orphaned:
        fields["target"] = "none"
    elif dataset:
        fields["target"] = {key: _container(name, create) for key, name in (("project", project), ("dataset", dataset)) if name}
    image = {key: text for key, text in (("name", image_name), ("description", description)) if text}
    if image:
        fields["image"] = image
    if tags:
        fields["tags"] = list(tags)
    if key_values:
        fields["key_values"] = [{"pairs": [_pair(text) for text in key_values]}]
    for key, value in plain.items():
        if value:
            fields[key] = list(value) if isinstance(value, tuple) else value
    return fields


def _container(text: str, create: bool) -> dict[str, Any]:
    number = text.removeprefix("id:")
    if number != text:
        if not (number.isascii() and number.isdigit()):
            raise click.UsageError(f'"{text}" is no id: write it as id:151.')
        return {"id": int(number)}
    return {"name": text, "create": True} if create else {"name": text}


def _pair(text: str) -> list[str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f'--key-value "{text}" has no key: write KEY=VALUE.')
    return [key, value]
