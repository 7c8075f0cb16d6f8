# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Services and messages out of the lines that a kernel made, for the records that are asked for."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t
from libc.string cimport memchr, memcmp, memset

from formats.kernel.out cimport Out, begin, drop, finish, put, put_byte, size_of
from formats.kernel.summary cimport MOST_SERVICES, SLOTS, _mixed
from formats.kernel.text cimport Text

import msgspec

_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

cdef struct Known:
    Text data
    Py_ssize_t size
    Py_ssize_t place


def services(bytes lines not None, bytes spans not None, numbers):
    """The services of these records, None for all. IndexError: there is no such record."""
    cdef const Span* span = <const Span*>PyBytes_AS_STRING(spans)
    cdef const char* data = PyBytes_AS_STRING(lines)
    cdef bytes wanted = _wanted(lines, spans, numbers)
    cdef const int64_t* number = <const int64_t*>PyBytes_AS_STRING(wanted)
    cdef Py_ssize_t count = PyBytes_GET_SIZE(wanted) // <Py_ssize_t>sizeof(int64_t)
    cdef Known known[SLOTS]
    cdef Known* slot
    cdef Py_ssize_t index, start, size
    cdef list names = [], found = []
    memset(known, 0, sizeof(known))
    for index in range(count):
        start = span[number[index]].service_start
        size = span[number[index]].service_end - start
        slot = _slot(known, <Text>data + start, size)
        if slot.data is NULL:
            name = _decoded(data + start, size)
            if len(names) == MOST_SERVICES:
                found.append(name)
                continue
            slot[0] = Known(<Text>data + start, size, len(names))
            names.append(name)
        found.append(names[slot.place])  # the same object each time: its hash is reckoned once
    return found


def count(bytes lines not None, bytes spans not None, numbers):
    """How many of these records, None for all, each service has that has any. IndexError: there is no such record."""
    cdef const Span* span = <const Span*>PyBytes_AS_STRING(spans)
    cdef const char* data = PyBytes_AS_STRING(lines)
    cdef bytes wanted = _wanted(lines, spans, numbers)
    cdef const int64_t* number = <const int64_t*>PyBytes_AS_STRING(wanted)
    cdef Py_ssize_t records = PyBytes_GET_SIZE(wanted) // <Py_ssize_t>sizeof(int64_t)
    cdef Known known[SLOTS]
    cdef Known* slot
    cdef Py_ssize_t index, start, size, services = 0
    cdef dict counts = {}
    memset(known, 0, sizeof(known))
    for index in range(records):
        start = span[number[index]].service_start
        size = span[number[index]].service_end - start
        slot = _slot(known, <Text>data + start, size)
        if slot.data is NULL:
            if services == MOST_SERVICES:
                name = _decoded(data + start, size)
                counts[name] = counts.get(name, 0) + 1
                continue
            slot[0] = Known(<Text>data + start, size, 0)
            services += 1
        slot.place += 1
    for index in range(SLOTS):
        if known[index].data is not NULL:
            name = _decoded(<const char*>known[index].data, known[index].size)
            counts[name] = counts.get(name, 0) + known[index].place
    return counts


def of_service(bytes lines not None, bytes spans not None, numbers, str service not None):
    """Those of these records, None for all, that are of the service. IndexError: there is no such record."""
    cdef const Span* span = <const Span*>PyBytes_AS_STRING(spans)
    cdef const char* data = PyBytes_AS_STRING(lines)
    cdef bytes wanted = _wanted(lines, spans, numbers)
    cdef const int64_t* number = <const int64_t*>PyBytes_AS_STRING(wanted)
    cdef Py_ssize_t records = PyBytes_GET_SIZE(wanted) // <Py_ssize_t>sizeof(int64_t)
    cdef Py_ssize_t index, start, size
    cdef bytes quoted = _encode(service)
    cdef bytes written = quoted[1 : PyBytes_GET_SIZE(quoted) - 1]
    cdef list found = []
    for index in range(records):
        start = span[number[index]].service_start
        size = span[number[index]].service_end - start
        if _is(data + start, size, written) or _is_same(data + start, size, service):
            found.append(number[index])
    return found


