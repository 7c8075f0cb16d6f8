# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Syslog messages to stored lines in one pass over their bytes: RFC 5424, and RFC 3164 with a time and a host or a tag.

This is `formats.syslog.encode` for what most senders send. Messages are lines, or counted (RFC 6587), as framing leaves
those that hold a line feed. Tokens end at any byte that they cannot hold, a NUL among them, and what was passed is
compared with the end of its message before it is used. A field is written when it has been passed.

A message with a PRI that is anything else is read by the other way, alone, as long as there are few.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t
from libc.string cimport memchr, memcpy, memset

from formats.kernel.gather cimport Columns, add_span, begin_columns, drop_columns, finish_columns
from formats.kernel.out cimport (
    ESCAPED,
    Out,
    begin,
    drop,
    finish,
    put,
    put_byte,
    put_text,
    put_words,
    reserve,
    size_of,
)
from formats.kernel.spans cimport Span
from formats.kernel.summary cimport WIDTH, Summary, level_number, note_service, note_timestamp, summed_up
from formats.kernel.syslog_clock cimport Clock
from formats.kernel.syslog_data cimport put_data
from formats.kernel.syslog_heads cimport (
    HAS_HOST,
    HAS_MESSAGE_ID,
    HAS_PROCESS,
    PRIS,
    Message,
    read_message,
)
from formats.kernel.text cimport Text, is_digit, pass_string
from formats.kernel.utf8 cimport is_utf8

cdef enum:
    LARGEST = 1 << 24  # bytes of a block: of one message, six times as many are reserved
    LARGEST_MADE = 1 << 30  # and the next message is still below 2**31
    FEW = 32  # four times as many as may be read alone before any was taken; then a quarter of all may
    FIXED = 256  # bytes of a line that are always the same, or of a known width; they are 130


cdef class Severities:
    """What each PRI is: its level and, rendered from the level's value on, its fields."""

    cdef list _rendered
    cdef int _levels[PRIS]

    def __init__(self, severities):
        self._rendered = []
        for number, (level, rendered) in zip(range(PRIS), severities, strict=True):
            name = level.encode()
            self._levels[number] = level_number(<Text>PyBytes_AS_STRING(name), len(name))
            if self._levels[number] < 0:
                raise ValueError(f"no level: {level}")
            self._rendered.append(bytes(rendered))


cdef class Surroundings:
    """What is the same for all messages of a block.

    `rests` are what follows the origin, up to the text, by which of hostname, procid and msgid there are: 1, 2 and 4,
    added up. `service` is that of a message without one, `received_at` its time.
    """

    cdef Severities _severities
    cdef tuple _rests
    cdef bytes _service
    cdef bytes _received_at
    cdef Clock _clock

    def __init__(self, Severities severities not None, rests, service, received_at, Clock clock not None):
        self._severities = severities
        self._rests = tuple([bytes(rest) for rest in rests])
        self._service = service.encode()
        self._received_at = received_at.encode()
        self._clock = clock
        if len(self._rests) != 8 or len(self._received_at) != WIDTH:
            raise ValueError("eight rests and a time in the stored form")


def take(bytes block not None, Surroundings around not None, other not None, wanted):
    """The messages of a block. Returns `made.MadeFields`; None: something is unusual.

    `other` reads a message and tells its time, level, rendered severity, service, rendered origin and text; or None.
    """
    cdef Text start = <Text>PyBytes_AS_STRING(block)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(block)
    cdef Out lines
    cdef Columns columns
    if size == 0 or size > LARGEST:
        return None
    lines.data = NULL
    try:
        begin_columns(&columns, wanted, size)
        begin(&lines, 2 * size + 4096)
        return _take(block, around, other, &lines, &columns)
    finally:
        drop(&lines)
        drop_columns(&columns)


