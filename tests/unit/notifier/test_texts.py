"""What people read: every event in both languages, digests, and templates of a site."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dropbox_import.notifier import samples
from dropbox_import.notifier.check import Problem, problems
from dropbox_import.notifier.config import Config
from dropbox_import.notifier.harmless import harmless
from dropbox_import.notifier.texts import MOST_BYTES, SHIPPED, Rendered, Texts
from dropbox_import.notify.message import Audience, ImageMade, Letter, Message, Route, Waiter, WentWrong

CONFIG = Config(web="https://omero.example.org/", time_zone="Europe/Paris", instance="facility-1")
MACRO = re.compile(r"{% macro (\w+\([^)]*\))")
BY_EVENT = {one.event: one for one in samples.MESSAGES}
NASTY = (
    "x\r\nBcc: victim@example.org\r\n\r\n<script>alert(1)</script>",
    "{{ 7 * 7 }}{% for x in y %}",
    "<a href='http://evil.com/'>click</a> [x](http://evil.com/) www.evil.com/a evil.com/b",
    '"><img src=x onerror=alert(1)> @here <!channel> @everyone',
    "caf\udce9 \ud800 \u202eabc \x00\x1b[31m",
    "é" * 100_000,
)


class Page(HTMLParser):
    """The elements of a page, and the links in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def letter(*messages: Message, language: str = "en", audience: Audience = "user", folded: dict[str, int] | None = None) -> Letter:
    return Letter("L1", Route("mail", "jdoe@example.org"), audience, language, "2026-11-28T10:05:00+00:00", messages, folded or {})


def render(*messages: Message, config: Config = CONFIG, **more: object) -> Rendered:
    return Texts(config).render(letter(*messages, **more))


def spoiled(message: Message, nasty: str) -> Message:
    """`message` with `nasty` in all that others write."""
    return replace(
        message,
        **dict.fromkeys(("box", "user", "owner", "sidecar", "project", "dataset", "text", "hint", "done_at", "failed_at", "since"), nasty),
        images=tuple(ImageMade(one.id, nasty) for one in message.images),
        failures=tuple(WentWrong(nasty, nasty, (nasty,), one.more, (nasty,)) for one in message.failures),
        points=tuple(nasty for _ in message.points),
        waiting=tuple(Waiter(nasty, nasty) for _ in message.waiting),
    )


def filled(message: Message) -> Message:
    return spoiled(message, "harmless")


def test_every_event_is_told_in_both_languages_and_to_everybody() -> None:
    texts = Texts(CONFIG)
    for one in samples.letters():
        rendered = texts.render_strictly(one)
        assert rendered.subject.startswith("[dropbox-import] "), one
        assert rendered.subject.isprintable()
        assert len(rendered.text) > 100
        assert f'lang="{one.language}"' in rendered.html
        for text in (rendered.subject, rendered.text, rendered.html):
            assert not re.search(r"(?i:fileset|\bclaim|journal|traceback|undefined)|\bNone\b", text)


def test_both_languages_have_the_same_sentences() -> None:
    english, french = ([*MACRO.findall((SHIPPED / language / "words.j2").read_text("utf-8"))] for language in ("en", "fr"))
    assert english == french


def test_french_has_a_no_break_space_before_its_double_signs() -> None:
    text = re.sub(r"{[%#].*?[%#]}|{{.*?}}", "x", (SHIPPED / "fr/words.j2").read_text("utf-8"), flags=re.DOTALL)
    assert re.findall(r"[^\u00a0][:;!?»]", text) == []


def test_a_done_drop_is_told_with_its_images_place_files_and_links() -> None:
    rendered = render(BY_EVENT["done"])
    assert rendered.subject == "[dropbox-import] cells.yaml: 14 images imported"
    for part in (
        "Demo / HeLa",
        "HeLa control",
        "and 11 more",
        "1.2\u00a0GB",
        "28 Nov 2026, 11:05 CET",
        "show=dataset-5",
        "Drop: 20261128-100412",
    ):
        assert part in rendered.text
    assert "https://omero.example.org/webclient/?show=image-123" in Page(rendered.html).links


def test_one_image_is_linked_itself_and_without_omero_web_nothing_is() -> None:
    one = replace(BY_EVENT["done"], images=(ImageMade(7, "a.tif"),), images_in_all=1)
    assert Page(render(one).html).links == ["https://omero.example.org/webclient/?show=image-7"] * 2
    assert Page(render(one, config=Config()).html).links == []


def test_a_failed_drop_is_told_with_mistakes_and_what_to_do() -> None:
    rendered = render(BY_EVENT["failed"])
    assert rendered.subject == "[dropbox-import] cells.yaml could not be imported"
    for part in (
        "field_3.tif, field_4.tif and 5 more",
        "What to do: Copy it again",
        "cells.yaml:2:1: tagz",
        "/srv/imports/failed/",
        "put the whole folder back",
    ):
        assert part in rendered.text


def test_of_a_refused_sidecar_it_is_said_that_the_images_are_still_there() -> None:
    rendered = render(replace(BY_EVENT["failed"], sidecar_only=True))
    assert "save the sidecar in the drop folder again" in rendered.text
    assert "put the whole folder back" not in rendered.text
    assert "The sidecar is now in" in rendered.html


