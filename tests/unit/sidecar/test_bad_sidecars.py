"""What a user writes wrong is told with file, line, column and cure, all of it at once."""

from __future__ import annotations

import time

import pytest

from dropbox_import.errors import SidecarInvalid
from dropbox_import.sidecar import parse_sidecar

T = "target: {dataset: HeLa}\n"

# text, line, column, words of the sentence, words of the hint
ONE_MISTAKE: list[tuple[str, str, int, int, str, str]] = [
    ("unknown key", T + "tagz: [a]", 2, 1, 'tagz: unknown key, did you mean "tags"?', ""),
    ("unknown key without a neighbour", T + "frobnicate: 1", 2, 1, "frobnicate: unknown key", "known here: schema, owner"),
    ("unknown key below", "target: {dataset: {nam: x}}", 1, 20, 'target.dataset.nam: unknown key, did you mean "name"?', ""),
    ("key in another case", T + "Owner: jdoe", 2, 1, 'Owner: unknown key, did you mean "owner"?', ""),
    ("key at the wrong level", T + "dataset: x", 2, 1, "belongs below target", "target: {dataset"),
    ("own key below the top", "target: {dataset: a, x-mine: 1}", 1, 22, "target.x-mine: unknown key", "known here"),
    ("merge key", T + "image: {<<: a}", 2, 9, "merging by <<", "write the keys out"),
    ("duplicate key", T + "owner: a\nowner: b", 3, 1, "owner: this key stands here twice, first in line 2", "keep one"),
    ("not yet: contact", T + "contact: {name: J}", 2, 1, "contact: not supported yet", "remove it"),
    ("not yet: ready", T + "ready: {quiet: 45 min}", 2, 1, "ready: not supported yet", ""),
    ("not yet: rows", T + "rows: []", 2, 1, "rows: not supported yet", ""),
    ("not yet: table", T + "table: a.csv", 2, 1, "table: not supported yet", ""),
    ("not yet: options", T + "options: {}", 2, 1, "options: not supported yet", ""),
    ("not yet: links", T + "links: {}", 2, 1, "links: not supported yet", ""),
    ("not yet: annotations", T + "annotations: [1]", 2, 1, "annotations: not supported yet", ""),
    ("not yet: each", T + "each: file", 2, 1, "each: not supported yet", ""),
    ("not yet: sets", T + "files: {sets: []}", 2, 9, "files.sets: not supported yet", "include"),
    ("not yet: screen", "target: {dataset: a, screen: x}", 1, 22, "target.screen: not supported yet", ""),
    ("not yet: screen by string", "target: Screen:id:5", 1, 9, "Screen: as a target is not supported yet", "dataset"),
    ("not yet: on well", T + "key_values: [{on: well, pairs: {a: b}}]", 2, 19, "well is not supported yet", "image"),
    ("on no project", T + "key_values: [{on: project, pairs: {a: b}}]", 2, 14, "the target names no project", "on: dataset"),
    ("on no dataset", "target: none\nattachments: [{file: a, on: dataset}]", 2, 15, "the target names no dataset", "on: image"),
    ("no target", "owner: x", 1, 1, "target: is missing", "target: {dataset: HeLa}"),
    ("empty target", "target:", 1, 8, "target: has no value", "target: none"),
    ("target without a kind", "target: HeLa", 1, 9, "whether this is a dataset", 'target: {dataset: "HeLa"}'),
    ("project alone", "target: {project: P}", 1, 9, "no dataset is given", "add dataset"),
    ("id and name", "target: {dataset: {id: 1, name: a}}", 1, 19, "id and name are both given", "keep"),
    ("create with an id", "target: {dataset: {id: 1, create: true}}", 1, 19, "create has no meaning", "remove"),
    ("project with the id of a dataset", "target: {project: P, dataset: {id: 1}}", 1, 9, "needs no project", "remove project"),
    ("bare number with a zero", "target: {dataset: 00123}", 1, 19, "begins with 0", 'write {id: 123} for the id, or {name: "00123"}'),
    (
        "bare number like a date",
        "target: {dataset: 20251122}",
        1,
        19,
        "reads as a date",
        'write {id: 20251122} for the id, or {name: "20251122"}',
    ),
    ("id that is none", "target: {dataset: {id: zero}}", 1, 24, 'a whole number is expected, not "zero"', ""),
    ("target string below", "target: {dataset: 'Dataset:id:151'}", 1, 19, "directly after target", "target: "),
    ("always a new one", "target: 'Dataset:@name:x'", 1, 9, "@name", "Dataset:name:x"),
    ("unknown placeholder", "target: {dataset: '{folderr}'}", 1, 19, "{folderr}: unknown placeholder", "known here: date, file"),
    ("series in a target", "target: {dataset: '{series}'}", 1, 19, "chosen before the images are opened", "known here"),
    ("attribute in a placeholder", "target: {dataset: '{date.year}'}", 1, 19, "is no placeholder", "{{ and }}"),
    ("single brace", "target: {dataset: 'a}'}", 1, 19, "a single } stands in the name", "{{ and }}"),
    ("bad date format", "target: {dataset: '{date:%Q}'}", 1, 19, "%Q is no part of a date", "{date:%Y-%m-%d}"),
    ("name too long", f"target: {{dataset: {'a' * 256}}}", 1, 19, "256 characters", "shorter"),
    ("on_ambiguous", "target: {dataset: a, on_ambiguous: newst}", 1, 36, 'not "newst", did you mean "newest"?', ""),
    ("rating too high", T + "rating: 9", 2, 9, "9 is not between 1 and 5", "1 to 5"),
    ("rating as a word", T + "rating: good", 2, 9, 'a whole number is expected, not "good"', "digits"),
    ("yes for true", T + "end: yes", 2, 6, 'true or false is expected, not "yes"', "write true"),
    ("mail", T + "notify: [jdoe]", 2, 10, "does not look like an e-mail address", "jdoe@uni.org"),
    ("one text for a list", T + "tags: HeLa", 2, 7, 'a list is expected, not "HeLa"', "write tags: [HeLa]"),
    ("list for a text", T + "owner: [a]", 2, 8, "a text is expected here, not a list", ""),
    ("mapping for a text", T + "comments: [a: b]", 2, 12, "not a mapping", "quotes"),
    ("empty value", T + "owner:", 2, 7, "owner: has no value", "remove the key"),
    ("comma in braces", T + "image: {description: {append: 100x, 5 % CO2}}", 2, 37, "a comma separates", "quotes"),
    ("pair of three", T + "key_values: [{pairs: [[a, b, c]]}]", 2, 23, "a key and a value, not 3 parts", "[Organism"),
    ("no pairs", T + "key_values: [{on: image}]", 2, 14, "key_values.pairs: is missing", "add pairs"),
    ("submission", T + "submission: a/b", 2, 13, "letters, digits", "run-7"),
    ("newer format", T + "schema: 2", 2, 9, "version 2", "schema: 1"),
    ("absolute path", T + "files: {include: [/data/a.tif]}", 2, 19, "an absolute path is not allowed", "from there"),
    ("dots", T + "files: {include: [../a.tif]}", 2, 19, ".. leaves the folder", "from there"),
    ("drive", T + r"files: {include: ['C:\data\a.tif']}", 2, 19, "a drive or a server", "from there"),
    ("share", T + r"files: {include: ['\\srv\a.tif']}", 2, 19, "a drive or a server", "from there"),
    ("backslash", T + r"files: {include: [sub\a.tif]}", 2, 19, "a backslash", "sub/a.tif"),
    ("backslash that became a tab", T + r'files: {include: ["sub\tif.tif"]}', 2, 19, "no tabs or line breaks", "write / instead"),
    (
        "backslash in double quotes",
        T + r'files: {include: ["C:\data\a.tif"]}',
        2,
        19,
        "a backslash inside double quotes",
        "write / instead",
    ),
    ("path in expect", T + "files: {expect: {size: {/a: 1}}}", 2, 25, "an absolute path", ""),
    ("size that is none", T + "files: {expect: {size: {a: big}}}", 2, 28, 'a whole number is expected, not "big"', ""),
    ("checksum", T + "files: {expect: {sha256: {a: 9f2c}}}", 2, 30, "64 digits", "sha256sum"),
    ("empty include", T + "files: {include: []}", 2, 18, "the list is empty", ""),
    ("mime", T + "attachments: [{file: a.pdf, mime: pdf}]", 2, 35, "pdf is no media type", "application/pdf"),
    ("control character", T + 'comments: ["a\\x07"]', 2, 12, "control character \\x07", "remove"),
    ("tab", "target:\n\tdataset: HeLa", 2, 1, "a tab stands at the beginning", "spaces"),
    ("tab after a key", "target: none\nowner:\n  \t- x", 3, 3, "a tab stands at the beginning", "spaces"),
    ("curly quotes", T + "tags: [“HeLa”]", 2, 8, "curly quotes are no quotes", "straight"),
    ("curly quotes that break the line", T + "image: {name: “a: b”}", 2, 15, "curly quotes are no quotes", "straight"),
    ("star", T + "files: {include: [*.tif]}", 2, 19, "begins with * or &", '"*.czi"'),
    ("at sign", T + "owner: @me", 2, 8, "cannot begin with @", "quotes"),
    ("colon in a text", T + "owner: a: b", 2, 9, "a colon stands where no key can end", "quotes"),
    ("bracket left open", T + "tags: [a, b", 2, 7, "the [ that opens here is not closed", "add ]"),
    ("brace left open", "target: {dataset: a", 1, 9, "the { that opens here is not closed", "cut while it was written"),
    ("quote left open", T + "owner: 'a", 2, 8, "the quote that opens here is not closed", "close it"),
    ("uneven columns", T + "owner: a\n  group: b", 3, 8, "a colon stands where no key can end", "one column"),
    ("tag of YAML", T + "owner: !!python/object:os.system x", 2, 8, "YAML tags are not used", "quotes"),
    ("alias of nothing", T + "owner: *x", 2, 8, "*x: there is no anchor", "quotes"),
    ("two documents", T + "---\ntarget: none", 2, 1, "a second document", "remove"),
    ("a list", "- target: none", 1, 1, "does not begin with a key", "key: value"),
    ("a key that is a list", T + "[a, b]: c", 2, 1, "a key must be a text", ""),
    ("nothing", "", 0, 0, "the file is empty", "target"),
    ("comments only", "# later\n", 0, 0, "the file is empty", "target"),
]


