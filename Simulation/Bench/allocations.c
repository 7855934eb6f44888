// Counts the allocations of each thread, for programs that are told by LD_PRELOAD to use this in front of the C library's.
// `holdfast-sim bench` looks for holdfast_allocations and shows what a heartbeat costs; without it that row is left out.
//
//   cc -O2 -fPIC -shared -o allocations.so allocations.c

#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static __thread unsigned long count __attribute__((tls_model("initial-exec")));

// How often the calling thread has asked for memory.
unsigned long holdfast_allocations(void) { return count; }

void *malloc(size_t size) {
    count++;
    return __libc_malloc(size);
}
void *calloc(size_t number, size_t size) {
    count++;
    return __libc_calloc(number, size);
}
void *realloc(void *old, size_t size) {
    count++;
    return __libc_realloc(old, size);
}
void *memalign(size_t alignment, size_t size) {
    count++;
    return __libc_memalign(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    count++;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **place, size_t alignment, size_t size) {
    count++;
    void *found = __libc_memalign(alignment, size);
    if (!found) return ENOMEM;
    *place = found;
    return 0;
}
