# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Services and messages out of the lines that a kernel made, for the records that are asked for."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memchr

import msgspec

_text = msgspec.json.Decoder(str).decode


def services(bytes lines not None, bytes spans not None, numbers):
    """The services of these records. IndexError: there is no such record."""
    return _texts(lines, spans, numbers, False)


def messages(bytes lines not None, bytes spans not None, numbers):
    """The messages of these records. IndexError: there is no such record."""
    return _texts(lines, spans, numbers, True)


cdef list _texts(bytes lines, bytes spans, numbers, bint of_message):
    cdef const char* data = PyBytes_AS_STRING(lines)
    cdef const Span* all_spans = <const Span*>PyBytes_AS_STRING(spans)
    cdef Py_ssize_t records = PyBytes_GET_SIZE(spans) // <Py_ssize_t>sizeof(Span)
    cdef Py_ssize_t number, start, end
    cdef list found = []
    for number in range(records) if numbers is None else numbers:
        if not 0 <= number < records:
            raise IndexError(f"no record {number} of {records}")
        if of_message:
            start, end = all_spans[number].message_start, all_spans[number].message_end
        else:
            start, end = all_spans[number].service_start, all_spans[number].service_end
        if not 0 <= start <= end <= PyBytes_GET_SIZE(lines):
            raise IndexError(f"record {number} is not within the {len(lines)} bytes of the lines")
        if memchr(data + start, c"\\", end - start) is NULL:
            found.append(PyUnicode_DecodeUTF8(data + start, end - start, NULL))
        else:
            found.append(_text(b'"' + data[start:end] + b'"'))
    return found
