"""The dataset that was found or made is taken away before the images are in it: another importer settled on its twin, or a person did it.

OMERO tells it only after the upload. The target is looked for anew then, and nothing is lost.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import omero.cmd

from tests.support.realrun import RealRun, real_run


def take_away(run: RealRun, client: Any, name: str) -> None:
    """As its owner, who keeps the images if there are any."""
    numbers = [number for (number,) in run.ask("select id from Dataset where name = ?", [name])]
    keep = [omero.cmd.graphs.ChildOption(excludeType=["Image"])]
    handle = client.sf.submit(omero.cmd.Delete2(targetObjects={"Dataset": numbers}, childOptions=keep))
    while handle.getResponse() is None:
        time.sleep(0.05)
    handle.close()
    run.standin.close_clients()


@pytest.mark.parametrize("operation", ["importFileset", "verifyUpload"])
def test_a_dataset_that_goes_while_images_are_on_their_way_is_made_again(tmp_path: Path, operation: str) -> None:
    with real_run(tmp_path) as run:
        run.start()
        client = run.standin.log_in("alice")
        run.standin.faults({"operation": operation, "do": "delay", "seconds": 6, "times": 2})
        run.drop("one", fine=2)
        run.until(lambda: any(run.standin.strikes()), 60)
        take_away(run, client, "one")
        assert not run.ask("select id from Image"), "too late: they are in it already"
        run.rest()
        run.check()
        (left,) = run.ask("select count(*) from Dataset where name = 'one'")
        assert left == (1,)
