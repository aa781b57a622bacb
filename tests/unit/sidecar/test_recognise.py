"""Which YAML and JSON files are sidecars, and which are data that a microscope wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.sidecar import Verdict, is_sidecar

SIDECAR, NEAR, DATA = Verdict(True), Verdict(False, True), Verdict(False)


@pytest.mark.parametrize(
    ("name", "head", "verdict"),
    [
        ("a.yaml", b"target: none", SIDECAR),
        ("a.yml", b"schema: 1\n", SIDECAR),
        ("A.YAML", b"# hi\r\n\r\ntarget:\r\n", SIDECAR),
        ("a.yaml", b"---\n  target: {a: b}\n  b: 1", SIDECAR),
        ("a.yaml", b"{target: none}", SIDECAR),
        ("a.yaml", b"'target': none", SIDECAR),
        ("a.json", b'{"schema": 1, "tar', SIDECAR),
        ("a.json", b'{"tags": [{"a": 1}], "target": "none"}', SIDECAR),
        ("a.yaml", "target: none".encode("utf-16"), SIDECAR),
        ("a.yaml", "target: none".encode("utf-16-le"), SIDECAR),
        ("broken.yaml", b"a:\n\tb: 1\ntarget: {", SIDECAR),
        ("large.yaml", b"target: none\n" + b"# x\n" * 400_000, SIDECAR),
        ("a.yaml", b"schema 1\ntarget: none", SIDECAR),
        ("a.yaml", b"tags HeLa, live\r\ntarget: none\r\n", SIDECAR),
        ("a.yaml", b"My sidecar\n\ntarget: none", SIDECAR),
        ("a.yaml", b'"tags\ntarget: none', SIDECAR),
        ("a.yaml", b"Target: none", NEAR),
        ("a.yaml", b"taget: none", NEAR),
        ("a.yaml", b"shema: 1", NEAR),
        ("a.yaml.txt", b"target: none", NEAR),
        ("omero.yml", b"each: file", NEAR),
        ("a.txt", b"target: none", DATA),
        ("notes.yaml.txt", b"nothing of that kind", DATA),
        ("a.tif", b"target: none", DATA),
        (".a.yaml", b"target: none", DATA),
        ("a.yaml", b"", DATA),
        ("a.yaml", b"- target: none", DATA),
        ("a.yaml", b"x: |\n  target: 1\n", DATA),
        ("a.yaml", b"objective: 100x\nlaser: 488\n", DATA),
        ("a.json", b'{"$schema": "https://x", "version": 3}', DATA),
        ("a.json", b'{"a": {"target": 1}, "b": 2}', DATA),
        ("a.yaml", b"schema: https://x\n", DATA),
        ("a.json", b'[{"target": 1}]', DATA),
    ],
)
def test_table(name: str, head: bytes, verdict: Verdict) -> None:
    assert is_sidecar("run/" + name, head) == verdict


@given(st.binary(max_size=200), st.sampled_from(["a.yaml", "a.json", "a.yaml.txt"]))
def test_any_bytes_get_a_verdict(head: bytes, name: str) -> None:
    assert isinstance(is_sidecar(name, head), Verdict)
