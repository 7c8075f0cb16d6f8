# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Levels, services and messages of the lines that kernels made, for the records that are asked for.

`parts` are such lines, one behind the other: tuples of lines, services in the order in which they came, and spans, all
of the same records; and how many records of each level these services have, if that was counted, or None. Then there
may be no more than one of each.
`numbers` are those of records, ascending, as the bytes of int64; they go on from part to part.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from formats.kernel.out cimport Out, begin, drop, finish
from formats.kernel.plain cimport decoded, put_plain
from formats.kernel.summary cimport LEVELS, MOST_SERVICES, NO_PLACE

from formats.levels import LEVELS as _LEVELS

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* at) noexcept

cdef enum:
    AHEAD = 8  # records, that are fetched into the cache: what waited for a look is not there

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


cdef inline void _prefetch_message(const Cursor* cursor, Py_ssize_t number) noexcept:
    """Of a record of the part that the cursor is on, if there is such a one."""
    number -= cursor.first
    if 0 <= number < cursor.part.records:
        prefetch(cursor.part.lines + cursor.part.spans[number].message_start)
        prefetch(cursor.part.lines + cursor.part.spans[number].message_end)


cdef inline str _service(const char* lines, const Span* span, list names):
    if span.place != NO_PLACE and span.place < len(names):
        return names[span.place]
    return decoded(lines + span.service_start, span.service_end - span.service_start)


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
    cdef Counts of_spans[MOST_SERVICES]
    cdef Counts* sums
    cdef const Counts* records
    cdef Py_ssize_t known, most = 0
    cdef Part part
    cdef int level
    cdef list names
    cdef dict counts = {}, places = {}  # in the sums, by service
    for fields in parts:
        most += min(len(<list>fields[1]), <Py_ssize_t>MOST_SERVICES)
    summed = PyBytes_FromStringAndSize(NULL, most * <Py_ssize_t>sizeof(Counts))
    sums = <Counts*>PyBytes_AS_STRING(summed)
    memset(sums, 0, most * sizeof(Counts))
    for fields in parts:
        part = _part(fields)
        names = fields[1]
        known = min(len(names), <Py_ssize_t>MOST_SERVICES)
        records = of_spans
        if fields[3] is not None:
            records = <const Counts*>PyBytes_AS_STRING(<bytes>fields[3])
            known = min(known, len(<bytes>fields[3]) // <Py_ssize_t>sizeof(Counts))
        else:
            _count_spans(&part, of_spans)
        _add_counts(sums, places, records, known, names)
        if len(names) > MOST_SERVICES:
            for level in range(LEVELS):
                if _LEVELS[level] in levels:
                    _add_others(counts, level, &part, names)
    for level in range(LEVELS):
        if _LEVELS[level] in levels:
            for name, place in places.items():
                if sums[<Py_ssize_t>place][level]:
                    _add(counts, level, name, sums[<Py_ssize_t>place][level])
    return counts


cdef void _count_spans(const Part* part, Counts* records) noexcept:
    """By the place of the service, where it has one."""
    cdef Py_ssize_t index
    memset(records, 0, MOST_SERVICES * sizeof(Counts))
    for index in range(part.records):
        if part.spans[index].level < LEVELS and part.spans[index].place < MOST_SERVICES:
            records[part.spans[index].place][part.spans[index].level] += 1


cdef int _add_counts(Counts* sums, dict places, const Counts* records, Py_ssize_t known, list names) except -1:
    """Those of a part, by the place that each service has among all."""
    cdef Py_ssize_t index, place
    cdef int level
    for index in range(known):
        place = places.setdefault(names[index], len(places))
        for level in range(LEVELS):
            sums[place][level] += records[index][level]
    return 0


cdef int _add_others(dict counts, int level, const Part* part, list names) except -1:
    """Of the services without a place: all their records are here."""
    cdef Py_ssize_t index
    for index in range(part.records):
        if part.spans[index].level == level and part.spans[index].place == NO_PLACE:
            _check(part, index)
            _add(counts, level, _service(part.lines, &part.spans[index], names), 1)
    return 0


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
            if numbers is not None and index + AHEAD < count:
                _prefetch_message(&cursor, (<const int64_t*>PyBytes_AS_STRING(numbers))[index + AHEAD])
            message = cursor.part.lines + cursor.span.message_start
            end[index] = put_plain(&out, message, cursor.span.message_end - cursor.span.message_start)
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
