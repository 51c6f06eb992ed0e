// SPDX-License-Identifier: MIT
// kube/watch_stream.h: cuts the output of `kubectl get --watch --output-watch-events -o json` into its JSON objects, whatever the
// pieces in which it arrives.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kube/pod_status.h"

namespace etlnode {

struct watch_stream {
    std::string pending; // of the object that has begun; at most watch_event_size_max
    size_t depth = 0;
    bool in_string = false;
    bool escaped = false;
    bool failed = false;
};

// Appends the objects that end in `bytes` to `out_objects`. bad_json for bytes between objects that are not white space,
// body_too_large for an object over watch_event_size_max; after an error the stream is useless until watch_stream_reset.
error watch_stream_feed(watch_stream &stream, std::string_view bytes, std::vector<std::string> &out_objects);
void watch_stream_reset(watch_stream &stream);

enum class watch_event_type : uint8_t { added, modified, deleted, bookmark, failed };
struct watch_event {
    watch_event_type type = watch_event_type::bookmark;
    pod_status pod;       // added, modified, deleted
    std::string message;  // failed: what the API server said
    bool expired = false; // failed: 410, it has forgotten where the watch was; a new one starts from now
};
// bad_json when it is not {"type": ..., "object": {...}}; `out_where` says more.
error watch_event_parse(std::string_view object, watch_event &out_event, std::string &out_where);

} // namespace etlnode
