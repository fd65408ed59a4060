// SPDX-License-Identifier: MIT
// Compiler attributes that the whole tree uses, host tests included.
#pragma once

// The C17 spelling without <assert.h>, which a freestanding build does not have.
#ifndef static_assert
#define static_assert _Static_assert
#endif

#define MUST_CHECK       __attribute__((warn_unused_result))
#define NORETURN         __attribute__((noreturn))
#define PACKED           __attribute__((packed))
#define ALIGNED(bytes)   __attribute__((aligned(bytes)))
#define NOINLINE         __attribute__((noinline))
#define ALWAYS_INLINE    inline __attribute__((always_inline))
#define PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define LIKELY(x)        __builtin_expect(!!(x), 1)
// For what is rarely called: it saves all registers itself, so that its callers need not.
#if __STDC_HOSTED__
#define RARELY_CALLED __attribute__((noinline, cold))
#else
#define RARELY_CALLED __attribute__((noinline, cold, no_caller_saved_registers))
#endif
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer) - __builtin_offsetof(type, member)))
