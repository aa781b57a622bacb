"""The config file as models: what each key takes, in the words of the JSON Schema that editors read."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dropbox_import.settings.fields import Folder, Seconds, at_least, host_name
from dropbox_import.settings.model import GB, PASSWORD_ENV
from dropbox_import.settings.notify import MEANT, PLACES, BoxNotifyPart, ConfigShape, NotifyPart
from dropbox_import.settings.units import as_bytes
from dropbox_import.sidecar import json_schema
from dropbox_import.sidecar.checks import Name, Part, Whole, YesNo, as_name, between, is_empty, no_value, one_of, seen, told
from dropbox_import.sidecar.schema import schema as sidecar_schema
from dropbox_import.strict_yaml import shown


def _env(value: object) -> str:
    text = as_name(value)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise told(
            "this is not the name of an environment variable", f"write {PASSWORD_ENV}; the password itself never stands in the config"
        )
    return text


def _instance(value: object) -> str:
    text = as_name(value)
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", text):
        raise told(f"{shown(text, 40)} cannot name an instance", "take up to 40 of a-z, 0-9 and -, like scope-room-1")
    return text


def _owners(value: object) -> object:
    if isinstance(value, list):
        return {"names": value}
    return {"word": one_of("from_folder", "any")(value)}


def _share(value: object) -> float:
    if is_empty(value):
        raise no_value()
    try:
        share = float(value) if isinstance(value, str) and re.fullmatch(r"[0-9.]+", value) else -1.0
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise told(f"a number from 0 to 1 is expected{seen(value)}", "write 0.1 for a tenth")
    return share


Bytes = Annotated[int, BeforeValidator(as_bytes, json_schema_input_type=str | int)]
Few = Annotated[Whole, AfterValidator(between(1, 64))]


class OwnersPart(Part):
    word: Literal["from_folder", "any"] = "from_folder"
    names: list[Name] | None = None


class OmeroPart(Part):
    """Which OMERO server, and the account that this service logs in with."""

    host: Annotated[str, host_name("omero.uni.org")] = Field(description="Name of the server, as in its certificate.")
    port: Annotated[Whole, AfterValidator(between(1, 65535))] = Field(4064, description="Port of the server's router.")
    user: Name = Field(description="Login of the service account; it needs the Sudo privilege.")
    password_file: Folder | None = Field(None, description="File that holds the password, mode 0600.")
    password_env: Annotated[str, BeforeValidator(_env, json_schema_input_type=str)] = Field(
        PASSWORD_ENV, description="Environment variable with the password, used when there is no file."
    )
    ca_file: Folder | None = Field(None, description="Certificate of who signed the server's, in PEM form; default: the system's.")
    insecure: YesNo = Field(False, description="Do not verify the server's certificate.")
    group: Name | None = Field(None, description="Group in which the service account logs in; default: its default group.")

    @model_validator(mode="after")
    def _one_way(self) -> OmeroPart:
        if self.insecure and self.ca_file is not None:
            raise told("insecure and ca_file are both given; with insecure: true no certificate is looked at", "remove insecure")
        return self


class WaitForFilesPart(Part):
    """How long a sidecar waits for members that are not there yet."""

    tell_after: Seconds = Field(3600.0, description="Tell the user after this time.")
    refuse_after: Seconds = Field(86400.0, description="Refuse the drop after this time without a change.")

    @model_validator(mode="after")
    def _in_order(self) -> WaitForFilesPart:
        if self.refuse_after < self.tell_after:
            raise told("refuse_after is shorter than tell_after", "users are told first, and refused later")
        return self


class BoxPart(Part):
    """One drop box: a folder with drop/, inprogress/, done/ and failed/."""

    path: Folder = Field(description="The folder.")
    owners: Annotated[OwnersPart, BeforeValidator(_owners, json_schema_input_type=Literal["from_folder", "any"] | list[str])] = Field(
        OwnersPart(), description="Who may own what is dropped: from_folder, any, or a list of further names."
    )
    defaults: dict[str, Any] = Field({}, description="Keys of a sidecar that hold for every drop in this box.")
    quiet_period: Seconds = Field(10.0, description="How long files must be unchanged before they are taken.")
    scan_interval: Annotated[Seconds, at_least(0.1, "0.1 s")] = Field(10.0, description="Time between two looks into the drop folders.")
    wait_for_files: WaitForFilesPart = Field(WaitForFilesPart(), description="How long a sidecar waits for its files.")
    require_end: YesNo = Field(False, description="A sidecar without end: true is still being written.")
    min_free: Bytes = Field(5 * GB, description="Nothing is taken while the volume has less free space.")
    check_file_owner: YesNo = Field(True, description="Files must belong to the user of the drop folder.")
    notify: BoxNotifyPart = Field(BoxNotifyPart(), description="What is special in this box about who is told.")


class WorkersPart(Part):
    """Child processes that open images and talk to OMERO."""

    importers: Few = Field(1, description="Processes that talk to OMERO.")
    filesets_in_flight: Few = Field(4, description="Imports at a time in each of them.")
    inspectors: Few = Field(1, description="Processes that open image files.")
    idle_after: Annotated[Seconds, at_least(1, "1 s")] = Field(60.0, description="They end after this time without work.")
    inspector_memory: Bytes = Field(2 * GB, description="The most memory that an inspector may use.")


class RetryPart(Part):
    """When something that failed for now is tried again."""

    delays: Annotated[list[Annotated[Seconds, at_least(1, "1 s")]], Field(min_length=1)] = Field(
        [600.0, 600.0, 1800.0, 3600.0], description="Time before each next try; the last one for ever."
    )
    jitter: Annotated[float, BeforeValidator(_share, json_schema_input_type=float)] = Field(
        0.1, description="How much each is changed by chance."
    )


class LogPart(Part):
    """What is logged, to stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(one_of("debug", "info", "warning", "error"))] = Field(
        "info", description="The least important lines that are written."
    )
    format: Annotated[Literal["text", "json"], BeforeValidator(one_of("text", "json"))] = Field(
        "text", description="One line of text, or of JSON, an event."
    )


