"""Where in stored lines the fields stand that somebody looks at, and how many records there are of which kind."""

from libc.stdint cimport int32_t

from formats.kernel.summary cimport LEVELS

cdef struct Span:  # of a record: where in the lines its service and its message stand
    int32_t service_start
    int32_t service_end
    int32_t message_start
    int32_t message_end
    unsigned char level  # which of formats.levels.LEVELS
    unsigned char place  # of the service, as `Summary.place`

ctypedef int32_t[LEVELS] Counts  # records of one service
