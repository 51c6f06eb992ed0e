// SPDX-License-Identifier: MIT
// role/target/uploads.h: objects that come in parts: multipart uploads and appends. For objects.cc, object_actions.cc and target.cc.
#pragma once

#include <string>
#include <string_view>

#include "role/target/object_actions.h"

namespace etlnode {

struct upload_options; // transfer/upload_machine.h

// Whether the request is about an upload that this target has, or had. Such a request comes here whoever owns the object by now: its id
// names the target (aistore/upload_name.h).
bool target_is_of_upload(const target &t, const exchange &x);

// PUT with uploadId= or append_type=: takes a part. Requires: one of the two is there. `options` has what every PUT has.
void target_take_part(object_request &&r, upload_options options);
void target_begin_upload(object_action &&a);    // POST mpt-upload
void target_complete_upload(object_action &&a); // POST mpt-complete
void target_abort_upload(object_request &&r);   // DELETE with uploadId=

// Those whose time or whose bucket is over go, and nothing of them is left. After each new document, and every minute.
void target_review_uploads(target &t);
// All of them go; nothing of them is left.
void target_end_uploads(target &t);

} // namespace etlnode
