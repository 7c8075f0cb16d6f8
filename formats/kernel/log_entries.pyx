# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Protobuf's `LogEntry`, each behind its length, to lines: what `formats.protobuf` makes of most of them, in one pass.

Taken are fields in any order and fields the schema does not know, attributes, all levels that `formats.levels` knows, and
timestamps of RFC 3339 in UTC. Left to the way in Python are entries with a field twice, times in digits or with an
offset, heartbeats, and attributes that must be renamed.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcmp, memset

from formats.kernel.gather cimport Columns, add_span, begin_columns, drop_columns, finish_columns
from formats.kernel.levels cimport put_level
from formats.kernel.log_entries cimport (
    LEVEL,
    MESSAGE,
    RUN,
    SERVICE,
    TIMESTAMP,
    Attribute,
    Entry,
    Piece,
    read_entry,
    read_text,
)
from formats.kernel.out cimport Out, begin, drop, finish, put, put_byte, put_words, reserve, size_of
from formats.kernel.spans cimport Span
from formats.kernel.summary cimport (
    WIDTH,
    Summary,
    level_number,
    note_service,
    note_timestamp,
    summed_up,
)
from formats.kernel.text cimport Text
from formats.kernel.times cimport put_timestamp
from formats.kernel.utf8 cimport is_utf8

from formats.errors import DecodeError
from formats.levels import LEVELS, parse

cdef enum:
    INFO = 2
    MOST_ADDED = 64
    OTHER_LEVELS = 8
    PUNCTUATION = 256  # bytes of a line that are no text: names, quotes, a timestamp, a level, a number of 20 digits
    LONGEST_BLOCK = 1 << 26
    LONGEST = 0x7FFFFFFF  # of lines, since spans are of int32
    SLACK = 4096  # so that the last record seldom needs more room than there is


cdef class Added:
    """The enrichment: the names of its fields, and how many bytes each takes in a line, its comma with it."""

    cdef bytes _names  # without anything between them
    cdef int _name_ends[MOST_ADDED + 1]  # from 1 on
    cdef int _ends[MOST_ADDED + 1]
    cdef int _fields
    cdef uint64_t _run, _seq  # the fields that are named so

    def __init__(self, sizes):
        """ValueError: more than 64."""
        cdef int index
        if len(sizes) > MOST_ADDED:
            raise ValueError(f"more than {MOST_ADDED} fields")
        names = [name.encode() for name in sizes]
        self._names = b"".join(names)
        self._fields = len(names)
        self._name_ends[0] = self._ends[0] = 0
        for index, size in enumerate(sizes.values()):
            self._name_ends[index + 1] = self._name_ends[index] + <int>len(names[index])
            self._ends[index + 1] = self._ends[index] + <int>size
        self._run = self.named(<Text>b"run", 3)
        self._seq = self.named(<Text>b"seq", 3)

    cdef inline uint64_t named(self, Text name, Py_ssize_t size) noexcept:
        """The field of this name, as a bit; none if there is none."""
        cdef const char* names = PyBytes_AS_STRING(self._names)
        cdef int index
        for index in range(self._fields):
            if self._name_ends[index + 1] - self._name_ends[index] == size:
                if memcmp(names + self._name_ends[index], name, size) == 0:
                    return <uint64_t>1 << index
        return 0

    cdef inline void put_rest(self, Out* out, const char* rest, Py_ssize_t size, uint64_t carried) noexcept:
        """All fields but the `carried`, and the end of the line; `rest` is what there is of both, `size` bytes."""
        cdef int index
        if not carried:
            put(out, rest, size)
            return
        for index in range(self._fields):
            if not carried >> index & 1:
                put(out, rest + self._ends[index], self._ends[index + 1] - self._ends[index])
        put(out, b"}\n", 2)


cdef struct Levels:  # other words for them, as they came
    Piece words[OTHER_LEVELS]
    int numbers[OTHER_LEVELS]
    int known


