"""The rules of the house that no other tool sees, each a function from a module to its breaches.

What is not judged: a call through a variable (`f = os.rename; f(a, b)`), and what a library does inside.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator

from tests.house.source import Found, Module

Rule = Callable[[Module], Iterator[Found]]

MOST_LINES = 400

# --- the disk ----------------------------------------------------------------------------

OS_CHANGES = frozenset(
    "chmod chown fchmod fchown ftruncate lchmod lchown link makedirs mkdir mkfifo mknod remove removedirs removexattr rename renames "
    "replace rmdir setxattr symlink truncate unlink utime".split()
)
SHUTIL_LOOKS = frozenset(("which", "disk_usage", "get_terminal_size"))
METHOD_CHANGES = frozenset("chmod hardlink_to lchmod mkdir rename rmdir symlink_to unlink write_bytes write_text".split())
READING_FLAGS = frozenset("O_RDONLY O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_NOCTTY O_BINARY O_PATH".split())
MODE = re.compile(r"[rwaxbtU+]+")
NO_DISK = ("disk", "standin")


def _mode(call: ast.Call, position: int) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == "mode":
            return keyword.value
    return call.args[position] if len(call.args) > position else None


def _writes(mode: ast.expr | None, *, sure: bool) -> bool:
    """Whether an open mode writes; one that is no constant counts as writing where `sure` says that it is a mode at all."""
    if mode is None:
        return False
    if isinstance(mode, ast.Constant):
        text = mode.value
        return isinstance(text, str) and MODE.fullmatch(text) is not None and bool(set(text) & set("wax+"))
    return sure


def _reads_only(flags: ast.expr) -> bool:
    if isinstance(flags, ast.BinOp) and isinstance(flags.op, ast.BitOr):
        return _reads_only(flags.left) and _reads_only(flags.right)
    return isinstance(flags, ast.Attribute) and flags.attr in READING_FLAGS


def _changes_disk(module: Module, call: ast.Call) -> bool:
    name = module.full_name(call.func) or ""
    room, _, last = name.rpartition(".")
    if room in ("os", "posix", "nt"):
        return last in OS_CHANGES or (last == "open" and not (len(call.args) > 1 and _reads_only(call.args[1])))
    if room == "shutil":
        return last not in SHUTIL_LOOKS
    if room == "tempfile":
        return last != "gettempdir"
    if name in ("open", "io.open"):
        return _writes(_mode(call, 1), sure=True)
    if isinstance(call.func, ast.Attribute) and not (module.imported(call.func) and not name.startswith("pathlib.")):
        method = call.func.attr
        if method == "replace":  # text.replace takes two, datetime.replace keywords
            return len(call.args) == 1 and not call.keywords
        if method == "touch":  # of a path: no argument but keywords
            return not call.args
        return method in METHOD_CHANGES or (method == "open" and _writes(_mode(call, 0), sure=False))
    return False


def disk_changes(module: Module) -> Iterator[Found]:
    """Only disk/ changes the disk (the stand-in keeps its own data)."""
    if module.lives_in(*NO_DISK):
        return
    for call in module.calls():
        if _changes_disk(module, call):
            yield module.found(call, f"{ast.unparse(call.func)}(…) changes the disk; use dropbox_import.disk")


# --- time and randomness -----------------------------------------------------------------

TIME = frozenset(
    "time.time time.time_ns time.monotonic time.monotonic_ns time.sleep time.localtime time.gmtime time.perf_counter datetime.datetime.now "
    "datetime.datetime.utcnow datetime.datetime.today datetime.date.today uuid.uuid1 uuid.uuid4 os.urandom".split()
)


def time_and_chance(module: Module) -> Iterator[Found]:
    """Time and randomness come from the Clock that is given."""
    if module.lives_in("clock", "standin"):
        return
    inner = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Attribute, ast.Name)) and id(node) not in inner:
            name = module.full_name(node) or ""
            if name in TIME or (module.imported(node) and name.split(".")[0] in ("random", "secrets")):
                yield module.found(node, f"{name} is time or chance; use the Clock that is given")


# --- libraries ---------------------------------------------------------------------------

HOMES: dict[str, tuple[str, ...]] = {
    "Glacier2": ("importer", "standin"),
    "Ice": ("importer", "standin"),
    "aiosmtpd": ("cli",),
    "apprise": ("notifier",),
    "click": ("cli",),
    "jinja2": ("notifier",),
    "numpy": ("inspector", "standin"),
    "omero": ("importer", "standin"),
    "portalocker": ("spool",),
    "psutil": ("disk", "workers"),
    "pydantic": ("settings", "sidecar"),
    "pydantic_core": ("settings", "sidecar"),
    "rich": ("cli",),
    "tifffile": ("inspector", "standin"),
    "watchdog": ("intake",),
    "yaml": ("strict_yaml",),
}

OWN_TABLE = "cli/entry"  # loads the commands by name, from a table of its own


def _imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, "." if node.level else node.module or ""
        elif isinstance(node, ast.Call) and module.full_name(node.func) in ("importlib.import_module", "__import__"):
            name = node.args[0] if node.args else None
            yield node, name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else "?"


def library(name: str) -> str:
    """The library that a top-level module belongs to: omero-py brings omero_*, Ice brings Ice*."""
    top = name.split(".")[0]
    if top.startswith(("omero_", "Ice")):
        return "omero" if top.startswith("omero_") else "Ice"
    return top


def library_homes(module: Module) -> Iterator[Found]:
    """Each library is used only where it has its home, and no library without a home is used."""
    for node, name in _imports(module):
        if name == "?" and module.lives_in(OWN_TABLE):
            continue
        if name in (".", "?"):
            yield module.found(node, "an import whose module cannot be read here: write its full name")
            continue
        top = library(name)
        if top == "dropbox_import" or top in sys.stdlib_module_names:
            continue
        if not module.lives_in(*HOMES.get(top, ())):
            yield module.found(node, f"{top} has its home in {' and '.join(HOMES.get(top, ('no room',)))}")


# --- form --------------------------------------------------------------------------------

MAY_PRINT = ("cli", "workers/serve", "standin")


def prints(module: Module) -> Iterator[Found]:
    """Only the command line prints, the worker's main loop uses its pipe, and the stand-in is a program of its own."""
    if module.lives_in(*MAY_PRINT):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and module.full_name(node.func) == "print":
            yield module.found(node, "print(…) outside cli")
        elif isinstance(node, (ast.Attribute, ast.Name)) and module.full_name(node) == "sys.stdout":
            yield module.found(node, "sys.stdout outside cli")


def too_long(module: Module) -> Iterator[Found]:
    lines = module.text.count("\n")
    if lines > MOST_LINES:
        yield module.found(module.tree, f"{lines} lines, more than {MOST_LINES}")


def undescribed(module: Module) -> Iterator[Found]:
    """Each package says in its docstring what it owns, promises and never does."""
    if module.path.endswith("__init__.py") and not ast.get_docstring(module.tree):
        yield module.found(module.tree, "a package without a docstring")


RULES: tuple[Rule, ...] = (disk_changes, time_and_chance, library_homes, prints, too_long, undescribed)
