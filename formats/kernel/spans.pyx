# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Levels, services and messages of the lines that kernels made, for the records that are asked for.

`parts` are such lines, one behind the other: tuples of lines, spans, texts and the services in the order in which they came.
`numbers` are those of records, ascending, as the bytes of int64; they go on from part to part.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memchr, memset

from formats.kernel.out cimport Out, begin, drop, finish, put, put_byte, size_of
from formats.kernel.summary cimport LEVELS, MOST_SERVICES, NO_PLACE

import msgspec

from formats.levels import LEVELS as _LEVELS

_text = msgspec.json.Decoder(str).decode

cdef struct Part:
    const char* lines
    const char* texts
    const Span* spans
    Py_ssize_t records
    Py_ssize_t lines_size
    Py_ssize_t texts_size

cdef struct Record:
    const char* lines
    const char* text
    Py_ssize_t text_size
    const Span* span
    Py_ssize_t part


cdef inline Part _part(tuple fields):
    cdef bytes lines = fields[0], spans = fields[1], texts = fields[2]
    return Part(
        PyBytes_AS_STRING(lines),
        PyBytes_AS_STRING(texts),
        <const Span*>PyBytes_AS_STRING(spans),
        PyBytes_GET_SIZE(spans) // <Py_ssize_t>sizeof(Span),
        PyBytes_GET_SIZE(lines),
        PyBytes_GET_SIZE(texts),
    )


cdef inline int _check(const Part* part, Py_ssize_t number) except -1:
    """ValueError: what this one says is not within the lines and the texts."""
    cdef const Span* span = &part.spans[number]
    cdef Py_ssize_t text_start = 0 if number == 0 else part.spans[number - 1].text_end + 1
    if not (
        0 <= span.service_start <= span.service_end <= part.lines_size
        and 0 <= text_start <= span.text_end < part.texts_size
    ):
        raise ValueError(f"span {number} is not that of a record here")
    return 0


cdef bytes _found(list parts, bytes numbers):
    """The records of these numbers, None for all. IndexError: there is no such record."""
    cdef Py_ssize_t count = 0, first = 0, index, number, start, next_part = 0
    cdef const int64_t* wanted = NULL if numbers is None else <const int64_t*>PyBytes_AS_STRING(numbers)
    cdef bytes found
    cdef Record* record
    cdef Part part = Part(NULL, NULL, NULL, 0, 0, 0)
    if numbers is None:
        for fields in parts:
            count += PyBytes_GET_SIZE(<bytes>fields[1]) // <Py_ssize_t>sizeof(Span)
    else:
        count = PyBytes_GET_SIZE(numbers) // <Py_ssize_t>sizeof(int64_t)
    found = PyBytes_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(Record))
    record = <Record*>PyBytes_AS_STRING(found)
    for index in range(count):
        number = index if wanted is NULL else wanted[index]
        while number - first >= part.records and next_part < len(parts):
            first += part.records
            part = _part(parts[next_part])
            next_part += 1
        if not 0 <= number - first < part.records:
            raise IndexError(f"no record {number}, or it does not ascend")
        number -= first
        _check(&part, number)
        start = 0 if number == 0 else part.spans[number - 1].text_end + 1
        record[index] = Record(
            part.lines, part.texts + start, part.spans[number].text_end - start, &part.spans[number], next_part - 1
        )
    return found


cdef inline str _service(const char* lines, const Span* span, list names):
    if span.place != NO_PLACE and span.place < len(names):
        return names[span.place]
    return _decoded(lines + span.service_start, span.service_end - span.service_start)


