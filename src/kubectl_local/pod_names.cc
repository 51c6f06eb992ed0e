// SPDX-License-Identifier: MIT
// kubectl_local/pod_names.cc: validates the forms of names and values in a Pod.
#include "kubectl_local/pod_names.h"

#include <algorithm>

#include <arpa/inet.h>

#include "base/text.h"

namespace etlnode::kubectl_local {

static constexpr size_t label_size_max = 63;
static constexpr size_t subdomain_size_max = 253;
static constexpr size_t port_name_size_max = 15;

static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_plain(char c) { return is_lower(c) || is_digit(c); }
static bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
static bool is_alphanumeric(char c) { return is_letter(c) || is_digit(c); }

// Alphanumeric characters or those of `inner`, and alphanumeric at both ends.
template <typename alnum> static bool is_word(std::string_view text, std::string_view inner, alnum is_good)
{
    if (text.empty() || !is_good(text.front()) || !is_good(text.back()))
        return false;
    return std::all_of(text.begin(), text.end(), [&](char c) { return is_good(c) || inner.find(c) != std::string_view::npos; });
}

// Whether every part between separators is such a word.
static bool are_words(std::string_view text, std::string_view separators, std::string_view inner)
{
    for (;;) {
        size_t end = text.find_first_of(separators);
        if (!is_word(text.substr(0, end), inner, is_plain))
            return false;
        if (end == std::string_view::npos)
            return true;
        text.remove_prefix(end + 1);
    }
}

// A trailing dot is ignored, a single dot is the root, and each part may begin with an underscore.
static bool is_search_domain(std::string_view text)
{
    if (text == ".")
        return true;
    text.remove_suffix(text.ends_with('.') ? 1 : 0);
    for (std::string_view rest = text;;) {
        size_t end = rest.find('.');
        std::string_view part = rest.substr(0, end);
        part.remove_prefix(part.starts_with('_') ? 1 : 0);
        if (!is_word(part, "-_", is_plain))
            return false;
        if (end == std::string_view::npos)
            return text.size() <= subdomain_size_max;
        rest.remove_prefix(end + 1);
    }
}

static std::string too_long(size_t size) { return text_format("must be no more than %zu characters", size); }

static void check_label(std::string_view text, std::vector<std::string> &out)
{
    if (text.size() > label_size_max)
        out.push_back(too_long(label_size_max));
    if (is_word(text, "-", is_plain))
        return;
    out.push_back(are_words(text, ".", "-") ? "must not contain dots"
                                            : "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
                                              "must start and end with an alphanumeric character (e.g. 'my-name', or '123-abc')");
}

static void check_subdomain(std::string_view text, std::vector<std::string> &out)
{
    if (text.size() > subdomain_size_max)
        out.push_back(too_long(subdomain_size_max));
    if (!are_words(text, ".", "-"))
        out.push_back("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
                      "end with an alphanumeric character (e.g. 'example.com')");
}

static void check_qualified(std::string_view text, std::vector<std::string> &out)
{
    static constexpr const char *rule = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                                        "alphanumeric character (e.g. 'MyName', or 'my.name', or '123-abc')";
    size_t slash = text.find('/');
    if (slash != std::string_view::npos && text.find('/', slash + 1) != std::string_view::npos) {
        out.push_back(text_format("a qualified name %s with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')", rule));
        return;
    }
    std::string_view name = slash == std::string_view::npos ? text : text.substr(slash + 1);
    if (slash == 0)
        out.push_back("prefix part must be non-empty");
    else if (slash != std::string_view::npos)
        for (const std::string &fault : pod_name_faults(name_form::subdomain, text.substr(0, slash)))
            out.push_back("prefix part " + fault);
    if (name.empty())
        out.push_back("name part must be non-empty");
    else if (name.size() > label_size_max)
        out.push_back("name part " + too_long(label_size_max));
    if (!is_word(name, "-_.", is_alphanumeric))
        out.push_back(std::string("name part ") + rule);
}

static void check_port_name(std::string_view text, std::vector<std::string> &out)
{
    if (text.size() > port_name_size_max)
        out.push_back(too_long(port_name_size_max));
    if (text.empty() || !std::all_of(text.begin(), text.end(), [](char c) { return is_plain(c) || c == '-'; }))
        out.push_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    if (!std::any_of(text.begin(), text.end(), is_lower))
        out.push_back("must contain at least one letter (a-z)");
    if (text.find("--") != std::string_view::npos)
        out.push_back("must not contain consecutive hyphens");
    if (!text.empty() && (text.front() == '-' || text.back() == '-'))
        out.push_back("must not begin or end with a hyphen");
}

static void check_config_key(std::string_view text, std::vector<std::string> &out)
{
    if (text.size() > subdomain_size_max)
        out.push_back(too_long(subdomain_size_max));
    auto fits = [](char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; };
    if (text.empty() || !std::all_of(text.begin(), text.end(), fits))
        out.push_back(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', or 'KEY_NAME', or 'key-name')");
    if (text == "." || text == "..")
        out.push_back("must not be '" + std::string(text) + "'");
    else if (text.starts_with(".."))
        out.push_back("must not start with '..'");
}

static bool is_address(std::string_view text)
{
    struct in6_addr bytes;
    std::string copy(text);
    return inet_pton(AF_INET, copy.c_str(), &bytes) == 1 || inet_pton(AF_INET6, copy.c_str(), &bytes) == 1;
}

std::vector<std::string> pod_name_faults(name_form form, std::string_view text)
{
    std::vector<std::string> out;
    auto expect = [&](bool good, const char *fault) {
        if (!good)
            out.emplace_back(fault);
    };
    switch (form) {
    case name_form::label: check_label(text, out); break;
    case name_form::subdomain: check_subdomain(text, out); break;
    case name_form::qualified: check_qualified(text, out); break;
    case name_form::label_value:
        if (text.size() > label_size_max)
            out.push_back(too_long(label_size_max));
        expect(text.empty() || is_word(text, "-_.", is_alphanumeric),
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyValue', or 'my_value', or '12345')");
        break;
    case name_form::port_name: check_port_name(text, out); break;
    case name_form::variable:
        expect(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~' && c != '='; }),
            "a valid environment variable name must consist only of printable ASCII characters other than '='");
        break;
    case name_form::config_key: check_config_key(text, out); break;
    case name_form::header:
        expect(!text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || c == '-'; }),
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name')");
        break;
    case name_form::search_domain:
        expect(is_search_domain(text), "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or "
                                       "'.', and must start and end with an alphanumeric character (e.g. 'example.com')");
        break;
    case name_form::sysctl:
        expect(text.size() <= subdomain_size_max && are_words(text, "./", "-_"),
            "must have at most 253 characters, in segments of lower case alphanumeric characters, '-' and '_' joined by '.' or '/'");
        break;
    case name_form::ip: expect(is_address(text), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"); break;
    case name_form::port_number: {
        uint64_t number = 0;
        expect(text_parse_u64(text, number) && number >= 1 && number <= 65535, "must be between 1 and 65535, inclusive");
        break;
    }
    }
    return out;
}

bool pod_label_is_valid(std::string_view name) { return pod_name_faults(name_form::label, name).empty(); }

bool pod_name_is_valid(std::string_view name) { return pod_name_faults(name_form::subdomain, name).empty(); }

} // namespace etlnode::kubectl_local
