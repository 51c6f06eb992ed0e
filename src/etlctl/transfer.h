// SPDX-License-Identifier: MIT
// etlctl/transfer.h: object bytes: from a URL to a file or standard output, from a file or standard input to an object.
#pragma once

#include <string>

#include "etlctl/session.h"

namespace etlnode::etlctl {

struct download {
    std::string url;
    std::string doing; // "cannot read object ais://b/o"
    std::string what;  // for progress: the object's name
    std::string
        out; // file, directory (then `what`'s last part is the name), "-" for standard output; "": the same, but no binary on a terminal
    std::string range;         // "" or the value behind "bytes="
    bool whole_object = false; // the checksum header, when there is one, must match
};

// No failure: every byte arrived and is in its place. On failure no file is left under the name asked for.
failure transfer_download(session &s, const download &d);

struct upload {
    std::string url; // at the proxy
    std::string doing;
    std::string what;
    std::string file; // "-": standard input
};

// Asks the proxy where the object belongs (307), then sends the body once, to that place: standard input cannot be sent twice.
// The checksum that the server answers with, when it does, is compared with what was sent.
failure transfer_upload(session &s, const upload &u);

} // namespace etlnode::etlctl
