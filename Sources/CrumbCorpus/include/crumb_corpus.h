// Files of Resources that are part of the program, all in UTF-8 and not terminated.
#ifndef CRUMB_CORPUS_H
#define CRUMB_CORPUS_H

#include <stddef.h>

// calibration.txt: what models are calibrated on when the user gives no text.
extern const unsigned char *const _Nonnull crumb_calibration_text;
extern const size_t crumb_calibration_text_bytes;

// prompts.txt: prompts of many kinds, between lines of three dashes.
extern const unsigned char *const _Nonnull crumb_prompts_text;
extern const size_t crumb_prompts_text_bytes;

// tasks.jsonl: functions to write in Python, one JSON object a line.
extern const unsigned char *const _Nonnull crumb_tasks_text;
extern const size_t crumb_tasks_text_bytes;

#endif
