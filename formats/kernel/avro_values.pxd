"""Avro values within a buffer: nothing is read that was not compared with its end before."""

from libc.stdint cimport int64_t, uint64_t

from formats.kernel.text cimport Text
from formats.kernel.varints cimport pass_varint


cdef inline Text read_long(Text at, Text end, int64_t* value) noexcept nogil:
    """A zigzag varint. Returns the position behind it, NULL if it is cut short or of more than 64 bits."""
    cdef uint64_t raw = 0
    at = pass_varint(at, end, &raw)
    value[0] = <int64_t>((raw >> 1) ^ (0 - (raw & 1)))
    return at


cdef inline Text read_size(Text at, Text end, Py_ssize_t* size) noexcept nogil:
    """How many bytes follow, all of which are there. NULL if they are not."""
    cdef int64_t value = 0
    at = read_long(at, end, &value)
    if at is NULL or value < 0 or value > end - at:
        return NULL
    size[0] = <Py_ssize_t>value
    return at


cdef inline Text read_count(Text at, Text end, Py_ssize_t* count) noexcept nogil:
    """How many items of an array or a map follow; if the number is negative, their size comes first."""
    cdef int64_t value = 0, size = 0
    at = read_long(at, end, &value)
    if at is not NULL and value < 0:
        if value < -(end - at):
            return NULL
        value = -value
        at = read_long(at, end, &size)
    if at is NULL or value > end - at:
        return NULL
    count[0] = <Py_ssize_t>value
    return at
