"""JSON text as it stands in a `bytes`: what the kernels share to pass over it and to judge it.

All of this relies on one fact: a `bytes` ends in a NUL that is not part of it (PyBytes_AsString), and no loop here passes
a NUL. So nothing is read behind the end, whatever the input, and no position needs to be compared with one.
Functions that return a pointer return NULL where the text is not what they pass over.
"""

from libc.string cimport memcmp

ctypedef const unsigned char* Text

cdef extern from *:
    """
    /* What a byte is within a string: 0 an ordinary one, 1 a quote, 2 a backslash, 3 a control character. */
    static const unsigned char ingestd_in_string[256] = {
        3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3, 0,0,1, [92] = 2,
    };
    """
    const unsigned char in_string "ingestd_in_string"[256]


cdef inline bint is_digit(unsigned char byte) noexcept nogil:
    return <unsigned char>(byte - c"0") < 10


cdef inline bint is_hex(unsigned char byte) noexcept nogil:
    return is_digit(byte) or <unsigned char>((byte | 0x20) - c"a") < 6


cdef inline Text pass_plain(Text at) noexcept nogil:
    """To the first byte that is not an ordinary one of a string."""
    while not in_string[at[0]]:
        at += 1
    return at


cdef inline Text pass_string(Text at) noexcept nogil:
    """From behind the opening quote to behind the closing one. Escapes of surrogates are not passed: they may be lone."""
    while True:
        at = pass_plain(at)
        if at[0] == c'"':
            return at + 1
        if at[0] != c"\\":
            return NULL
        if at[1] == c"u":
            if not (is_hex(at[2]) and is_hex(at[3]) and is_hex(at[4]) and is_hex(at[5])):
                return NULL
            if (at[2] | 0x20) == c"d" and at[3] >= c"8":
                return NULL
            at += 6
        elif at[1] in b'"\\/bfnrt':
            at += 2
        else:
            return NULL


cdef inline Text pass_digits(Text at) noexcept nogil:
    """At least one."""
    if not is_digit(at[0]):
        return NULL
    while is_digit(at[0]):
        at += 1
    return at


cdef inline Text pass_number(Text at) noexcept nogil:
    """RFC 8259 section 6."""
    if at[0] == c"-":
        at += 1
    if at[0] == c"0":
        at += 1
    else:
        at = pass_digits(at)
        if at is NULL:
            return NULL
    if at[0] == c".":
        at = pass_digits(at + 1)
        if at is NULL:
            return NULL
    if at[0] | 0x20 == c"e":
        at += 1
        if at[0] == c"+" or at[0] == c"-":
            at += 1
        at = pass_digits(at)
    return at


cdef inline Text pass_blanks(Text at) noexcept nogil:
    """Spaces and tabs: the other white space of JSON ends a line to many readers."""
    while at[0] == c" " or at[0] == c"\t":
        at += 1
    return at


cdef inline Text pass_word(Text at, const char* word, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(size):
        if at[index] != <unsigned char>word[index]:
            return NULL
    return at + size


cdef inline bint equals(Text at, Py_ssize_t size, const char* word, Py_ssize_t word_size) noexcept nogil:
    """Whether `size` bytes, all of which are there, are this word."""
    return size == word_size and memcmp(at, word, size) == 0


cdef inline Text pass_value(Text at, int depth) noexcept nogil:
    """Any JSON value, nested no deeper than `depth`."""
    cdef unsigned char closing
    if at[0] == c'"':
        return pass_string(at + 1)
    if at[0] == c"-" or is_digit(at[0]):
        return pass_number(at)
    if at[0] == c"t":
        return pass_word(at, b"true", 4)
    if at[0] == c"f":
        return pass_word(at, b"false", 5)
    if at[0] == c"n":
        return pass_word(at, b"null", 4)
    if depth == 0 or (at[0] != c"{" and at[0] != c"["):
        return NULL
    closing = c"}" if at[0] == c"{" else c"]"
    at = pass_blanks(at + 1)
    if at[0] == closing:
        return at + 1
    while True:
        if closing == c"}":
            if at[0] != c'"':
                return NULL
            at = pass_string(at + 1)
            if at is NULL:
                return NULL
            at = pass_blanks(at)
            if at[0] != c":":
                return NULL
            at = pass_blanks(at + 1)
        at = pass_value(at, depth - 1)
        if at is NULL:
            return NULL
        at = pass_blanks(at)
        if at[0] == closing:
            return at + 1
        if at[0] != c",":
            return NULL
        at = pass_blanks(at + 1)
