// SPDX-License-Identifier: MIT
// object/archive_locale.h: the character set of libarchive's names, for archive_reader.cc and archive_writer.cc.
#pragma once

#include <clocale>

namespace etlnode {

// In C's own locale libarchive cannot give names that are not ASCII. This thread has UTF-8 as long as the object lives.
struct archive_locale {
    locale_t former;
    archive_locale()
    {
        static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
        former = utf8 != nullptr ? uselocale(utf8) : nullptr;
    }
    archive_locale(const archive_locale &) = delete;
    archive_locale &operator=(const archive_locale &) = delete;
    ~archive_locale()
    {
        if (former != nullptr)
            uselocale(former);
    }
};

} // namespace etlnode
