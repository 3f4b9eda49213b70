// What a C program does with slipring in the tests: prints one fact a line.
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "slipring.h"

static const int64_t LONG = INT64_C(20000000000);

// Ends the program where something is not as it has to be.
static void must(int32_t status, const char *what) {
    if (status < 0) {
        printf("failed %s: %d %s: %s\n", what, (int)status, slipring_strerror(status), slipring_last_error());
        exit(1);
    }
}

static void say(const char *line) {
    puts(line);
    fflush(stdout);
}

// Sends back to a queue what comes from another, in upper case, until its last sender is gone.
static int echo(const char *from, const char *to) {
    slipring_handle in, out;
    must(slipring_open(SLIPRING_RECEIVER, from, NULL, &in), "open the receiver");
    must(slipring_open_or_create(SLIPRING_SENDER, to, NULL, 16, &out), "open the sender");
    say("ready");
    for (;;) {
        char small[8], *text = small;
        size_t len = 0;
        int32_t status = slipring_recv(in, small, sizeof small, &len, LONG);
        if (status == SLIPRING_E_DISCONNECTED) {
            break;
        }
        if (status == SLIPRING_E_TOO_SMALL) {
            text = malloc(len);
            must(slipring_recv(in, text, len, &len, 0), "receive what did not fit");
        } else {
            must(status, "receive");
        }
        for (size_t i = 0; i < len; i++) {
            if (text[i] >= 'a' && text[i] <= 'z') {
                text[i] -= 'a' - 'A';
            }
        }
        must(slipring_send(out, text, len, LONG), "send");
        if (text != small) {
            free(text);
        }
    }
    must(slipring_close(in), "close");
    must(slipring_close(out), "close");
    say("done");
    return 0;
}

// Looks at messages where they lie, and sends loans.
static int in_place(const char *from, const char *to) {
    slipring_handle in, out, view, loan;
    const void *data;
    void *memory;
    size_t len;
    must(slipring_open(SLIPRING_RECEIVER, from, NULL, &in), "open the receiver");
    must(slipring_open(SLIPRING_SENDER, to, NULL, &out), "open the sender");
    say("ready");
    while (slipring_recv_view(in, &data, &len, &view, LONG) == SLIPRING_OK) {
        must(slipring_loan(out, len + 1, &memory, &loan), "borrow");
        for (size_t i = 0; i < len; i++) {
            ((char *)memory)[i] = ((const char *)data)[len - 1 - i];
        }
        must(slipring_close(view), "close the view");
        must(slipring_send_loan(out, loan, len, LONG), "send the loan");
    }
    return 0;
}

// Holds a lock of this name until it is killed.
static int hold(const char *name) {
    slipring_handle lock;
    must(slipring_open(SLIPRING_MUTEX, name, NULL, &lock), "open the lock");
    must(slipring_lock(lock, LONG), "lock");
    say("holding");
    while (sleep(60) == 0) {
    }
    return 1;
}

// Waits on a condition that nobody notifies.
static int await(const char *name) {
    slipring_handle condvar, segment, lock;
    must(slipring_open(SLIPRING_CONDVAR, name, NULL, &condvar), "open the condition");
    must(slipring_segment_of(condvar, &segment), "its segment");
    must(slipring_new(segment, SLIPRING_MUTEX, 0, &lock), "make a lock");
    must(slipring_lock(lock, 0), "lock");
    say("waiting");
    printf("returned %d\n", (int)slipring_condvar_wait(condvar, lock, LONG));
    return slipring_unlock(lock) == SLIPRING_OK ? 0 : 1;
}

