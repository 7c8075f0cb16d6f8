"""Memory that processes of the daemon share, and that outlives the program that made it.

A memfd (memfd_create(2)), mapped. Forked children inherit the mapping; a program that replaces this one in the same
process (execve(2)) is told the descriptor and maps it again, so counters go on over an upgrade. Who may write which
part is for the owner of the memory to say: there is no lock here.
"""

from __future__ import annotations

import mmap
import os


class Memory:
    """`nbytes` of shared memory, zero when made. Lives as long as a process has it mapped or open."""

    def __init__(self, name: str, nbytes: int) -> None:
        """`name` is what /proc shows of it. Raises `OSError`."""
        fd = os.memfd_create(name)
        os.ftruncate(fd, nbytes)
        self._map(fd, nbytes)

    @classmethod
    def inherited(cls, fd: int) -> Memory:
        """What another program of this process made; takes the descriptor over. Raises `OSError`."""
        memory = cls.__new__(cls)
        memory._map(fd, os.fstat(fd).st_size)
        return memory

    def _map(self, fd: int, nbytes: int) -> None:
        self.fd = fd
        self.nbytes = nbytes
        self.bytes = mmap.mmap(fd, nbytes)

    def words(self) -> memoryview[int]:
        """The same memory as int64; aligned ones are read and written whole. `nbytes` must be a multiple of 8."""
        return memoryview(self.bytes).cast("q")
