"""What the demo drops, and what must come of it. Data, and the text of sidecars."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dropbox_import.disk import files as disk
from dropbox_import.submit import submit

USER = "alice"
ADDRESS = "alice@example.org"  # as the stand-in has it
OPS = "ops@example.org"
PROJECT = "Demo"
# What `python -m dropbox_import.standin.samples` is asked for.
SAMPLES = ("five-d", "set", "plain", "folder")
Size = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Image:
    """An image that OMERO must hold afterwards; `size` is x, y, z, c, t."""

    dataset: str
    name: str
    size: Size
    tags: tuple[str, ...] = ()
    key_values: tuple[tuple[str, str], ...] = ()
    comments: tuple[str, ...] = ()
    rating: int | None = None
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One drop: what it shows, its sidecar, and what must become of it.

    `images` must be in OMERO. `done` and `failed` are the members that must lie in `done/` and `failed/`; None = no such
    folder. `reasons` are words that REASON.txt must have. `stay` are files that must still be in the drop folder.
    """

    about: str
    sidecar: str
    images: tuple[Image, ...] = ()
    done: tuple[str, ...] | None = None
    failed: tuple[str, ...] | None = None
    reasons: tuple[str, ...] = ()
    stay: tuple[str, ...] = ()
    text: str = ""
    files: dict[str, str] = field(default_factory=dict)


CASES: tuple[Case, ...] = (
    Case(
        about="a 5-D OME-TIFF, given with `dropbox-import submit`",
        sidecar="five_d.ome.tif.yaml",
        images=(Image("Five dimensions", "five_d.ome.tif", (96, 64, 4, 2, 3), tags=("demo",)),),
        done=("five_d.ome.tif",),
        files={"five_d.ome.tif": "five_d.ome.tif"},
    ),
    Case(
        about="three OME-TIFF files that refer to each other: one image",
        sidecar="timelapse.yaml",
        images=(Image("Time lapse", "timelapse", (96, 64, 1, 2, 3)),),
        done=("timelapse_T0.ome.tif", "timelapse_T1.ome.tif", "timelapse_T2.ome.tif"),
        text="""\
target:
  project: {name: Demo, create: true}
  dataset: {name: Time lapse, create: true}
image: {name: timelapse}
files: {include: ["timelapse_T*.ome.tif"]}
""",
        files={f"timelapse_T{number}.ome.tif": f"timelapse_T{number}.ome.tif" for number in range(3)},
    ),
    Case(
        about="a TIFF with tags, key-values, a comment, a rating and an attachment",
        sidecar="hela.yaml",
        images=(
            Image(
                "HeLa",
                "HeLa control",
                (96, 64, 1, 1, 1),
                tags=("demo", "control"),
                key_values=(("Organism", "Homo sapiens"), ("Antibody", "anti-tubulin"), ("Antibody", "DAPI"), ("Barcode", "00123")),
                comments=("Focus drift after t=40",),
                rating=4,
                attachments=("protocol.txt",),
            ),
        ),
        done=("hela.tif",),
        stay=("protocol.txt",),
        text="""\
target:
  project: {name: Demo, create: true}
  dataset: {name: HeLa, create: true}
image: {name: HeLa control}
tags: [demo, {name: control, description: untreated}]
key_values:
  - pairs: [[Organism, Homo sapiens], [Antibody, anti-tubulin], [Antibody, DAPI], [Barcode, 00123]]
comments: [Focus drift after t=40]
rating: 4
attachments:
  - {file: protocol.txt}
""",
        files={"hela.tif": "plain.tif", "protocol.txt": ""},
    ),
    Case(
        about="a folder of three images under one sidecar, one of them cut in half",
        sidecar="run7.yaml",
        images=(
            Image("run7", "field_1.tif", (96, 64, 1, 1, 1), tags=("demo",)),
            Image("run7", "field_2.tif", (96, 64, 1, 1, 1), tags=("demo",)),
        ),
        done=("run7/field_1.tif", "run7/field_2.tif"),
        failed=("run7/field_3.tif",),
        reasons=("field_3.tif",),
        text="""\
target:
  project: {name: Demo, create: true}
  dataset: {name: run7, create: true}
tags: [demo]
""",
        files={f"run7/field_{number}.tif": f"field_{number}.tif" for number in (1, 2, 3)},
    ),
    Case(
        about="a sidecar with two mistakes: its image waits for the corrected one",
        sidecar="typo.yaml",
        failed=(),
        reasons=("typo.yaml:2:", "typo.yaml:3:", "rating"),
        stay=("typo.tif",),
        text="""\
target: {dataset: HeLa}
tagz: [demo]
rating: 9
""",
        files={"typo.tif": "plain.tif"},
    ),
    Case(
        about="a sidecar that names an owner whom this box does not permit",
        sidecar="notmine.yaml",
        failed=(),
        reasons=("bob",),
        stay=("notmine.tif",),
        text="""\
owner: bob
target: {dataset: HeLa}
""",
        files={"notmine.tif": "plain.tif"},
    ),
)

PROTOCOL = b"Fix 10 min, stain 30 min, wash three times.\n"


def drop_case(case: Case, samples: Path, box: Path) -> None:
    """Drop it as a user does: the first with `submit`, the others by copying the images and then saving the sidecar."""
    base = box / "drop" / USER
    if not case.text:
        fields = {
            "target": {"project": {"name": PROJECT, "create": True}, "dataset": {"name": case.images[0].dataset, "create": True}},
            "tags": list(case.images[0].tags),
        }
        submit([samples / source for source in case.files.values()], drop=box, user=USER, fields=fields)
        return
    for name, source in case.files.items():
        target = base / name
        disk.make_dirs(target.parent)
        if source:
            disk.copy_in(samples / source, target)
        else:
            disk.write_new(target, PROTOCOL)
    part = base / f"{case.sidecar}.part"
    disk.write_new(part, case.text.encode())
    disk.rename(part, base / case.sidecar)
