// SPDX-License-Identifier: MIT
// A job with the real store, index and ledger of a memory world: what it counts, and that crashes, cancels and errors leave the sums right.
#include "job_run.h"

using namespace etlnode;

static memory_node &file_of(memory_image &image, const std::string &bucket, const std::string &name)
{
    return image.nodes[memory_find(image, content_final_path("/data", image.rows.at({bucket, name}).content_id))];
}

static memory_image damaged_sample()
{
    memory_image image = sample();
    file_of(image, "b", "large2").data[content_block_size + 5] ^= 1;
    file_of(image, "b", "large2").synced = file_of(image, "b", "large2").data;
    image.rows.at({"b", name_of(7)}).content[0] ^= 1;
    return image;
}

static const std::map<std::pair<std::string, std::string>, ledger_failure> &failures_of(run_state &r)
{
    return r.f.world->now.jobs.at("j1").failures;
}

static void expect_damage_found(run_state &r)
{
    test_eq_enum(r.news, job_news::over);
    test_eq_text(r.last.state, job_done);
    test_eq(r.last.done, small_count + 4u - 2u);
    test_eq(r.last.failed, 2u);
    test_eq(r.last.skipped, 0u);
    test_true(r.last.ended_ns != 0);
    test_eq(failures_of(r).size(), 2u);
    test_has_text(failures_of(r).at({"b", "large2"}).text, "the block at offset 262144 is not what was stored");
    test_has_text(failures_of(r).at({"b", name_of(7)}).text, "the content in the index does not match its checksum");
    test_eq(failures_of(r).at({"b", "large2"}).status, 500);
    test_eq(r.f.world->now.jobs.at("j1").ahead.size(), 0u);
}

static void scrub_finds_exactly_what_is_damaged(void **)
{
    run_state r;
    open_world(r, damaged_sample());
    begin_job(r);
    test_true(run_to_end(r));
    expect_damage_found(r);
    test_eq(r.last.bytes, r.f.world->now.rows.size() > 0 ? 4 * large.size() + small_count * 13u : 0u);
    test_eq(store_count(*r.f.s).damaged, 2u);
    close_world(r.f);
}

static void a_file_that_is_gone_or_short_is_damaged(void **)
{
    memory_image image = sample();
    file_of(image, "b", "large1").data.pop_back();
    uint64_t id = image.rows.at({"c", "large"}).content_id;
    uint64_t group = memory_find(image, content_group_dir("/data", content_group(id)));
    image.nodes[group].names.erase(content_name(id));
    image.nodes[group].synced_names.erase(content_name(id));
    run_state r;
    open_world(r, image);
    begin_job(r);
    test_true(run_to_end(r));
    test_eq(r.last.failed, 2u);
    test_has_text(failures_of(r).at({"b", "large1"}).text, "the content file has 524296 bytes, the object 524297");
    test_has_text(failures_of(r).at({"c", "large"}).text, "the content file is missing");
    close_world(r.f);
}

static void only_the_scope_is_read(void **)
{
    run_state r;
    open_world(r, damaged_sample());
    job &j = make_job(r, job_kind_scrub);
    j.order.bucket = "b";
    j.order.prefix = "large";
    job_begin(j, {});
    test_true(run_to_end(r));
    test_eq(r.last.done, 2u);
    test_eq(r.last.failed, 1u);
    close_world(r.f);
}

// A crash after each step: whatever the disk holds then, the next run ends with the same sums.
static void crash_after(const memory_image &image, uint64_t steps, memory_crash kind, uint64_t seed)
{
    run_state r;
    open_world(r, image, seed);
    r.f.world->shuffle = true;
    begin_job(r);
    uint64_t begun = r.f.world->steps;
    while (r.f.world->steps - begun < steps && !r.has_news) {
        if (!memory_step(*r.f.world) && !virtual_fire_next(r.f.world->clock, UINT64_MAX))
            break;
    }
    memory_image after = memory_take(*r.f.world, kind);
    r.f.world->shuffle = false;
    test_true(run_to_end(r));
    expect_damage_found(r);
    close_world(r.f);

    open_world(r, after, seed);
    auto known = r.f.world->now.jobs.find("j1");
    bool is_over = known != r.f.world->now.jobs.end() && known->second.job.ended_ns != 0;
    if (is_over) {
        r.news = job_news::over;
        r.last = known->second.job;
    } else {
        begin_job(r);
        test_true(run_to_end(r));
    }
    expect_damage_found(r);
    close_world(r.f);
}

