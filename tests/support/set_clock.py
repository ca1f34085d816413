"""A wall clock that a test sets, for one process and what it starts.

A small library in front of the C library adds an offset to the wall clock. What waits until a
moment of the wall clock waits longer when it is set back, as the kernel lets it wait.
"""

import mmap
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

SHIFT: Final = "SHIFTED_CLOCK"
"""Environment variable with the file of the offset: nanoseconds, eight bytes."""

_SOURCE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000L
#define STEP 20000000L

static long offset(void) {
    static volatile long *shared;
    if (!shared) {
        int file = open(getenv("SHIFTED_CLOCK"), O_RDONLY);
        void *page = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        if (page == MAP_FAILED) abort();
        shared = page;
    }
    return *shared;
}

static long real_now(void) {
    struct timespec at;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &at);
    return at.tv_sec * SECOND + at.tv_nsec;
}

static void put(struct timespec *at, long now) {
    at->tv_sec = now / SECOND;
    at->tv_nsec = now % SECOND;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return syscall(SYS_clock_gettime, clock, at);
    put(at, real_now() + offset());
    return 0;
}

int gettimeofday(struct timeval *at, void *zone) {
    long now = real_now() + offset();
    at->tv_sec = now / SECOND;
    at->tv_usec = now % SECOND / 1000;
    return 0;
}

time_t time(time_t *at) {
    time_t now = (real_now() + offset()) / SECOND;
    if (at) *at = now;
    return now;
}

int timespec_get(struct timespec *at, int base) {
    put(at, real_now() + offset());
    return base;
}

typedef int (*wait_fn)(void *, void *, const struct timespec *);

static int wait_until(wait_fn wait, int late, void *cond, void *lock,
                      const struct timespec *until) {
    if (until->tv_sec < SECOND) return wait(cond, lock, until); /* of the monotonic clock */
    long end = until->tv_sec * SECOND + until->tv_nsec;
    for (;;) {
        long left = end - real_now() - offset();
        struct timespec step;
        put(&step, real_now() + (left < 0 ? 0 : left < STEP ? left : STEP));
        int done = wait(cond, lock, &step);
        if (done != late || real_now() + offset() >= end) return done;
    }
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *at) {
    wait_fn wait = (wait_fn)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    return wait_until(wait, ETIMEDOUT, cond, lock, at);
}

int cnd_timedwait(cnd_t *cond, mtx_t *lock, const struct timespec *at) {
    return wait_until((wait_fn)dlsym(RTLD_NEXT, "cnd_timedwait"), thrd_timedout, cond, lock, at);
}
"""


class SetClock:
    """The wall clock of processes that are started with `environment`.

    Parameters
    ----------
    folder
        for the library and the offset
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("there is no C compiler, with which the library of this test is made")
        source, library, self._offset = folder / "clock.c", folder / "clock.so", folder / "offset"
        source.write_text(_SOURCE)
        command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run([*command, "-ldl", "-lpthread"], check=True)
        self._offset.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), SHIFT: str(self._offset)}

    def set_by(self, seconds: float) -> None:
        """Set the clock forward, or back, from what the machine's says."""
        with self._offset.open("r+b") as file, mmap.mmap(file.fileno(), 8) as page:
            page[:] = round(seconds * 1e9).to_bytes(8, "little", signed=True)
