// SPDX-License-Identifier: MIT
// Clients' requests while objects move: at the wrong target, at the owner, and across a change of epoch.
#include "joining_world.h"

using namespace etlnode;

static const char *asks = "GET /v1/node/object/";

// --- at the wrong target

static void a_client_at_the_wrong_target_is_sent_on(void **state)
{
    role_world &w = role_of(state);
    std::string name = staying();
    struct row {
        const char *method;
        const char *query;
        int status;
        const char *says;
    };
    const row rows[] = {
        {"GET", "", 301, "?plc=2"},
        {"HEAD", "", 307, "?plc=2"},
        {"GET", "props=name&x=a%20b", 301, "?props=name&x=a%20b&plc=2"},
        {"GET", "plc=1", 301, "?plc=2"}, // of a former redirect
        {"PUT", "pid=p&utm=1", 307, "?pid=p&utm=1&plc=2"},
        {"DELETE", "pid=p&plc=2&utm=1", 307, "?pid=p&utm=1&plc=2"},
    };
    for (const row &one : rows) {
        std::string line = std::string(one.method) + " /v1/objects/b/" + name + "?" + one.query;
        const scripted_call &call = role_ask(w, line, std::string_view(one.method) == "PUT" ? "x" : std::string_view());
        role_check(call, line, one.status, "");
        test_eq_text(sim_header(call.answer, "location"), "http://10.0.0.9:8080/v1/objects/b/" + name + one.says);
    }
    test_eq(scripted_count(peer_of(w, "target-02"), asks), 0);
    // This target itself may be the one that has not heard.
    size_t beats = scripted_count(peer_of(w, role_proxy_id), "POST /v1/node/register");
    for (const char *method : {"GET", "PUT", "DELETE"}) {
        std::string line = moving_object(method, name, "&plc=3");
        role_check(role_ask(w, line, std::string_view(method) == "PUT" ? "x" : std::string_view()), line, 503,
            "target target-01 has not heard of placement 3 yet");
    }
    test_true(scripted_count(peer_of(w, role_proxy_id), "POST /v1/node/register") > beats); // the answer brings the document
    role_check(role_ask(w, moving_object("GET", coming(), "&plc=2")), "of this epoch", 404, "does not exist");
}

// --- GET at the owner

static void the_owner_fetches_what_a_former_owner_has(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming(), nowhere = coming(1), deleted = coming(2);
    moving_script_copy(w, "target-02", moving_item(name, 4, 1, "four"));
    moving_script_row(w, "target-02", moving_tombstone(deleted, 4, 1));
    const scripted_call &call = role_ask(w, moving_object("GET", name));
    role_check(call, "GET", 200, "four");
    test_eq_text(sim_header(call.answer, "ais-version"), "4");
    index_row row = moving_row_here(w, name);
    test_eq(row.version, 4);
    test_eq(row.tag, 2);
    test_eq_text(row.content_type, "text/x-unit");
    role_check(role_ask(w, moving_object("HEAD", nowhere)), "nobody has it", 404, "");
    role_check(role_ask(w, moving_object("GET", deleted)), "it was deleted there", 404, "does not exist");
    // What is here now needs nobody.
    scripted_silence(peer_of(w, "target-02"));
    role_check(role_ask(w, moving_object("GET", name)), "again", 200, "four");
    role_check(role_ask(w, moving_object("GET", deleted)), "again", 404, "");
    role_check(role_ask(w, moving_object("GET", nowhere)), "nobody answers", 503,
        "t[target-01]: ais://b/" + nowhere + " cannot be served now: objects are moving, and target target-02, which may have it");
}

