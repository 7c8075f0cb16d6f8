# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Raw lines to records in one pass over their bytes: head read, text escaped, enrichment put between.

What a line becomes depends on nothing but itself. raw_time.pxd and raw_head.pxd know all that the patterns of
`formats.raw_head` do, so that no line is left to these.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t
from libc.string cimport memchr, memset

from formats.kernel.gather cimport Columns, add_span, begin_columns, drop_columns, finish_columns
from formats.kernel.levels cimport put_level
from formats.kernel.out cimport Out, begin, drop, finish, put, put_byte, put_message, reserve, size_of
from formats.kernel.raw_head cimport MOST_WORDS, Head, Word, Words, pass_word, read_behind_time, read_start
from formats.kernel.raw_time cimport Clock, pass_time, start
from formats.kernel.spans cimport Span
from formats.kernel.summary cimport WIDTH, Summary, is_timestamp, note_service, note_valid_timestamp, summed_up
from formats.kernel.text cimport Text, is_digit

from formats.levels import LEVELS, NAMES
from formats.raw_head import COMMON_WORDS

cdef enum:
    INFO = 2
    SPACE = 256  # more than a record has beside its text and what is handed over

cdef Words words


cdef int _know_words() except -1:
    known = [name for name in (*LEVELS, *NAMES) if name not in COMMON_WORDS]
    known = list(dict.fromkeys(known))
    if len(known) > MOST_WORDS:
        raise ValueError(f"{len(known)} names of levels, where there is room for {MOST_WORDS}")
    for name in known:
        encoded = name.encode()
        pass_word(<Text>PyBytes_AS_STRING(encoded), &words.known[words.number])
        words.known[words.number].level = LEVELS.index(NAMES[name])
        words.number += 1
    return 0


_know_words()


cdef struct Shape:  # what is the same for all records of a block
    Text received_at
    Text service
    Py_ssize_t service_size
    Text service_json  # without its quotes
    Py_ssize_t service_json_size
    Text prefix
    Py_ssize_t prefix_size
    Text prefix_with_pid
    Py_ssize_t prefix_with_pid_size


def encode(
    bytes block not None,
    bytes received_at not None,
    bytes service not None,
    bytes service_json not None,
    bytes prefix not None,
    bytes prefix_with_pid not None,
    wanted,
):
    """The records of `block`, lines of valid UTF-8, with these fields between what is said of each and its message.

    `received_at` and `service` are for lines that say none; `service_json` is the latter as JSON. `prefix_with_pid` is
    the enrichment of records that have a process id. Both end in a comma. Returns `made.MadeFields`, its columns of what is
    `wanted`. None: there is no record, or too much of them.
    """
    cdef Shape shape
    cdef Text at = <Text>PyBytes_AS_STRING(block)
    cdef Text end = at + PyBytes_GET_SIZE(block)
    cdef Py_ssize_t lines = not block.endswith(b"\n"), shape_size
    cdef Columns columns
    cdef Out out
    if PyBytes_GET_SIZE(block) >> 28 or PyBytes_GET_SIZE(service_json) < 2:
        return None
    if PyBytes_GET_SIZE(received_at) != WIDTH or not is_timestamp(<Text>PyBytes_AS_STRING(received_at)):
        return None
    shape.received_at = <Text>PyBytes_AS_STRING(received_at)
    shape.service = <Text>PyBytes_AS_STRING(service)
    shape.service_size = PyBytes_GET_SIZE(service)
    shape.service_json = <Text>PyBytes_AS_STRING(service_json) + 1
    shape.service_json_size = PyBytes_GET_SIZE(service_json) - 2
    shape.prefix = <Text>PyBytes_AS_STRING(prefix)
    shape.prefix_size = PyBytes_GET_SIZE(prefix)
    shape.prefix_with_pid = <Text>PyBytes_AS_STRING(prefix_with_pid)
    shape.prefix_with_pid_size = PyBytes_GET_SIZE(prefix_with_pid)
    while at < end:
        lines += at[0] == c"\n"
        at += 1
    shape_size = shape.service_json_size + max(shape.prefix_size, shape.prefix_with_pid_size)
    # As much as will be needed, mostly; very short lines would have it all at once, and they may be blank.
    out.data = NULL
    try:
        begin_columns(&columns, wanted, PyBytes_GET_SIZE(block))
        begin(&out, PyBytes_GET_SIZE(block) + min(lines * (128 + shape_size), 8 * PyBytes_GET_SIZE(block)) + 4 * SPACE)
        return _encode(block, &shape, shape_size, &columns, &out)
    finally:
        drop(&out)
        drop_columns(&columns)


