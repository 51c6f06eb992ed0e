// SPDX-License-Identifier: MIT
// transfer/direct_put.cc: what a pod puts itself: where it may, and how it is read.
//
// Owns     one interim for each PUT that is being read; what was put, until its transfer ends.
// Knows    http, store, pull.         Known by  transfer_machine.cc, modes, role.
// Machine  direct_put, drawn in docs/machines/direct_put.md (generated, do not edit).
// Normal   read the body, end the interim, keep it for the transfer, answer 200 without a body. A repeated PUT replaces the former one.
// Fails    404 if no transfer awaits it, at once when that ends; 507; a body that breaks off leaves nothing.
// Limits   puts_max, interim_memory_size. The exchange has a deadline for a pod that sends nothing: obj_timeout more than a client.
#include "transfer/direct_put.h"

#include <array>
#include <utility>

#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"
#include "object/sink.h"
#include "port/clock.h"
#include "sm/sm_verify.h"
#include "store/interim.h"
#include "transfer/failure.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

static constexpr size_t puts_max = 16; // of one result at a time: each may take interim_memory_size

// --- offers

bool direct_put_is_offered(const transfer &t) { return !t.direct_secret.empty(); }

void direct_put_offer(transfer &t)
{
    static constexpr size_t secret_size = 32;
    const std::string &base = t.host->options.direct_url;
    if (direct_put_is_offered(t) || t.direct_to.empty() || base.empty() || !t.config.direct_put)
        return;
    size_t slash = t.direct_to.find('/');
    t.direct_secret = clock_secret(*t.e, secret_size);
    t.host->offers[t.direct_secret] = {.etl_id = t.etl_id,
        .bucket = t.direct_to.substr(0, slash),
        .name = t.direct_to.substr(slash + 1),
        .pull_key = pull_key(t.etl_id, transfer_bucket_for_pod(t), t.name),
        .patience_ms = body_stall_timeout_ms + t.config.obj_timeout_ms};
    t.direct_url = base + "/" + url_encode_uname("ais/@#/" + t.direct_to) + "?owt=3&" + std::string(query_direct_secret) + "=" +
                   t.direct_secret;
}

const std::string &direct_put_url(const transfer &t) { return t.direct_url; }

bool direct_put_has_result(const transfer &t) { return direct_put_is_offered(t) && t.host->offers.at(t.direct_secret).given != nullptr; }

const store_object *direct_put_take(transfer &t) { return std::exchange(t.host->offers.at(t.direct_secret).given, nullptr); }

bool direct_put_is_torn(const transfer &t)
{
    return direct_put_is_offered(t) && t.host->offers.at(t.direct_secret).was_begun && !direct_put_has_result(t);
}

// --- one PUT

struct direct_put {
    enum class state : uint8_t { reading, spilling, ending, done };
    enum class event : uint8_t { starved, full, body_ended, body_failed, spilt, spill_failed, ended, not_ended };
    sm_core sm;
    transfer_host *host = nullptr;
    exchange *x = nullptr;
    std::string secret;
    interim *content = nullptr;
    const store_object *made = nullptr;
    sm_news<bool> news; // read on
    error err;
};

using S = direct_put::state;
using E = direct_put::event;

static direct_put &of(void *arg) { return *static_cast<direct_put *>(arg); }

static direct_offer *offer_of(transfer_host &host, const std::string &secret)
{
    auto found = host.offers.find(secret);
    return found != host.offers.end() ? &found->second : nullptr;
}

bool direct_put_sets_failure(transfer &t)
{
    if (!direct_put_is_torn(t) || !t.host->offers.at(t.direct_secret).refused)
        return false;
    const direct_offer &offer = t.host->offers.at(t.direct_secret);
    failure_set(t, offer.refused.code, sink_put_describe_failure(t.host->options.node_id, offer.bucket, offer.name, offer.refused));
    return true;
}

static void step(direct_put &d, E event);
static void read_body(void *arg);
static void fail(direct_put &d, error err);

void direct_put_withdraw(transfer &t)
{
    auto found = t.host->offers.find(t.direct_secret);
    if (found == t.host->offers.end())
        return;
    direct_offer offer = std::move(found->second);
    t.host->offers.erase(found);
    t.direct_secret.clear();
    t.direct_url.clear();
    if (offer.given != nullptr)
        store_release(*t.host->objects, offer.given);
    for (direct_put *d : offer.puts)
        fail(*d, make_error(error_code::object_not_found));
}

static void on_spilt(void *arg, error err)
{
    of(arg).err = err;
    step(of(arg), err ? E::spill_failed : E::spilt);
}

static void on_ended(void *arg, error err, const store_object *object)
{
    direct_put &d = of(arg);
    d.content = nullptr;
    d.err = err;
    d.made = object;
    step(d, err ? E::not_ended : E::ended);
}

// --- actions

static void wait_body(direct_put &d) { exchange_body_wait(*d.x, read_body, &d); }
static void spill(direct_put &d) { interim_spill(*d.content, on_spilt, &d); }
static void end_content(direct_put &d) { interim_end(*d.content, on_ended, &d); }

static void delete_put(void *arg) { delete static_cast<direct_put *>(arg); }

static exchange &end(direct_put &d)
{
    if (d.content != nullptr)
        interim_abort(*std::exchange(d.content, nullptr));
    if (direct_offer *offer = offer_of(*d.host, d.secret))
        std::erase(offer->puts, &d);
    open_count_end(d.host->lookups);
    clock_post(*d.host->e, delete_put, &d);
    return *d.x;
}

static void answer_gone(exchange &x)
{
    exchange_answer_error(x, error_code::object_not_found, "no transform awaits this result here: it has ended, or its URL is another one");
}

