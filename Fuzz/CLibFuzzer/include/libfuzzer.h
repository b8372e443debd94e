// The entry point of LLVM's libFuzzer for programs that have a main function of their own.
#ifndef CRUMB_LIBFUZZER_H
#define CRUMB_LIBFUZZER_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(
    int *_Nonnull argc, char *_Nullable *_Nonnull *_Nonnull argv,
    int (*_Nonnull test_one_input)(const uint8_t *_Nullable bytes, size_t count));

#endif
