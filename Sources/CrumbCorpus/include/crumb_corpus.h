// The text that models are calibrated on when the user gives none: Resources/calibration.txt, part of the program.
#ifndef CRUMB_CORPUS_H
#define CRUMB_CORPUS_H

#include <stddef.h>

extern const unsigned char *const _Nonnull crumb_calibration_text; // UTF-8, not terminated
extern const size_t crumb_calibration_text_bytes;

#endif
