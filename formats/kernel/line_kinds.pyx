# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Whether all lines of a block are raw text, or all are syslog, told by how each begins: `formats.detect` for most blocks.

Only the two common beginnings of syslog are known here, and a line that some uncommon one might match makes the whole
block unclear, as does one that begins like JSON.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp

from formats.kernel.text cimport Text, is_digit

cdef enum:
    UNCLEAR = 0
    BLANK = 1
    RAW = 2
    SYSLOG = 3


def one_kind(bytes block not None):
    """`raw` or `syslog`; None: lines of several kinds, of another one, or it takes a closer look to tell."""
    cdef Text at = <Text>PyBytes_AS_STRING(block)
    cdef Text end = at + PyBytes_GET_SIZE(block)
    cdef Text line
    cdef int kind, found = UNCLEAR
    while at < end:
        line = at
        at = <Text>memchr(line, c"\n", end - line)
        at = end if at is NULL else at + 1
        kind = _kind(line, end)
        if kind == BLANK:  # as the line before, and raw where there is none
            kind = found or RAW
        if kind == UNCLEAR or (found != UNCLEAR and kind != found):
            return None
        found = kind
    if found == UNCLEAR:
        return None
    return "raw" if found == RAW else "syslog"


cdef inline int _kind(Text at, Text end) noexcept nogil:
    """Of the line that begins here, in a block that ends at `end`: a NUL stands there, and no look goes beyond one."""
    cdef unsigned char first = at[0]
    if first == c"{":
        return UNCLEAR
    if first == c"<":
        return SYSLOG if _is_message(at + 1) else UNCLEAR
    if first == c"1" or first == c"2":  # rsyslog's time, of six digits and an offset
        if end - at > 32 and at[10] == c"T" and at[19] == c"." and at[32] == c" ":
            return UNCLEAR
        return RAW
    if first == c"*" or first == c".":
        return UNCLEAR if _is_month(at + 1) else RAW
    if c"A" <= first <= c"S":
        return UNCLEAR if _is_month(at) else RAW
    if first != c"[" and first != c"\n" and not _is_space(first):
        return RAW
    while _is_space(at[0]):
        at += 1
    if at[0] == c"\n" or at == end:
        return BLANK
    if at[0] == c"{":
        return UNCLEAR
    if at[0] != c"[":
        return RAW
    at += 1
    while _is_space(at[0]):
        at += 1
    return UNCLEAR if at[0] == c"{" else RAW


cdef inline bint _is_space(unsigned char byte) noexcept nogil:
    """White space within a line."""
    return byte == c" " or byte == c"\t" or 11 <= byte <= 13


cdef inline bint _is_month(Text at) noexcept nogil:
    """`Nov ` and the like."""
    cdef const char* months = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec "
    cdef int index
    for index in range(4):
        if at[index] == 0:
            return False
    for index in range(12):
        if memcmp(at, months + 4 * index, 4) == 0:
            return True
    return False


cdef inline bint _is_message(Text at) noexcept nogil:
    """Whether a PRI of at most 191 and the beginning of RFC 5424, or RFC 3164's time, follow the `<`."""
    cdef int digits = 0, value = 0
    while digits < 3 and is_digit(at[digits]):
        value = 10 * value + at[digits] - c"0"
        digits += 1
    if digits == 0 or value > 191 or (digits > 1 and at[0] == c"0") or at[digits] != c">":
        return False
    at += digits + 1
    if _fits(at, b"1 0000-00-00T00:00:00", b"1 9999-19-39T29:59:69", 21):
        return True
    return _is_month(at) and (
        _fits(at + 4, b"00 00:00:00 ", b"39 29:59:69 ", 12) or _fits(at + 4, b" 0 00:00:00 ", b" 9 29:59:69 ", 12)
    )


cdef inline bint _fits(Text at, const char* least, const char* most, int size) noexcept nogil:
    cdef int index
    for index in range(size):
        if not <unsigned char>least[index] <= at[index] <= <unsigned char>most[index]:
            return False
    return True
