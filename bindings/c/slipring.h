// The C interface of slipring: pipes, queues and locks in memory that several processes map.
// Made by cbindgen from bindings/c/src; see bindings/c/README.md.

#ifndef SLIPRING_H
#define SLIPRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Wait for as long as it takes: as a timeout.
#define SLIPRING_FOREVER -1

// What every call returns. 0 is success, positive values are successes that the caller must know more about, negative ones
// are errors: nothing was done then, unless it says so.
enum slipring_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done.
  SLIPRING_OK = 0,
  // The lock is held by the caller now, and its last holder died with it: what it protects may be half-changed.
  SLIPRING_OWNER_DIED = 1,
  // A pointer is NULL that must not be.
  SLIPRING_E_NULL = -1,
  // This is no handle, or it was closed.
  SLIPRING_E_HANDLE = -2,
  // The handle is of another kind of object.
  SLIPRING_E_KIND = -3,
  // Another thread is in a call with this handle; give each thread its own with slipring_clone.
  SLIPRING_E_BUSY = -4,
  // A number or a text is out of range.
  SLIPRING_E_INVALID = -5,
  // The buffer is too small for the message, which was not taken; its length was stored.
  SLIPRING_E_TOO_SMALL = -6,
  // A message is longer than the limit.
  SLIPRING_E_TOO_LONG = -7,
  // Nothing could be done without waiting.
  SLIPRING_E_WOULD_BLOCK = -8,
  // The time is over.
  SLIPRING_E_TIMED_OUT = -9,
  // Nobody has the other side any more: the end of file for a receiver, a broken pipe for a sender.
  SLIPRING_E_DISCONNECTED = -10,
  // Somebody closed the queue.
  SLIPRING_E_CLOSED = -11,
  // No memory, no descriptors, or a limit of the segment.
  SLIPRING_E_NO_ROOM = -12,
  // Nobody has this name.
  SLIPRING_E_NO_SUCH_NAME = -13,
  // Somebody has this name already.
  SLIPRING_E_NAME_TAKEN = -14,
  // This user may not.
  SLIPRING_E_PERMISSION = -15,
  // What was opened is no segment of this version, or shared memory is damaged.
  SLIPRING_E_SEGMENT = -16,
  // There would be more than the limit allows: permits, locks of a reentrant mutex.
  SLIPRING_E_OVER_LIMIT = -17,
  // The lock is not held by the caller.
  SLIPRING_E_NOT_HELD = -18,
  // The barrier is broken.
  SLIPRING_E_BROKEN_BARRIER = -19,
  // This process was forked without taking part in the segment.
  SLIPRING_E_FORKED = -20,
  // A signal handler ran: in a segment where slipring_segment_set_interruptible asked for this.
  SLIPRING_E_INTERRUPTED = -21,
  // No such handle was inherited.
  SLIPRING_E_NOT_INHERITED = -22,
  // The kernel refused something; slipring_last_error says what.
  SLIPRING_E_IO = -23,
  // A defect of this library; slipring_last_error says where.
  SLIPRING_E_INTERNAL = -24,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum slipring_status slipring_status;
#else
typedef int32_t slipring_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What an object is.
enum slipring_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The sending side of a queue of messages.
  SLIPRING_SENDER = 1,
  // The receiving side.
  SLIPRING_RECEIVER = 2,
  // A lock.
  SLIPRING_MUTEX = 3,
  // A lock that its holder may take again.
  SLIPRING_REENTRANT_MUTEX = 4,
  // A number of permits, given back by anybody.
  SLIPRING_SEMAPHORE = 5,
  // A number of permits, never more than it began with.
  SLIPRING_BOUNDED_SEMAPHORE = 6,
  // A flag to wait for.
  SLIPRING_EVENT = 7,
  // A condition variable.
  SLIPRING_CONDVAR = 8,
  // A barrier.
  SLIPRING_BARRIER = 9,
  // An end of a duplex pipe. Inherited only.
  SLIPRING_PIPE = 10,
  // The reading end of a one-way pipe. Inherited only.
  SLIPRING_PIPE_READER = 11,
  // The writing end of a one-way pipe. Inherited only.
  SLIPRING_PIPE_WRITER = 12,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum slipring_kind slipring_kind;
