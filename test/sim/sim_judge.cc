// SPDX-License-Identifier: MIT
// test/sim/sim_judge.cc: checks every answer against the record of what was written.
#include "sim_judge.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "codec/json.h"

namespace etlnode {

void sim_want(client_op *op, bool holds, const std::string &what)
{
    sim_load &l = *op->load;
    if (holds || !l.is_calm)
        return;
    l.refused_when_calm++;
    l.refusal = op->method + " " + op->path + op->query + ": " + what;
}

bool sim_is_from_pod(const client_op &op) { return op.etl != nullptr && op.etl->mode == "hpull://" && op.ends_at_pod; }

static std::string uname(const sim_object &o) { return o.bucket + "/" + o.name; }

void sim_judge_body(client_op *op, const sim_message &m, bool is_whole)
{
    sim_world &w = *op->load->world;
    sim_object &o = *op->object;
    bool is_transformed = op->what == client_op::kind::transform;
    std::string why;
    if (!is_whole) {
        // An endless or long body may run past the object, but what precedes must be the object's own.
        bool by_mistake = is_transformed && op->etl->manners.is_hostile;
        if (!by_mistake && !sim_is_part(o, m.body, 0, is_transformed))
            sim_fail(
                w, "S2: %s %s: %zu bytes of a cut answer are no part of any write", op->method.c_str(), uname(o).c_str(), m.body.size());
        return;
    }
    // Without the target on the path, nothing can detect that a container died during an answer that only its end delimits (promise S1).
    bool is_blind = is_transformed && op->etl->mode == "hpull://" && op->etl->manners.frames == sim_manners::framing::by_close;
    if ((is_blind && sim_is_part(o, m.body, 0, true)) || (sim_is_from_pod(*op) && op->etl->manners.is_hostile))
        return;
    sim_write *seen = sim_saw_content(o, m.body, is_transformed, op->start_us, w.now_us, why);
    if (seen == nullptr)
        sim_fail(w, "%s: GET %s%s, status 200, complete: %s", is_transformed ? "S1, S2 or S3" : "S3", uname(o).c_str(), op->query.c_str(),
            why.c_str());
    if (is_transformed)
        op->load->transformed++;
}

static void judge_read(client_op *op, const sim_message &m)
{
    sim_world &w = *op->load->world;
    sim_object &o = *op->object;
    int status = m.status();
    // An answer without framing is refused if the spec requires that.
    bool is_unframed = op->etl != nullptr && op->etl->requires_framing && op->etl->manners.frames == sim_manners::framing::by_close &&
                       status == 502;
    sim_want(op, status == 200 || is_unframed || (status == 404 && !sim_must_exist(o, op->start_us, w.now_us)),
        text_format("status %d %s", status, m.body.substr(0, 300).c_str()));
    if (status == 200)
        sim_judge_body(op, m, true);
    else if (status == 404 && op->what == client_op::kind::read && !sim_saw_absent(o, op->start_us, w.now_us))
        sim_fail(w, "S4: GET %s: 404, but it was acknowledged: %s", uname(o).c_str(), m.body.substr(0, 200).c_str());
    else if (status == 404 && op->what == client_op::kind::transform && m.body.find("ais://") != std::string::npos &&
             !sim_saw_absent(o, op->start_us, w.now_us))
        sim_fail(w, "S4: GET %s%s: 404, but it was acknowledged: %s", uname(o).c_str(), op->query.c_str(), m.body.substr(0, 200).c_str());
    else if (status < 400 && !sim_is_from_pod(*op))
        sim_fail(w, "GET %s%s: unexpected status %d", uname(o).c_str(), op->query.c_str(), status);
}

static void judge_range(client_op *op, const sim_message &m)
{
    sim_world &w = *op->load->world;
    int status = m.status();
    if (status == 206 && !sim_is_part(*op->object, m.body, static_cast<size_t>(op->range_from), false))
        sim_fail(w, "S2: range %llu-%llu of %s: foreign bytes", static_cast<unsigned long long>(op->range_from),
            static_cast<unsigned long long>(op->range_to), uname(*op->object).c_str());
    if (status == 206 && m.body.size() > op->range_to - op->range_from + 1)
        sim_fail(w, "range %llu-%llu of %s: %zu bytes", static_cast<unsigned long long>(op->range_from),
            static_cast<unsigned long long>(op->range_to), uname(*op->object).c_str(), m.body.size());
}

static void judge_head(client_op *op, const sim_message &m)
{
    sim_world &w = *op->load->world;
    sim_object &o = *op->object;
    if (m.status() == 404 && !sim_saw_absent(o, op->start_us, w.now_us))
        sim_fail(w, "S4: HEAD %s: 404, but it was acknowledged", uname(o).c_str());
    if (m.status() != 200)
        return;
    std::string length = sim_header(m, "content-length");
    bool fits = std::any_of(o.writes.begin(), o.writes.end(), [&](const sim_write &write) {
        if (write.copied_from != nullptr) { // as large as any write of the source
            const std::vector<sim_write> &others = write.copied_from->writes;
            return std::any_of(
                others.begin(), others.end(), [&](const sim_write &one) { return !one.is_absent && std::to_string(one.size) == length; });
        }
        return !write.is_absent && std::to_string(write.size) == length && sim_is_possible(o, write, op->start_us, w.now_us);
    });
    if (!fits)
        sim_fail(w, "S3: HEAD %s: length %s fits no write that may be seen", uname(o).c_str(), length.c_str());
}

// Which of the bucket's objects the page must have, and which it may have. It covers the names after list_after, up to its last one if
// more may follow.
static void judge_names(client_op *op, std::set<std::string> names, const std::string &token)
{
    sim_load &l = *op->load;
    sim_world &w = *l.world;
    for (sim_object *o : l.objects) {
        bool is_covered = op->path == "/v1/buckets/" + o->bucket && o->name > op->list_after && (token.empty() || o->name <= token);
        if (!is_covered)
            continue;
        if (names.contains(o->name) ? !sim_may_exist(*o, op->start_us, w.now_us) : sim_must_exist(*o, op->start_us, w.now_us))
            sim_fail(
                w, "the list of %s %s %s, which is not so", o->bucket.c_str(), names.contains(o->name) ? "has" : "lacks", o->name.c_str());
        names.erase(o->name);
    }
    for (const std::string &name : names)
        sim_fail(w, "the list of %s has %s, which nobody wrote", op->path.c_str(), name.c_str());
}

static void judge_list(client_op *op, const sim_message &m)
{
    sim_load &l = *op->load;
    sim_world &w = *l.world;
    sim_want(op, m.status() == 200, text_format("status %d %s", m.status(), m.body.substr(0, 300).c_str()));
    if (m.status() != 200)
        return;
    std::set<std::string> names;
    json_ptr tree;
    std::string where;
    if (json_parse(m.body, tree, where)) {
        sim_fail(w, "the list of a bucket is no JSON: %s", where.c_str());
        return;
    }
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, json_get(tree.get(), "entries"))
    {
        std::string name(json_text(entry, "name"));
        if (!names.empty() && name < *names.rbegin())
            sim_fail(w, "the list of %s has %s out of order", op->path.c_str(), name.c_str());
        if (!names.insert(name).second)
            sim_fail(w, "the list of %s has %s twice", op->path.c_str(), name.c_str());
    }
    std::string token(json_text(tree.get(), "continuation_token"));
    if (!token.empty() && (names.empty() || token < *names.rbegin() || names.size() != op->list_size))
        sim_fail(w, "the list of %s: %zu names up to %s, token %s", op->path.c_str(), names.size(),
            names.empty() ? "" : names.rbegin()->c_str(), token.c_str());
    judge_names(op, std::move(names), token);
    if (!token.empty())
        sim_load_list_page(l, op->path.substr(12), token, op->list_size);
}

