// Preloaded into a sweep and its workers: lets file operations under one folder fail, and clocks be wrong. Compiled when a check
// needs it. All numbers come from the environment:
//   LMX_FAULT_UNDER    the folder; operations elsewhere are never touched
//   LMX_FAULT_COUNTER  a file of 8 bytes: operations so far, of all processes together
//   LMX_FAULT_AT       which operation fails, from 1 (0: none); LMX_FAULT_STICKY=1: that one and all writing after it
//   LMX_FAULT_ERRNO    with which error; LMX_FAULT_SHORT=1: a write first takes half, the next one fails
//   LMX_CLOCK_OFFSET   seconds added to the time of day
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char* under;
static size_t under_length;
static _Atomic unsigned long* counter;
static unsigned long fail_at;
static int fail_errno, sticky, half;
static long offset;

static unsigned long number(const char* name) {
  const char* text = getenv(name);
  return text == NULL ? 0 : strtoul(text, NULL, 10);
}

__attribute__((constructor)) static void start(void) {
  const char* shift = getenv("LMX_CLOCK_OFFSET");
  offset = shift == NULL ? 0 : strtol(shift, NULL, 10);
  const char* file = getenv("LMX_FAULT_COUNTER");
  under = getenv("LMX_FAULT_UNDER");
  if (file == NULL || under == NULL) return;
  under_length = strlen(under);
  fail_at = number("LMX_FAULT_AT");
  fail_errno = (int)number("LMX_FAULT_ERRNO");
  sticky = (int)number("LMX_FAULT_STICKY");
  half = (int)number("LMX_FAULT_SHORT");
  int (*real_open)(const char*, int, ...) = dlsym(RTLD_NEXT, "open");
  const int descriptor = real_open(file, O_RDWR);
  if (descriptor < 0) abort();
  void* shared = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (shared == MAP_FAILED) abort();
  counter = shared;
}

static int inside(const char* path) {
  if (counter == NULL || path == NULL) return 0;
  char whole[PATH_MAX * 2];
  if (path[0] != '/') {
    if (getcwd(whole, PATH_MAX) == NULL) return 0;
    strcat(whole, "/");
    strncat(whole, path, PATH_MAX - 1);
    path = whole;
  }
  return strncmp(path, under, under_length) == 0 && (path[under_length] == '/' || path[under_length] == 0);
}

static int descriptor_inside(int descriptor) {
  if (counter == NULL) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return inside(path);
}

// Counts one operation; true when it is to fail.
static int fails(int writes) {
  const unsigned long now = atomic_fetch_add(counter, 1) + 1;
  if (fail_at == 0 || !(now == fail_at || (sticky && writes && now > fail_at))) return 0;
  errno = fail_errno;
  return 1;
}

#define REAL(name) __typeof__(&name) real = dlsym(RTLD_NEXT, #name)

#define OPEN(name)                                             \
  int name(const char* path, int flags, ...) {                 \
    va_list list;                                              \
    va_start(list, flags);                                     \
    const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0; \
    va_end(list);                                              \
    REAL(name);                                                \
    if (inside(path) && fails((flags & O_ACCMODE) != O_RDONLY)) return -1; \
    return real(path, flags, mode);                            \
  }
OPEN(open)
OPEN(open64)

#define WRITE(name, parameters, call, halved)                  \
  ssize_t name parameters {                                    \
    static _Thread_local int next_fails;                       \
    REAL(name);                                                \
    if (!descriptor_inside(descriptor)) return real call;      \
    if (next_fails) {                                          \
      next_fails = 0;                                          \
      errno = fail_errno;                                      \
      return -1;                                               \
    }                                                          \
    if (!fails(1)) return real call;                           \
    if (!half || size < 2) return -1;                          \
    next_fails = 1;                                            \
    return real halved;                                        \
  }
WRITE(write, (int descriptor, const void* data, size_t size), (descriptor, data, size), (descriptor, data, size / 2))
WRITE(pwrite64, (int descriptor, const void* data, size_t size, off64_t at), (descriptor, data, size, at),
      (descriptor, data, size / 2, at))

#define READ(name, parameters, call)                           \
  ssize_t name parameters {                                    \
    REAL(name);                                                \
    if (descriptor_inside(descriptor) && fails(0)) return -1;  \
    return real call;                                          \
  }
READ(read, (int descriptor, void* data, size_t size), (descriptor, data, size))
READ(pread64, (int descriptor, void* data, size_t size, off64_t at), (descriptor, data, size, at))

#define ON_DESCRIPTOR(name)                                    \
  int name(int descriptor) {                                   \
    REAL(name);                                                \
    return descriptor_inside(descriptor) && fails(1) ? -1 : real(descriptor); \
  }
ON_DESCRIPTOR(fsync)
ON_DESCRIPTOR(fdatasync)

int rename(const char* from, const char* to) {
  REAL(rename);
  return inside(to) && fails(1) ? -1 : real(from, to);
}
int link(const char* from, const char* to) {
  REAL(link);
  return inside(to) && fails(1) ? -1 : real(from, to);
}
int mkdir(const char* path, mode_t mode) {
  REAL(mkdir);
  return inside(path) && fails(1) ? -1 : real(path, mode);
}
int unlink(const char* path) {
  REAL(unlink);
  return inside(path) && fails(1) ? -1 : real(path);
}
int utimensat(int folder, const char* path, const struct timespec times[2], int flags) {
  REAL(utimensat);
  return inside(path) && fails(1) ? -1 : real(folder, path, times, flags);
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  REAL(clock_gettime);
  const int result = real(clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset;
  return result;
}
int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  REAL(gettimeofday);
  const int result = real(now, zone);
  if (result == 0) now->tv_sec += offset;
  return result;
}
time_t time(time_t* into) {
  REAL(time);
  const time_t now = real(NULL) + offset;
  if (into != NULL) *into = now;
  return now;
}
