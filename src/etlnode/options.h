// SPDX-License-Identifier: MIT
// etlnode/options.h: the daemon's options: flags, their environment twins and the config file, declared once.
//
// Precedence: flag, environment, config file, default. Every option NAME has the flag --NAME, the variable ETLNODE_NAME (upper case, with
// '_' for '-') and the config key NAME. A list is several flags, a variable with commas, or a sequence (or one value) in the file.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode {

struct option_row {
    const char *name;
    const char *value;     // placeholder in --help
    const char *fallback;  // default; "" for none
    const char *other_env; // a second variable, read after the twin; null for none
    const char *help;
    bool is_list = false; // may be repeated; newlines join its values
};

std::span<const option_row> option_rows();

enum class option_origin : unsigned char { fallback, file, environment, flag };
struct option_value {
    std::string text;
    option_origin origin = option_origin::fallback;
    std::string location; // of a value from the file: "etlnode.yaml, line 3, column 5"
};
using option_values = std::map<std::string, option_value, std::less<>>;

enum class option_outcome : unsigned char { run, exit_ok, exit_usage };
struct option_request {
    bool check_config = false;
    bool show_config = false;
    bool is_misused = false;           // a word belongs to no option, or an option is given twice
    std::vector<std::string> problems; // of the command line and the file; the values hold whatever could be read
};

// Parses everything. exit_ok: --help or --version was printed. exit_usage: the reason was printed on stderr; further errors could not be
// determined.
option_outcome options_parse(int argc, char **argv, option_values &out_values, option_request &out_request);
// Variables in `environment` ("NAME=value", terminated by null) that look like a misspelt twin, as messages: "ETLNODE_LISTN is not read:
// did you mean ETLNODE_LISTEN?".
std::vector<std::string> options_misspelt(const char *const *environment);
// Applies one config file's text to `values`, with lower precedence than flags and environment. Each of `out_problems` is a location and an
// error; valid entries are applied anyway. False if the file cannot be parsed at all.
bool options_apply_file(std::string_view text, const std::string &path, option_values &values, std::vector<std::string> &out_problems);
std::string_view option_get(const option_values &values, std::string_view name);
std::vector<std::string> option_get_list(const option_values &values, std::string_view name);
const char *option_origin_name(option_origin origin);

} // namespace etlnode
