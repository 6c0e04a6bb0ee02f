// The Linux calls that Swift's Glibc module does not show, or shows in a shape that cannot be used (packed structs,
// unions, feature-test macros). Each is an inline function that answers -errno instead of setting errno, so that no
// call can come between the failure and its reason.
#pragma once
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// GNU extensions. Asking the headers for it would change `fd_set` and make this module's view of the C library differ
// from that of Swift's own modules.
extern long syscall(long, ...);
extern int accept4(int, struct sockaddr *__restrict, socklen_t *__restrict, int);

/* Has signals write their number, one byte each, into a pipe, whose end to read from is the answer. For one caller in a
 * process. */
int gateway_signal_pipe(const int *signals, int count);

static inline int gateway_accept4(int listener, struct sockaddr *address, socklen_t *length) {
    int descriptor = accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

static inline int gateway_epoll_create(void) {
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

static inline int gateway_epoll_control(int set, int operation, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    return epoll_ctl(set, operation, descriptor, &event) < 0 ? -errno : 0;
}

static inline int gateway_epoll_wait(int set, struct epoll_event *events, int capacity, int timeout_ms) {
    int count = epoll_wait(set, events, capacity, timeout_ms);
    return count < 0 ? -errno : count;
}

static inline uint64_t gateway_epoll_data(const struct epoll_event *event) { return event->data.u64; }
static inline uint32_t gateway_epoll_events(const struct epoll_event *event) { return event->events; }

static inline int gateway_eventfd(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

static inline ssize_t gateway_read(int descriptor, void *bytes, size_t count) {
    ssize_t result = read(descriptor, bytes, count);
    return result < 0 ? -errno : result;
}

// Sending and receiving go past the C library's functions: those are cancellation points of threads, which nobody here
// cancels, and switching that on and off costs 0.15 us per proxied request in a process with several threads.

static inline ssize_t gateway_recv(int descriptor, void *bytes, size_t count) {
    ssize_t result = syscall(SYS_recvfrom, descriptor, bytes, count, 0, (void *)0, (void *)0);
    return result < 0 ? -errno : result;
}

/// MSG_NOSIGNAL: a peer that has gone is EPIPE, never a signal.
static inline ssize_t gateway_send(int descriptor, const void *bytes, size_t count) {
    ssize_t result = syscall(SYS_sendto, descriptor, bytes, count, MSG_NOSIGNAL, (void *)0, 0);
    return result < 0 ? -errno : result;
}

static inline int gateway_socket(int family, int type) {
    int descriptor = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return descriptor < 0 ? -errno : descriptor;
}

static inline int gateway_connect(int descriptor, const struct sockaddr *address, socklen_t length) {
    return connect(descriptor, address, length) < 0 ? -errno : 0;
}

static inline int gateway_bind(int descriptor, const struct sockaddr *address, socklen_t length) {
    return bind(descriptor, address, length) < 0 ? -errno : 0;
}

static inline int gateway_listen(int descriptor, int backlog) {
    return listen(descriptor, backlog) < 0 ? -errno : 0;
}

static inline int gateway_shutdown_write(int descriptor) {
    return shutdown(descriptor, SHUT_WR) < 0 ? -errno : 0;
}

static inline int gateway_set_option(int descriptor, int level, int name, int value) {
    return setsockopt(descriptor, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/// The pending error of a socket (SO_ERROR), as -errno; 0 when there is none.
static inline int gateway_pending_error(int descriptor) {
    int value = 0;
    socklen_t length = sizeof value;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &value, &length) < 0) return -errno;
    return -value;
}

static inline int gateway_local_address(int descriptor, struct sockaddr *address, socklen_t *length) {
    return getsockname(descriptor, address, length) < 0 ? -errno : 0;
}

/// At most this many descriptors travel with one message: SCM_MAX_FD of the kernel.
#define GATEWAY_DESCRIPTORS_MAX 253

/* Sends bytes on a unix socket, and descriptors with them. */
ssize_t gateway_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors, int descriptor_count);

/* Receives bytes with the descriptors that come with them; there is room for GATEWAY_DESCRIPTORS_MAX of them. */
ssize_t gateway_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count);

/* The process at the other end of a unix socket, as it was when it connected. */
int gateway_peer_process(int socket);

/* Whether a descriptor is a socket that listens for streams: 1, 0, or -errno. */
int gateway_listens(int descriptor);

static inline ssize_t gateway_send_datagram(
    int descriptor, const void *bytes, size_t count, const struct sockaddr *address, socklen_t length) {
    ssize_t result = sendto(descriptor, bytes, count, MSG_NOSIGNAL, address, length);
    return result < 0 ? -errno : result;
}
