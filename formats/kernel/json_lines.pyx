# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""JSON lines that are records in the stored form already: checked, counted and enriched in one pass over their bytes.

This is `formats.json.encode_canonical` for what most senders send. It may refuse what that takes, never take what
that refuses: a block with anything unusual in it is left to the other, slower way.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t
from libc.string cimport memcmp, memcpy, memset

from formats.kernel.gather cimport Columns, add_span, begin_columns, drop_columns, finish_columns, is_asked_for
from formats.kernel.spans cimport Span
from formats.kernel.summary cimport (
    WIDTH,
    Summary,
    is_timestamp,
    level_number,
    note_service,
    note_timestamp,
    summed_up,
)
from formats.kernel.text cimport Text, equals, pass_blanks, pass_plain, pass_value

cdef enum:
    DEPTH = 32
    LONGEST_NAME = 64

    TIMESTAMP = 1
    LEVEL = 2
    SERVICE = 4
    MESSAGE = 8
    KIND = 16
    REQUIRED = TIMESTAMP | LEVEL | SERVICE | MESSAGE


cdef class Names:
    """Names of fields that no record may have. ValueError: one is longer than 64 bytes of UTF-8."""

    cdef bytes _sorted  # by length, without anything between them
    cdef int _starts[LONGEST_NAME + 2]  # where in it those of each length begin

    def __init__(self, names):
        encoded = sorted((name.encode() for name in names), key=len)
        for name in encoded:
            if len(name) > LONGEST_NAME:
                raise ValueError(f"longer than {LONGEST_NAME} bytes: {name.decode()}")
        self._sorted = b"".join(encoded)
        cdef int size, start = 0
        for size in range(LONGEST_NAME + 1):
            self._starts[size] = start
            start += sum([len(name) for name in encoded if len(name) == size])
        self._starts[LONGEST_NAME + 1] = start

    cdef inline bint have(self, Text at, Py_ssize_t size) noexcept:
        if size > LONGEST_NAME or size == 0:
            return False
        cdef const char* name = PyBytes_AS_STRING(self._sorted) + self._starts[size]
        cdef const char* end = PyBytes_AS_STRING(self._sorted) + self._starts[size + 1]
        while name < end:
            if memcmp(at, name, size) == 0:
                return True
            name += size
        return False


cdef struct Record:
    Text timestamp
    int level
    Text service
    Py_ssize_t service_size
    Text message
    Py_ssize_t message_size


def enrich(bytes block not None, bytes opening not None, Names absent not None, wanted):
    """The records of `block`, lines of valid UTF-8, with `opening` in the place of the `{` of each.

    Returns `made.MadeFields`, its columns of what is `wanted`. None: not all lines are records in the
    stored form without any of the fields `absent`, or something is unusual.
    """
    cdef Text start = <Text>PyBytes_AS_STRING(block)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(block)
    cdef Text end = start + size
    cdef Text at = start
    cdef Text line
    cdef const char* head = PyBytes_AS_STRING(opening)
    cdef Py_ssize_t head_size = PyBytes_GET_SIZE(opening)
    cdef Py_ssize_t records = 0
    cdef bint unended = not block.endswith(b"\n")
    cdef Summary summary
    cdef Record record = Record(NULL, 0, NULL, 0, NULL, 0)
    cdef char* out
    cdef char* began
    cdef char* made
    cdef Span span
    cdef Columns columns
    cdef Py_ssize_t shift
    cdef dict services = {}
    cdef bytes lines

    if size == 0:
        return None
    while at < end:
        records += at[0] == c"\n"
        at += 1
    records += unended
    if (size + records * head_size) >> 31:
        return None
    lines = PyBytes_FromStringAndSize(NULL, size + unended + records * (head_size - 1))
    out = PyBytes_AS_STRING(lines)
    memset(&summary, 0, sizeof(Summary))

    try:
        begin_columns(&columns, wanted, size)
        at = start
        while at < end:
            line = at
            at = _pass_record(at, &record, absent)
            if at is NULL or not (at[0] == c"\n" or at == end):
                return None
            if not note_timestamp(&summary, record.timestamp):
                return None
            note_service(&summary, services, record.service, record.service_size)
            summary.levels[record.level] += 1
            summary.records += 1
            began = out
            memcpy(out, head, head_size)
            out += head_size
            shift = (<Text>out - <Text>PyBytes_AS_STRING(lines)) - (line + 1 - start)
            memcpy(out, line + 1, at - line - 1)
            out += at - line - 1
            out[0] = c"\n"
            out += 1
            at += 1
            if columns.is_any and is_asked_for(
                &columns, record.level, <const char*>record.message, record.message_size, end - record.message
            ):
                span.service_start = <int32_t>(record.service - start + shift)
                span.service_end = <int32_t>(span.service_start + record.service_size)
                span.message_start = <int32_t>(record.message - start + shift)
                span.message_end = <int32_t>(span.message_start + record.message_size)
                made = PyBytes_AS_STRING(lines)
                add_span(&columns, &span, record.level, &summary, made, began - made, out - made)
        gathered = finish_columns(&columns, PyBytes_AS_STRING(lines))
        return lines, records, summed_up(&summary, services), gathered
    finally:
        drop_columns(&columns)


