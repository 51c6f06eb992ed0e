// SPDX-License-Identifier: MIT
// transfer/stage.h: one object on its way through one pod, whatever mode carries it: what a transfer sees of that.
//
// A mode begins a stage (transfer_mode.begin), which sends by itself what is to be sent. The transfer hears of the answer's head or of a failure. With the
// head the stage becomes a source: the answer's body. Until then it may be cancelled.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/http_parse.h"
#include "object/source.h"

namespace etlnode {

struct stage_failure {
    error err;
    std::string_view begun = {}; // the first bytes of a head that never came to its end
    std::string text = {};       // the whole message for the user, where the mode knows better words than those of `err`
};

// Who hears of a stage: exactly one of the two calls comes, unless the stage is cancelled before, and none before the mode's begin has returned.
struct stage_listener {
    // The answer's head, in the words of HTTP also where the mode speaks something else. The listener takes the answer (stage_take_answer).
    void (*on_head)(void *arg, const http_head &head) = nullptr;
    // The stage is gone.
    void (*on_failed)(void *arg, const stage_failure &failure) = nullptr;
    void *arg = nullptr;
};

struct stage_ops {
    source (*answer)(void *self, uint64_t patience_ms); // the body, after on_head
    void (*cancel)(void *self);                         // no callback will come
};
struct stage {
    const stage_ops *ops = nullptr; // null: there is none
    void *self = nullptr;
};

inline bool stage_is_open(const stage &s) { return s.ops != nullptr; }
// In on_head: turns the stage into its answer's body. `patience_ms`: an answer that gives nothing for longer is given up.
inline source stage_take_answer(stage &s, uint64_t patience_ms)
{
    source answer = s.ops->answer(s.self, patience_ms);
    s = stage{};
    return answer;
}
// No effect where there is no stage, and leaves none.
inline void stage_cancel(stage &s)
{
    if (s.ops != nullptr)
        s.ops->cancel(s.self);
    s = stage{};
}

} // namespace etlnode