// What was inherited: a pipe, through which it answers.
static int inherited(void) {
    slipring_handle pipe, again;
    char text[64];
    size_t len;
    must(slipring_inherited(SLIPRING_PIPE, "pipe", &pipe), "inherit");
    if (slipring_inherited(SLIPRING_PIPE, "pipe", &again) != SLIPRING_E_NOT_INHERITED) {
        say("inherited twice");
    }
    int fd;
    must(slipring_pipe_fd(pipe, &fd), "a descriptor");
    must(slipring_pipe_poll(pipe, LONG), "poll");
    must(slipring_recv(pipe, text, sizeof text, &len, LONG), "receive");
    must(slipring_send(pipe, text, len, LONG), "send");
    say("answered");
    return slipring_recv(pipe, text, sizeof text, &len, LONG) == SLIPRING_E_DISCONNECTED ? 0 : 1;
}

static int failures = 0;

static void expect(int32_t found, int32_t expected, int line) {
    if (found != expected) {
        printf("line %d: %d (%s), not %d\n", line, (int)found, slipring_last_error(), (int)expected);
        failures++;
    }
}

#define EXPECT(call, status) expect((call), (status), __LINE__)

static volatile sig_atomic_t alarms = 0;

static void on_alarm(int signal) {
    (void)signal;
    alarms++;
}

// From now on a handler runs every 20 ms.
static void ring(int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    action.sa_flags = flags;
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 20000}, {0, 20000}};
    setitimer(ITIMER_REAL, &every, NULL);
}

// What a signal handler ends, in the segment of an object with a name and in one without.
static int interrupted(const char *name) {
    const int64_t short_time = INT64_C(100000000);
    slipring_handle named, segment, own, event, lock, condvar, semaphore, receiver, sender, first, second;
    char buffer[8];
    size_t len;
    must(slipring_open(SLIPRING_EVENT, name, NULL, &named), "open the event");
    must(slipring_segment_of(named, &segment), "its segment");
    must(slipring_segment_create(1 << 30, 0, &own), "create a segment");
    must(slipring_new(own, SLIPRING_EVENT, 0, &event), "make an event");
    must(slipring_new(own, SLIPRING_MUTEX, 0, &lock), "make a lock");
    must(slipring_new(own, SLIPRING_CONDVAR, 0, &condvar), "make a condition");
    must(slipring_new(own, SLIPRING_SEMAPHORE, 0, &semaphore), "make a semaphore");
    must(slipring_queue(own, 1, 0, &sender, &receiver), "make a queue");
    must(slipring_pipe(own, 0, 0, &first, &second), "make a pipe");
    must(slipring_lock(lock, 0), "lock");
    const int flags[] = {0, SA_RESTART};
    for (int i = 0; i < 2; i++) {
        ring(flags[i]);
        // Handlers run, and calls go on.
        sig_atomic_t before = alarms;
        EXPECT(slipring_event_wait(event, short_time), SLIPRING_E_TIMED_OUT);
        EXPECT(slipring_event_wait(named, short_time), SLIPRING_E_TIMED_OUT);
        EXPECT(slipring_recv(second, buffer, sizeof buffer, &len, short_time), SLIPRING_E_TIMED_OUT);
        EXPECT(alarms > before ? 0 : -1, 0);

        EXPECT(slipring_segment_set_interruptible(own, 1), SLIPRING_OK);
        EXPECT(slipring_event_wait(event, LONG), SLIPRING_E_INTERRUPTED);
        EXPECT(slipring_acquire(semaphore, SLIPRING_FOREVER), SLIPRING_E_INTERRUPTED);
        EXPECT(slipring_recv(receiver, buffer, sizeof buffer, &len, LONG), SLIPRING_E_INTERRUPTED);
        EXPECT(slipring_recv(second, buffer, sizeof buffer, &len, LONG), SLIPRING_E_INTERRUPTED);
        EXPECT(slipring_pipe_poll(second, LONG), SLIPRING_E_INTERRUPTED);
        EXPECT(slipring_lock(lock, LONG), SLIPRING_E_INTERRUPTED);
        EXPECT(slipring_condvar_wait(condvar, lock, LONG), SLIPRING_E_INTERRUPTED);
        EXPECT(slipring_unlock(lock), SLIPRING_OK);
        EXPECT(slipring_lock(lock, 0), SLIPRING_OK);
        EXPECT(slipring_event_wait(named, short_time), SLIPRING_E_TIMED_OUT);

        EXPECT(slipring_segment_set_interruptible(segment, 1), SLIPRING_OK);
        EXPECT(slipring_event_wait(named, LONG), SLIPRING_E_INTERRUPTED);
        EXPECT(slipring_segment_set_interruptible(segment, 0), SLIPRING_OK);
        EXPECT(slipring_segment_set_interruptible(own, 0), SLIPRING_OK);
    }
    // Every kind says where it lies.
    const slipring_handle all[] = {own, event, lock, condvar, semaphore, receiver, sender, first, second};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        slipring_handle place;
        EXPECT(slipring_segment_of(all[i], &place), SLIPRING_OK);
        EXPECT(slipring_close(place), SLIPRING_OK);
    }
    printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}

