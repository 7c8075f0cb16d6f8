"""The interpreter and the libraries."""

from __future__ import annotations

from importlib import metadata

import pytest

from formats import kernel
from ingestd.doctor import versions

REQUIRED = [
    "uvloop>=0.21",
    "confluent-kafka[schemaregistry]>=2.16",
    'pytest>=8.2; extra == "test"',
    "tzdata>=2024.1",
]


def installed(**found: str) -> list[tuple[str, str]]:
    def version(name: str) -> str:
        try:
            return found[name.replace("-", "_")]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    return [(finding.verdict, finding.says) for finding in versions.libraries(REQUIRED, version)]


def test_all_are_there_and_new_enough() -> None:
    findings = installed(uvloop="0.21.0", confluent_kafka="2.20.0rc1", tzdata="2025.2")
    assert findings == [("ok", "uvloop 0.21.0, confluent-kafka 2.20.0rc1, tzdata 2025.2")]


def test_one_is_missing_and_one_is_old() -> None:
    findings = installed(uvloop="0.9.9", tzdata="2024.1")
    assert findings == [
        ("fail", "uvloop 0.9.9 is older than 0.21"),
        ("fail", "confluent-kafka is not installed"),
        ("ok", "tzdata 2024.1"),
    ]


@pytest.mark.parametrize(
    ("linux", "verdict"),
    [("6.1.0-25-amd64", "ok"), ("5.4.0", "ok"), ("4.19.0", "warn"), ("5.3.18-150300", "warn")],
)
def test_the_kernel(linux: str, verdict: str) -> None:
    assert versions.system(linux, "3.11.7", "OpenSSL 3.0.11").verdict == verdict


def test_the_kernels_of_the_formats() -> None:
    assert versions.kernels(compiled=True).verdict == "ok"
    missing = versions.kernels(compiled=False)
    assert missing.verdict == "warn"
    assert "gcc" in missing.do


def test_what_runs_these_tests_is_good() -> None:
    verdicts = {finding.check: finding.verdict for finding in versions.examine()}
    assert verdicts.pop("kernels") == ("ok" if kernel.COMPILED else "warn")
    assert set(verdicts.values()) == {"ok"}
