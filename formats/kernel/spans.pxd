"""Levels, services and messages of the lines that are made, gathered beside them for who looks for something there.

What of a line is going to be looked at is copied while it is at hand: later the line is not in the cache any more, and
to fetch it takes as long as all the rest. Of records that are asked for by their levels the line itself is copied, so
that the others need not be held. What is searched for in all messages is so at once, some of them at a time.
"""

from cpython.buffer cimport PyBUF_READ
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from libc.stdint cimport int32_t
from libc.string cimport memchr, memcpy

from formats.kernel.out cimport Out, begin, drop, finish, put, reserve, size_of
from formats.kernel.summary cimport LEVELS, Summary

cdef enum:
    ALL_LEVELS = (1 << LEVELS) - 1  # what is wanted, as in formats.cores: a bit for each level
    SEARCHED_BYTES = 1 << 17  # of messages, at a time
    MOST_AT_ONCE = 64  # bytes of a message that are copied so

cdef struct Span:  # of a record: where in the lines its service and its message stand
    int32_t service_start
    int32_t service_end
    int32_t message_start
    int32_t message_end
    unsigned char level  # which of formats.levels.LEVELS
    unsigned char place  # of the service, as `Summary.place`

cdef struct Noted:  # a record of which nothing is copied yet
    Span span
    Py_ssize_t start  # of its line in the lines
    Py_ssize_t end  # 0: there is none

cdef struct Columns:
    Noted last
    bint is_any  # wanted
    int levels  # that are
    Out lines  # of the records of these levels; none if these are all
    Out spans
    PyObject* search  # as in formats.cores, if it is given and has not found anything; borrowed
    char* messages  # to be searched, with an LF behind each; room for SEARCHED_BYTES
    Py_ssize_t messages_size

# Room for messages. It is always the same, that is in the cache: who has it gives it back. Raises MemoryError.
cdef char* borrow_room() except NULL
cdef void return_room(char* room) noexcept


cdef inline int begin_columns(Columns* columns, int levels, search, Py_ssize_t size) except -1:
    """For a block of so many bytes. Whatever happens then, `drop_columns` must be called. Raises MemoryError.

    `search` must live until then.
    """
    cdef bint is_partly = levels != 0 and levels != ALL_LEVELS
    cdef int rare = 3 if is_partly else 0  # records of some levels only are mostly few
    columns.last.end = columns.messages_size = 0
    columns.is_any = levels != 0 or search is not None
    columns.levels = levels
    columns.search = NULL if search is None else <PyObject*>search
    columns.lines.data = columns.spans.data = NULL
    columns.messages = NULL
    begin(&columns.lines, (size >> 1) * is_partly)
    begin(&columns.spans, (size >> 2 >> rare) * (levels != 0))
    if columns.search is not NULL:
        columns.messages = borrow_room()
    return 0


cdef inline int add_span(
    Columns* columns, Span* span, int level, const Summary* summary, const char* lines, Py_ssize_t start, Py_ssize_t end
) except -1:
    """Take note of the record whose line stands in the lines from `start` to `end`, its service the one noted last.

    Raises MemoryError.
    """
    if columns.search is not NULL or columns.levels >> level & 1:
        _gather_last(columns, lines)
        span.level = <unsigned char>level
        span.place = summary.place
        columns.last.span = span[0]
        columns.last.start = start
        columns.last.end = end
    return 0


cdef inline int _gather_last(Columns* columns, const char* lines) except -1:
    """Copy what is wanted of the record noted last, if there is one.

    To read what was written just now would be to wait until it is in the cache.
    """
    cdef Noted* last = &columns.last
    if last.end == 0:
        return 0
    if columns.search is not NULL:
        _put_message(columns, lines, last)
    if columns.levels >> last.span.level & 1:
        if columns.levels != ALL_LEVELS:
            _keep_line(&columns.lines, lines, last)
        reserve(&columns.spans, sizeof(Span))
        put(&columns.spans, &last.span, sizeof(Span))
    return 0


cdef inline int _put_message(Columns* columns, const char* lines, const Noted* noted) except -1:
    """Put a message where it will be searched."""
    cdef const char* message = lines + noted.span.message_start
    cdef Py_ssize_t size = noted.span.message_end - noted.span.message_start
    cdef char* at
    if columns.messages_size + size + MOST_AT_ONCE > SEARCHED_BYTES:
        _search(columns, columns.messages, columns.messages_size)
        columns.messages_size = 0
        if size + MOST_AT_ONCE > SEARCHED_BYTES:
            long_one = message[:size] + b"\n"
            _search(columns, PyBytes_AS_STRING(long_one), size + 1)
            return 0
    at = columns.messages + columns.messages_size
    if size <= MOST_AT_ONCE <= noted.end - noted.span.message_start:
        memcpy(at, message, MOST_AT_ONCE)  # of a fixed size: a few instructions
    else:
        memcpy(at, message, size)
    at[size] = c"\n"
    columns.messages_size += size + 1
    return 0


cdef inline int _search(Columns* columns, char* messages, Py_ssize_t size) except -1:
    """Search in these, unless something was found before."""
    if columns.search is NULL or size == 0:
        return 0
    if memchr(messages, c"\\", size) is not NULL:
        from formats.kernel.spans import unescaped

        texts = memoryview(unescaped(messages[:size]))
    else:
        texts = PyMemoryView_FromMemory(messages, size, PyBUF_READ)
    if (<object>columns.search)(texts):
        columns.search = NULL
    texts.release()  # nobody looks at it any more: BufferError
    return 0


cdef inline int _keep_line(Out* kept, const char* lines, Noted* noted) except -1:
    cdef Span* span = &noted.span
    cdef int32_t moved = <int32_t>(size_of(kept) - noted.start)
    reserve(kept, noted.end - noted.start)
    put(kept, lines + noted.start, noted.end - noted.start)
    span.service_start += moved
    span.service_end += moved
    span.message_start += moved
    span.message_end += moved
    return 0


cdef inline tuple finish_columns(Columns* columns, const char* lines):
    """The fields of `made.Gathered`."""
    _gather_last(columns, lines)
    _search(columns, columns.messages, columns.messages_size)
    return (
        columns.levels,
        columns.search is not NULL,
        finish(&columns.lines),
        finish(&columns.spans),
    )


cdef inline void drop_columns(Columns* columns) noexcept:
    drop(&columns.lines)
    drop(&columns.spans)
    if columns.messages is not NULL:
        return_room(columns.messages)
        columns.messages = NULL
