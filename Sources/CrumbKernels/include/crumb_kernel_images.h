// The compiled GPU kernels, part of the program; Scripts/kernels makes them and says how they are laid out.
#ifndef CRUMB_KERNEL_IMAGES_H
#define CRUMB_KERNEL_IMAGES_H

#include <stddef.h>

extern const unsigned char *const _Nonnull crumb_kernel_images; // aligned to 64 bytes
extern const size_t crumb_kernel_images_bytes;                  // 0 in a program that was built without kernels

#endif
