"""Who may see and change what: OMERO's groups (rw----, rwr---, rwra--, rwrw--), their owners, and administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import omero.clients
import omero.model

from dropbox_import.standin.schema import Entity
from dropbox_import.standin.sources import behaviour

PRIVILEGES = (
    "Chgrp",
    "Chown",
    "DeleteFile",
    "DeleteManagedRepo",
    "DeleteOwned",
    "DeleteScriptRepo",
    "ModifyGroup",
    "ModifyGroupMembership",
    "ModifyUser",
    "ReadSession",
    "Sudo",
    "WriteFile",
    "WriteManagedRepo",
    "WriteOwned",
    "WriteScriptRepo",
)
ALL_GROUPS = -1


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and in which group (-1: all of theirs)."""

    session_id: int
    user: int
    user_name: str
    group: int
    member_of: tuple[int, ...]
    leads: tuple[int, ...]
    is_admin: bool
    privileges: frozenset[str]
    group_permissions: dict[int, str]

    def permissions_of(self, group: int) -> str:
        return self.group_permissions.get(group, "------")


@behaviour("recorded 09 get other group, 17 token seen by root; that light administrators read everything is assumed")
def visible(caller: Caller, entity: Entity, alias: str) -> str:
    """The SQL test for rows of `alias` that the caller sees; "" for all."""
    if not entity.owned:
        return ""
    if caller.group != ALL_GROUPS:
        test = f"{alias}.grp = {caller.group}"
        return test if _reads_all(caller, caller.group) else f"({test} AND {alias}.owner = {caller.user})"
    if caller.is_admin:
        return ""
    shared = [group for group in caller.member_of if _reads_all(caller, group)]
    groups = ", ".join(str(group) for group in shared)
    own = ", ".join(str(group) for group in caller.member_of)
    return f"({alias}.grp IN ({groups}) OR ({alias}.grp IN ({own}) AND {alias}.owner = {caller.user}))"


def _reads_all(caller: Caller, group: int) -> bool:
    return caller.is_admin or group in caller.leads or caller.permissions_of(group)[2] == "r"


def can_read(caller: Caller, row: dict[str, Any]) -> bool:
    if caller.group not in (ALL_GROUPS, row["grp"]):
        return False
    if row["grp"] not in caller.member_of and not caller.is_admin:
        return False
    return bool(row["owner"] == caller.user or _reads_all(caller, row["grp"]))


def _rules(caller: Caller, row: dict[str, Any]) -> bool:
    """The caller's own row, or one in a group that they lead or administer."""
    group = row["grp"]
    if row["owner"] == caller.user and (group in caller.member_of or caller.is_admin):
        return True
    return group in caller.leads or (caller.is_admin and "WriteOwned" in caller.privileges)


def can_edit(caller: Caller, row: dict[str, Any]) -> bool:
    return _rules(caller, row) or (row["grp"] in caller.member_of and caller.permissions_of(row["grp"])[3] == "w")


def can_link(caller: Caller, row: dict[str, Any]) -> bool:
    """Into a container: recorded 04b, a rwra-- group does not let members link into each other's datasets."""
    return can_edit(caller, row)


def can_annotate(caller: Caller, row: dict[str, Any]) -> bool:
    return can_edit(caller, row) or (row["grp"] in caller.member_of and caller.permissions_of(row["grp"])[3] in "aw")


@behaviour("recorded 18_queries_and_writes.json permissions in one query as map")
def rights(caller: Caller, row: dict[str, Any]) -> dict[str, bool]:
    return {
        "canLink": can_link(caller, row),
        "canEdit": can_edit(caller, row),
        "canDelete": can_edit(caller, row),
        "canAnnotate": can_annotate(caller, row),
        "canChgrp": row["owner"] == caller.user or "Chgrp" in caller.privileges,
        "canChown": "Chown" in caller.privileges,
    }


def as_permissions(caller: Caller, row: dict[str, Any]) -> Any:
    """The permissions object that OMERO puts into an object's details."""
    found = omero.model.PermissionsI(caller.permissions_of(row["grp"]))
    can = rights(caller, row)
    found._restrictions = [
        not can["canLink"],
        not can["canEdit"],
        not can["canDelete"],
        not can["canAnnotate"],
        not can["canChgrp"],
        not can["canChown"],
    ]
    return found
