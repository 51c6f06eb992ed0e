// SPDX-License-Identifier: MIT
// test/lib/std_headers.h: the standard headers that most files include, which the test build compiles once (meson.build).
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#define TEMPLATE(...) extern template __VA_ARGS__;
#include "std_templates.def"
#undef TEMPLATE