def services(list parts not None, bytes numbers):
    """The services of these records, None for all. IndexError: there is no such record."""
    cdef bytes found = _found(parts, numbers)
    cdef const Record* record = <const Record*>PyBytes_AS_STRING(found)
    cdef Py_ssize_t index
    cdef list services = []
    for index in range(PyBytes_GET_SIZE(found) // <Py_ssize_t>sizeof(Record)):
        services.append(_service(record[index].lines, record[index].span, parts[record[index].part][3]))
    return services


def levels(list parts not None):
    """The levels of all records, a byte each: which of `formats.levels.LEVELS`."""
    cdef bytes found = _found(parts, None)
    cdef const Record* record = <const Record*>PyBytes_AS_STRING(found)
    cdef Py_ssize_t index, count = PyBytes_GET_SIZE(found) // <Py_ssize_t>sizeof(Record)
    cdef bytes levels = PyBytes_FromStringAndSize(NULL, count)
    cdef char* level = PyBytes_AS_STRING(levels)
    for index in range(count):
        level[index] = <char>record[index].span.level
    return levels


def count(list parts not None, levels):
    """How many records of these levels each service has, where it has any: `cores.Counts`."""
    cdef Py_ssize_t records[LEVELS][NO_PLACE + 1]
    cdef Part part
    cdef const Span* span
    cdef Py_ssize_t index
    cdef int level, place
    cdef list names
    cdef dict counts = {}
    for fields in parts:
        part = _part(fields)
        names = fields[3]
        memset(records, 0, sizeof(records))
        for index in range(part.records):
            if part.spans[index].level < LEVELS:
                records[part.spans[index].level][part.spans[index].place] += 1
        for level in range(LEVELS):
            if _LEVELS[level] not in levels:
                continue
            for place in range(min(len(names), MOST_SERVICES)):
                if records[level][place]:
                    _add(counts, level, names[place], records[level][place])
            if records[level][NO_PLACE]:
                for index in range(part.records):
                    span = &part.spans[index]
                    if span.level == level and span.place == NO_PLACE:
                        _check(&part, index)
                        _add(counts, level, _service(part.lines, span, names), 1)
    return counts


cdef int _add(dict counts, int level, str service, Py_ssize_t records) except -1:
    cdef dict of_level = counts.setdefault(_LEVELS[level], {})
    of_level[service] = of_level.get(service, 0) + records
    return 0


def numbers(list parts not None, levels, service):
    """The numbers of the records of these levels and of the service, of all services where it is None."""
    cdef Part part
    cdef const Span* span
    cdef Py_ssize_t index, first = 0, most = 0
    cdef bint is_level[256]
    cdef int place = NO_PLACE
    cdef bytes found
    cdef int64_t* number
    cdef list names
    memset(is_level, 0, sizeof(is_level))
    for index in range(LEVELS):
        is_level[index] = _LEVELS[index] in levels
    for fields in parts:
        most += PyBytes_GET_SIZE(<bytes>fields[1]) // <Py_ssize_t>sizeof(Span)
    found = PyBytes_FromStringAndSize(NULL, most * <Py_ssize_t>sizeof(int64_t))
    number = <int64_t*>PyBytes_AS_STRING(found)
    for fields in parts:
        part = _part(fields)
        names = fields[3]
        if service is not None:
            place = min(names.index(service), NO_PLACE) if service in names else -1
            place = NO_PLACE if place >= MOST_SERVICES else place
        for index in range(part.records if place >= 0 else 0):
            span = &part.spans[index]
            if not is_level[span.level] or (service is not None and span.place != place):
                continue
            if service is not None and place == NO_PLACE:
                _check(&part, index)
                if _service(part.lines, span, names) != service:
                    continue
            number[0] = first + index
            number += 1
        first += part.records
    return found[: <char*>number - PyBytes_AS_STRING(found)]


def messages(list parts not None, bytes numbers):
    """The messages of these records, None for all, each with an LF behind it, and where these stand: `cores.Texts`.

    The positions are int64. IndexError: there is no such record.
    """
    if numbers is None and (as_they_stand := _all_messages(parts)) is not None:
        return as_they_stand
    cdef bytes found = _found(parts, numbers)
    cdef const Record* record = <const Record*>PyBytes_AS_STRING(found)
    cdef Py_ssize_t count = PyBytes_GET_SIZE(found) // <Py_ssize_t>sizeof(Record)
    cdef Py_ssize_t index, room = count
    cdef bytes ends = PyBytes_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(int64_t))
    cdef int64_t* end = <int64_t*>PyBytes_AS_STRING(ends)
    cdef Out out
    for index in range(count):
        room += record[index].text_size  # as JSON no text is shorter
    begin(&out, room)
    try:
        for index in range(count):
            if not record[index].span.is_escaped:
                put(&out, record[index].text, record[index].text_size)
            else:
                text = _decoded(record[index].text, record[index].text_size).encode()
                put(&out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            end[index] = size_of(&out)
            put_byte(&out, c"\n")
        return finish(&out), ends
    finally:
        drop(&out)


cdef tuple _all_messages(list parts):
    """All of them as they stand there; None where one is written with an escape."""
    cdef Part part
    cdef Py_ssize_t index, count = 0, base = 0
    cdef bint is_escaped = False
    cdef bytes ends
    cdef int64_t* end
    for fields in parts:
        count += _part(fields).records
    ends = PyBytes_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(int64_t))
    end = <int64_t*>PyBytes_AS_STRING(ends)
    for fields in parts:
        part = _part(fields)
        for index in range(part.records):
            _check(&part, index)
            is_escaped |= part.spans[index].is_escaped
            end[0] = base + part.spans[index].text_end
            end += 1
        base += part.texts_size
    if is_escaped:
        return None
    return b"".join([fields[2] for fields in parts]), ends


def line(list parts not None, Py_ssize_t number):
    """A record as it is stored, with its LF. IndexError: there is no such record."""
    cdef int64_t wanted = number
    cdef bytes found = _found(parts, PyBytes_FromStringAndSize(<char*>&wanted, sizeof(wanted)))
    cdef const Record* record = <const Record*>PyBytes_AS_STRING(found)
    cdef bytes lines = parts[record.part][0]
    cdef Py_ssize_t start = lines.rfind(b"\n", 0, record.span.message_start) + 1
    cdef Py_ssize_t end = lines.find(b"\n", start) + 1
    return lines[start : end or PyBytes_GET_SIZE(lines)]


cdef inline str _decoded(const char* data, Py_ssize_t size):
    """The text that stands there, between quotes of JSON."""
    if memchr(data, c"\\", size) is NULL:
        return PyUnicode_DecodeUTF8(data, size, NULL)
    return _text(b'"' + data[:size] + b'"')
