"""Owner and group: who OMERO knows, is active, and is a member of what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dropbox_import.errors import NotAllowed
from dropbox_import.importer import queries
from dropbox_import.importer.connection import ServerConfig, ask, own_rights, service_login
from dropbox_import.importer.errors import calling

EVERYBODY = "user"  # OMERO's group of all active accounts: no data lies in it


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    login: str
    email: str


@dataclass(frozen=True, slots=True)
class Group:
    id: int
    name: str


def find_person(client: Any, login: str) -> Person:
    """The active account of that login. Raises NotAllowed with the reason."""
    with calling(f'looking up the user "{login}"'):
        rows = ask(client, queries.USER, n=login)
        active = bool(rows) and bool(ask(client, queries.USER_IS_ACTIVE, n=login)[0][0])
    if not rows:
        raise NotAllowed(
            f'OMERO has no user "{login}".',
            hint='Write the OMERO login, with its capital letters, as "owner:" in the sidecar, or use the drop folder of that name. '
            "Whoever has an account of the institution (LDAP) must have logged in to OMERO once.",
            code="no-such-owner",
        )
    if not active:
        raise NotAllowed(
            f'The OMERO account "{login}" is not active.', hint="Ask the OMERO administrator to activate it.", code="inactive-owner"
        )
    number, name, _first, _last, email, _ldap = rows[0]
    return Person(int(number), str(name), str(email or "").strip())


def address_of(config: ServerConfig, login: str) -> str:
    """The mail address that OMERO has of an active account, "" for none. Raises NotAllowed for an account that cannot be used."""
    with service_login(config) as client, own_rights(config):
        return find_person(client, login).email


def groups_of(client: Any, login: str) -> list[Group]:
    """The groups that can hold that user's data, the default group first."""
    with calling(f'looking up the groups of "{login}"'):
        rows = ask(client, queries.GROUPS_OF_USER, n=login)
    return [Group(int(row[0]), str(row[1])) for row in rows if row[1] != EVERYBODY]


def choose_group(client: Any, login: str, groups: Sequence[Group], wanted: str | int | None) -> Group:
    """The wanted group, or the default one. Raises NotAllowed if it does not exist or the user is not in it."""
    if wanted is None:
        if not groups:
            raise NotAllowed(
                f'"{login}" is in no OMERO group, so there is no place for the images.',
                hint="Ask the OMERO administrator for membership in a group.",
                code="no-group",
            )
        return groups[0]
    for group in groups:
        if wanted in (group.name, group.id):
            return group
    names = ", ".join(f'"{group.name}"' for group in groups) or "none"
    hint = f'Write one of the groups of "{login}" ({names}), or ask the OMERO administrator for membership.'
    with calling("looking up a group"):
        exists = isinstance(wanted, int) or bool(ask(client, queries.GROUP_BY_NAME, n=wanted))
    if not exists:
        raise NotAllowed(f'OMERO has no group "{wanted}".', hint=hint, code="no-such-group")
    raise NotAllowed(f'"{login}" is not a member of the group "{wanted}".', hint=hint, code="not-a-member")
