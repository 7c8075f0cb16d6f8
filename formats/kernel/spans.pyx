# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Levels, services and messages of the lines that kernels made, for the records that are asked for.

`parts` are such lines, one behind the other: tuples of lines, services in the order in which they came, and spans, all
of the same records.
`numbers` are those of records, ascending, as the bytes of int64; they go on from part to part.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memset

from formats.kernel.out cimport Out, begin, drop, finish, put, put_byte, reserve, size_of
from formats.kernel.summary cimport LEVELS, MOST_SERVICES, NO_PLACE

import msgspec

from formats.levels import LEVELS as _LEVELS

_text = msgspec.json.Decoder(str).decode

cdef struct Part:
    const char* lines
    const Span* spans
    Py_ssize_t records
    Py_ssize_t lines_size

cdef struct Cursor:  # on the record of a number that is asked for
    Part part
    Py_ssize_t place  # of the part among all
    Py_ssize_t first  # number of the part's first record
    const Span* span


cdef char* _room = NULL


cdef char* borrow_room() except NULL:
    global _room
    cdef char* room = _room
    _room = NULL  # another thread that comes now gets one of its own
    if room is NULL:
        room = <char*>malloc(SEARCHED_BYTES)
        if room is NULL:
            raise MemoryError
    return room


cdef void return_room(char* room) noexcept:
    global _room
    if _room is NULL:
        _room = room
    else:
        free(room)


cdef inline Part _part(tuple fields) except *:
    cdef bytes lines = fields[0], spans = fields[2]
    return Part(
        PyBytes_AS_STRING(lines), <const Span*>PyBytes_AS_STRING(spans), _records(fields), PyBytes_GET_SIZE(lines)
    )


cdef inline Py_ssize_t _records(tuple fields) except -1:
    return PyBytes_GET_SIZE(<bytes>fields[2]) // <Py_ssize_t>sizeof(Span)


cdef inline int _check(const Part* part, Py_ssize_t number) except -1:
    """ValueError: what this one says is not within the lines."""
    cdef const Span* span = &part.spans[number]
    if not (
        0 <= span.service_start <= span.service_end <= part.lines_size
        and 0 <= span.message_start <= span.message_end <= part.lines_size
    ):
        raise ValueError(f"span {number} is not that of a record here")
    return 0


cdef inline Py_ssize_t _count(list parts, bytes numbers) except -1:
    """Of records asked for."""
    cdef Py_ssize_t count = 0
    if numbers is not None:
        return PyBytes_GET_SIZE(numbers) // <Py_ssize_t>sizeof(int64_t)
    for fields in parts:
        count += _records(fields)
    return count


cdef inline Cursor _before_all() noexcept:
    return Cursor(Part(NULL, NULL, 0, 0), -1, 0, NULL)


cdef inline int _go_to(Cursor* cursor, list parts, bytes numbers, Py_ssize_t index) except -1:
    """To the record asked for as the `index`th. IndexError: there is no such record."""
    cdef Py_ssize_t number = index
    if numbers is not None:
        number = (<const int64_t*>PyBytes_AS_STRING(numbers))[index]
    while number - cursor.first >= cursor.part.records and cursor.place + 1 < len(parts):
        cursor.first += cursor.part.records
        cursor.place += 1
        cursor.part = _part(parts[cursor.place])
    number -= cursor.first
    if not 0 <= number < cursor.part.records:
        raise IndexError(f"no record {cursor.first + number}, or it does not ascend")
    _check(&cursor.part, number)
    cursor.span = &cursor.part.spans[number]
    return 0


cdef inline str _service(const char* lines, const Span* span, list names):
    if span.place != NO_PLACE and span.place < len(names):
        return names[span.place]
    return _decoded(lines + span.service_start, span.service_end - span.service_start)


def services(list parts not None, bytes numbers):
    """The services of these records, None for all. IndexError: there is no such record."""
    cdef Cursor cursor = _before_all()
    cdef Py_ssize_t index
    cdef list services = []
    for index in range(_count(parts, numbers)):
        _go_to(&cursor, parts, numbers, index)
        services.append(_service(cursor.part.lines, cursor.span, parts[cursor.place][1]))
    return services


def levels(list parts not None):
    """The levels of all records, a byte each: which of `formats.levels.LEVELS`."""
    cdef bytes levels = PyBytes_FromStringAndSize(NULL, _count(parts, None))
    cdef char* level = PyBytes_AS_STRING(levels)
    cdef Part part
    cdef Py_ssize_t index
    for fields in parts:
        part = _part(fields)
        for index in range(part.records):
            level[index] = <char>part.spans[index].level
        level += part.records
    return levels