// Everything that can be passed wrongly.
static int misuse(const char *name) {
    slipring_handle segment, sender, receiver, lock, event, semaphore, loan, view, other;
    char buffer[16];
    size_t len;
    uint64_t number;
    void *memory;
    const void *data;
    must(slipring_segment_create(1 << 30, 0, &segment), "create a segment");
    must(slipring_queue(segment, 2, 100, &sender, &receiver), "make a queue");
    must(slipring_new(segment, SLIPRING_MUTEX, 0, &lock), "make a lock");
    must(slipring_new(segment, SLIPRING_EVENT, 0, &event), "make an event");
    must(slipring_new(segment, SLIPRING_BOUNDED_SEMAPHORE, 1, &semaphore), "make a semaphore");

    // NULL.
    EXPECT(slipring_segment_create(0, 0, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_segment_from_fd(0, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_segment_share_fd(segment, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_queue(segment, 1, 0, NULL, &other), SLIPRING_E_NULL);
    EXPECT(slipring_queue(segment, 1, 0, &other, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_pipe(segment, 1, 0, NULL, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_new(segment, SLIPRING_MUTEX, 0, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_create(SLIPRING_MUTEX, NULL, NULL, 0, &other), SLIPRING_E_NULL);
    EXPECT(slipring_create(SLIPRING_MUTEX, name, NULL, 0, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_open(SLIPRING_MUTEX, NULL, NULL, &other), SLIPRING_E_NULL);
    EXPECT(slipring_unlink(NULL), SLIPRING_E_NULL);
    EXPECT(slipring_inherited(SLIPRING_PIPE, NULL, &other), SLIPRING_E_NULL);
    EXPECT(slipring_send(sender, NULL, 5, 0), SLIPRING_E_NULL);
    EXPECT(slipring_recv(receiver, NULL, 5, &len, 0), SLIPRING_E_NULL);
    EXPECT(slipring_recv(receiver, buffer, sizeof buffer, NULL, 0), SLIPRING_E_NULL);
    EXPECT(slipring_recv_view(receiver, NULL, &len, &view, 0), SLIPRING_E_NULL);
    EXPECT(slipring_loan(sender, 5, NULL, &loan), SLIPRING_E_NULL);
    EXPECT(slipring_queue_len(sender, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_permits(semaphore, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_clone(sender, NULL), SLIPRING_E_NULL);
    EXPECT(slipring_segment_of(sender, NULL), SLIPRING_E_NULL);

    // No handle.
    const slipring_handle bad[] = {0, 1, UINT64_MAX, UINT64_MAX << 32, sender + (UINT64_C(1) << 32), sender + 1000};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(slipring_send(bad[i], "x", 1, 0), SLIPRING_E_HANDLE);
        EXPECT(slipring_recv(bad[i], buffer, sizeof buffer, &len, 0), SLIPRING_E_HANDLE);
        EXPECT(slipring_lock(bad[i], 0), SLIPRING_E_HANDLE);
        EXPECT(slipring_close(bad[i]), SLIPRING_E_HANDLE);
        EXPECT(slipring_queue(bad[i], 1, 0, &other, &view), SLIPRING_E_HANDLE);
    }

    // Another's handle.
    EXPECT(slipring_send(receiver, "x", 1, 0), SLIPRING_E_KIND);
    EXPECT(slipring_recv(sender, buffer, sizeof buffer, &len, 0), SLIPRING_E_KIND);
    EXPECT(slipring_lock(event, 0), SLIPRING_E_KIND);
    EXPECT(slipring_unlock(semaphore), SLIPRING_E_KIND);
    EXPECT(slipring_acquire(lock, 0), SLIPRING_E_KIND);
    EXPECT(slipring_event_set(lock), SLIPRING_E_KIND);
    EXPECT(slipring_queue(lock, 1, 0, &other, &view), SLIPRING_E_KIND);
    EXPECT(slipring_condvar_wait(event, lock, 0), SLIPRING_E_KIND);
    EXPECT(slipring_send_loan(sender, receiver, 1, 0), SLIPRING_E_KIND);
    EXPECT(slipring_barrier_abort(event), SLIPRING_E_KIND);
    EXPECT(slipring_pipe_poll(sender, 0), SLIPRING_E_KIND);

    // Wrong lengths and numbers.
    EXPECT(slipring_send(sender, buffer, 101, 0), SLIPRING_E_TOO_LONG);
    EXPECT(slipring_send(sender, buffer, SIZE_MAX, 0), SLIPRING_E_INVALID);
    EXPECT(slipring_queue(segment, UINT64_MAX, 0, &other, &view), SLIPRING_E_INVALID);
    EXPECT(slipring_pipe(segment, 1, 1000, &other, &view), SLIPRING_E_INVALID);
    EXPECT(slipring_new(segment, 77, 0, &other), SLIPRING_E_INVALID);
    EXPECT(slipring_new(segment, SLIPRING_SENDER, 0, &other), SLIPRING_E_INVALID);
    EXPECT(slipring_new(segment, SLIPRING_BARRIER, 0, &other), SLIPRING_E_INVALID);
    EXPECT(slipring_new(segment, SLIPRING_SEMAPHORE, UINT64_MAX, &other), SLIPRING_E_INVALID);
    EXPECT(slipring_segment_create(5, 0, &other), SLIPRING_E_INVALID);
    EXPECT(slipring_segment_from_fd(-1, &other), SLIPRING_E_INVALID);
    EXPECT(slipring_segment_from_fd(999, &other), SLIPRING_E_IO);
    EXPECT(slipring_create(SLIPRING_MUTEX, "a/b", NULL, 0, &other), SLIPRING_E_INVALID);
    EXPECT(slipring_create(SLIPRING_MUTEX, "\xff", NULL, 0, &other), SLIPRING_E_INVALID);
    EXPECT(slipring_open(SLIPRING_MUTEX, name, NULL, &other), SLIPRING_E_NO_SUCH_NAME);
    EXPECT(slipring_loan(sender, 101, &memory, &loan), SLIPRING_E_TOO_LONG);

    // Loans and messages too long for their buffer are not lost, and not sent twice.
    const slipring_handle to[] = {sender, receiver, 0};
    const size_t lens[] = {21, 20, 20};
    const int32_t why[] = {SLIPRING_E_INVALID, SLIPRING_E_KIND, SLIPRING_E_HANDLE};
    for (size_t i = 0; i < 3; i++) {
        EXPECT(slipring_loan(sender, 20, &memory, &loan), SLIPRING_OK);
        EXPECT(slipring_send_loan(to[i], loan, lens[i], 0), why[i]);
        EXPECT(slipring_close(loan), SLIPRING_E_HANDLE);
    }
    EXPECT(slipring_loan(sender, 20, &memory, &loan), SLIPRING_OK);
    memset(memory, 'y', 20);
    EXPECT(slipring_send_loan(sender, loan, 20, 0), SLIPRING_OK);
    EXPECT(slipring_send_loan(sender, loan, 20, 0), SLIPRING_E_HANDLE);
    EXPECT(slipring_recv(receiver, buffer, sizeof buffer, &len, 0), SLIPRING_E_TOO_SMALL);
    EXPECT(len == 20 ? 0 : -1, 0);
    EXPECT(slipring_recv(receiver, NULL, 0, &len, 0), SLIPRING_E_TOO_SMALL);
    EXPECT(slipring_recv_view(receiver, &data, &len, &view, 0), SLIPRING_OK);
    EXPECT(len == 20 && memcmp(data, "yyyyyyyyyyyyyyyyyyyy", 20) == 0 ? 0 : -1, 0);
    EXPECT(slipring_send(view, "x", 1, 0), SLIPRING_E_KIND);
    EXPECT(slipring_clone(view, &other), SLIPRING_E_KIND);
    EXPECT(slipring_segment_of(view, &other), SLIPRING_E_KIND);
    EXPECT(slipring_segment_set_interruptible(sender, 1), SLIPRING_E_KIND);
    EXPECT(slipring_close(view), SLIPRING_OK);
    EXPECT(slipring_close(view), SLIPRING_E_HANDLE);

    // States.
    EXPECT(slipring_recv(receiver, buffer, sizeof buffer, &len, 0), SLIPRING_E_WOULD_BLOCK);
    EXPECT(slipring_recv(receiver, buffer, sizeof buffer, &len, 1000000), SLIPRING_E_TIMED_OUT);
    EXPECT(slipring_unlock(lock), SLIPRING_E_NOT_HELD);
    EXPECT(slipring_lock(lock, 0), SLIPRING_OK);
    EXPECT(slipring_lock(lock, 0), SLIPRING_E_WOULD_BLOCK);
    EXPECT(slipring_unlock(lock), SLIPRING_OK);
    EXPECT(slipring_release(semaphore, 1), SLIPRING_E_OVER_LIMIT);
    EXPECT(slipring_event_wait(event, 0), SLIPRING_E_WOULD_BLOCK);
    EXPECT(slipring_send(sender, NULL, 0, 0), SLIPRING_OK);
    EXPECT(slipring_queue_len(receiver, &number), SLIPRING_OK);
    EXPECT(number == 1 ? 0 : -1, 0);
    EXPECT(slipring_queue_close(sender), SLIPRING_OK);
    EXPECT(slipring_send(sender, "x", 1, 0), SLIPRING_E_CLOSED);
    EXPECT(slipring_recv(receiver, buffer, sizeof buffer, &len, 0), SLIPRING_OK);
    EXPECT(slipring_recv(receiver, buffer, sizeof buffer, &len, 0), SLIPRING_E_CLOSED);
    EXPECT(slipring_close(segment), SLIPRING_OK);
    EXPECT(slipring_lock(lock, 0), SLIPRING_OK);
    EXPECT(slipring_close(lock), SLIPRING_OK);
    EXPECT(slipring_lock(lock, 0), SLIPRING_E_HANDLE);

    // Texts.
    if (strlen(slipring_strerror(SLIPRING_E_TIMED_OUT)) < 5 || strcmp(slipring_strerror(12345), "unknown status") != 0) {
        say("a status without a text");
        failures++;
    }
    if (strlen(slipring_last_error()) < 5 || strlen(slipring_version()) < 5) {
        say("no sentence, or no version");
        failures++;
    }
    printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "echo") == 0) {
        return echo(argv[2], argv[3]);
    }
    if (argc == 4 && strcmp(argv[1], "in-place") == 0) {
        return in_place(argv[2], argv[3]);
    }
    if (argc == 3 && strcmp(argv[1], "hold") == 0) {
        return hold(argv[2]);
    }
    if (argc == 2 && strcmp(argv[1], "inherited") == 0) {
        return inherited();
    }
    if (argc == 3 && strcmp(argv[1], "await") == 0) {
        return await(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "interrupted") == 0) {
        return interrupted(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "misuse") == 0) {
        return misuse(argv[2]);
    }
    fprintf(stderr, "usage: peer echo FROM TO | in-place FROM TO | hold NAME | await NAME | inherited | interrupted NAME | misuse NAME\n");
    return 2;
}
