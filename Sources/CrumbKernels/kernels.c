#include "crumb_kernel_images.h"

// #embed is C23; this target is compiled by the clang that comes with Swift, which has it in every mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

#if __has_embed("crumb.fatbin") == __STDC_EMBED_FOUND__
static const unsigned char images[] __attribute__((aligned(64))) = {
#embed "crumb.fatbin"
};
const size_t crumb_kernel_images_bytes = sizeof images;
#else
static const unsigned char images[1] __attribute__((aligned(64)));
const size_t crumb_kernel_images_bytes = 0;
#endif

const unsigned char *const crumb_kernel_images = images;
