# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True

from cython cimport final
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from formats.kernel.summary cimport WIDTH
from formats.kernel.text cimport Text, is_digit


@final
cdef class Clock:
    """`iso` and `bsd` tell the stored form of a time as syslog_times does, None if it is none. For one block."""

    def __init__(self, iso, bsd):
        self._iso = iso
        self._bsd = bsd
        memcpy(self._last, b"1970-01-01T00:00:00", SECOND)

    cdef Text read_iso(self, Text at, Text end, unsigned char* stamp) except? NULL:
        """An RFC 3339 time with up to nine digits of a fraction, to behind it. NULL: left to the other way."""
        cdef const char* limits = b"9999-99-99T99:59:59"
        cdef unsigned char key[LONGEST_KEY]
        cdef Text tail
        cdef int index
        if end - at <= SECOND:
            return NULL
        if memcmp(at, self._last, SECOND) != 0:
            for index in range(SECOND):
                if is_digit(limits[index]):
                    if at[index] < c"0" or at[index] > <unsigned char>limits[index]:
                        return NULL
                elif at[index] != <unsigned char>limits[index]:
                    return NULL
            memcpy(self._last, at, SECOND)
        memcpy(stamp, at, SECOND)
        memcpy(stamp + SECOND, b".000000Z", WIDTH - SECOND)
        tail = at + SECOND
        if tail[0] == c".":
            tail += 1
            if not is_digit(tail[0]):
                return NULL
            index = 0
            while is_digit(tail[0]):
                if index == 9:
                    return NULL
                if index < 6:
                    stamp[SECOND + 1 + index] = tail[0]
                index += 1
                tail += 1
        if tail[0] == c"Z":
            return tail + 1  # whether there is such an hour is looked up for all together (made.encoded)
        if tail[0] == c"+" or tail[0] == c"-":
            if not (is_digit(tail[1]) and is_digit(tail[2]) and tail[3] == c":"):
                return NULL
            if not (is_digit(tail[4]) and is_digit(tail[5])):
                return NULL
            memcpy(key, at, MINUTE)
            memcpy(key + MINUTE, b":00", 3)
            memcpy(key + SECOND, tail, 6)
            if not self._ask(False, key, LONGEST_KEY, MINUTE, stamp):
                return NULL
            return tail + 6
        if not self._ask(False, at, SECOND, SECOND, stamp):
            return NULL
        return tail

    cdef Text read_bsd(self, Text at, Text end, unsigned char* stamp) except? NULL:
        """The time of RFC 3164 section 4.1.2, to behind it."""
        cdef int index
        if end - at <= BSD:
            return NULL
        for index in range(BSD):
            if at[index] & 0x80:
                return NULL
        memcpy(stamp + SECOND, b".000000Z", WIDTH - SECOND)
        if not self._ask(True, at, BSD, SECOND, stamp):
            return NULL
        return at + BSD

    cdef bint _ask(self, bint bsd, const unsigned char* key, int size, int told, unsigned char* stamp) except -1:
        """Put the first `told` bytes of the time that `key` is. False: it is none."""
        cdef uint64_t clock
        cdef Known* known
        memcpy(&clock, key + MINUTE - 8 if told == MINUTE else key + size - 8, 8)  # where it changes most
        known = &self._known[(clock * <uint64_t>0x9E3779B97F4A7C15ULL) >> 58]
        if known.size != size or memcmp(known.key, key, size) != 0:
            text = (self._bsd if bsd else self._iso)(PyUnicode_DecodeASCII(<const char*>key, size, NULL))
            if text is None:
                return False
            second = text.encode()
            if len(second) != WIDTH:
                return False
            known.size = <unsigned char>size
            memcpy(known.key, key, size)
            memcpy(known.second, <const unsigned char*>second, SECOND)
        memcpy(stamp, known.second, told)
        return True