#else
typedef uint32_t slipring_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A handle. 0 is none. Each must be given back with slipring_close, once.
typedef uint64_t slipring_handle;

// How a name is to be made and opened. All zero, or NULL instead, is the default.
typedef struct slipring_name_options {
  // Permission bits of what is created; 0 means 0600.
  uint32_t mode;
  // 1: what is created stays when nobody has a handle, until slipring_unlink. 0: it goes with the last handle.
  uint32_t persist;
  // 1: what is created belongs to the group `group`.
  uint32_t has_group;
  // The group's number.
  uint32_t group;
  // 1: a file of the user `trust` is opened as one's own is.
  uint32_t has_trust;
  // The user's number.
  uint32_t trust;
  // The most bytes of memory that what is created may take; 0: no limit but the machine's.
  uint64_t budget;
} slipring_name_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Takes a mutex or a reentrant mutex. SLIPRING_OWNER_DIED says that the lock is held, and that its last holder died with it.
// `timeout` is in nanoseconds: negative for ever, 0 not at all.
slipring_status slipring_lock(slipring_handle lock,
                              int64_t timeout);

// Gives a lock back. A mutex by any thread of the process that holds it, a reentrant one by the thread that does.
slipring_status slipring_unlock(slipring_handle lock);

// Takes a permit of a semaphore.
slipring_status slipring_acquire(slipring_handle semaphore,
                                 int64_t timeout);

// Gives `permits` of a semaphore back.
slipring_status slipring_release(slipring_handle semaphore,
                                 uint64_t permits);

// How many permits are to be had, to `*out`. It may be old when this returns.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_permits(slipring_handle semaphore,
                                 uint64_t *out);

// Sets an event: whoever waits for it goes on.
slipring_status slipring_event_set(slipring_handle event);

// Clears an event.
slipring_status slipring_event_clear(slipring_handle event);

// Waits until an event is set.
slipring_status slipring_event_wait(slipring_handle event,
                                    int64_t timeout);

// Opens a lock that the caller holds, waits for a notification, and takes the lock again, whatever is returned but
// SLIPRING_E_NOT_HELD and SLIPRING_E_FORKED. SLIPRING_OWNER_DIED: somebody died with the lock meanwhile.
//
// It may return SLIPRING_OK without a notification: for instance when any process dies that had the same segment, whatever
// it did there. So look at the condition after each return, in a loop, as with pthread_cond_wait.
slipring_status slipring_condvar_wait(slipring_handle condvar,
                                      slipring_handle lock,
                                      int64_t timeout);

// Releases `count` of those who wait on a condition variable; all where `count` is UINT32_MAX.
slipring_status slipring_condvar_notify(slipring_handle condvar,
                                        uint32_t count);

// Waits at a barrier until all are there. Which one of them the caller was, from 0, goes to `*index`, which may be NULL.
//
// # Safety
//
// `index` is NULL or may be written to.
slipring_status slipring_barrier_wait(slipring_handle barrier,
                                      uint32_t *index,
                                      int64_t timeout);

// Breaks a barrier: whoever waits, and whoever comes, is told so.
slipring_status slipring_barrier_abort(slipring_handle barrier);

// Makes a barrier whole again; whoever waits is told that it was broken.
slipring_status slipring_barrier_reset(slipring_handle barrier);

// Whether a barrier is broken, as 0 or 1, to `*out`.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_barrier_is_broken(slipring_handle barrier,
                                           uint32_t *out);

// Sends a copy of `len` bytes at `data`, through a sender or an end of a pipe. `timeout` is in nanoseconds: negative for ever, 0
// not at all. What was sent is in the queue when this returns, and stays when this process ends.
//
// # Safety
//
// `data` is NULL or may be read for `len` bytes.
slipring_status slipring_send(slipring_handle to,
                              const void *data,
                              size_t len,
                              int64_t timeout);

