"""`notify:` of the config, and of a box: what each key takes. What concerns several keys is in notify_between.py."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from dropbox_import.settings.fields import Folder, Seconds, at_least, at_most, host_name
from dropbox_import.settings.model import DAY, BoxNotify, Channel, Listener, Mail, Notify
from dropbox_import.settings.notify_fields import (
    PASSWORD,
    SECRET_IN_CHANNEL,
    ChannelName,
    Credential,
    Hours,
    Login,
    PasswordFile,
    Port,
    Recipients,
    Security,
    Some,
    TimeZone,
    Tongue,
    UrlFile,
    Web,
    Words,
    as_channel,
    as_channels,
    as_listener,
    as_mail_server,
)
from dropbox_import.sidecar.checks import Name, Part, Shape, YesNo, told
from dropbox_import.sidecar.fields import Mail as Address
from dropbox_import.strict_yaml import Node


class ListenerPart(Part):
    """Who hears of which events."""

    to: Recipients = Field([], description="Mail addresses and names of channels.")
    events: Words | None = Field(None, description="Of which events; default: those that are usual there.")


def _with_recipient(part: ListenerPart) -> ListenerPart:
    if not part.to:
        raise told("it is not said to whom", "add to: and an address or the name of a channel")
    return part


# A user who is named without `to` hears at the address that OMERO knows; others must have one.
UserListener = Annotated[ListenerPart, BeforeValidator(as_listener, json_schema_input_type=ListenerPart | str | list[str])]
FullListener = Annotated[UserListener, AfterValidator(_with_recipient)]


class MailPart(Part):
    """The mail server."""

    host: Annotated[str, host_name("smtp.example.org")] = Field(description="Name of the server, as in its certificate.")
    port: Port | None = Field(None, description="Its port; default: 25 without encryption, 587 for starttls, 465 for tls.")
    security: Security | None = Field(
        None, description="How it is encrypted; default: starttls for port 587, tls for port 465, otherwise none."
    )
    user: Name | None = Field(None, description="Login at the mail server.")
    password_file: PasswordFile | None = Field(
        None, description="File that holds its password, mode 0600; default: the systemd credential mail-password."
    )
    sender: Address | None = Field(None, alias="from", description="From whom mails come; default: the first address of admin.")
    reply_to: Address | None = Field(None, description="Where answers go.")
    ca_file: Folder | None = Field(None, description="Certificate of who signed the server's, in PEM form; default: the system's.")
    insecure: YesNo = Field(False, description="Do not verify the server's certificate.")

    def safety(self) -> Security:
        """How it is encrypted, said or by the port."""
        return self.security or ("starttls" if self.port == 587 else "tls" if self.port == 465 else "none")

    @model_validator(mode="after")
    def _together(self) -> MailPart:
        if self.insecure and self.ca_file is not None:
            raise told("insecure and ca_file are both given; with insecure: true no certificate is looked at", "remove insecure")
        if self.safety() == "none":
            if self.user is not None:
                raise told("there is a user, but security is none: a password would travel in the clear", "write security: starttls")
            if self.ca_file is not None:
                raise told("there is a ca_file, but security is none: no certificate is looked at", "write security: starttls")
        if self.user is None and self.password_file is not None:
            raise told("there is a password_file, but no user", "add user: and the login at the mail server, or remove password_file")
        return self


class ChannelPart(Part):
    """A chat or another service that apprise knows."""

    url_file: UrlFile | None = Field(None, description="File that holds its address, as apprise writes it, mode 0600.")
    credential: Credential | None = Field(None, description="The systemd credential that holds its address.")
    quiet: Hours | None = Field(None, description='Hours in which it is silent, like "20:00-07:00".')

    @model_validator(mode="after")
    def _one_place(self) -> ChannelPart:
        if self.url_file is None and self.credential is None:
            raise told("it is not said where the address of this channel is", "add url_file: /etc/dropbox-import/lab-chat, of mode 0600")
        if self.url_file is not None and self.credential is not None:
            raise told("url_file and credential are both given", "remove one of them")
        return self


class LimitPart(Part):
    """The most letters for one recipient."""

    letters: Some = Field(10, description="So many letters ...")
    per: Annotated[Seconds, at_least(60, "1 min"), at_most(7 * DAY, "7 d")] = Field(3600.0, description="... in this time.")


class NotifyPart(Part):
    """Who is told what, and how. Without mail and channels nobody is told anything."""

    admin: FullListener | None = Field(None, description="Who hears of trouble: an address, a channel, a list of them, or {to, events}.")
    mail: Annotated[MailPart, BeforeValidator(as_mail_server, json_schema_input_type=MailPart | str)] | None = Field(
        None, description="The mail server: host, host:port, or a mapping."
    )
    channels: Annotated[
        dict[ChannelName, Annotated[ChannelPart, BeforeValidator(as_channel)]],
        BeforeValidator(as_channels, json_schema_input_type=dict[str, ChannelPart]),
    ] = Field({}, description="Chats and other services, each with a name.")
    users: dict[Login, UserListener] = Field({}, description="Users who hear elsewhere or of other events, by login.")
    user_events: Words = Field(["done", "partly", "failed", "waits"], description="What users hear of their own drops.")
    language: Tongue = Field("en", description="In which language people are told.")
    templates: Folder | None = Field(None, description="Folder with texts that replace those of the package.")
    web: Web | None = Field(None, description="Address of OMERO.web, for links.")
    time_zone: TimeZone | None = Field(
        None, description="Zone of the times that people are told and of quiet hours; default: the machine's."
    )
    gather: Annotated[Seconds, at_most(3600, "1 h")] = Field(10.0, description="How long a letter waits for more of the same.")
    digest: Annotated[Seconds, at_most(DAY, "1 d")] = Field(180.0, description="How long after a letter the next one waits.")
    limit: LimitPart = Field(LimitPart(), description="The most letters for one recipient.")
    give_up_after: Annotated[Seconds, at_least(60, "1 min"), at_most(90 * DAY, "90 d")] = Field(
        5 * DAY, description="What could not be sent for so long is laid aside."
    )
    waits_after: Annotated[Seconds, at_least(60, "1 min")] = Field(
        3600.0, description="A drop that waits so long for OMERO is told to its user."
    )


class BoxNotifyPart(Part):
    """What is special in one box."""

    language: Tongue | None = Field(None, description="Language of its users; default: that of all.")
    also: FullListener | None = Field(None, description="Who hears of its drops besides their users; written like admin.")


class ConfigShape(Shape):
    """As Shape; below `channels` and `users` stand names that people choose, and "*" is each of them."""

    def unknown_key(self, place: str, key: str, node: Node | None, flow: bool) -> tuple[str, str]:
        start = next((start for start in ("notify.channels.", "notify.users.") if place.startswith(start)), None)
        return super().unknown_key(f"{start}*" if start else place, key, node, flow)


PLACES: dict[str, type[BaseModel]] = {
    "notify": NotifyPart,
    "notify.admin": ListenerPart,
    "notify.mail": MailPart,
    "notify.channels.*": ChannelPart,
    "notify.users.*": ListenerPart,
    "notify.limit": LimitPart,
    "boxes.*.notify": BoxNotifyPart,
    "boxes.*.notify.also": ListenerPart,
}
MEANT = {
    "notify.channels.*.url": SECRET_IN_CHANNEL,
    "notify.mail.password": PASSWORD,
    "notify.mail.host is missing": ("is missing: it is not said which mail server", "add host: smtp.example.org"),
    "notify.mail.sender": ('notify.mail.sender: unknown key, did you mean "from"?', ""),
}


# --- frozen --------------------------------------------------------------------------


def notify_of(part: NotifyPart) -> Notify:
    """The frozen data of a part that was checked."""
    values: dict[str, Any] = {name: getattr(part, name) for name in ("language", "templates", "time_zone", "gather", "digest")}
    return Notify(
        mail=_mail_of(part.mail) if part.mail is not None else None,
        admin=_listener_of(part.admin),
        user_events=tuple(part.user_events),
        users={login: _listener_of(listener) for login, listener in part.users.items()},
        channels={name: Channel(name, one.url_file, one.credential, one.quiet) for name, one in part.channels.items()},
        web=part.web or "",
        limit=part.limit.letters,
        per=part.limit.per,
        give_up_after=part.give_up_after,
        waits_after=part.waits_after,
        **values,
    )


def box_notify_of(part: BoxNotifyPart) -> BoxNotify:
    return BoxNotify(part.language, _listener_of(part.also))


def _mail_of(part: MailPart) -> Mail:
    values = {name: getattr(part, name) for name in type(part).model_fields}
    return Mail(**{**values, "security": part.safety()})


def _listener_of(part: ListenerPart | None) -> Listener:
    if part is None:
        return Listener()
    return Listener(tuple(part.to), None if part.events is None else tuple(part.events))
