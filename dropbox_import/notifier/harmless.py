"""Texts of others, made harmless before any template, mail or chat sees them. Pure.

Names of files, texts of sidecars and sentences of servers may hold anything. What comes out of here is one line that can be printed, of
bounded length, in which nothing becomes a link, a mention or a new line. Names of files and paths stay as they are, unless they look
like a host.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TypeVar

from dropbox_import.notify.message import Message

LONGEST = 500
"""Letters of one text, where the caller says nothing else."""

_UNREADABLE = "\ufffd"
_DROPPED = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")  # they show nothing, also where they belong
_AT = "\uff20"  # looks like @ and is none

# What ends like the name of a host but is the name of a file, or of a folder of files.
_ENDS_OF_FILES = (
    "btf companion csv czi db dcm flex gz htm html ics ims ipw jpeg jpg json lei lif log lsm map mdb mnc mov mrc mvd mvd2 nd nd2 ndpi nrrd "
    "oib oif oir ome opt pdf pic png py scn sld stk svs tar tf2 tf8 tif tiff txt vms vsi xdce xml yaml yml zarr zip zvi"
)
_SCHEME = re.compile(r":(?=//)")
_AFTER_SCHEME = re.compile(r"(?<=\[:]//)[^\s/?#]+")
_DOT = re.compile(r"(?<!\[)\.(?!])")
_OTHER_SCHEME = re.compile(r"(?i)\b(callto|javascript|magnet|mailto|sip|skype|sms|tel|vbscript|xmpp):(?=\S)")
_WWW = re.compile(r"(?i)(?<![^\W_])www\.(?=\w)")
_HOST = re.compile(
    rf"""(?ix) (?<! [\w/\\.-] ) ( (?: [\w-]+ \. )+ )
        (?! (?: {"|".join(_ENDS_OF_FILES.split())} ) \b ) ( [^\W\d_]{{2,24}} ) (?= (?: :\d+ )? [/?#] )"""
)
# A host alone, as mail programs make links of it: where its end is a usual one of hosts and a rare one of files.
_TOPS = (
    "app at au be biz br ca cc ch club cn co com de dev dk edu es eu fi fr gov ie info int io it jp kr link live mil mx net nl no nu nz "
    "online org page pro pt pw ru se shop site store tech tk top tv uk us xyz"
)
_BARE_HOST = re.compile(rf"(?i)(?<![\w.@\[\]-])((?:[\w-]+\.)+)({'|'.join(_TOPS.split())})(?![\w.-]*\w)")
_FILE_OR_HOST = re.compile(r"(?i)(?<![\w.\[\]-])((?:[\w-]+\.)+)(zip|mov|py)(?=[/?#])")
_MENTION = re.compile(r"(?i)(?<!\w)@(?=\w)|@(?=(?:all|channel|everyone|group|here|room|team)\b)")
_CHAT_TAG = re.compile(r"<(?=[!@#])")
_MARKDOWN = re.compile(r"\](?=[(\[:])")

Data = TypeVar("Data")


def harmless(text: str, longest: int = LONGEST, *, hosts: bool = False) -> str:
    """`text` as described above. What is harmless already stays as it is; so do names of hosts that stand alone, with `hosts`."""
    shown = "".join(map(_shown, text[: 4 * longest]))
    shown = " ".join(shown.split())
    shown = _SCHEME.sub("[:]", shown)
    shown = _AFTER_SCHEME.sub(lambda found: _DOT.sub("[.]", found[0]), shown)
    shown = _OTHER_SCHEME.sub(r"\1[:]", shown)
    shown = _WWW.sub(lambda found: found[0][:-1] + "[.]", shown)
    shown = _HOST.sub(_broken, shown)
    shown = _FILE_OR_HOST.sub(_broken, shown)
    shown = shown if hosts else _BARE_HOST.sub(_broken, shown)
    shown = _MENTION.sub(_AT, shown)
    shown = _CHAT_TAG.sub("< ", shown)
    shown = _MARKDOWN.sub("] ", shown)
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"


def harmless_message(message: Message, longest: int = LONGEST) -> Message:
    """`message` with every text in it made harmless: a template cannot come by another one. Trouble may name the server it is about."""
    cleaned = _cleaned(message, longest)
    if not message.event.startswith("alert-"):
        return cleaned
    return dataclasses.replace(cleaned, text=harmless(message.text, longest, hosts=True), hint=harmless(message.hint, longest, hosts=True))


def _broken(found: re.Match[str]) -> str:
    """The name of a host that no program takes for one."""
    return found[1].replace(".", "[.]") + found[2]


def _cleaned(value: Data, longest: int) -> Data:
    cleaned: object = value
    if isinstance(value, str):
        cleaned = harmless(value, longest)
    elif isinstance(value, tuple):
        cleaned = tuple(_cleaned(each, longest) for each in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        cleaned = dataclasses.replace(value, **{one.name: _cleaned(getattr(value, one.name), longest) for one in dataclasses.fields(value)})
    return cleaned  # type: ignore[return-value]


def _shown(letter: str) -> str:
    if letter.isprintable():
        return letter
    if letter.isspace():
        return " "
    if letter in _DROPPED:
        return ""
    if "\udc80" <= letter <= "\udcff":  # a byte of a name that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return _UNREADABLE
