"""Moments of time to their stored form, `YYYY-MM-DDTHH:MM:SS.ffffffZ`: a clock that remembers the second of the last one."""

from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy, memset

from formats.kernel.text cimport Text, is_digit

cdef enum:
    SECOND = 19  # characters up to the second
    MOMENT = 27

cdef extern from *:
    """
    #define ingestd_YEAR_1_S (-62135596800LL)
    #define ingestd_YEAR_10000_S 253402300800LL
    """
    const int64_t YEAR_1_S "ingestd_YEAR_1_S"
    const int64_t YEAR_10000_S "ingestd_YEAR_10000_S"

cdef struct Clock:
    char text[MOMENT]  # of the last moment
    int64_t second  # that of `text`, where it came of a number
    bint is_second


cdef inline void write_digits(char* at, unsigned int value, int digits) noexcept nogil:
    while digits:
        digits -= 1
        at[digits] = <char>(c"0" + value % 10)
        value //= 10


cdef inline void _write_second(Clock* clock, int64_t second) noexcept nogil:
    """The civil date of a day: http://howardhinnant.github.io/date_algorithms.html#civil_from_days"""
    cdef unsigned int since_0 = <unsigned int>((second - YEAR_1_S) // 86_400) + 306  # days since March of the year 0
    cdef unsigned int of_day = <unsigned int>((second - YEAR_1_S) % 86_400)
    cdef unsigned int era = since_0 // 146_097
    cdef unsigned int of_era = since_0 % 146_097
    cdef unsigned int year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    cdef unsigned int of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    cdef unsigned int month_from_march = (5 * of_year + 2) // 153
    cdef unsigned int day = of_year - (153 * month_from_march + 2) // 5 + 1
    cdef unsigned int month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    memcpy(clock.text, b"0000-00-00T00:00:00.000000Z", MOMENT)
    write_digits(clock.text, year_of_era + 400 * era + (month <= 2), 4)
    write_digits(clock.text + 5, month, 2)
    write_digits(clock.text + 8, day, 2)
    write_digits(clock.text + 11, of_day // 3600, 2)
    write_digits(clock.text + 14, of_day // 60 % 60, 2)
    write_digits(clock.text + 17, of_day % 60, 2)
    clock.second = second
    clock.is_second = True


cdef inline bint set_clock(Clock* clock, int64_t value, int64_t per_second) noexcept nogil:
    """So many units since 1970, of which there are so many in a second. False: not of the years 1 to 9999."""
    cdef int64_t second = value // per_second
    cdef int64_t rest = value - second * per_second
    if rest < 0:  # where division is that of C
        rest += per_second
        second -= 1
    if second < YEAR_1_S or second >= YEAR_10000_S:
        return False
    if not clock.is_second or second != clock.second:
        _write_second(clock, second)
    rest = rest // 1000 if per_second > 1_000_000 else rest * (1_000_000 // per_second)
    write_digits(clock.text + SECOND + 1, <unsigned int>rest, 6)
    return True


cdef inline bint read_clock(Clock* clock, Text at, Py_ssize_t size) noexcept nogil:
    """Text with date and time, up to nine digits of a fraction, and `Z`, `+00:00` or no zone; T may be a space.

    False: another form. Whether there is such an hour remains to be seen.
    """
    cdef const char* limits = b"9999-99-99T99:59:59"
    cdef Py_ssize_t index
    cdef Text rest
    if size < SECOND or size > SECOND + 16:
        return False
    if clock.text[MOMENT - 1] != c"Z" or memcmp(at, clock.text, SECOND) != 0:
        for index in range(SECOND):
            if is_digit(limits[index]):
                if not c"0" <= at[index] <= <unsigned char>limits[index]:
                    return False
            elif at[index] != <unsigned char>limits[index] and not (index == 10 and at[index] == c" "):
                return False
        memcpy(clock.text, at, SECOND)
        clock.text[10] = c"T"
        clock.text[SECOND] = c"."
        clock.text[MOMENT - 1] = c"Z"
    rest = at + SECOND
    size -= SECOND
    index = 0
    memset(clock.text + SECOND + 1, c"0", 6)
    if size and rest[0] == c".":
        rest += 1
        size -= 1
        while index < size and is_digit(rest[index]):
            if index < 6:
                clock.text[SECOND + 1 + index] = <char>rest[index]
            index += 1
        if index == 0:
            return False
    rest += index
    size -= index
    return size == 0 or (size == 1 and rest[0] == c"Z") or (size == 6 and memcmp(rest, b"+00:00", 6) == 0)
