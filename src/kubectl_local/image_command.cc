// SPDX-License-Identifier: MIT
// kubectl_local/image_command.cc: `image`: creates, lists and removes images.
#include "kubectl_local/commands.h"

#include "base/text.h"
#include "kubectl_local/image.h"

namespace etlnode::kubectl_local {

static std::string join(const std::vector<std::string> &words)
{
    std::string out;
    for (const std::string &word : words)
        out += (out.empty() ? "" : " ") + word;
    return out;
}

static int list_images(const command &c)
{
    std::vector<std::vector<std::string>> rows;
    if (!options_bool(c.o, "no-headers", false))
        rows.push_back({"NAME", "TAG", "COMMAND"});
    for (const image_reference &one : image_list(c.state)) {
        image_config config;
        std::string text;
        if (!image_load(c.state, one, config, text))
            continue;
        std::vector<std::string> line = config.entrypoint;
        line.insert(line.end(), config.cmd.begin(), config.cmd.end());
        rows.push_back({one.name, one.tag, line.empty() ? "<none>" : join(line)});
    }
    table t;
    return command_write(print_rows(t, rows)) ? 0 : 1;
}

static bool parse_image_name(const std::string &text, image_reference &out_reference, int &out_code)
{
    reference_verdict verdict = image_parse_reference(text, out_reference);
    if (verdict == reference_verdict::digest)
        out_code = command_fail(
            text_format("image \"%s\": kubectl-local does not support digests; use a tag", text_escape(text, 200).c_str()));
    else if (verdict == reference_verdict::invalid)
        out_code = command_fail(
            text_format("invalid image name \"%s\": expected [HOST[:PORT]/]NAME[:TAG] in lower case", text_escape(text, 200).c_str()));
    return verdict == reference_verdict::good;
}

int command_image(const command &c)
{
    const std::vector<std::string> &words = c.o.words;
    image_reference reference;
    int code = 0;
    if (words.size() == 1 && words[0] == "ls")
        return list_images(c);
    if (words.size() >= 2 && words[0] == "rm") {
        for (size_t i = 1; i < words.size(); i++) {
            int bad = 0;
            if (!parse_image_name(words[i], reference, bad))
                code = bad;
            else if (!image_remove(c.state, reference))
                code = command_fail(text_format("no image \"%s\"", image_text(reference).c_str()));
            else
                command_write(text_format("image \"%s\" deleted\n", image_text(reference).c_str()));
        }
        return code;
    }
    if (words.size() < 2)
        return command_fail(
            "expected 'image NAME DIR [ENTRYPOINT...]', 'image ls' or 'image rm NAME'.\nSee 'kubectl-local image --help' for usage");
    if (!parse_image_name(words[0], reference, code))
        return code;
    image_build build;
    build.directory = words[1];
    build.entrypoint.assign(words.begin() + 2, words.end());
    build.env = options_all(c.o, "env");
    build.working_dir = options_text(c.o, "workdir", "");
    for (const std::string &entry : build.env)
        if (entry.find('=') == std::string::npos || entry.front() == '=')
            return command_fail(text_format("--env expects NAME=VALUE, not \"%s\"", text_escape(entry, 80).c_str()));
    std::string text;
    if (!image_create(c.state, reference, build, text))
        return command_fail(text);
    return command_write(text_format("image %s created\n", image_text(reference).c_str())) ? 0 : 1;
}

} // namespace etlnode::kubectl_local
