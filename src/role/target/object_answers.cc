// SPDX-License-Identifier: MIT
// role/target/object_answers.cc: answers with an object of this target: content, a part of it, or its properties.
//
// Knows    store, transfer, http.   Known by  objects.cc.
#include <array>
#include <memory>

#include "base/limits.h"
#include "base/text.h"
#include "codec/content_guard.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "port/clock.h"
#include "role/target/objects.h"
#include "store/object_extras.h"
#include "transfer/transfer.h"

namespace etlnode {

static std::string uname_of(const object_request &r) { return "ais://" + r.bucket + "/" + r.name; }

static std::string node_prefix(const target &t) { return "t[" + t.id + "]: "; }

// AIStore's clients look for "ais://B/O does not exist".
std::string object_failure_text(const object_request &r, error err)
{
    if (err.code == error_code::corrupt)
        return node_prefix(*r.t) + uname_of(r) + ": data is corrupt" + (err.what != nullptr ? std::string(": ") + err.what : "");
    if (err.code != error_code::object_not_found)
        return node_prefix(*r.t) + uname_of(r) + " " + error_text(err);
    return node_prefix(*r.t) + uname_of(r) + " does not exist";
}

// --- answers with an object

struct held_object {
    store *objects;
    const store_object *object;
    transfer_pod_read *read; // null: not for a pod
};

static void release_object(void *arg, error)
{
    auto *held = static_cast<held_object *>(arg);
    store_release(*held->objects, held->object);
    if (held->read != nullptr)
        transfer_pod_read_end(held->read);
    delete held;
}

static constexpr size_t object_headers_size = 224; // bytes: the usual size of what write_object_headers writes

// The sender's if it was of another type than the store's.
static void write_checksum(std::string &out, const index_row &row, const object_extras &extras)
{
    bool is_ours = extras.checksum_type.empty();
    http_write_header(out, header_checksum_type, is_ours ? checksum_type_xxhash2 : std::string_view(extras.checksum_type));
    http_write_header(out, header_checksum_value, is_ours ? text_hex(row.checksum) : extras.checksum_value);
}

static void write_custom(std::string &out, const object_extras &extras)
{
    for (const auto &[key, value] : extras.custom)
        http_write_header(out, header_custom_md, key + "=" + value);
}

// Two contents that differ have different tags, whatever else is kept beside them.
static std::string etag_of(const index_row &row)
{
    return !row.etag.empty() ? row.etag : "\"v1-" + text_hex(row.checksum) + "-" + std::to_string(row.size) + "\"";
}

static void write_object_headers(std::string &out, const index_row &row, bool whole)
{
    object_extras extras;
    if (!row.custom.empty())
        extras = object_extras_parse(row.custom);
    if (whole)
        write_checksum(out, row, extras);
    write_custom(out, extras);
    http_write_header_u64(out, header_atime, row.changed_ns);
    http_write_header_u64(out, header_version, row.version);
    if (!row.etag.empty())
        http_write_header(out, "ETag", row.etag);
    out += "Accept-Ranges: bytes\r\n";
}

static void answer_bytes(const object_request &r, const store_object *object, answer a, uint64_t offset, uint64_t size)
{
    exchange &x = *r.x;
    transfer_host *transfers = r.t->transfers;
    transfer_pod_read *read = r.for_pod && transfers != nullptr ? transfer_pod_read_begin(*transfers, x, r.etl, r.bucket, r.name, size)
                                                                : nullptr;
    auto *holder = new held_object{r.t->objects, object, read};
    if (object->file != nullptr)
        exchange_answer_file(x, std::move(a), object->file, offset, size, release_object, holder);
    else
        exchange_answer_view(x, std::move(a), std::string_view(object->content).substr(offset, size), release_object, holder);
}

http_range object_range_of(const object_request &r, const index_row &row)
{
    const http_head &head = exchange_head(*r.x);
    if (!http_range_counts(http_head_get(head, "If-Range"), etag_of(row)))
        return {};
    return http_range_parse(http_head_get(head, "Range"), row.size);
}

void object_answer_bad_range(const object_request &r, uint64_t size)
{
    std::string headers;
    http_write_header(headers, "Content-Range", "bytes */" + std::to_string(size));
    r.t->metrics.get_errors++;
    exchange_answer_error(*r.x, error_code::bad_range,
        node_prefix(*r.t) + "range not satisfiable: " + uname_of(r) + " has " + text_bytes(size), 0, std::move(headers));
}

answer object_answer_head(const object_request &r, const index_row &row, const http_range &range, uint64_t &out_first, uint64_t &out_size)
{
    answer a;
    a.content_type = "application/octet-stream";
    a.headers.reserve(object_headers_size);
    content_write_guard(a.headers, a.content_type);
    out_first = 0;
    out_size = row.size;
    if (range.kind == http_range_kind::part) {
        out_first = range.first;
        out_size = range.count;
        a.status = 206;
        http_write_header(a.headers, "Content-Range",
            text_format("bytes %llu-%llu/%llu", static_cast<unsigned long long>(out_first),
                static_cast<unsigned long long>(out_first + out_size - 1), static_cast<unsigned long long>(row.size)));
    }
    write_object_headers(a.headers, row, range.kind != http_range_kind::part);
    if (r.for_pod)
        http_write_header_u64(a.headers, "version", row.version); // a transformer of 2020 uses it as the key of its cache
    return a;
}

static void answer_object(const object_request &r, const store_object *object)
{
    target &t = *r.t;
    const index_row &row = object->row;
    http_range range = object_range_of(r, row);
    if (range.kind == http_range_kind::unsatisfiable) {
        uint64_t size = row.size;
        store_release(*t.objects, object); // this may free the row
        object_answer_bad_range(r, size);
        return;
    }
    uint64_t first = 0;
    uint64_t size = 0;
    answer a = object_answer_head(r, row, range, first, size);
    t.metrics.get_count++;
    t.metrics.get_bytes += size;
    answer_bytes(r, object, std::move(a), first, size);
}

void object_answer_missing(const object_request &r, error err)
{
    r.t->metrics.get_errors++;
    exchange_answer_error(*r.x, err.code, object_failure_text(r, err));
}

// --- HEAD

static void add_property(std::string &out, std::string_view name, const target &t, const object_request &r, const index_row &row)
{
    object_extras extras;
    if (!row.custom.empty())
        extras = object_extras_parse(row.custom);
    if (name == "name") {
        http_write_header(out, "Ais-Name", r.name);
        http_write_header(out, "Ais-Bucket-Name", r.bucket);
        http_write_header(out, "Ais-Bucket-Provider", "ais");
    } else if (name == "checksum") {
        write_checksum(out, row, extras);
    } else if (name == "custom") {
        write_custom(out, extras);
    } else if (name == "chunked" && extras.chunk_count > 0) {
        http_write_header_u64(out, header_chunk_count, extras.chunk_count);
        http_write_header_u64(out, header_chunk_size_max, extras.chunk_size_max);
    } else if (name == "version") {
        http_write_header_u64(out, header_version, row.version);
    } else if (name == "atime") {
        http_write_header_u64(out, header_atime, row.changed_ns);
    } else if (name == "copies") {
        http_write_header(out, "Ais-Mirror-Copies", "1");
        http_write_header(out, "Ais-Mirror-Paths", "[" + t.options.data_dir + "]");
    } else if (name == "location") {
        http_write_header(out, "Ais-Location", "t[" + t.id + "]:mp[" + t.options.data_dir + "]");
    } else if (name == "last-modified") {
        http_write_header(out, "Last-Modified", http_date(row.changed_ns / 1'000'000'000));
    } else if (name == "etag") {
        http_write_header(out, "ETag", etag_of(row));
    }
}

static constexpr std::array<std::string_view, 12> property_names = {
    "name", "size", "version", "checksum", "atime", "copies", "ec", "custom", "location", "chunked", "last-modified", "etag"};

// The properties requested by ?props=, or all of them; false if the request is wrong.
static bool write_properties(std::string &out, const object_request &r, const index_row &row, std::string &out_problem)
{
    std::string asked;
    if (url_query_is_contradictory(exchange_head(*r.x).query, "props")) {
        out_problem = "the parameter props is given twice, with different values";
        return false;
    }
    if (!url_query_get(exchange_head(*r.x).query, "props", asked)) {
        for (std::string_view name :
            {"name", "checksum", "version", "atime", "copies", "custom", "location", "chunked", "etag", "last-modified"})
            add_property(out, name, *r.t, r, row);
        return true;
    }
    std::string_view rest = asked;
    while (!rest.empty()) {
        size_t comma = rest.find(',');
        std::string_view name = text_trim(rest.substr(0, comma));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
        bool known = false;
        for (std::string_view one : property_names)
            known = known || one == name;
        if (!known) {
            out_problem = "invalid property \"" + text_escape(name) + "\" in props=";
            return false;
        }
        add_property(out, name, *r.t, r, row);
    }
    return true;
}

void object_answer_properties(const object_request &r, const index_row &row)
{
    answer a;
    a.content_type = "application/octet-stream";
    std::string problem;
    if (!write_properties(a.headers, r, row, problem)) {
        exchange_answer_error(*r.x, error_code::bad_request, problem);
        return;
    }
    http_write_header(a.headers, "Ais-Present", "true");
    if (r.for_pod)
        http_write_header_u64(a.headers, "version", row.version);
    r.t->metrics.head_count++;
    exchange_answer_head(*r.x, std::move(a), row.size);
}

static void on_checked(void *arg, error err, const store_object *object)
{
    std::unique_ptr<object_request> r(static_cast<object_request *>(arg));
    open_count_end(r->t->store_calls);
    if (err)
        object_answer_missing(*r, err);
    else
        answer_object(*r, object);
}

// Only before the first byte can a damaged block get an answer of its own, so check the first block now.
void object_answer_found(const object_request &r, const store_object *object)
{
    if (exchange_head(*r.x).method == "HEAD") {
        object_answer_properties(r, object->row);
        store_release(*r.t->objects, object);
        return;
    }
    store &objects = *r.t->objects;
    if (object->file != nullptr) {
        http_range range = object_range_of(r, object->row);
        uint64_t first = range.kind == http_range_kind::part ? range.first : 0;
        if (range.kind != http_range_kind::unsatisfiable && !store_is_checked(objects, object, first)) {
            open_count_begin(r.t->store_calls);
            store_check(objects, object, first, on_checked, new object_request(r));
            return;
        }
    }
    answer_object(r, object);
}

} // namespace etlnode
