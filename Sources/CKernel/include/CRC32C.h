// CRC-32C (Castagnoli; RFC 3720, B.4), for checksums of what is kept on disk.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Continues a checksum over `count` bytes; start with 0 (or with any other seed, for a checksum of one's own). Uses the
/// processor's instruction where there is one.
uint32_t holdfast_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same by table, for processors without the instruction and to check the other by.
uint32_t holdfast_crc32c_by_table(uint32_t crc, const void *bytes, size_t count);
