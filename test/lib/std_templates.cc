// SPDX-License-Identifier: MIT
// test/lib/std_templates.cc: the one copy of what std_templates.def lists.
#include "std_headers.h"

#define TEMPLATE(...) template __VA_ARGS__;
#include "std_templates.def"
