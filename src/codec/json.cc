// SPDX-License-Identifier: MIT
// codec/json.cc: cJSON with strict parsing and exact printing.
//
// Owns     trees through json_ptr.
// Knows    base, cJSON.              Known by  everything that speaks JSON.
// Order    its own scan comes first. It refuses what cJSON accepts (excessive depth, numbers such as 01, control bytes, escaped NULs that
//          would cut a string short, invalid UTF-8) and says where the error is and what was expected. cJSON then builds the tree.
// Limits   json_depth_max.
#include "codec/json.h"

#include <array>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/source_location.h"

namespace etlnode {

// ---- reading

struct scan {
    std::string_view text;
    size_t at = 0;
    const char *problem = nullptr;
};

static bool fail(scan &s, size_t at, const char *problem)
{
    s.at = at;
    s.problem = problem;
    return false;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static char peek(const scan &s, size_t at) { return at < s.text.size() ? s.text[at] : '\0'; }

// Requires: s.at points behind the opening quote. Ensures: it points behind the closing one.
static bool scan_string(scan &s, size_t opened_at)
{
    while (s.at < s.text.size()) {
        char c = s.text[s.at];
        if (c == '"') {
            s.at++;
            return true;
        }
        if (static_cast<uint8_t>(c) < 0x20)
            return fail(s, s.at, c == '\n' || c == '\r' ? "line end inside a string" : "control byte inside a string");
        if (c == '\\') {
            char escaped = peek(s, s.at + 1);
            if (escaped == 'u') {
                std::string_view hex = s.text.substr(s.at + 2, 4);
                uint64_t value = 0;
                if (hex.size() < 4 || !text_parse_hex_u64(hex, value))
                    return fail(s, s.at, "four hexadecimal digits expected after \\u");
                if (value == 0)
                    return fail(s, s.at, "a NUL character (\\u0000) inside a string is not accepted");
            } else if (escaped == '\0' || strchr("\"\\/bfnrt", escaped) == nullptr) {
                return fail(s, s.at, "unknown escape in a string");
            }
            s.at++;
        }
        s.at++;
    }
    return fail(s, opened_at, "string without its closing quote");
}

static bool scan_number(scan &s)
{
    size_t start = s.at;
    if (peek(s, s.at) == '-')
        s.at++;
    if (peek(s, s.at) == '0') {
        s.at++;
    } else {
        if (!is_digit(peek(s, s.at)))
            return fail(s, start, "malformed number");
        while (is_digit(peek(s, s.at)))
            s.at++;
    }
    if (peek(s, s.at) == '.') {
        s.at++;
        if (!is_digit(peek(s, s.at)))
            return fail(s, start, "malformed number");
        while (is_digit(peek(s, s.at)))
            s.at++;
    }
    if (peek(s, s.at) == 'e' || peek(s, s.at) == 'E') {
        s.at++;
        if (peek(s, s.at) == '+' || peek(s, s.at) == '-')
            s.at++;
        if (!is_digit(peek(s, s.at)))
            return fail(s, start, "malformed number");
        while (is_digit(peek(s, s.at)))
            s.at++;
    }
    // cJSON copies only the first 64 bytes of a number.
    if (s.at - start > 60)
        return fail(s, start, "a number of more than 60 characters is not accepted");
    char next = peek(s, s.at);
    if (is_digit(next) || next == '.' || next == '-' || next == '+' || next == 'e' || next == 'E')
        return fail(s, start, "malformed number");
    return true;
}

static bool scan_word(scan &s, std::string_view word)
{
    if (s.text.substr(s.at, word.size()) != word)
        return fail(s, s.at, "a value expected");
    s.at += word.size();
    return true;
}

static bool scan_scalar(scan &s)
{
    char c = s.text[s.at];
    if (c == '"') {
        s.at++;
        return scan_string(s, s.at - 1);
    }
    if (c == '-' || is_digit(c))
        return scan_number(s);
    return scan_word(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
}

// What the grammar allows next.
enum class awaiting : uint8_t { value, value_or_end, key, key_or_end, colon, comma_or_end, nothing };

static const char *expected(awaiting next, bool in_object)
{
    switch (next) {
    case awaiting::value: return "a value expected";
    case awaiting::value_or_end: return "a value or ']' expected";
    case awaiting::key: return "a key in double quotes expected";
    case awaiting::key_or_end: return "a key in double quotes or '}' expected";
    case awaiting::colon: return "':' expected";
    case awaiting::comma_or_end: return in_object ? "',' or '}' expected" : "',' or ']' expected";
    case awaiting::nothing: return "more text after the JSON value";
    }
    return "";
}

static bool scan_text(scan &s)
{
    std::array<bool, json_depth_max> is_object{};
    size_t depth = 0;
    awaiting next = awaiting::value;
    while (s.at < s.text.size()) {
        char c = s.text[s.at];
        bool in_object = depth > 0 && is_object[depth - 1];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            s.at++;
            continue;
        }
        if (static_cast<uint8_t>(c) < 0x20)
            return fail(s, s.at, c == '\0' ? "NUL byte" : "control byte");
        bool wants_value = next == awaiting::value || next == awaiting::value_or_end;
        bool wants_key = next == awaiting::key || next == awaiting::key_or_end;
        bool wants_end = next == awaiting::value_or_end || next == awaiting::key_or_end || next == awaiting::comma_or_end;
        if (wants_end && c == (in_object ? '}' : ']')) {
            depth--;
            next = depth == 0 ? awaiting::nothing : awaiting::comma_or_end;
            s.at++;
        } else if (wants_value && (c == '{' || c == '[')) {
            if (depth == json_depth_max)
                return fail(s, s.at, "nested too deeply");
            is_object[depth++] = c == '{';
            next = c == '{' ? awaiting::key_or_end : awaiting::value_or_end;
            s.at++;
        } else if (next == awaiting::comma_or_end && c == ',') {
            next = in_object ? awaiting::key : awaiting::value;
            s.at++;
        } else if (next == awaiting::colon && c == ':') {
            next = awaiting::value;
            s.at++;
        } else if (wants_key && c == '"') {
            if (!scan_scalar(s))
                return false;
            next = awaiting::colon;
        } else if (wants_value) {
            if (!scan_scalar(s))
                return false;
            next = depth == 0 ? awaiting::nothing : awaiting::comma_or_end;
        } else {
            return fail(s, s.at, expected(next, in_object));
        }
    }
    if (next == awaiting::nothing)
        return true;
    if (depth == 0)
        return fail(s, s.at, "empty, a JSON value expected");
    return fail(s, s.at, is_object[depth - 1] ? "unexpected end, '}' is missing" : "unexpected end, ']' is missing");
}

static std::string place(std::string_view text, size_t at)
{
    size_t line, column;
    source_location_find(text, at, line, column);
    return text_format("line %zu, column %zu: ", line, column);
}

static error refuse(std::string_view text, size_t at, const char *problem, std::string &out_where)
{
    out_where = place(text, at) + problem;
    return make_error(error_code::bad_json);
}

error json_parse(std::string_view text, json_ptr &out_tree, std::string &out_where)
{
    out_tree.reset();
    std::string_view body = text;
    if (body.starts_with("\xef\xbb\xbf"))
        body.remove_prefix(3);
    if (!text_is_utf8(body))
        return refuse(body, source_location_utf8_size(body), "not UTF-8", out_where);
    scan s{.text = body};
    if (!scan_text(s))
        return refuse(body, s.at, s.problem, out_where);
    const char *end = nullptr;
    json_ptr tree(cJSON_ParseWithLengthOpts(body.data(), body.size(), &end, 0));
    // The scan accepted the text, so the error is one of the few that it leaves to cJSON: an escape that is not a character.
    if (tree == nullptr) {
        size_t stop = end == nullptr || end < body.data() ? 0 : static_cast<size_t>(end - body.data());
        return refuse(body, stop < body.size() ? stop : body.size(), "escape that is not a character", out_where);
    }
    out_tree = std::move(tree);
    return no_error;
}

const cJSON *json_get(const cJSON *object, const char *key) { return cJSON_IsObject(object) ? cJSON_GetObjectItem(object, key) : nullptr; }

std::string_view json_text(const cJSON *object, const char *key)
{
    const cJSON *item = json_get(object, key);
    return cJSON_IsString(item) && item->valuestring != nullptr ? std::string_view(item->valuestring) : std::string_view();
}

uint64_t json_u64(const cJSON *object, const char *key, uint64_t fallback)
{
    static constexpr double exact_max = 9007199254740992.0; // 2^53
    const cJSON *item = json_get(object, key);
    uint64_t value = 0;
    if (cJSON_IsString(item) || cJSON_IsRaw(item))
        return item->valuestring != nullptr && text_parse_u64(item->valuestring, value) ? value : fallback;
    if (!cJSON_IsNumber(item))
        return fallback;
    double number = item->valuedouble;
    if (!(number >= 0 && number <= exact_max) || std::floor(number) != number)
        return fallback;
    return static_cast<uint64_t>(number);
}

bool json_bool(const cJSON *object, const char *key, bool fallback)
{
    const cJSON *item = json_get(object, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) != 0 : fallback;
}

bool json_read_u64(const cJSON *object, const char *key, uint64_t &out_value)
{
    const cJSON *item = json_get(object, key);
    if (item == nullptr || (!cJSON_IsString(item) && !cJSON_IsNumber(item)))
        return false;
    // Two different fallbacks distinguish an invalid value from one that happens to equal the fallback.
    uint64_t value = json_u64(object, key, 0);
    if (value == 0 && json_u64(object, key, 1) != 0)
        return false;
    out_value = value;
    return true;
}

bool json_read_text(const cJSON *object, const char *key, size_t size_max, std::string &out_text)
{
    std::string_view text = json_text(object, key);
    if (!cJSON_IsString(json_get(object, key)) || text.size() > size_max)
        return false;
    out_text = text;
    return true;
}

bool json_read_bool(const cJSON *object, const char *key, bool &out_value)
{
    if (!cJSON_IsBool(json_get(object, key)))
        return false;
    out_value = json_bool(object, key, false);
    return true;
}

bool json_read_word(const cJSON *object, const char *key, std::span<const std::string_view> words, size_t &out_index)
{
    std::string_view text = json_text(object, key);
    for (size_t i = 0; i < words.size(); i++) {
        if (words[i] == text) {
            out_index = i;
            return true;
        }
    }
    return false;
}

// ---- writing

// Running out of memory ends the process. This is a policy, so callers need not handle it.
static cJSON *made(cJSON *item)
{
    CHECK(item != nullptr);
    return item;
}

static cJSON *add(cJSON *object, const char *key, cJSON *item)
{
    bool added = cJSON_AddItemToObject(object, key, made(item)) != 0;
    CHECK(added);
    return item;
}

json_ptr json_object() { return json_ptr(made(cJSON_CreateObject())); }
json_ptr json_array() { return json_ptr(made(cJSON_CreateArray())); }

// Size of the valid UTF-8 character at the start of `text`, or 0 if there is none. NUL counts as invalid, because a C string cannot hold
// it.
static size_t character_size(std::string_view text)
{
    uint8_t first = static_cast<uint8_t>(text[0]);
    if (first == 0)
        return 0;
    if (first < 0x80)
        return 1;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    return text.size() >= size && text_is_utf8(text.substr(0, size)) ? size : 0;
}

static std::string clean_text(std::string_view text)
{
    if (text_is_utf8(text) && text.find('\0') == text.npos)
        return std::string(text);
    std::string out;
    out.reserve(text.size() + 8);
    while (!text.empty()) {
        size_t size = character_size(text);
        if (size == 0) {
            out += "\xef\xbf\xbd";
            text.remove_prefix(1);
        } else {
            out += text.substr(0, size);
            text.remove_prefix(size);
        }
    }
    return out;
}

static cJSON *make_text(std::string_view value) { return made(cJSON_CreateString(clean_text(value).c_str())); }

cJSON *json_add_text(cJSON *object, const char *key, std::string_view value) { return add(object, key, make_text(value)); }
void json_add_u64(cJSON *object, const char *key, uint64_t value) { add(object, key, cJSON_CreateRaw(std::to_string(value).c_str())); }
void json_add_u64_text(cJSON *object, const char *key, uint64_t value)
{
    add(object, key, cJSON_CreateString(std::to_string(value).c_str()));
}
void json_add_i64(cJSON *object, const char *key, int64_t value) { add(object, key, cJSON_CreateRaw(std::to_string(value).c_str())); }
void json_add_bool(cJSON *object, const char *key, bool value) { add(object, key, cJSON_CreateBool(value)); }
cJSON *json_add_object(cJSON *object, const char *key) { return add(object, key, cJSON_CreateObject()); }
cJSON *json_add_array(cJSON *object, const char *key) { return add(object, key, cJSON_CreateArray()); }

cJSON *json_add_tree(cJSON *object, const char *key, json_ptr tree)
{
    return add(object, key, tree != nullptr ? tree.release() : cJSON_CreateNull());
}

void json_append(cJSON *array, json_ptr tree)
{
    bool added = cJSON_AddItemToArray(array, made(tree != nullptr ? tree.release() : cJSON_CreateNull())) != 0;
    CHECK(added);
}

void json_append_text(cJSON *array, std::string_view value) { json_append(array, json_ptr(make_text(value))); }

// ---- printing

std::string json_print(const cJSON *tree)
{
    char *printed = cJSON_PrintUnformatted(tree);
    CHECK(printed != nullptr);
    std::string out(printed);
    cJSON_free(printed);
    return out;
}

static void print_quoted(std::string &out, const char *text)
{
    static constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (const char *at = text; *at != '\0'; at++) {
        uint8_t c = static_cast<uint8_t>(*at);
        switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        default:
            if (c < 0x20) {
                out += "\\u00";
                out += digits[c >> 4];
                out += digits[c & 15];
            } else {
                out += *at;
            }
        }
    }
    out += '"';
}

// The recursion is as deep as the tree, and json_depth_max bounds the depth of everything that came from outside.
static void print_pretty(std::string &out, const cJSON *item, size_t indent)
{
    bool is_object = cJSON_IsObject(item);
    if (!is_object && !cJSON_IsArray(item)) {
        if (cJSON_IsString(item))
            print_quoted(out, item->valuestring);
        else
            out += json_print(item);
        return;
    }
    out += is_object ? '{' : '[';
    for (const cJSON *child = item->child; child != nullptr; child = child->next) {
        out += child == item->child ? "\n" : ",\n";
        out.append(indent + 2, ' ');
        if (is_object) {
            print_quoted(out, child->string);
            out += ": ";
        }
        print_pretty(out, child, indent + 2);
    }
    if (item->child != nullptr) {
        out += '\n';
        out.append(indent, ' ');
    }
    out += is_object ? '}' : ']';
}

std::string json_print_pretty(const cJSON *tree)
{
    std::string out;
    print_pretty(out, tree, 0);
    out += '\n';
    return out;
}

// ---- base64

static constexpr char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64_encode(std::string_view bytes)
{
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        size_t count = bytes.size() - i < 3 ? bytes.size() - i : 3;
        uint32_t group = 0;
        for (size_t j = 0; j < 3; j++)
            group = group << 8 | (j < count ? static_cast<uint8_t>(bytes[i + j]) : 0u);
        for (size_t j = 0; j < 4; j++)
            out += j <= count ? base64_digits[group >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(std::string_view text, std::string &out_bytes)
{
    if (text.size() % 4 != 0)
        return false;
    std::string out;
    out.reserve(text.size() / 4 * 3);
    for (size_t i = 0; i < text.size(); i += 4) {
        size_t padding = 0;
        if (i + 4 == text.size())
            padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int value = j < 4 - padding ? base64_value(text[i + j]) : 0;
            if (value < 0)
                return false;
            group = group << 6 | static_cast<uint32_t>(value);
        }
        // The bits that the padding cuts off must be zero; otherwise two texts would encode the same bytes.
        if ((padding == 1 && (group & 0xff) != 0) || (padding == 2 && (group & 0xffff) != 0))
            return false;
        for (size_t j = 0; j < 3 - padding; j++)
            out += static_cast<char>(group >> (16 - 8 * j) & 0xff);
    }
    out_bytes = std::move(out);
    return true;
}

} // namespace etlnode
