// SPDX-License-Identifier: MIT
// role/proxy/job_names.h: long lists of names that jobs were given. They stand beside the cluster document, whose every copy would carry
// them otherwise; targets ask for them when they begin.
#pragma once

#include <string>

#include "codec/json.h"
#include "role/proxy/proxy.h"

namespace etlnode {

// Takes the list out of a job's options, which then say how many names it has. Returns it; empty: there is none.
std::string proxy_names_set_apart(cJSON *options);
// Keeps `text`, and calls on_kept once, later, with the key under which targets find it. Errors: conflict if as many lists are kept as may
// be, those of the store.
void proxy_names_keep(proxy &p, std::string text, void (*on_kept)(void *arg, error err, const std::string &key), void *arg);
// Why a list was not kept.
std::string proxy_names_failure_text(error err);
// The change of the document that a list was kept for has completed. `is_used`: a job has the key now.
void proxy_names_kept(proxy &p, const std::string &key, bool is_used);
// The job that had the key is over.
void proxy_names_drop(proxy &p, const std::string &key);

} // namespace etlnode
