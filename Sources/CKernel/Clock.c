// See Clock.h.
#include "Clock.h"
#include <sys/timex.h>

int holdfast_clock_is_synchronised(void) {
    // Modes zero: nothing is set.
    struct timex clock = {0};
    int state = adjtimex(&clock);
    return state < 0 ? -1 : state != TIME_ERROR;
}
