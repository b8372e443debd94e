// The few structs of the CUDA driver interface that Crumb passes by address, declared here so that nothing of CUDA is
// needed to build. Layouts are those of CUDA 12 and 13 (cuda.h: CUlaunchConfig, CUlaunchAttribute, CUuuid).
#ifndef CRUMB_CUDA_TYPES_H
#define CRUMB_CUDA_TYPES_H

#include <stddef.h>
#include <stdint.h>

// CUlaunchAttributeID
enum {
    CRUMB_LAUNCH_CLUSTER_DIMENSION = 4,
    CRUMB_LAUNCH_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
};

// CUlaunchAttribute: what it means depends on the identifier, and its value takes 64 bytes whatever it is.
typedef struct {
    uint32_t identifier;
    uint32_t reserved;
    union {
        uint32_t cluster[3];  // blocks along x, y, z that share a cluster
        int32_t programmatic; // 1: may start before the kernel ahead in the stream has ended
        uint64_t padding[8];
    } value;
} crumb_launch_attribute;

// CUlaunchConfig
typedef struct {
    uint32_t grid[3];       // blocks
    uint32_t block[3];      // threads
    uint32_t shared_bytes;  // dynamic shared memory of a block
    void *_Nullable stream; // CUstream
    crumb_launch_attribute *_Nullable attributes;
    uint32_t attribute_count;
} crumb_launch_configuration;

_Static_assert(sizeof(crumb_launch_attribute) == 72, "CUlaunchAttribute is 72 bytes");
_Static_assert(offsetof(crumb_launch_attribute, value) == 8, "an attribute's value starts at byte 8");
_Static_assert(sizeof(crumb_launch_configuration) == 56, "CUlaunchConfig is 56 bytes");
_Static_assert(offsetof(crumb_launch_configuration, stream) == 32, "CUlaunchConfig's stream starts at byte 32");

#endif