cdef tuple _take(bytes block, Surroundings around, other, Out* lines, Columns* columns):
    cdef Text start = <Text>PyBytes_AS_STRING(block)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(block)
    cdef Text block_end = start + size
    cdef Text at = start
    cdef bint is_ascii = block.isascii()
    cdef Py_ssize_t made, others = 0
    cdef bint is_taken
    cdef list services_of_others = []  # that `summary` points to
    cdef Text end
    cdef Text next
    cdef bint has_nul = memchr(start, 0, size) is not NULL
    cdef Clock clock = around._clock
    cdef Summary summary
    cdef Message message
    cdef Span span
    cdef Text default = <Text>PyBytes_AS_STRING(around._service)
    cdef Py_ssize_t default_size = PyBytes_GET_SIZE(around._service)
    cdef Text received = <Text>PyBytes_AS_STRING(around._received_at)
    cdef Severities severities = around._severities
    cdef int level
    cdef dict services = {}
    memset(&summary, 0, sizeof(Summary))
    while at < block_end:
        if at[0] == c"\n" or (at[0] == c"\r" and at[1] == c"\n"):
            at += 1
            continue
        if at[0] == c"<":
            next = <Text>memchr(at, c"\n", block_end - at)
            if next is NULL:
                next = block_end
            if has_nul and memchr(at, 0, next - at) is not NULL:
                return None
            end = next - ((next - 1)[0] == c"\r")
        else:
            at = _pass_count(at, block_end, &next)
            if at is NULL:
                return None
            end = next
            while end > at and ((end - 1)[0] == c"\r" or (end - 1)[0] == c"\n" or (end - 1)[0] == 0):
                end -= 1
        made = size_of(lines)
        is_taken = is_ascii or is_utf8(at, end - at)
        if is_taken:
            is_taken = read_message(&message, at, end, clock, received)
        if is_taken:
            if message.service is NULL:
                message.service = default
                message.service_size = default_size
            is_taken = _put_line(lines, &message, around, end, &span)
        if is_taken:
            level = severities._levels[message.pri]
        else:
            lines.at = PyBytes_AS_STRING(<object>lines.data) + made
            others += 1
            if 4 * others > summary.records + FEW:
                return None
            told = other(PyBytes_FromStringAndSize(<const char*>at, end - at))
            if told is None:
                return None
            level = _put_other(lines, told, services_of_others, &message, &span)
            if level < 0:
                return None
        if size_of(lines) > LARGEST_MADE or not note_timestamp(&summary, message.stamp):
            return None
        note_service(&summary, services, message.service, message.service_size)
        summary.levels[level] += 1
        summary.records += 1
        add_span(columns, &span, level, &summary, PyBytes_AS_STRING(<object>lines.data), made, size_of(lines))
        at = next
    if summary.records == 0:
        return None
    gathered = finish_columns(columns, PyBytes_AS_STRING(<object>lines.data))
    return finish(lines), summary.records, summed_up(&summary, services), gathered


cdef inline Text _pass_count(Text at, Text block_end, Text* message_end) noexcept nogil:
    """To behind a count and its space, where what it counts is there whole."""
    cdef Py_ssize_t count = 0
    cdef int digits = 0
    if at[0] == c"0":
        return NULL
    while is_digit(at[0]) and digits < 9:
        count = 10 * count + (at[0] - c"0")
        digits += 1
        at += 1
    if digits == 0 or at[0] != c" ":
        return NULL
    at += 1
    if count > block_end - at:
        return NULL
    message_end[0] = at + count
    return at


cdef inline void _put_field(Out* out, const char* opening, Py_ssize_t opening_size, Text text, Py_ssize_t size) noexcept:
    """A field of text that is not the first; `opening` is up to its first quote."""
    put(out, opening, opening_size)
    put_text(out, text, size)
    put_byte(out, c'"')


