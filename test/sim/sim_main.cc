// SPDX-License-Identifier: MIT
// test/sim/sim_main.cc: runs seeds in several processes and reports failures, faults that occurred, and rows that were never taken.
//
//   etlnode-sim --seeds FIRST..LAST [--pinned FILE] [--jobs N] [--twice N] [--explained FILE]    TAP on stdout
//   etlnode-sim --seed N [--verbose]                                           one run, with its trace when it fails
//   etlnode-sim --scenarios N                                                  each directed scenario N times: TAP
//   etlnode-sim --scenario NAME --seed N [--verbose]                           one of these runs
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "role/shared/role_machines.h"
#include "sim_run.h"
#include "sim_scenario.h"
#include "sm/sm.h"

namespace etlnode {

static constexpr uint64_t coverage_seeds_min = 1'000; // with fewer seeds, a row that was not taken proves nothing

struct sim_options {
    uint64_t first = 1, last = 1;
    std::vector<uint64_t> pinned; // run as well, because each has found a defect once
    uint64_t twice = 0;           // how many seeds run twice, to compare their traces
    unsigned jobs = 2;
    bool is_single = false;
    bool is_verbose = false;
    std::string explained; // file of rows that may stay untaken
    std::string scenario;
    uint64_t scenario_runs = 0;
};

// What a worker reports when it ends, one line for each item.
struct sim_totals {
    uint64_t seeds = 0, steps = 0, virtual_ms = 0, requests = 0, answers = 0, transformed = 0, compared = 0;
    uint64_t hits[sim_fault_count] = {};
    std::map<std::string, uint64_t> rows; // "machine: state --event[guard]--> state": times taken
    std::vector<std::string> failures;    // "seed N: ..."
};

static std::string row_name(const sm_view &view, size_t row)
{
    const sm_view::edge &edge = view.rows[row];
    std::string guard = std::strcmp(edge.guard, "always") == 0 ? "" : std::string("[") + edge.guard + "]";
    return std::string(view.name) + ": " + view.states[edge.from].name + " --" + view.events[edge.on] + guard + "--> " +
           view.states[edge.to].name;
}

// The counters belong to the process, and /metrics shows them. Each run starts with zero; otherwise it would depend on earlier runs.
static void take_rows(sim_totals &totals)
{
    for (const sm_view &view : machines_all()) {
        for (size_t row = 0; row < view.rows.size(); row++)
            totals.rows[row_name(view, row)] += view.counters->row_taken[row];
        *const_cast<sm_counters *>(view.counters) = {};
    }
}

static void add_result(sim_totals &totals, const sim_result &result)
{
    totals.seeds++;
    totals.steps += result.steps;
    totals.virtual_ms += result.virtual_ms;
    totals.requests += result.requests;
    totals.answers += result.answers;
    totals.transformed += result.transformed;
    for (size_t i = 0; i < sim_fault_count; i++)
        totals.hits[i] += result.hits[i];
    for (const std::string &failure : result.failures)
        totals.failures.push_back(text_format("seed %" PRIu64 ": ", result.seed) + failure);
}

// --- workers

static void say(int fd, const std::string &line)
{
    std::string text = line;
    std::replace(text.begin(), text.end(), '\n', ' ');
    text += '\n';
    size_t at = 0;
    while (at < text.size()) {
        ssize_t count = write(fd, text.data() + at, text.size() - at);
        if (count <= 0)
            _exit(3);
        at += static_cast<size_t>(count);
    }
}

[[noreturn]] static void work(const sim_options &options, unsigned job, int fd)
{
    sim_totals totals;
    uint64_t count = options.last - options.first + 1;
    for (uint64_t at = job; at < count + options.pinned.size(); at += options.jobs) {
        uint64_t seed = at < count ? options.first + at : options.pinned[static_cast<size_t>(at - count)];
        say(fd, text_format("begin %" PRIu64, seed));
        sim_result result = sim_run(seed, false);
        add_result(totals, result);
        take_rows(totals);
        if (at < options.twice && result.failures.empty()) {
            sim_result again = sim_run(seed, false);
            take_rows(totals);
            totals.compared++;
            if (again.trace_hash != result.trace_hash)
                totals.failures.push_back(text_format(
                    "seed %" PRIu64 ": two runs, two traces: %016" PRIx64 " and %016" PRIx64, seed, result.trace_hash, again.trace_hash));
        }
        for (const std::string &failure : totals.failures)
            say(fd, "fail " + failure);
        if (!result.failures.empty()) {
            std::fprintf(stderr, "seed %" PRIu64 ", ", seed);
            sm_trace_dump();
        }
        if (!totals.failures.empty())
            break; // a failed run leaves objects behind, so no other run may follow in this process
    }
    say(fd, text_format("sums %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, totals.seeds, totals.steps,
                totals.virtual_ms, totals.requests, totals.answers, totals.transformed, totals.compared));
    for (size_t i = 0; i < sim_fault_count; i++)
        say(fd, text_format("hits %zu %" PRIu64, i, totals.hits[i]));
    for (const auto &[name, times] : totals.rows)
        say(fd, text_format("row %" PRIu64 " ", times) + name);
    // A failed run cannot be freed in order, so suppress the leak report: the failure itself is what matters.
    if (!totals.failures.empty())
        _exit(1);
    std::exit(0);
}

static void take_line(sim_totals &totals, std::string &seed, const std::string &line)
{
    std::istringstream in(line);
    std::string word;
    in >> word;
    if (word == "begin") {
        in >> seed;
    } else if (word == "fail") {
        totals.failures.push_back(line.substr(5));
    } else if (word == "sums") {
        uint64_t sums[7] = {};
        for (uint64_t &sum : sums)
            in >> sum;
        totals.seeds += sums[0];
        totals.steps += sums[1];
        totals.virtual_ms += sums[2];
        totals.requests += sums[3];
        totals.answers += sums[4];
        totals.transformed += sums[5];
        totals.compared += sums[6];
    } else if (word == "hits") {
        size_t at = 0;
        uint64_t count = 0;
        in >> at >> count;
        if (at < sim_fault_count)
            totals.hits[at] += count;
    } else if (word == "row") {
        uint64_t count = 0;
        in >> count;
        std::string name;
        std::getline(in, name);
        totals.rows[name.substr(1)] += count;
    }
}

static sim_totals run_all(const sim_options &options)
{
    struct worker {
        pid_t pid = 0;
        int fd = -1;
        std::string pending, seed;
    };
    std::vector<worker> workers(options.jobs);
    for (unsigned job = 0; job < options.jobs; job++) {
        int fds[2];
        if (pipe(fds) != 0)
            std::exit(3);
        pid_t pid = fork();
        if (pid < 0)
            std::exit(3);
        if (pid == 0) {
            close(fds[0]);
            work(options, job, fds[1]);
        }
        close(fds[1]);
        workers[job].pid = pid;
        workers[job].fd = fds[0];
    }
    sim_totals totals;
    size_t open = workers.size();
    while (open > 0) {
        std::vector<pollfd> polls;
        for (const worker &one : workers)
            polls.push_back({one.fd, POLLIN, 0}); // closed ones are -1 and are skipped
        if (poll(polls.data(), polls.size(), -1) < 0)
            std::exit(3);
        for (size_t i = 0; i < workers.size(); i++) {
            worker &one = workers[i];
            if (one.fd < 0 || polls[i].revents == 0)
                continue;
            char buffer[65536];
            ssize_t count = read(one.fd, buffer, sizeof buffer);
            if (count > 0) {
                one.pending.append(buffer, static_cast<size_t>(count));
                for (size_t end = 0; (end = one.pending.find('\n')) != std::string::npos; one.pending.erase(0, end + 1))
                    take_line(totals, one.seed, one.pending.substr(0, end));
                continue;
            }
            close(one.fd);
            one.fd = -1;
            open--;
            int status = 0;
            waitpid(one.pid, &status, 0);
            if (status != 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 1 && !totals.failures.empty()))
                totals.failures.push_back("seed " + one.seed + ": the process ended with status " + std::to_string(status) +
                                          " (a broken promise of a machine, a sanitizer's report: see stderr)");
        }
    }
    return totals;
}

