// SPDX-License-Identifier: MIT
// The store on the real disk and index, where the memory world's promises must also hold. Run with "--put DIR" it is the child of the kill
// -9 case: it puts for ever and prints what was acknowledged.
#include "node_test.h"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <ftw.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <xxhash.h>

#include "base/log.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "store/store.h"
#include "uv/uv_env.h"

using namespace etlnode;

static const char *program;
static constexpr uint64_t patience_ms = 60'000;

struct real {
    env *e = nullptr;
    store *s = nullptr;
    std::string dir;
    bool opened = false;
    error open_error;
};

static void run_until(real &r, bool (*holds)(void *arg), void *arg)
{
    uint64_t end = clock_now_ms(*r.e) + patience_ms;
    while (!holds(arg)) {
        uv_env_poll(*r.e, 100);
        CHECK(clock_now_ms(*r.e) < end);
    }
}

static error start(real &r)
{
    std::string detail;
    uv_env_options options;
    options.data_dir = r.dir;
    options.seed = 7;
    error err = uv_env_make(options, &r.e, detail);
    if (err)
        return err;
    store_options store_opts;
    store_opts.dir = r.dir;
    r.opened = false;
    store_open(
        *r.e, store_opts,
        [](void *arg, error open_error, store *s) {
            auto &self = *static_cast<real *>(arg);
            self.opened = true;
            self.open_error = open_error;
            self.s = s;
        },
        &r);
    run_until(
        r, [](void *arg) { return static_cast<real *>(arg)->opened; }, &r);
    return r.open_error;
}

static void stop(real &r)
{
    if (r.s != nullptr)
        store_close(r.s);
    r.s = nullptr;
    if (r.e != nullptr)
        test_ok(uv_env_free(r.e));
    r.e = nullptr;
}

static void remove_tree(const std::string &dir)
{
    (void)nftw(
        dir.c_str(), [](const char *path, const struct stat *, int, struct FTW *) { return ::remove(path); }, 16, FTW_DEPTH | FTW_PHYS);
}

static real *r;

static int setup(void **)
{
    r = new real;
    char path[] = "/tmp/etlnode-store-XXXXXX";
    if (mkdtemp(path) == nullptr)
        return 1;
    r->dir = path;
    return start(*r) ? 1 : 0;
}

static int teardown(void **)
{
    stop(*r);
    remove_tree(r->dir);
    delete r;
    return 0;
}

// --- many concurrent puts, each with as many buffers as it needs

struct job {
    real *owner = nullptr;
    put *p = nullptr;
    std::string name;
    size_t size = 0, sent = 0;
    bool done = false;
    error err;
    index_row row;
};

static char byte_at(const job &j, size_t offset) { return static_cast<char>('a' + (offset + j.name.size() + j.size) % 23); }

static std::string bytes_of(const job &j)
{
    std::string out(j.size, '\0');
    for (size_t i = 0; i < j.size; i++)
        out[i] = byte_at(j, i);
    return out;
}

static void job_done(void *arg, error err, const index_row &row)
{
    job &j = *static_cast<job *>(arg);
    j.done = true;
    j.err = err;
    j.row = row;
}

static void job_go_on(void *arg, error err)
{
    job &j = *static_cast<job *>(arg);
    if (err) {
        j.err = err;
        j.done = true;
        put_abort(*j.p);
        return;
    }
    size_t size = std::min(j.size - j.sent, put_buffer_size);
    for (size_t i = 0; i < size; i++)
        put_buffer(*j.p)[i] = byte_at(j, j.sent + i);
    j.sent += size;
    if (size < put_buffer_size)
        put_commit(*j.p, size, false, 0, job_done, &j);
    else
        put_write(*j.p, size, job_go_on, &j);
}

static void job_start(real &owner, job &j)
{
    j.owner = &owner;
    j.p = put_start(*owner.s, "b", j.name, "application/octet-stream");
    job_go_on(&j, no_error);
}

