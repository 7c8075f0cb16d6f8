"""Unsigned varints: seven bits a byte, the low ones first, the high bit says that more follow.

https://protobuf.dev/programming-guides/encoding/#varints
"""

from libc.stdint cimport uint64_t

from formats.kernel.text cimport Text

cdef enum:
    LONGEST_VARINT = 10  # bytes, of 64 bits


cdef inline Text pass_varint(Text at, Text end, uint64_t* value) noexcept nogil:
    """Read one, from `at` to behind it. NULL: it is cut off by `end`, or has more than 64 bits."""
    cdef uint64_t read
    cdef int index
    if at < end and at[0] < 0x80:
        value[0] = at[0]
        return at + 1
    read = 0
    for index in range(LONGEST_VARINT):
        if at >= end:
            return NULL
        if index == LONGEST_VARINT - 1 and at[0] > 1:
            return NULL
        read |= <uint64_t>(at[0] & 0x7F) << (7 * index)
        at += 1
        if at[-1] < 0x80:
            value[0] = read
            return at
    return NULL


cdef inline Text pass_short(Text at, Text end, uint64_t* value) noexcept nogil:
    """The same, and NULL also where it has more bytes than it needs, as no serialiser writes it."""
    cdef Text behind = pass_varint(at, end, value)
    if behind is not NULL and behind[-1] == 0 and behind - at > 1:
        return NULL
    return behind
