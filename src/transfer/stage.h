// SPDX-License-Identifier: MIT
// transfer/stage.h: one object on its way through one pod, as a transfer sees it in every mode.
//
// A mode begins a stage (transfer_mode.begin). The stage sends everything by itself and reports the answer's head, or a failure. With the
// head it becomes a source, the answer's body. Until then it may be cancelled.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/http_parse.h"
#include "object/source.h"

namespace etlnode {

struct stage_failure {
    error err;
    std::string_view begun = {}; // the first bytes of a head that never ended
    std::string text = {};       // the whole message for the user; empty: `err` supplies the words
};

// Who hears of a stage. Exactly one of the two calls comes, after the mode's begin has returned; none comes after stage_cancel.
struct stage_listener {
    // The answer's head, as HTTP would put it, whatever the mode speaks. The listener takes the body (stage_take_answer).
    void (*on_head)(void *arg, const http_head &head) = nullptr;
    // The stage has been freed.
    void (*on_failed)(void *arg, const stage_failure &failure) = nullptr;
    void *arg = nullptr;
};

struct stage_ops {
    source (*answer)(void *self, uint64_t patience_ms); // the body, after on_head
    void (*cancel)(void *self);                         // no callback will come
};
struct stage {
    const stage_ops *ops = nullptr; // null: no stage
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