static void jobs_finish(real &owner, std::vector<job> &jobs)
{
    run_until(
        owner,
        [](void *arg) {
            for (const job &j : *static_cast<std::vector<job> *>(arg)) {
                if (!j.done)
                    return false;
            }
            return true;
        },
        &jobs);
}

static error look_up(real &owner, const std::string &name, std::string &out_bytes)
{
    struct state {
        bool done = false;
        error err;
        const store_object *object = nullptr;
        size_t count = 0;
    } s;
    store_get(
        *owner.s, "b", name,
        [](void *arg, error err, const store_object *object) {
            auto &self = *static_cast<state *>(arg);
            self.done = true;
            self.err = err;
            self.object = object;
        },
        &s);
    run_until(
        owner, [](void *arg) { return static_cast<state *>(arg)->done; }, &s);
    if (s.err)
        return s.err;
    if (s.object->has_content) {
        out_bytes = s.object->content;
    } else {
        out_bytes.assign(static_cast<size_t>(s.object->row.size) + 1, '\0');
        s.done = false;
        disk_read(
            *owner.e, s.object->file, out_bytes.data(), out_bytes.size(), 0,
            [](void *arg, error err, size_t count) {
                auto &self = *static_cast<state *>(arg);
                self.done = true;
                self.err = err;
                self.count = count;
            },
            &s);
        run_until(
            owner, [](void *arg) { return static_cast<state *>(arg)->done; }, &s);
        out_bytes.resize(s.count);
    }
    store_release(*owner.s, s.object);
    return s.err;
}

static size_t count_files(const std::string &dir)
{
    static size_t count;
    count = 0;
    (void)nftw(
        dir.c_str(),
        [](const char *, const struct stat *, int type, struct FTW *) {
            count += type == FTW_F ? 1 : 0;
            return 0;
        },
        16, FTW_PHYS);
    return count;
}

static size_t left_in_temp(real &owner) { return count_files(owner.dir + "/tmp"); }

static void wait_until_settled(real &owner)
{
    run_until(
        owner,
        [](void *arg) {
            auto &self = *static_cast<real *>(arg);
            return left_in_temp(self) == 0 && store_count(*self.s).garbage_pending == 0;
        },
        &owner);
}

