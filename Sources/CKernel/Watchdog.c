// See Watchdog.h.
#include "Watchdog.h"
#include <errno.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>

int holdfast_watchdog_set_timeout(int device, int seconds) {
    if (ioctl(device, WDIOC_SETTIMEOUT, &seconds) < 0) return -errno;
    return seconds;
}

int holdfast_watchdog_timeout(int device) {
    int seconds = 0;
    if (ioctl(device, WDIOC_GETTIMEOUT, &seconds) < 0) return -errno;
    return seconds;
}
