// SPDX-License-Identifier: MIT
// object/gunzip.h: unpacks gzip piece by piece, and compares its checksums, which libarchive does not.
#pragma once

#include <cstdint>
#include <string_view>

namespace etlnode {

struct gunzip;
gunzip *gunzip_make();
void gunzip_free(gunzip *g); // null is allowed
// Whether a file that begins so is gzip.
bool gunzip_is_gzip(std::string_view begin);

enum class gunzip_state : uint8_t {
    hungry,  // all of `in` was taken, and more is needed
    bytes,   // out_bytes, until the next call
    ended,   // behind the last stream
    damaged, // or another checksum or length than its data has
};
// Takes some of `in`. Several streams one after the other are one; what is no gzip behind the first one is not looked at.
gunzip_state gunzip_pull(gunzip &g, std::string_view &in, std::string_view &out_bytes);
// Whether the file may end here.
bool gunzip_may_end(const gunzip &g);

} // namespace etlnode
