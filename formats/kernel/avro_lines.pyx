# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A block of Avro records to lines: read by a program made of the schema, counted and enriched in one pass.

This is `formats.avro_records.Records.read` and `formats.avro._encode_columns` at once, for blocks of which every record
is whole and has all core fields, as text or as timestamps. A value that is not read here is read by its reader in
Python (formats.avro_values) and encoded alone.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from formats.kernel.avro_fields cimport put_field
from formats.kernel.avro_program cimport (
    CORE,
    LEVEL_FIELD,
    MESSAGE_FIELD,
    OWN,
    SERVICE_FIELD,
    STRING,
    TIMESTAMP,
    TIMESTAMP_FIELD,
    Field,
    Piece,
    Program,
)
from formats.kernel.avro_values cimport read_long, read_size
from formats.kernel.gather cimport Columns, add_span, begin_columns, drop_columns, finish_columns
from formats.kernel.levels cimport put_level
from formats.kernel.moments cimport MOMENT, Clock, read_clock, set_clock
from formats.kernel.out cimport ESCAPED, Out, begin, drop, finish, put, put_byte, put_words, reserve, size_of
from formats.kernel.spans cimport Span
from formats.kernel.summary cimport (
    HOUR,
    HOURS,
    Summary,
    level_number,
    note_service,
    note_timestamp,
    summed_up,
)
from formats.kernel.text cimport Text, equals
from formats.kernel.utf8 cimport is_utf8

from formats import levels, timestamps
from formats.errors import DecodeError

_NUMBER_OF = {level: number for number, level in enumerate(levels.LEVELS)}

cdef enum:
    AROUND = 64  # the names of the core fields, and the level
    MOST_NAMES = 8  # of levels that have other names, in a memo
    LONGEST_NAME = 15

cdef struct Name:
    char text[LONGEST_NAME]
    int size
    int level

cdef struct Names:
    Name known[MOST_NAMES]
    int number


def encode(bytes data not None, Py_ssize_t records, Program program not None, bytes closing not None, wanted):
    """So many records, which must be all that there is, to lines that end in `closing`.

    Returns `made.MadeFields`, its columns of what is `wanted`. None: a record is not whole, lacks a
    core field or says that it is a heartbeat, or something is unusual.
    """
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    if records < 1 or records > size // 4:  # a core field takes a byte at least
        return None
    cdef Py_ssize_t likely = records * (program.least_bytes + PyBytes_GET_SIZE(closing)) + size
    cdef Summary summary
    cdef Out out, side
    cdef Columns columns
    cdef dict services = {}
    memset(&summary, 0, sizeof(Summary))
    out.data = side.data = NULL
    try:
        begin_columns(&columns, wanted, size)
        begin(&out, (likely if likely < 16 * size else 16 * size) + 4096)
        begin(&side, 1024)
        if not _encode_records(program, data, records, closing, &columns, &out, &side, &summary, services):
            return None
        if size_of(&out) >> 31:  # spans have no more bits
            return None
        gathered = finish_columns(&columns, PyBytes_AS_STRING(<object>out.data))
        return finish(&out), records, summed_up(&summary, services), gathered
    except UnicodeDecodeError:
        return None
    finally:
        drop(&out)
        drop(&side)
        drop_columns(&columns)


cdef bint _encode_records(
    Program program, bytes data, Py_ssize_t records, bytes closing, Columns* columns, Out* out, Out* side,
    Summary* summary, dict services
) except -1:
    """False: something is unusual. `side` takes what stands before a core field in the schema, but not in a line."""
    cdef Text at = <Text>PyBytes_AS_STRING(data)
    cdef Text end = at + PyBytes_GET_SIZE(data)
    cdef Piece core[CORE]
    cdef Clock clock, other_clock
    cdef Names names
    cdef Span place
    cdef Py_ssize_t index, line
    cdef int level = -1
    memset(&clock, 0, sizeof(Clock))
    memset(&other_clock, 0, sizeof(Clock))
    names.number = 0
    while records:
        records -= 1
        line = size_of(out)
        for index in range(program.number):
            if program.fields[index].role == OWN:
                at = put_field(
                    program, index, side if index < program.core_end else out, &other_clock, data, at, end
                )
                if at is NULL:
                    return False
                continue
            at = _read_core(&program.fields[index], core, &clock, at, end)
            if at is NULL:
                return False
            if index + 1 < program.core_end:
                continue
            level = _level(&names, &core[LEVEL_FIELD])
            if level < 0 or not _note_moment(summary, &clock):
                return False
            note_service(summary, services, core[SERVICE_FIELD].data, core[SERVICE_FIELD].size)
            summary.levels[level] += 1
            summary.records += 1
            _put_core(out, core, &clock, level, &place)
            if size_of(side):
                reserve(out, size_of(side))
                put(out, PyBytes_AS_STRING(<object>side.data), size_of(side))
                side.at = PyBytes_AS_STRING(<object>side.data)
                out.seen |= side.seen
                side.seen = 0
        if level < 0:
            return False
        if out.seen & 0x80:
            if not is_utf8(<Text>PyBytes_AS_STRING(<object>out.data) + line, size_of(out) - line):
                return False
            out.seen = 0
        reserve(out, PyBytes_GET_SIZE(closing))
        put(out, PyBytes_AS_STRING(closing), PyBytes_GET_SIZE(closing))
        add_span(columns, &place, level, summary, PyBytes_AS_STRING(<object>out.data), line, size_of(out))
    return at == end


