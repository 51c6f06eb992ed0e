// SPDX-License-Identifier: MIT
// store/object_name.cc: the rules for names. Names are index keys, never file names, so AIStore's rules apply and not the file system's.
#include "store/object_name.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

static bool bucket_byte_is_good(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

const char *object_name_check_bucket(std::string_view bucket)
{
    if (bucket.empty())
        return "the bucket name is empty";
    if (bucket.size() > bucket_name_size_max)
        return "the bucket name is longer than 64 characters";
    if (!std::all_of(bucket.begin(), bucket.end(), bucket_byte_is_good))
        return "the bucket name may contain only letters, digits, dashes (-), underscores (_) and dots (.)";
    if (bucket.front() == '.')
        return "bucket names that start with a dot (.) are reserved";
    if (bucket.find("..") != std::string_view::npos)
        return "the bucket name contains two dots in a row (..)";
    return nullptr;
}

static bool has_dot_component(std::string_view name)
{
    while (true) {
        size_t slash = name.find('/');
        std::string_view component = name.substr(0, slash);
        if (component == "." || component == "..")
            return true;
        if (slash == std::string_view::npos)
            return false;
        name.remove_prefix(slash + 1);
    }
}

const char *object_name_check(std::string_view name)
{
    if (name.empty())
        return "the object name is empty";
    if (name.size() > object_name_size_max)
        return "the object name is longer than 1,024 bytes";
    if (name.front() == '/')
        return "the object name starts with a slash (/)";
    if (name.back() == '/')
        return "the object name ends with a slash (/)";
    if (name.starts_with("~/"))
        return "the object name starts with ~/";
    if (name.find('\0') != std::string_view::npos)
        return "the object name contains a NUL byte";
    if (has_dot_component(name))
        return "the object name has a component . or ..";
    if (!text_is_utf8(name))
        return "the object name is not valid UTF-8";
    return nullptr;
}

} // namespace etlnode
