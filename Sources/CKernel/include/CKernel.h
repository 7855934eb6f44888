// What Swift needs of the Linux kernel; each header stands for itself. No policy, no state, no memory kept.
#pragma once
#include "CRC32C.h"
#include "Clock.h"
#include "DescriptorStore.h"
#include "LabSockets.h"
#include "Watchdog.h"

#include "ProgramPages.h"
#include "holdfast_network.h"
