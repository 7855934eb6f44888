// See ProgramPages.h.
#define _GNU_SOURCE
#include "ProgramPages.h"
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Code only, which nobody writes to: a page that was written, as the loader writes addresses, would be lost.
static int forget(struct dl_phdr_info *object, size_t size, void *result) {
    (void)size;
    // The kernel's own, which is no file.
    if (strstr(object->dlpi_name, "linux-vdso") != NULL) return 0;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || (part->p_flags & PF_W)) continue;
        uintptr_t start = (object->dlpi_addr + part->p_vaddr) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + part->p_vaddr + part->p_memsz + page - 1) & ~(page - 1);
        if (madvise((void *)start, end - start, MADV_DONTNEED) != 0 && *(int *)result == 0) *(int *)result = -errno;
    }
    return 0;
}

int holdfast_forget_code(void) {
    int result = 0;
    dl_iterate_phdr(forget, &result);
    return result;
}
