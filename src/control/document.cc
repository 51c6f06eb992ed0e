// SPDX-License-Identifier: MIT
// control/document.cc: the cluster document as JSON, lookups in it, and the cluster map for AIStore's clients.
//
// Knows    codec, etl_definition, placement.          Known by  role.
// Limits   target_count_max, bucket_count_max, etl_count_max, spec_size_max; a document beyond them is refused.
#include "control/document.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"
#include "control/document_jobs.h"
#include "control/placement.h"

namespace etlnode {

// Increase this when older nodes can no longer read the document.
static constexpr uint64_t document_format = 1;

// --- lookups; `field` is the member that sorts the rows

template <class T, class F> static auto lower_bound_of(std::vector<T> &rows, std::string_view key, F field)
{
    return std::lower_bound(
        rows.begin(), rows.end(), key, [field](const T &row, std::string_view k) { return std::string_view(row.*field) < k; });
}

template <class T, class F> static T *find(std::vector<T> &rows, std::string_view key, F field)
{
    auto at = lower_bound_of(rows, key, field);
    return at != rows.end() && (*at).*field == key ? &*at : nullptr;
}

template <class T, class F> static T &put(std::vector<T> &rows, T row, F field)
{
    auto at = lower_bound_of(rows, row.*field, field);
    if (at != rows.end() && (*at).*field == row.*field)
        *at = std::move(row);
    else
        at = rows.insert(at, std::move(row));
    return *at;
}

template <class T, class F> static bool remove(std::vector<T> &rows, std::string_view key, F field)
{
    auto at = lower_bound_of(rows, key, field);
    if (at == rows.end() || (*at).*field != key)
        return false;
    rows.erase(at);
    return true;
}

cluster_node *document_find_node(cluster_document &document, std::string_view id) { return find(document.nodes, id, &cluster_node::id); }

cluster_bucket *document_find_bucket(cluster_document &document, std::string_view name)
{
    return find(document.buckets, name, &cluster_bucket::name);
}

cluster_etl *document_find_etl(cluster_document &document, std::string_view id_or_name)
{
    cluster_etl *found = find(document.etls, id_or_name, &cluster_etl::id);
    if (found != nullptr)
        return found;
    for (cluster_etl &etl : document.etls) {
        if (etl.name != id_or_name)
            continue;
        if (found != nullptr)
            return nullptr; // two ETLs have this name: only the id distinguishes them
        found = &etl;
    }
    return found;
}

// The lookups change nothing; whether the document is const is the caller's choice.
static cluster_document &writable(const cluster_document &document) { return const_cast<cluster_document &>(document); }

const cluster_node *document_find_node(const cluster_document &document, std::string_view id)
{
    return document_find_node(writable(document), id);
}

const cluster_bucket *document_find_bucket(const cluster_document &document, std::string_view name)
{
    return document_find_bucket(writable(document), name);
}

const cluster_etl *document_find_etl(const cluster_document &document, std::string_view id_or_name)
{
    return document_find_etl(writable(document), id_or_name);
}

cluster_node &document_put_node(cluster_document &document, cluster_node node)
{
    return put(document.nodes, std::move(node), &cluster_node::id);
}

void document_put_bucket(cluster_document &document, cluster_bucket bucket)
{
    put(document.buckets, std::move(bucket), &cluster_bucket::name);
}

cluster_etl &document_put_etl(cluster_document &document, cluster_etl etl) { return put(document.etls, std::move(etl), &cluster_etl::id); }

bool document_remove_bucket(cluster_document &document, std::string_view name)
{
    return remove(document.buckets, name, &cluster_bucket::name);
}

bool document_remove_node(cluster_document &document, std::string_view id) { return remove(document.nodes, id, &cluster_node::id); }

bool document_remove_etl(cluster_document &document, std::string_view id) { return remove(document.etls, id, &cluster_etl::id); }

// placement_choose without lists of digests, because this runs for every request.
const cluster_node *document_place(const cluster_document &document, std::string_view bucket, std::string_view object)
{
    uint64_t digest = placement_uname_digest(bucket, object);
    const cluster_node *chosen = nullptr;
    uint64_t chosen_weight = 0;
    for (const cluster_node &node : document.nodes) {
        if (!cluster_node_is_placed(node))
            continue;
        uint64_t weight = placement_weight(digest, node.digest);
        if (chosen == nullptr || weight > chosen_weight) {
            chosen = &node;
            chosen_weight = weight;
        }
    }
    return chosen;
}

// --- reading JSON

static bool id_is_good(std::string_view id)
{
    auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    };
    return !id.empty() && id.size() <= node_id_size_max && std::all_of(id.begin(), id.end(), good);
}

