"""`notify:` of the config: what can be written, and what is told of each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dropbox_import.errors import ConfigError, Mistake
from dropbox_import.notify import message
from dropbox_import.settings import BoxNotify, Channel, Listener, Mail, Notify, Quiet, Settings, example_text, parse_settings
from dropbox_import.settings.model import DAY
from dropbox_import.settings.notify_fields import WORDS

BASE = "omero: {host: o.uni.org, user: importer}\nstate_dir: /var/lib/x\nboxes:\n  - path: /srv/a\n"
ADMIN = "notify:\n  admin: ops@x.org\n  mail: relay\n"  # lines 5 to 7


def made(text: str) -> Settings:
    return parse_settings((BASE + text).encode(), "c.yaml")


def notify(more: str) -> Notify:
    return made(ADMIN + more).notify


def mistakes(text: str) -> tuple[Mistake, ...]:
    with pytest.raises(ConfigError) as caught:
        made(text)
    return caught.value.mistakes


# --- what can be written -----------------------------------------------------------------


def test_one_line_is_enough() -> None:
    settings = made("notify: {admin: ops@example.org, mail: relay.example.org}")
    assert settings.notify == Notify(mail=Mail("relay.example.org"), admin=Listener(("ops@example.org",)))
    assert settings.notify.sender == "ops@example.org"
    assert settings.boxes[0].notify == BoxNotify()


@pytest.mark.parametrize("text", ["", "notify: {}", "notify: {language: en}"])
def test_nobody_need_be_told(text: str) -> None:
    assert made(text).notify == Notify()


def test_the_words_of_the_config_are_those_of_the_messages() -> None:
    assert WORDS == message.WORDS


def test_everything_written_out() -> None:
    settings = made(
        """    notify: {language: fr, also: [lab-chat, head@example.org]}
notify:
  admin: {to: [ops@example.org, lab-chat], events: [trouble, failed]}
  mail: {host: smtp.example.org, port: 587, security: starttls, user: imports, password_file: /etc/pw, from: imports@example.org,
         reply_to: ops@example.org, ca_file: /etc/ca.pem, insecure: false}
  channels:
    lab-chat: {url_file: /etc/lab-chat, quiet: "20:00-07:00"}
    ops: {credential: ops-chat}
  users:
    jdoe: {to: [jdoe@example.org, lab-chat], events: [failed, partly]}
    asmith: lab-chat
    bob: [bob@example.org]
    "007": {events: []}
  user_events: [failed]
  language: fr
  templates: /etc/texts
  web: https://omero.example.org/
  time_zone: Europe/Paris
  gather: 5 s
  digest: 1 h
  limit: {letters: 3, per: 1 d}
  give_up_after: 2 d
  waits_after: 2 h
