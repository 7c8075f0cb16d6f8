"""What stands in a syslog message up to its text, or to its structured data, by pointers into it.

Tokens end at any byte that they cannot hold, a NUL among them; what was passed is compared with the end of the message
before it is used. The rules are those of syslog_5424.read and syslog_3164.read, for the shapes that most senders send.
"""

from libc.string cimport memcpy

from formats.kernel.summary cimport WIDTH
from formats.kernel.syslog_clock cimport Clock
from formats.kernel.text cimport Text, is_digit

cdef extern from *:
    """
    /* What a byte may be part of: the sum of TOKEN to PROCESS; from NUL on, 16 a row. */
    static const unsigned char ingestd_syslog_kinds[256] = {
        0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
        0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
        0,39,37,39,39,47,39,39,39,39,39,39,39,47,47,47,
        47,47,47,47,47,47,47,47,47,47,43,39,39,37,39,39,
        47,63,63,63,63,63,63,63,63,63,63,63,63,63,63,63,
        63,63,63,63,63,63,63,63,63,63,63,35,39,5,39,47,
        39,47,47,47,47,47,47,47,47,47,47,47,47,47,47,47,
        47,47,47,47,47,47,47,47,47,47,47,39,39,39,39,0,
    };
    """
    const unsigned char kinds "ingestd_syslog_kinds"[256]

cdef enum:
    PRIS = 192
    TOKEN_LIMIT = 255  # bytes of a token of RFC 5424
    TAG_LIMIT = 128  # of host, tag and process of RFC 3164

    TOKEN = 1  # of RFC 5424: PRINTUSASCII
    NAME = 2  # of structured data
    TAG = 4
    HOST = 8  # of RFC 3164
    CAPITAL = 16
    PROCESS = 32

    # Which fields an origin has: the number of its rest.
    HAS_HOST = 1
    HAS_PROCESS = 2
    HAS_MESSAGE_ID = 4

cdef struct Message:
    int pri
    unsigned char stamp[WIDTH]
    int fields
    bint is_5424
    Text host
    Text service  # NULL: none
    Text process
    Text message_id
    Py_ssize_t host_size
    Py_ssize_t service_size
    Py_ssize_t process_size
    Py_ssize_t message_id_size
    Text data  # structured data, from its first bracket on; NULL: none
    Text text


cdef inline bint read_message(Message* message, Text at, Text end, Clock clock, Text received) except -1:
    """Read what stands up to the text. False: it is left to the other way."""
    cdef int pri
    if end - at < 8 or at[0] != c"<" or not is_digit(at[1]):
        return False
    pri = at[1] - c"0"
    at += 2
    while is_digit(at[0]):
        pri = 10 * pri + (at[0] - c"0")
        if pri < 10 or pri >= PRIS:
            return False  # a zero leads, or it is too large
        at += 1
    if at[0] != c">":
        return False
    at += 1
    message.pri = pri
    message.fields = 0
    message.service = NULL
    message.data = NULL
    message.is_5424 = at[0] == c"1" and at[1] == c" "
    if message.is_5424:
        return _read_5424(message, at + 2, end, clock, received)
    at = clock.read_iso(at, end, message.stamp) if is_digit(at[0]) else clock.read_bsd(at, end, message.stamp)
    return at is not NULL and at[0] == c" " and _read_tag(message, at + 1, end)


cdef inline Text _pass_token(Text at, Text* token, Py_ssize_t* size) noexcept nogil:
    """To behind a token and its space."""
    cdef Text end = at
    while kinds[end[0]] & TOKEN:
        end += 1
    token[0] = at
    size[0] = end - at
    if end[0] != c" " or size[0] == 0 or size[0] > TOKEN_LIMIT:
        return NULL
    return end + 1


cdef inline bint _is_nil(Text token, Py_ssize_t size) noexcept nogil:
    return size == 1 and token[0] == c"-"


cdef inline bint _read_5424(Message* message, Text at, Text end, Clock clock, Text received) except -1:
    if at[0] == c"-":
        memcpy(message.stamp, received, WIDTH)
        at += 1
    else:
        at = clock.read_iso(at, end, message.stamp)
        if at is NULL:
            return False
    if at[0] != c" ":
        return False
    at = _pass_token(at + 1, &message.host, &message.host_size)
    if at is NULL:
        return False
    at = _pass_token(at, &message.service, &message.service_size)
    if at is NULL:
        return False
    at = _pass_token(at, &message.process, &message.process_size)
    if at is NULL:
        return False
    at = _pass_token(at, &message.message_id, &message.message_id_size)
    if at is NULL or at >= end:
        return False
    if not _is_nil(message.host, message.host_size):
        message.fields |= HAS_HOST
    if _is_nil(message.service, message.service_size):
        message.service = NULL
    if not _is_nil(message.process, message.process_size):
        message.fields |= HAS_PROCESS
    if not _is_nil(message.message_id, message.message_id_size):
        message.fields |= HAS_MESSAGE_ID
    if at[0] == c"[":
        message.data = at
        return True
    message.text = at + 1
    return at[0] == c"-"


cdef inline bint _read_tag(Message* message, Text at, Text end) noexcept nogil:
    """Read `host tag[pid]: `, of which the host or the tag may be missing."""
    cdef Text first = at
    cdef unsigned char all = 0xFF
    cdef Py_ssize_t size
    while kinds[at[0]] & HOST:
        if at[0] == c":" and all & CAPITAL:
            return False  # maybe a zone: `EST:`
        all &= kinds[at[0]]
        at += 1
    size = at - first
    if at[0] == c" " and (at - 1)[0] != c":":
        # A word of capitals and a year may belong to the time: `EST 2026`.
        if not 0 < size <= TAG_LIMIT or first[0] in b".:%/@-" or (all & CAPITAL and is_digit(at[1])):
            return False
        message.host = first
        message.host_size = size
        message.fields |= HAS_HOST
        first = at + 1
    return _read_tag_alone(message, first, end)


cdef inline bint _read_tag_alone(Message* message, Text at, Text end) noexcept nogil:
    cdef Text first = at
    cdef Py_ssize_t size
    if at >= end or first[0] == c"%" or first[0] == c":" or first[0] == c" ":
        return False  # of Cisco, mostly
    while kinds[at[0]] & TAG:
        at += 1
    size = at - first
    if size > TAG_LIMIT or at > end:
        return False
    if at == end or at[0] == c" " or (size == 0 and at[0] == c"["):
        message.text = first  # no tag, but text
        return message.fields & HAS_HOST != 0
    if size == 0:
        return False
    if at[0] == c"[":
        message.process = at + 1
        at += 1
        while kinds[at[0]] & PROCESS:
            at += 1
        message.process_size = at - message.process
        if at[0] != c"]" or not 0 < message.process_size <= TAG_LIMIT:
            return False
        message.fields |= HAS_PROCESS
        at += 1
    elif at[0] == c":" and at + 1 < end and at[1] != c" ":
        while kinds[at[0]] & TAG or at[0] == c":":
            at += 1
        message.text = first  # a word that is no tag, `http://...`
        return message.fields & HAS_HOST != 0 and (at == end or at[0] == c" ") and (at - 1)[0] != c":" and at <= end
    if at >= end or at[0] != c":" or (at + 1 < end and at[1] != c" "):
        return False
    message.service = first
    message.service_size = size
    message.text = at + 2 if at + 1 < end else end
    return True