static constexpr std::string_view node_types[] = {"proxy", "target"};
static constexpr std::string_view want_names[] = {"placed", "maintenance", "leave"};
static constexpr size_t url_size_max = 512;
static constexpr size_t small_text_max = 256;

error node_parse(const cJSON *tree, cluster_node &out_node)
{
    cluster_node node;
    size_t type = 0;
    if (!json_read_text(tree, "id", node_id_size_max, node.id) || !id_is_good(node.id))
        return make_error(error_code::bad_json, "node: id is missing or not of 1-64 characters [A-Za-z0-9._-]");
    if (!json_read_word(tree, "type", node_types, type))
        return make_error(error_code::bad_json, "node: type is neither \"proxy\" nor \"target\"");
    url_base base;
    if (!json_read_text(tree, "url", url_size_max, node.url) || !url_parse_base(node.url, base) || !base.path.empty())
        return make_error(error_code::bad_json, "node: url is not of the form http://host:port");
    uint64_t flags = 0;
    if (!json_read_u64(tree, "flags", flags) || flags > UINT32_MAX)
        return make_error(error_code::bad_json, "node: flags is missing or too large");
    if (!json_read_u64(tree, "digest", node.digest) || node.digest != placement_digest(node.id))
        return make_error(error_code::bad_json, "node: digest is not the digest of the id");
    if (json_get(tree, "disk") != nullptr && (!json_read_text(tree, "disk", disk_id_size, node.disk) || !disk_id_is_good(node.disk)))
        return make_error(error_code::bad_json, "node: disk is not of 16 characters [a-z0-9]");
    size_t want = 0;
    if (json_get(tree, "want") != nullptr && !json_read_word(tree, "want", want_names, want))
        return make_error(error_code::bad_json, "node: want is not \"placed\", \"maintenance\" or \"leave\"");
    node.is_target = type == 1;
    node.flags = static_cast<uint32_t>(flags);
    node.want = static_cast<node_want>(want);
    out_node = std::move(node);
    return no_error;
}

static bool bucket_parse(const cJSON *tree, cluster_bucket &out_bucket)
{
    return json_read_text(tree, "name", bucket_name_size_max, out_bucket.name) && !out_bucket.name.empty() &&
           json_read_u64(tree, "created_ns", out_bucket.created_ns) &&
           (json_get(tree, "created_epoch") == nullptr || json_read_u64(tree, "created_epoch", out_bucket.created_epoch)) &&
           (json_get(tree, "props") == nullptr || json_read_text(tree, "props", bucket_props_size_max, out_bucket.props));
}

static bool etl_parse(const cJSON *tree, cluster_etl &out_etl)
{
    size_t stage = 0;
    bool is_good = etl_definition_parse(tree, out_etl) && json_read_text(tree, "pod", etl_pod_size_max, out_etl.pod_json) &&
                   json_read_text(tree, "init", etl_init_size_max, out_etl.init_json) &&
                   json_read_word(tree, "stage", etl_stage_names, stage) && json_read_u64(tree, "generation", out_etl.generation) &&
                   json_read_text(tree, "last_error", spec_size_max, out_etl.last_error) &&
                   json_read_u64(tree, "started_ns", out_etl.started_ns);
    out_etl.stage = static_cast<etl_stage>(stage);
    return is_good;
}

static const cJSON *read_array(const cJSON *object, const char *key, size_t count_max)
{
    const cJSON *array = json_get(object, key);
    return cJSON_IsArray(array) && static_cast<size_t>(cJSON_GetArraySize(array)) <= count_max ? array : nullptr;
}

// Documents from before terms existed have neither.
static bool lineage_parse(const cJSON *tree, cluster_document &out_document)
{
    const cJSON *item = nullptr;
    const cJSON *terms = json_get(tree, "terms");
    if (terms != nullptr && read_array(tree, "terms", document_term_count_max) == nullptr)
        return false;
    cJSON_ArrayForEach(item, terms)
    {
        cluster_term term;
        if (!json_read_u64(item, "number", term.number) || !json_read_u64(item, "tag", term.tag) ||
            !json_read_u64(item, "first_version", term.first_version) || !json_read_u64(item, "base_digest", term.base_digest))
            return false;
        out_document.terms.push_back(term);
    }
    return true;
}

