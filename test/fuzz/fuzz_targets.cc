// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_targets.cc: finds a target by its name.
#include "fuzz.h"

#define TARGET(name, mutations) FUZZ_TARGET(name);
#include "targets.def"
#undef TARGET

#define TARGET(name, mutations) {#name, mutations, fuzz_target_##name},
static constexpr etlnode::fuzz_target targets[] = {
#include "targets.def"
};
#undef TARGET

namespace etlnode {

const fuzz_target *fuzz_find_target(std::string_view name)
{
    for (const fuzz_target &target : targets) {
        if (target.name == name)
            return &target;
    }
    std::fprintf(stderr, "etlnode-fuzz: \"%.*s\" is no target; there are:", static_cast<int>(name.size()), name.data());
    for (const fuzz_target &target : targets)
        std::fprintf(stderr, " %s", target.name.data());
    std::fprintf(stderr, "\n");
    return nullptr;
}

} // namespace etlnode
