"""Who a certificate says its holder is."""

from __future__ import annotations

import pytest

from ingestd.identities import identity

DIGITS = "9f" * 32


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("CN:Web 1", "CN:Web 1"),
        ("cn: Web 1 ", "CN:Web 1"),
        ("DNS:Web1.Example.org", "DNS:web1.example.org"),
        ("URI:spiffe://example.org/Web", "URI:spiffe://example.org/Web"),
        (f"SHA256:{DIGITS.upper()}", f"SHA256:{DIGITS}"),
        ("sha256:" + ":".join(["9F"] * 32), f"SHA256:{DIGITS}"),
    ],
)
def test_how_it_is_written(text: str, compared: str) -> None:
    assert identity(text) == compared


@pytest.mark.parametrize(
    "text", ["", "web1", "CN:", "IP:10.0.0.1", "SHA256:9f", f"SHA256:{DIGITS}0", "SHA1:9f"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|64 hexadecimal"):
        identity(text)
