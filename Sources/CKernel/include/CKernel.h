// The part of Linux that Swift cannot reach by itself: kernel headers with netlink constants, and a few calls whose
// arguments are C unions or variadic. No policy, no state, no memory kept.
#pragma once

#include "holdfast_network.h"
