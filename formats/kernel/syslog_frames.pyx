# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Syslog over a stream: counted messages to lines, and where counts may begin (formats.syslog_framing)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr

from formats.kernel.out cimport Out, begin, drop, finish, put, put_byte, reserve
from formats.kernel.text cimport Text, is_digit

cdef enum:
    COUNT_DIGITS = 9
    COUNT_WIDTH = 24  # bytes that a count, a space and a line feed may need
    FIRST_ROOM = 1 << 16  # there may be one counted message, and lines behind it


def count_starts(bytes data not None):
    """Where, behind a line feed or a NUL, a digit stands that can begin a count."""
    cdef Text start = <Text>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef Text end = start + size
    cdef Text at = start
    cdef list found = []
    if memchr(start, 0, size) is NULL:
        while True:
            at = <Text>memchr(at, c"\n", end - at)
            if at is NULL:
                return found
            at += 1
            if at[0] >= c"1" and at[0] <= c"9":
                found.append(at - start)
    while at < end:
        at += 1
        if ((at - 1)[0] == c"\n" or (at - 1)[0] == 0) and at[0] >= c"1" and at[0] <= c"9":
            found.append(at - start)
    return found


def counted_lines(bytes data not None, Py_ssize_t position, Py_ssize_t limit_bytes):
    """The counted messages that follow one another whole from `position` on, as lines, and the position behind them.

    None is longer than `limit_bytes`. One that holds a line feed or a NUL, or begins like a count, stays counted.
    """
    cdef Text start = <Text>PyBytes_AS_STRING(data)
    cdef Text end = start + PyBytes_GET_SIZE(data)
    cdef Text at
    cdef Text message
    cdef Py_ssize_t size
    cdef Out out
    if not 0 <= position <= end - start:
        raise IndexError(f"position {position} of {end - start} bytes")
    at = start + position
    message = _pass_count(at, &size)
    if message is NULL:
        return b"", position
    begin(&out, min(end - at, FIRST_ROOM))
    try:
        while message is not NULL and size <= end - message and size <= limit_bytes:
            at = message + size
            while size > 0 and (message[size - 1] == c"\r" or message[size - 1] == c"\n" or message[size - 1] == 0):
                size -= 1
            reserve(&out, size + COUNT_WIDTH)
            if _stays_counted(message, size):
                count = b"%d " % size
                put(&out, PyBytes_AS_STRING(count), PyBytes_GET_SIZE(count))
            put(&out, message, size)
            put_byte(&out, c"\n")
            message = _pass_count(at, &size)
        return finish(&out), at - start
    finally:
        drop(&out)


cdef inline Text _pass_count(Text at, Py_ssize_t* size) noexcept nogil:
    """To behind a count and its space; NULL: there is none."""
    cdef Py_ssize_t count = 0
    cdef int digits = 0
    if at[0] == c"0":
        return NULL
    while is_digit(at[0]) and digits < COUNT_DIGITS:
        count = 10 * count + (at[0] - c"0")
        digits += 1
        at += 1
    if digits == 0 or at[0] != c" ":
        return NULL
    size[0] = count
    return at + 1


cdef inline bint _stays_counted(Text message, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t counted
    cdef Text behind
    if memchr(message, c"\n", size) is not NULL or memchr(message, 0, size) is not NULL:
        return True
    behind = _pass_count(message, &counted)
    return behind is not NULL and behind <= message + size