// True if the field is absent, or an array of at most `count_max` objects that `read` accepts.
template <class F> static bool read_optional_rows(const cJSON *tree, const char *key, size_t count_max, F read)
{
    if (json_get(tree, key) == nullptr)
        return true;
    const cJSON *rows = read_array(tree, key, count_max);
    if (rows == nullptr)
        return false;
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, rows)
    {
        if (!read(item))
            return false;
    }
    return true;
}

static bool read_optional_u64(const cJSON *tree, const char *key, uint64_t &out_value)
{
    return json_get(tree, key) == nullptr || json_read_u64(tree, key, out_value);
}

static bool history_parse(const cJSON *tree, cluster_document &out_document)
{
    auto read_destroyed = [&](const cJSON *item) {
        cluster_destroyed one;
        bool is_good = json_read_text(item, "name", bucket_name_size_max, one.name) && json_read_u64(item, "created_ns", one.created_ns) &&
                       json_read_u64(item, "version", one.version);
        out_document.destroyed.push_back(std::move(one));
        return is_good;
    };
    auto read_superseded = [&](const cJSON *item) {
        document_identity one;
        bool is_good = json_read_u64(item, "term", one.term) && json_read_u64(item, "tag", one.tag) &&
                       json_read_u64(item, "version", one.version) && json_read_u64(item, "digest", one.digest);
        out_document.supersedes.push_back(one);
        return is_good;
    };
    return read_optional_u64(tree, "changed_ns", out_document.changed_ns) &&
           read_optional_u64(tree, "last_created_ns", out_document.last_created_ns) &&
           read_optional_u64(tree, "losses", out_document.losses) && out_document.losses <= UINT32_MAX &&
           read_optional_rows(tree, "destroyed", document_destroyed_count_max, read_destroyed) &&
           read_optional_rows(tree, "supersedes", document_superseded_count_max, read_superseded);
}

error document_parse(std::string_view text, cluster_document &out_document)
{
    json_ptr tree;
    std::string where;
    if (json_parse(text, tree, where) || !cJSON_IsObject(tree.get()))
        return make_error(error_code::corrupt, "cluster document: not a JSON object");
    uint64_t format = 0;
    if (!json_read_u64(tree.get(), "format", format) || format == 0)
        return make_error(error_code::corrupt, "cluster document: format is missing");
    if (format > document_format)
        return make_error(error_code::newer_version, "cluster document: written by a newer version");

    cluster_document document;
    if (!json_read_u64(tree.get(), "version", document.version) || !json_read_text(tree.get(), "uuid", small_text_max, document.uuid) ||
        !json_read_text(tree.get(), "created", small_text_max, document.created) ||
        !json_read_u64(tree.get(), "next_generation", document.next_generation))
        return make_error(error_code::corrupt, "cluster document: version, uuid, created or next_generation is missing or damaged");
    document.digest = document_digest(text);
    if (!lineage_parse(tree.get(), document))
        return make_error(error_code::corrupt, "cluster document: terms are damaged");
    if (!history_parse(tree.get(), document))
        return make_error(error_code::corrupt, "cluster document: changed_ns, last_created_ns, losses, destroyed or supersedes is damaged");
    if (!placement_parse(json_get(tree.get(), "placement"), document.placement))
        return make_error(error_code::corrupt, "cluster document: placement is damaged");
    const cJSON *nodes = read_array(tree.get(), "nodes", target_count_max + 1);
    const cJSON *buckets = read_array(tree.get(), "buckets", bucket_count_max);
    const cJSON *etls = read_array(tree.get(), "etls", etl_count_max);
    if (nodes == nullptr || buckets == nullptr || etls == nullptr)
        return make_error(error_code::corrupt, "cluster document: nodes, buckets or etls is missing or too long");

    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, nodes)
    {
        cluster_node node;
        if (node_parse(item, node) || document_find_node(document, node.id) != nullptr)
            return make_error(error_code::corrupt, "cluster document: a node is damaged or duplicated");
        document_put_node(document, std::move(node));
    }
    cJSON_ArrayForEach(item, buckets)
    {
        cluster_bucket bucket;
        if (!bucket_parse(item, bucket) || document_find_bucket(document, bucket.name) != nullptr)
            return make_error(error_code::corrupt, "cluster document: a bucket is damaged or duplicated");
        document_put_bucket(document, std::move(bucket));
    }
    cJSON_ArrayForEach(item, etls)
    {
        cluster_etl etl;
        if (!etl_parse(item, etl) || find(document.etls, etl.id, &cluster_etl::id) != nullptr)
            return make_error(error_code::corrupt, "cluster document: an ETL is damaged or duplicated");
        document_put_etl(document, std::move(etl));
    }
    if (!document_jobs_parse(tree.get(), document))
        return make_error(error_code::corrupt, "cluster document: a job is damaged or duplicated");
    out_document = std::move(document);
    return no_error;
}

