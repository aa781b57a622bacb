"""One connection to OMERO: verified TLS, a time-out on every call, always closed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import omero
import omero.clients
import omero.sys
from omero.rtypes import rlist, rlong, rstring, unwrap

from dropbox_import.errors import AccessDenied, ConfigError, NotAllowed
from dropbox_import.importer.errors import calling, effect_of, of_omero, with_effect

AGENT = "dropbox-import"
CALL_SECONDS = 60
CONNECT_SECONDS = 10
DEFAULT_PORT = 4064
ALL_GROUPS = -1
_URL = re.compile(r"(?P<protocol>\w+)://(?P<server>[^:/]+)(:(?P<port>\d+))?(?P<path>/.*)?$")
_ENCRYPTED = ("ssl", "wss")
_PLAIN = ("tcp", "ws")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What `configure` brings: where OMERO is and where the secret lies, never the secret itself."""

    host: str
    user: str
    port: int = DEFAULT_PORT
    password_file: str | None = None
    password_env: str = "OMERO_PASSWORD"
    ca_file: str | None = None
    insecure: bool = False
    group: str | None = None
    instance: str = ""
    sessions_dir: Path = Path()
    client_limits: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_args(cls, args: Mapping[str, Any]) -> ServerConfig:
        """Absent and null arguments keep their defaults."""
        given = {name: value for name, value in args.items() if name in cls.__dataclass_fields__ and value is not None}
        given["sessions_dir"] = Path(given["sessions_dir"])
        return cls(**given)

    def seconds(self, call: str, default: float) -> float:
        """The time-out of one named call."""
        return float(self.client_limits.get(call, default))


def properties(config: ServerConfig) -> dict[str, str]:
    """Ice properties that must be there before the client is made; raises ConfigError for an address that may not be used."""
    match = _URL.match(config.host)
    protocol = match["protocol"] if match else "ssl"
    if ("://" in config.host and not match) or protocol not in (*_ENCRYPTED, *_PLAIN):
        raise ConfigError(
            f'omero.host is "{config.host}", which is no address of an OMERO server.',
            hint='Write a host name, or "wss://omero.example.org:443/path".',
        )
    if protocol in _PLAIN and not config.insecure:
        raise ConfigError(
            f'omero.host begins with "{protocol}://", which sends everything readable over the network.',
            hint='Use "ssl://" or "wss://", or write "insecure: true" if you accept that.',
        )
    found = {
        "Ice.Override.ConnectTimeout": str(CONNECT_SECONDS * 1000),
        "Ice.Default.InvocationTimeout": str(int(config.seconds("call", CALL_SECONDS) * 1000)),
    }
    if config.insecure:
        return found | {"IceSSL.VerifyPeer": "0"}
    found |= {"IceSSL.VerifyPeer": "2", "IceSSL.CheckCertName": "1"}
    if config.ca_file is None:
        return found | {"IceSSL.UsePlatformCAs": "1"}
    try:
        there = Path(config.ca_file).is_file()
    except OSError as error:  # in a folder that we may not enter
        raise ConfigError(
            f"The certificate file {config.ca_file} cannot be read: {error.strerror}.", hint="Check omero.ca_file."
        ) from error
    if not there:
        raise ConfigError(f"The certificate file {config.ca_file} is not there.", hint="Check omero.ca_file.")
    return found | {"IceSSL.CAs": config.ca_file}


def make_client(config: ServerConfig) -> Any:
    """An omero.client that is not connected yet. Whoever makes it closes it with `close`, connected or not."""
    match = _URL.match(config.host)
    # a URL without a port takes the default of its protocol, not that of ssl
    port = None if match and config.port == DEFAULT_PORT else config.port
    with calling("preparing the connection"):
        client = omero.client(host=config.host, port=port, pmap=properties(config))
    client.setAgent(AGENT)
    return client


def close(client: Any) -> None:
    """Ends the connection and its threads; a dead server is no reason to complain."""
    with suppress(Exception):
        client.closeSession()


def password_of(config: ServerConfig) -> str:
    """The service account's password, read anew each time so that it can be changed under a running program."""
    if config.password_file:
        try:
            secret = Path(config.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeError) as error:
            raise AccessDenied(
                f"The password file {config.password_file} cannot be read ({type(error).__name__}).",
                hint="Check omero.password_file, its owner and its mode (0600).",
                code="password",
            ) from None
    else:
        secret = os.environ.get(config.password_env, "")
    if not secret:
        raise AccessDenied(
            "There is no password for the OMERO account.",
            hint=f"Write it into the file of omero.password_file, or set {config.password_env}.",
            code="password",
        )
    return secret


@contextmanager
def service_login(config: ServerConfig) -> Iterator[Any]:
    """A connected client of the service account, closed at the end."""
    client = make_client(config)
    try:
        secret = password_of(config)
        with own_rights(config), calling(f'logging in to OMERO as "{config.user}"'):
            client.createSession(config.user, secret)
        yield client
    finally:
        close(client)


@contextmanager
def own_rights(config: ServerConfig) -> Iterator[None]:
    """Around what the service account does for itself: if OMERO refuses it that, no drop is to blame, and all of them wait."""
    try:
        yield
    except NotAllowed as error:
        if not of_omero(error):
            raise
        raise with_effect(
            AccessDenied(
                f'OMERO refuses the account "{config.user}": {error.sentence}',
                hint="Ask the OMERO administrator whether it is still active, an administrator, and in its group.",
                code="login",
            ),
            effect_of(error),
        ) from None


def patient(proxy: Any, seconds: float) -> Any:
    """The same proxy with another time-out for its calls."""
    return proxy.ice_invocationTimeout(int(seconds * 1000))


def ask(client: Any, hql: str, **values: str | int | Sequence[int]) -> list[list[Any]]:
    """The rows of one of `queries` over all groups, as plain values."""
    return ask_in(client, ALL_GROUPS, hql, values)


def ask_in(client: Any, group: int, hql: str, values: Mapping[str, str | int | Sequence[int]]) -> list[list[Any]]:
    """The same in one group. An empty list among the values has no rows and is not asked."""
    if any(isinstance(value, (list, tuple)) and not value for value in values.values()):
        return []
    params = omero.sys.ParametersI()
    for name, value in values.items():
        params.add(name, _wire(value))
    # an explicit context replaces the client's own, so it starts from that
    rows = client.getSession().getQueryService().projection(hql, params, client.getContext(group))
    return [[unwrap(cell) for cell in row] for row in rows]


def _wire(value: str | int | Sequence[int]) -> Any:
    if isinstance(value, str):
        return rstring(value)
    if isinstance(value, int):
        return rlong(value)
    return rlist([rlong(item) for item in value])
