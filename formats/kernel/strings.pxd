"""Text to the inside of JSON strings, sixteen bytes at a time: what is ordinary in them is copied as it is."""

from formats.kernel.out cimport ESCAPED, Out, put_text, reserve
from formats.kernel.text cimport Text, is_hex

cdef extern from *:
    """
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif

    /* Copy up to the first byte that is not an ordinary one of a string, or to `end`; there must be room for all. */
    static inline const unsigned char *
    ingestd_copy_plain(const unsigned char *at, const unsigned char *end, char **out, unsigned char *seen)
    {
        char *to = *out;
        unsigned char all = *seen;
    #if defined(__SSE2__)
        const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8(92), control = _mm_set1_epi8(31);
        while (end - at >= 16) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)at);
            __m128i odd = _mm_or_si128(
                _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
            unsigned stops = (unsigned)_mm_movemask_epi8(odd), high = (unsigned)_mm_movemask_epi8(bytes);
            _mm_storeu_si128((__m128i *)to, bytes);
            if (stops) {
                int plain = __builtin_ctz(stops);
                if (high & ((1u << plain) - 1)) all |= 0x80;
                *seen = all;
                *out = to + plain;
                return at + plain;
            }
            if (high) all |= 0x80;
            at += 16;
            to += 16;
        }
    #endif
        while (at < end && !ingestd_in_string[*at]) {
            all |= *at;
            *to++ = (char)*at++;
        }
        *seen = all;
        *out = to;
        return at;
    }
    """
    Text copy_plain "ingestd_copy_plain"(Text at, Text end, char** out, unsigned char* seen) noexcept nogil

cdef enum:
    PIECE = 1024  # bytes; room is made for so many at once, so that what is long and plain does not take six times its size


cdef inline Text put_string(Out* out, Text at, Text end, bint is_line) except NULL:
    """Put text as it stands in a JSON string: up to `end`, or up to its first LF if that `is_line`. Where it stopped."""
    cdef Text piece_end
    while at < end:
        piece_end = at + PIECE if end - at > PIECE else end
        reserve(out, ESCAPED * PIECE)
        while True:
            at = copy_plain(at, piece_end, &out.at, &out.seen)
            if at == piece_end:
                break
            if is_line and at[0] == c"\n":
                return at
            put_text(out, at, 1)
            at += 1
    return at


cdef inline Text put_escaped(Out* out, Text at, Text end) except? NULL:
    """Put what stands in a JSON string as msgspec would write it, up to the closing quote, which is returned.

    NULL: there is none before `end`, or something that is unusual: an escape of what need not be, but for `\/`.
    """
    cdef Text piece_end
    while at < end:
        piece_end = at + PIECE if end - at > PIECE else end
        reserve(out, ESCAPED * PIECE)
        while True:
            at = copy_plain(at, piece_end, &out.at, &out.seen)
            if at >= piece_end:
                break
            if at[0] == c'"':
                return at
            if at[0] != c"\\":
                return NULL
            at = _put_escape(out, at)
            if at is NULL:
                return NULL
    return NULL


cdef inline Text _put_escape(Out* out, Text at) noexcept:
    """Pass one from its backslash; what is put is not longer."""
    cdef unsigned char byte
    if at[1] == c"u":
        if at[2] != c"0" or at[3] != c"0" or not (at[4] == c"0" or at[4] == c"1") or not is_hex(at[5]):
            return NULL
        byte = (at[4] - c"0") << 4 | (at[5] & 0x0F if at[5] <= c"9" else (at[5] & 0x0F) + 9)
        put_text(out, &byte, 1)
        return at + 6
    if at[1] == c"/":
        out.at[0] = c"/"
        out.at += 1
    elif at[1] in b'"\\bfnrt':
        out.at[0] = c"\\"
        out.at[1] = <char>at[1]
        out.at += 2
    else:
        return NULL
    return at + 2
