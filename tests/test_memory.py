"""Shared memory: seen by children, and by another program that is given the descriptor."""

from __future__ import annotations

import os
import subprocess
import sys

from ingestd.memory import Memory


def test_it_is_zero_and_as_large_as_asked() -> None:
    memory = Memory("test", 4096)
    assert (memory.nbytes, len(memory.bytes), len(memory.words())) == (4096, 4096, 512)
    assert not any(memory.words())


def test_another_program_sees_and_writes_the_same() -> None:
    memory = Memory("test", 64)
    memory.words()[0] = 41
    program = (
        f"from ingestd.memory import Memory; words = Memory.inherited({memory.fd}).words(); words[0] += 1"
    )
    subprocess.run([sys.executable, "-c", program], check=True, pass_fds=[memory.fd])
    assert memory.words()[0] == 42


def test_it_does_not_go_to_other_programs_by_itself() -> None:
    assert not os.get_inheritable(Memory("test", 64).fd)
