// What the kernel says about its wall clock (adjtimex(2), which only asks here).
#pragma once

/// 1: something keeps the clock right; 0: nothing does; -1: the kernel does not say.
int holdfast_clock_is_synchronised(void);