def count(list parts not None, levels):
    """How many records of these levels each service has, where it has any: `cores.Counts`."""
    cdef int32_t records[LEVELS][NO_PLACE + 1]
    cdef Part part
    cdef Py_ssize_t index
    cdef int level, place
    cdef list names
    cdef dict counts = {}
    for fields in parts:
        part = _part(fields)
        names = fields[1]
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
                    if part.spans[index].level == level and part.spans[index].place == NO_PLACE:
                        _check(&part, index)
                        _add(counts, level, _service(part.lines, &part.spans[index], names), 1)
    return counts


cdef int _add(dict counts, int level, str service, Py_ssize_t records) except -1:
    cdef dict of_level = counts.setdefault(_LEVELS[level], {})
    of_level[service] = of_level.get(service, 0) + records
    return 0


def numbers(list parts not None, levels, service):
    """The numbers of the records of these levels and of the service, of all services where it is None."""
    cdef Part part
    cdef Py_ssize_t index, first = 0, most = 0
    cdef unsigned char is_level[256]
    cdef int place
    cdef bytes found
    cdef int64_t* number
    cdef list names
    memset(is_level, 0, sizeof(is_level))
    for index in range(LEVELS):
        is_level[index] = _LEVELS[index] in levels
    for fields in parts:
        most += _records(fields)
    found = PyBytes_FromStringAndSize(NULL, (most + 1) * <Py_ssize_t>sizeof(int64_t))
    number = <int64_t*>PyBytes_AS_STRING(found)
    for fields in parts:
        part = _part(fields)
        names = fields[1]
        if service is None:
            for index in range(part.records):  # without a branch, which would go this way and that
                number[0] = first + index
                number += is_level[part.spans[index].level]
        elif service in names and names.index(service) < MOST_SERVICES:
            place = names.index(service)
            for index in range(part.records):
                number[0] = first + index
                number += is_level[part.spans[index].level] & (part.spans[index].place == place)
        elif service in names:
            for index in range(part.records):
                if is_level[part.spans[index].level] and part.spans[index].place == NO_PLACE:
                    _check(&part, index)
                    if _service(part.lines, &part.spans[index], names) == service:
                        number[0] = first + index
                        number += 1
        first += part.records
    return found[: <char*>number - PyBytes_AS_STRING(found)]


def messages(list parts not None, bytes numbers):
    """The messages of these records, None for all, each with an LF behind it, and where these stand: `cores.Texts`.

    The positions are int64. IndexError: there is no such record.
    """
    cdef Cursor cursor = _before_all()
    cdef Py_ssize_t index, count = _count(parts, numbers)
    cdef bytes ends = PyBytes_FromStringAndSize(NULL, count * <Py_ssize_t>sizeof(int64_t))
    cdef int64_t* end = <int64_t*>PyBytes_AS_STRING(ends)
    cdef const char* message
    cdef Out out
    begin(&out, 64 * count)
    try:
        for index in range(count):
            _go_to(&cursor, parts, numbers, index)
            message = cursor.part.lines + cursor.span.message_start
            end[index] = _put_plain(&out, message, cursor.span.message_end - cursor.span.message_start)
        return finish(&out), ends
    finally:
        drop(&out)


def lines(list parts not None, bytes numbers):
    """These records as they are stored, each with its LF. IndexError: there is no such record."""
    cdef Cursor cursor = _before_all()
    cdef Py_ssize_t index, start, end
    cdef bytes text
    cdef list lines = []
    for index in range(_count(parts, numbers)):
        _go_to(&cursor, parts, numbers, index)
        text = parts[cursor.place][0]
        start = text.rfind(b"\n", 0, cursor.span.message_start) + 1
        end = text.find(b"\n", start) + 1
        lines.append(text[start:end])
    return b"".join(lines)


def unescaped(bytes texts not None):
    """Texts as they stand in JSON strings, an LF behind each, as they are meant."""
    cdef const char* at = PyBytes_AS_STRING(texts)
    cdef const char* end = at + PyBytes_GET_SIZE(texts)
    cdef const char* stop
    cdef Out out
    begin(&out, end - at)
    try:
        while at < end:
            stop = <const char*>memchr(at, c"\n", end - at)
            if stop is NULL:
                raise ValueError("the last text has no LF behind it")
            _put_plain(&out, at, stop - at)
            at = stop + 1
        return finish(&out)
    finally:
        drop(&out)


cdef inline Py_ssize_t _put_plain(Out* out, const char* data, Py_ssize_t size) except -1:
    """Put the text that stands there, between quotes of JSON, and an LF; returns where that stands."""
    cdef bytes text
    reserve(out, size + 1)  # as JSON no text is shorter
    if memchr(data, c"\\", size) is not NULL:
        text = _decoded(data, size).encode()
        put(out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    else:
        put(out, data, size)
    put_byte(out, c"\n")
    return size_of(out) - 1


cdef inline str _decoded(const char* data, Py_ssize_t size):
    """The text that stands there, between quotes of JSON."""
    if memchr(data, c"\\", size) is NULL:
        return PyUnicode_DecodeUTF8(data, size, NULL)
    return _text(b'"' + data[:size] + b'"')
