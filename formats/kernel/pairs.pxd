"""Which texts may have what is searched for: those with one of a few pairs of bytes, looked at sixteen bytes at a time."""

cdef extern from *:
    """
    typedef unsigned char ingestd_bytes __attribute__((vector_size(16)));
    typedef unsigned long long ingestd_halves __attribute__((vector_size(16)));

    enum { INGESTD_MOST_PAIRS = 32 };

    typedef struct {  /* of bytes of a text, one behind the other; each of them sixteen times */
        int count;
        ingestd_bytes first[INGESTD_MOST_PAIRS], second[INGESTD_MOST_PAIRS];
    } ingestd_pairs;

    static inline ingestd_bytes ingestd_load(const char *at)
    {
        ingestd_bytes bytes;
        __builtin_memcpy(&bytes, at, sizeof bytes);
        return bytes;
    }

    /* Letters in lower case. Some other bytes become the same, too. */
    static inline ingestd_bytes ingestd_folded(ingestd_bytes bytes)
    {
        return bytes | 0x20;
    }

    static inline void ingestd_set_pairs(ingestd_pairs *pairs, const char *bytes, long size)
    {
        pairs->count = size / 2 <= INGESTD_MOST_PAIRS ? (int)(size / 2) : 0;
        for (int i = 0; i < pairs->count; i++) {
            pairs->first[i] = ingestd_folded((unsigned char)bytes[2 * i] + (ingestd_bytes){0});
            pairs->second[i] = ingestd_folded((unsigned char)bytes[2 * i + 1] + (ingestd_bytes){0});
        }
    }

    enum { INGESTD_WINDOW = 64 };  /* bytes that a pair may begin at: most messages are no longer */

    static inline int ingestd_has_any_here(const ingestd_pairs *pairs, const char *text)
    {
        ingestd_bytes found = {0}, first[INGESTD_WINDOW / 16], second[INGESTD_WINDOW / 16];
        for (int part = 0; part < INGESTD_WINDOW / 16; part++) {
            ingestd_bytes bytes = ingestd_load(text + 16 * part);
            found |= (ingestd_bytes)(bytes == 92);  /* a backslash: what it stands for may be anything */
            first[part] = ingestd_folded(bytes);
            second[part] = ingestd_folded(ingestd_load(text + 16 * part + 1));
        }
        for (int i = 0; i < pairs->count; i++)
            for (int part = 0; part < INGESTD_WINDOW / 16; part++)
                found |= (ingestd_bytes)(first[part] == pairs->first[i]) & (ingestd_bytes)(second[part] == pairs->second[i]);
        ingestd_halves halves = (ingestd_halves)found;
        return (halves[0] | halves[1]) != 0;
    }

    static inline int ingestd_may_have(const ingestd_pairs *pairs, const char *text, long size, long readable)
    {
        char padded[INGESTD_WINDOW + 1];
        if (pairs->count == 0)
            return 1;
        if (size <= INGESTD_WINDOW + 1) {
            if (readable <= INGESTD_WINDOW) {
                __builtin_memset(padded, 0, sizeof padded);
                __builtin_memcpy(padded, text, size);
                text = padded;
            }
            return ingestd_has_any_here(pairs, text);
        }
        const char *last = text + size - (INGESTD_WINDOW + 1);
        for (; text < last; text += INGESTD_WINDOW)
            if (ingestd_has_any_here(pairs, text))
                return 1;
        return ingestd_has_any_here(pairs, last);
    }
    """
    ctypedef struct Pairs "ingestd_pairs":
        pass
    # Two bytes each. Case makes no difference. Of very many, or none, each text may have one.
    void set_pairs "ingestd_set_pairs"(Pairs* pairs, const char* bytes, Py_ssize_t size) noexcept
    # Whether the inside of a JSON string has one of the pairs, or an escape; what stands behind it may be taken for a part
    # of it. From its start so many bytes are `readable`.
    bint may_have "ingestd_may_have"(const Pairs* pairs, const char* text, Py_ssize_t size, Py_ssize_t readable) noexcept
