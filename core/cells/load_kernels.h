/* A stretch of any column as doubles, and which of its values are absent. */

/* The order is that of ColumnType in row.pxd. */
enum {
    AS_BOOL,
    AS_INT8,
    AS_INT16,
    AS_INT32,
    AS_INT64,
    AS_UINT8,
    AS_UINT16,
    AS_UINT32,
    AS_UINT64,
    AS_FLOAT32,
    AS_FLOAT64,
    AS_CODE,
    AS_VECTOR
};

#define COPY(T)                                                                                    \
    {                                                                                              \
        const T *from = (const T *)data + start;                                                   \
        for (int j = 0; j < rows; j++) {                                                           \
            x[j] = (double)from[j];                                                                \
        }                                                                                          \
        break;                                                                                     \
    }

/* Bring rows of any numeric column to doubles. */
static void load(const void *data, int type, int64_t start, int rows, double *x) {
    switch (type) {
    case AS_INT8: COPY(int8_t)
    case AS_INT16: COPY(int16_t)
    case AS_INT32:
    case AS_CODE: COPY(int32_t)
    case AS_INT64: COPY(int64_t)
    case AS_BOOL:
    case AS_UINT8: COPY(uint8_t)
    case AS_UINT16: COPY(uint16_t)
    case AS_UINT32: COPY(uint32_t)
    case AS_UINT64: COPY(uint64_t)
    case AS_FLOAT32: COPY(float)
    case AS_FLOAT64: memcpy(x, (const double *)data + start, sizeof(double) * (size_t)rows); break;
    default:
        for (int j = 0; j < rows; j++) x[j] = NAN;
    }
}

/* Put NaN in the place of what is marked; returns how many values are marked as invalid. */
static int mark_absent(double *x, const uint8_t *status, int rows) {
    int invalid = 0;
    for (int j = 0; j < rows; j++) {
        if (status[j]) x[j] = NAN;
        invalid += status[j] > STATUS_MISSING;
    }
    return invalid;
}

static int any_marked(const uint8_t *status, int rows) {
    int marked = 0;
    if (status)
        for (int j = 0; j < rows; j++) {
            marked |= status[j];
        }
    return marked;
}
