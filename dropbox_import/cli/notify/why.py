"""Who is still to hear of a message or letter, and what it waits for. Told from the disk, by the rules that the daemon goes by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dropbox_import.cli.drops import life
from dropbox_import.cli.notify.found import Lying, Place
from dropbox_import.cli.ordering import daemon_runs
from dropbox_import.clock import SystemClock
from dropbox_import.daemon.addresses import FILE
from dropbox_import.notify.message import Route
from dropbox_import.notify.plan import silent_for
from dropbox_import.notify.who import who_hears
from dropbox_import.settings.model import BoxNotify
from dropbox_import.spool.layout import Layout, is_claimed

if TYPE_CHECKING:
    from dropbox_import.settings import Settings

NOT_FILED = "its drop is not filed yet"
NO_WAY = "the config names no mail server and no channel"
GIVEN_UP = "it could not be sent"
TO_SEND = "it is sent in a moment"


def explained(lying: Sequence[Lying], settings: Settings) -> list[Lying]:
    """Each with its `to` and `why`."""
    return Reasons(lying, settings).all()


class Reasons:
    """For all that lies there at once: a message may wait for the letter before it."""

    def __init__(self, lying: Sequence[Lying], settings: Settings) -> None:
        self._lying = lying
        self._settings = settings
        self._known = known_addresses(settings.state_dir)
        self._runs = daemon_runs(settings.state_dir)
        self._alive = {(box, beat.instance) for box, beats in life(settings).items() for beat in beats if beat.alive}
        self._ahead = {(one.place.folder, one.letter.route.name) for one in lying if one.letter is not None and one.state != "dead"}

    def all(self) -> list[Lying]:
        return [self._explained(one) for one in self._lying]

    def _explained(self, one: Lying) -> Lying:
        if one.letter is not None:
            why = one.letter.why or (GIVEN_UP if one.state == "dead" else self._of_letter(one.place, one.letter.route))
            return replace(one, to=(one.letter.route.name,), why=why)
        return self._of_message(one) if one.message is not None else one

    def _of_letter(self, place: Place, route: Route) -> str:
        if not self._runs_there(place):
            return _sleeps(place)
        notify = self._settings.notify
        channel = notify.channels.get(route.channel)
        now = SystemClock().now().astimezone(ZoneInfo(notify.time_zone) if notify.time_zone else None)
        if silent_for(channel.quiet if channel is not None else None, now) > 0:
            return f"{route.channel} is silent at this time of the day (quiet)"
        return TO_SEND

    def _of_message(self, one: Lying) -> Lying:
        message, box, notify = one.message, one.place.box, self._settings.notify
        assert message is not None
        heard = who_hears(message, notify, box.notify if box is not None else BoxNotify(), self._known)
        to = tuple(name for listener in heard.listeners if (name := listener.route.name) not in one.told)
        return replace(one, to=to, why=self._why(one.place, message.drop, to, heard.unknown))

    def _why(self, place: Place, drop: str, to: Sequence[str], unknown: Sequence[str]) -> str:
        if place.box is not None and drop and _claimed(Layout(place.box.path), drop):
            return NOT_FILED
        if self._settings.notify.mail is None and not self._settings.notify.channels:
            return NO_WAY
        if not self._runs_there(place):
            return _sleeps(place)
        if unknown:
            return f"OMERO is asked for the address of {', '.join(unknown)}"
        if behind := [name for name in to if (place.folder, name) in self._ahead]:
            return f"the letter before it, to {', '.join(behind)}, is not sent yet"
        return f"it goes with the next letter to {', '.join(to)}" if to else "nobody else is to hear of it; it goes in a moment"

    def _runs_there(self, place: Place) -> bool:
        if place.mine or place.box is None:
            return self._runs
        return (str(place.box.path), place.instance) in self._alive


def known_addresses(state_dir: Path) -> Mapping[str, str]:
    """What OMERO said of users, as the daemon has kept it."""
    try:
        kept: Any = json.loads((state_dir / FILE).read_bytes())
        return {str(login): str(address) for login, address in kept.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _claimed(layout: Layout, drop: str) -> bool:
    try:
        return is_claimed(layout, drop)
    except OSError:  # who may not list inprogress/ cannot know
        return False


def _sleeps(place: Place) -> str:
    return "the daemon does not run" if place.mine else f"the daemon {place.instance} does not run"