static void judge_etls(client_op *op, const sim_message &m)
{
    sim_load &l = *op->load;
    sim_world &w = *l.world;
    sim_want(op, m.status() == 200, text_format("status %d", m.status()));
    json_ptr tree;
    std::string where;
    if (m.status() != 200 || json_parse(m.body, tree, where))
        return;
    std::set<std::string> names;
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, tree.get()) names.insert(std::string(json_text(entry, "name")));
    for (sim_etl *etl : l.etls) {
        bool is_there = names.contains(etl->name);
        if (!is_there && !etl->id.empty() && !etl->stop_begun && etl->since_us < op->start_us)
            sim_fail(w, "S4: ETL %s was acknowledged as %s and is not in the list", etl->name.c_str(), etl->id.c_str());
        if (is_there && etl->is_stopped)
            sim_want(op, false, "ETL " + etl->name + " was stopped and is in the list");
        // An ETL that the user named stays, as aborted, if the proxy ends before it has removed it.
        if (is_there && etl->is_failed && !etl->is_of_today)
            sim_want(op, false, "S7: the init of ETL " + etl->name + " failed and it is in the list");
    }
}

static void accept_write(client_op *op)
{
    if (op->object != nullptr && op->write != 0)
        op->object->writes[op->write].end_us = std::min(op->object->writes[op->write].end_us, op->load->world->now_us);
    for (auto [object, index] : op->removals)
        object->writes[index].end_us = op->load->world->now_us;
}