// --- writing JSON

json_ptr node_print(const cluster_node &node)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "id", node.id);
    json_add_text(tree.get(), "type", node_types[node.is_target ? 1 : 0]);
    json_add_text(tree.get(), "url", node.url);
    json_add_u64_text(tree.get(), "digest", node.digest);
    json_add_u64_text(tree.get(), "flags", node.flags);
    if (!node.disk.empty())
        json_add_text(tree.get(), "disk", node.disk);
    if (node.want != node_want::placed)
        json_add_text(tree.get(), "want", want_names[static_cast<size_t>(node.want)]);
    return tree;
}

static json_ptr bucket_print(const cluster_bucket &bucket)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "name", bucket.name);
    json_add_u64_text(tree.get(), "created_ns", bucket.created_ns);
    if (bucket.created_epoch > 0)
        json_add_u64_text(tree.get(), "created_epoch", bucket.created_epoch);
    if (!bucket.props.empty())
        json_add_text(tree.get(), "props", bucket.props);
    return tree;
}

// Reuses the texts that `before` contains.
static document_printer::texts print_texts(const cluster_etl &etl, document_printer &before)
{
    document_printer::texts made = {.pod_digest = document_digest(etl.pod_json), .init_digest = document_digest(etl.init_json), .text = {}};
    for (document_printer::texts &one : before.known) {
        if (one.pod_digest == made.pod_digest && one.init_digest == made.init_digest && !one.text.empty())
            return std::move(one);
    }
    json_ptr tree = json_object();
    json_add_text(tree.get(), "pod", etl.pod_json);
    json_add_text(tree.get(), "init", etl.init_json);
    std::string text = json_print(tree.get());
    made.text = text.substr(1, text.size() - 2);
    return made;
}

// Without its large texts.
static json_ptr etl_print(const cluster_etl &etl)
{
    json_ptr tree = json_object();
    etl_definition_print(tree.get(), etl);
    json_add_text(tree.get(), "stage", etl_stage_names[static_cast<size_t>(etl.stage)]);
    json_add_u64_text(tree.get(), "generation", etl.generation);
    json_add_text(tree.get(), "last_error", etl.last_error);
    json_add_u64_text(tree.get(), "started_ns", etl.started_ns);
    return tree;
}

static void lineage_print(cJSON *tree, const cluster_document &document)
{
    if (!document.terms.empty()) {
        cJSON *terms = json_add_array(tree, "terms");
        for (const cluster_term &term : document.terms) {
            json_ptr one = json_object();
            json_add_u64_text(one.get(), "number", term.number);
            json_add_u64_text(one.get(), "tag", term.tag);
            json_add_u64_text(one.get(), "first_version", term.first_version);
            json_add_u64_text(one.get(), "base_digest", term.base_digest);
            json_append(terms, std::move(one));
        }
    }
}

// What is 0 or empty is left out, as in documents from before these fields existed.
static void history_print(cJSON *tree, const cluster_document &document)
{
    if (document.changed_ns != 0)
        json_add_u64_text(tree, "changed_ns", document.changed_ns);
    if (document.last_created_ns != 0)
        json_add_u64_text(tree, "last_created_ns", document.last_created_ns);
    if (document.losses != 0)
        json_add_u64_text(tree, "losses", document.losses);
    cJSON *destroyed = document.destroyed.empty() ? nullptr : json_add_array(tree, "destroyed");
    for (const cluster_destroyed &one : document.destroyed) {
        json_ptr row = json_object();
        json_add_text(row.get(), "name", one.name);
        json_add_u64_text(row.get(), "created_ns", one.created_ns);
        json_add_u64_text(row.get(), "version", one.version);
        json_append(destroyed, std::move(row));
    }
    cJSON *superseded = document.supersedes.empty() ? nullptr : json_add_array(tree, "supersedes");
    for (const document_identity &one : document.supersedes) {
        json_ptr row = json_object();
        json_add_u64_text(row.get(), "term", one.term);
        json_add_u64_text(row.get(), "tag", one.tag);
        json_add_u64_text(row.get(), "version", one.version);
        json_add_u64_text(row.get(), "digest", one.digest);
        json_append(superseded, std::move(row));
    }
}

