"""The time that a raw line begins with, brought to the stored form: what `raw_head` takes for one, as `timestamps` reads it.

    2026-11-20 12:00:00,123     date with - or /, T or a blank, a fraction or none, Z, an offset or no zone; in brackets too
    1763640000.123              seconds since 1970; of 13, 16 and 19 digits milli-, micro- and nanoseconds

A line that begins with a digit, or with one in brackets, and not with a time is text to its last character: so it is
where a date never was, lies outside the years 1970 to 9999, or a digit is missing.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from formats.kernel.text cimport Text, is_digit

cdef enum:
    SECOND = 19  # bytes of a date and time up to the seconds
    FRACTION = 20  # where it begins in the stored form
    MOST_DIGITS = 18  # of a fraction
    DAY_S = 86_400
    DAYS_TO_1970 = 719_468  # from the first of March of the year 0
    DAYS_TO_10000 = 3_652_365

cdef struct Clock:
    unsigned char sent[SECOND]  # the second that was read last, as it was sent: mostly the next line has it too
    unsigned char stored[27]  # the time that was read last


cdef inline void start(Clock* clock) noexcept nogil:
    memset(clock.sent, 0, SECOND)
    memcpy(clock.stored, b"0000-00-00T00:00:00.000000Z", 27)


cdef inline bint is_blank(unsigned char byte) noexcept nogil:
    return byte == c" " or byte == c"\t"


cdef inline bint stops(Text at, Text stop) noexcept nogil:
    """Whether a word of the head ends here."""
    return at == stop or is_blank(at[0])


cdef inline Text pass_time(Text at, Text stop, Clock* clock) noexcept nogil:
    """To behind the time of the line that ends at `stop`, and the time into `clock.stored`; NULL: there is none."""
    cdef bint boxed = at[0] == c"["
    cdef int digits = 0
    if boxed:
        at += 1
    while digits < 20 and is_digit(at[digits]):
        digits += 1
    if digits == 4:
        return _pass_iso(at, stop, boxed, clock)
    if 10 <= digits < 20 and not boxed:
        return _pass_epoch(at, digits, clock)
    return NULL


cdef inline Text _pass_iso(Text at, Text stop, bint boxed, Clock* clock) noexcept nogil:
    cdef Text zone
    cdef Text zone_end = NULL
    cdef int minutes = 0
    if stop - at < SECOND or (memcmp(at, clock.sent, SECOND) != 0 and not _read_second(at, clock)):
        return NULL
    at += SECOND
    memset(clock.stored + FRACTION, c"0", 6)
    if at[0] == c"." or at[0] == c",":
        at = _pass_fraction(at + 1, clock)
        if at is NULL:
            return NULL
    zone = at + (at[0] == c" ")
    if zone[0] | 0x20 == c"z":
        zone_end = zone + 1
    elif zone[0] == c"+" or zone[0] == c"-":
        zone_end = _pass_offset(zone, &minutes)
    if zone_end is not NULL and _closes(zone_end, stop, boxed):
        at = zone_end
        if minutes:
            clock.sent[0] = 0  # `stored` will not be that second any more
            if not -1440 < minutes < 1440 or not _store(clock, _stored_second(clock) - 60 * minutes):
                return NULL
    elif not _closes(at, stop, boxed):
        return NULL
    return at + boxed if memcmp(clock.stored, b"1970", 4) >= 0 else NULL


cdef inline bint _closes(Text at, Text stop, bint boxed) noexcept nogil:
    if boxed:
        return at[0] == c"]" and stops(at + 1, stop)
    return stops(at, stop)


cdef inline bint _read_second(Text at, Clock* clock) noexcept nogil:
    """Of 19 bytes, into `clock.sent` and `clock.stored`. False: it is none, or of a year that no offset could help."""
    cdef const char* template = b"0000-00-00T00:00:00"
    cdef int index, year, month, day
    cdef bint leap
    for index in range(SECOND):
        if is_digit(template[index]):
            if not is_digit(at[index]):
                return False
        elif at[index] != <unsigned char>template[index] and not (
            (index == 10 and (at[10] == c" " or at[10] == c"t"))
            or ((index == 4 or index == 7) and at[index] == c"/")
        ):
            return False
    year = 100 * _two(at) + _two(at + 2)
    month = _two(at + 5)
    day = _two(at + 8)
    leap = _two(at + 17) == 60  # the first second of the next minute
    if at[4] != at[7] or year < 1969 or not 1 <= month <= 12 or not 1 <= day <= 31:
        return False
    if day > 28 and _days(year, month, day) >= _days(year + month // 12, month % 12 + 1, 1):
        return False
    if _two(at + 11) > 23 or _two(at + 14) > 59 or _two(at + 17) > 59 + leap:
        return False
    clock.sent[0] = 0
    memcpy(clock.stored, at, SECOND)
    clock.stored[4] = clock.stored[7] = c"-"
    clock.stored[10] = c"T"
    if leap and not _store(clock, _stored_second(clock)):
        return False
    memcpy(clock.sent, at, SECOND)
    return True


cdef inline Text _pass_fraction(Text at, Clock* clock) noexcept nogil:
    """To behind the digits; NULL: none, or too many. `clock` gets six of them."""
    cdef int digits = 0
    while is_digit(at[digits]):
        if digits == MOST_DIGITS:
            return NULL
        if digits < 6:
            clock.stored[FRACTION + digits] = at[digits]
        digits += 1
    return at + digits if digits else NULL


cdef inline Text _pass_offset(Text at, int* minutes) noexcept nogil:
    """+HH, +HHMM or +HH:MM; NULL: none. One beyond a day is told by `minutes`, too."""
    cdef Text rest
    if not (is_digit(at[1]) and is_digit(at[2])):
        return NULL
    minutes[0] = 60 * _two(at + 1)
    rest = at + 3
    if rest[0] == c":":
        rest += 1
    if is_digit(rest[0]) and is_digit(rest[1]):
        minutes[0] += _two(rest) if _two(rest) < 60 else DAY_S
        rest += 2
    else:
        rest = at + 3
    if at[0] == c"-":
        minutes[0] = -minutes[0]
    return rest


cdef inline Text _pass_epoch(Text at, int digits, Clock* clock) noexcept nogil:
    """Of so many digits; a blank must follow. Its unit is told by its magnitude (`timestamps._UNITS`)."""
    cdef uint64_t value = 0, unit = 1, fraction
    cdef int index
    for index in range(digits):
        value = 10 * value + (at[index] - c"0")
    while unit < 1_000_000_000 and value // unit >= 100_000_000_000ULL:
        unit *= 1000
    fraction = value % unit * 1_000_000_000 // unit // 1000
    for index in range(5, -1, -1):
        clock.stored[FRACTION + index] = <unsigned char>(c"0" + fraction % 10)
        fraction //= 10
    at += digits
    if digits == 10 and at[0] == c".":
        at = _pass_fraction(at + 1, clock)
        if at is NULL:
            return NULL
    elif digits % 3 != 1:
        return NULL
    clock.sent[0] = 0
    if not is_blank(at[0]) or not _store(clock, <int64_t>(value // unit) + DAY_S * <int64_t>DAYS_TO_1970):
        return NULL
    return at


cdef inline int _two(Text at) noexcept nogil:
    return 10 * (at[0] - c"0") + (at[1] - c"0")


cdef inline void _put_two(unsigned char* at, int value) noexcept nogil:
    at[0] = <unsigned char>(c"0" + value // 10)
    at[1] = <unsigned char>(c"0" + value % 10)


# Days and seconds are counted from the first of March of the year 0, so that a leap day is the last of its year; 146,097
# days are 400 years: https://howardhinnant.github.io/date_algorithms.html


cdef inline int64_t _days(int year, int month, int day) noexcept nogil:
    if month <= 2:
        year -= 1
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 1


cdef inline int64_t _stored_second(Clock* clock) noexcept nogil:
    cdef unsigned char* stored = clock.stored
    cdef int64_t days = _days(100 * _two(stored) + _two(stored + 2), _two(stored + 5), _two(stored + 8))
    return DAY_S * days + 3600 * _two(stored + 11) + 60 * _two(stored + 14) + _two(stored + 17)


cdef inline bint _store(Clock* clock, int64_t second) noexcept nogil:
    """Put a second, not of the year 0, into `clock.stored`. False: it is later than the year 9999."""
    cdef unsigned char* stored = clock.stored
    cdef int days = <int>(second // DAY_S)
    cdef int of_day = <int>(second % DAY_S)
    cdef int day = days % 146_097
    cdef int year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    cdef int month  # from March on
    if days >= DAYS_TO_10000:
        return False
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    year += 400 * (days // 146_097) + (month >= 10)
    _put_two(stored, year // 100)
    _put_two(stored + 2, year % 100)
    stored[4] = stored[7] = c"-"
    _put_two(stored + 5, month - 9 if month >= 10 else month + 3)
    _put_two(stored + 8, day - (153 * month + 2) // 5 + 1)
    stored[10] = c"T"
    _put_two(stored + 11, of_day // 3600)
    _put_two(stored + 14, of_day // 60 % 60)
    _put_two(stored + 17, of_day % 60)
    return True
