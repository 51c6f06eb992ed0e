// SPDX-License-Identifier: MIT
// codec/json.h: JSON through cJSON: parsing with an error position, checked access to fields, exact 64-bit numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <cjson/cJSON.h>

#include "base/error.h"

namespace etlnode {

struct json_deleter {
    void operator()(cJSON *tree) const { cJSON_Delete(tree); }
};
using json_ptr = std::unique_ptr<cJSON, json_deleter>;

// On failure `out_where` is "line 3, column 14: ...". Refuses trailing garbage, NUL bytes, and a depth above 64.
error json_parse(std::string_view text, json_ptr &out_tree, std::string &out_where);
// Compact, without a newline.
std::string json_print(const cJSON *tree);
std::string json_print_pretty(const cJSON *tree); // two spaces an indent, newline at the end

// A field of an object. Keys match whatever their case, as in Go's decoder. A null object has no fields.
const cJSON *json_get(const cJSON *object, const char *key);
// An empty view if the field is absent or not a string. Lifetime: the tree.
std::string_view json_text(const cJSON *object, const char *key);
// A number (exact up to 2^53) or a decimal string (exact up to 2^64-1); `fallback` if absent or invalid.
uint64_t json_u64(const cJSON *object, const char *key, uint64_t fallback);
bool json_bool(const cJSON *object, const char *key, bool fallback);
// Strict variants: they return false and write nothing if the field is absent, of another kind, or out of range.
bool json_read_u64(const cJSON *object, const char *key, uint64_t &out_value); // number or decimal string
bool json_read_text(const cJSON *object, const char *key, size_t size_max, std::string &out_text);
bool json_read_bool(const cJSON *object, const char *key, bool &out_value);
bool json_read_word(const cJSON *object, const char *key, std::span<const std::string_view> words, size_t &out_index);

json_ptr json_object();
json_ptr json_array();
// These add to `object` and return the new item, which the object owns.
cJSON *json_add_text(cJSON *object, const char *key, std::string_view value); // invalid UTF-8 bytes become U+FFFD
void json_add_u64(cJSON *object, const char *key, uint64_t value);            // a number token with all its digits
void json_add_u64_text(cJSON *object, const char *key, uint64_t value);       // "123"
void json_add_i64(cJSON *object, const char *key, int64_t value);
void json_add_bool(cJSON *object, const char *key, bool value);
cJSON *json_add_object(cJSON *object, const char *key);
cJSON *json_add_array(cJSON *object, const char *key);
cJSON *json_add_tree(cJSON *object, const char *key, json_ptr tree);
void json_append(cJSON *array, json_ptr tree);
void json_append_text(cJSON *array, std::string_view value);

std::string base64_encode(std::string_view bytes);
bool base64_decode(std::string_view text, std::string &out_bytes); // standard alphabet, padded; whitespace refused

} // namespace etlnode