cdef inline bint _is(const char* data, Py_ssize_t size, bytes text) noexcept:
    return size == PyBytes_GET_SIZE(text) and memcmp(data, PyBytes_AS_STRING(text), size) == 0


cdef inline bint _is_same(const char* data, Py_ssize_t size, service) except -1:
    """Of what is written with escapes, of which there is more than one way."""
    return memchr(data, c"\\", size) is not NULL and _decoded(data, size) == service


cdef inline Known* _slot(Known* known, Text data, Py_ssize_t size) noexcept nogil:
    """Where these bytes are, or would be."""
    cdef unsigned int place = <unsigned int>(_mixed(data, size) >> 57)
    while known[place % SLOTS].data is not NULL:
        if known[place % SLOTS].size == size and memcmp(known[place % SLOTS].data, data, size) == 0:
            break
        place += 1
    return &known[place % SLOTS]


def messages(bytes lines not None, bytes spans not None, numbers):
    """The messages of these records, None for all, each with an LF behind it, and where these stand: `cores.Texts`.

    The positions are int64. IndexError: there is no such record.
    """
    cdef const Span* span = <const Span*>PyBytes_AS_STRING(spans)
    cdef const char* data = PyBytes_AS_STRING(lines)
    cdef bytes wanted = _wanted(lines, spans, numbers)
    cdef const int64_t* number = <const int64_t*>PyBytes_AS_STRING(wanted)
    cdef Py_ssize_t count = PyBytes_GET_SIZE(wanted) // <Py_ssize_t>sizeof(int64_t)
    cdef Py_ssize_t index, start, size, room = count
    cdef bytes ends = PyBytes_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(int64_t))
    cdef int64_t* end = <int64_t*>PyBytes_AS_STRING(ends)
    cdef Out out
    for index in range(count):
        room += span[number[index]].message_end - span[number[index]].message_start  # as JSON no text is shorter
    begin(&out, room)
    try:
        for index in range(count):
            start = span[number[index]].message_start
            size = span[number[index]].message_end - start
            if memchr(data + start, c"\\", size) is NULL:
                put(&out, data + start, size)
            else:
                text = _decoded(data + start, size).encode()
                put(&out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            end[index] = size_of(&out)
            put_byte(&out, c"\n")
        return finish(&out), ends
    finally:
        drop(&out)


cdef bytes _wanted(bytes lines, bytes spans, numbers):
    """The numbers as int64, each of a record whose span is within the lines."""
    cdef const Span* span = <const Span*>PyBytes_AS_STRING(spans)
    cdef Py_ssize_t records = PyBytes_GET_SIZE(spans) // <Py_ssize_t>sizeof(Span)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(lines)
    cdef Py_ssize_t count = records if numbers is None else len(numbers)
    cdef bytes wanted = PyBytes_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(int64_t))
    cdef int64_t* number = <int64_t*>PyBytes_AS_STRING(wanted)
    cdef Py_ssize_t index
    for index in range(count):
        number[index] = index if numbers is None else numbers[index]
        if number[index] < 0 or number[index] >= records:
            raise IndexError(f"no record {number[index]} of {records}")
        if not _is_within(&span[number[index]], size):
            raise IndexError(f"record {number[index]} is not within the {size} bytes of the lines")
    return wanted


cdef inline bint _is_within(const Span* span, Py_ssize_t size) noexcept nogil:
    return (
        0 <= span.service_start
        and span.service_start <= span.service_end
        and span.service_end <= size
        and 0 <= span.message_start
        and span.message_start <= span.message_end
        and span.message_end <= size
    )


cdef inline object _decoded(const char* data, Py_ssize_t size):
    """The text that stands there, between quotes of JSON."""
    if memchr(data, c"\\", size) is NULL:
        return PyUnicode_DecodeUTF8(data, size, NULL)
    return _text(b'"' + data[:size] + b'"')
