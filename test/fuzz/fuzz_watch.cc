// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_watch.cc: the output of kubectl's watch, cut anywhere, its events, and the judgement of its pods.
#include <vector>

#include "base/limits.h"
#include "base/text.h"
#include "kube/watch_stream.h"
#include "pod_oracle.h"

using namespace etlnode;

namespace {

struct cut_stream {
    std::vector<std::string> objects;
    error err;
};

static cut_stream cut(std::string_view text, bool in_one)
{
    cut_stream out;
    watch_stream stream;
    rng r = fuzz_rng(text);
    while (!text.empty() && !out.err) {
        fuzz_exact piece(text.substr(0, in_one ? text.size() : fuzz_piece(r, text.size())));
        text.remove_prefix(piece.size);
        out.err = watch_stream_feed(stream, piece.view(), out.objects);
        FUZZ_CHECK(stream.pending.size() <= watch_event_size_max);
    }
    if (out.err) {
        size_t count = out.objects.size();
        FUZZ_CHECK(watch_stream_feed(stream, "{}", out.objects) && out.objects.size() == count);
        watch_stream_reset(stream);
        FUZZ_CHECK(!watch_stream_feed(stream, "{}", out.objects) && out.objects.size() == count + 1);
        out.objects.pop_back();
    }
    return out;
}

} // namespace

FUZZ_TARGET(watch)
{
    cut_stream one = cut(text, true);
    cut_stream many = cut(text, false);
    FUZZ_CHECK(one.err.code == many.err.code && one.objects.size() == many.objects.size());
    size_t at = 0;
    for (size_t i = 0; i < one.objects.size(); i++) {
        FUZZ_SAME(one.objects[i], many.objects[i]);
        // Each object is a part of the text, in order, with only white space in between.
        size_t found = text.find(one.objects[i], at);
        FUZZ_CHECK(found != std::string_view::npos && text.substr(at, found - at).find_first_not_of(" \t\r\n") == std::string_view::npos);
        at = found + one.objects[i].size();
        watch_event event;
        std::string where;
        if (error err = watch_event_parse(one.objects[i], event, where)) {
            FUZZ_CHECK(err.code == error_code::bad_json && !where.empty());
            continue;
        }
        if (event.type == watch_event_type::added || event.type == watch_event_type::modified || event.type == watch_event_type::deleted)
            oracle_check_status(event.pod);
        FUZZ_CHECK(event.message.size() <= 4096);
    }
}
