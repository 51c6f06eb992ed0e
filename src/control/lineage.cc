// SPDX-License-Identifier: MIT
// control/lineage.cc: which document descends from which, which targets left and may return, and what fits into a document.
//
// Knows    document.h, placement.        Known by  role.
// Normal   every run of the proxy begins a term. Within a term versions are linear, because one process writes them, each replacing the
//          last.
// Limits   document_term_count_max: an ancestor older than the oldest listed term counts as diverged.
#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "control/document.h"
#include "control/placement.h"

namespace etlnode {

// --- identity

document_identity document_identify(const cluster_document &document)
{
    document_identity identity = {.version = document.version, .digest = document.digest};
    if (!document.terms.empty()) {
        identity.term = document.terms.back().number;
        identity.tag = document.terms.back().tag;
    }
    return identity;
}

uint64_t document_digest(std::string_view text) { return placement_digest(text); }

std::string document_identity_text(const document_identity &identity)
{
    return text_format("version %llu (term %llu-%08llx)", static_cast<unsigned long long>(identity.version),
        static_cast<unsigned long long>(identity.term), static_cast<unsigned long long>(identity.tag >> 32));
}

std::string document_identity_print(const document_identity &identity)
{
    return std::to_string(identity.version) + "." + std::to_string(identity.term) + "." + text_hex(identity.tag) + "." +
           text_hex(identity.digest);
}

// The text before the next dot, which is removed with it.
static std::string_view next_part(std::string_view &rest)
{
    size_t dot = rest.find('.');
    std::string_view part = rest.substr(0, dot);
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
    return part;
}

bool document_identity_parse(std::string_view text, document_identity &out_identity)
{
    std::string_view version = next_part(text);
    std::string_view term = next_part(text);
    std::string_view tag = next_part(text);
    return text_parse_u64(version, out_identity.version) && text_parse_u64(term, out_identity.term) &&
           text_parse_hex_u64(tag, out_identity.tag) && text_parse_hex_u64(text, out_identity.digest);
}

// Whether the term `next` continued directly from `other`, or from a later version of it.
static bool leads_to(const document_identity &other, const cluster_term &next)
{
    return next.first_version > other.version && (next.first_version != other.version + 1 || next.base_digest == other.digest);
}

bool document_is_superseded(const document_identity &other, const cluster_document &document)
{
    return std::find(document.supersedes.begin(), document.supersedes.end(), other) != document.supersedes.end();
}

document_relation document_relate(const document_identity &other, const cluster_document &document)
{
    if (other.version == 0)
        return document_relation::ancestor;
    if (other.version < document.version && document_is_superseded(other, document))
        return document_relation::ancestor;
    document_identity own = document_identify(document);
    if (other.term == own.term && other.tag == own.tag) {
        if (other.version == own.version)
            return other.digest == own.digest ? document_relation::equal : document_relation::diverged;
        return other.version < own.version ? document_relation::ancestor : document_relation::newer;
    }
    if (other.term > own.term && other.version > own.version)
        return document_relation::newer;
    const std::vector<cluster_term> &terms = document.terms;
    if (other.term == 0) // from before terms existed: the first term continued from there
        return !terms.empty() && terms.front().number == 1 && leads_to(other, terms.front()) ? document_relation::ancestor
                                                                                             : document_relation::diverged;
    for (size_t i = 0; i + 1 < terms.size(); i++) {
        if (terms[i].number == other.term && terms[i].tag == other.tag)
            return leads_to(other, terms[i + 1]) ? document_relation::ancestor : document_relation::diverged;
    }
    return document_relation::diverged;
}

void document_begin_term(cluster_document &document, uint64_t tag)
{
    cluster_term term = {.number = document.terms.empty() ? 1 : document.terms.back().number + 1,
        .tag = tag,
        .first_version = document.version + 1,
        .base_digest = document.digest};
    if (document.terms.size() >= document_term_count_max)
        document.terms.erase(document.terms.begin());
    document.terms.push_back(term);
}

// --- what is kept of a failed start

bool document_is_failed_start(const cluster_etl &etl) { return etl.stage == etl_stage::aborted && etl.started_ns == 0; }

// Removes what is long: a spec in base64, a program in an argument, a long list of variables.
static void prune(cJSON *tree)
{
    static constexpr size_t text_kept_max = 256;
    static constexpr int items_kept_max = 16;
    cJSON *child = tree->child;
    int count = 0;
    while (child != nullptr) {
        cJSON *next = child->next;
        bool is_too_much = cJSON_IsArray(tree) && count++ >= items_kept_max;
        if (is_too_much)
            cJSON_Delete(cJSON_DetachItemViaPointer(tree, child));
        else if (cJSON_IsString(child) && std::string_view(child->valuestring).size() > text_kept_max)
            cJSON_SetValuestring(child, "");
        else
            prune(child);
        child = next;
    }
}

static std::string without_large_parts(const cluster_etl &etl)
{
    json_ptr tree;
    std::string where;
    if (!json_parse(etl.init_json, tree, where)) {
        prune(tree.get());
        std::string text = json_print(tree.get());
        if (text.size() <= failed_start_spec_max)
            return text;
    }
    json_ptr least = json_object();
    json_add_text(least.get(), "name", etl.name);
    json_add_text(least.get(), "communication", etl_mode_names[static_cast<size_t>(etl.mode)]);
    return json_print(least.get());
}

bool document_is_to_shed_spec(const cluster_etl &etl)
{
    return document_is_failed_start(etl) && etl.pod_json.size() + etl.init_json.size() > failed_start_spec_max;
}

bool document_shed_spec(cluster_etl &etl)
{
    if (!document_is_to_shed_spec(etl))
        return false;
    etl.init_json = without_large_parts(etl);
    etl.pod_json.clear();
    etl.pod_json.shrink_to_fit();
    return true;
}

// --- sizes

size_t document_etl_size(const cluster_etl &etl)
{
    size_t size = document_small_size_max + 6 * etl_error_text_max; // reserve room from the start for the reason why it may end
    for (const std::string *text : {&etl.pod_json, &etl.init_json}) {
        for (char c : *text)
            size += c == '"' || c == '\\' ? 2 : static_cast<unsigned char>(c) < 0x20 ? 6 : 1;
    }
    return size;
}

size_t document_etls_size(const cluster_document &document)
{
    size_t size = 0;
    for (const cluster_etl &etl : document.etls)
        size += document_etl_size(etl);
    return size;
}

} // namespace etlnode
