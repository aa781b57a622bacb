"""`load_settings`: the config file to Settings, or every mistake at once."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from dropbox_import import strict_yaml
from dropbox_import.errors import ConfigError, Mistake
from dropbox_import.settings.model import Box, Log, Omero, Retry, Settings, WaitForFiles, Workers
from dropbox_import.settings.notify import box_notify_of, notify_of
from dropbox_import.settings.notify_between import mistakes_in_notify
from dropbox_import.settings.schema import SHAPE, BoxPart, ConfigFile
from dropbox_import.sidecar import check_defaults
from dropbox_import.sidecar.checks import check
from dropbox_import.strict_yaml import MOST_MISTAKES, Mark, Node, Unreadable, shown


def load_settings(path: Path) -> Settings:
    """The settings that the file holds. Raises ConfigError with every mistake; looks at no other file."""
    name = shown(str(path), 300)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"There is no config file {name}.", hint="Type dropbox-import init DIR to make one, or name another with --config."
        ) from None
    except OSError as error:
        raise ConfigError(f"The config file {name} cannot be read: {error.strerror}.", hint="Check its owner and mode.") from None
    return parse_settings(data, name)


def parse_settings(data: bytes, name: str) -> Settings:
    """As `load_settings`, from bytes."""
    try:
        root = strict_yaml.load(data, name).root
    except Unreadable as error:
        raise _invalid(name, error.mistakes) from None
    if root is None:
        raise _invalid(name, [Mark(name).mistake("the file is empty", "type dropbox-import init DIR to make one with every key explained")])
    if not isinstance(root, strict_yaml.Mapping):
        raise _invalid(name, [root.mark.mistake("the file does not begin with a key", "write key: value lines, as in config/example.yaml")])
    config, mistakes = check(SHAPE, root, ConfigFile)
    mistakes += _mistakes_in_defaults(root) + mistakes_in_notify(root)
    if config is not None:
        mistakes += _mistakes_between(config, root)
    if config is None or mistakes:
        raise _invalid(name, sorted(mistakes, key=lambda one: (one.line == 0, one.line, one.column)))
    return _settings(config, root)


def host_instance() -> str:
    """The host name, made safe for a folder name."""
    short = socket.gethostname().split(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", short).strip("-")[:40].strip("-") or "host"


def _invalid(name: str, mistakes: Iterable[Mistake]) -> ConfigError:
    found = tuple(mistakes)
    many = "a mistake" if len(found) == 1 else f"{len(found)} mistakes" if len(found) <= MOST_MISTAKES else "many mistakes"
    return ConfigError(f"The config file {name} has {many}.", hint="Correct it; config/example.yaml explains every key.", mistakes=found)


def _box_nodes(root: Node) -> list[Node]:
    boxes = strict_yaml.find(root, ["boxes"])
    return list(boxes.items) if isinstance(boxes, strict_yaml.Sequence) else []


def _mistakes_in_defaults(root: Node) -> list[Mistake]:
    found: list[Mistake] = []
    for box in _box_nodes(root):
        defaults = box.get("defaults") if isinstance(box, strict_yaml.Mapping) else None
        if isinstance(defaults, strict_yaml.Mapping):
            found += [
                Mistake(one.file, one.line, one.column, f"boxes.defaults.{one.sentence}", one.hint) for one in check_defaults(defaults)
            ]
    return found


def _mistakes_between(config: ConfigFile, root: Node) -> list[Mistake]:
    """Paths that get into each other's way."""
    found: list[Mistake] = []
    marks = [(strict_yaml.find(root, ["boxes", number, "path"]) or root).mark for number in range(len(config.boxes))]
    folders = [_folded(box.path) for box in config.boxes]
    for number, folder in enumerate(folders):
        for other, earlier in enumerate(folders[:number]):
            line = f"the box of line {marks[other].line}"
            if folder == earlier:
                found.append(
                    marks[number].mistake(f"boxes.path: this is the same folder as {line}", "a folder is one box: remove one of them")
                )
                break
            if earlier in folder.parents or folder in earlier.parents:
                where = "inside" if earlier in folder.parents else "around"
                found.append(
                    marks[number].mistake(
                        f"boxes.path: this box lies {where} {line}", "put each box into a folder of its own, beside the other"
                    )
                )
                break
    state, here = _folded(config.state_dir), (strict_yaml.find(root, ["state_dir"]) or root).mark
    for number, folder in enumerate(folders):
        if state == folder or folder in state.parents:
            found.append(
                here.mistake(
                    f"state_dir: this folder lies in the box of line {marks[number].line}",
                    "choose a folder outside every box, like /var/lib/dropbox-import",
                )
            )
            break
        if state in folder.parents:
            found.append(marks[number].mistake("boxes.path: this box lies in state_dir, which is closed to users", "put the box elsewhere"))
    return found


def _folded(path: Path) -> Path:
    """For comparing: as written, without detours; the disk is not asked. Capital letters count where the system says so."""
    return Path(os.path.normcase(os.path.normpath(path)))


def _settings(config: ConfigFile, root: Node) -> Settings:
    omero, workers = config.omero, config.workers
    return Settings(
        omero=Omero(**{name: getattr(omero, name) for name in type(omero).model_fields}),
        state_dir=config.state_dir,
        boxes=tuple(_box(box, strict_yaml.find(root, ["boxes", number])) for number, box in enumerate(config.boxes)),
        instance=config.instance or host_instance(),
        workers=Workers(**{name: getattr(workers, name) for name in type(workers).model_fields}),
        retry=Retry(tuple(config.retry.delays), config.retry.jitter),
        log=Log(config.log.level, config.log.format),
        notify=notify_of(config.notify),
    )


def _box(part: BoxPart, node: Node | None) -> Box:
    defaults = node.get("defaults") if isinstance(node, strict_yaml.Mapping) else None
    wait = part.wait_for_files
    return Box(
        path=part.path,
        owners=part.owners.word if part.owners.names is None else tuple(part.owners.names),
        defaults=strict_yaml.to_value(defaults) if defaults is not None else {},
        quiet_period=part.quiet_period,
        scan_interval=part.scan_interval,
        wait_for_files=WaitForFiles(wait.tell_after, wait.refuse_after),
        require_end=part.require_end,
        min_free=part.min_free,
        check_file_owner=part.check_file_owner,
        notify=box_notify_of(part.notify),
    )
