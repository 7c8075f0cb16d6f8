"""The table that joins framing and formats."""

import shutil
import sysconfig
from pathlib import Path

import pytest

from formats import FORMATS, kernel
from tests.formats.harness import CONTEXT

LINES = ("json", "raw", "auto")


def test_every_format_is_under_its_name() -> None:
    assert all(format.name == name for name, format in FORMATS.items())
    assert set(LINES) <= set(FORMATS)


def test_a_format_of_lines_goes_on_behind_a_whole_one() -> None:
    for name in LINES:
        format = FORMATS[name]
        framer = format.framer(100)
        block = framer.feed(b'{"message":"hi"}\n{')
        (encoded,) = format.encode(block, CONTEXT)
        assert (encoded.records, framer.pending_bytes) == (1, 1)


def can_compile() -> bool:
    header = Path(sysconfig.get_path("include"), "Python.h")
    return shutil.which("cc") is not None and header.is_file()


@pytest.mark.skipif(not can_compile(), reason="no C compiler, or no headers of Python")
def test_where_there_is_a_compiler_there_are_kernels() -> None:
    assert kernel.COMPILED, "a kernel does not compile: .venv/bin/pip install --verbose --editable ."
