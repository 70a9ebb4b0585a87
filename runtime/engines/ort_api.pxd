# ONNX Runtime's C interface, as much of it as is used: function types and their slots.
#
# The table is append-only, so that a slot means the same in every later version.

from libc.stdint cimport int64_t, uint32_t

ctypedef const char* (*GetVersion)() noexcept nogil
ctypedef void** (*GetTable)(uint32_t) noexcept nogil

cdef struct Base:
    GetTable get_table
    GetVersion get_version

ctypedef const Base* (*GetBase)() noexcept nogil
ctypedef const char* (*ToText)(const void*) noexcept nogil
ctypedef void (*Release)(void*) noexcept nogil
ctypedef void* (*Make)(void**) noexcept nogil
ctypedef void* (*MakeEnvironment)(int, const char*, void**) noexcept nogil
ctypedef void* (*MakeMemoryInfo)(int, int, void**) noexcept nogil
ctypedef void* (*MakeSession)(
    void*, const void*, size_t, const void*, void**
) noexcept nogil
ctypedef void* (*Change)(void*) noexcept nogil
ctypedef void* (*SetNumber)(void*, int) noexcept nogil
ctypedef void* (*SetText)(void*, const char*, const char*) noexcept nogil
ctypedef void* (*RunSession)(
    void*, const void*, const char* const*, void* const*, size_t, const char* const*, size_t, void**
) noexcept nogil
ctypedef void* (*Count)(const void*, size_t*) noexcept nogil
ctypedef void* (*At)(const void*, size_t, void**) noexcept nogil
ctypedef void* (*NameAt)(const void*, size_t, void*, char**) noexcept nogil
ctypedef void* (*FreeWith)(void*, void*) noexcept nogil
ctypedef void* (*Derive)(const void*, void**) noexcept nogil
ctypedef void* (*ReadNumber)(const void*, int*) noexcept nogil
ctypedef void* (*ReadShape)(const void*, int64_t*, size_t) noexcept nogil
ctypedef void* (*MakeTensor)(
    const void*, void*, size_t, const int64_t*, size_t, int, void**
) noexcept nogil

cdef enum:
    INTERFACE_VERSION = 14
    LOG_ERRORS = 3
    ALL_OPTIMIZATIONS = 99
    DEVICE_ALLOCATOR = 0
    DEFAULT_MEMORY = 0

    GET_ERROR_MESSAGE = 2
    CREATE_ENV = 3
    CREATE_SESSION_FROM_ARRAY = 8
    RUN = 9
    CREATE_SESSION_OPTIONS = 10
    DISABLE_MEM_PATTERN = 17
    DISABLE_CPU_MEM_ARENA = 19
    SET_GRAPH_OPTIMIZATION_LEVEL = 23
    SET_INTRA_OP_NUM_THREADS = 24
    SET_INTER_OP_NUM_THREADS = 25
    SESSION_GET_INPUT_COUNT = 30
    SESSION_GET_OUTPUT_COUNT = 31
    SESSION_GET_INPUT_TYPE = 33
    SESSION_GET_OUTPUT_TYPE = 34
    SESSION_GET_INPUT_NAME = 36
    SESSION_GET_OUTPUT_NAME = 37
    CREATE_TENSOR_WITH_DATA = 49
    GET_TENSOR_MUTABLE_DATA = 51
    CAST_TYPE_TO_TENSOR = 55
    GET_TENSOR_ELEMENT_TYPE = 60
    GET_DIMENSIONS_COUNT = 61
    GET_DIMENSIONS = 62
    GET_ELEMENT_COUNT = 64
    GET_TENSOR_TYPE_AND_SHAPE = 65
    CREATE_CPU_MEMORY_INFO = 69
    ALLOCATOR_FREE = 76
    GET_DEFAULT_ALLOCATOR = 78
    RELEASE_STATUS = 93
    RELEASE_SESSION = 95
    RELEASE_VALUE = 96
    RELEASE_TYPE = 98
    RELEASE_SHAPE = 99
    RELEASE_SESSION_OPTIONS = 100
    ADD_SESSION_CONFIG_ENTRY = 130
