"""The part of IAdmin that makes and removes users and groups. It lasts for this run; the users file is the lasting record."""

from __future__ import annotations

from typing import Any

from dropbox_import.standin import trouble
from dropbox_import.standin.accounts import Account
from dropbox_import.standin.permissions import Caller
from dropbox_import.standin.servants import Servant, operation


class AdminChanges(Servant):
    """For administrators only."""

    def _administrator(self, current: Any) -> Caller:
        assert self.session is not None
        caller = self.house.sessions.caller(self.session, current.ctx)
        if not caller.is_admin:
            raise trouble.security("Access is denied")
        return caller

    @operation("assumed from how `omero user` and `omero group` call it")
    def createGroup(self, group: Any, current: Any) -> int:
        self._administrator(current)
        name = group.name.val
        if self.house.store.where("ExperimenterGroup", name=name):
            raise trouble.validation(f"could not insert: [ome.model.meta.ExperimenterGroup] name {name}")
        permissions = group.details.permissions
        values = {"name": name, "perms": str(permissions) if permissions is not None else "rw----", "ldap": 0}
        with self.house.store.transaction():
            return self.house.store.insert("ExperimenterGroup", values)

    @operation("assumed from how `omero user` and `omero group` call it")
    def createExperimenterWithPassword(self, user: Any, password: Any, default_group: Any, other_groups: Any, current: Any) -> int:
        self._administrator(current)
        store, name = self.house.store, user.omeName.val
        if store.where("Experimenter", omeName=name):
            raise trouble.validation(f"could not insert: [ome.model.meta.Experimenter] omeName {name}")
        values = {
            "omeName": name,
            "firstName": user.firstName.val,
            "lastName": user.lastName.val,
            "email": user.email.val if user.email is not None else None,
            "ldap": 0,
        }
        with store.transaction():
            number = store.insert("Experimenter", values)
            for position, group in enumerate((default_group, *other_groups)):
                store.insert("GroupExperimenterMap", {"parent": group.id.val, "child": number, "owner": 0, "position": position})
        account = Account(number, name, password.val)
        self.house.sessions.accounts[name] = account
        self.house.sessions.by_id[number] = account
        return number

    @operation("assumed from how `omero user` and `omero group` call it")
    def deleteExperimenter(self, user: Any, current: Any) -> None:
        self._administrator(current)
        account = self.house.sessions.by_id.pop(user.id.val, None)
        if account is not None:
            self.house.sessions.accounts.pop(account.name, None)
        self._remove("Experimenter", "child", user.id.val)

    @operation("assumed from how `omero user` and `omero group` call it")
    def deleteGroup(self, group: Any, current: Any) -> None:
        self._administrator(current)
        self._remove("ExperimenterGroup", "parent", group.id.val)

    def _remove(self, entity: str, side: str, number: int) -> None:
        store = self.house.store
        with store.transaction():
            for row in store.where("GroupExperimenterMap", **{side: number}):
                store.delete("GroupExperimenterMap", row["id"])
            store.delete(entity, number)
