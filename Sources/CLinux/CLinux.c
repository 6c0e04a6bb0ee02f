#include "CLinux.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

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
    sigset_t watched;
    sigemptyset(&watched);
    for (int index = 0; index < count; index++) {
        if (sigaction(signals[index], &action, NULL) < 0) return -errno;
        sigaddset(&watched, signals[index]);
    }
    /* Whoever started the process may have had them blocked, as every thread of Dispatch has. */
    if (sigprocmask(SIG_UNBLOCK, &watched, NULL) < 0) return -errno;
    return ends[0];
}

ssize_t gateway_send_descriptors(
    int socket, const void *bytes, size_t count, const int *descriptors, int descriptor_count) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * GATEWAY_DESCRIPTORS_MAX)];
    } control;
    if (descriptor_count > GATEWAY_DESCRIPTORS_MAX) return -E2BIG;
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (descriptor_count > 0) {
        size_t length = sizeof(int) * (size_t)descriptor_count;
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(length);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(length);
        memcpy(CMSG_DATA(header), descriptors, length);
    }
    ssize_t result = sendmsg(socket, &message, MSG_NOSIGNAL);
    return result < 0 ? -errno : result;
}

ssize_t gateway_receive_descriptors(
    int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * GATEWAY_DESCRIPTORS_MAX)];
    } control;
    struct iovec piece = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *descriptor_count = 0;
    ssize_t result = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (result < 0) return -errno;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        size_t length = header->cmsg_len - CMSG_LEN(0);
        memcpy(descriptors, CMSG_DATA(header), length);
        *descriptor_count = (int)(length / sizeof(int));
    }
    return result;
}

/* The C library shows `struct ucred` to those only who ask for GNU's view of the headers. */
int gateway_peer_process(int socket) {
    struct { int process, user, group; } peer;
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -errno;
    return peer.process;
}

int gateway_listens(int descriptor) {
    int type = 0, listens = 0;
    socklen_t length = sizeof type;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
    length = sizeof listens;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0) return -errno;
    return type == SOCK_STREAM && listens;
}