static void a_full_disk_is_named_as_the_owners(void **state)
{
    role_world &w = role_of(state);
    std::string small = coming(), large = coming(1);
    moving_script_copy(w, "target-02", moving_item(small, 4, 1, "four"));
    moving_script_copy(w, "target-02", moving_item(large, 4, 1, std::string(200'000, 'x')));
    const char *advice = "target target-01 cannot store this one, which target target-02 has: its disk is full: remove objects";
    role_fail_disk(w, memory_op::index_change, error_code::no_space, "", 1);
    role_check(role_ask(w, moving_object("GET", small)), "in the index", 503, advice);
    role_fail_disk(w, memory_op::write, error_code::no_space, "", 1);
    role_check(role_ask(w, moving_object("GET", large)), "in a file", 503, advice);
    role_check(role_ask(w, moving_object("GET", small)), "it has room again", 200, "four");
}

// What was moved here is the newest version, whether it is in memory or not.
static void a_read_of_a_row_of_this_epoch_needs_no_former_owner(void **state)
{
    role_world &w = role_of(state);
    std::string batch, name = coming();
    moved_item_append(batch, moving_item(name, 7, 1, "seven"));
    role_check(role_ask_as_node(w, "PUT /v1/node/move?epoch=2&disk=" + disk_of(w, "target-02"), batch), "a batch", 200, "stored");
    scripted_silence(peer_of(w, "target-02"));
    role_check(role_ask(w, moving_object("GET", name)), "GET", 200, "seven");
    role_check(role_ask(w, moving_object("HEAD", name)), "HEAD", 200, "");
}

// It was here before, went away, and is back: what another one wrote meanwhile counts.
static void an_older_row_here_is_not_served(void **state)
{
    role_world &w = role_of(state);
    const std::vector<moving_ids> tables = {
        {"target-01", "target-03"}, {"target-01", "target-02", "target-03"}, {"target-01", "target-03"}};
    std::string name = moving_name(tables, {"target-01", "target-02", "target-01"});
    std::string lower = moving_name(tables, {"target-01", "target-02", "target-01"}, 1);
    moving_begin(w, tables.front());
    role_script(peer_of(w, "target-02"), {.match = "PUT /v1/node/move", .status = 503}); // nothing leaves
    role_check(role_ask(w, moving_object("PUT", name), "here"), "PUT", 200, "");
    role_check(role_ask(w, moving_object("PUT", lower), "here"), "PUT", 200, "");
    role_check(role_ask(w, moving_object("GET", name)), "it is in memory", 200, "here");
    moving_join(w, {"target-02"});
    test_ok(placement_drain(w.document, "target-02", node_want::maintenance).err);
    moving_push(w);
    moving_script_copy(w, "target-02", moving_item(name, 2, 2, "there"));
    role_check(role_ask(w, moving_object("GET", name)), "GET", 200, "there");
    test_eq(moving_row_here(w, name).tag, 3);
    role_check(role_ask(w, moving_object("GET", lower)), "it has none", 200, "here");
    scripted_silence(peer_of(w, "target-02"));
    role_check(role_ask(w, moving_object("GET", name)), "again", 200, "there");
    role_check(role_ask(w, moving_object("GET", lower)), "of a former epoch", 503, "target-02, which may have it, gives no answer");
}

static void of_two_former_owners_the_newest_copy_counts(void **state)
{
    role_world &w = role_of(state);
    const moving_ids owners = {"target-02", "target-03", "target-01"};
    std::string newer_last = moving_name(twice, owners), newer_first = moving_name(twice, owners, 1),
                buried = moving_name(twice, owners, 2);
    std::string tie = moving_name(twice, owners, 3), half = moving_name(twice, owners, 4);
    moving_script_row(w, "target-02", moving_item(newer_last, 3, 1, "three"));
    moving_script_copy(w, "target-03", moving_item(newer_last, 4, 2, "four"));
    moving_script_copy(w, "target-02", moving_item(newer_first, 6, 1, "six"));
    moving_script_row(w, "target-03", moving_item(newer_first, 5, 2, "five"));
    moving_script_row(w, "target-02", moving_item(buried, 3, 1, "three"));
    moving_script_row(w, "target-03", moving_tombstone(buried, 4, 2));
    moving_script_row(w, "target-02", moving_item(tie, 3, 1, "old"));
    moving_script_copy(w, "target-03", moving_item(tie, 3, 2, "new"));
    moving_script_copy(w, "target-02", moving_item(half, 3, 1, "three"));
    role_check(role_ask(w, moving_object("GET", newer_last)), "the latter owner's", 200, "four");
    role_check(role_ask(w, moving_object("GET", newer_first)), "the former owner's", 200, "six");
    role_check(role_ask(w, moving_object("GET", buried)), "deleted at the latter", 404, "");
    role_check(role_ask(w, moving_object("GET", tie)), "the higher tag", 200, "new");
    test_eq(scripted_count(peer_of(w, "target-03"), asks), 6); // four rows and two contents
    scripted_silence(peer_of(w, "target-03"));
    role_check(role_ask(w, moving_object("GET", half)), "one is away", 503, "target target-03, which may have it, gives no answer");
}

// The copy vanishes between the two questions, because it has been moved here.
static void a_copy_that_vanishes_is_looked_for_again(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming(), never = coming(1);
    moved_item item = moving_item(name, 4, 1, "four");
    scripted_node &giver = peer_of(w, "target-02");
    role_script(giver, {.match = moving_question(name, 2), .body = moving_nothing});
    role_script(giver, {.match = moving_question(name, 2), .body = moving_row_answer(item), .times = 1});
    role_script(giver, {.match = moving_question(name, 2, "&version="), .is_held = true});
    scripted_call &reading = role_begin(w, moving_object("GET", name));
    test_true(scripted_until(*w.sim, [&] { return scripted_held(giver) == 1; }));
    std::string batch;
    moved_item_append(batch, item);
    role_check(role_ask_as_node(w, "PUT /v1/node/move?epoch=2&disk=" + disk_of(w, "target-02"), batch), "a batch", 200, "stored");
    scripted_answer_held(giver, 404, "gone");
    role_check(role_await(w, reading), "GET", 200, "four");
    moving_script_row(w, "target-02", moving_item(never, 4, 1, "four"));
    role_script(giver, {.match = moving_question(never, 2, "&version="), .status = 404}); // its content is never there
    role_check(role_ask(w, moving_object("GET", never)), "again and again", 503, "the placement of objects changes too often");
}

static void an_object_that_is_damaged_at_its_former_owner_is_said_to_be(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming();
    moving_script_row(w, "target-02", moving_item(name, 4, 1, "four"));
    role_script(peer_of(w, "target-02"), {.match = moving_question(name, 2, "&version="), .status = 500});
    role_check(role_ask(w, moving_object("GET", name)), "GET", 500,
        "target-02, which has it, finds it damaged, or cannot read it: store it again");
    role_script(peer_of(w, "target-02"), {.match = moving_question(name, 2, "&version="), .status = 503});
    role_check(role_ask(w, moving_object("GET", name)), "GET", 503, "target target-02, which has it, answered 503");
}

static void a_former_owner_in_another_epoch_gets_the_document_first(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming();
    scripted_node &giver = peer_of(w, "target-02");
    moving_script_copy(w, "target-02", moving_item(name, 4, 1, "four"));
    role_script(
        giver, {.match = moving_question(name, 2), .status = 409, .body = R"({"code":"other_epoch","message":"epoch 1"})", .times = 1});
    size_t pushed = scripted_count(giver, "PUT /v1/node/document");
    role_check(role_ask(w, moving_object("GET", name)), "GET", 200, "four");
    test_eq(scripted_count(giver, "PUT /v1/node/document"), pushed + 1);
    test_eq_text(scripted_last(giver, "PUT /v1/node/document").body, role_document_text(w));
}

static void a_newer_document_of_a_former_owner_is_taken(void **state)
{
    role_world &w = role_of(state);
    std::string name = moving_name(
        {{"target-02"}, {"target-01", "target-02"}, {"target-01", "target-02", "target-03"}}, {"target-02", "target-01", "target-01"});
    scripted_node &giver = peer_of(w, "target-02");
    moved_item item = moving_item(name, 4, 1, "four");
    role_script(giver, {.match = moving_question(name, 2), .status = 409, .body = R"({"code":"other_epoch","message":"epoch 3"})"});
    const std::string ids[] = {"target-03"};
    test_ok(placement_join(w.document, ids).err);
    moving_script_copy(w, "target-02", item);
    role_script(giver, {.match = "PUT /v1/node/document", .status = 409});
    role_script(giver, {.match = "GET /v1/node/document", .body = role_next_document(w)});
    role_script(giver, {.match = moving_question(name, 2), .status = 409, .body = R"({"code":"other_epoch","message":"epoch 3"})"});
    role_check(role_ask(w, moving_object("GET", name)), "GET", 200, "four");
    test_eq(document_epoch(w.t->document), 3);
}

// --- PUT and DELETE at the owner

static void a_new_version_is_above_what_others_have(void **state)
{
    role_world &w = role_of(state);
    std::string over = coming(), buried = coming(1), removed = coming(2), fresh = coming(3);
    moving_script_row(w, "target-02", moving_item(over, 6, 1, "six"));
    moving_script_row(w, "target-02", moving_tombstone(buried, 8, 1));
    role_script(peer_of(w, "target-02"), {.match = moving_question(removed, 2), .body = R"({"removed_max":"30"})"});
    for (const std::string &name : {over, buried, removed, fresh})
        role_check(role_ask(w, moving_object("PUT", name), "new"), "PUT", 200, "");
    test_eq(moving_row_here(w, over).version, 7);
    test_eq(moving_row_here(w, over).tag, 2);
    test_eq(moving_row_here(w, buried).version, 9);
    test_eq(moving_row_here(w, removed).version, 31);
    test_eq(moving_row_here(w, fresh).version, 1);
    test_eq(scripted_count(peer_of(w, "target-02"), (asks + ("b/" + over)).c_str()), 1); // its content is of no use
    scripted_silence(peer_of(w, "target-02"));
    std::string late = coming(4);
    role_check(role_ask(w, moving_object("PUT", late), "new"), "the former owner is away", 503, "target target-02, which may have it");
    role_check(role_ask(w, moving_object("DELETE", late)), "the former owner is away", 503, "target target-02, which may have it");
    test_eq(moving_row_here(w, late).version, 0);
    role_check(role_ask(w, moving_object("PUT", over), "newer"), "each must be in this epoch", 503, "gives no answer");
    role_check(role_ask(w, moving_object("GET", over)), "but reads go on", 200, "new");
}

static void a_delete_leaves_a_tombstone(void **state)
{
    role_world &w = role_of(state);
    std::string there = coming(), buried = coming(1), nowhere = coming(2);
    moving_script_copy(w, "target-02", moving_item(there, 6, 1, "six"));
    moving_script_row(w, "target-02", moving_tombstone(buried, 8, 1));
    role_check(role_ask(w, moving_object("DELETE", there)), "DELETE", 200, "");
    index_row row = moving_row_here(w, there);
    test_true(row.is_tombstone);
    test_eq(row.version, 7);
    test_eq(row.tag, 2);
    role_check(role_ask(w, moving_object("GET", there)), "GET", 404, "");
    role_check(role_ask(w, moving_object("DELETE", there)), "again", 404, "ais://b/" + there + " does not exist");
    test_eq(moving_row_here(w, there).version, 7);
    role_check(role_ask(w, moving_object("DELETE", buried)), "deleted before", 404, "does not exist");
    role_check(role_ask(w, moving_object("DELETE", nowhere)), "nobody has it", 404, "does not exist");
    test_eq(moving_row_here(w, nowhere).version, 0);
    role_check(role_ask(w, moving_object("PUT", there), "new"), "PUT", 200, "");
    test_eq(moving_row_here(w, there).version, 8);
}

// --- across a change of epoch

static void a_put_whose_owner_changed_is_redirected(void **state)
{
    role_world &w = role_of(state);
    std::string going = moving_name(growing, {"target-01", "target-02"}), staying = moving_name(growing, {"target-01", "target-01"});
    role_check(role_ask(w, moving_object("PUT", going), "old"), "PUT", 200, "");
    scripted_call &redirected = role_begin_slow_put(w, moving_object("PUT", going), "new", 3'000);
    scripted_call &stored = role_begin_slow_put(w, moving_object("PUT", staying), "new", 3'000);
    scripted_pass(*w.sim, 500);
    moving_join(w, {"target-02"});
    test_true(redirected.running != nullptr);
    role_check(role_await(w, redirected), "PUT", 307, "it belongs to target target-02 now, to which the answer redirects: send it again");
    std::string location(sim_header(redirected.answer, "location"));
    test_has_text(location, "http://10.0.0.9:8080/v1/objects/b/" + going + "?pid=proxy-01&utm=");
    test_true(location.ends_with("&plc=2"));
    role_check(role_await(w, stored), "it stays this target's", 200, "");
    test_eq(moving_row_here(w, staying).tag, 2);
    test_eq(moving_row_here(w, going).version, 1); // nothing was stored
}

// The epoch changes while the former owners are asked.
static void a_put_that_lost_its_owner_during_the_question_is_redirected(void **state)
{
    role_world &w = role_of(state);
    const std::vector<moving_ids> tables = {{"target-02"}, {"target-01", "target-02"}, {"target-01", "target-02", "target-03"}};
    std::string going = moving_name(tables, {"target-02", "target-01", "target-03"});
    std::string staying = moving_name(tables, {"target-02", "target-01", "target-01"});
    scripted_node &giver = peer_of(w, "target-02");
    moving_script_row(w, "target-02", moving_item(staying, 4, 1, "four"));
    role_script(giver, {.match = asks, .is_held = true, .times = 2});
    scripted_call &redirected = role_begin(w, moving_object("PUT", going), "new");
    scripted_call &stored = role_begin(w, moving_object("PUT", staying), "new");
    test_true(scripted_until(*w.sim, [&] { return scripted_held(giver) == 2; }));
    moving_join(w, {"target-03"});
    scripted_answer_held(giver, 200, moving_nothing);
    scripted_answer_held(giver, 200, moving_nothing);
    role_check(role_await(w, redirected), "PUT", 307, "it belongs to target target-03 now");
    test_has_text(sim_header(redirected.answer, "location"), "http://10.0.0.8:8080/v1/objects/b/" + going + "?");
    role_check(role_await(w, stored), "it is asked again", 200, "");
    test_eq(moving_row_here(w, staying).version, 5);
    test_eq(moving_row_here(w, staying).tag, 3);
    test_eq(moving_row_here(w, going).version, 0);
}

static void a_read_whose_owner_changed_is_sent_on(void **state)
{
    role_world &w = role_of(state);
    const std::vector<moving_ids> tables = {{"target-02"}, {"target-01", "target-02"}, {"target-01", "target-02", "target-03"}};
    std::string going = moving_name(tables, {"target-02", "target-01", "target-03"});
    scripted_node &giver = peer_of(w, "target-02");
    role_script(giver, {.match = asks, .is_held = true, .times = 1});
    scripted_call &reading = role_begin(w, moving_object("GET", going));
    test_true(scripted_until(*w.sim, [&] { return scripted_held(giver) == 1; }));
    moving_join(w, {"target-03"});
    scripted_answer_held(giver, 200, moving_nothing);
    role_check(role_await(w, reading), "GET", 301, "");
    test_has_text(sim_header(reading.answer, "location"), "http://10.0.0.8:8080/v1/objects/b/" + going + "?");
}

// The new owner can answer only when what it handed to its index before is durable.
static void the_owner_answers_when_it_has_adopted_the_epoch(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming(), kept = coming(1);
    moving_begin(w, joining.front());
    moving_script_copy(w, "target-02", moving_item(name, 4, 1, "four"));
    const std::string ids[] = {role_target_id};
    test_ok(placement_join(w.document, ids).err);
    moving_script_copy(w, "target-02", moving_item(name, 4, 1, "four"));
    role_fail_disk(w, memory_op::meta_swap, error_code::io, "", 1);
    role_check(role_push(w), "a document that is not durable", 500, "");
    scripted_call &reading = role_begin(w, moving_object("GET", name));
    scripted_call &asking = role_begin(w, moving_question(kept, 2), {}, role_secret_header);
    std::string batch;
    moved_item_append(batch, moving_item(kept, 4, 1, "four"));
    scripted_call &moving = role_begin(w, "PUT /v1/node/move?epoch=2&disk=" + disk_of(w, "target-02"), batch, role_secret_header);
    scripted_pass(*w.sim, 1'000);
    test_true(reading.running != nullptr && asking.running != nullptr && moving.running != nullptr);
    test_eq(scripted_count(peer_of(w, "target-02"), asks), 0);
    role_check(role_ask_as_node(w, "PUT /v1/node/document", role_document_text(w)), "again", 204, "");
    role_check(role_await(w, reading), "GET", 200, "four");
    role_check(role_await(w, asking), "a question", 200, "removed_max");
    role_check(role_await(w, moving), "a batch", 200, "stored");
}

// --- what pods read

static constexpr const char *pod_path = "/v1/etl/_object/my-etl/secretofthestart/b/";

static void want_etl(role_world &w)
{
    cluster_etl etl;
    etl.id = etl.name = "my-etl";
    etl.generation_id = "g1";
    etl.secret = "secretofthestart";
    etl.wait_timeout_ms = etl.obj_timeout_ms = 10'000;
    etl.pod_json =
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"my-etl"},"spec":{"containers":[{"name":"server",)"
        R"("image":"sim/length-00000:v1","ports":[{"containerPort":8000}],"readinessProbe":{"httpGet":{"path":"/","port":8000}}}]}})";
    etl.init_json = "{}";
    etl.stage = etl_stage::running;
    document_put_etl(w.document, etl);
    moving_push(w);
}

// It cannot follow a redirect.
static void a_pod_reads_through_the_wrong_target(void **state)
{
    role_world &w = role_of(state);
    want_etl(w);
    std::string name = staying(), missing = moving_name(joining, {"target-02", "target-02"}, 1);
    scripted_node &owner = peer_of(w, "target-02");
    role_script(owner, {.match = "GET /v1/objects/b/" + missing + "?plc=2", .status = 404, .body = R"({"message":"there is none"})"});
    role_script(owner, {.match = "GET /v1/objects/b/" + name + "?plc=2",
                           .body = "content",
                           .headers = "ais-version: 7\r\nversion: 7\r\nContent-Type: text/x-unit\r\n"});
    const scripted_call &call = role_ask(w, "GET " + (pod_path + name), {}, "Range: bytes=0-6\r\n", role_pod_port);
    role_check(call, "GET", 200, "");
    test_eq_text(call.answer.body, "content");
    test_eq_text(sim_header(call.answer, "version"), "7");
    test_eq_text(sim_header(call.answer, "content-type"), "text/x-unit");
    test_eq_text(sim_header(scripted_last(owner, "GET /v1/objects/"), "range"), "bytes=0-6");
    role_script(owner, {.match = "HEAD /v1/objects/b/" + name + "?plc=2", .status = 204, .headers = "ais-version: 7\r\n"});
    const scripted_call &head = role_ask(w, "HEAD " + (pod_path + name), {}, {}, role_pod_port);
    test_eq(head.status(), 204);
    test_eq_text(sim_header(head.answer, "ais-version"), "7");
    role_check(role_ask(w, "GET " + (pod_path + missing), {}, {}, role_pod_port), "nobody has it", 404, "there is none");
    scripted_silence(owner);
    role_check(role_ask(w, "GET " + (pod_path + name), {}, {}, role_pod_port), "the owner is away", 503,
        "target target-02, which has the object, cannot be reached");
    test_eq(w.node->now.rows.size(), 0); // it keeps nothing of it
}

static void a_pod_reads_what_the_owner_fetches(void **state)
{
    role_world &w = role_of(state);
    want_etl(w);
    std::string name = coming();
    moving_script_copy(w, "target-02", moving_item(name, 4, 1, "four"));
    role_check(role_ask(w, "GET " + (pod_path + name), {}, {}, role_pod_port), "GET", 200, "four");
    test_eq(moving_row_here(w, name).version, 4);
}

static void without_a_lease_nothing_changes(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming(), slow_name = coming(1);
    moving_script_copy(w, "target-02", moving_item(name, 4, 1, "four"));
    uint64_t sent_ms = w.t->registration_sent_ms;
    role_script(peer_of(w, role_proxy_id), {.match = "POST /v1/node/register", .status = 503});
    scripted_pass(*w.sim, sent_ms + target_lease_ms - w.sim->now_us / 1'000 - 1'000);
    test_true(target_has_lease(*w.t));
    scripted_call &slow = role_begin_slow_put(w, moving_object("PUT", slow_name), "new", 8'000);
    scripted_pass(*w.sim, heartbeat_interval_ms + 1'000);
    test_false(target_has_lease(*w.t));
    const char *says = "target target-01 takes no changes: the proxy has not answered its heartbeats for 1m";
    role_check(role_await(w, slow), "it ended meanwhile", 503, says);
    role_check(role_ask(w, moving_object("PUT", name), "new"), "PUT", 503, says);
    role_check(role_ask(w, moving_object("DELETE", name)), "DELETE", 503, says);
    std::string batch;
    moved_item_append(batch, moving_item(name, 4, 1, "four"));
    role_check(role_ask_as_node(w, "PUT /v1/node/move?epoch=2&disk=" + disk_of(w, "target-02"), batch), "a batch", 200, R"(["busy"])");
    role_script(peer_of(w, role_proxy_id), {.match = "POST /v1/node/register", .status = 204});
    test_true(scripted_until(*w.sim, [&] { return target_has_lease(*w.t); }));
    role_check(role_ask(w, moving_object("PUT", name), "new"), "PUT", 200, "");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_at_the_wrong_target_is_sent_on, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(the_owner_fetches_what_a_former_owner_has, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_is_named_as_the_owners, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_read_of_a_row_of_this_epoch_needs_no_former_owner, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(an_older_row_here_is_not_served, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(of_two_former_owners_the_newest_copy_counts, set_up_twice, role_tear_down),
        cmocka_unit_test_setup_teardown(a_copy_that_vanishes_is_looked_for_again, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(an_object_that_is_damaged_at_its_former_owner_is_said_to_be, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_former_owner_in_another_epoch_gets_the_document_first, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_newer_document_of_a_former_owner_is_taken, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_new_version_is_above_what_others_have, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_delete_leaves_a_tombstone, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_put_whose_owner_changed_is_redirected, set_up_growing, role_tear_down),
        cmocka_unit_test_setup_teardown(a_put_that_lost_its_owner_during_the_question_is_redirected, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_read_whose_owner_changed_is_sent_on, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(the_owner_answers_when_it_has_adopted_the_epoch, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_reads_through_the_wrong_target, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_reads_what_the_owner_fetches, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(without_a_lease_nothing_changes, set_up_joined, role_tear_down),
    };
    return role_main(tests);
}