cdef tuple _encode(
    bytes block, const Shape* shape, Py_ssize_t shape_size, Columns* columns, Out* out
):
    cdef Text at = <Text>PyBytes_AS_STRING(block)
    cdef Text end = at + PyBytes_GET_SIZE(block)
    cdef Text line
    cdef Text stop
    cdef Text timestamp
    cdef Text behind
    cdef Clock clock
    cdef Head head
    cdef Summary summary
    cdef Span span
    cdef Py_ssize_t begun
    cdef dict services = {}

    memset(&summary, 0, sizeof(Summary))
    start(&clock)
    while at < end:
        line = at
        stop = <Text>memchr(at, c"\n", end - at)
        if stop is NULL:
            stop = end
        at = stop + 1
        if stop > line and (stop - 1)[0] == c"\r":
            stop -= 1
        if _is_nothing(line, stop):
            continue

        head.level = -1
        head.service = head.pid = NULL
        head.service_size = head.pid_size = 0
        timestamp = shape.received_at
        behind = pass_time(line, stop, &clock) if is_digit(line[0]) or line[0] == c"[" else NULL
        if behind is NULL:
            read_start(line, stop, &words, &head)
        else:
            read_behind_time(behind, stop, &words, &head)
            timestamp = clock.stored
        if head.level < 0:
            head.level = INFO

        reserve(out, SPACE + shape_size + stop - line)
        begun = size_of(out)
        put(out, b'{"timestamp":"', 14)
        put(out, timestamp, WIDTH)
        put(out, b'","level":"', 11)
        put_level(out, head.level)
        put(out, b'","service":"', 13)
        span.service_start = <int32_t>size_of(out)
        if head.service is NULL:
            put(out, shape.service_json, shape.service_json_size)
            note_service(&summary, services, shape.service, shape.service_size)
        else:
            put(out, head.service, head.service_size)
            note_service(&summary, services, head.service, head.service_size)
        span.service_end = <int32_t>size_of(out)
        if head.pid is NULL:
            put(out, b'",', 2)
            put(out, shape.prefix, shape.prefix_size)
        else:
            put(out, b'","pid":', 8)
            put(out, head.pid, head.pid_size)
            put_byte(out, c",")
            put(out, shape.prefix_with_pid, shape.prefix_with_pid_size)
        put(out, b'"message":"', 11)
        span.message_start = <int32_t>size_of(out)
        put_message(out, head.text, stop - head.text)
        if size_of(out) >> 30:
            return None
        span.message_end = <int32_t>size_of(out)
        reserve(out, 3)
        put(out, b'"}\n', 3)
        add_span(columns, &span, head.level, &summary, PyBytes_AS_STRING(<object>out.data), begun, size_of(out))
        note_valid_timestamp(&summary, timestamp)
        summary.levels[head.level] += 1
        summary.records += 1
    if summary.records == 0:
        return None
    gathered = finish_columns(columns, PyBytes_AS_STRING(<object>out.data))
    return finish(out), summary.records, summed_up(&summary, services), gathered


cdef inline bint _is_nothing(Text at, Text stop) noexcept nogil:
    """Whether there are but blanks up to `stop`."""
    while at < stop:
        if not (at[0] == c" " or at[0] == c"\t" or at[0] == c"\r" or at[0] == 11 or at[0] == 12):
            return False
        at += 1
    return True
