"""The length before the data of a binary journal field: 64 bits, the low byte first."""

from libc.stdint cimport uint64_t

from formats.kernel.text cimport Text

cdef enum:
    LENGTH_BYTES = 8


cdef inline uint64_t read_length(Text at) noexcept nogil:
    """`LENGTH_BYTES` must be there."""
    cdef uint64_t number = 0
    cdef int index
    for index in range(LENGTH_BYTES):
        number |= <uint64_t>at[index] << (8 * index)
    return number
