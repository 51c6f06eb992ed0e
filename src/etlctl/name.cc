// SPDX-License-Identifier: MIT
// etlctl/name.cc: parses buckets, objects, endpoints and ranges as users write them.
#include "etlctl/name.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace etlnode::etlctl {

bool name_parse_ref(std::string_view text, object_ref &out_ref, std::string &out_why)
{
    std::string_view rest = text;
    size_t scheme = rest.find("://");
    if (scheme != std::string_view::npos && rest.substr(0, scheme).find('/') == std::string_view::npos) {
        if (rest.substr(0, scheme) != "ais") {
            out_why = text_format("\"%s\": only ais:// buckets exist here", text_escape(text).c_str());
            return false;
        }
        rest.remove_prefix(scheme + 3);
    }
    size_t slash = rest.find('/');
    out_ref.bucket = std::string(rest.substr(0, slash));
    out_ref.object = slash == std::string_view::npos ? std::string() : std::string(rest.substr(slash + 1));
    if (out_ref.bucket.empty()) {
        out_why = text_format("\"%s\" does not name a bucket: write BUCKET or BUCKET/OBJECT", text_escape(text).c_str());
        return false;
    }
    return true;
}

bool name_parse_object(std::string_view text, object_ref &out_ref, std::string &out_why)
{
    if (!name_parse_ref(text, out_ref, out_why))
        return false;
    if (out_ref.object.empty()) {
        out_why = text_format("\"%s\" does not name an object: write BUCKET/OBJECT", text_escape(text).c_str());
        return false;
    }
    return true;
}

bool name_parse_bucket(std::string_view text, std::string &out_bucket, std::string &out_why)
{
    object_ref ref;
    if (!name_parse_ref(text, ref, out_why))
        return false;
    if (!ref.object.empty()) {
        out_why = text_format("\"%s\" names an object: write BUCKET", text_escape(text).c_str());
        return false;
    }
    out_bucket = ref.bucket;
    return true;
}

std::string name_bucket_uri(std::string_view bucket) { return "ais://" + std::string(bucket); }

std::string name_object_uri(std::string_view bucket, std::string_view object)
{
    return "ais://" + std::string(bucket) + "/" + std::string(object);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_alnum(char c) { return is_digit(c) || is_capital(c) || (c >= 'a' && c <= 'z'); }

bool name_is_etl_id(std::string_view text)
{
    if (text.size() != 10)
        return false;
    bool capital = false;
    for (char c : text) {
        if (!is_alnum(c))
            return false;
        capital = capital || is_capital(c);
    }
    return capital;
}

// What is wrong with "HOST:PORT", worded to follow the endpoint; empty if nothing is.
static std::string check_authority(std::string_view authority, std::string_view scheme)
{
    size_t bracket = authority.find(']');
    bool is_ip6 = authority.starts_with('[');
    if (is_ip6 && (bracket == std::string_view::npos || bracket < 3 || (bracket + 1 < authority.size() && authority[bracket + 1] != ':')))
        return " is not an endpoint: write http://[ADDRESS]:PORT for an IPv6 address";
    std::string_view behind = is_ip6 ? authority.substr(bracket + 1) : authority;
    if (std::count(behind.begin(), behind.end(), ':') > 1)
        return " is not an endpoint: write " + std::string(scheme) + "HOST:PORT; put an IPv6 address in brackets: http://[::1]:8080";
    size_t colon = behind.find(':');
    if (colon == std::string_view::npos)
        return {};
    uint64_t port = 0;
    bool is_port = text_parse_u64(behind.substr(colon + 1), port) && port >= 1 && port <= 65535;
    std::string host(authority.substr(0, authority.size() - behind.size() + colon));
    if (host.empty())
        return " does not name a host: write http://HOST:PORT";
    return is_port ? std::string() : " has an invalid port (1 to 65535): write " + std::string(scheme) + host + ":PORT";
}

bool name_parse_endpoint(std::string_view text, std::string &out_endpoint, std::string &out_why)
{
    std::string endpoint(text_trim(text));
    if (endpoint.find("://") == std::string::npos)
        endpoint = "http://" + endpoint;
    std::string scheme = text_lower(std::string_view(endpoint).substr(0, endpoint.find("://") + 3));
    endpoint.replace(0, scheme.size(), scheme);
    while (endpoint.size() > scheme.size() && endpoint.back() == '/')
        endpoint.pop_back();
    std::string_view rest = std::string_view(endpoint).substr(scheme.size());
    std::string_view path = rest.substr(std::min(rest.find('/'), rest.size()));
    bool is_plain = std::all_of(rest.begin(), rest.end(), [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
    bool is_http = scheme == "http://" || scheme == "https://";
    bool has_host = !rest.empty() && path.size() < rest.size() && is_plain && rest.find_first_of("?#\\") == std::string_view::npos;
    std::string wrong;
    if (is_http && rest.find('@') != std::string_view::npos)
        wrong = " is not an endpoint: write http://HOST:PORT, without a user or password";
    else if (!is_http || !has_host)
        wrong = " is not an endpoint: write http://HOST:PORT";
    else
        wrong = check_authority(rest.substr(0, rest.size() - path.size()), scheme);
    size_t version = (std::string(path) + "/").find("/v1/");
    if (wrong.empty() && version != std::string::npos)
        wrong = " must not include the request path /v1...: write " + endpoint.substr(0, endpoint.size() - path.size() + version);
    if (!wrong.empty()) {
        out_why = "\"" + text_escape(text) + "\"" + wrong;
        return false;
    }
    out_endpoint = endpoint;
    return true;
}

bool name_parse_range(std::string_view text, std::string &out_range, std::string &out_why)
{
    std::string_view rest = text;
    if (rest.starts_with("bytes="))
        rest.remove_prefix(6);
    size_t dash = rest.find('-');
    uint64_t first = 0;
    uint64_t last = 0;
    bool has_first = dash != std::string_view::npos && text_parse_u64(rest.substr(0, dash), first);
    bool has_last = dash != std::string_view::npos && text_parse_u64(rest.substr(dash + 1), last);
    bool first_is_empty = dash == 0;
    bool last_is_empty = dash != std::string_view::npos && dash + 1 == rest.size();
    bool ok = (has_first && has_last && first <= last) || (has_first && last_is_empty) || (first_is_empty && has_last && last > 0);
    if (!ok) {
        out_why = text_format("\"%s\" is not a range: write FIRST-LAST, FIRST- or -COUNT, in bytes from 0", text_escape(text).c_str());
        return false;
    }
    out_range = std::string(rest);
    return true;
}

bool name_is_request_id(std::string_view text)
{
    if (text.empty() || text.size() > request_id_size_max)
        return false;
    for (char c : text)
        if (!is_alnum(c) && c != '.' && c != '_' && c != '-')
            return false;
    return true;
}

} // namespace etlnode::etlctl
