"""The names of levels, by their number in formats.levels.LEVELS."""

from formats.kernel.out cimport Out, put


cdef inline void put_level(Out* out, int level) noexcept:
    """Put the name; there must be room for five letters."""
    put(out, <const char*>b"TRACEDEBUGINFO WARN ERRORFATAL" + 5 * level, 5)
    out.at -= level == 2 or level == 3  # INFO, WARN