static void what_was_put_is_read_before_and_after_a_restart(void **)
{
    std::vector<job> jobs(40);
    const size_t sizes[] = {
        0, 1, 4'096, index_content_size_max, index_content_size_max + 1, put_buffer_size, put_buffer_size + 1, 3 * put_buffer_size};
    for (size_t i = 0; i < jobs.size(); i++) {
        jobs[i].name = "dir/object " + std::to_string(i) + " \xe4\xbd\xa0";
        jobs[i].size = sizes[i % std::size(sizes)];
        job_start(*r, jobs[i]);
    }
    jobs_finish(*r, jobs);
    for (int round = 0; round < 3; round++) {
        for (const job &j : jobs) {
            test_ok(j.err);
            std::string bytes, expected = bytes_of(j);
            test_ok(look_up(*r, j.name, bytes));
            test_true(bytes == expected);
            test_eq(j.row.checksum, XXH64(expected.data(), expected.size(), 0));
        }
        if (round == 1) { // the second one was in memory
            stop(*r);
            test_ok(start(*r));
        }
    }
    wait_until_settled(*r);
    test_eq(store_object_count(*r->s), jobs.size());
    test_eq(count_files(r->dir + "/objects"), jobs.size() / 2); // the others are empty or in the index
}

static void overwritten_and_removed_contents_go(void **)
{
    for (int round = 0; round < 3; round++) {
        std::vector<job> jobs(20);
        for (size_t i = 0; i < jobs.size(); i++) {
            jobs[i].name = std::to_string(i % 10); // each one twice, concurrently
            jobs[i].size = (i % 2 == static_cast<size_t>(round % 2) ? 100 : index_content_size_max) + 1 + i;
            job_start(*r, jobs[i]);
        }
        jobs_finish(*r, jobs);
        for (const job &j : jobs)
            test_ok(j.err);
    }
    wait_until_settled(*r);
    test_eq(count_files(r->dir + "/objects"), 5u);
    bool done = false;
    store_remove_bucket(
        *r->s, "b",
        [](void *arg, error err) {
            CHECK(!err);
            *static_cast<bool *>(arg) = true;
        },
        &done);
    run_until(
        *r, [](void *arg) { return *static_cast<bool *>(arg); }, &done);
    wait_until_settled(*r);
    test_eq(count_files(r->dir + "/objects"), 0u);
}

static void a_full_disk_is_an_error_and_nothing_else(void **)
{
    std::vector<job> jobs(1);
    jobs[0].name = "kept";
    jobs[0].size = 1000;
    job_start(*r, jobs[0]);
    jobs_finish(*r, jobs);
    rlimit before{}, small{};
    test_true(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small.rlim_cur = 2 * put_buffer_size;
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN); // then write returns EFBIG, which counts as no space
    test_true(setrlimit(RLIMIT_FSIZE, &small) == 0);
    std::vector<job> large(1);
    large[0].name = "kept";
    large[0].size = 4 * put_buffer_size;
    job_start(*r, large[0]);
    jobs_finish(*r, large);
    test_true(setrlimit(RLIMIT_FSIZE, &before) == 0);
    test_eq_enum(large[0].err.code, error_code::no_space);
    wait_until_settled(*r);
    std::string bytes;
    test_ok(look_up(*r, "kept", bytes));
    test_eq(bytes.size(), 1000u);
}

static void more_objects_than_descriptors(void **)
{
    rlimit before{}, small{};
    test_true(getrlimit(RLIMIT_NOFILE, &before) == 0);
    small.rlim_cur = 80;
    small.rlim_max = before.rlim_max;
    test_true(setrlimit(RLIMIT_NOFILE, &small) == 0);
    for (int round = 0; round < 20; round++) {
        std::vector<job> jobs(10);
        for (size_t i = 0; i < jobs.size(); i++) {
            jobs[i].name = std::to_string(round) + "/" + std::to_string(i);
            jobs[i].size = index_content_size_max + 1;
            job_start(*r, jobs[i]);
        }
        jobs_finish(*r, jobs);
        for (const job &j : jobs) {
            test_ok(j.err);
            std::string bytes;
            test_ok(look_up(*r, j.name, bytes));
            test_eq(bytes.size(), j.size);
        }
    }
    test_true(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

// --- kill -9

static constexpr size_t child_jobs = 8;

// Puts for ever: names 0..7, one byte more each time, starting with `first_size`; even names into files, odd ones into the index. For each
// acknowledgement it prints "<name> <size>\n" in a single write call.
struct child_job {
    job j;
};

static void child_next(child_job &c);

static void child_done(void *arg, error err, const index_row &row)
{
    child_job &c = *static_cast<child_job *>(arg);
    if (err)
        _exit(3);
    char line[64];
    int size = std::snprintf(line, sizeof line, "%s %llu\n", c.j.name.c_str(), static_cast<unsigned long long>(row.size));
    if (write(1, line, static_cast<size_t>(size)) != size)
        _exit(4);
    child_next(c);
}

static void child_written(void *arg, error err)
{
    child_job &c = *static_cast<child_job *>(arg);
    if (err)
        _exit(5);
    put_commit(*c.j.p, 0, false, 0, child_done, &c);
}

static void child_next(child_job &c)
{
    c.j.size++;
    c.j.p = put_start(*c.j.owner->s, "b", c.j.name, "");
    for (size_t i = 0; i < c.j.size; i++)
        put_buffer(*c.j.p)[i] = byte_at(c.j, i);
    if (c.j.name[0] % 2 == 0)
        put_write(*c.j.p, c.j.size, child_written, &c);
    else
        put_commit(*c.j.p, c.j.size, false, 0, child_done, &c);
}

static int put_for_ever(const char *dir, size_t first_size)
{
    real self;
    self.dir = dir;
    if (start(self))
        return 2;
    std::vector<child_job> jobs(child_jobs);
    for (size_t i = 0; i < jobs.size(); i++) {
        jobs[i].j.owner = &self;
        jobs[i].j.name = std::to_string(i);
        jobs[i].j.size = first_size - 1;
        child_next(jobs[i]);
    }
    for (;;)
        uv_env_poll(*self.e, 1000);
}

static void killed_children_lose_nothing(void **)
{
    stop(*r);
    size_t held[child_jobs] = {}; // sizes found after the previous life
    size_t first_size = 100;
    for (useconds_t life = 150'000; life < 700'000; life += 130'000) {
        int fds[2];
        test_true(pipe2(fds, O_CLOEXEC) == 0);
        std::string size_text = std::to_string(first_size);
        pid_t child = fork();
        test_true(child >= 0);
        if (child == 0) {
            dup2(fds[1], 1);
            execl(program, program, "--put", r->dir.c_str(), size_text.c_str(), static_cast<char *>(nullptr));
            _exit(9);
        }
        close(fds[1]);
        // The first acknowledgement shows that it is running.
        std::string lines;
        char buffer[4096];
        ssize_t got = read(fds[0], buffer, sizeof buffer);
        test_true(got > 0);
        lines.append(buffer, static_cast<size_t>(got));
        usleep(life);
        test_true(kill(child, SIGKILL) == 0);
        int status = 0;
        test_true(waitpid(child, &status, 0) == child);
        test_true(WIFSIGNALED(status));
        while ((got = read(fds[0], buffer, sizeof buffer)) > 0)
            lines.append(buffer, static_cast<size_t>(got));
        close(fds[0]);
        size_t under_way[child_jobs];
        std::fill(under_way, under_way + child_jobs, first_size);
        for (size_t at = 0, end; (end = lines.find('\n', at)) != std::string::npos; at = end + 1) {
            unsigned name = 0;
            size_t size = 0;
            test_eq(std::sscanf(lines.c_str() + at, "%u %zu", &name, &size), 2);
            held[name] = size;
            under_way[name] = size + 1;
        }
        test_ok(start(*r));
        for (size_t i = 0; i < child_jobs; i++) {
            std::string bytes;
            error err = look_up(*r, std::to_string(i), bytes);
            if (held[i] == 0 && err.code == error_code::object_not_found)
                continue;
            test_ok(err);
            test_true(bytes.size() == held[i] || bytes.size() == under_way[i]);
            job j;
            j.name = std::to_string(i);
            j.size = bytes.size();
            test_true(bytes == bytes_of(j));
            held[i] = bytes.size();
            first_size = std::max(first_size, bytes.size() + 1);
        }
        wait_until_settled(*r);
        size_t files = 0;
        for (size_t i = 0; i < child_jobs; i += 2)
            files += held[i] > 0 ? 1 : 0;
        test_eq(count_files(r->dir + "/objects"), files);
        stop(*r);
    }
}

#define on_disk(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    log_set_level(log_level::error);
    sm_set_strict(true);
    program = argv[0];
    if (argc == 4 && std::strcmp(argv[1], "--put") == 0)
        return put_for_ever(argv[2], static_cast<size_t>(std::atoll(argv[3])));
    const CMUnitTest tests[] = {
        on_disk(what_was_put_is_read_before_and_after_a_restart),
        on_disk(overwritten_and_removed_contents_go),
        on_disk(a_full_disk_is_an_error_and_nothing_else),
        on_disk(more_objects_than_descriptors),
        on_disk(killed_children_lose_nothing),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
