"""The part of IAdmin that makes, changes and removes users and groups: for administrators with the privilege."""

from __future__ import annotations

from typing import Any

from omero.rtypes import unwrap

from dropbox_import.standin import trouble
from dropbox_import.standin.permissions import Caller
from dropbox_import.standin.schema import ENTITIES
from dropbox_import.standin.servants import Servant, operation

SOURCE = "assumed from the Slice comments of IAdmin; which administrators may: read omero-server LightAdminPrivileges.java:208-213"


_DESCRIPTION = ("omeName", "firstName", "middleName", "lastName", "email", "institution")


class PeopleService(Servant):
    """Mixed into the admin service."""

    def _administrator(self, current: Any, privilege: str) -> Caller:
        assert self.session is not None
        caller = self.house.sessions.caller(self.session, current.ctx)
        if privilege not in caller.privileges:
            raise trouble.security(f"Admin privilege {privilege} is needed")
        return caller

    def _unused(self, entity: str, field: str, name: str) -> None:
        if self.house.store.where(entity, **{field: name}):
            table = entity.lower()
            raise trouble.duplicate(ENTITIES[entity].java(), table, f"{table}_{field.lower()}_key")

    def _join(self, user: int, group: int) -> None:
        store = self.house.store
        if not store.where("GroupExperimenterMap", parent=group, child=user):
            position = len(store.where("GroupExperimenterMap", child=user))
            store.insert("GroupExperimenterMap", {"parent": group, "child": user, "owner": 0, "position": position})

    @operation(SOURCE)
    def createGroup(self, group: Any, current: Any) -> int:
        self._administrator(current, "ModifyGroup")
        name = unwrap(group.name)
        permissions = group.details.permissions
        perms = str(permissions) if permissions is not None else "rw----"
        with self.house.store.transaction():
            self._unused("ExperimenterGroup", "name", name)
            values = {"name": name, "perms": perms, "ldap": 0, "description": unwrap(group.description)}
            return self.house.store.insert("ExperimenterGroup", values)

    def _create(self, person: Any, password: str, default: Any, others: Any, current: Any) -> int:
        self._administrator(current, "ModifyUser")
        values = {
            name: unwrap(getattr(person, name)) for name in ("omeName", "firstName", "middleName", "lastName", "email", "institution")
        }
        with self.house.store.transaction():
            self._unused("Experimenter", "omeName", values["omeName"])
            user = self.house.store.insert("Experimenter", {**values, "ldap": 0, "secret": password})
            for group in (default, *(others or [])):
                self._join(user, group.id.val)
        self.house.sessions.read_accounts()
        return user

    @operation(SOURCE)
    def createExperimenterWithPassword(self, person: Any, password: Any, default: Any, others: Any, current: Any) -> int:
        return self._create(person, unwrap(password), default, others, current)

    @operation(SOURCE)
    def createExperimenter(self, person: Any, default: Any, others: Any, current: Any) -> int:
        return self._create(person, "", default, others, current)

    @operation(SOURCE)
    def addGroups(self, person: Any, groups: Any, current: Any) -> None:
        self._administrator(current, "ModifyGroupMembership")
        for group in groups or []:
            self._join(person.id.val, group.id.val)
        self.house.sessions.read_accounts()

    @operation(SOURCE)
    def removeGroups(self, person: Any, groups: Any, current: Any) -> None:
        self._administrator(current, "ModifyGroupMembership")
        for group in groups or []:
            for row in self.house.store.where("GroupExperimenterMap", parent=group.id.val, child=person.id.val):
                self.house.store.delete("GroupExperimenterMap", row["id"])
        self.house.sessions.read_accounts()

    @operation(SOURCE)
    def setGroupOwner(self, group: Any, person: Any, current: Any) -> None:
        self._administrator(current, "ModifyGroupMembership")
        for row in self.house.store.where("GroupExperimenterMap", parent=group.id.val, child=person.id.val):
            self.house.store.update("GroupExperimenterMap", row["id"], {"owner": 1})

    @operation(SOURCE)
    def changeUserPassword(self, name: str, password: Any, current: Any) -> None:
        self._administrator(current, "ModifyUser")
        for row in self.house.store.where("Experimenter", omeName=name):
            self.house.store.update("Experimenter", row["id"], {"secret": unwrap(password)})
        self.house.sessions.read_accounts()

    def _owns_nothing(self, column: str, row_id: int, java: str) -> None:
        for entity in ENTITIES.values():
            if entity.owned and self.house.store.rows(f'SELECT id FROM "{entity.name}" WHERE {column} = ? LIMIT 1', [row_id]):
                raise trouble.validation(f"could not delete: [{java}#{row_id}]; still used by {entity.java()}")

    @operation(SOURCE)
    def deleteExperimenter(self, person: Any, current: Any) -> None:
        self._administrator(current, "ModifyUser")
        self._owns_nothing("owner", person.id.val, "ome.model.meta.Experimenter")
        self._remove("Experimenter", "child", person.id.val)

    @operation(SOURCE)
    def deleteGroup(self, group: Any, current: Any) -> None:
        self._administrator(current, "ModifyGroup")
        self._owns_nothing("grp", group.id.val, "ome.model.meta.ExperimenterGroup")
        self._remove("ExperimenterGroup", "parent", group.id.val)

    def _remove(self, entity: str, side: str, row_id: int) -> None:
        with self.house.store.transaction():
            for row in self.house.store.where("GroupExperimenterMap", **{side: row_id}):
                self.house.store.delete("GroupExperimenterMap", row["id"])
            self.house.store.delete(entity, row_id)
        self.house.sessions.read_accounts()
