// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_libfuzzer.cc: passes libFuzzer's inputs to the target that --target=NAME names. libFuzzer ignores options with two dashes.
#include "base/log.h"
#include "fuzz.h"

using namespace etlnode;

static const fuzz_target *chosen;

extern "C" int LLVMFuzzerInitialize(int *argc, char ***argv);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern "C" int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static constexpr std::string_view option = "--target=";
    log_set_level(log_level::error);
    std::string_view name;
    for (int i = 1; i < *argc; i++) {
        std::string_view argument = (*argv)[i];
        if (argument.starts_with(option))
            name = argument.substr(option.size());
    }
    chosen = fuzz_find_target(name);
    if (chosen == nullptr)
        std::exit(2);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    chosen->run({reinterpret_cast<const char *>(data), size});
    return 0;
}
