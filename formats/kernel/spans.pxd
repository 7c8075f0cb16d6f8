"""Where level, service and message of each record stand in the lines that were made, for who looks for something in them."""

from libc.stdint cimport int32_t

cdef struct Span:
    int32_t service_start
    int32_t service_end
    int32_t message_start
    int32_t message_end
