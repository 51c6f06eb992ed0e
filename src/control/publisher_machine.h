// SPDX-License-Identifier: MIT
// control/publisher_machine.h: brings the current cluster document to one target.
#pragma once

#include <cstdint>

#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

namespace etlnode {

struct publisher;

struct publisher_world {
    // The version that the target should hold; 0: it is not in the document and gets none.
    uint64_t (*wanted_version)(void *arg, const publisher &m) = nullptr;
    // The target was heard from recently, or it is not known yet whether it lives.
    bool (*may_be_there)(void *arg, const publisher &m) = nullptr;
    // Sends the current document. Completes once, later, with publisher_sent, unless cancelled.
    void (*send)(void *arg, publisher &m) = nullptr;
    void (*cancel)(void *arg, publisher &m) = nullptr;
    void *arg = nullptr;
};

struct publisher {
    enum class state : uint8_t { settled, sending, awaiting_retry, left };
    enum class event : uint8_t { published, sent, failed, heard, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    publisher_world world;
    timer *deadline_timer = nullptr;
    bool calling = false;
    uint64_t sent_version = 0; // of the call in progress, or of the last one
    uint64_t held_version = 0; // the newest that the target is known to hold
    uint64_t failures = 0;     // of calls, in a row
};

// Requires: `m.e` and `m.world` are set.
void publisher_begin(publisher &m);
// The document has changed, or its set of targets has.
void publisher_published(publisher &m);
void publisher_sent(publisher &m, bool ok);
// The target has reported the version that it holds, and the answer gave it a newer one if there is one.
void publisher_heard(publisher &m, uint64_t version);
// Ends it: no call and no timer remain. May be called in any state.
void publisher_stop(publisher &m);

// A call is in progress.
bool publisher_is_sending(const publisher &m);

sm_view publisher_machine_view();

} // namespace etlnode