cdef inline Text _pass_record(Text at, Record* record, Names absent) noexcept:
    """From the `{` of an object to behind its `}`, where it is a record in the stored form."""
    cdef Text name
    cdef Text value
    cdef Py_ssize_t size
    cdef int field, found = 0
    if at[0] != c"{":
        return NULL
    at += 1
    while True:
        at = pass_blanks(at)
        if at[0] != c'"':
            return NULL
        name = at + 1
        at = pass_plain(name)
        if at[0] != c'"':
            return NULL
        size = at - name
        at = pass_blanks(at + 1)
        if at[0] != c":":
            return NULL
        value = pass_blanks(at + 1)
        at = pass_value(value, DEPTH)
        if at is NULL:
            return NULL
        field = _field(name, size)
        if field:
            if found & field:
                return NULL  # twice
            found |= field
            if not _read(field, value, at, record):
                return NULL
        elif absent.have(name, size):
            return NULL
        at = pass_blanks(at)
        if at[0] == c"}":
            return at + 1 if found & REQUIRED == REQUIRED else NULL
        if at[0] != c",":
            return NULL
        at += 1


cdef inline int _field(Text name, Py_ssize_t size) noexcept nogil:
    if size == 5:
        return LEVEL if memcmp(name, b"level", 5) == 0 else 0
    if size == 7:
        if memcmp(name, b"service", 7) == 0:
            return SERVICE
        return MESSAGE if memcmp(name, b"message", 7) == 0 else 0
    if size == 9:
        return TIMESTAMP if memcmp(name, b"timestamp", 9) == 0 else 0
    return KIND if equals(name, size, b"kind", 4) else 0


cdef inline bint _read(int field, Text value, Text end, Record* record) noexcept nogil:
    """Take a field out of the value that ends at `end`. False: it is not as it is stored."""
    cdef Text text = value + 1
    cdef Py_ssize_t size = end - value - 2  # of a string, without its quotes
    if field == KIND:
        # Escapes might spell the word; what has something inside is left to the other way, too.
        if value[0] == c'"':
            return pass_plain(text) == end - 1 and not equals(text, size, b"heartbeat", 9)
        return value[0] != c"{" and value[0] != c"["
    if value[0] != c'"':
        return False
    if field == MESSAGE:
        record.message = text
        record.message_size = size
        return True
    if field == SERVICE:
        record.service = text
        record.service_size = size
        return pass_plain(text) == end - 1
    if field == LEVEL:
        record.level = level_number(text, size)
        return record.level >= 0
    record.timestamp = text
    return size == WIDTH and is_timestamp(text)
