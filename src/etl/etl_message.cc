// SPDX-License-Identifier: MIT
// etl/etl_message.cc: the init message of today's clients (PUT /v1/etl): an image with a command, or a Pod in base64.
//
// Knows    codec, spec_tree, etl_spec.       Known by  role/proxy.
// Normal   a runtime becomes a Pod with one container, port 8000, readiness GET /health. A Pod spec is read like one of /v1/etl/init, and
//          the message's own fields override the Pod's.
// Fails    bad_spec with "line L, column C: ..." of the message, or of the Pod: then the reason begins with "spec: ".
// Limits   spec_size_max; the caller applies json_body_size_max.
#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "etl/etl_mode_list.h"
#include "etl/etl_spec.h"
#include "etl/spec_choice.h"
#include "etl/spec_tree.h"
#include "kube/pod_schema.h"

namespace etlnode {

static constexpr uint16_t runtime_port = 8000; // AIStore's own images listen on it
static constexpr size_t init_name_size_min = 6;
static constexpr size_t init_name_size_max = 32;

bool etl_spec_is_init_name(std::string_view name)
{
    if (name.size() < init_name_size_min || name.size() > init_name_size_max || name.front() == '-' || name.back() == '-')
        return false;
    for (char c : name) {
        if (c != '-' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

std::string etl_spec_init_name_words()
{
    return text_format("%zu to %zu lower case letters, digits and '-', beginning and ending with a letter or digit", init_name_size_min,
        init_name_size_max);
}

static constexpr spec_misnomer message_misnomers[] = {{"object_timeout", "obj_timeout"}, {"wait_timeout", "init_timeout"},
    {"communication_type", "communication"}, {"comm_type", "communication"}, {"comm", "communication"},
    {"direct_put", "support_direct_put"}};
static constexpr spec_misnomer runtime_misnomers[] = {{"cmd", "command"}, {"entrypoint", "command"}, {"environment", "env"},
    {"args", "command, which takes the arguments too"}, {"arguments", "command, which takes the arguments too"},
    {"resources", "resources beside runtime, not in it"}};

// Keys that differ only in case are refused: Go's decoder would take the last one, whichever that is.
static error check_once(const yaml_node &mapping, std::string_view what, std::string &out_reason)
{
    for (size_t i = 0; i < mapping.keys.size(); i++) {
        for (size_t k = 0; k < i; k++) {
            if (text_equal_ignore_case(mapping.keys[k]->text, mapping.keys[i]->text))
                return spec_refuse(*mapping.keys[i],
                    std::string(what) + " \"" + text_escape(mapping.keys[i]->text, 64) + "\" repeats \"" +
                        text_escape(mapping.keys[k]->text, 64) + "\" (" + yaml_location(*mapping.keys[k]) + ")",
                    "each key once", out_reason);
        }
    }
    return no_error;
}

// Field names match whatever their case.
static error check_keys(const yaml_node &mapping, std::string_view what, std::span<const std::string_view> known,
    std::span<const spec_misnomer> misnomers, etl_spec &spec, std::string &out_reason)
{
    if (error err = check_once(mapping, what, out_reason))
        return err;
    for (const yaml_ptr &key : mapping.keys) {
        bool is_known = false;
        for (std::string_view one : known)
            is_known = is_known || text_equal_ignore_case(key->text, one);
        if (is_known)
            continue;
        if (error err = spec_check_key(*key, what, known, misnomers, spec.warnings, out_reason))
            return err;
    }
    return no_error;
}

// Today's clients write field names exactly, and Go's decoder accepts any case. So does this one, like codec/json.h.
static const yaml_node *field(const yaml_node &mapping, std::string_view name)
{
    for (size_t i = 0; mapping.kind == yaml_kind::mapping && i < mapping.keys.size(); i++) {
        if (text_equal_ignore_case(mapping.keys[i]->text, name))
            return mapping.values[i].get();
    }
    return nullptr;
}

// What a field may hold, other than null.
struct field_rule {
    std::string_view name;
    bool (*fits)(const yaml_node &value);
    std::string_view expected;
};

static bool fits_text(const yaml_node &value) { return spec_is_text(&value); }
static bool fits_list(const yaml_node &value) { return value.kind == yaml_kind::sequence; }
static bool fits_mapping(const yaml_node &value) { return value.kind == yaml_kind::mapping; }
static bool fits_boolean(const yaml_node &value) { return value.kind == yaml_kind::scalar && value.type == yaml_type::boolean; }
static bool fits_duration(const yaml_node &value)
{
    return spec_is_text(&value) || (value.kind == yaml_kind::scalar && value.text == "0");
} // 0 means the default, as in AIStore

static constexpr std::string_view duration_words = "a duration such as \"30s\" or \"1m30s\"";
static constexpr std::string_view variables_words = "a list of {\"name\", \"value\"}";
static constexpr field_rule message_rules[] = {
    {"communication", fits_text, etl_mode_list},
    {"init_timeout", fits_duration, duration_words},
    {"obj_timeout", fits_duration, duration_words},
    {"support_direct_put", fits_boolean, "true or false"},
    {"env", fits_list, variables_words},
    {"resources", fits_mapping, "{\"requests\", \"limits\"}"},
    {"runtime", fits_mapping, "{\"image\", \"command\", \"env\"}"},
    {"spec", fits_text, "a Pod spec in base64"},
};
static constexpr field_rule runtime_rules[] = {
    {"image", fits_text, "the name of an image"},
    {"command", fits_list, "a list of texts"},
    {"env", fits_list, variables_words},
};

static error check_kinds(const yaml_node &mapping, std::string_view prefix, std::span<const field_rule> rules, std::string &out_reason)
{
    for (const field_rule &rule : rules) {
        const yaml_node *value = field(mapping, rule.name);
        if (!spec_is_absent(value) && !rule.fits(*value))
            return spec_refuse(
                *value, std::string(prefix) + std::string(rule.name) + " is " + spec_words(value), rule.expected, out_reason);
    }
    return no_error;
}

// Fields of a container that a runtime lacks are refused: ignoring them would run something else than the user meant.
static error check_container_fields(const yaml_node &runtime, std::string_view prefix, std::string &out_reason)
{
    for (const yaml_ptr &key : runtime.keys) {
        bool is_known = false;
        for (std::string_view one : runtime_keys)
            is_known = is_known || text_equal_ignore_case(key->text, one);
        if (!is_known && !pod_schema_type("Container", key->text).empty())
            return spec_refuse(*key, std::string(prefix) + text_escape(key->text, 64) + " is a field of a container, not of a runtime",
                "image, command and env; a Pod in spec may have all others", out_reason);
    }
    return no_error;
}

// The choices that the message itself makes.
static std::vector<const etl_choice *> choices_of(const yaml_node &root)
{
    std::vector<const etl_choice *> given;
    for (const etl_choice &choice : etl_choices()) {
        if (!choice.message_key.empty() && !spec_is_empty(field(root, choice.message_key)))
            given.push_back(&choice);
    }
    return given;
}

static error read_choices(const yaml_node &root, etl_spec &spec, std::string &out_reason)
{
    for (const etl_choice *choice : choices_of(root)) {
        if (error err = spec_read_choice(*choice, *field(root, choice->message_key), choice->message_key, spec, out_reason))
            return err;
    }
    return no_error;
}

// Variables go into the Pod unchanged, so their keys must be those of Kubernetes.
static error check_variable_keys(const yaml_node &variable, const std::string &path, std::string &out_reason)
{
    static constexpr std::string_view known[] = {"name", "value", "valueFrom"};
    for (const yaml_ptr &key : variable.keys) {
        if (std::find(std::begin(known), std::end(known), key->text) == std::end(known))
            return spec_refuse(
                *key, "unknown key \"" + text_escape(key->text, 64) + "\" of " + path, "name, value or valueFrom", out_reason);
    }
    return no_error;
}

static error check_variables(const yaml_node *env, std::string_view name, std::string &out_reason)
{
    for (size_t i = 0; env != nullptr && i < env->values.size(); i++) {
        const yaml_ptr &variable = env->values[i];
        std::string path = std::string(name) + "[" + std::to_string(i) + "]";
        if (variable->kind != yaml_kind::mapping)
            return spec_refuse(*variable, path + " is " + spec_words(variable.get()), "{\"name\", \"value\"}", out_reason);
        if (error err = check_variable_keys(*variable, path, out_reason))
            return err;
        const yaml_node *key = field(*variable, "name");
        const yaml_node *value = field(*variable, "value");
        if (!spec_is_text(key) || key->text.empty() || key->text.find('=') != std::string::npos)
            return spec_refuse(key != nullptr ? *key : *variable, path + ".name is " + spec_words(key), "a text without '='", out_reason);
        if (!spec_is_absent(value) && !spec_is_text(value))
            return spec_refuse(*value, path + ".value (" + text_escape(key->text, 80) + ") is " + spec_words(value),
                "a text: put it in quotes", out_reason);
    }
    return no_error;
}

static void append_copies(cJSON *container, const cJSON *variables)
{
    if (!cJSON_IsArray(variables) || cJSON_GetArraySize(variables) == 0)
        return;
    cJSON *env = cJSON_GetObjectItemCaseSensitive(container, "env");
    if (!cJSON_IsArray(env)) {
        cJSON_DeleteItemFromObjectCaseSensitive(container, "env");
        env = json_add_array(container, "env");
    }
    const cJSON *variable = nullptr;
    cJSON_ArrayForEach(variable, variables) json_append(env, json_ptr(cJSON_Duplicate(variable, true)));
}

static cJSON *add_container(cJSON *pod, const etl_spec &spec)
{
    json_add_text(pod, "apiVersion", "v1");
    json_add_text(pod, "kind", "Pod");
    cJSON *metadata = json_add_object(pod, "metadata");
    json_add_text(metadata, "name", spec.name);
    cJSON *annotations = json_add_object(metadata, "annotations");
    json_add_text(annotations, std::string(annotation_communication).c_str(), etl_mode_names[static_cast<size_t>(spec.mode)]);
    json_add_text(annotations, std::string(annotation_wait_timeout).c_str(), text_duration(spec.wait_timeout_ms));
    json_add_text(annotations, std::string(annotation_obj_timeout).c_str(), text_duration(spec.obj_timeout_ms));
    json_ptr container = json_object();
    cJSON *out = container.get();
    json_append(json_add_array(json_add_object(pod, "spec"), "containers"), std::move(container));
    return out;
}

static error check_runtime(const yaml_node &runtime, etl_spec &spec, std::string &out_reason)
{
    if (error err = check_keys(runtime, "key of runtime", runtime_keys, runtime_misnomers, spec, out_reason))
        return err;
    if (error err = check_container_fields(runtime, "runtime.", out_reason))
        return err;
    if (error err = check_kinds(runtime, "runtime.", runtime_rules, out_reason))
        return err;
    const yaml_node *image = field(runtime, "image");
    if (!spec_is_text(image) || image->text.empty())
        return spec_refuse(image != nullptr ? *image : runtime, "runtime.image is " + spec_words(image),
            "the name of an image" + spec_near_miss(&runtime, "image"), out_reason);
    const yaml_node *command = field(runtime, "command");
    for (size_t i = 0; command != nullptr && i < command->values.size(); i++) {
        if (!spec_is_text(command->values[i].get()))
            return spec_refuse(*command->values[i], "runtime.command[" + std::to_string(i) + "] is " + spec_words(command->values[i].get()),
                "a text: put it in quotes", out_reason);
    }
    return check_variables(field(runtime, "env"), "runtime.env", out_reason);
}

static error build_runtime(const yaml_node &runtime, const cJSON *message, etl_spec &spec, std::string &out_reason)
{
    if (error err = check_runtime(runtime, spec, out_reason))
        return err;
    const cJSON *given = json_get(message, "runtime");
    json_ptr pod = json_object();
    cJSON *container = add_container(pod.get(), spec);
    json_add_text(container, "name", "server");
    json_add_text(container, "image", json_text(given, "image"));
    const cJSON *command = json_get(given, "command");
    if (cJSON_IsArray(command) && cJSON_GetArraySize(command) > 0)
        json_add_tree(container, "command", json_ptr(cJSON_Duplicate(command, true)));
    append_copies(container, json_get(message, "env"));
    append_copies(container, json_get(given, "env"));
    json_ptr port = json_object();
    json_add_text(port.get(), "name", "default");
    json_add_u64(port.get(), "containerPort", runtime_port);
    json_append(json_add_array(container, "ports"), std::move(port));
    cJSON *probe = json_add_object(container, "readinessProbe");
    cJSON *get = json_add_object(probe, "httpGet");
    json_add_text(get, "path", "/health");
    json_add_u64(get, "port", runtime_port);
    json_add_u64(probe, "periodSeconds", 1);
    json_add_u64(probe, "timeoutSeconds", 5);
    const cJSON *resources = json_get(message, "resources");
    if (cJSON_IsObject(resources) && resources->child != nullptr)
        json_add_tree(container, "resources", json_ptr(cJSON_Duplicate(resources, true)));
    spec.container_port = runtime_port;
    spec.runtime_spec = true;
    spec.pod_json = json_print(pod.get());
    return no_error;
}

static error build_from_pod(
    const yaml_node &encoded, const cJSON *message, const std::string &name, const yaml_node &root, etl_spec &spec, std::string &out_reason)
{
    std::string text;
    if (!spec_is_text(&encoded) || !base64_decode(encoded.text, text))
        return spec_refuse(encoded, "spec is not base64", "a Pod spec in base64", out_reason);
    std::string reason;
    std::vector<std::string> warnings = spec.warnings;
    error bad = etl_spec_read_pod(text, choices_of(root), spec, reason);
    for (const std::string &warning : spec.warnings)
        spec_warn(warnings, "spec: " + warning);
    spec.warnings = std::move(warnings);
    if (!bad) {
        if (error err = read_choices(root, spec, out_reason)) // the message's fields override the annotations
            return err;
        bad = etl_spec_check(spec, reason);
    }
    if (bad) {
        out_reason = "spec: " + reason;
        return bad;
    }
    if (!name.empty())
        spec.name = name;
    json_ptr pod = spec_parse_exactly(spec.pod_json);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod.get(), "metadata");
    cJSON_ReplaceItemInObjectCaseSensitive(metadata, "name", cJSON_CreateString(spec.name.c_str()));
    cJSON *pod_spec = cJSON_GetObjectItemCaseSensitive(pod.get(), "spec");
    for (const char *list : {"initContainers", "containers"}) {
        cJSON *container = nullptr;
        cJSON_ArrayForEach(container, cJSON_GetObjectItemCaseSensitive(pod_spec, list)) append_copies(container, json_get(message, "env"));
    }
    spec.pod_json = json_print(pod.get());
    return no_error;
}

// AIStore's Go clients send a runtime with only empty fields when they send a Pod.
static bool says_nothing(const yaml_node *mapping)
{
    if (spec_is_empty(mapping))
        return true;
    return mapping->kind == yaml_kind::mapping &&
           std::all_of(mapping->values.begin(), mapping->values.end(), [](const yaml_ptr &value) { return spec_is_empty(value.get()); });
}

static error read_message(const spec_document &document, etl_spec &out_spec, std::string &out_reason)
{
    const yaml_node &root = *document.tree;
    if (root.kind != yaml_kind::mapping)
        return spec_refuse(root, "the message is " + spec_words(&root), "an object with name and runtime or spec", out_reason);
    if (error err = check_keys(root, "key", init_keys, message_misnomers, out_spec, out_reason))
        return err;
    if (error err = check_kinds(root, "", message_rules, out_reason))
        return err;
    const yaml_node *runtime = field(root, "runtime");
    const yaml_node *encoded = field(root, "spec");
    const yaml_node *name = field(root, "name");
    if (!says_nothing(runtime) && !spec_is_empty(encoded))
        return spec_refuse(
            *encoded, "both runtime and spec are given", "one of them: an image with its command, or a Pod in base64", out_reason);
    if (!spec_is_empty(encoded))
        runtime = nullptr;
    bool may_lack_name = spec_is_empty(runtime) && spec_is_empty(name); // then the Pod's own name counts
    if (!may_lack_name && (!spec_is_text(name) || !etl_spec_is_init_name(name->text)))
        return spec_refuse(name != nullptr ? *name : root, "name is " + spec_words(name),
            etl_spec_init_name_words() + spec_near_miss(&root, "name"), out_reason);
    if (error err = check_variables(field(root, "env"), "env", out_reason))
        return err;
    if (!spec_is_empty(runtime)) {
        out_spec.name = name->text;
        if (error err = read_choices(root, out_spec, out_reason))
            return err;
        return build_runtime(*runtime, document.json.get(), out_spec, out_reason);
    }
    if (!spec_is_empty(encoded))
        return build_from_pod(*encoded, document.json.get(), spec_is_text(name) ? name->text : std::string(), root, out_spec, out_reason);
    return spec_refuse(root, "neither runtime nor spec is given",
        "\"runtime\": {\"image\": ...} or \"spec\": a Pod in base64" + spec_near_miss(&root, "spec"), out_reason);
}

static error parse_message(std::string_view text,
    error (*parse)(std::string_view text, spec_document &out_document, std::string &out_reason), etl_spec &out_spec,
    std::string &out_reason)
{
    out_spec = etl_spec();
    out_spec.wait_timeout_ms = wait_timeout_default_ms;
    out_spec.obj_timeout_ms = obj_timeout_default_ms;
    out_reason.clear();
    spec_document document;
    if (error err = parse(text, document, out_reason))
        return err;
    return read_message(document, out_spec, out_reason);
}

error etl_spec_parse_init(std::string_view text, etl_spec &out_spec, std::string &out_reason)
{
    return parse_message(text, spec_document_parse_json, out_spec, out_reason);
}
error etl_spec_parse_init_file(std::string_view text, etl_spec &out_spec, std::string &out_reason)
{
    return parse_message(text, spec_document_parse, out_spec, out_reason);
}

} // namespace etlnode
