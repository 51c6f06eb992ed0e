// SPDX-License-Identifier: MIT
// transfer/stage.h: one object on its way through one pod, whatever mode carries it: what a transfer sees of that.
//
// A mode begins a stage (transfer_mode.begin), which sends what is to be sent by itself. The transfer hears of the answer's head or of a failure,
// then pulls the body, and ends the stage with stage_finish or, at any time, with stage_cancel.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/http_parse.h"
#include "http/stream.h"

namespace etlnode {

struct stage_failure {
    error err;
    std::string_view begun = {}; // the first bytes of a head that never came to its end
    std::string text = {};       // the whole message for the user, where the mode knows better words than those of `err`
};

// Who hears of a stage: exactly one of the two calls comes, unless the stage is cancelled before, and none before the mode's begin has returned.
struct stage_listener {
    // The answer's head, in the words of HTTP also where the mode speaks something else. Then the body may be pulled.
    void (*on_head)(void *arg, const http_head &head) = nullptr;
    // The stage is gone.
    void (*on_failed)(void *arg, const stage_failure &failure) = nullptr;
    void *arg = nullptr;
};

struct stage_ops {
    stream_from (*answer)(void *self);                     // the body, after on_head
    bool (*take_whole)(void *self, std::string &out_body); // as call_take_whole; null: never
    uint64_t (*last_progress_ms)(const void *self);        // clock_now_ms of the last byte sent to the pod, or received of the body
    void (*finish)(void *self);                            // the body was read to its end
    void (*cancel)(void *self);                            // no callback will come
};
struct stage {
    const stage_ops *ops = nullptr; // null: there is none
    void *self = nullptr;
};

inline bool stage_is_open(const stage &s) { return s.ops != nullptr; }
inline stream_from stage_answer(const stage &s) { return s.ops->answer(s.self); }
inline pull_result stage_pull(const stage &s)
{
    stream_from from = stage_answer(s);
    return from.ops->pull(from.self, nullptr, false);
}
inline void stage_pull_wait(const stage &s, net_on_ready on_ready, void *arg)
{
    stream_from from = stage_answer(s);
    from.ops->wait(from.self, on_ready, arg);
}
inline bool stage_take_whole(const stage &s, std::string &out_body)
{
    return s.ops->take_whole != nullptr && s.ops->take_whole(s.self, out_body);
}
inline uint64_t stage_last_progress_ms(const stage &s) { return s.ops->last_progress_ms(s.self); }
// Both have no effect where there is no stage, and leave none.
inline void stage_finish(stage &s)
{
    if (s.ops != nullptr)
        s.ops->finish(s.self);
    s = stage{};
}
inline void stage_cancel(stage &s)
{
    if (s.ops != nullptr)
        s.ops->cancel(s.self);
    s = stage{};
}

} // namespace etlnode
