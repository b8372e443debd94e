#include "crumb_corpus.h"

// #embed is C23; this target is compiled by the clang that comes with Swift, which has it in every mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char calibration[] = {
#embed "../../Resources/calibration.txt"
};

static const unsigned char prompts[] = {
#embed "../../Resources/prompts.txt"
};

static const unsigned char tasks[] = {
#embed "../../Resources/tasks.jsonl"
};

const unsigned char *const crumb_calibration_text = calibration;
const size_t crumb_calibration_text_bytes = sizeof calibration;
const unsigned char *const crumb_prompts_text = prompts;
const size_t crumb_prompts_text_bytes = sizeof prompts;
const unsigned char *const crumb_tasks_text = tasks;
const size_t crumb_tasks_text_bytes = sizeof tasks;
