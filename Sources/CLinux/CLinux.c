#include "CLinux.h"

#include <fcntl.h>
#include <signal.h>

extern int pipe2(int[2], int);

static volatile sig_atomic_t signal_pipe = -1;

/* Nothing but write(2), which signal-safety(7) allows. A full pipe has told already that something came. */
static void tell_signal(int number) {
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t written = write(signal_pipe, &byte, 1);
    (void)written;
    errno = saved;
}

int gateway_signal_pipe(const int *signals, int count) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
    signal_pipe = ends[1];
    struct sigaction action = {.sa_handler = tell_signal, .sa_flags = SA_RESTART};
    for (int index = 0; index < count; index++)
        if (sigaction(signals[index], &action, NULL) < 0) return -errno;
    return ends[0];
}
