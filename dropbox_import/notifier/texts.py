"""Letters in words: a subject, a plain text and an HTML page, made by templates that a site may replace one by one.

The templates see messages whose texts are harmless already. They run in a sandbox; in HTML everything that is put in is escaped.
A mistake in a template of the site holds no letter up: then the one that came with the product is used.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dropbox_import.errors import TryLater
from dropbox_import.notifier import forms
from dropbox_import.notifier.arrange import Bounds, arrange
from dropbox_import.notifier.config import Config
from dropbox_import.notifier.harmless import harmless
from dropbox_import.notify.message import Letter, Message

log = logging.getLogger(__name__)

LANGUAGES = ("en", "fr")
SHIPPED = Path(__file__).with_name("templates")
MOST_BYTES = 95_000  # mail programs (Gmail, for one) hide the end of a page of more than about 100 kB
LONGEST_SUBJECT = 160
_BOUNDS = (Bounds(500, 20, 60), Bounds(160, 6, 30), Bounds(60, 2, 10))
_EMPTY_LINES = re.compile(r"\n{3,}")
_LINE_ENDS = re.compile(r"[ \t]+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter in words."""

    subject: str
    text: str
    html: str


class TooLong(ValueError):
    """A template makes more of a letter than may be sent."""


class Texts:
    """The texts of one installation. Raises ValueError for a time zone that there is not. Threads may share it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._zone = forms.zone_of(config.time_zone)
        self._site = Path(config.templates) if config.templates else None
        self._environments = {
            (language, html, site): self._environment(language, html, site)
            for language in LANGUAGES
            for html in (False, True)
            for site in {False, self._site is not None}
        }

    def render(self, letter: Letter) -> Rendered:
        """The letter in words, with the site's templates where they do. Raises TryLater, code `not-rendered`."""
        if self._site is not None:
            try:
                return self.render_strictly(letter)
            except Exception as problem:  # noqa: BLE001 a template can raise whatever Python can
                log.warning("a template of this site failed, the one of the product is used: %s", where_of(problem))
        try:
            return self._render(letter, site=False)
        except Exception as problem:
            raise TryLater(f"This message cannot be put into words: {where_of(problem)}", code="not-rendered") from problem

    def render_strictly(self, letter: Letter) -> Rendered:
        """As `render`, but a mistake in a template of the site is raised as it is."""
        return self._render(letter, site=self._site is not None)

    def missing_words(self) -> Iterator[tuple[str, str]]:
        """(file, macro) of what the product's words have and the site's, which replace them, have not."""
        for language in LANGUAGES:
            name = f"{language}/words.j2"
            if self._site is not None and (self._site / name).is_file():
                lacking = _macros(self._environments[language, False, False], name) - _macros(
                    self._environments[language, False, True], name
                )
                yield from ((name, macro) for macro in sorted(lacking))

    def _render(self, letter: Letter, *, site: bool) -> Rendered:
        language = letter.language if letter.language in LANGUAGES else LANGUAGES[0]
        for bounds in _BOUNDS:
            given = {"letter": arrange(letter, bounds), "audience": letter.audience}
            plain, page = (self._environments[language, html, site] for html in (False, True))
            subject = harmless(plain.get_template("subject.txt").render(given), LONGEST_SUBJECT)
            text = _tidy(plain.get_template("letter.txt").render(given))
            html = page.get_template("letter.html").render(given)
            if max(len(text.encode()), len(html.encode())) <= MOST_BYTES:
                return Rendered(subject, text, html)
        raise TooLong(f"more than {MOST_BYTES} bytes, however little it tells")

    def _environment(self, language: str, html: bool, site: bool) -> jinja2.Environment:
        folders = [*([self._site] if site and self._site else []), SHIPPED]
        made = ImmutableSandboxedEnvironment(
            loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(folder) for folder in folders]),
            undefined=jinja2.StrictUndefined,
            autoescape=html,  # of the whole environment: what a macro gives is taken as escaped already
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters |= _filters(language, self._zone, self._config.web)
        made.globals |= {"language": language, "instance": harmless(self._config.instance)}
        return made


def where_of(problem: BaseException) -> str:
    """What is wrong with a template, with its file and line."""
    said = str(problem) or type(problem).__name__
    if isinstance(problem, jinja2.TemplateSyntaxError):
        return f"{problem.filename or problem.name}:{problem.lineno}: {problem.message}"
    frames = []
    step = problem.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if name.endswith((".txt", ".html", ".j2")):
            frames.append(f"{name}:{step.tb_lineno}: ")
        step = step.tb_next
    return (frames[-1] if frames else "") + said


def _filters(language: str, zone: tzinfo | None, web: str) -> dict[str, object]:
    return {
        "name": lambda message: message.sidecar or message.drop or message.box,
        "place": lambda message: " / ".join(part for part in (message.project, message.dataset) if part),
        "link": lambda message: link_of(message, web),
        "image_link": lambda image: _show(web, f"image-{image.id}"),
        "date": lambda moment: forms.date(moment, language, zone),
        "size": lambda count: forms.size(count, language),
        "number": lambda count: forms.number(count, language),
    }


def link_of(message: Message, web: str) -> str:
    """The one address in OMERO.web that shows the images of a message: the image, or the dataset of several; "" = there is none."""
    if message.images_in_all > 1 and message.dataset_id:
        return _show(web, f"dataset-{message.dataset_id}")
    return _show(web, "%7C".join(f"image-{image.id}" for image in message.images))


def _show(web: str, what: str) -> str:
    return f"{web.rstrip('/')}/webclient/?show={what}" if web and what else ""


def _macros(environment: jinja2.Environment, name: str) -> set[str]:
    return {macro for macro in dir(environment.get_template(name).module) if not macro.startswith("_")}


def _tidy(text: str) -> str:
    return _EMPTY_LINES.sub("\n\n", _LINE_ENDS.sub("", text)).strip() + "\n"
