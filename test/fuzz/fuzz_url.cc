// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_url.cc: percent-encoding in both directions, base URLs, addresses of pods, and names extracted from paths.
#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"
#include "fuzz.h"
#include "kube/pod_status.h"
#include "store/object_name.h"

using namespace etlnode;

static int hex_value(char c)
{
    std::string_view digits = "0123456789abcdef";
    size_t at = digits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

static bool decode_plainly(std::string_view text, bool is_query, std::string &out)
{
    for (size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= text.size() || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0)
                return false;
            c = static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else if (is_query && c == '+') {
            c = ' ';
        }
        if (c == '\0')
            return false;
        out += c;
    }
    return true;
}

static void check_names(const std::string &name)
{
    if (object_name_check(name) == nullptr) {
        FUZZ_CHECK(!name.empty() && name.size() <= object_name_size_max && text_is_utf8(name) && name.find('\0') == std::string::npos);
        std::string in_slashes = "/" + name + "/";
        FUZZ_CHECK(in_slashes.find("/../") == std::string::npos && in_slashes.find("/./") == std::string::npos);
        // Fully encoded it fits a URL, and it comes back.
        std::string back;
        FUZZ_CHECK(url_encode(name).size() < http_url_size_max);
        FUZZ_CHECK(url_decode(url_encode_path(name), back));
        FUZZ_SAME(back, name);
    }
    if (object_name_check_bucket(name) == nullptr) {
        FUZZ_CHECK(name.size() <= bucket_name_size_max && url_encode(name) == name);
        FUZZ_CHECK(object_name_check(name) == nullptr || name == ".");
    }
}

static void check_encodings(const std::string &text)
{
    std::string back;
    bool has_nul = text.find('\0') != std::string::npos;
    for (std::string (*encode)(std::string_view) : {url_encode, url_encode_path, url_encode_uname}) {
        std::string encoded = encode(text);
        for (char c : encoded)
            FUZZ_CHECK(static_cast<uint8_t>(c) > 0x20 && static_cast<uint8_t>(c) < 0x7f &&
                       std::string_view("?#&+\"").find(c) == std::string_view::npos);
        FUZZ_CHECK(url_decode(encoded, back) == !has_nul);
        if (!has_nul) {
            FUZZ_SAME(back, text);
            FUZZ_CHECK(url_decode_query(encoded, back));
            FUZZ_SAME(back, text);
        }
    }
}

static void check_base(std::string_view text)
{
    url_base base;
    if (url_parse_base(text, base)) {
        FUZZ_CHECK(!base.host.empty() && base.port != 0 && !base.path.ends_with('/'));
        FUZZ_CHECK(base.path.empty() || base.path[0] == '/');
        FUZZ_CHECK(
            (base.host + base.path).find_first_of(" \r\n?#") == std::string::npos && base.host.find_first_of("@/") == std::string::npos);
        url_base again;
        FUZZ_CHECK(url_parse_base(url_format_base(base.host, base.port) + base.path, again));
        FUZZ_SAME(again.host, base.host);
        FUZZ_SAME(again.path, base.path);
        FUZZ_CHECK(again.port == base.port);
    }
    std::string host;
    uint16_t port = 0;
    if (pod_address_parse(text, host, port))
        FUZZ_CHECK(!host.empty() && port != 0);
}

FUZZ_TARGET(url)
{
    for (bool is_query : {false, true}) {
        std::string wanted, decoded;
        bool good = decode_plainly(text, is_query, wanted);
        FUZZ_CHECK((is_query ? url_decode_query : url_decode)(text, decoded) == good);
        if (!good)
            continue;
        FUZZ_SAME(decoded, wanted);
        FUZZ_CHECK(decoded.size() <= text.size());
        check_encodings(decoded);
        check_names(decoded);
    }
    check_encodings(std::string(text));
    check_names(std::string(text));
    check_base(text);
}