// Receives the next message from a receiver or an end of a pipe, and copies it to `buffer`, which has room for `room` bytes. Its
// length goes to `*len`. Where it does not fit, the status is SLIPRING_E_TOO_SMALL, `*len` is what is needed, and the message is
// what the next call with this handle gets.
//
// # Safety
//
// `buffer` is NULL or may be written to for `room` bytes; `len` is NULL or may be written to.
slipring_status slipring_recv(slipring_handle from,
                              void *buffer,
                              size_t room,
                              size_t *len,
                              int64_t timeout);

// Receives the next message where it lies: nothing is copied. `*data` and `*len` say where, until `*view` is given back with
// slipring_close. Nobody but a peer gone mad writes there meanwhile.
//
// # Safety
//
// `data`, `len` and `view` are NULL or may be written to.
slipring_status slipring_recv_view(slipring_handle from,
                                   const void **data,
                                   size_t *len,
                                   slipring_handle *view,
                                   int64_t timeout);

// Memory for a message of `len` bytes, to be filled at `*data` and sent with slipring_send_loan. `*loan` is its handle;
// slipring_close gives it back unsent.
//
// # Safety
//
// `data` and `loan` are NULL or may be written to.
slipring_status slipring_loan(slipring_handle to,
                              size_t len,
                              void **data,
                              slipring_handle *loan);

// Sends the first `len` bytes of a loan: nothing is copied. `len` may not be more than was lent. The loan's handle is gone
// afterwards, and with it what was filled in, also where this fails: with any status but SLIPRING_E_HANDLE and
// SLIPRING_E_KIND for `loan` itself, and SLIPRING_E_BUSY for it, where another thread is sending it.
slipring_status slipring_send_loan(slipring_handle to,
                                   slipring_handle loan,
                                   size_t len,
                                   int64_t timeout);

// How many messages are in a queue, to `*out`: exact if nobody is at work meanwhile. A message that did not fit a buffer is not
// counted.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_queue_len(slipring_handle queue,
                                   uint64_t *out);

// Closes a queue for everybody: sends fail, and receivers get what is left and then SLIPRING_E_CLOSED.
slipring_status slipring_queue_close(slipring_handle queue);

// Waits until an end of a pipe has a message or the end of file: SLIPRING_OK; or the time is over.
slipring_status slipring_pipe_poll(slipring_handle pipe,
                                   int64_t timeout);

// A descriptor that poll, select and epoll find readable while an end of a pipe has a message or the end of file, to `*out`.
// It belongs to the handle: do not read from it, do not close it, and do not use it after slipring_close.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_pipe_fd(slipring_handle pipe,
                                 int *out);

// Makes a new object with this name, and gives a handle of it.
//
// `kind` is a slipring_kind. `n` is the capacity of a queue in messages (0: no limit), the permits of a semaphore, the parties
// of a barrier; otherwise it counts for nothing. `options` may be NULL. The name goes with its last handle, unless it is to
// persist.
//
// # Safety
//
// `name` is NULL or ends with a NUL; `options` is NULL or may be read; `out` is NULL or may be written to.
slipring_status slipring_create(uint32_t kind,
                                const char *name,
                                const struct slipring_name_options *options,
                                uint64_t n,
                                slipring_handle *out);

// Gives a handle of the object with this name.
//
// # Safety
//
// As slipring_create.
slipring_status slipring_open(uint32_t kind,
                              const char *name,
                              const struct slipring_name_options *options,
                              slipring_handle *out);

// Gives a handle of the object with this name, which is made if there is none.
//
// # Safety
//
// As slipring_create.
slipring_status slipring_open_or_create(uint32_t kind,
                                        const char *name,
                                        const struct slipring_name_options *options,
                                        uint64_t n,
                                        slipring_handle *out);

// Takes a name away. Whoever has a handle goes on; nobody else finds it.
//
// # Safety
//
// `name` is NULL or ends with a NUL.
slipring_status slipring_unlink(const char *name);

