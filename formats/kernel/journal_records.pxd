"""Journal entries to lines: what is the same for all entries of a block, and the second half of each, its core fields."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcmp, memcpy

from formats.kernel.gather cimport Columns, add_span
from formats.kernel.journal_names cimport HOSTNAME, IDENTIFIER, MESSAGE, PRIORITY, TIMESTAMP, UNIT
from formats.kernel.levels cimport put_level
from formats.kernel.moments cimport Clock, set_clock
from formats.kernel.out cimport Out, put, put_byte, reserve, size_of
from formats.kernel.spans cimport Span
from formats.kernel.strings cimport put_escaped, put_string
from formats.kernel.summary cimport WIDTH, Summary, note_service
from formats.kernel.text cimport Text, is_digit
from formats.kernel.utf8 cimport is_utf8

cdef enum:
    MICROS = 1_000_000
    MOST_BYTES = 0x7FFFFFFF  # of lines: what a span can say
    AROUND = 160  # more than all that is put around the values of the core fields

cdef struct Value:  # of a field
    Text at  # NULL where there is none
    Text end
    bint is_json  # as it stands in a JSON string

cdef struct Shared:
    Text received_at  # in the stored form
    Value service  # where an entry names none
    const char* tail  # from behind the level to the end of the line
    Py_ssize_t tail_size
    const char* hosted_tail  # the same where there is a host name
    Py_ssize_t hosted_tail_size

cdef struct Made:
    Out lines
    Py_ssize_t line  # where the one begins that is made
    Columns columns
    Summary summary
    Clock clock
    int64_t first
    int64_t last
    Py_ssize_t undated


cdef inline int put_value(Out* out, Value value) except -1:
    """0: it is not UTF-8, or has unusual escapes."""
    if value.at == value.end:
        return 1
    out.seen = 0
    if not value.is_json:
        put_string(out, value.at, value.end, False)
    elif put_escaped(out, value.at, value.end + 1) is NULL:
        return 0
    return not out.seen & 0x80 or is_utf8(value.at, value.end - value.at)


cdef inline int put_core(Made* made, Value* values, const Shared* shared, dict services) except -1:
    """End a line of whose fields those that are kept are there, each with a comma. 0: something is unusual."""
    cdef Out* out = &made.lines
    cdef Value service = values[IDENTIFIER]
    cdef Span span
    cdef int64_t micros = 0
    cdef int level = _level(values[PRIORITY])
    cdef const char* tail = shared.tail
    cdef Py_ssize_t tail_size = shared.tail_size
    if service.at == service.end:
        service = values[UNIT]
    if service.at == service.end:
        service = shared.service
    if values[TIMESTAMP].at is not NULL:
        if not _read_micros(values[TIMESTAMP], &micros) or not set_clock(&made.clock, micros, MICROS):
            return 0
    if values[HOSTNAME].at is not NULL:
        tail = shared.hosted_tail
        tail_size = shared.hosted_tail_size
        reserve(out, AROUND)
        put(out, b'"hostname":"', 12)
        if not put_value(out, values[HOSTNAME]):
            return 0
        reserve(out, AROUND)
        put(out, b'",', 2)
    reserve(out, AROUND)
    put(out, b'"service":"', 11)
    span.service_start = <int32_t>size_of(out)
    if not put_value(out, service):
        return 0
    span.service_end = <int32_t>size_of(out)
    reserve(out, AROUND)
    put(out, b'","message":"', 13)
    span.message_start = <int32_t>size_of(out)
    if not put_value(out, values[MESSAGE]):
        return 0
    span.message_end = <int32_t>size_of(out)
    reserve(out, AROUND + tail_size)
    put(out, b'","timestamp":"', 15)
    if values[TIMESTAMP].at is NULL:
        put(out, shared.received_at, WIDTH)
    else:
        put(out, made.clock.text, WIDTH)
    put(out, b'","level":"', 11)
    put_level(out, level)
    put(out, b'",', 2)
    put(out, tail, tail_size)
    if size_of(out) > MOST_BYTES:
        return 0

    note_service(&made.summary, services, service.at, service.end - service.at)
    if values[TIMESTAMP].at is NULL:
        made.undated += 1
    else:
        if made.summary.records == made.undated or micros < made.first:
            made.first = micros
        if made.summary.records == made.undated or micros > made.last:
            made.last = micros
    made.summary.levels[level] += 1
    made.summary.records += 1
    add_span(&made.columns, &span, level, &made.summary, PyBytes_AS_STRING(<object>out.data), made.line, size_of(out))
    return 1


cdef inline void end_times(Made* made, Text received_at) noexcept:
    """Bring first and last of at least one record into the summary."""
    cdef Summary* summary = &made.summary
    if made.undated == summary.records:
        memcpy(summary.first, received_at, WIDTH)
        memcpy(summary.last, received_at, WIDTH)
        return
    set_clock(&made.clock, made.first, MICROS)
    memcpy(summary.first, made.clock.text, WIDTH)
    set_clock(&made.clock, made.last, MICROS)
    memcpy(summary.last, made.clock.text, WIDTH)
    if made.undated and memcmp(received_at, summary.first, WIDTH) < 0:
        memcpy(summary.first, received_at, WIDTH)
    if made.undated and memcmp(received_at, summary.last, WIDTH) > 0:
        memcpy(summary.last, received_at, WIDTH)


cdef inline int _level(Value priority) noexcept nogil:
    """INFO where there is none, or it is none of 0 to 7."""
    if priority.end - priority.at != 1 or not c"0" <= priority.at[0] <= c"7":
        return 2
    return b"\5\5\5\4\3\2\2\1"[priority.at[0] - c"0"]


cdef inline bint _read_micros(Value digits, int64_t* micros) noexcept nogil:
    """Digits of which there may be 18. False: more, or something else."""
    cdef Text at = digits.at
    micros[0] = 0
    if not 1 <= digits.end - at <= 18:
        return False
    while at < digits.end:
        if not is_digit(at[0]):
            return False
        micros[0] = 10 * micros[0] + (at[0] - c"0")
        at += 1
    return True
