// Receives readings from a Rust program (sender.rs beside this) through a queue that both know by name, and prints the mean.
//
//   cc -o receiver receiver.c $(pkg-config --cflags --libs slipring) && ./receiver readings
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <slipring.h>

// What a message is: 16 bytes, numbers in the byte order of the machine.
struct reading {
    uint32_t sensor;
    uint32_t number;
    double value;
};

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "readings";
    slipring_handle readings;
    int32_t status = slipring_open_or_create(SLIPRING_RECEIVER, name, NULL, 64, &readings);
    if (status != SLIPRING_OK) {
        fprintf(stderr, "%s: %s\n", name, slipring_last_error());
        return 1;
    }
    uint64_t count = 0;
    double sum = 0;
    for (;;) {
        struct reading reading;
        size_t len;
        // The first one may take a while to come; a sensor that is silent for ten seconds has failed.
        status = slipring_recv(readings, &reading, sizeof reading, &len, INT64_C(10000000000));
        if (status == SLIPRING_E_DISCONNECTED) {
            break; // The last sender has gone, and everything was received.
        }
        if (status != SLIPRING_OK) {
            fprintf(stderr, "%s: %s\n", name, slipring_last_error());
            return 1;
        }
        if (len != sizeof reading) {
            fprintf(stderr, "%s: a message of %zu bytes is no reading\n", name, len);
            continue;
        }
        count++;
        sum += reading.value;
    }
    printf("%" PRIu64 " readings, %.2f on average\n", count, count ? sum / (double)count : 0.0);
    slipring_close(readings);
    return 0;
}
