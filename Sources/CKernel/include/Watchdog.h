// What of the kernel's watchdog interface is not reading and writing.
#pragma once

/// Sets the time after which an open watchdog device resets the machine, in seconds.
/// Answers the time the device took, which may be rounded, or -errno.
int holdfast_watchdog_set_timeout(int device, int seconds);

/// Asks after how many seconds without being fed an open watchdog device resets the machine; -errno when it does not say.
int holdfast_watchdog_timeout(int device);
