# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Texts as they are meant, out of the strings of JSON in which they are stored."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memchr

from formats.kernel.out cimport Out, put, put_byte, reserve, size_of

import msgspec

_text = msgspec.json.Decoder(str).decode


cdef Py_ssize_t put_plain(Out* out, const char* data, Py_ssize_t size) except -1:
    """Put the text that stands there, between quotes of JSON, and an LF; returns where that stands."""
    cdef bytes text
    reserve(out, size + 1)  # as JSON no text is shorter
    if memchr(data, c"\\", size) is not NULL:
        text = decoded(data, size).encode()
        put(out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    else:
        put(out, data, size)
    put_byte(out, c"\n")
    return size_of(out) - 1


cdef str decoded(const char* data, Py_ssize_t size):
    """The text that stands there, between quotes of JSON."""
    if memchr(data, c"\\", size) is NULL:
        return PyUnicode_DecodeUTF8(data, size, NULL)
    return _text(b'"' + data[:size] + b'"')