static void a_crash_at_any_moment_leaves_the_sums_right(void **)
{
    memory_image image = damaged_sample();
    for (uint64_t steps = 0; steps < 420; steps += 3) {
        crash_after(image, steps, memory_crash::killed, steps + 1);
        crash_after(image, steps, memory_crash::power_cut, steps + 2);
    }
}

static void a_stopped_job_goes_on(void **)
{
    memory_image image = damaged_sample();
    for (uint64_t steps = 0; steps < 400; steps += 7) {
        run_state r;
        open_world(r, image);
        begin_job(r);
        for (uint64_t i = 0; i < steps && !r.has_news; i++)
            (void)(memory_step(*r.f.world) || virtual_fire_next(r.f.world->clock, UINT64_MAX));
        if (!r.has_news)
            job_stop(*r.j);
        test_true(run_to_end(r));
        if (r.news == job_news::paused) {
            begin_job(r);
            test_true(run_to_end(r));
        }
        expect_damage_found(r);
        close_world(r.f);
    }
}

static void a_cancelled_job_ends_with_what_it_did(void **)
{
    memory_image image = damaged_sample();
    for (uint64_t steps = 0; steps < 300; steps += 7) {
        run_state r;
        open_world(r, image);
        begin_job(r);
        for (uint64_t i = 0; i < steps && !r.has_news; i++)
            (void)(memory_step(*r.f.world) || virtual_fire_next(r.f.world->clock, UINT64_MAX));
        if (!r.has_news) {
            job_cancel(*r.j);
            job_cancel(*r.j); // again
        }
        test_true(run_to_end(r));
        test_eq_enum(r.news, job_news::over);
        bool was_cancelled = r.last.state == job_cancelled;
        test_true(was_cancelled || r.last.state == job_done);
        test_true(r.last.done + r.last.failed <= small_count + 4u);
        test_eq(failures_of(r).size(), r.last.failed);
        close_world(r.f);
    }
}

static void errors_that_pass_are_waited_for(void **)
{
    struct {
        memory_op op;
        error_code code;
    } faults[] = {{memory_op::index_page, error_code::io}, {memory_op::ledger_change, error_code::no_space},
        {memory_op::open, error_code::too_many_files}};
    for (const auto &fault : faults) {
        for (size_t skip = 0; skip < 4; skip++) {
            run_state r;
            open_world(r, damaged_sample());
            r.f.world->faults = {{.op = fault.op, .err = make_error(fault.code), .path_part = "", .skip = skip, .count = 2}};
            begin_job(r);
            test_true(run_to_end(r));
            expect_damage_found(r);
            close_world(r.f);
        }
    }
}

static void the_end_is_stored_whatever_it_takes(void **)
{
    run_state r;
    r.buckets = {};
    open_world(r, sample());
    r.f.world->faults = {{.op = memory_op::ledger_change, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 3}};
    begin_job(r);
    test_true(run_to_end(r));
    test_eq_text(r.last.state, job_done);
    close_world(r.f);
}

