"""Text that must be UTF-8."""

from formats.kernel.text cimport Text


cdef inline bint _goes_on(unsigned char byte) noexcept nogil:
    return byte & 0xC0 == 0x80


cdef inline bint is_utf8(Text at, Py_ssize_t size) noexcept nogil:
    """RFC 3629 section 4: no surrogates, nothing longer than need be, nothing above U+10FFFF."""
    cdef Text end = at + size
    cdef Py_ssize_t left
    cdef unsigned char lead
    while at < end:
        lead = at[0]
        left = end - at
        if lead < 0x80:
            at += 1
        elif lead < 0xC2:
            return False
        elif lead < 0xE0:
            if left < 2 or not _goes_on(at[1]):
                return False
            at += 2
        elif lead < 0xF0:
            if left < 3 or not (_goes_on(at[1]) and _goes_on(at[2])):
                return False
            if (lead == 0xE0 and at[1] < 0xA0) or (lead == 0xED and at[1] > 0x9F):
                return False
            at += 3
        elif lead < 0xF5:
            if left < 4 or not (_goes_on(at[1]) and _goes_on(at[2]) and _goes_on(at[3])):
                return False
            if (lead == 0xF0 and at[1] < 0x90) or (lead == 0xF4 and at[1] > 0x8F):
                return False
            at += 4
        else:
            return False
    return True
