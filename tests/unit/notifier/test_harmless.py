"""Texts of others: one line, bounded, without links, mentions or surprises; names of files stay as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.notifier.harmless import LONGEST, harmless, harmless_message
from dropbox_import.notify.message import Message

AS_THEY_ARE = (
    "a.tif",
    "cells.czi",
    "/srv/imports/done/jdoe/2026-11/cells__20261128-100412-e6fmeqfeom",
    "run7/field_1.ome.tif",
    "plate.zarr/0/c/1",
    "set.companion.ome",
    "cells@2x.tif",
    "jdoe@example.org",
    "C:\\drop\\failed\\x",
    'typo.yaml:2:1: tagz: unknown key, did you mean "tags"?',
    "Größe 5 µm – été 日本語",
)


def test_trouble_may_name_the_server_that_it_is_about() -> None:
    text = "OMERO at omero.example.org:4064 cannot be reached"
    assert harmless(text, hosts=True) == text
    alert = Message("alert-begins", text=text, sidecar="evil.com")
    assert (harmless_message(alert).text, harmless_message(alert).sidecar) == (text, "evil[.]com")
    assert harmless_message(Message("failed", text=text)).text == "OMERO at omero[.]example[.]org:4064 cannot be reached"


@pytest.mark.parametrize(
    "text",
    [
        "evil.com",
        "ftp.evil.com",
        "evil.com:443",
        "evil.zip/login",
        "a.evil.mov/x",
        "/evil.com/login",
        "see evil.com.",
        "(evil.io)",
        "x.co,y",
    ],
)
def test_a_host_alone_is_no_link_either(text: str) -> None:
    assert harmless(text) != text
    assert harmless(text).replace("[.]", ".") == text


@pytest.mark.parametrize("text", AS_THEY_ARE)
def test_names_paths_and_sentences_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://evil.com/x", "http[:]//evil[.]com/x"),
        ("see HTTPS://evil.com", "see HTTPS[:]//evil[.]com"),
        ("www.evil.com", "www[.]evil.com"),
        ("evil.com/login?x=1", "evil[.]com/login?x=1"),
        ("a.b.evil.co:8080/x", "a[.]b[.]evil[.]co:8080/x"),
        ("mailto:x@y.org", "mailto[:]x@y.org"),
        ("javascript:alert(1)", "javascript[:]alert(1)"),
        ("@here look", "＠here look"),
        ("foo@everyone", "foo＠everyone"),
        ("<!channel> <@U123> <#C1>", "< !channel> <＠U123> < #C1>"),
        ("[x](http://evil)", "[x] (http[:]//evil)"),
        ("a\r\nBcc: x\n\ty", "a Bcc: x y"),
        ("\u202egpj.exe\u0007", "\ufffdgpj.exe\ufffd"),
        ("caf\udce9.tif \ud800", "caf\\xe9.tif \ufffd"),
        ("e\u200bvil", "evil"),
        ("x" * 100_000, "x" * (LONGEST - 1) + "…"),
    ],
)
def test_what_could_act_is_made_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text(st.characters(), max_size=80))
def test_any_text_becomes_one_bounded_printable_line_and_a_second_time_changes_nothing(text: str) -> None:
    shown = harmless(text, 60)
    assert shown.isprintable()
    assert len(shown) <= 60
    assert "://" not in shown
    assert harmless(shown, 60) == shown
    shown.encode()
