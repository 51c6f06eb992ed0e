// SPDX-License-Identifier: MIT
// store/content_path.cc: names of content files.
#include "store/content_path.h"

#include "base/text.h"

namespace etlnode {

static std::string hex(uint64_t value, size_t digits)
{
    std::string out(digits, '0');
    for (size_t i = digits; i-- > 0; value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
    return out;
}

std::string content_name(uint64_t id) { return hex(id, 16); }

bool content_name_parse(std::string_view name, uint64_t &out_id)
{
    return name.size() == 16 && text_parse_hex_u64(name, out_id) && content_name(out_id) == name;
}

std::string content_temp_dir(const std::string &dir) { return dir + "/tmp"; }
std::string content_objects_dir(const std::string &dir) { return dir + "/objects"; }
std::string content_group_dir(const std::string &dir, unsigned group) { return content_objects_dir(dir) + "/" + hex(group, 2); }
std::string content_temp_path(const std::string &dir, uint64_t id) { return content_temp_dir(dir) + "/" + content_name(id); }
std::string content_final_path(const std::string &dir, uint64_t id)
{
    return content_group_dir(dir, content_group(id)) + "/" + content_name(id);
}

} // namespace etlnode
