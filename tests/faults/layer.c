/* Fails the k-th file operation of a process, for tests: LD_PRELOAD it into the programs as they are.
 *
 * Counted are the operations that change a file, or make one durable, below FAULT_UNDER (part of a path): open for
 * writing, write, pwrite, fsync, fdatasync, ftruncate, fallocate, rename, unlink, mkdir. The environment says what
 * happens at number FAULT_AT:
 *
 *   FAULT_KIND=enospc|eio|eacces   it does not happen and reports this error; with FAULT_LASTS, so do all after it
 *   FAULT_KIND=short               half of a write happens and is reported as such
 *   FAULT_KIND=kill                it happens, and the process is killed before it can act on it
 *
 *   FAULT_WHILE=path               only as long as there is such a file: a disk that is full for a while
 *   FAULT_KIND=count               nothing happens; how many there were is told at the end
 *
 *   CLOCK_JUMP=path                the time of day is so many seconds later as the file says; clocks that only go on are not
 *
 * FAULT_PROGRAM restricts it to processes whose program has this name; FAULT_TOLD is a file that gets one line for
 * the fault. fsync that fails after a write that worked is what a real disk does: the page is in the cache and gone
 * after a power cut, which a kill of a process cannot show. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name); real; })

enum { FDS = 4096 };

static atomic_long count;
static atomic_char watched[FDS];
static long at;
static int kind; /* an errno, or one of these two */
enum { SHORT = -1, KILL = -2 };
static int lasts;
static const char *under;
static const char *told;
static const char *season;
static const char *jumps;

__attribute__((constructor)) static void set_up(void) {
    jumps = getenv("CLOCK_JUMP");
    const char *program = getenv("FAULT_PROGRAM");
    const char *name = getenv("FAULT_KIND");
    const char *number = getenv("FAULT_AT");
    under = getenv("FAULT_UNDER");
    told = getenv("FAULT_TOLD");
    season = getenv("FAULT_WHILE");
    lasts = getenv("FAULT_LASTS") != NULL;
    if (!under || !name || !number) return;
    if (program && strcmp(program, program_invocation_short_name) != 0) return;
    kind = !strcmp(name, "enospc")   ? ENOSPC
           : !strcmp(name, "eio")    ? EIO
           : !strcmp(name, "eacces") ? EACCES
           : !strcmp(name, "short")  ? SHORT
                                     : KILL;
    at = strcmp(name, "count") ? atol(number) : -1;
}

static void tell(const char *what) {
    if (!told) return;
    char line[64];
    int n = snprintf(line, sizeof line, "%s %ld\n", what, (long)getpid());
    int fd = (int)syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (0 <= fd) {
        syscall(SYS_write, fd, line, (size_t)n);
        syscall(SYS_close, fd);
    }
}

enum verdict { GO, FAIL, HALF, DIE };

/* What becomes of the next operation, which is counted. */
static enum verdict next(const char *what, int is_write) {
    long mine = atomic_fetch_add(&count, 1) + 1;
    if (mine != at && !(lasts && at < mine)) return GO;
    if (season && syscall(SYS_faccessat, AT_FDCWD, season, F_OK) != 0) return GO;
    if (kind == SHORT) {
        if (!is_write) return GO;
        tell(what);
        return HALF;
    }
    if (mine == at) tell(what);
    if (kind == KILL) return DIE;
    errno = kind;
    return FAIL;
}

/* With FAULT_KIND=count nothing fails, and the number of operations is told at the end. */
__attribute__((destructor)) static void sum_up(void) {
    if (at == -1) {
        char line[32];
        snprintf(line, sizeof line, "count %ld", atomic_load(&count));
        tell(line);
    }
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static int is_watched_path(const char *path) { return at && path && strstr(path, under) != NULL; }

static int is_watched(int fd) { return at && 0 <= fd && fd < FDS && watched[fd]; }

static void watch(int fd, int yes) {
    if (0 <= fd && fd < FDS) watched[fd] = (char)yes;
}

/* Names below a folder that was opened before (remove_dir_all) count as that folder does. */
static int in_watched(int dir, const char *path) {
    return is_watched_path(path) || (path && path[0] != '/' && is_watched(dir));
}

#define CHANGE(what, is_write, watched_now, failed, call)        \
    do {                                                         \
        enum verdict v = (watched_now) ? next(what, is_write) : GO; \
        if (v == FAIL) return failed;                            \
        __typeof__(call) done = call;                            \
        if (v == DIE) die();                                     \
        return done;                                             \
    } while (0)

static int opened(int fd, int yes) {
    watch(fd, yes);
    return fd;
}

#define OPEN(name, real_call, dir)                                             \
    mode_t mode = 0;                                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                                       \
        va_list rest;                                                          \
        va_start(rest, flags);                                                 \
        mode = va_arg(rest, mode_t);                                           \
        va_end(rest);                                                          \
    }                                                                          \
    int yes = in_watched(dir, path);                                           \
    int changes = flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);             \
    enum verdict v = yes && changes ? next("open", 0) : GO;                    \
    if (v == FAIL) return -1;                                                  \
    int fd = real_call;                                                        \
    if (v == DIE) die();                                                       \
    return opened(fd, yes)