class ConfigFile(Part):
    """Configuration of the dropbox-import daemon."""

    omero: OmeroPart = Field(description="The OMERO server.")
    state_dir: Folder = Field(description="Folder for the daemon's own records, on a local disk.")
    instance: Annotated[str, BeforeValidator(_instance, json_schema_input_type=str)] | None = Field(
        None, description="Name of this installation; default: the host name."
    )
    boxes: Annotated[list[BoxPart], Field(min_length=1)] = Field(description="The drop boxes.")
    workers: WorkersPart = Field(WorkersPart(), description="Child processes.")
    retry: RetryPart = Field(RetryPart(), description="When to try again.")
    log: LogPart = Field(LogPart(), description="What is logged.")
    notify: NotifyPart = Field(NotifyPart(), description="Who is told what, and how.")


_SECRET = (
    "a password never stands in the config",
    "put it into a file of mode 0600 and write password_file: /etc/dropbox-import/omero-password",
)
SHAPE = ConfigShape(
    ConfigFile,
    {
        "": ConfigFile,
        "omero": OmeroPart,
        "boxes.*": BoxPart,
        "boxes.*.wait_for_files": WaitForFilesPart,
        "workers": WorkersPart,
        "retry": RetryPart,
        "log": LogPart,
        **PLACES,
    },
    meant={
        **MEANT,
        "omero.password": _SECRET,
        "password": _SECRET,
        "omero is missing": ("is missing: it is not said which server", "add omero: {host: omero.uni.org, user: importer}"),
        "boxes is missing": ("is missing: there is no drop box", "add boxes: [{path: /srv/imports}]"),
        "state_dir is missing": ("is missing", "add state_dir: /var/lib/dropbox-import"),
        "omero.host is missing": ("is missing", "add host: omero.uni.org"),
        "omero.user is missing": ("is missing", "add user: and the login of the service account"),
        "boxes.path is missing": ("is missing", "add path: /srv/imports"),
    },
)


def schema() -> dict[str, Any]:
    """The JSON Schema of the config, made from the models; `defaults` of a box are checked as parts of a sidecar."""
    made = json_schema.of_model(ConfigFile, "dropbox-import configuration")
    side = sidecar_schema()
    made["$defs"] |= side["$defs"]
    made["$defs"]["BoxPart"]["properties"]["defaults"] |= {
        "properties": side["properties"],
        "patternProperties": side["patternProperties"],
        "additionalProperties": False,
    }
    return made


def schema_text() -> str:
    """The committed file config.schema.json."""
    return json_schema.as_text(schema())
