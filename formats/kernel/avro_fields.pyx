# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Fields of an Avro record that are not core, to JSON: each by its kind, or by its reader in Python."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from formats.kernel.avro_program cimport (
    ARRAY,
    BOOLEAN,
    BYTES,
    DOUBLE,
    ENUM,
    FLOAT,
    LOCAL_TIMESTAMP,
    LONG,
    MAP,
    NOTHING,
    STRING,
    TIMESTAMP,
    Field,
    Kind,
    Piece,
    Program,
)
from formats.kernel.avro_values cimport read_count, read_long, read_size
from formats.kernel.moments cimport MOMENT, Clock, set_clock
from formats.kernel.out cimport ESCAPED, Out, put, put_byte, put_words, reserve, size_of
from formats.kernel.text cimport Text, equals
from formats.kernel.utf8 cimport is_utf8

import msgspec

_encode = msgspec.json.Encoder().encode

cdef enum:
    ROOM = 64  # for any value that is no text, and what stands around one that is
    MOST_KEYS = 32  # of a map, to be compared with each other


cdef Text put_field(
    Program program, Py_ssize_t index, Out* out, Clock* clock, bytes data, Text at, Text end
) except? NULL:
    """One that is not core, behind its name. NULL: no such value, or it makes a heartbeat of the record."""
    cdef Field* field = &program.fields[index]
    cdef Text began = at
    cdef Text behind
    cdef Py_ssize_t head
    cdef int64_t number = 0
    reserve(out, field.head.size + ROOM)
    put(out, field.head.data, field.head.size)
    head = size_of(out)
    if field.null >= 0:
        if at == end:
            return NULL
        if at[0] == 2 * field.null:
            put(out, b"null", 4)
            return at + 1
        if at[0] != 2 - 2 * field.null:
            return NULL
        at += 1
    if field.kind == STRING:
        return _put_string(field, out, at, end)
    if field.kind == ENUM:
        at = read_long(at, end, &number)
        if at is NULL or number < 0 or number >= field.symbols_known:
            return NULL
        if field.is_kind and equals(field.symbols[number].text.data, field.symbols[number].text.size, b"heartbeat", 9):
            return NULL
        reserve(out, field.symbols[number].json.size)
        put(out, field.symbols[number].json.data, field.symbols[number].json.size)
        return at
    if field.kind == LONG:
        at = read_long(at, end, &number)
        if at is not NULL:
            _put_long(out, number)
        return at
    if field.kind == BOOLEAN:
        if at == end or at[0] > 1:
            return NULL
        if at[0]:
            put(out, b"true", 4)
        else:
            put(out, b"false", 5)
        return at + 1
    if field.kind == NOTHING:
        put(out, b"null", 4)
        return at
    behind = NULL
    if field.kind == TIMESTAMP or field.kind == LOCAL_TIMESTAMP:
        behind = read_long(at, end, &number)
        if behind is not NULL and set_clock(clock, number, field.per_second):
            put_byte(out, c'"')
            put(out, clock.text, MOMENT - (field.kind == LOCAL_TIMESTAMP))
            put_byte(out, c'"')
            return behind
    elif field.kind == BYTES:
        behind = read_size(at, end, &head)
        if behind is not NULL and is_utf8(behind, head):
            return _put_string(field, out, at, end)
        head = size_of(out)
    elif field.kind == DOUBLE or field.kind == FLOAT:
        return _put_float(field.kind, out, at, end)
    elif field.kind == ARRAY:
        behind = _put_strings(out, at, end)
        if behind is not NULL:
            return behind
    elif field.kind == MAP:
        behind = _put_map(out, at, end)
        if behind is not NULL:
            return behind
    out.at = PyBytes_AS_STRING(<object>out.data) + head
    return _put_other(program.readers[index], field.is_kind, out, data, began)


cdef inline Text _put_string(Field* field, Out* out, Text at, Text end) except? NULL:
    cdef Py_ssize_t size = 0
    at = read_size(at, end, &size)
    if at is NULL or (field is not NULL and field.is_kind and equals(at, size, b"heartbeat", 9)):
        return NULL
    reserve(out, ROOM + ESCAPED * size)
    put_byte(out, c'"')
    put_words(out, at, size)
    put_byte(out, c'"')
    return at + size


cdef inline void _put_long(Out* out, int64_t number) noexcept:
    """There must be room for 20 bytes."""
    cdef char digits[20]
    cdef uint64_t rest = <uint64_t>number
    cdef int first = 20
    if number < 0:
        put_byte(out, c"-")
        rest = 0 - rest
    while True:
        first -= 1
        digits[first] = <char>(c"0" + rest % 10)
        rest //= 10
        if rest == 0:
            break
    put(out, digits + first, 20 - first)


cdef Text _put_float(Kind kind, Out* out, Text at, Text end) except? NULL:
    """As msgspec writes it, by msgspec."""
    cdef double value
    cdef float short_value
    cdef int size = 8 if kind == DOUBLE else 4
    if end - at < size:
        return NULL
    if kind == DOUBLE:
        memcpy(&value, at, 8)
    else:
        memcpy(&short_value, at, 4)
        value = short_value
    _put_bytes(out, _encode(value))
    return at + size


cdef Text _put_strings(Out* out, Text at, Text end) except? NULL:
    """An array of them."""
    cdef Py_ssize_t count = 0
    cdef bint is_first = True
    put_byte(out, c"[")
    while True:
        at = read_count(at, end, &count)
        if at is NULL:
            return NULL
        if count == 0:
            reserve(out, ROOM)
            put_byte(out, c"]")
            return at
        while count:
            count -= 1
            if not is_first:
                put_byte(out, c",")
            is_first = False
            at = _put_string(NULL, out, at, end)
            if at is NULL:
                return NULL


cdef Text _put_map(Out* out, Text at, Text end) except? NULL:
    """A map of strings. NULL also if it has many keys, or one twice."""
    cdef Piece keys[MOST_KEYS]
    cdef int index, known = 0
    cdef Py_ssize_t count = 0
    cdef Text key
    put_byte(out, c"{")
    while True:
        at = read_count(at, end, &count)
        if at is NULL:
            return NULL
        if count == 0:
            reserve(out, ROOM)
            put_byte(out, c"}")
            return at
        while count:
            count -= 1
            if known == MOST_KEYS:
                return NULL
            key = read_size(at, end, &keys[known].size)
            if key is NULL:
                return NULL
            keys[known].data = key
            for index in range(known):
                if equals(key, keys[known].size, <const char*>keys[index].data, keys[index].size):
                    return NULL
            known += 1
            if known > 1:
                put_byte(out, c",")
            at = _put_string(NULL, out, at, end)
            if at is NULL:
                return NULL
            put_byte(out, c":")
            at = _put_string(NULL, out, at, end)
            if at is NULL:
                return NULL


cdef Text _put_other(reader, bint is_kind, Out* out, bytes data, Text at) except? NULL:
    """What its reader in Python reads of a value."""
    cdef Text start = <Text>PyBytes_AS_STRING(data)
    cdef Py_ssize_t position = at - start
    cdef Py_ssize_t behind
    try:
        value, behind = reader(data, position)
        if not position <= behind <= PyBytes_GET_SIZE(data) or (is_kind and value == "heartbeat"):
            return NULL
        _put_bytes(out, _encode(value))
    except (ValueError, IndexError):  # UnicodeEncodeError is one
        return NULL
    return start + behind


cdef int _put_bytes(Out* out, bytes json) except -1:
    reserve(out, PyBytes_GET_SIZE(json))
    put(out, PyBytes_AS_STRING(json), PyBytes_GET_SIZE(json))
    return 0
