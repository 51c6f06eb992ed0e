// SPDX-License-Identifier: MIT
// job/job_host.h: all jobs of one target. It compares what the cluster's document asks for with what the ledger holds and what runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "job/job_kind.h"
#include "port/ledger.h"

namespace etlnode {

struct job_host;

struct job_host_options {
    job_tools tools;
    void (*on_change)(void *arg) = nullptr; // a job has ended here: the proxy should hear soon
    void (*on_none)(void *arg) = nullptr;   // nothing is in progress any more, after job_host_stop
    void *arg = nullptr;
};

// What one target says about one job.
struct job_report {
    ledger_job row;      // as of now; the ledger may be up to a second behind
    std::string waiting; // why it rests; empty: it works
};

// Reads the ledger; until that is done, nothing runs. An error is tried again.
job_host *job_host_make(env &e, const job_host_options &options);
// All jobs of the document, those that have ended included. What is new begins or resumes, what is cancelled stops, and the ledger forgets
// what is not listed.
void job_host_sync(job_host &host, std::vector<job_order> orders);
// The jobs of the last sync that the ledger or a running machine knows, by id.
std::vector<job_report> job_host_reports(const job_host &host);
// The row of a job as of the last start of the process, or null. Requires: job_host_is_loaded.
const ledger_job *job_host_find_row(const job_host &host, const std::string &id);
// For an external job: what its target has stored of it.
void job_host_put_row(job_host &host, const ledger_job &row);
// Whether the job may still begin here, so that it needs its names.
bool job_host_waits_for(const job_host &host, const std::string &id);
// The options of a job as its kind reads them: with the list of names that stands beside the document, if there is one.
std::string job_options_with_names(const std::string &options, const std::string &names);
// The ledger has been read.
bool job_host_is_loaded(const job_host &host);
// Running jobs pause; the next start resumes them. on_none follows, later, if anything was in progress.
void job_host_stop(job_host &host);
bool job_host_is_active(const job_host &host);
// Requires: it is not active.
void job_host_free(job_host *host);

} // namespace etlnode
