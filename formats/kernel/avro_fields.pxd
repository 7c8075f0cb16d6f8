"""Fields of an Avro record that are not core."""

from formats.kernel.avro_program cimport Program
from formats.kernel.moments cimport Clock
from formats.kernel.out cimport Out
from formats.kernel.text cimport Text

cdef Text put_field(
    Program program, Py_ssize_t index, Out* out, Clock* clock, bytes data, Text at, Text end
) except? NULL
