"""The notifier's commands (docs/worker-protocol.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dropbox_import.clock import Clock
from dropbox_import.errors import ConfigError, TryLater
from dropbox_import.notifier import samples
from dropbox_import.notifier.channels import NOT_DELIVERED, listen, send_to_channel
from dropbox_import.notifier.check import problems
from dropbox_import.notifier.config import Config
from dropbox_import.notifier.mail import Seconds, compose, send_mail
from dropbox_import.notifier.texts import Texts
from dropbox_import.notify.message import MAIL, Letter, Route
from dropbox_import.plain import from_plain, to_plain
from dropbox_import.workers.serve import Handler, Job


class Notifier:
    """One installation's ways to people. Its commands may run at once in threads, `configure` before all others."""

    def __init__(self, clock: Clock, seconds: Seconds | None = None) -> None:
        self._clock = clock
        self._seconds = seconds or Seconds()
        self._config = Config()
        self._texts = Texts(self._config)
        listen()

    def handlers(self) -> Mapping[str, Handler]:
        """What each command does, by its name."""
        return {"configure": self._configure, "check": self._check, "render": self._render, "test": self._test, "send": self._send}

    def _configure(self, job: Job) -> dict[str, Any]:
        config = from_plain(Config, job.args)
        try:
            self._texts = Texts(config)
        except ValueError as problem:
            raise ConfigError(f"notify.time_zone: {problem}.", hint='Write a name such as "Europe/Paris", or leave it out.') from problem
        self._config = config
        if config.mail and config.mail.ca_file:
            os.environ["SSL_CERT_FILE"] = config.mail.ca_file  # apprise has no setting for it, Python's TLS looks here
        return {}

    def _check(self, job: Job) -> dict[str, Any]:
        return {"problems": [to_plain(one) for one in problems(self._config, self._texts)]}

    def _render(self, job: Job) -> dict[str, Any]:
        rendered = self._texts.render(from_plain(Letter, job.args["letter"]))
        return {"subject": rendered.subject, "text": rendered.text, "html": rendered.html}

    def _test(self, job: Job) -> dict[str, Any]:
        route = from_plain(Route, job.args["route"])
        now = self._clock.now().isoformat(timespec="microseconds")
        return self._deliver(job, samples.test_letter(route, job.args.get("language", "en"), now))

    def _send(self, job: Job) -> dict[str, Any]:
        return self._deliver(job, from_plain(Letter, job.args["letter"]))

    def _deliver(self, job: Job, letter: Letter) -> dict[str, Any]:
        rendered = self._texts.render(letter)
        route, config = letter.route, self._config
        if route.channel == MAIL:
            if config.mail is None:
                raise TryLater("The config names no mail server.", hint="Write notify.mail.", code=NOT_DELIVERED)
            message = compose(letter, rendered, config.mail, config.instance, self._clock.now())
            job.in_call("deliver")
            send_mail(config.mail, message, self._seconds)
        else:
            address = config.channels.get(route.channel)
            if address is None:
                raise TryLater(f"The config has no channel {route.channel}.", hint="Write it under notify.channels.", code=NOT_DELIVERED)
            job.in_call("deliver")
            send_to_channel(route.channel, address, rendered, connect_seconds=self._seconds.connect, read_seconds=self._seconds.read)
        return {}