cdef inline Text _read_text(Field* field, Piece* piece, Text at, Text end) noexcept nogil:
    """A string or a symbol, NULL if it is neither; in `piece` where it stands."""
    cdef int64_t number = 0
    if field.kind == STRING:
        at = read_size(at, end, &piece.size)
        if at is NULL:
            return NULL
        piece.data = at
        return at + piece.size
    at = read_long(at, end, &number)
    if at is NULL or number < 0 or number >= field.symbols_known:
        return NULL
    piece[0] = field.symbols[number].text
    return at


cdef inline Text _read_core(Field* field, Piece* core, Clock* clock, Text at, Text end) noexcept nogil:
    """One that is there, and not empty but for the message; a timestamp sets the clock."""
    cdef Piece* piece = &core[field.role]
    cdef int64_t moment = 0
    if field.null >= 0:
        if at == end or at[0] != 2 - 2 * field.null:
            return NULL
        at += 1
    if field.kind == TIMESTAMP:
        at = read_long(at, end, &moment)
        if at is NULL or moment < 0 or not set_clock(clock, moment, field.per_second):
            return NULL
        return at
    at = _read_text(field, piece, at, end)
    if at is NULL or (piece.size == 0 and field.role != MESSAGE_FIELD):
        return NULL
    if field.role == TIMESTAMP_FIELD and not read_clock(clock, piece.data, piece.size):
        return NULL
    return at


cdef inline bint _note_moment(Summary* summary, Clock* clock) except -1:
    """False: among the hours so far is one that never was."""
    cdef int index
    if note_timestamp(summary, <Text>clock.text):
        return True
    for index in range(HOURS):  # there is no more room: look at these now
        if not timestamps.is_hour(PyBytes_FromStringAndSize(<char*>summary.hours[index], HOUR).decode()):
            return False
    summary.hours_known = 0
    return note_timestamp(summary, <Text>clock.text)


cdef inline int _level(Names* names, Piece* name) except -2:
    """The number of a level; -1: it is none. Other names than the stored ones are looked up once."""
    cdef int level = level_number(name.data, name.size)
    cdef int index
    if level >= 0:
        return level
    for index in range(names.number):
        if equals(name.data, name.size, names.known[index].text, names.known[index].size):
            return names.known[index].level
    return _look_up(names, name)


cdef int _look_up(Names* names, Piece* name) except -2:
    cdef Name* known
    cdef int level
    if name.size > LONGEST_NAME:
        return -1
    try:
        level = _NUMBER_OF[levels.parse(PyUnicode_DecodeUTF8(<const char*>name.data, name.size, NULL))]
    except DecodeError:
        return -1
    if names.number < MOST_NAMES:
        known = &names.known[names.number]
        memcpy(known.text, name.data, name.size)
        known.size = <int>name.size
        known.level = level
        names.number += 1
    return level


cdef inline int _put_core(Out* out, Piece* core, Clock* clock, int level, Span* place) except -1:
    """The fields of every record, and in `place` where two of them stand."""
    cdef Piece* service = &core[SERVICE_FIELD]
    cdef Piece* message = &core[MESSAGE_FIELD]
    reserve(out, AROUND + MOMENT + ESCAPED * (service.size + message.size))
    put(out, b'{"timestamp":"', 14)
    put(out, clock.text, MOMENT)
    put(out, b'","level":"', 11)
    put_level(out, level)
    put(out, b'","service":"', 13)
    place.service_start = <int32_t>size_of(out)
    put_words(out, service.data, service.size)
    place.service_end = <int32_t>size_of(out)
    put(out, b'","message":"', 13)
    place.message_start = <int32_t>size_of(out)
    put_words(out, message.data, message.size)
    place.message_end = <int32_t>size_of(out)
    put_byte(out, c'"')
    return 0
