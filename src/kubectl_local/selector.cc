// SPDX-License-Identifier: MIT
// kubectl_local/selector.cc: label selectors in the syntax of kubectl -l.
#include "kubectl_local/selector.h"

#include <algorithm>

#include "base/text.h"

namespace etlnode::kubectl_local {

struct scanner {
    std::string_view text;
    size_t at = 0;
};

static void skip_space(scanner &s)
{
    while (s.at < s.text.size() && (s.text[s.at] == ' ' || s.text[s.at] == '\t'))
        s.at++;
}

static bool take(scanner &s, std::string_view token)
{
    skip_space(s);
    if (!s.text.substr(s.at).starts_with(token))
        return false;
    s.at += token.size();
    return true;
}

static bool at_end(scanner &s)
{
    skip_space(s);
    return s.at == s.text.size();
}

static std::string take_word(scanner &s)
{
    skip_space(s);
    size_t from = s.at;
    while (s.at < s.text.size()) {
        char c = s.text[s.at];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
                     c == '/';
        if (!plain)
            break;
        s.at++;
    }
    return std::string(s.text.substr(from, s.at - from));
}

static bool take_set(scanner &s, requirement &out)
{
    if (!take(s, "("))
        return false;
    do
        out.values.push_back(take_word(s));
    while (take(s, ","));
    return take(s, ")");
}

static bool parse_requirement(scanner &s, requirement &out)
{
    bool negated = take(s, "!");
    out.key = take_word(s);
    if (out.key.empty())
        return false;
    out.kind = negated ? requirement_kind::absent : requirement_kind::exists;
    if (negated)
        return true;
    if (take(s, "!=")) {
        out.kind = requirement_kind::not_in;
        out.values = {take_word(s)};
        return true;
    }
    if (take(s, "==") || take(s, "=")) {
        out.kind = requirement_kind::in;
        out.values = {take_word(s)};
        return true;
    }
    size_t mark = s.at;
    std::string word = take_word(s);
    if (word == "in" || word == "notin") {
        out.kind = word == "in" ? requirement_kind::in : requirement_kind::not_in;
        return take_set(s, out);
    }
    s.at = mark;
    return word.empty();
}

bool selector_parse(std::string_view text, selector &out_selector, std::string &out_text)
{
    out_selector.clear();
    scanner s{text};
    if (at_end(s))
        return true;
    do {
        requirement one;
        if (!parse_requirement(s, one)) {
            out_text = text_format("unable to parse requirement: \"%s\" at offset %zu", text_escape(text, 200).c_str(), s.at);
            return false;
        }
        out_selector.push_back(std::move(one));
    } while (take(s, ","));
    if (at_end(s))
        return true;
    out_text = text_format("unable to parse requirement: found '%c', expected: ',' or 'end of string'", s.text[s.at]);
    return false;
}

bool selector_matches(const selector &wanted, const cJSON *labels)
{
    for (const requirement &one : wanted) {
        const cJSON *label = cJSON_GetObjectItemCaseSensitive(labels, one.key.c_str());
        bool exists = cJSON_IsString(label);
        bool listed = exists && std::find(one.values.begin(), one.values.end(), label->valuestring) != one.values.end();
        bool good = false;
        switch (one.kind) {
        case requirement_kind::exists: good = exists; break;
        case requirement_kind::absent: good = !exists; break;
        case requirement_kind::in: good = listed; break;
        case requirement_kind::not_in: good = !listed; break; // a missing label counts as different
        }
        if (!good)
            return false;
    }
    return true;
}

} // namespace etlnode::kubectl_local