// Makes a queue in a segment: a handle of each side. `capacity` is in messages, 0 for no limit; `max_message` in bytes, 0 for no
// limit.
//
// # Safety
//
// `sender` and `receiver` are NULL or may be written to.
slipring_status slipring_queue(slipring_handle segment,
                               uint64_t capacity,
                               uint64_t max_message,
                               slipring_handle *sender,
                               slipring_handle *receiver);

// Makes a pipe in a segment: a handle of each end. `ring` is the bytes of its ring each way, a power of two, 0 for 64 KiB.
// `duplex` 0: what is sent to the first end is received from the second; otherwise both send and receive.
//
// # Safety
//
// `first` and `second` are NULL or may be written to.
slipring_status slipring_pipe(slipring_handle segment,
                              uint32_t duplex,
                              size_t ring,
                              slipring_handle *first,
                              slipring_handle *second);

// Makes a lock, semaphore, event, condition variable or barrier in a segment. `kind` and `n` as for slipring_create.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_new(slipring_handle segment,
                             uint32_t kind,
                             uint64_t n,
                             slipring_handle *out);

// Gives the handle that this program was started with under `name`: by a Rust program's `Handoff`. Once for each name. `kind` is
// what it is.
//
// # Safety
//
// `name` is NULL or ends with a NUL; `out` is NULL or may be written to.
slipring_status slipring_inherited(uint32_t kind,
                                   const char *name,
                                   slipring_handle *out);

// A new segment without a name. `reserve` is address space in bytes, 0 for the default of 128 GiB; `budget` the most bytes of
// memory that it may take, 0 for no limit but the machine's. Its handle goes to `*out`.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_segment_create(uint64_t reserve,
                                        uint64_t budget,
                                        slipring_handle *out);

// Takes part in the segment that `fd` is a descriptor of. The descriptor stays the caller's.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_segment_from_fd(int fd,
                                         slipring_handle *out);

// A new descriptor of a segment, close-on-exec, for another process. It is the caller's to close.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_segment_share_fd(slipring_handle segment,
                                          int *out);

// Looks for processes that died and repairs what they left; how many there were goes to `*out`, which may be NULL. Blocked
// calls do this by themselves: nobody has to call it.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_segment_reap(slipring_handle segment,
                                      uint64_t *out);

// Whether a signal handler that ran ends this process's blocked calls with SLIPRING_E_INTERRUPTED, in all objects of the
// segment: `on` 1 or 0. It is 0 at first: calls go on, whatever handlers run. Where it is 1 a handler ends the call whether
// it was installed with SA_RESTART or not. For the objects of a name, ask slipring_segment_of for their segment.
//
// A call is ended while it sleeps. A handler that runs just before goes unnoticed, as with pause(): where that matters, give
// the call a timeout, look at what the handler left, and call again.
slipring_status slipring_segment_set_interruptible(slipring_handle segment,
                                                   uint32_t on);

// The segment that an object is in, to `*out`: also of one that was opened by its name, or inherited. Any handle will do but
// those of views and loans. Give it back with slipring_close; the object stays.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_segment_of(slipring_handle handle,
                                    slipring_handle *out);

// Gives the memory of long messages that were received back to the machine at once; about how many bytes that were goes to
// `*out`, which may be NULL. All but a small reserve goes back by itself within a second.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_segment_trim(slipring_handle segment,
                                      uint64_t *out);

// Gives any handle back. A loan that was not sent, and a message that is looked at, go with theirs.
slipring_status slipring_close(slipring_handle handle);

// Another handle of the same object, for another thread. Views and loans have one handle only.
//
// # Safety
//
// `out` is NULL or may be written to.
slipring_status slipring_clone(slipring_handle handle,
                               slipring_handle *out);

// A short text for a status; "unknown status" for a number that is none. The text lives for ever.
const char *slipring_strerror(int32_t status);

// A sentence about the last call of this thread that failed: what was wrong, and what to do. It lives until the next call
// of this thread that fails, or its end; never NULL.
const char *slipring_last_error(void);

// The version of the library, "0.1.0".
const char *slipring_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SLIPRING_H */
