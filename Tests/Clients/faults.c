/* Preloaded into a process, moves its wall clock and breaks its session database, as the four numbers of a file
   say that FAULTS names: seconds to add to the time, the error of every write, the error of every sync, the
   milliseconds that each look for a name takes. They count from the moment they are written there. Every file but
   `sessions.db…` is as it is. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *faults;

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("FAULTS"), O_RDONLY | O_CLOEXEC);
    void *memory = mmap(NULL, 32, PROT_READ, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) abort();
    close(file);
    faults = memory;
}

static int is_broken(int fd, int which) {
    if (!faults || !faults[which]) return 0;
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t count = readlink(link, path, sizeof path - 1);
    if (count < 0) return 0;
    path[count] = 0;
    if (!strstr(path, "/sessions.db")) return 0;
    errno = (int)faults[which];
    return 1;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && faults) now->tv_sec += faults[0];
    return result;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return is_broken(fd, 1) ? -1 : NEXT(pwrite64)(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return is_broken(fd, 1) ? -1 : NEXT(pwrite)(fd, bytes, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return is_broken(fd, 1) ? -1 : NEXT(write)(fd, bytes, count);
}

int ftruncate64(int fd, off64_t size) { return is_broken(fd, 1) ? -1 : NEXT(ftruncate64)(fd, size); }

int fsync(int fd) { return is_broken(fd, 2) ? -1 : NEXT(fsync)(fd); }

int fdatasync(int fd) { return is_broken(fd, 2) ? -1 : NEXT(fdatasync)(fd); }

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    if (faults) usleep((useconds_t)faults[3] * 1000);
    return NEXT(getaddrinfo)(name, service, hints, found);
}
