// SPDX-License-Identifier: MIT
// transfer/content_digest.h: checksums of a content that clients send beside it, of other types than the store's own.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace etlnode {

struct content_digest; // of the bytes so far

struct content_digest_deleter {
    void operator()(content_digest *digest) const;
};
using content_digest_ptr = std::unique_ptr<content_digest, content_digest_deleter>;

// The names of the types: "md5, crc32c, ...".
std::string content_digest_types();
// Null: the type is unknown.
content_digest_ptr content_digest_begin(std::string_view type);
void content_digest_add(content_digest &digest, const void *bytes, size_t size);
// In hex digits, lower case. Once.
std::string content_digest_end(content_digest &digest);
// How many hex digits it has.
size_t content_digest_size(const content_digest &digest);

} // namespace etlnode
