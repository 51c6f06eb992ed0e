// SPDX-License-Identifier: MIT
// role/shared/metrics.h: counters of one node and their Prometheus text.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace etlnode {

// Upper bounds of the latency histogram, in milliseconds; the last bucket is +Inf.
inline constexpr std::array<uint64_t, 12> metric_latency_bounds_ms = {1, 2, 5, 10, 25, 50, 100, 250, 500, 1'000, 5'000, 30'000};

struct latency_histogram {
    std::array<uint64_t, metric_latency_bounds_ms.size() + 1> count{};
    uint64_t sum_ms = 0;
    uint64_t total = 0;
};
void latency_add(latency_histogram &h, uint64_t ms);

// Of one ETL on one target; the outcomes are those of transfer_outcome.
struct etl_metrics {
    uint64_t requests_ok = 0, requests_redirected = 0, requests_client_error = 0, requests_timeout = 0, requests_unavailable = 0;
    uint64_t requests_pod_error = 0, requests_failed = 0, requests_cut = 0;
    uint64_t unframed = 0; // answers of the pod that ended by closing
    uint64_t in_bytes = 0, out_bytes = 0;
    uint64_t in_flight = 0;
    latency_histogram latency;
};

struct object_metrics {
    uint64_t get_count = 0, put_count = 0, head_count = 0, delete_count = 0, list_count = 0;
    uint64_t get_errors = 0, put_errors = 0, delete_errors = 0;
    uint64_t get_bytes = 0, put_bytes = 0;
    std::map<std::string, etl_metrics> etls; // by ETL id; entries of removed ETLs are deleted
};

// Each call writes HELP, TYPE and one sample line. Label values are escaped.
struct metrics_text {
    std::string out;
    std::string last_name;
};
void metrics_add(metrics_text &text, const char *name, const char *type, const char *help, const std::string &labels, double value);
void metrics_add_histogram(metrics_text &text, const char *name, const char *help, const std::string &labels, const latency_histogram &h);
// Appends key="value" with the value escaped, after a comma if `labels` is not empty.
void metrics_label(std::string &labels, const char *key, std::string_view value);

} // namespace etlnode
