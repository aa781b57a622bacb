"""Under which name a sidecar lies in its claim, beside our own files."""

from __future__ import annotations

import pytest

from dropbox_import.spool.claim import kept_name


@pytest.mark.parametrize("name", ["cells.yaml", "results.yaml", "my request.json", "d.yaml"])
def test_a_sidecar_keeps_its_name(name: str) -> None:
    assert kept_name(name) == kept_name(f"sub/{name}") == name


@pytest.mark.parametrize("name", ["result.yaml", "request.json", "Result.yaml", "REQUEST.JSON", "Reason.TXT"])
def test_one_that_cannot_lie_beside_our_files_gets_another(name: str) -> None:
    """On Windows, on shares and on macOS, where upper and lower case are one, ours would be written over it."""
    assert kept_name(name) == kept_name(f"sub/{name}") == f"sidecar-{name}"