std::string document_print(const cluster_document &document, document_printer &printer)
{
    json_ptr tree = json_object();
    json_add_u64(tree.get(), "format", document_format);
    json_add_u64_text(tree.get(), "version", document.version);
    json_add_text(tree.get(), "uuid", document.uuid);
    json_add_text(tree.get(), "created", document.created);
    json_add_u64_text(tree.get(), "next_generation", document.next_generation);
    lineage_print(tree.get(), document);
    history_print(tree.get(), document);
    if (document.placement.epoch > 0)
        json_add_tree(tree.get(), "placement", placement_print(document.placement));
    cJSON *nodes = json_add_array(tree.get(), "nodes");
    for (const cluster_node &node : document.nodes)
        json_append(nodes, node_print(node));
    cJSON *buckets = json_add_array(tree.get(), "buckets");
    for (const cluster_bucket &bucket : document.buckets)
        json_append(buckets, bucket_print(bucket));
    document_jobs_print(tree.get(), document);
    document_printer now;
    size_t size = 0;
    for (const cluster_etl &etl : document.etls) {
        now.known.push_back(print_texts(etl, printer));
        size += now.known.back().text.size() + document_small_size_max;
    }
    std::string text = json_print(tree.get());
    text.reserve(text.size() + size);
    text.back() = ',';
    text += "\"etls\":[";
    for (size_t i = 0; i < document.etls.size(); i++) {
        text += i > 0 ? "," : "";
        text += json_print(etl_print(document.etls[i]).get());
        text.back() = ',';
        text += now.known[i].text;
        text += '}';
    }
    text += "]}";
    printer = std::move(now);
    return text;
}

std::string document_print(const cluster_document &document)
{
    document_printer printer;
    return document_print(document, printer);
}

// --- AIStore's cluster map

// One address serves all three networks (clients, control, and data between nodes).
static void add_net(cJSON *node, const char *key, const std::string &url, const url_base &base)
{
    cJSON *net = json_add_object(node, key);
    json_add_text(net, "node_ip_addr", base.host);
    json_add_text(net, "daemon_port", std::to_string(base.port));
    json_add_text(net, "direct_url", url);
}

static json_ptr smap_node(const cluster_node &node)
{
    url_base base;
    if (!url_parse_base(node.url, base)) {
        base.host.clear(); // a node that is not listening yet has no url, which is shown as it is
        base.port = 0;
    }
    json_ptr tree = json_object();
    for (const char *key : {"public_net", "intra_control_net", "intra_data_net"})
        add_net(tree.get(), key, node.url, base);
    json_add_text(tree.get(), "daemon_type", node_types[node.is_target ? 1 : 0]);
    json_add_text(tree.get(), "daemon_id", node.id);
    json_add_u64(tree.get(), "flags", node.flags);
    json_add_u64(tree.get(), "id_digest", node.digest);
    return tree;
}

// AIStore's rule: the electable proxy with the highest digest.
static const cluster_node *primary_of(const cluster_document &document)
{
    const cluster_node *primary = nullptr;
    for (const cluster_node &node : document.nodes) {
        if (node.is_target || (node.flags & (node_flag_non_electable | node_flag_maintenance | node_flag_decommission)) != 0)
            continue;
        if (primary == nullptr || node.digest > primary->digest)
            primary = &node;
    }
    return primary;
}

json_ptr document_smap(const cluster_document &document)
{
    json_ptr tree = json_object();
    cJSON *proxies = json_add_object(tree.get(), "pmap");
    const cluster_node *primary = primary_of(document);
    json_add_tree(tree.get(), "proxy_si", primary != nullptr ? smap_node(*primary) : json_object());
    cJSON *targets = json_add_object(tree.get(), "tmap");
    for (const cluster_node &node : document.nodes)
        json_add_tree(node.is_target ? targets : proxies, node.id.c_str(), smap_node(node));
    json_add_text(tree.get(), "uuid", document.uuid);
    json_add_text(tree.get(), "creation_time", document.created);
    json_add_u64_text(tree.get(), "version", document.version);
    return tree;
}

} // namespace etlnode

template class std::vector<etlnode::cluster_bucket>;
template class std::vector<etlnode::cluster_destroyed>;
template class std::vector<etlnode::cluster_etl>;
template class std::vector<etlnode::cluster_job>;
template class std::vector<etlnode::cluster_node>;
template class std::vector<etlnode::cluster_term>;
template class std::vector<etlnode::document_identity>;
template class std::vector<etlnode::former_epoch>;
template class std::vector<etlnode::placed_disk>;
