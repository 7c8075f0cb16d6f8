# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Where the entries of the journal's export format end, field by field, as far as nothing is odd or missing."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memchr

from formats.kernel.journal_lengths cimport LENGTH_BYTES, read_length
from formats.kernel.text cimport Text

cdef enum:
    LONGEST_NAME = 64  # of a binary field, as journald_framing.NAME_LIMIT_BYTES
    LONGEST_DATA = 768 << 20  # as journald_framing.DATA_LIMIT_BYTES


def walk(bytearray data not None, Py_ssize_t entry, Py_ssize_t at, Py_ssize_t limit):
    """From a field at `at` of an entry at `entry` on: the last entry that began, and its first field that is left.

    That is a field of which something is missing, a line that is no field, or the end of an entry over the limit.
    """
    cdef Text start = <Text>PyByteArray_AS_STRING(data)
    cdef Text end = start + PyByteArray_GET_SIZE(data)
    cdef Text field
    cdef Text begun
    cdef Text after
    if not 0 <= entry <= at <= PyByteArray_GET_SIZE(data):
        raise ValueError(f"no field at {at} of an entry at {entry} of {len(data)} bytes")
    begun = start + entry
    field = start + at
    while field < end:
        if field[0] == c"\n":
            if field - begun > limit:
                break
            field += 1
            begun = field
            continue
        after = _pass_field(field, end, begun, limit)
        if after is NULL:
            break
        field = after
    return begun - start, field - start


cdef inline Text _pass_field(Text at, Text end, Text entry, Py_ssize_t limit) noexcept nogil:
    cdef Text name_end = at
    cdef Text line_end
    cdef uint64_t length = 0
    while name_end < end and name_end[0] != c"=" and name_end[0] != c"\n":
        name_end += 1
    if name_end == end:
        return NULL
    if name_end[0] == c"=":
        line_end = <Text>memchr(name_end, c"\n", end - name_end)
        return NULL if line_end is NULL else line_end + 1
    if name_end - at > LONGEST_NAME or end - name_end <= LENGTH_BYTES:
        return NULL
    length = read_length(name_end + 1)
    at = name_end + 1 + LENGTH_BYTES
    # A length of what is there has a zero byte, as that of a field must. The LF behind the data counts for the limit.
    if length >= <uint64_t>(end - at) or length > LONGEST_DATA or <Py_ssize_t>length + (at - entry) >= limit:
        return NULL
    at += <Py_ssize_t>length
    return at + 1 if at[0] == c"\n" else NULL
