// The one thing of the kernel's watchdog interface that is not reading and writing.
#pragma once

/// Sets the time after which an open watchdog device resets the machine, in seconds.
/// Answers the time the device took, which may be rounded, or -errno.
int holdfast_watchdog_set_timeout(int device, int seconds);
