// What Swift needs of the Linux kernel; each header stands for itself.
#pragma once
#include "LabSockets.h"
