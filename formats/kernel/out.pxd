"""Lines in the making: one `bytes` that grows, of which nothing is written that was not reserved before."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from formats.kernel.text cimport Text, in_string

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** data, Py_ssize_t size) except -1

cdef extern from *:
    """
    /* A new reference is taken over as it is: Cython would count it again. */
    #define ingestd_new_bytes(size) PyBytes_FromStringAndSize(NULL, size)
    """
    PyObject* new_bytes "ingestd_new_bytes"(Py_ssize_t size) except NULL

cdef enum:
    ESCAPED = 6  # bytes that one byte may become in JSON, \u001f

cdef struct Out:
    PyObject* data
    char* at
    char* limit
    unsigned char seen  # all bytes that were put, or-ed: 0x80 is set where one is not ASCII


cdef inline int begin(Out* out, Py_ssize_t size) except -1:
    """With room for so many bytes. Whatever happens then, `finish` or `drop` must be called. Raises MemoryError."""
    out.data = new_bytes(size)
    out.at = PyBytes_AS_STRING(<object>out.data)
    out.limit = out.at + size
    out.seen = 0
    return 0


cdef inline Py_ssize_t size_of(Out* out) noexcept:
    """How many bytes there are."""
    return out.at - PyBytes_AS_STRING(<object>out.data)


cdef inline int reserve(Out* out, Py_ssize_t size) except -1:
    """Make room for so many bytes more. Raises MemoryError; then there is nothing left to drop."""
    cdef Py_ssize_t used, whole
    if out.limit - out.at < size:
        used = size_of(out)
        whole = 2 * (used + size)
        _PyBytes_Resize(&out.data, whole)
        out.at = PyBytes_AS_STRING(<object>out.data) + used
        out.limit = PyBytes_AS_STRING(<object>out.data) + whole
    return 0


cdef inline void put(Out* out, const void* data, Py_ssize_t size) noexcept:
    """Put bytes as they are; there must be room for them. They do not count as `seen`."""
    memcpy(out.at, data, size)
    out.at += size


cdef inline void put_byte(Out* out, char byte) noexcept:
    out.at[0] = byte
    out.at += 1


cdef inline void put_text(Out* out, Text text, Py_ssize_t size) noexcept:
    """Put text as it stands in a JSON string, as msgspec escapes it; there must be room for `ESCAPED * size`."""
    cdef Text end = text + size
    cdef unsigned char byte, seen = out.seen
    cdef char* at = out.at
    while text < end:
        byte = text[0]
        text += 1
        if not in_string[byte]:
            seen |= byte
            at[0] = <char>byte
            at += 1
            continue
        at[0] = c"\\"
        if byte == c'"' or byte == c"\\":
            at[1] = <char>byte
        elif byte == c"\n":
            at[1] = c"n"
        elif byte == c"\t":
            at[1] = c"t"
        elif byte == c"\r":
            at[1] = c"r"
        elif byte == 8:
            at[1] = c"b"
        elif byte == 12:
            at[1] = c"f"
        else:
            at[1] = c"u"
            at[2] = c"0"
            at[3] = c"0"
            at[4] = c"1" if byte & 0x10 else c"0"
            at[5] = b"0123456789abcdef"[byte & 0x0F]
            at += 4
        at += 2
    out.at = at
    out.seen = seen


cdef inline bytes finish(Out* out):
    """All that was put."""
    cdef PyObject* data
    _PyBytes_Resize(&out.data, size_of(out))
    data = out.data
    out.data = NULL
    made = <bytes>data
    Py_XDECREF(data)  # the reference of `out`: `made` has one of its own
    return made


cdef inline void drop(Out* out) noexcept:
    """Nothing comes of it."""
    Py_XDECREF(out.data)
    out.data = NULL


cdef inline uint64_t _not_ordinary(uint64_t word) noexcept nogil:
    """Not 0 where one of eight bytes is a control character, a quote or a backslash.

    https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord
    """
    cdef uint64_t ones = 0x0101010101010101ULL
    cdef uint64_t quote = word ^ (ones * c'"')
    cdef uint64_t backslash = word ^ (ones * c"\\")
    return (
        ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)
    ) & (ones << 7)


cdef inline void put_words(Out* out, Text text, Py_ssize_t size) noexcept:
    """`put_text`, eight bytes at once where nothing among them is escaped."""
    cdef Text end = text + size
    cdef uint64_t word, seen = 0
    while end - text >= 8:
        memcpy(&word, text, 8)
        if _not_ordinary(word):
            put_text(out, text, 8)
        else:
            seen |= word
            memcpy(out.at, &word, 8)
            out.at += 8
        text += 8
    if seen & 0x8080808080808080ULL:
        out.seen |= 0x80
    put_text(out, text, end - text)


cdef inline int put_message(Out* out, Text text, Py_ssize_t size) except -1:
    """`put_text` of what mostly needs no escape, 16 bytes at a time. There must be room for `size`; where escapes
    need more it is made. Not all that is put counts as `seen`. Raises MemoryError, as `reserve` does.
    """
    cdef unsigned char special
    cdef bint is_reserved = False
    cdef int index
    while size > 0:
        special = size < 16
        if not special:
            for index in range(16):
                special |= (text[index] < 0x20) | (text[index] == c'"') | (text[index] == c"\\")
        if not special:
            memcpy(out.at, text, 16)
            out.at += 16
        else:
            if not is_reserved:
                reserve(out, ESCAPED * size)
                is_reserved = True
            put_words(out, text, size if size < 16 else 16)
        text += 16
        size -= 16
    return 0
