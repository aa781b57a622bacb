"""Who hears of what: the user, whom else the box or the sidecar names, the administrators; each once."""

from __future__ import annotations

import pytest

from dropbox_import.notify.message import WORD_OF, WORDS, Event, Message
from dropbox_import.notify.who import Heard, who_hears
from dropbox_import.settings.model import BoxNotify, Channel, Listener, Mail, Notify

RULES = Notify(mail=Mail("relay"), admin=Listener(("ops@example.org",)), channels={"lab-chat": Channel("lab-chat")})
PLAIN = BoxNotify()
KNOWN = {"jdoe": "jdoe@example.org", "asmith": "asmith@example.org", "nobody": ""}


def about(event: Event, *, user: str = "jdoe", owner: str = "jdoe", email: str | None = None, notify: tuple[str, ...] = ()) -> Message:
    return Message(event, f"x.{event}", drop="x", user=user, owner=owner, email=email, notify=notify)


def names(heard: Heard) -> list[str]:
    return [f"{one.audience} {one.route.name}" for one in heard.listeners]


def test_success_is_told_to_the_user_alone() -> None:
    assert names(who_hears(about("done"), RULES, PLAIN, KNOWN)) == ["user mail:jdoe@example.org"]


@pytest.mark.parametrize("event", ["failed", "partly"])
def test_failure_is_told_to_user_and_administrator(event: Event) -> None:
    assert names(who_hears(about(event), RULES, PLAIN, KNOWN)) == ["user mail:jdoe@example.org", "admin mail:ops@example.org"]


@pytest.mark.parametrize("event", ["attention", "alert-begins", "alert-ends"])
def test_what_needs_a_hand_is_told_to_the_administrator_alone(event: Event) -> None:
    assert names(who_hears(about(event), RULES, PLAIN, KNOWN)) == ["admin mail:ops@example.org"]


@pytest.mark.parametrize("event", ["waits-files", "waits-omero"])
def test_what_waits_is_told_to_the_user_alone(event: Event) -> None:
    assert names(who_hears(about(event), RULES, PLAIN, KNOWN)) == ["user mail:jdoe@example.org"]


def test_the_addresses_of_the_sidecar_hear_in_addition() -> None:
    heard = who_hears(about("done", notify=("pi@example.org",)), RULES, PLAIN, KNOWN)
    assert names(heard) == ["user mail:jdoe@example.org", "user mail:pi@example.org"]


def test_a_user_without_an_address_is_no_error() -> None:
    assert who_hears(about("done", user="nobody", owner="nobody"), RULES, PLAIN, KNOWN) == Heard(())
    assert who_hears(about("done", email=""), RULES, PLAIN, {}) == Heard(())


def test_an_address_that_is_not_known_yet_is_asked_for_and_the_others_need_not_wait() -> None:
    heard = who_hears(about("failed"), RULES, PLAIN, {})
    assert heard.unknown == ("jdoe",)
    assert names(heard) == ["admin mail:ops@example.org"]


def test_the_address_that_the_drops_own_session_told_counts() -> None:
    heard = who_hears(about("done", email="new@example.org"), RULES, PLAIN, KNOWN)
    assert names(heard) == ["user mail:new@example.org"]


def test_who_drops_for_somebody_else_hears_too() -> None:
    heard = who_hears(about("done", owner="asmith", email="asmith@example.org"), RULES, PLAIN, KNOWN)
    assert names(heard) == ["user mail:asmith@example.org", "user mail:jdoe@example.org"]


def test_one_who_is_user_and_administrator_hears_once() -> None:
    assert names(who_hears(about("failed", email="ops@example.org"), RULES, PLAIN, KNOWN)) == ["user mail:ops@example.org"]


def test_a_box_has_listeners_of_its_own_and_a_language() -> None:
    box = BoxNotify(language="fr", also=Listener(("lab-chat",)))
    heard = who_hears(about("failed"), RULES, box, KNOWN)
    assert names(heard) == ["user mail:jdoe@example.org", "box lab-chat", "admin mail:ops@example.org"]
    assert [one.language for one in heard.listeners] == ["fr", "fr", "en"]
    assert names(who_hears(about("alert-begins"), RULES, box, KNOWN)) == ["admin mail:ops@example.org"]


def test_everybody_chooses_events_and_users_their_channels() -> None:
    rules = Notify(
        mail=Mail("relay"),
        admin=Listener(("ops@example.org", "lab-chat"), ("trouble",)),
        user_events=("failed",),
        users={"jdoe": Listener(("lab-chat",), ("done", "failed"))},
        channels={"lab-chat": Channel("lab-chat")},
    )
    assert names(who_hears(about("done"), rules, PLAIN, KNOWN)) == ["user lab-chat"]
    assert names(who_hears(about("failed"), rules, PLAIN, KNOWN)) == ["user lab-chat"]
    assert names(who_hears(about("done", user="asmith", owner="asmith"), rules, PLAIN, KNOWN)) == []
    assert names(who_hears(about("alert-begins"), rules, PLAIN, KNOWN)) == ["admin mail:ops@example.org", "admin lab-chat"]
    assert names(who_hears(about("failed"), rules, BoxNotify(also=Listener(("lab-chat",), ("done",))), KNOWN)) == ["user lab-chat"]


def test_without_a_mail_server_nobodys_address_is_asked_for() -> None:
    rules = Notify(admin=Listener(("lab-chat",)), channels={"lab-chat": Channel("lab-chat")})
    heard = who_hears(about("failed", notify=("pi@example.org",)), rules, PLAIN, {})
    assert heard.unknown == ()
    assert names(heard) == ["admin lab-chat"]


def test_every_event_has_a_word_in_the_config() -> None:
    assert set(WORD_OF.values()) == set(WORDS)
