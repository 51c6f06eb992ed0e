// SPDX-License-Identifier: MIT
// transfer/content_digest.cc: MD5, CRC-32C, SHA-256, SHA-512 and XXH64 of a content, piece by piece.
//
// Knows    nettle, xxhash.        Known by  upload_machine.cc, role/target.
#include "transfer/content_digest.h"

#include <array>
#include <cstdint>

#include <nettle/md5.h>
#include <nettle/sha2.h>
#include <xxhash.h>

#include "base/check.h"

namespace etlnode {

struct digest_kind {
    std::string_view name;
    size_t size; // bytes
    void (*begin)(content_digest &digest);
    void (*add)(content_digest &digest, const uint8_t *bytes, size_t size);
    void (*end)(content_digest &digest, uint8_t *out);
};

struct content_digest {
    const digest_kind *kind = nullptr;
    union {
        md5_ctx md5;
        sha256_ctx sha256;
        sha512_ctx sha512;
        uint32_t crc;
        XXH64_state_t *xxh;
    } of = {};
};

// --- CRC-32C, the polynomial of iSCSI (RFC 3720), bit-reversed

static constexpr uint32_t crc32c_polynomial = 0x82f63b78;

static constexpr std::array<uint32_t, 256> make_crc_table()
{
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = (value & 1) != 0 ? (value >> 1) ^ crc32c_polynomial : value >> 1;
        table[i] = value;
    }
    return table;
}
static constexpr std::array<uint32_t, 256> crc_table = make_crc_table();

static void crc_begin(content_digest &digest) { digest.of.crc = ~uint32_t{0}; }
static void crc_add(content_digest &digest, const uint8_t *bytes, size_t size)
{
    uint32_t crc = digest.of.crc;
    for (size_t i = 0; i < size; i++)
        crc = (crc >> 8) ^ crc_table[(crc ^ bytes[i]) & 0xff];
    digest.of.crc = crc;
}
static void put_big_endian(uint64_t value, size_t size, uint8_t *out)
{
    for (size_t i = 0; i < size; i++)
        out[i] = static_cast<uint8_t>(value >> (8 * (size - 1 - i)));
}
static void crc_end(content_digest &digest, uint8_t *out) { put_big_endian(~digest.of.crc, 4, out); }

// --- the others

static void md5_begin(content_digest &digest) { nettle_md5_init(&digest.of.md5); }
static void md5_add(content_digest &digest, const uint8_t *bytes, size_t size) { nettle_md5_update(&digest.of.md5, size, bytes); }
static void md5_end(content_digest &digest, uint8_t *out) { nettle_md5_digest(&digest.of.md5, MD5_DIGEST_SIZE, out); }

static void sha256_begin(content_digest &digest) { nettle_sha256_init(&digest.of.sha256); }
static void sha256_add(content_digest &digest, const uint8_t *bytes, size_t size) { nettle_sha256_update(&digest.of.sha256, size, bytes); }
static void sha256_end(content_digest &digest, uint8_t *out) { nettle_sha256_digest(&digest.of.sha256, SHA256_DIGEST_SIZE, out); }

static void sha512_begin(content_digest &digest) { nettle_sha512_init(&digest.of.sha512); }
static void sha512_add(content_digest &digest, const uint8_t *bytes, size_t size) { nettle_sha512_update(&digest.of.sha512, size, bytes); }
static void sha512_end(content_digest &digest, uint8_t *out) { nettle_sha512_digest(&digest.of.sha512, SHA512_DIGEST_SIZE, out); }

static void xxh_begin(content_digest &digest)
{
    digest.of.xxh = XXH64_createState();
    CHECK(digest.of.xxh != nullptr);
    XXH64_reset(digest.of.xxh, 0);
}
static void xxh_add(content_digest &digest, const uint8_t *bytes, size_t size) { XXH64_update(digest.of.xxh, bytes, size); }
static void xxh_end(content_digest &digest, uint8_t *out) { put_big_endian(XXH64_digest(digest.of.xxh), 8, out); }

static constexpr digest_kind kinds[] = {
    {"md5", MD5_DIGEST_SIZE, md5_begin, md5_add, md5_end},
    {"crc32c", 4, crc_begin, crc_add, crc_end},
    {"sha256", SHA256_DIGEST_SIZE, sha256_begin, sha256_add, sha256_end},
    {"sha512", SHA512_DIGEST_SIZE, sha512_begin, sha512_add, sha512_end},
    {"xxhash", 8, xxh_begin, xxh_add, xxh_end},
};

void content_digest_deleter::operator()(content_digest *digest) const
{
    if (digest != nullptr && digest->kind->begin == xxh_begin)
        XXH64_freeState(digest->of.xxh);
    delete digest;
}

std::string content_digest_types()
{
    std::string out;
    for (const digest_kind &kind : kinds)
        out.append(out.empty() ? "" : ", ").append(kind.name);
    return out;
}

content_digest_ptr content_digest_begin(std::string_view type)
{
    for (const digest_kind &kind : kinds) {
        if (kind.name != type)
            continue;
        content_digest_ptr digest(new content_digest);
        digest->kind = &kind;
        kind.begin(*digest);
        return digest;
    }
    return nullptr;
}

void content_digest_add(content_digest &digest, const void *bytes, size_t size)
{
    digest.kind->add(digest, static_cast<const uint8_t *>(bytes), size);
}

std::string content_digest_end(content_digest &digest)
{
    static constexpr char digits[] = "0123456789abcdef";
    std::array<uint8_t, SHA512_DIGEST_SIZE> bytes{};
    digest.kind->end(digest, bytes.data());
    std::string out;
    for (size_t i = 0; i < digest.kind->size; i++) {
        out += digits[bytes[i] >> 4];
        out += digits[bytes[i] & 15];
    }
    return out;
}

size_t content_digest_size(const content_digest &digest) { return 2 * digest.kind->size; }

} // namespace etlnode