// --- report

static std::map<std::string, std::string> read_explained(const std::string &path)
{
    std::map<std::string, std::string> out;
    std::ifstream in(path);
    std::string line;
    while (std::getline(in, line)) {
        size_t bar = line.find(" | ");
        if (!line.empty() && line[0] != '#' && bar != std::string::npos)
            out[line.substr(0, bar)] = line.substr(bar + 3);
    }
    return out;
}

static int report(const sim_options &options, const sim_totals &totals)
{
    std::printf("# %" PRIu64 " seeds, %" PRIu64 " steps, %.1f hours of virtual time, %" PRIu64 " requests, %" PRIu64 " answered, %" PRIu64
                " whole transformed answers compared\n",
        totals.seeds, totals.steps, static_cast<double>(totals.virtual_ms) / 3'600'000, totals.requests, totals.answers,
        totals.transformed);
    bool reports_coverage = !options.explained.empty() && options.last - options.first + 1 >= coverage_seeds_min;
    std::printf("1..%d\n", reports_coverage ? 4 : 2);
    bool ok = totals.failures.empty();
    std::printf("%s 1 every promise held\n", ok ? "ok" : "not ok");
    for (const std::string &failure : totals.failures)
        std::printf("# %s\n", failure.c_str());
    if (!ok)
        std::printf("# again with its trace: make sim SEED=n\n");
    bool compared = options.twice == 0 || totals.compared > 0;
    std::printf("%s 2 %" PRIu64 " seeds run twice have the same trace\n", compared ? "ok" : "not ok", totals.compared);
    if (!reports_coverage)
        return ok ? 0 : 1;
    bool all_hit = true;
    for (size_t i = 0; i < sim_fault_count; i++) {
        std::printf("# fault %-34s %8" PRIu64 "\n", sim_fault_names[i], totals.hits[i]);
        all_hit = all_hit && totals.hits[i] > 0;
    }
    std::printf("%s 3 every fault was hit\n", all_hit ? "ok" : "not ok");
    std::map<std::string, std::string> explained = read_explained(options.explained);
    size_t untaken = 0, taken = 0;
    for (const auto &[name, count] : totals.rows) {
        if (count > 0) {
            taken++;
            bool is_rare = explained.contains(name) && explained[name].starts_with("rare");
            if (explained.contains(name) && !is_rare)
                std::printf("# explained as never taken, but it was: %s\n", name.c_str());
            if (count < 6 && !is_rare)
                std::printf("# taken %" PRIu64 " times: %s\n", count, name.c_str());
            continue;
        }
        bool is_explained = explained.contains(name);
        untaken += is_explained ? 0 : 1;
        std::printf("# never taken%s: %s\n", is_explained ? (", " + explained[name]).c_str() : " and not explained", name.c_str());
    }
    size_t unknown = 0;
    for (const auto &[name, why] : explained) {
        if (totals.rows.contains(name))
            continue;
        unknown++;
        std::printf("# explains a row that no table has: %s\n", name.c_str());
    }
    bool rows_ok = untaken == 0 && unknown == 0;
    std::printf("%s 4 every row of every table was taken or is explained: %zu of %zu taken\n", rows_ok ? "ok" : "not ok", taken,
        totals.rows.size());
    return ok && all_hit && rows_ok ? 0 : 1;
}

