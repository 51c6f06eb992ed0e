// SPDX-License-Identifier: MIT
// role/proxy/job_names.cc: keeps long lists of names for jobs, and hands them to targets: /v1/node/names.
//
// Owns     one list_call for each list that is being kept, read or dropped.
// Knows    port/meta.h, http, control.        Known by  bucket_jobs.cc, archive_jobs.cc, jobs.cc, routes.cc.
// Normal   a list takes one of a fixed number of places until its job is over. Its key is the place and the version of what stands there.
// Fails    409: as many lists are kept as may be. A crash between the end of a job and the drop leaves a list until its place is needed.
// Limits   job_running_max places, job_names_size_max each.
#include "role/proxy/job_names.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "control/peer.h"
#include "port/meta.h"
#include "role/proxy/request.h"

namespace etlnode {

struct list_call {
    proxy *p = nullptr;
    std::string text;
    size_t place = 0;
    uint64_t version = 0; // as the store has it
    void (*on_kept)(void *arg, error err, const std::string &key) = nullptr;
    void *arg = nullptr;
};

static std::string name_of(size_t place) { return "names-" + std::to_string(place); }
static std::string key_of(size_t place, uint64_t version) { return std::to_string(place) + "-" + std::to_string(version); }

static bool read_key(std::string_view key, size_t &out_place, uint64_t &out_version)
{
    size_t dash = key.find('-');
    uint64_t place = 0;
    if (dash == std::string_view::npos || !text_parse_u64(key.substr(0, dash), place) || place >= job_running_max)
        return false;
    out_place = static_cast<size_t>(place);
    return text_parse_u64(key.substr(dash + 1), out_version);
}

static list_call *begin(proxy &p)
{
    p.names.calls++;
    auto *c = new list_call;
    c->p = &p;
    return c;
}

static void end(list_call *c)
{
    proxy &p = *c->p;
    delete c;
    p.names.calls--;
    proxy_note_work_ended(&p);
}

std::string proxy_names_set_apart(cJSON *options)
{
    json_ptr names(cJSON_DetachItemFromObject(options, "objnames"));
    if (names == nullptr)
        return {};
    json_add_array(options, "objnames");
    json_add_u64(options, "objnames_count", static_cast<uint64_t>(cJSON_GetArraySize(names.get())));
    return json_print(names.get());
}

std::string proxy_names_failure_text(error err)
{
    return err.code == error_code::conflict
               ? std::string("as many jobs with long lists of names run as may run; wait for one or cancel one")
               : std::string("the list of names could not be stored: ") + error_text(err);
}

// --- keeping

static bool is_taken(const proxy &p, size_t place)
{
    for (const cluster_job &job : proxy_document(p).jobs) {
        size_t used = 0;
        uint64_t version = 0;
        if (job.ended_ns == 0 && read_key(job.names, used, version) && used == place)
            return true;
    }
    return p.names.taken.contains(place);
}

static void finish_keep(list_call *c, error err)
{
    auto on_kept = c->on_kept;
    void *arg = c->arg;
    std::string key = key_of(c->place, c->version + 1);
    if (err)
        c->p->names.taken.erase(c->place);
    on_kept(arg, err, key);
    end(c);
}

static void on_swapped(void *arg, error err) { finish_keep(static_cast<list_call *>(arg), err); }

static void on_place_read(void *arg, error err, uint64_t version, const std::string &)
{
    auto *c = static_cast<list_call *>(arg);
    c->version = version;
    if (err)
        finish_keep(c, err);
    else
        meta_swap(*c->p->e, name_of(c->place), version, version + 1, std::move(c->text), on_swapped, c);
}

static void refuse(void *arg) { finish_keep(static_cast<list_call *>(arg), make_error(error_code::conflict)); }

void proxy_names_keep(proxy &p, std::string text, void (*on_kept)(void *arg, error err, const std::string &key), void *arg)
{
    list_call *c = begin(p);
    c->text = std::move(text);
    c->on_kept = on_kept;
    c->arg = arg;
    while (c->place < job_running_max && is_taken(p, c->place))
        c->place++;
    if (c->place == job_running_max) {
        clock_post(*p.e, refuse, c);
        return;
    }
    p.names.taken.insert(c->place);
    meta_read(*p.e, name_of(c->place), on_place_read, c);
}

void proxy_names_kept(proxy &p, const std::string &key, bool is_used)
{
    size_t place = 0;
    uint64_t version = 0;
    if (!read_key(key, place, version))
        return;
    p.names.taken.erase(place);
    if (!is_used)
        proxy_names_drop(p, key);
}

// --- dropping

static void on_dropped(void *arg, error err)
{
    auto *c = static_cast<list_call *>(arg);
    if (err && err.code != error_code::conflict) // its place has another list already
        LOG(warn, "job", "error=\"%s\" msg=\"a list of names could not be removed; its place is used again\"", error_text(err));
    end(c);
}

void proxy_names_drop(proxy &p, const std::string &key)
{
    size_t place = 0;
    uint64_t version = 0;
    if (!read_key(key, place, version))
        return;
    meta_swap(*p.e, name_of(place), version, version + 1, {}, on_dropped, begin(p));
}

// --- GET /v1/node/names/{key}

struct names_request : proxy_request {
    uint64_t version = 0;
};

static void on_list_read(void *arg, error err, uint64_t version, const std::string &text)
{
    names_request &r = *static_cast<names_request *>(arg);
    if (err) {
        proxy_request_fail(r, err.code, std::string("the list of names could not be read: ") + error_text(err));
        return;
    }
    if (version != r.version || text.empty()) {
        proxy_request_fail(r, error_code::not_found, "the proxy does not have this list of names any more");
        return;
    }
    answer a;
    a.content_type = "application/json; charset=utf-8";
    a.body = text;
    proxy_request_answer(r, std::move(a));
}

static void serve_names(proxy &p, exchange &x, const route_match &match)
{
    std::string key;
    size_t place = 0;
    uint64_t version = 0;
    if (!peer_admit(p.options.cluster_secret, x) || !route_decode_arg(x, match.args[0], "key", key))
        return;
    if (!read_key(key, place, version)) {
        exchange_answer_error(x, error_code::bad_request, "key: expected PLACE-VERSION");
        return;
    }
    names_request &r = proxy_request_make<names_request>(p, x);
    r.version = version;
    meta_read(*p.e, name_of(place), on_list_read, &r);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/names/{key}", serve_names, "a long list of names that a job was given"),
};
extern constinit const std::span<const route> proxy_names_routes = rows;

} // namespace etlnode
