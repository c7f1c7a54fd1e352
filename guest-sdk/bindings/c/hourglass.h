/* The context of a Hourglass function, for C on wasm32-wasi.
 *
 * As in a CGI script, a function's request is its standard input and its
 * environment, and its response is its standard output. This header has the
 * host functions beyond that. The reference is the documentation of the Rust
 * crate hourglass-sdk, module `abi`.
 */

#ifndef HOURGLASS_H
#define HOURGLASS_H

#include <stdint.h>
#include <string.h>

/* Error codes of the functions below. Other results are a length or 0. */
enum {
  HOURGLASS_CANCELED = -1,
  HOURGLASS_DEADLINE_EXCEEDED = -2,
  HOURGLASS_ABSENT = -3,
  HOURGLASS_INVALID = -4,
};

#define HOURGLASS_IMPORT(name) \
  __attribute__((import_module("hourglass_v1"), import_name(name))) extern

/* Handle 0 is the context of the invocation itself. */
HOURGLASS_IMPORT("context_err") int32_t hourglass_context_err(uint32_t ctx);
HOURGLASS_IMPORT("context_remaining") int64_t hourglass_context_remaining(uint32_t ctx);
HOURGLASS_IMPORT("context_sleep") int32_t hourglass_context_sleep(uint32_t ctx, int64_t nanos);
HOURGLASS_IMPORT("context_cause") int32_t hourglass_context_cause(
    uint32_t ctx, char *room, uint32_t cap);
HOURGLASS_IMPORT("context_value") int32_t hourglass_context_value(
    uint32_t ctx, const char *name, uint32_t name_len, char *room, uint32_t cap);

/* 0 while the context is not done; HOURGLASS_CANCELED or
 * HOURGLASS_DEADLINE_EXCEEDED from then on. */
static inline int32_t hourglass_err(void) { return hourglass_context_err(0); }

/* Nanoseconds until the deadline: 0 if it has passed, -1 if there is none. */
static inline int64_t hourglass_remaining(void) { return hourglass_context_remaining(0); }

/* Waits for that time and returns 0. If the context is done first, returns as
 * hourglass_err does. A negative time waits until the context is done. */
static inline int32_t hourglass_sleep(int64_t nanos) { return hourglass_context_sleep(0, nanos); }

/* Terminates a text of `len` bytes with a zero, if it was written. */
static inline int32_t hourglass_terminated(char *room, uint32_t cap, int32_t len) {
  if (len >= 0 && (uint32_t)len < cap) room[len] = '\0';
  return len;
}

/* Why the context is done, as zero-terminated text. Returns its length. If that
 * is not less than `cap`, nothing was written: call again with a larger buffer.
 * HOURGLASS_ABSENT while the context is not done. */
static inline int32_t hourglass_cause(char *room, uint32_t cap) {
  return hourglass_terminated(room, cap, hourglass_context_cause(0, room, cap ? cap - 1 : 0));
}

/* The context's value with that name, such as "request-id", in the same way.
 * HOURGLASS_ABSENT if there is none. */
static inline int32_t hourglass_value(const char *name, char *room, uint32_t cap) {
  int32_t len = hourglass_context_value(0, name, strlen(name), room, cap ? cap - 1 : 0);
  return hourglass_terminated(room, cap, len);
}

#endif
