// The pages of the program's own code, as far as this process has them in its memory.
#pragma once

/// Takes the program's code out of this process's memory; whatever runs on is taken in again, page by page, from the file
/// or the kernel's cache of it (madvise(2), MADV_DONTNEED). Returns 0, or the first error as a negative errno; code that is
/// locked in memory is left there (EINVAL).
int holdfast_forget_code(void);
