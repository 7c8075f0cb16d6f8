"""What stands behind the time of a raw line, or at its beginning where there is none: `formats.raw_head`, its patterns by hand.

The patterns never have two ways to match: a name and a word end where the first byte stands that they cannot have, and
none of them has a blank, a colon or a bracket. So one look at each byte, in the order of the pattern, says the same.
"""

from libc.stdint cimport uint64_t

from formats.kernel.raw_time cimport is_blank, stops
from formats.kernel.text cimport Text, is_digit, pass_blanks

cdef extern from *:
    """
    /* 1: begins a name; 2: goes on with it; 4: a letter. */
    static const unsigned char ingestd_in_name[256] = {
        ['0'] = 3,3,3,3,3,3,3,3,3,3, ['A'] = 7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,
        ['a'] = 7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7, ['_'] = 3,
        ['.'] = 2, ['/'] = 2, ['@'] = 2, ['$'] = 2, ['-'] = 2,
    };
    """
    const unsigned char in_name "ingestd_in_name"[256]

cdef enum:
    LONGEST_NAME = 128
    LONGEST_WORD = 16
    LONGEST_PID = 10
    MOST_SPACES = 16  # within brackets
    MOST_WORDS = 32

cdef struct Word:
    uint64_t head  # eight letters in capitals, and `tail` those behind them
    uint64_t tail
    int level

cdef struct Words:  # the names of levels; single letters, too, which stand for one in brackets only
    Word known[MOST_WORDS]
    int number

cdef struct Head:
    int level  # -1: none is said
    Text service  # NULL: none
    Py_ssize_t service_size
    Text pid  # its digits; NULL: none
    Py_ssize_t pid_size
    Text text  # what remains of the line


cdef inline Text pass_word(Text at, Word* word) noexcept nogil:
    """To behind all letters that stand here, which `word` gets; none that is known is as long as to fill it."""
    cdef uint64_t letters[2]
    cdef int size = 0
    letters[0] = letters[1] = 0
    while in_name[at[size]] & 4 and size < LONGEST_WORD:
        letters[size >> 3] = letters[size >> 3] << 8 | (at[size] & 0xDF)
        size += 1
    word.head = letters[0]
    word.tail = letters[1]
    return at + size


cdef inline int level_of(const Words* words, const Word* word) noexcept nogil:
    """-1: it is no level."""
    cdef int index
    for index in range(words.number):
        if words.known[index].head == word.head and words.known[index].tail == word.tail:
            return words.known[index].level
    return -1


cdef inline Text pass_boxed(Text at, Text stop, const Words* words, int* level) noexcept nogil:
    """To behind a level in brackets; NULL: there is none."""
    cdef Word word
    if at[0] != c"[":
        return NULL
    at = pass_word(_pass_spaces(at + 1), &word)
    level[0] = level_of(words, &word)
    at = _pass_spaces(at)
    if level[0] < 0 or at[0] != c"]" or not (at[1] == c":" or stops(at + 1, stop)):
        return NULL
    return at + 1


cdef inline Text _pass_spaces(Text at) noexcept nogil:
    cdef int number = 0
    while number < MOST_SPACES and at[number] == c" ":
        number += 1
    return at + number


cdef inline Text pass_name(Text at) noexcept nogil:
    """NULL: there is none."""
    cdef int size = 1
    if not in_name[at[0]] & 1:
        return NULL
    while size < LONGEST_NAME and in_name[at[size]] & 2:
        size += 1
    return at + size


cdef inline Text pass_colon(Text at, Text stop) noexcept nogil:
    """To behind a colon and a blank, or the line's end; NULL: there is none."""
    if at == stop or at[0] != c":" or not stops(at + 1, stop):
        return NULL
    return at + 1 if at + 1 == stop else at + 2


cdef inline Text pass_dash(Text at, Text stop) noexcept nogil:
    """To behind blanks and a dash that a blank, or the line's end, follows; NULL: there is none."""
    if not is_blank(at[0]):
        return NULL
    at = pass_blanks(at)
    return at + 1 if at[0] == c"-" and stops(at + 1, stop) else NULL


