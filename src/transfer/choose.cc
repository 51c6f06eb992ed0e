// SPDX-License-Identifier: MIT
// transfer/choose.cc: the rows of the decision table. Each column is a set of input values; `any` contains all of them.
#include "transfer/choose.h"

#include "base/check.h"

namespace etlnode {

static constexpr uint8_t any = 0xff;
template <class T> static constexpr uint8_t bit(T value) { return static_cast<uint8_t>(1u << static_cast<unsigned>(value)); }

static constexpr uint8_t on_proxy = bit(read_role::proxy);
static constexpr uint8_t on_target = bit(read_role::target);
static constexpr uint8_t get = bit(read_method::get);
static constexpr uint8_t head = bit(read_method::head);
static constexpr uint8_t reads = static_cast<uint8_t>(get | head);
static constexpr uint8_t other = bit(read_method::other);
static constexpr uint8_t plain = bit(read_mode::plain);
static constexpr uint8_t hpush = bit(read_mode::hpush);
static constexpr uint8_t hrev = bit(read_mode::hrev);
static constexpr uint8_t hpull = bit(read_mode::hpull);
static constexpr uint8_t ws = bit(read_mode::ws);
static constexpr uint8_t pushed = static_cast<uint8_t>(hpush | ws);
static constexpr uint8_t by_pod = static_cast<uint8_t>(pushed | hrev | hpull);
static constexpr uint8_t absent = bit(read_availability::absent);
static constexpr uint8_t ended = bit(read_availability::ended);
static constexpr uint8_t ready = bit(read_availability::ready);
static constexpr uint8_t soon = static_cast<uint8_t>(bit(read_availability::starting) | bit(read_availability::not_ready));
static constexpr uint8_t usable = static_cast<uint8_t>(ready | soon);
static constexpr uint8_t somewhere = static_cast<uint8_t>(bit(read_locality::here) | bit(read_locality::elsewhere));
static constexpr uint8_t nowhere = bit(read_locality::nowhere);

static constexpr read_row rows[] = {
    {"P1", on_proxy, any, any, any, somewhere, read_action::redirect_to_target,
        "the proxy never carries object bytes; the target judges the rest"},
    {"P2", on_proxy, any, any, any, nowhere, read_action::refuse_no_target, "no target is registered, or all are in maintenance"},

    {"T1", on_target, any, plain, any, any, read_action::send_object,
        "a target answers for what it holds, also to clients that come directly"},
    {"T2", on_target, any, by_pod, absent, any, read_action::refuse_unknown_etl, "no such ETL here"},
    {"T3", on_target, any, by_pod, ended, any, read_action::refuse_ended_etl, "it was stopped, or it failed and its reason is kept"},
    {"T4", on_target, other, by_pod, usable, any, read_action::refuse_method, "an ETL transforms reads only"},
    {"T5", on_target, head, pushed, usable, any, read_action::refuse_method,
        "the size of a pushed result is known only when it has been made"},
    {"T6", on_target, get, pushed, soon, any, read_action::wait_for_pod, "Kubernetes restarts a pod that died; a bounded wait hides it"},
    {"T7", on_target, reads, static_cast<uint8_t>(hrev | hpull), soon, any, read_action::wait_for_pod, "the same bounded wait"},
    {"T8", on_target, get, pushed, ready, any, read_action::push, "the target sends the object and streams the answer back"},
    {"T9", on_target, reads, hrev, ready, any, read_action::reverse, "the pod asks the target for the object"},
    {"T10", on_target, reads, hpull, ready, any, read_action::redirect_to_pod, "the client asks the pod, the pod asks the target"},
};

read_method transfer_method_of(std::string_view method)
{
    return method == "GET" ? read_method::get : method == "HEAD" ? read_method::head : read_method::other;
}

static bool matches(const read_row &row, const read_question &q)
{
    return (row.roles & bit(q.role)) != 0 && (row.methods & bit(q.method)) != 0 && (row.modes & bit(q.mode)) != 0 &&
           (row.availabilities & bit(q.availability)) != 0 && (row.localities & bit(q.locality)) != 0;
}

read_action transfer_choose(const read_question &question)
{
    for (const read_row &row : rows) {
        if (matches(row, question))
            return row.action;
    }
    panic("transfer_choose: no row matches");
}

std::span<const read_row> transfer_choose_rows() { return rows; }

} // namespace etlnode