static void an_object_that_cannot_be_read_fails(void **)
{
    run_state r;
    open_world(r, sample());
    r.f.world->faults = {{.op = memory_op::open, .err = make_error(error_code::io, "a bad sector"), .path_part = "", .skip = 0, .count = 1},
        {.op = memory_op::open, .err = make_error(error_code::too_many_files), .path_part = "", .skip = 0, .count = 1'000}};
    begin_job(r);
    test_true(run_to_end(r));
    test_eq(r.last.failed, 4u);
    uint64_t tries = 0;
    for (const auto &[name, failure] : failures_of(r))
        tries += failure.tries;
    test_eq(tries, 1 + 3 * job_tries_max);
    close_world(r.f);
}

static void an_object_that_goes_is_skipped(void **)
{
    run_state r;
    open_world(r, sample());
    begin_job(r);
    memory_step(*r.f.world);
    memory_step(*r.f.world); // the page is read
    for (auto it = r.f.world->now.rows.begin(); it != r.f.world->now.rows.end();)
        it = it->first.second == name_of(30) ? r.f.world->now.rows.erase(it) : std::next(it);
    test_true(run_to_end(r));
    test_eq(r.last.skipped, 1u);
    test_eq(r.last.done, small_count + 4u - 1u);
    close_world(r.f);
}

static void what_ended_was_saved_when_it_was_stopped(void **)
{
    run_state r;
    open_world(r, damaged_sample());
    begin_job(r);
    while (r.j->window.unsaved < 5)
        test_true(memory_step(*r.f.world) || virtual_fire_next(r.f.world->clock, UINT64_MAX));
    job_stop(*r.j);
    job_stop(*r.j);
    test_true(run_to_end(r));
    test_eq_enum(r.news, job_news::paused);
    test_true(r.last.done + r.last.failed >= 5);
    close_world(r.f);
}

// --- a kind whose passes must lie in one placement

static void a_pass_lies_in_one_placement(void **)
{
    run_state r;
    open_world(r, sample());
    begin_job(r, holding);
    memory_advance(*r.f.world, 100);
    test_eq(held_count, 4u);
    r.epoch = 2;
    test_true(end_all(r));
    test_eq_enum(r.news, job_news::over);
    test_eq(r.last.pass, 2u);
    test_eq(r.last.epoch, 2u);
    test_eq(r.last.done, small_count + 4u); // of the second pass alone
    close_world(r.f);
}

// In every state in which an item, a page or the ledger may still answer.
static void whatever_is_late_is_taken(void **)
{
    for (bool cancels : {true, false}) {
        for (bool rests : {true, false}) {
            run_state r;
            open_world(r, sample());
            held_count = 0;
            begin_job(r, holding);
            memory_advance(*r.f.world, 100);
            job_item *first = held[0], *second = held[1], *third = held[2], *fourth = held[3];
            held_count = 0;
            if (rests)
                job_item_failed(*first, make_error(error_code::unavailable), "later", 0);
            else
                job_item_ended(*first, job_outcome::done, 0);
            if (rests)
                job_item_failed(*second, make_error(error_code::unavailable), "later", 0);
            if (rests)
                job_item_ended(*third, job_outcome::done, 0);
            if (cancels)
                job_cancel(*r.j);
            else
                job_stop(*r.j);
            if (!rests)
                job_item_failed(*second, make_error(error_code::unavailable), "later", 0);
            if (!rests)
                job_item_stopped(*third);
            memory_advance(*r.f.world, 2'000);
            test_false(r.has_news);
            if (cancels && !rests)
                job_stop(*r.j);
            job_item_stopped(*fourth);
            // The held ones that were begun after the first one ended.
            std::vector<job_item *> rest(held, held + held_count);
            held_count = 0;
            for (job_item *item : rest)
                job_item_stopped(*item);
            test_true(run_to_end(r));
            close_world(r.f);
        }
    }
}

// One operation that is under way when the job is told to rest, cancel or stop, and that then succeeds or fails.
static void meet(memory_op op, bool fails, bool rests, int order)
{
    run_state r;
    open_world(r, sample());
    held_count = 0;
    begin_job(r, holding);
    auto is_under_way = [&r, op] {
        for (const auto &task : r.f.world->todo) {
            if (task->op == op)
                return true;
        }
        return false;
    };
    bool has_ended_one = false;
    auto is_ready = [&] { return is_under_way() && (held_count > 0 || (op == memory_op::index_page && !rests)); };
    for (int i = 0; i < 10'000 && !is_ready(); i++) {
        if (op == memory_op::ledger_change && held_count > 0 && !has_ended_one) {
            has_ended_one = true;
            job_item *item = held[--held_count];
            job_item_ended(*item, job_outcome::done, 1);
        } else if (!memory_step(*r.f.world)) {
            (void)virtual_fire_next(r.f.world->clock, UINT64_MAX); // the ledger is written a second later
        }
    }
    test_true(is_under_way());
    if (fails)
        r.f.world->faults = {{.op = op, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 1}};
    if (rests && held_count > 0) {
        job_item *item = held[--held_count];
        job_item_failed(*item, make_error(error_code::unavailable), "later", 0);
    }
    if (order == 1)
        job_cancel(*r.j);
    if (order == 2)
        job_stop(*r.j);
    memory_run(*r.f.world);
    if (!r.has_news)
        test_true(end_all(r, order == 0 ? end_done : end_stopped));
    if (order == 0)
        test_eq(r.last.done, small_count + 4u);
    close_world(r.f);
}

static void operations_under_way_end_in_any_state(void **)
{
    for (memory_op op : {memory_op::index_page, memory_op::ledger_change}) {
        for (bool fails : {false, true}) {
            for (bool rests : {false, true}) {
                for (int order = 0; order < 3; order++)
                    meet(op, fails, rests, order);
            }
        }
    }
}

static void a_stop_meets_the_end(void **)
{
    for (bool fails : {false, true}) {
        for (uint64_t wait_ms : {0u, 10u}) {
            run_state r;
            r.buckets = {};
            open_world(r, sample());
            if (fails)
                r.f.world->faults = {
                    {.op = memory_op::ledger_change, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 1}};
            begin_job(r);
            job_cancel(*r.j); // too late: its end is being stored
            if (wait_ms > 0)
                memory_advance(*r.f.world, wait_ms);
            if (!r.has_news) {
                job_cancel(*r.j);
                job_stop(*r.j);
            }
            test_true(run_to_end(r));
            test_eq_enum(r.news, fails ? job_news::paused : job_news::over);
            close_world(r.f);
        }
    }
}

static void a_job_that_never_began_can_be_stopped(void **)
{
    run_state r;
    open_world(r, sample());
    job &j = make_job(r, job_kind_scrub);
    job_cancel(j);
    job_stop(j);
    test_true(r.has_news);
    close_world(r.f);
}

static void every_row_is_taken(void **) { check_rows_taken(job_machine_view()); }

// Nothing is wrong with the object: the disk is full, or the ETL or the target that it needs is away. Such an item is never given up.
static void what_lies_elsewhere_is_waited_for(void **)
{
    for (error_code code : {error_code::no_space, error_code::unavailable, error_code::not_ready, error_code::overloaded}) {
        run_state r;
        open_world(r, sample());
        held_count = 0;
        begin_job(r, holding);
        for (uint64_t i = 0; i < 3 * job_tries_max; i++) {
            memory_advance(*r.f.world, 2 * job_rest_ms);
            test_true(held_count > 0 && !r.has_news);
            for (size_t at = held_count; at-- > 0;)
                job_item_failed(*held[at], make_error(code), "away", 0);
            held_count = 0;
        }
        test_eq_text(r.j->waiting, "away");
        test_true(end_all(r));
        test_eq(r.last.failed, 0u);
        close_world(r.f);
    }
}

static void fail_at_length(job_item &item)
{
    std::string text = "x";
    while (text.size() < 100'000)
        text += "\u00e9";
    job_item_failed(item, make_error(error_code::bad_pod_answer), text, 0);
}

// What a pod says at length is noted, but not all of it.
static void long_texts_are_cut(void **)
{
    run_state r;
    open_world(r, sample());
    held_count = 0;
    begin_job(r, holding);
    test_true(end_all(r, fail_at_length));
    test_true(r.last.failed > 0);
    uint64_t found = 0;
    for (const auto &[key, failure] : r.f.world->now.jobs["j1"].failures) {
        test_true(failure.text.size() <= failure_text_max + 3 && failure.text.ends_with("\u00e9..."));
        found++;
    }
    test_eq(found, r.last.failed);
    close_world(r.f);
}

// An object that moves may go past two cursors.
static void while_objects_move_no_pass_counts(void **)
{
    run_state r;
    open_world(r, sample());
    held_count = 0;
    r.epoch = 0;
    begin_job(r, holding);
    test_false(end_all(r));
    test_has_text(r.j->waiting, "objects move");
    r.epoch = 7;
    test_true(end_all(r));
    test_eq(r.last.epoch, 7u);
    test_eq(r.last.pass, 2u);
    close_world(r.f);
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test(scrub_finds_exactly_what_is_damaged),
        cmocka_unit_test(a_file_that_is_gone_or_short_is_damaged),
        cmocka_unit_test(only_the_scope_is_read),
        cmocka_unit_test(a_crash_at_any_moment_leaves_the_sums_right),
        cmocka_unit_test(a_stopped_job_goes_on),
        cmocka_unit_test(a_cancelled_job_ends_with_what_it_did),
        cmocka_unit_test(errors_that_pass_are_waited_for),
        cmocka_unit_test(the_end_is_stored_whatever_it_takes),
        cmocka_unit_test(what_lies_elsewhere_is_waited_for),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(while_objects_move_no_pass_counts),
        cmocka_unit_test(an_object_that_cannot_be_read_fails),
        cmocka_unit_test(an_object_that_goes_is_skipped),
        cmocka_unit_test(what_ended_was_saved_when_it_was_stopped),
        cmocka_unit_test(a_pass_lies_in_one_placement),
        cmocka_unit_test(whatever_is_late_is_taken),
        cmocka_unit_test(operations_under_way_end_in_any_state),
        cmocka_unit_test(a_stop_meets_the_end),
        cmocka_unit_test(a_job_that_never_began_can_be_stopped),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
