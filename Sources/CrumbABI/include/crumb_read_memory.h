// The argument struct of the kernel that measures how fast a card reads its memory.
#ifndef CRUMB_READ_MEMORY_H
#define CRUMB_READ_MEMORY_H

#include "crumb_kernels.h"

enum {
    CRUMB_READ_THREADS = 256,
    CRUMB_READ_LOADS = 4,                // of 16 bytes, under way in a thread at the same time
    CRUMB_READ_BLOCK_BYTES = 16384,      // what a block reads at a time: threads x loads x 16
    CRUMB_READ_BLOCKS_PER_PROCESSOR = 8, // 2048 threads, as many as a multiprocessor holds
};

typedef struct {
    CRUMB_DEVICE(uint8_t) bytes;
    uint64_t count;              // a multiple of CRUMB_READ_BLOCK_BYTES
    CRUMB_DEVICE(uint32_t) sink; // one word, hardly ever written
} crumb_read_memory_args;

CRUMB_STATIC_ASSERT(sizeof(crumb_read_memory_args) == 24, "crumb_read_memory_args");

#endif