def test_only_administrators_see_box_and_user_and_users_read_of_their_own_drops() -> None:
    assert "microscopes" not in render(BY_EVENT["failed"]).text
    assert "Drop box: microscopes" in render(BY_EVENT["failed"], audience="admin").text
    assert "3 of your drops wait" in render(BY_EVENT["waits-omero"]).subject
    assert "3 drops wait" in render(BY_EVENT["waits-omero"], audience="admin").subject


def test_a_digest_counts_and_tells_failures_first_and_an_outage_once() -> None:
    done, failed, begins, ends = (BY_EVENT[name] for name in ("done", "failed", "alert-begins", "alert-ends"))
    rendered = render(done, begins, failed, ends, done, audience="admin", folded={"failed": 300, "done": 150})
    assert rendered.subject == "[dropbox-import] 152 imported, 301 failed, 1 alert"
    assert (
        rendered.text.index("could not be imported")
        < rendered.text.index("Over: ")
        < rendered.text.index("- cells.yaml: 14 images in Demo / HeLa")
    )
    assert "Trouble: " not in rendered.text
    assert "and 450 more: 150 imported, 300 failed; they are in done/ and failed/" in rendered.text


@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_hostile_texts_add_no_element_link_line_or_template(nasty: str, language: str) -> None:
    texts = Texts(CONFIG)
    for message in samples.MESSAGES:
        for audience in ("user", "admin"):
            good = texts.render_strictly(letter(filled(message), language=language, audience=audience))
            bad = texts.render_strictly(letter(spoiled(message, nasty), language=language, audience=audience))
            assert bad.subject.isprintable()
            assert len(bad.subject) <= 160
            assert bad.text.count("\n") == good.text.count("\n")
            page, wanted = Page(bad.html), Page(good.html)
            assert (page.tags, page.links, page.attributes) == (wanted.tags, wanted.links, wanted.attributes)
            for text in (bad.subject, bad.text):
                assert "49" not in text
                assert not re.search(r"https?://(?!omero\.example\.org/)|www\.|evil\.com/|@here|<!", text)


def test_however_much_there_is_to_tell_a_letter_stays_small() -> None:
    wrong = WentWrong("é" * 5000, "ü" * 5000, ("日" * 5000,) * 50, 9, ("語" * 5000,) * 50)
    huge = replace(BY_EVENT["failed"], failures=(wrong,) * 50, points=("x" * 5000,) * 500)
    one, many = render(huge), render(*(huge,) * 500)
    for rendered in (one, many):
        assert len(rendered.text.encode()) <= MOST_BYTES
        assert len(rendered.html.encode()) <= MOST_BYTES
    assert "500 failed" in many.subject


def site(folder: Path, name: str, text: str) -> Config:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return replace(CONFIG, templates=str(folder))


def found(config: Config) -> tuple[Problem, ...]:
    return problems(config, Texts(config))


def test_the_shipped_templates_have_no_problem() -> None:
    assert found(CONFIG) == ()


def test_a_site_replaces_one_template_and_the_others_stay(tmp_path: Path) -> None:
    config = site(tmp_path, "subject.txt", "Ours: {{ letter.full[0].sidecar }}")
    assert render(BY_EVENT["failed"], config=config).subject == "Ours: cells.yaml"
    assert render(BY_EVENT["failed"], config=config).text == render(BY_EVENT["failed"]).text


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("one\n{% if %}\n", "letter.txt:2: Expected an expression"),
        ("one\ntwo\n{{ letter.nothing }}", "letter.txt:3: "),
        ("{{ ''.__class__.__mro__ }}", "letter.txt:1: "),
        ("{{ letter.full.__class__.__base__.__subclasses__() }}", "letter.txt:1: "),
        ("{{ 'x' * 300000 }}", "more than 95000 bytes"),
    ],
)
def test_a_broken_template_of_a_site_is_told_with_its_line_and_holds_no_letter_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, where: str
) -> None:
    config = site(tmp_path, "letter.txt", text)
    told = found(config)
    assert {one.about for one in told} == {"templates"}
    assert any(where in one.sentence for one in told), told
    with caplog.at_level(logging.WARNING):
        assert render(BY_EVENT["failed"], config=config) == render(BY_EVENT["failed"])
    assert where in caplog.text


def test_words_of_a_site_that_lack_a_sentence_are_told(tmp_path: Path) -> None:
    words = (SHIPPED / "fr/words.j2").read_text("utf-8").replace("{% macro title_failed(m) %}", "{% macro title_fehlt(m) %}")
    config = site(tmp_path, "fr/words.j2", words)
    assert "fr/words.j2 of this site has no macro title_failed." in {one.sentence for one in found(config)}
    assert render(BY_EVENT["failed"], config=config, language="fr").subject == "[dropbox-import] cells.yaml n’a pas pu être importé"


def test_a_folder_that_is_not_there_and_a_file_that_replaces_nothing_are_told(tmp_path: Path) -> None:
    (one,) = found(replace(CONFIG, templates=str(tmp_path / "none")))
    assert "is not there" in one.sentence
    (one,) = found(site(tmp_path, "leter.txt", "x"))
    assert "leter.txt replaces nothing" in one.sentence


def test_a_language_that_is_not_known_is_told_in_english() -> None:
    assert render(BY_EVENT["failed"], language="xx") == render(BY_EVENT["failed"])


def test_a_subject_is_bounded() -> None:
    assert len(render(replace(BY_EVENT["failed"], sidecar="n" * 4000)).subject) <= 160
    assert harmless("") == ""
