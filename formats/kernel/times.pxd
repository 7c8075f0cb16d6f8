"""Timestamps of RFC 3339 in UTC, with any fraction or none, or without a zone, in the stored form.

Others are for `formats.timestamps`, which makes the same of these.
"""

from libc.string cimport memcmp, memcpy

from formats.kernel.out cimport Out, put
from formats.kernel.summary cimport WIDTH, is_timestamp
from formats.kernel.text cimport Text, is_digit

cdef enum:
    SECOND = 19  # where a fraction begins, or a zone


cdef inline bint put_timestamp(Out* out, Text at, Py_ssize_t size) noexcept:
    """Put the time that these `size` bytes say in the stored form; there must be room for it. Its date is checked apart.

    False: it is not written so, and what was put is to be dropped.
    """
    cdef Py_ssize_t index = SECOND, digits = 0
    if size == WIDTH and is_timestamp(at):
        put(out, at, WIDTH)
        return True
    if size < SECOND:
        return False
    memcpy(out.at, at, SECOND)
    memcpy(out.at + SECOND, b".000000Z", WIDTH - SECOND)
    if index < size and (at[index] == c"." or at[index] == c","):
        index += 1
        while index < size and is_digit(at[index]):
            if digits < 6:
                out.at[SECOND + 1 + digits] = <char>at[index]
            digits += 1
            index += 1
        if not digits:
            return False
    if not (
        index == size
        or (size - index == 1 and at[index] == c"Z")
        or (size - index == 6 and memcmp(at + index, b"+00:00", 6) == 0)
    ):
        return False
    out.at += WIDTH
    return is_timestamp(<Text>out.at - WIDTH)