cdef inline Text pass_pid(Text at, Head* head) noexcept nogil:
    """To behind a process id in brackets, or `at` itself."""
    cdef int size = 1
    if at[0] != c"[":
        return at
    while size <= LONGEST_PID and is_digit(at[size]):
        size += 1
    if size == 1 or at[size] != c"]":
        return at
    head.pid = at + 1
    head.pid_size = size - 1
    while head.pid_size > 1 and head.pid[0] == c"0":
        head.pid += 1
        head.pid_size -= 1
    return at + size + 1


cdef inline void read_start(Text at, Text stop, const Words* words, Head* head) noexcept nogil:
    """A level at the beginning of a line."""
    cdef Word word
    cdef Text behind = pass_boxed(at, stop, words, &head.level)
    head.text = at
    if behind is not NULL:
        if stops(behind, stop):
            head.text = pass_blanks(behind)
            return
        behind = pass_colon(behind, stop)
        if behind is NULL:
            head.level = -1
        else:
            head.text = behind
        return
    head.level = -1
    behind = pass_word(at, &word)
    if behind[0] == c":" and word.head > 0xFF:
        head.level = level_of(words, &word)
        if head.level >= 0:
            head.text = behind + 1 + (behind + 1 != stop and is_blank(behind[1]))


cdef inline void read_behind_time(Text at, Text stop, const Words* words, Head* head) noexcept nogil:
    cdef Text part
    head.text = stop
    if at == stop:
        return
    part = pass_blanks(at)
    if part[0] == c"-" and is_blank(part[1]):
        part = pass_blanks(part + 1)
    if part[0] != c"-" and (
        _read_dashed(part, stop, words, head)
        or _read_level(part, stop, words, head)
        or _read_process(part, stop, head)
    ):
        return
    head.level = -1
    head.service = head.pid = NULL
    head.text = at + 1
    if stop - head.text >= 2 and head.text[0] == c"-" and head.text[1] == c" ":
        head.text += 2


cdef inline bint _read_dashed(Text at, Text stop, const Words* words, Head* head) noexcept nogil:
    """`name - LEVEL - text`"""
    cdef Word word
    cdef Text behind = pass_name(at)
    if behind is NULL:
        return False
    head.service = at
    head.service_size = behind - at
    at = pass_dash(behind, stop)
    if at is NULL or at == stop:
        return False
    at = pass_word(pass_blanks(at), &word)
    head.level = level_of(words, &word)
    if head.level < 0 or word.head <= 0xFF:
        return False
    at = pass_dash(at, stop)
    if at is NULL:
        return False
    head.text = pass_blanks(at)
    return True


cdef inline bint _read_level(Text at, Text stop, const Words* words, Head* head) noexcept nogil:
    """`[level] text`, `LEVEL name[1]: text`, `level: text` and what is between them."""
    cdef Word word
    cdef Text name = at
    cdef Text behind
    head.service = NULL
    at = pass_boxed(name, stop, words, &head.level)
    if at is NULL:
        at = pass_word(name, &word)
        if at[0] != c":" and not stops(at, stop):
            return False
        head.level = level_of(words, &word)
        if head.level < 0 or word.head <= 0xFF:
            return False
        if at[0] != c":":
            behind = pass_dash(at, stop)
            if behind is not NULL:
                at = behind
            elif not _is_upper(name, at):
                return False
    if not stops(at, stop):
        at = pass_colon(at, stop)
        head.text = at
        return at is not NULL
    name = pass_blanks(at)
    head.text = name
    behind = pass_name(name) if name != at else NULL
    if behind is NULL:
        return True
    at = pass_pid(behind, head)
    head.text = pass_colon(at, stop)
    if head.text is NULL:
        head.text = pass_dash(at, stop)
        if head.text is NULL:
            head.text = name
            head.pid = NULL
            return True
        head.text = pass_blanks(head.text)
    head.service = name
    head.service_size = behind - name
    return True


cdef inline bint _is_upper(Text at, Text end) noexcept nogil:
    while at < end:
        if at[0] & 0x20:
            return False
        at += 1
    return True


cdef inline bint _read_process(Text at, Text stop, Head* head) noexcept nogil:
    """`name[1]: text`"""
    cdef Text behind = pass_name(at)
    if behind is NULL:
        return False
    head.level = -1
    head.service = at
    head.service_size = behind - at
    at = pass_pid(behind, head)
    head.text = pass_colon(at, stop)
    return at != behind and head.text is not NULL