int open(const char *path, int flags, ...) { OPEN("open", REAL(open)(path, flags, mode), AT_FDCWD); }
int open64(const char *path, int flags, ...) { OPEN("open", REAL(open64)(path, flags, mode), AT_FDCWD); }
int openat(int dir, const char *path, int flags, ...) { OPEN("open", REAL(openat)(dir, path, flags, mode), dir); }
int openat64(int dir, const char *path, int flags, ...) { OPEN("open", REAL(openat64)(dir, path, flags, mode), dir); }

int close(int fd) {
    watch(fd, 0);
    return REAL(close)(fd);
}

#define WRITE(real_all, real_half)                                  \
    enum verdict v = is_watched(fd) ? next("write", 1) : GO;        \
    if (v == FAIL) return -1;                                       \
    ssize_t done = v == HALF && 1 < n ? real_half : real_all;       \
    if (v == DIE) die();                                            \
    return done

ssize_t write(int fd, const void *bytes, size_t n) {
    WRITE(REAL(write)(fd, bytes, n), REAL(write)(fd, bytes, n / 2));
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t to) {
    WRITE(REAL(pwrite)(fd, bytes, n, to), REAL(pwrite)(fd, bytes, n / 2, to));
}
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t to) {
    WRITE(REAL(pwrite64)(fd, bytes, n, to), REAL(pwrite64)(fd, bytes, n / 2, to));
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
    CHANGE("write", 0, is_watched(fd), -1, REAL(writev)(fd, parts, n));
}

int fsync(int fd) { CHANGE("fsync", 0, is_watched(fd), -1, REAL(fsync)(fd)); }
int fdatasync(int fd) { CHANGE("fsync", 0, is_watched(fd), -1, REAL(fdatasync)(fd)); }
int ftruncate(int fd, off_t len) { CHANGE("truncate", 0, is_watched(fd), -1, REAL(ftruncate)(fd, len)); }
int ftruncate64(int fd, off64_t len) { CHANGE("truncate", 0, is_watched(fd), -1, REAL(ftruncate64)(fd, len)); }
int posix_fallocate(int fd, off_t from, off_t len) {
    /* Answers with the error instead of errno. */
    CHANGE("allocate", 0, is_watched(fd), kind, REAL(posix_fallocate)(fd, from, len));
}
int posix_fallocate64(int fd, off64_t from, off64_t len) {
    CHANGE("allocate", 0, is_watched(fd), kind, REAL(posix_fallocate64)(fd, from, len));
}

int rename(const char *from, const char *to) { CHANGE("rename", 0, is_watched_path(to), -1, REAL(rename)(from, to)); }
int renameat(int a, const char *from, int b, const char *to) {
    CHANGE("rename", 0, in_watched(b, to), -1, REAL(renameat)(a, from, b, to));
}
int unlink(const char *path) { CHANGE("unlink", 0, is_watched_path(path), -1, REAL(unlink)(path)); }
int unlinkat(int dir, const char *path, int flags) {
    CHANGE("unlink", 0, in_watched(dir, path), -1, REAL(unlinkat)(dir, path, flags));
}
int rmdir(const char *path) { CHANGE("unlink", 0, is_watched_path(path), -1, REAL(rmdir)(path)); }
int mkdir(const char *path, mode_t mode) { CHANGE("mkdir", 0, is_watched_path(path), -1, REAL(mkdir)(path, mode)); }

/* Seconds that the time of day is ahead. */
static long jump(void) {
    if (!jumps) return 0;
    int before = errno;
    char text[32] = "";
    int fd = (int)syscall(SYS_openat, AT_FDCWD, jumps, O_RDONLY | O_CLOEXEC);
    if (0 <= fd) {
        if (syscall(SYS_read, fd, text, sizeof text - 1) < 0) text[0] = 0;
        syscall(SYS_close, fd);
    }
    errno = before;
    return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int done = REAL(clock_gettime)(id, now);
    if (!done && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += jump();
    return done;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int done = REAL(gettimeofday)(now, zone);
    if (!done) now->tv_sec += jump();
    return done;
}
time_t time(time_t *out) {
    time_t now = REAL(time)(NULL) + jump();
    if (out) *out = now;
    return now;
}
