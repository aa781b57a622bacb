"""Users and groups: the standard set, or those of a JSON file given with `--users`.

    {"groups": [{"name": "lab", "permissions": "rwr---"}],
     "users": [{"name": "alice", "password": "…", "groups": ["lab", "imaging"], "leads": [], "email": "…",
                "first": "Alice", "last": "Adams", "admin": false, "privileges": null, "active": true}]}

The first group is the default one. `privileges` of an admin: a list (a light administrator), or null for all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.errors import ConfigError
from dropbox_import.standin.permissions import PRIVILEGES
from dropbox_import.standin.store import Store

SYSTEM, USER, GUEST = 0, 1, 2
STANDARD: dict[str, Any] = {
    "groups": [
        {"name": "lab", "permissions": "rwr---"},
        {"name": "private", "permissions": "rw----"},
        {"name": "shared", "permissions": "rwra--"},
        {"name": "together", "permissions": "rwrw--"},
    ],
    "users": [
        {
            "name": "importer",
            "password": "importer",
            "groups": [],
            "first": "Import",
            "last": "Service",
            "admin": True,
            "privileges": ["Sudo"],
        },
        {
            "name": "alice",
            "password": "alice",
            "groups": ["lab", "private", "shared"],
            "first": "Alice",
            "last": "Adams",
            "email": "alice@example.org",
        },
        {"name": "bob", "password": "bob", "groups": ["lab", "together"], "first": "Bob", "last": "Brown", "email": "bob@example.org"},
        {"name": "carol", "password": "carol", "groups": ["shared", "together"], "first": "Carol", "last": "Clark"},
    ],
}


@dataclass(frozen=True, slots=True)
class Account:
    """One user: id, name, password (the stand-in keeps it in the clear), and what an administrator gave them."""

    user: int
    name: str
    password: str
    admin: bool = False
    privileges: frozenset[str] = field(default_factory=frozenset)


def load(path: Path | None) -> dict[str, Any]:
    """The wanted users and groups; ConfigError for a file that cannot be used."""
    if path is None:
        return STANDARD
    try:
        wanted = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The users file {path} cannot be read: {error}.", hint="It is JSON with the lists `groups` and `users`."
        ) from error
    names = {group["name"] for group in wanted.get("groups", [])}
    for user in wanted.get("users", []):
        missing = [group for group in user.get("groups", []) if group not in names]
        if missing:
            raise ConfigError(f"User {user['name']} is in the group {missing[0]}, which is not listed.", hint="Add it under `groups`.")
    return dict(wanted)


def _ensure(store: Store, entity: str, key: str, values: dict[str, Any], row_id: int | None = None) -> int:
    found = store.where(entity, **{key: values[key]})
    if found:
        store.update(entity, found[0]["id"], values)
        return int(found[0]["id"])
    return store.insert(entity, values if row_id is None else {"id": row_id, **values})


def _member(store: Store, group: int, user: int, leads: bool, position: int) -> None:
    found = store.where("GroupExperimenterMap", parent=group, child=user)
    values = {"parent": group, "child": user, "owner": int(leads), "position": position}
    if found:
        store.update("GroupExperimenterMap", found[0]["id"], values)
    else:
        store.insert("GroupExperimenterMap", values)


def seed(store: Store, wanted: dict[str, Any]) -> None:
    """Enters users and groups into the store, again at every start: ids stay, and so do those that an administrator has made."""
    with store.transaction():
        groups: dict[str, int] = {}
        for row_id, (name, perms) in enumerate((("system", "rw----"), ("user", "rwr-r-"), ("guest", "rw----"))):
            groups[name] = _ensure(store, "ExperimenterGroup", "name", {"name": name, "perms": perms, "ldap": 0}, row_id)
        for group in wanted.get("groups", []):
            values = {"name": group["name"], "perms": group.get("permissions", "rw----"), "ldap": 0}
            groups[group["name"]] = _ensure(store, "ExperimenterGroup", "name", values)
        root = {"name": "root", "password": "root", "admin": True, "first": "root", "last": "root"}
        guest = {"name": "guest", "password": "guest", "first": "Guest", "last": "Account", "active": False}
        listed = {user["name"]: user for user in (root, guest, *wanted.get("users", []))}
        for row_id, user in enumerate(listed.values()):
            privileges = user.get("privileges")
            values = {
                "omeName": user["name"],
                "firstName": user.get("first", user["name"].title()),
                "lastName": user.get("last", "User"),
                "email": user.get("email"),
                "ldap": 0,
                "secret": user.get("password", ""),
                "privileges": None if privileges is None else " ".join(privileges),
            }
            user_id = _ensure(store, "Experimenter", "omeName", values, row_id if row_id < 2 else None)
            for position, name in enumerate(_groups_of(user)):
                _member(store, groups[name], user_id, name in user.get("leads", []), position)


def _groups_of(user: dict[str, Any]) -> list[str]:
    names = list(user.get("groups", []))
    if user["name"] == "guest":
        names.append("guest")
    if user.get("admin"):
        names = ["system", *names] if user["name"] == "root" else [*names, "system"]
    if user.get("active", True):
        names.append("user")
    return names


def read(store: Store) -> dict[str, Account]:
    """The accounts by name, as the store has them now."""
    admins = {row["child"] for row in store.where("GroupExperimenterMap", parent=SYSTEM)}
    found: dict[str, Account] = {}
    for row in store.where("Experimenter"):
        admin = row["id"] in admins
        given = PRIVILEGES if row["privileges"] is None else row["privileges"].split()
        found[row["omeName"]] = Account(row["id"], row["omeName"], row["secret"] or "", admin, frozenset(given if admin else ()))
    return found
