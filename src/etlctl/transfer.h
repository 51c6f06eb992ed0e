// SPDX-License-Identifier: MIT
// etlctl/transfer.h: moves object data from a URL to a file or standard output, and from a file or standard input to an object.
#pragma once

#include <string>

#include "etlctl/session.h"

namespace etlnode::etlctl {

struct download {
    std::string url;
    std::string doing; // "cannot read object ais://b/o"
    std::string what;  // for progress: the object's name
    std::string out;   // file, or directory for a file named after `what`; "-": standard output; "": the same, but no binary on a terminal
    std::string range; // "" or the value after "bytes="
    bool whole_object = false; // verify the checksum header if there is one
};

// Success means that every byte arrived and is in its place. After a failure no file has the requested name.
failure transfer_download(session &s, const download &d);

struct upload {
    std::string url; // at the proxy
    std::string doing;
    std::string what;
    std::string file; // "-": standard input
};

// Asks the proxy for the object's target (307), then sends the body once to that target, because standard input cannot be sent twice. If
// the server answers with a checksum, it is compared with the checksum of what was sent.
failure transfer_upload(session &s, const upload &u);

} // namespace etlnode::etlctl