// --- options

static bool read_pinned(const std::string &path, std::vector<uint64_t> &out)
{
    std::ifstream in(path);
    std::string line;
    while (std::getline(in, line)) {
        if (!line.empty() && line[0] != '#')
            out.push_back(std::strtoull(line.c_str(), nullptr, 10));
    }
    return !out.empty();
}

static bool parse(int argc, char **argv, sim_options &out)
{
    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        std::string value = i + 1 < argc ? argv[i + 1] : "";
        if (word == "--verbose") {
            out.is_verbose = true;
            continue;
        }
        i++;
        if (value.empty())
            return false;
        if (word == "--seeds") {
            size_t dots = value.find("..");
            out.first = std::strtoull(value.c_str(), nullptr, 10);
            out.last = dots == std::string::npos ? out.first : std::strtoull(value.c_str() + dots + 2, nullptr, 10);
        } else if (word == "--seed") {
            out.first = out.last = std::strtoull(value.c_str(), nullptr, 10);
            out.is_single = true;
        } else if (word == "--jobs") {
            out.jobs = std::max(1u, static_cast<unsigned>(std::atoi(value.c_str())));
        } else if (word == "--twice") {
            out.twice = std::strtoull(value.c_str(), nullptr, 10);
        } else if (word == "--pinned") {
            if (!read_pinned(value, out.pinned))
                return false;
        } else if (word == "--scenarios") {
            out.scenario_runs = std::strtoull(value.c_str(), nullptr, 10);
        } else if (word == "--scenario") {
            out.scenario = value;
        } else if (word == "--explained") {
            out.explained = value;
        } else {
            return false;
        }
    }
    return out.first > 0 && out.first <= out.last;
}

