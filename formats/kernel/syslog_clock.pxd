"""The times of syslog messages in the stored form; what is not in UTC is asked once a minute or second and remembered."""

from formats.kernel.text cimport Text

cdef enum:
    MINUTE = 16  # of a stored timestamp, up to the minute
    SECOND = 19
    BSD = 15  # Mmm dd hh:mm:ss
    LONGEST_KEY = 25  # a second and its offset
    KNOWN = 64  # that are remembered, a power of two

cdef struct Known:
    unsigned char key[LONGEST_KEY]
    unsigned char size
    unsigned char second[SECOND]

cdef class Clock:
    cdef object _iso
    cdef object _bsd
    cdef Known _known[KNOWN]
    cdef unsigned char _last[SECOND]  # as it was spelled, and had its limits

    cdef Text read_iso(self, Text at, Text end, unsigned char* stamp) except? NULL
    cdef Text read_bsd(self, Text at, Text end, unsigned char* stamp) except? NULL
    cdef bint _ask(self, bint bsd, const unsigned char* key, int size, int told, unsigned char* stamp) except -1
