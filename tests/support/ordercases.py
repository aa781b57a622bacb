"""Each order of an administrator, left for a daemon that is still to start: what there is before it, and what must be so after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from dropbox_import.errors import ServerUnavailable
from dropbox_import.spool import layout
from dropbox_import.spool.journal import read_newest
from tests.support.office import ONE, Office

BUSY = ServerUnavailable("OMERO is busy", code="busy")


def retry_failed(office: Office) -> str:
    return office.leave("retry", office.fail_one())


def discard_failed(office: Office) -> str:
    return office.leave("discard", office.fail_one())


def retry_discarded(office: Office) -> str:
    drop_id = office.fail_one()
    assert office.order("discard", drop_id).ok
    return office.leave("retry", drop_id)


def begun(office: Office) -> str:
    """A drop at work, whose fileset is made and its upload refused; its id."""
    office.lab.server.refuse["send"] = BUSY
    office.lab.drop("a.yaml", ONE, {"a.tif": b"image a"})
    office.work()
    (drop_id,) = office.lab.claims()
    return drop_id


def discard_at_work(office: Office) -> str:
    return office.leave("discard", begun(office))


def retry_changed(office: Office) -> str:
    drop_id = office.fail_one()
    sidecar = office.filed("failed") / "bad.yaml"
    before = sidecar.read_bytes()
    sidecar.write_bytes(before + b"tags: [x]\n")
    office.lab.user_bytes += Counter([before + b"tags: [x]\n"])
    office.lab.user_bytes -= Counter([before])
    return office.leave("retry", drop_id)


def retry_refused(office: Office) -> str:
    """Only its sidecar was taken, and goes back to its image."""
    office.lab.drop("typo.yaml", "target: {dataset: HeLa}\ntagz: [x]\n", {"typo.tif": b"image"})
    office.lab.turns()
    return office.leave("retry", office.filed("failed").name.rpartition("__")[2])


def adopt(office: Office) -> str:
    lab = office.lab
    lab.server.refuse["send"] = BUSY
    lab.drop("a.yaml", ONE, {"a.tif": b"image a"})
    for _ in range(8):
        lab.daemons[1].runners[0].turn(0)
        lab.clock.forward(1.1)
    lab.daemons[1].runners = []
    lab.server.refuse.clear()
    return office.leave("adopt", lab.daemons[1].identity().name)


def in_failed_again(office: Office) -> None:
    assert "reopened" in [record.kind for record in read_newest(office.filed("failed"))]


def in_failed(office: Office) -> None:
    assert (office.filed("failed") / layout.MEMBERS / "bad.tif").read_bytes() == b"image"


def refused_again(office: Office) -> None:
    assert (office.filed("failed") / "typo.yaml").exists()
    assert (office.lab.layout.drop / "jdoe" / "typo.tif").read_bytes() == b"image"


def in_discarded(office: Office) -> None:
    (place,) = office.lab.layout.discarded.iterdir()
    assert [path.read_bytes() for path in (place / layout.MEMBERS).iterdir()] in ([b"image"], [b"image a"])


def imported(office: Office) -> None:
    office.lab.check(1)


# What leaves the order, and returns its number; and what looks at the end.
ORDERS: dict[str, tuple[Callable[[Office], str], Callable[[Office], None]]] = {
    "retry of a failed drop": (retry_failed, in_failed_again),
    "retry of a changed one": (retry_changed, in_failed),
    "retry of a refused one": (retry_refused, refused_again),
    "retry of a discarded one": (retry_discarded, in_failed_again),
    "discard of a failed drop": (discard_failed, in_discarded),
    "discard of one at work": (discard_at_work, in_discarded),
    "adopt": (adopt, imported),
}
