// SPDX-License-Identifier: MIT
// test/lib/golden.h: golden files: the expected results under test/golden. UPDATE=1 in the environment rewrites them.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "node_test.h"

namespace etlnode {

inline bool golden_is_updating() { return std::getenv("UPDATE") != nullptr; }

// Empty if the file does not exist.
inline std::string golden_read(const std::string &path)
{
    std::string out;
    FILE *file = std::fopen(path.c_str(), "rb");
    if (file == nullptr)
        return out;
    char buffer[4096];
    for (size_t size; (size = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
        out.append(buffer, size);
    std::fclose(file);
    return out;
}

inline void golden_write(const std::string &path, std::string_view text)
{
    FILE *file = std::fopen(path.c_str(), "wb");
    test_true(file != nullptr);
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
}

} // namespace etlnode