// --- directed scenarios

static std::vector<sim_scenario> scenarios_all()
{
    std::vector<sim_scenario> all(sim_moving_scenarios.begin(), sim_moving_scenarios.end());
    all.insert(all.end(), sim_lost_scenarios.begin(), sim_lost_scenarios.end());
    all.insert(all.end(), sim_back_scenarios.begin(), sim_back_scenarios.end());
    return all;
}

// In a process of its own, because a failed run cannot be freed in order.
static bool run_scenario(const sim_scenario &scenario, uint64_t runs)
{
    std::fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        std::exit(3);
    if (pid == 0) {
        for (uint64_t number = 1; number <= runs; number++) {
            sim_result result = sim_run_scenario(scenario, number, false);
            for (const std::string &failure : result.failures)
                std::printf("# run %" PRIu64 ": %s\n", number, failure.c_str());
            std::fflush(stdout);
            if (!result.failures.empty())
                _exit(1);
        }
        std::exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        std::printf("# the process ended with signal %d: see stderr\n", WTERMSIG(status));
    return status == 0;
}

static int run_scenarios(uint64_t runs)
{
    std::vector<sim_scenario> all = scenarios_all();
    std::printf("1..%zu\n", all.size());
    bool ok = true;
    for (size_t i = 0; i < all.size(); i++) {
        bool holds = run_scenario(all[i], runs);
        ok = ok && holds;
        std::printf("%s %zu %s, %" PRIu64 " times\n", holds ? "ok" : "not ok", i + 1, all[i].name, runs);
    }
    return ok ? 0 : 1;
}

static sim_result run_named(const sim_options &options)
{
    for (const sim_scenario &scenario : scenarios_all()) {
        if (options.scenario == scenario.name)
            return sim_run_scenario(scenario, options.first, options.is_verbose);
    }
    sim_result none;
    none.failures.push_back("there is no scenario \"" + options.scenario + "\"");
    return none;
}

static int run_single(const sim_options &options)
{
    sim_result result = options.scenario.empty() ? sim_run(options.first, options.is_verbose) : run_named(options);
    std::printf("seed %" PRIu64 ": trace %016" PRIx64 ", %" PRIu64 " steps, %" PRIu64 " ms of virtual time, %" PRIu64 " requests, %" PRIu64
                " answered, %" PRIu64 " whole transformed answers\n",
        result.seed, result.trace_hash, result.steps, result.virtual_ms, result.requests, result.answers, result.transformed);
    for (const std::string &failure : result.failures)
        std::printf("broken: %s\n", failure.c_str());
    if (result.failures.empty())
        return 0;
    if (!options.is_verbose)
        sm_trace_dump();
    std::fflush(stdout);
    _exit(1); // what a failed run leaves behind is not a leak
}

static int run_main(int argc, char **argv)
{
    sim_options options;
    if (!parse(argc, argv, options)) {
        std::fprintf(stderr,
            "usage: etlnode-sim --seeds FIRST..LAST [--pinned FILE] [--jobs N] [--twice N] [--explained FILE] | --seed N [--verbose]\n");
        return 2;
    }
    sm_set_strict(true);
    check_set_dump(sm_trace_dump);
    log_set_level(options.is_verbose ? log_level::info : log_level::error);
    if (options.scenario_runs > 0)
        return run_scenarios(options.scenario_runs);
    return options.is_single ? run_single(options) : report(options, run_all(options));
}

} // namespace etlnode

int main(int argc, char **argv) { return etlnode::run_main(argc, argv); }
