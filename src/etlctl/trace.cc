// SPDX-License-Identifier: MIT
// etlctl/trace.cc: masks secrets in header lines and URLs.
#include "etlctl/trace.h"

#include "base/text.h"
#include "etlctl/format.h"
#include "node/api.h"

namespace etlnode::etlctl {

static constexpr std::string_view secret_headers[] = {
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    header_cluster_secret,
};
static constexpr std::string_view secret_queries[] = {"token", "secret", "etl_secret", "signature", "sig", "x-amz-signature"};

static bool is_secret_header(std::string_view name)
{
    for (std::string_view secret : secret_headers)
        if (text_equal_ignore_case(text_trim(name), secret))
            return true;
    return false;
}

// /v1/etl/_object/<etl>/<secret>/...
static void mask_pod_secret(std::string &line)
{
    size_t at = line.find(std::string(path_pod_object) + "/");
    if (at == std::string::npos)
        return;
    size_t etl = at + path_pod_object.size() + 1;
    size_t start = line.find('/', etl);
    if (start == std::string::npos)
        return;
    size_t end = line.find_first_of("/? \t", start + 1);
    line.replace(start + 1, (end == std::string::npos ? line.size() : end) - start - 1, "***");
}

static void mask_user(std::string &line)
{
    for (size_t at = line.find("://"); at != std::string::npos; at = line.find("://", at + 3)) {
        size_t end = line.find_first_of("/?# \t", at + 3);
        size_t sign = line.substr(0, end).rfind('@');
        if (sign != std::string::npos && sign > at)
            line.replace(at + 3, sign - at - 3, "***");
    }
}

static void mask_queries(std::string &line)
{
    for (std::string_view name : secret_queries) {
        for (size_t at = 0; at < line.size();) {
            size_t end = line.find_first_of("?&", at);
            if (end == std::string::npos)
                break;
            size_t value = end + 1 + name.size();
            if (value < line.size() && line[value] == '=' &&
                text_equal_ignore_case(std::string_view(line).substr(end + 1, name.size()), name)) {
                size_t stop = line.find_first_of("& \t", value);
                line.replace(value + 1, (stop == std::string::npos ? line.size() : stop) - value - 1, "***");
            }
            at = end + 1;
        }
    }
}

std::string trace_mask_line(std::string_view text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.remove_suffix(1);
    size_t colon = text.find(':');
    bool is_header = colon != std::string_view::npos && text.substr(0, colon).find(' ') == std::string_view::npos;
    if (is_header && is_secret_header(text.substr(0, colon)))
        return std::string(text.substr(0, colon)) + ": ***";
    std::string line(text);
    mask_pod_secret(line);
    mask_user(line);
    mask_queries(line);
    return format_message(line);
}

} // namespace etlnode::etlctl
