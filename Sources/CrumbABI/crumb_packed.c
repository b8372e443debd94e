// The layout is all in the header; SwiftPM wants one source file in a C target.
#include "crumb_packed.h"
