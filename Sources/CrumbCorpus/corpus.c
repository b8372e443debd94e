#include "crumb_corpus.h"

// #embed is C23; this target is compiled by the clang that comes with Swift, which has it in every mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char text[] = {
#embed "../../Resources/calibration.txt"
};

const unsigned char *const crumb_calibration_text = text;
const size_t crumb_calibration_text_bytes = sizeof text;