def encode(
    block,
    Py_ssize_t number,
    bytes service not None,
    bytes received_at not None,
    bytes rest not None,
    Added added not None,
    wanted,
):
    """The records of `block`, `number` frames: `service` and `received_at` where they lack one, and `rest` behind each.

    Returns `made.MadeFields`, its columns of what is `wanted`. None: something is unusual.
    """
    if not PyBytes_Check(block):
        raise TypeError(f"not bytes: {type(block)}")
    cdef Text at = <Text>PyBytes_AS_STRING(block)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(block)
    cdef Text end = at + size
    cdef Py_ssize_t rest_size = PyBytes_GET_SIZE(rest)
    cdef Piece defaults[RUN + 1]
    cdef Piece message
    cdef Entry entry
    cdef Summary summary
    cdef Levels levels
    cdef Out out
    cdef Span span
    cdef Columns columns
    cdef Py_ssize_t room, line
    cdef int level
    cdef dict services = {}

    if rest_size != added._ends[added._fields] + 2:
        raise ValueError("the enrichment is not of the size that was told")
    if not 0 < number <= size < LONGEST_BLOCK or rest_size > LONGEST_BLOCK:
        return None
    memset(defaults, 0, sizeof(defaults))
    defaults[TIMESTAMP] = Piece(<Text>PyBytes_AS_STRING(received_at), PyBytes_GET_SIZE(received_at))
    defaults[LEVEL] = Piece(<Text>b"INFO", 4)
    defaults[SERVICE] = Piece(<Text>PyBytes_AS_STRING(service), PyBytes_GET_SIZE(service))
    memset(&summary, 0, sizeof(Summary))
    levels.known = 0
    if number > (LONGEST - size - SLACK) // (rest_size + PUNCTUATION // 2):
        return None
    out.data = NULL
    try:
        begin_columns(&columns, wanted, size)
        begin(&out, size + number * (rest_size + PUNCTUATION // 2) + SLACK)
        while summary.records < number:
            at = read_text(at, end, &message)
            if at is NULL or not read_entry(message.data, at, &entry):
                return None
            room = PUNCTUATION + 6 * (message.size + defaults[SERVICE].size) + rest_size
            if size_of(&out) + room > LONGEST:
                return None
            reserve(&out, room)
            line = size_of(&out)
            level = _put_entry(&out, &entry, defaults, &levels, &summary, services, &span)
            if level < 0:
                return None
            if not _put_others(&out, &entry, PyBytes_AS_STRING(rest), rest_size, added):
                return None
            summary.levels[level] += 1
            add_span(&columns, &span, level, &summary, PyBytes_AS_STRING(<object>out.data), line, size_of(&out))
            summary.records += 1
        if at != end:
            return None
        gathered = finish_columns(&columns, PyBytes_AS_STRING(<object>out.data))
        return finish(&out), number, summed_up(&summary, services), gathered
    except UnicodeDecodeError:
        return None
    finally:
        drop(&out)
        drop_columns(&columns)


cdef inline int _put_entry(
    Out* out, Entry* entry, Piece* defaults, Levels* levels, Summary* summary, dict services, Span* span
) except -2:
    """Put the four core fields, from the `{` of the line on, and take note of them. Returns the level; -1: refused."""
    cdef Piece* texts = entry.texts
    cdef int level, index
    for index in range(TIMESTAMP, MESSAGE):
        if texts[index].size == 0:
            texts[index] = defaults[index]
    put(out, b'{"timestamp":"', 14)
    if not put_timestamp(out, texts[TIMESTAMP].data, texts[TIMESTAMP].size):
        return -1
    if not note_timestamp(summary, <Text>out.at - WIDTH):
        return -1
    level = level_number(texts[LEVEL].data, texts[LEVEL].size)
    if level < 0:
        level = _other_level(levels, &texts[LEVEL])
        if level < 0:
            return -1
    put(out, b'","level":"', 11)
    put_level(out, level)
    put(out, b'","service":"', 13)
    note_service(summary, services, texts[SERVICE].data, texts[SERVICE].size)
    span.service_start = <int32_t>size_of(out)
    if not _put_string(out, &texts[SERVICE]):
        return -1
    span.service_end = <int32_t>size_of(out)
    put(out, b'","message":"', 13)
    span.message_start = <int32_t>size_of(out)
    if not _put_string(out, &texts[MESSAGE]):
        return -1
    span.message_end = <int32_t>size_of(out)
    put_byte(out, c'"')
    return level


cdef inline bint _put_others(
    Out* out, Entry* entry, const char* rest, Py_ssize_t rest_size, Added added
) noexcept:
    """Put all that follows on the core fields. False: refused."""
    cdef Attribute* attribute
    cdef uint64_t carried = 0
    cdef int index
    if entry.texts[RUN].size:
        put(out, b',"run":"', 8)
        if not _put_string(out, &entry.texts[RUN]):
            return False
        put_byte(out, c'"')
        carried = added._run
    if entry.texts[RUN].size or entry.seq:
        put(out, b',"seq":', 7)
        _put_number(out, entry.seq)
        carried |= added._seq
    for index in range(entry.attributes_sent):
        attribute = &entry.attributes[index]
        carried |= added.named(attribute.name.data, attribute.name.size)
        put(out, b',"', 2)
        if not _put_string(out, &attribute.name):
            return False
        put(out, b'":"', 3)
        if not _put_string(out, &attribute.value):
            return False
        put_byte(out, c'"')
    added.put_rest(out, rest, rest_size, carried)
    return True


cdef inline bint _put_string(Out* out, Piece* text) noexcept:
    """False: it is not UTF-8."""
    out.seen = 0
    put_words(out, text.data, text.size)
    return out.seen < 0x80 or is_utf8(text.data, text.size)


cdef inline void _put_number(Out* out, uint64_t number) noexcept:
    cdef char digits[20]
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = <char>(c"0" + number % 10)
        number //= 10
        if not number:
            break
    put(out, digits + at, 20 - at)


cdef int _other_level(Levels* levels, Piece* text) except -2:
    """Which of LEVELS a text stands for that is none of them; -1: none."""
    cdef int index
    for index in range(levels.known):
        if levels.words[index].size == text.size:
            if memcmp(levels.words[index].data, text.data, text.size) == 0:
                return levels.numbers[index]
    try:
        level = LEVELS.index(parse(PyUnicode_DecodeUTF8(<const char*>text.data, text.size, NULL)))
    except DecodeError:
        return -1
    if levels.known < OTHER_LEVELS:
        levels.words[levels.known] = text[0]
        levels.numbers[levels.known] = level
        levels.known += 1
    return level
