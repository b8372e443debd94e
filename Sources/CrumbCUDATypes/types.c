// The types are all in the header; SwiftPM wants one source file in a C target.
#include "crumb_cuda_types.h"