// An acknowledged copy exists from now on, and a read will compare it. A missing source is a legal answer.
static void judge_copy(client_op *op, const sim_message &m)
{
    sim_world &w = *op->load->world;
    sim_object &from = *op->object->writes[op->write].copied_from;
    int status = m.status();
    bool is_unframed = op->etl != nullptr && op->etl->requires_framing && op->etl->manners.frames == sim_manners::framing::by_close &&
                       status == 502;
    sim_want(op, status == 200 || is_unframed || (status == 404 && !sim_must_exist(from, op->start_us, w.now_us)),
        text_format("status %d %s", status, m.body.substr(0, 300).c_str()));
    if (status == 200 && !m.body.empty())
        sim_fail(w, "PUT %s%s: %zu bytes of answer", op->path.c_str(), op->query.c_str(), m.body.size());
    if (status == 200)
        accept_write(op);
    else if (status < 400)
        sim_fail(w, "PUT %s%s: unexpected status %d", op->path.c_str(), op->query.c_str(), status);
    else if (status == 404 && m.body.find("ais://" + uname(from) + " does not exist") != std::string::npos &&
             !sim_saw_absent(from, op->start_us, w.now_us))
        sim_fail(w, "S4: a copy of %s: 404, but it was acknowledged: %s", uname(from).c_str(), m.body.substr(0, 200).c_str());
    if (status == 200 && op->etl != nullptr)
        op->load->transformed++;
}

void sim_judge(client_op *op, const sim_message &m)
{
    sim_load &l = *op->load;
    sim_world &w = *l.world;
    int status = m.status();
    std::string text = text_format("status %d %s", status, m.body.substr(0, 300).c_str());
    l.answered++;
    if (status == 200 && op->at != nullptr && op->write != 0 && sim_cluster_is_given_up(*l.cluster, *op->at))
        sim_fail(w, "%s %s was acknowledged by %s, which was given up before", op->method.c_str(), uname(*op->object).c_str(),
            op->at->name.c_str());
    switch (op->what) {
    case client_op::kind::put:
        sim_want(op, status == 200, text);
        if (status == 200 && op->lies)
            sim_fail(w, "PUT %s was acknowledged though its body never came", uname(*op->object).c_str());
        if (status == 200)
            accept_write(op);
        break;
    case client_op::kind::remove:
        if (status == 404 && sim_must_exist(*op->object, op->start_us, w.now_us, &op->object->writes[op->write]))
            sim_fail(w, "S4: DELETE %s: 404, but it was acknowledged: %s", uname(*op->object).c_str(), m.body.substr(0, 200).c_str());
        if (status == 200 || status == 204 || status == 404) // also what was lost and comes back is deleted then
            accept_write(op);
        break;
    case client_op::kind::read:
    case client_op::kind::transform: judge_read(op, m); break;
    case client_op::kind::range: judge_range(op, m); break;
    case client_op::kind::head: judge_head(op, m); break;
    case client_op::kind::list: judge_list(op, m); break;
    case client_op::kind::etls: judge_etls(op, m); break;
    case client_op::kind::init:
        sim_want(op, status == 200, text);
        op->etl->since_us = w.now_us;
        if (status == 200)
            op->etl->id = op->etl->is_of_today ? op->etl->name : m.body;
        else
            op->etl->is_failed = true;
        if (w.is_verbose)
            sim_note(w, "init of %s: %s", op->etl->name.c_str(), text.c_str());
        break;
    case client_op::kind::stop:
        sim_want(op, status == 200 || status == 404, text);
        if (status == 200)
            op->etl->is_stopped = true;
        break;
    case client_op::kind::halt: break;
    case client_op::kind::start:
        if (status == 200)
            op->etl->is_doubtful = false;
        break;
    case client_op::kind::create_bucket:
        sim_want(op, status == 200 || status == 409, text);
        if (op->path == "/v1/buckets/v" && (status == 200 || status == 409))
            l.volatile_exists = true;
        break;
    case client_op::kind::destroy_bucket:
        if (status == 200)
            accept_write(op);
        l.volatile_exists = false;
        break;
    case client_op::kind::page: sim_want(op, status == 200, text); break;
    case client_op::kind::several: break;
    case client_op::kind::copy: judge_copy(op, m); break;
    case client_op::kind::member: sim_note(w, "the operator is answered: %s", text.c_str()); break;
    }
}

} // namespace etlnode