@pytest.mark.parametrize(("text", "line", "column", "says", "hint"), [row[1:] for row in ONE_MISTAKE], ids=[row[0] for row in ONE_MISTAKE])
def test_a_mistake_is_told_with_its_place_and_its_cure(text: str, line: int, column: int, says: str, hint: str) -> None:
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(text.encode(), "cells.yaml")
    (mistake,) = caught.value.mistakes
    assert says in mistake.sentence
    assert hint in mistake.hint
    assert (mistake.file, mistake.line, mistake.column) == ("cells.yaml", line, column)


def test_every_mistake_is_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
tagz: [a]
target: {dataset: 00123}
rating: 9
end: yes
notify: me
contact: {a: b}
files: {sets: [], include: [../x, 'a\\b'], expect: {size: {/a: 1, b: x}}}
key_values: [{on: well, pairs: {a: b}}, {pairs: [a, [b]]}]
"""
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(text.encode(), "c.yaml")
    assert [one.line for one in caught.value.mistakes] == [1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 8, 8, 8]
    assert str(caught.value.mistakes[0]) == 'c.yaml:1:1: tagz: unknown key, did you mean "tags"?'
    assert caught.value.sentence == "The sidecar c.yaml has 14 mistakes."


def test_tabs_are_told_for_every_line_at_once() -> None:
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(b"target:\n\tproject: a\n\tdataset: b\n", "c.yaml")
    assert [(one.line, one.column) for one in caught.value.mistakes] == [(2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("data", "line", "column", "says"),
    [
        (b'{"target": {"dataset": "a"}, "rating": 7}', 1, 40, "7 is not between 1 and 5"),
        (b'{"target": {"dataset": "a"},\n "tagz": []}', 2, 2, "tagz: unknown key"),
        (b'{"target": {"dataset": "a"}', 1, 28, "the JSON text ends too early"),
        (b'{"target": {"dataset": "a', 1, 26, "the JSON text ends too early"),
        (b'{"target": "none", "target": "none"}', 1, 20, "stands here twice"),
        (b'{"target": "none",}', 1, 19, "a key in double quotes is expected"),
        (b"{'target': 'none'}", 1, 2, "a key in double quotes is expected"),
        (b'{"target": none}', 1, 12, "no JSON value begins here"),
        (b'{"target": {"dataset": 007}}', 1, 24, "no JSON value begins here"),
        (b'{"target" "none"}', 1, 11, "a colon is expected"),
        (b'{"target": "none" "owner": "x"}', 1, 19, "a comma or } is expected"),
        (b'{"target": "none"} {}', 1, 20, "something follows"),
        (b'{"target": "none", "files": {"include": ["C:\\d\\x"]}}', 1, 45, "an escape"),
        (b'{"target": {"dataset": 20251122}}', 1, 24, "reads as a date"),
        (b"", 0, 0, "the file is empty"),
    ],
)
def test_json_mistakes_have_their_place_too(data: bytes, line: int, column: int, says: str) -> None:
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(data, "c.json")
    (mistake,) = caught.value.mistakes
    assert says in mistake.sentence
    assert (mistake.line, mistake.column) == (line, column)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("target: none".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("target: none".encode("utf-16-be"), "UTF-16 without a byte order mark"),
        ("target: none".encode("utf-32"), "UTF-32"),
        ("target: none".encode("utf-16")[:-1], "begins as UTF-16 and is cut"),
        (b"\0" * 4096, "only zero bytes"),
        (b"target: none\n" + b"\0" * 20, "zero bytes"),
        (b"target: none\n# " + b"x" * (10 << 20), "at most 1,048,576 bytes are read"),
        (b"target: n\x81ne", "neither UTF-8 nor Windows-1252"),
        (b"target: none\n\x07", "control character \\x07"),
    ],
)
def test_what_is_no_text_is_refused_with_a_sentence(data: bytes, says: str) -> None:
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(data, "c.yaml")
    (mistake,) = caught.value.mistakes
    assert says in mistake.sentence
    assert mistake.hint


def test_a_yaml_bomb_is_refused_before_it_grows() -> None:
    levels = [f"x-{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 10)]
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(("x-0: &a0 [lol]\n" + "\n".join(levels)).encode(), "c.yaml")
    assert "100,000 values" in caught.value.mistakes[0].sentence


def test_more_than_a_few_aliases_are_refused() -> None:
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(("x-0: &a lol\nx-1: [" + ", ".join(["*a"] * 60) + "]").encode(), "c.yaml")
    assert "more than 50 aliases" in caught.value.mistakes[0].sentence


@pytest.mark.parametrize(("name", "data"), [("c.yaml", b"x-a: " + b"[" * 100_000), ("c.json", b'{"x-a": ' + b"[" * 100_000)])
def test_deep_nesting_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(data, name)
    assert "20 deep" in caught.value.mistakes[0].sentence


def test_a_message_holds_no_control_characters_and_little_of_the_file() -> None:
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(b'target: none\n"\\x1b[2Jgone": 1\n? ' + b"k" * 900 + b"\n: 1\n", "c\n\x1b.yaml")
    text = str(caught.value)
    assert "\x1b" not in text
    assert all(len(one.sentence) < 200 for one in caught.value.mistakes)


def test_many_mistakes_are_cut_short() -> None:
    keys = "".join(f"frob{number}: 1\n" for number in range(300))
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(keys.encode(), "c.yaml")
    assert len(caught.value.mistakes) == 101
    assert "201 more mistakes" in caught.value.mistakes[-1].sentence
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(b"target: none\n" * 300, "c.yaml")
    assert len(caught.value.mistakes) == 101


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("c.yaml", b"".join(b"k%d: 1\n" % number for number in range(20_000))),
        ("c.yaml", b"target: none\nfiles: {expect: {size: {" + b"".join(b"k%d: x, " % number for number in range(20_000)) + b"}}}"),
        ("c.json", b'{"target": "none", "tags": [' + b"[]," * 20_000 + b"1]}"),
    ],
)
def test_a_file_full_of_mistakes_does_not_keep_the_box_busy(name: str, data: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(SidecarInvalid):
        parse_sidecar(data, name)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(("name", "says"), [("run.yaml.txt", "ends in .txt"), ("sub/omero.yml", "not supported yet")])
def test_a_wrong_file_name_has_its_own_sentence(name: str, says: str) -> None:
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(b"target: none", name)
    assert says in caught.value.mistakes[0].sentence


def test_a_sidecar_is_no_way_to_send_mail_to_everybody() -> None:
    many = ", ".join(f"a{number}@example.org" for number in range(21))
    with pytest.raises(SidecarInvalid) as refused:
        parse_sidecar(f"target: {{dataset: HeLa}}\nnotify: [{many}]\n".encode(), "cells.yaml")
    (mistake,) = refused.value.mistakes
    assert (mistake.line, mistake.sentence) == (2, "notify: 21 addresses are too many; 20 can be told")
