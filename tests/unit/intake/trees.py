"""Folder trees with sidecars, and which files belong to which: the table that unit and disk tests share."""

from __future__ import annotations

from dataclasses import dataclass, field

T = "target: {dataset: HeLa}\n"
FILED = "cells__20261122-093912-k7f3q2mzt4"


@dataclass(frozen=True)
class Gets:
    """What one sidecar gets; `wrong`: words of its problem; `missing`: what it waits for."""

    members: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    wrong: str = ""


@dataclass(frozen=True)
class Tree:
    """`files` are data, `sidecars` map path to text; every other file stays where it is."""

    name: str
    files: tuple[str, ...]
    sidecars: dict[str, str]
    gets: dict[str, Gets] = field(default_factory=dict)


def one(name: str, files: str, sidecar: str, text: str, gets: Gets) -> Tree:
    return Tree(name, tuple(files.split()), {sidecar: text}, {sidecar: gets})


TREES = (
    # --- by the sidecar's own stem
    one("one image", "cells.czi other.czi", "cells.yaml", T, Gets(("cells.czi",))),
    one("yml and json are as good", "cells.czi", "cells.json", '{"target": {"dataset": "HeLa"}}', Gets(("cells.czi",))),
    one(
        "image with companions",
        "run7.czi run7.ome.tif run7.txt run70.czi run8.czi xrun7.czi",
        "run7.yaml",
        T,
        Gets(("run7.czi", "run7.ome.tif", "run7.txt")),
    ),
    one("a folder of the stem", "run7/a.tif run7/sub/b.tif run8/c.tif", "run7.yaml", T, Gets(("run7/a.tif", "run7/sub/b.tif"), ("run7",))),
    one(
        "folder, files and CellSens' folder together",
        "run7/a.tif run7.vsi _run7_/stack1/frame.ets _run8_/x.ets",
        "run7.yaml",
        T,
        Gets(("_run7_/stack1/frame.ets", "run7.vsi", "run7/a.tif"), ("_run7_", "run7")),
    ),
    one("a file named whole", "cells.czi cells.tif cells.txt", "cells.czi.yaml", T, Gets(("cells.czi",))),
    one(
        "a file named whole, with its own folder",
        "cells.vsi cells.tif _cells_/f.ets",
        "cells.vsi.yaml",
        T,
        Gets(("_cells_/f.ets", "cells.vsi"), ("_cells_",)),
    ),
    one("a number after a dot is another stem", "run7.5.tif run7.tif", "run7.yaml", T, Gets(("run7.tif",))),
    one("a dot in the stem", "run7.5.tif run7.tif", "run7.5.yaml", T, Gets(("run7.5.tif",))),
    one(
        "a zarr of the stem",
        "run7.ome.zarr/.zattrs run7.ome.zarr/0/0.0",
        "run7.yaml",
        T,
        Gets(("run7.ome.zarr/.zattrs", "run7.ome.zarr/0/0.0"), ("run7.ome.zarr",)),
    ),
    one("in a folder of its own", "2025/cells.czi cells.czi", "2025/cells.yaml", T, Gets(("2025/cells.czi",))),
    one("nothing there", "other.czi", "cells.yaml", T, Gets()),
    one("letters composed in two ways", "Zelle_a\u0308.czi", "Zelle_\u00e4.yaml", T, Gets(("Zelle_a\u0308.czi",))),
    one("litter goes along with its folder", "run7/a.tif run7/Thumbs.db run7/.DS_Store", "run7.yaml", T, Gets(("run7/a.tif",), ("run7",))),
    one("temporary names stay", "run7.tif run7.tif.part run7/a.tif run7/~$x.doc", "run7.yaml", T, Gets(("run7.tif", "run7/a.tif"))),
    # --- by files:
    one(
        "globs stay in the folder",
        "a.czi b.czi c.lif sub/d.czi",
        "all.yaml",
        T + 'files: {include: ["*.czi"]}\n',
        Gets(("a.czi", "b.czi")),
    ),
    one(
        "globs over folders",
        "a.tif x/b.tif x/y/c.tif z.txt",
        "all.yaml",
        T + 'files: {include: ["**/*.tif"]}\n',
        Gets(("a.tif", "x/b.tif", "x/y/c.tif")),
    ),
    one("plain names", "a.czi b.czi x/c.czi", "all.yaml", T + "files: {include: [a.czi, x/c.czi]}\n", Gets(("a.czi", "x/c.czi"))),
    one("a plain folder", "x/a.czi x/y/b.czi", "all.yaml", T + "files: {include: [x]}\n", Gets(("x/a.czi", "x/y/b.czi"), ("x",))),
    one(
        "excluded on every level",
        "run7/a.czi run7/a_preview.czi run7/s/b_preview.czi",
        "run7.yaml",
        T + 'files: {exclude: ["*_preview.czi"]}\n',
        Gets(("run7/a.czi",)),
    ),
    one("excluded folder", "run7/a.czi run7/raw/b.czi", "run7.yaml", T + "files: {exclude: [run7/raw]}\n", Gets(("run7/a.czi",))),
    one(
        "plain names that are not there",
        "a.czi",
        "all.yaml",
        T + "files: {include: [a.czi, b.czi]}\n",
        Gets(("a.czi",), missing=("b.czi",)),
    ),
    one(
        "expected files are members",
        "a.czi b.czi c.czi",
        "all.yaml",
        T + "files: {expect: {size: {a.czi: 1, b.czi: 1, d.czi: 1}}}\n",
        Gets(("a.czi", "b.czi"), missing=("d.czi",)),
    ),
    one("named and excluded", "a.czi", "x.yaml", T + 'files: {include: [a.czi], exclude: ["*.czi"]}\n', Gets(wrong="named and excluded")),
    one("named, but temporary", "a.tmp b.czi", "x.yaml", T + "files: {include: [a.tmp, b.czi]}\n", Gets(("b.czi",), wrong="never taken")),
    # --- references
    one(
        "an attachment stays",
        "cells.czi protocol.pdf",
        "cells.yaml",
        T + "attachments: [{file: protocol.pdf}]\n",
        Gets(("cells.czi",), references=("protocol.pdf",)),
    ),
    one(
        "an attachment of the stem is no member",
        "cells.czi cells.pdf",
        "cells.yaml",
        T + "attachments: [{file: cells.pdf}]\n",
        Gets(("cells.czi",), references=("cells.pdf",)),
    ),
    one(
        "an attachment inside the drop's folder goes along",
        "run7/a.czi run7/p.pdf",
        "run7.yaml",
        T + "attachments: [{file: run7/p.pdf}]\n",
        Gets(("run7/a.czi", "run7/p.pdf"), ("run7",), references=("run7/p.pdf",)),
    ),
    one(
        "an attachment that is not there",
        "cells.czi",
        "cells.yaml",
        T + "attachments: [{file: p.pdf}]\n",
        Gets(("cells.czi",), missing=("p.pdf",)),
    ),
    Tree(
        "two share an attachment, also in a member folder",
        ("run7/a.czi", "run7/p.pdf", "b.czi"),
        {"run7.yaml": T + "attachments: [{file: run7/p.pdf}]\n", "b.yaml": T + "attachments: [{file: run7/p.pdf}]\n"},
        {
            "run7.yaml": Gets(("run7/a.czi",), references=("run7/p.pdf",)),
            "b.yaml": Gets(("b.czi",), references=("run7/p.pdf",)),
        },
    ),
    # --- what is a sidecar, and what is data
    Tree(
        "sidecars side by side",
        ("a.czi", "b.czi"),
        {"a.yaml": T, "b.yml": T},
        {"a.yaml": Gets(("a.czi",)), "b.yml": Gets(("b.czi",))},
    ),
    Tree(
        "a sidecar inside a member folder is data",
        ("run7/a.czi",),
        {"run7.yaml": T, "run7/a.yaml": T},
        {"run7.yaml": Gets(("run7/a.czi", "run7/a.yaml"), ("run7",))},
    ),
    Tree(
        "a sidecar inside a zarr is data",
        ("x.zarr/0/0",),
        {"x.zarr/meta.json": '{"target": {"dataset": "x"}}'},
        {},
    ),
    Tree(
        "YAML of a microscope is data",
        ("run7/a.tif", "run7.json", "meta.yaml"),
        {"run7.yaml": T},
        {"run7.yaml": Gets(("run7.json", "run7/a.tif"), ("run7",))},
    ),
    Tree(
        "a glob takes no sidecar",
        ("b.czi",),
        {"all.yaml": T + 'files: {include: ["*"]}\n', "broken.yaml": "target: {dataset: HeLa\n"},
        {"all.yaml": Gets(("b.czi",)), "broken.yaml": Gets(wrong="mistake")},
    ),
    Tree(
        "a sidecar named by another",
        ("a.czi",),
        {"x.yaml": T + "files: {include: [a.yaml]}\n", "a.yaml": T},
        {"x.yaml": Gets(wrong="sidecar itself"), "a.yaml": Gets(("a.czi",))},
    ),
    Tree(
        "in the folder of a broken sidecar nothing is a sidecar",
        ("run7/a.czi",),
        {"run7.yaml": "target: [\n", "run7/a.yaml": T},
        {"run7.yaml": Gets(wrong="mistake")},
    ),
    # --- a filed folder that is moved back whole
    Tree(
        "the records of a filed folder are no sidecars and no data",
        (f"{FILED}/d/cells.czi", f"{FILED}/journal.jsonl"),
        {
            f"{FILED}/cells.yaml": T,
            f"{FILED}/request.json": '{"target": {"dataset": "HeLa"}}',
            f"{FILED}/result.yaml": "target: {dataset: HeLa}\n",
            "all.yaml": T + 'files: {include: ["**"]}\n',
        },
        {f"{FILED}/cells.yaml": Gets(), "all.yaml": Gets((f"{FILED}/d/cells.czi",))},
    ),
    Tree(
        "a filed folder inside a member folder",
        ("run7/a.czi", "run7/old/d/b.czi", "run7/old/journal.jsonl", "run7/old/REASON.txt"),
        {"run7.yaml": T},
        {"run7.yaml": Gets(("run7/a.czi", "run7/old/d/b.czi"))},
    ),
    Tree(
        "a record that is named",
        ("old/journal.jsonl", "old/REASON.txt", "a.czi"),
        {"a.yaml": T + "files: {include: [a.czi, old/REASON.txt]}\n"},
        {"a.yaml": Gets(("a.czi",), wrong="record of a drop")},
    ),
    Tree(
        "a journal of another program is data",
        ("run7/a.czi", "run7/journal.jsonl", "b/a.czi", "b/result.yaml"),
        {"run7.yaml": T, "b.yaml": T},
        {"run7.yaml": Gets(("run7/a.czi", "run7/journal.jsonl"), ("run7",)), "b.yaml": Gets(("b/a.czi", "b/result.yaml"), ("b",))},
    ),
    # --- two sidecars for one file
    Tree(
        "an explicit name beats a glob",
        ("a.czi", "b.czi"),
        {"all.yaml": T + 'files: {include: ["*.czi"]}\n', "x.yaml": T + "files: {include: [b.czi]}\n"},
        {"all.yaml": Gets(("a.czi",)), "x.yaml": Gets(("b.czi",))},
    ),
    Tree(
        "a file named whole beats its stem",
        ("cells.czi", "cells.tif"),
        {"cells.yaml": T, "cells.czi.yaml": T},
        {"cells.yaml": Gets(("cells.tif",)), "cells.czi.yaml": Gets(("cells.czi",))},
    ),
    Tree(
        "a name inside another's folder",
        ("run7/a.czi", "run7/b.czi"),
        {"run7.yaml": T, "x.yaml": T + "files: {include: [run7/b.czi]}\n"},
        {"run7.yaml": Gets(("run7/a.czi",)), "x.yaml": Gets(("run7/b.czi",))},
    ),
    Tree(
        "two globs",
        ("a.czi", "b.czi", "b.lif"),
        {"x.yaml": T + 'files: {include: ["*.czi"]}\n', "y.yaml": T + 'files: {include: ["b.*"]}\n', "a.json": "[]"},
        {"x.yaml": Gets(("a.czi",), wrong="y.yaml"), "y.yaml": Gets(("b.lif",), wrong="x.yaml")},
    ),
    Tree(
        "a stem and a glob",
        ("a.czi",),
        {"a.yaml": T, "all.yaml": T + 'files: {include: ["*.czi"]}\n'},
        {"a.yaml": Gets(wrong="all.yaml"), "all.yaml": Gets(wrong="a.yaml")},
    ),
    Tree(
        "two of one stem",
        ("a.czi",),
        {"a.yaml": T, "a.yml": T},
        {"a.yaml": Gets(wrong="a.yml"), "a.yml": Gets(wrong="a.yaml")},
    ),
    Tree(
        "two explicit names",
        ("a.czi",),
        {"x.yaml": T + "files: {include: [a.czi]}\n", "y.yaml": T + "files: {include: [a.czi]}\n"},
        {"x.yaml": Gets(wrong="y.yaml"), "y.yaml": Gets(wrong="x.yaml")},
    ),
    Tree(
        "the longer stem",
        ("run7.tif", "run7.ome.tif"),
        {"run7.yaml": T, "run7.ome.yaml": T},
        {"run7.yaml": Gets(("run7.tif",)), "run7.ome.yaml": Gets(("run7.ome.tif",))},
    ),
)