// AIStore's pods take any byte of the answer for a result.
static void keep(direct_put &d)
{
    direct_offer *offer = offer_of(*d.host, d.secret);
    const store_object *made = std::exchange(d.made, nullptr);
    store *objects = d.host->objects;
    exchange &x = end(d);
    if (offer == nullptr) {
        store_release(*objects, made);
        answer_gone(x);
        return;
    }
    if (offer->given != nullptr)
        store_release(*objects, offer->given);
    offer->given = made;
    exchange_answer(x, answer{});
}

static void answer_failure(direct_put &d)
{
    direct_offer *offer = offer_of(*d.host, d.secret);
    if (offer == nullptr) {
        answer_gone(end(d));
        return;
    }
    error err = d.err ? d.err : make_error(error_code::internal);
    if (err.code == error_code::no_space || err.code == error_code::io)
        offer->refused = err;
    error_code code = err.code == error_code::reset || err.code == error_code::end_of_stream ? error_code::bad_request : err.code;
    exchange &x = end(d);
    exchange_answer_error(x, code, std::string("the result could not be kept: ") + error_text(err));
}

// --- the table

static constexpr uint32_t CONTENT = 1;
static uint32_t alive(const direct_put &d) { return d.content != nullptr ? CONTENT : 0u; }
static constexpr sm_resource resources[] = {{CONTENT, "content"}};
static constexpr sm_state<direct_put> states[] = {
    {S::reading, sm_initial, CONTENT, CONTENT}, // the exchange has the deadline
    {S::spilling, 0, CONTENT, CONTENT},
    {S::ending, 0, 0, CONTENT},
    {S::done, sm_final, 0, 0},
};
static constexpr sm_row<direct_put> rows[] = {
    {S::reading, E::starved, always, SM_FN(wait_body), S::reading},
    {S::reading, E::full, always, SM_FN(spill), S::spilling},
    {S::reading, E::body_ended, always, SM_FN(end_content), S::ending},
    {S::reading, E::body_failed, always, SM_FN(answer_failure), S::done},
    {S::spilling, E::spilt, always, nothing, S::reading},
    {S::spilling, E::spill_failed, always, SM_FN(answer_failure), S::done},
    {S::ending, E::ended, always, SM_FN(keep), S::done},
    {S::ending, E::not_ended, always, SM_FN(answer_failure), S::done},
};
static constexpr sm_ignore<direct_put> ignores[] = {
    {S::spilling, E::body_failed, "the write completes, and reading the body then fails"},
    {S::ending, E::body_failed, "the body is here, and the disk completes"},
};

static void note_news(direct_put &d, S, E event)
{
    if (event == E::spilt)
        sm_news_put(d.news, true);
}

static constexpr sm_table<direct_put> table = {
    "direct_put", states, resources, rows, ignores, {}, E::body_failed, E::body_failed, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view direct_put_machine_view() { return sm_view_of(table); }

static void step(direct_put &d, E event)
{
    sm_step(table, d, event);
    bool reads_on = false;
    if (sm_news_take(d.news, reads_on))
        read_body(&d);
}

// --- reading

static void fail(direct_put &d, error err)
{
    d.err = err;
    step(d, E::body_failed);
}

// Before a full memory goes to the disk. False: the disk has no room.
static bool may_spill(direct_put &d, std::string &out_why)
{
    const direct_offer *offer = offer_of(*d.host, d.secret);
    const transfer_host_options &options = d.host->options;
    return offer != nullptr &&
           (options.admits_interim == nullptr || options.admits_interim(options.arg, offer->bucket, offer->name, out_why));
}

static void read_body(void *arg)
{
    direct_put &d = of(arg);
    std::array<char, stream_buffer_size> buffer;
    for (;;) {
        if (offer_of(*d.host, d.secret) == nullptr) {
            fail(d, make_error(error_code::object_not_found));
            return;
        }
        if (interim_is_full(*d.content)) {
            std::string why;
            if (may_spill(d, why))
                step(d, E::full);
            else
                fail(d, make_error(error_code::no_space, "the disk is used to the limit"));
            return;
        }
        io_result got = exchange_body_read(*d.x, buffer.data(), std::min(buffer.size(), interim_room(*d.content)));
        switch (got.state) {
        case io_state::done:
            interim_add(*d.content, {buffer.data(), got.count});
            if (const direct_offer *offer = offer_of(*d.host, d.secret))
                pull_note(*d.host, offer->pull_key);
            break;
        case io_state::again: step(d, E::starved); return;
        case io_state::end: step(d, E::body_ended); return;
        case io_state::failed: fail(d, got.err); return;
        }
    }
}

void direct_put_serve(transfer_host &host, exchange &x, std::string_view etl_id, std::string_view bucket, std::string_view name)
{
    std::string secret;
    (void)url_query_get(exchange_head(x).query, query_direct_secret, secret);
    direct_offer *offer = offer_of(host, secret);
    if (offer == nullptr || offer->etl_id != etl_id || offer->bucket != bucket || offer->name != name) {
        answer_gone(x);
        return;
    }
    if (offer->puts.size() >= puts_max) {
        exchange_answer_error(x, error_code::overloaded, text_format("%zu PUTs of this result are being read already", puts_max));
        return;
    }
    exchange_set_body_patience(x, offer->patience_ms);
    auto *d = new direct_put;
    offer->was_begun = true;
    offer->puts.push_back(d);
    d->sm.id = host.e->next_machine_id++;
    d->host = &host;
    d->x = &x;
    d->secret = std::move(secret);
    d->content = interim_start(*host.objects, std::string(bucket), std::string(name));
    open_count_begin(host.lookups);
    read_body(d);
}

} // namespace etlnode