"""
    )
    assert settings.boxes[0].notify == BoxNotify("fr", Listener(("lab-chat", "head@example.org")))
    assert settings.notify == Notify(
        mail=Mail(
            "smtp.example.org", 587, "starttls", "imports", Path("/etc/pw"), "imports@example.org", "ops@example.org", Path("/etc/ca.pem")
        ),
        admin=Listener(("ops@example.org", "lab-chat"), ("trouble", "failed")),
        user_events=("failed",),
        users={
            "jdoe": Listener(("jdoe@example.org", "lab-chat"), ("failed", "partly")),
            "asmith": Listener(("lab-chat",)),
            "bob": Listener(("bob@example.org",)),
            "007": Listener((), ()),
        },
        channels={
            "lab-chat": Channel("lab-chat", Path("/etc/lab-chat"), None, Quiet(1200, 420)),
            "ops": Channel("ops", None, "ops-chat"),
        },
        language="fr",
        templates=Path("/etc/texts"),
        web="https://omero.example.org",
        time_zone="Europe/Paris",
        gather=5.0,
        digest=3600.0,
        limit=3,
        per=DAY,
        give_up_after=2 * DAY,
        waits_after=7200.0,
    )
    assert settings.notify.sender == "imports@example.org"


@pytest.mark.parametrize(
    ("text", "port", "security"),
    [
        ("relay", None, "none"),
        ("relay:587", 587, "starttls"),
        ("relay:465", 465, "tls"),
        ("relay:2525", 2525, "none"),
        ("{host: relay, port: 25}", 25, "none"),
        ("{host: relay, port: 587}", 587, "starttls"),
        ("{host: relay, port: 465}", 465, "tls"),
        ("{host: relay, security: tls}", None, "tls"),
        ("{host: relay, port: 587, security: none}", 587, "none"),
        ("{host: relay, user: u, security: starttls}", None, "starttls"),
    ],
)
def test_the_port_says_how_mail_is_encrypted(text: str, port: int | None, security: str) -> None:
    mail = made(f"notify: {{admin: ops@x.org, mail: {text}}}").notify.mail
    assert mail is not None
    assert (mail.host, mail.port, mail.security) == ("relay", port, security)


def test_a_single_word_stands_for_a_list_of_one() -> None:
    told = notify("  users: {jdoe: {to: jdoe@x.org, events: failed}}\n  user_events: done")
    assert told.users["jdoe"] == Listener(("jdoe@x.org",), ("failed",))
    assert told.user_events == ("done",)


def test_administrators_may_have_a_chat_only_if_mails_come_from_somebody() -> None:
    told = made("notify: {admin: chat, mail: {host: relay, from: a@x.org}, channels: {chat: {url_file: /c}}}").notify
    assert (told.sender, told.admin.to) == ("a@x.org", ("chat",))
    assert made("notify: {admin: chat, channels: {chat: {url_file: /c}}}").notify.sender is None


@pytest.mark.parametrize(
    ("text", "quiet"), [('"20:00-07:00"', Quiet(1200, 420)), ("7:30 - 8:00", Quiet(450, 480)), ("00:00-23:59", Quiet(0, 1439))]
)
def test_quiet_hours(text: str, quiet: Quiet) -> None:
    assert notify(f"  channels: {{chat: {{url_file: /c, quiet: {text}}}}}").channels["chat"].quiet == quiet


def test_what_the_example_has_commented_out_is_right_too() -> None:
    keys = "notify|language|also|admin|mail|host|port|security|user|password_file|from|reply_to|ca_file|insecure|channels|lab-chat|url_file"
    keys += "|quiet|ops-chat|credential|users|jdoe|to|events|templates|web|time_zone"
    text = re.sub(rf"^(\s*)# ({keys}):", r"\1\2:", example_text(), flags=re.MULTILINE)
    settings = parse_settings(text.encode(), "c.yaml")
    told = settings.notify
    assert settings.boxes[0].notify == BoxNotify("fr", Listener(("lab-chat",)))
    assert told.mail == Mail(
        "smtp.example.org",
        587,
        "starttls",
        "imports",
        Path("/etc/dropbox-import/mail-password"),
        "imports@example.org",
        "ops@example.org",
        Path("/etc/dropbox-import/mail-ca.pem"),
    )
    assert told.channels["lab-chat"] == Channel("lab-chat", Path("/etc/dropbox-import/lab-chat"), None, Quiet(1200, 420))
    assert told.channels["ops-chat"] == Channel("ops-chat", None, "ops-chat")
    assert told.users == {"jdoe": Listener(("jdoe@example.org", "lab-chat"), ("failed", "partly"))}
    assert (told.web, told.time_zone, told.templates) == (
        "https://omero.example.org",
        "Europe/Paris",
        Path("/etc/dropbox-import/templates"),
    )


# --- mistakes ----------------------------------------------------------------------------

CHAT = "  channels:\n    chat: {url_file: /c}\n"  # lines 8 and 9
SECRET = "an address of a chat is a secret and never stands in the config"

ONE_MISTAKE: list[tuple[str, str, int, int, str, str]] = [
    # who is named
    (
        "no such channel",
        ADMIN + CHAT + "  users: {jdoe: caht}",
        10,
        17,
        'caht is neither an address nor a channel, did you mean "chat"?',
        "",
    ),
    ("no channels", ADMIN + "  users: {jdoe: {to: [chat]}}", 8, 23, "notify.users.jdoe: chat is neither an address nor", "below channels"),
    ("another name", ADMIN + CHAT + "  users: {jdoe: everybody}", 10, 17, "everybody is neither", "one of the channels chat"),
    ("admin misspelt", "notify: {admin: ops.x.org, mail: relay}", 5, 17, "notify.admin: ops.x.org is neither", "like ops@example.org"),
    ("also", "    notify: {also: [chat]}", 5, 21, "boxes.notify.also: chat is neither an address", ""),
    ("also in a mapping", "    notify: {also: {to: chat}}", 5, 25, "boxes.notify.also: chat is neither an address", ""),
    ("no address", "notify: {admin: 'a b@x.org', mail: relay}", 5, 17, "does not look like an e-mail address", "jdoe@uni.org"),
    ("no mail server", "notify: {admin: ops@x.org}", 5, 17, "is a mail address, but there is no mail server", "mail: smtp.example.org"),
    ("also without mail", "    notify: {also: head@x.org}", 5, 20, "head@x.org is a mail address, but there is no mail server", ""),
    (
        "no admin",
        "notify:\n  mail: {host: relay, from: a@x.org}",
        5,
        1,
        "notify.admin: is missing: nobody would hear",
        "admin: ops@example.org",
    ),
    ("no admin of chats", "notify:\n" + CHAT, 5, 1, "notify.admin: is missing: nobody would hear of trouble", "the name of a channel"),
    ("nobody in admin", "notify: {admin: [], mail: relay}", 5, 17, "the list is empty", ""),
    ("admin without to", "notify: {admin: {events: [done]}, mail: relay}", 5, 17, "notify.admin: it is not said to whom", "add to:"),
    ("empty admin", "notify:\n  admin:\n  mail: relay", 6, 9, "notify.admin: has no value", ""),
    ("empty user", ADMIN + "  users: {'': ops@x.org}", 8, 11, "the login of this user is empty", "jdoe: lab-chat"),
    ("event", ADMIN + "  user_events: [done, faild]", 8, 23, 'not "faild", did you mean "failed"?', ""),
    ("event of a user", ADMIN + "  users: {j: {events: [x]}}", 8, 24, "one of done, partly, failed, attention, waits or trouble", ""),
    ("chat in to", ADMIN + "  users: {jdoe: 'slack://hunter2'}", 8, 17, SECRET, "url_file: /etc"),
    # channels
    ("url", ADMIN + "  channels: {chat: {url: 'slack://hunter2'}}", 8, 21, SECRET, "mode 0600 and write url_file: /etc"),
    ("url as channel", ADMIN + "  channels: {chat: 'slack://hunter2'}", 8, 20, "this channel is no mapping", "url_file: /etc"),
    ("url as file", ADMIN + "  channels: {chat: {url_file: 'slack://hunter2'}}", 8, 31, SECRET, "mode 0600"),
    ("url as name", ADMIN + "  channels: {'slack://hunter2': {url_file: /c}}", 8, 13, SECRET, ""),
    ("url as credential", ADMIN + "  channels: {chat: {credential: 'slack://hunter2'}}", 8, 33, "not the name of a systemd credential", ""),
    ("no place", ADMIN + "  channels: {chat: {quiet: '20:00-07:00'}}", 8, 20, "it is not said where the address", "add url_file"),
    (
        "two places",
        ADMIN + "  channels: {chat: {url_file: /c, credential: c}}",
        8,
        20,
        "url_file and credential are both given",
        "remove one",
    ),
    ("key of a channel", ADMIN + "  channels: {chat: {url_fiel: /c, url_file: /c}}", 8, 21, 'unknown key, did you mean "url_file"?', ""),
    ("named mail", ADMIN + "  channels: {mail: {url_file: /c}}", 8, 14, "this name stands for mail itself", "another name"),
    ("name of a channel", ADMIN + "  channels: {Lab Chat: {url_file: /c}}", 8, 14, "Lab Chat cannot name a channel", "a-z, 0-9 and -"),
    ("quiet", ADMIN + "  channels: {chat: {url_file: /c, quiet: night}}", 8, 42, "night is not from one time", '"20:00-07:00"'),
    ("quiet hour", ADMIN + "  channels: {chat: {url_file: /c, quiet: 20:00-24:00}}", 8, 42, "is not from one time of the day", ""),
    ("always quiet", ADMIN + "  channels: {chat: {url_file: /c, quiet: 7:00-07:00}}", 8, 42, "these hours end where they begin", ""),
    # mail
    (
        "password",
        "notify: {admin: a@x.org, mail: {host: r, password: hunter2}}",
        5,
        42,
        "a password never stands in the config",
        "mail-password",
    ),
    ("as file", "notify: {admin: a@x.org, mail: {host: r, password_file: hunter2}}", 5, 57, "a password never stands", "mode 0600"),
    (
        "address as mail",
        "notify: {admin: a@x.org, mail: 'smtp://u:hunter2@r'}",
        5,
        32,
        "the name of a mail server is expected",
        "smtp.example",
    ),
    ("no host", "notify: {admin: a@x.org, mail: {port: 25}}", 5, 32, "notify.mail.host: is missing", "add host: smtp.example.org"),
    ("port in host", "notify: {admin: a@x.org, mail: {host: 'r:587'}}", 5, 39, "holds a port", "port: 587"),
    ("port", "notify: {admin: a@x.org, mail: 'r:99999'}", 5, 32, "99999 is not between 1 and 65535", ""),
    (
        "in the clear",
        "notify: {admin: a@x.org, mail: {host: r, user: u}}",
        5,
        32,
        "a password would travel in the clear",
        "security: starttls",
    ),
    (
        "both ways",
        "notify: {admin: a@x.org, mail: {host: r, ca_file: /c, insecure: true}}",
        5,
        32,
        "insecure and ca_file",
        "remove insecure",
    ),
    ("ca for nothing", "notify: {admin: a@x.org, mail: {host: r, ca_file: /c}}", 5, 32, "no certificate is looked at", "starttls"),
    ("password of nobody", "notify: {admin: a@x.org, mail: {host: r, password_file: /p}}", 5, 32, "but no user", "add user"),
    ("sender", "notify: {admin: a@x.org, mail: {host: r, sender: a@x.org}}", 5, 42, 'did you mean "from"?', ""),
    (
        "from nobody",
        "notify: {admin: chat, mail: 'r:25', channels: {chat: {url_file: /c}}}",
        5,
        29,
        "from whom mails come",
        "port: 25, from:",
    ),
    ("no from", "notify: {admin: chat, mail: {host: r}, channels: {chat: {url_file: /c}}}", 5, 29, "from whom", "add from: imports@"),
    ("no from address", "notify: {admin: a@x.org, mail: {host: r, from: me}}", 5, 48, "me does not look like an e-mail address", ""),
    # the rest
    ("time zone", ADMIN + "  time_zone: Europe/Pariss", 8, 14, 'Europe/Pariss is no time zone, did you mean "Europe/Paris"?', ""),
    ("part of a zone", ADMIN + "  time_zone: Europe", 8, 14, "Europe is no time zone", ""),
    ("path as a zone", ADMIN + "  time_zone: /etc/passwd", 8, 14, "is no time zone", "Europe/Paris"),
    ("web", ADMIN + "  web: omero.example.org", 8, 8, "this is not an address of OMERO.web", "with https://"),
    ("web of a file", ADMIN + "  web: file:///etc", 8, 8, "this is not an address of OMERO.web", ""),
    ("language", ADMIN + "  language: de", 8, 13, "one of en or fr is expected", ""),
    ("language of a box", "    notify: {language: english}", 5, 24, "one of en or fr is expected", ""),
    ("templates", ADMIN + "  templates: texts", 8, 14, "texts is not an absolute path", ""),
    ("gather", ADMIN + "  gather: 2 h", 8, 11, "notify.gather: this is too long; at most 1 h", "1 h or less"),
    ("digest", ADMIN + "  digest: 2 d", 8, 11, "at most 1 d", ""),
    ("letters", ADMIN + "  limit: {letters: 0}", 8, 20, "0 is not between 1 and 10000", ""),
    ("per", ADMIN + "  limit: {per: 1 s}", 8, 16, "at least 1 min", ""),
    ("long per", ADMIN + "  limit: {per: 8 d}", 8, 16, "at most 7 d", ""),
    ("give up", ADMIN + "  give_up_after: 1 s", 8, 18, "at least 1 min", ""),
    ("waits", ADMIN + "  waits_after: 0", 8, 16, "at least 1 min", ""),
    ("unknown key", ADMIN + "  langauge: en", 8, 3, 'notify.langauge: unknown key, did you mean "language"?', ""),
    ("unknown key of a box", "    notify: {alos: x}", 5, 14, 'boxes.notify.alos: unknown key, did you mean "also"?', ""),
    ("unknown key of a user", ADMIN + "  users: {j: {evnets: [done]}}", 8, 15, 'did you mean "events"?', ""),
]


@pytest.mark.parametrize(("text", "line", "column", "says", "hint"), [row[1:] for row in ONE_MISTAKE], ids=[row[0] for row in ONE_MISTAKE])
def test_a_mistake_is_told_with_its_place_and_its_cure(text: str, line: int, column: int, says: str, hint: str) -> None:
    (mistake,) = mistakes(text)
    assert says in mistake.sentence
    assert hint in mistake.hint
    assert (mistake.line, mistake.column) == (line, column)
    assert mistake.hint or "did you mean" in mistake.sentence
    assert "hunter2" not in str(mistake)


def test_mistakes_between_keys_are_told_together_with_those_in_keys() -> None:
    found = mistakes("    notify: {also: cat}\nnotify:\n  admin: ops@x.org\n  language: de\n  users: {j: chat, k: dog}\n" + CHAT)
    assert [one.line for one in found] == [5, 7, 8, 9]
    assert [
        word for one in found for word in ("cat is neither", "no mail server", "en or fr", "dog is neither") if word in one.sentence
    ] == [
        "cat is neither",
        "no mail server",
        "en or fr",
        "dog is neither",
    ]


@pytest.mark.parametrize("value", ["", "x", "[x]", "{x: y}", "null", "[[x]]", "[{x: y}]", "{'': ''}", "-1"])
@pytest.mark.parametrize("key", [*Notify.__dataclass_fields__, "admin: {to", "mail: {from", "channels: {a", "users: {a", "limit: {per"])
def test_any_value_gives_settings_or_mistakes(key: str, value: str) -> None:
    text = f"    notify: {{also: {value}}}\nnotify: {{{key}: {value}{'}' if '{' in key else ''}}}\n"
    with pytest.raises(ConfigError) as caught:
        made(text)
    assert all(one.sentence for one in caught.value.mistakes)
