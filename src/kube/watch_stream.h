// SPDX-License-Identifier: MIT
// kube/watch_stream.h: splits the output of `kubectl get --watch --output-watch-events -o json` into its JSON objects, however it is
// divided into pieces.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kube/pod_status.h"

namespace etlnode {

struct watch_stream {
    std::string pending; // of the incomplete object; at most watch_event_size_max
    size_t depth = 0;
    bool in_string = false;
    bool escaped = false;
    bool failed = false;
};

// Appends the objects that end in `bytes` to `out_objects`. Errors: bad_json for bytes between objects other than white space;
// body_too_large for an object above watch_event_size_max. After an error the stream must be reset with watch_stream_reset.
error watch_stream_feed(watch_stream &stream, std::string_view bytes, std::vector<std::string> &out_objects);
void watch_stream_reset(watch_stream &stream);

enum class watch_event_type : uint8_t { added, modified, deleted, bookmark, failed };
struct watch_event {
    watch_event_type type = watch_event_type::bookmark;
    pod_status pod;       // added, modified, deleted
    std::string message;  // failed: the API server's message
    bool expired = false; // failed with 410: the watch's version is too old; a new watch starts from now
};
// bad_json unless it is {"type": ..., "object": {...}}; `out_where` says more.
error watch_event_parse(std::string_view object, watch_event &out_event, std::string &out_where);

} // namespace etlnode