cdef inline bint _put_line(Out* out, Message* message, Surroundings around, Text end, Span* span) except -1:
    """False: the structured data is left to the other way."""
    cdef bytes severity = <bytes>around._severities._rendered[message.pri]
    cdef bytes rest = <bytes>around._rests[message.fields]
    cdef Text text = message.text
    cdef Py_ssize_t sizes = message.service_size + PyBytes_GET_SIZE(severity)
    if message.fields & HAS_HOST:
        sizes += message.host_size
    if message.fields & HAS_PROCESS:
        sizes += message.process_size
    if message.fields & HAS_MESSAGE_ID:
        sizes += message.message_id_size
    reserve(out, FIXED + ESCAPED * sizes)
    put(out, b'{"timestamp":"', 14)
    put(out, message.stamp, WIDTH)
    put(out, b'","level":', 10)
    put(out, PyBytes_AS_STRING(severity), PyBytes_GET_SIZE(severity))
    put(out, b',"service":"', 12)
    span.service_start = <int32_t>size_of(out)
    put_text(out, message.service, message.service_size)
    span.service_end = <int32_t>size_of(out)
    put_byte(out, c'"')
    if message.fields & HAS_HOST:
        _put_field(out, b',"hostname":"', 13, message.host, message.host_size)
    if message.fields & HAS_PROCESS:
        _put_field(out, b',"procid":"', 11, message.process, message.process_size)
    if message.fields & HAS_MESSAGE_ID:
        _put_field(out, b',"msgid":"', 10, message.message_id, message.message_id_size)
    if message.data is not NULL:
        text = put_data(out, message.data, end)
        if text is NULL:
            return False
    if message.is_5424:
        if text < end:
            if text[0] != c" ":
                return False
            text += 1
            if end - text >= 3 and text[0] == 0xEF and text[1] == 0xBB and text[2] == 0xBF:
                text += 3  # a byte order mark
    if text > end:
        return False
    reserve(out, PyBytes_GET_SIZE(rest) + ESCAPED * (end - text) + 8)
    put(out, PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest))
    span.message_start = <int32_t>size_of(out)
    put_words(out, text, end - text)
    span.message_end = <int32_t>size_of(out)
    put(out, b'"}\n', 3)
    return True


cdef int _put_other(Out* out, told, list services, Message* message, Span* span) except -2:
    """Put a message that was read by the other way, and note its time and service, which `services` keeps.

    Its level; -1: unusual again.
    """
    cdef bytes stamp, level, severity, service, origin, text
    told_time, told_level, severity, told_service, origin, told_text = told
    stamp, level, service, text = told_time.encode(), told_level.encode(), told_service.encode(), told_text.encode()
    services.append(service)
    cdef Text service_end
    if PyBytes_GET_SIZE(stamp) != WIDTH or not origin.startswith(b'"'):
        return -1
    service_end = pass_string(<Text>PyBytes_AS_STRING(origin) + 1)
    if service_end is NULL:
        return -1
    reserve(out, FIXED + len(severity) + len(origin) + ESCAPED * len(text))
    put(out, b'{"timestamp":"', 14)
    put(out, PyBytes_AS_STRING(stamp), WIDTH)
    put(out, b'","level":', 10)
    put(out, PyBytes_AS_STRING(severity), PyBytes_GET_SIZE(severity))
    put(out, b',"service":', 11)
    span.service_start = <int32_t>(size_of(out) + 1)
    span.service_end = <int32_t>(size_of(out) + (service_end - <Text>PyBytes_AS_STRING(origin)) - 1)
    put(out, PyBytes_AS_STRING(origin), PyBytes_GET_SIZE(origin))
    put(out, b',"message":"', 12)
    span.message_start = <int32_t>size_of(out)
    put_words(out, <Text>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    span.message_end = <int32_t>size_of(out)
    put(out, b'"}\n', 3)
    memcpy(message.stamp, PyBytes_AS_STRING(stamp), WIDTH)
    message.service = <Text>PyBytes_AS_STRING(service)
    message.service_size = PyBytes_GET_SIZE(service)
    return level_number(<Text>PyBytes_AS_STRING(level), PyBytes_GET_SIZE(level))
