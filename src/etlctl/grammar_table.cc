// SPDX-License-Identifier: MIT
// etlctl/grammar_table.cc: the two tables: options and commands. Everything else about them is in grammar.cc.
#include "etl/etl_mode_list.h"
#include "etlctl/grammar.h"

#define TEXT_FLAG(id, names, value, help, environment)                            \
    {                                                                             \
        flag::id, names, value, help, environment, &options::id, nullptr, nullptr \
    }
#define SWITCH_FLAG(id, names, help)                                            \
    {                                                                           \
        flag::id, names, nullptr, help, nullptr, nullptr, &options::id, nullptr \
    }
#define LIST_FLAG(id, names, value, help, member)                                 \
    {                                                                             \
        flag::id, names, value, help, nullptr, nullptr, nullptr, &options::member \
    }

namespace etlnode::etlctl {

static constexpr auto communication_help = etl_mode_list_make<false>("; overrides the spec");

static constexpr flag_row flags[] = {
    TEXT_FLAG(endpoint, "--endpoint", "URL", "the proxy (default http://127.0.0.1:8080)", "ETLNODE_ENDPOINT,AIS_ENDPOINT"),
    TEXT_FLAG(output, "-o,--output", "FORMAT", "table, wide, json, jsonl, yaml or name", "ETLNODE_OUTPUT"),
    SWITCH_FLAG(no_headers, "--no-headers", "tables without their first line"),
    TEXT_FLAG(sort_by, "--sort-by", "COLUMN", "sort a list by a column (its header or its JSON key)", nullptr),
    TEXT_FLAG(timeout, "--timeout", "DURATION", "give up after this long (30s, 5m)", "ETLNODE_TIMEOUT"),
    TEXT_FLAG(request_id, "--request-id", "ID", "the X-Request-Id to send (default: random)", nullptr),
    TEXT_FLAG(progress, "--progress", "MODE", "auto, plain (one line a second) or none", "ETLNODE_PROGRESS"),
    SWITCH_FLAG(verbose, "-v,--verbose", "requests, redirects and statuses on stderr"),
    SWITCH_FLAG(trace_http, "--trace-http", "as -v, with all headers; secrets are masked"),
    SWITCH_FLAG(dry_run, "--dry-run", "print what would be sent, send nothing"),
    LIST_FLAG(file, "-f,--from-file,--file", "FILE", "the spec; - reads standard input; several times for several ETLs", files),
    TEXT_FLAG(name, "--name", "NAME", "the ETL's name", nullptr),
    TEXT_FLAG(communication, "--comm-type", "TYPE", communication_help.data(), nullptr),
    TEXT_FLAG(init_timeout, "--init-timeout", "DURATION", "how long pods may take to be Ready; overrides the spec", nullptr),
    TEXT_FLAG(obj_timeout, "--object-timeout", "DURATION", "how long one object may take; overrides the spec", nullptr),
    TEXT_FLAG(args, "--args", "TEXT", "an argument for the transform (etl_args)", nullptr),
    TEXT_FLAG(range, "--range", "FIRST-LAST", "only these bytes, counted from 0; also FIRST- and -COUNT", nullptr),
    TEXT_FLAG(prefix, "--prefix", "TEXT", "only names that begin with this", nullptr),
    TEXT_FLAG(limit, "--limit", "N", "at most this many", nullptr),
    TEXT_FLAG(tail, "--tail", "N", "only the last N lines of each pod", nullptr),
    SWITCH_FLAG(yes, "-y,--yes", "do not ask"),
    SWITCH_FLAG(exist_ok, "--exist-ok", "an existing bucket is no error"),
    SWITCH_FLAG(ignore_not_found, "--ignore-not-found", "what is not there is no error"),
    SWITCH_FLAG(null_separated, "-0,--null", "with -o name: a NUL byte after each name, not a newline"),
    SWITCH_FLAG(client, "--client", "do not ask the server"),
};

static constexpr uint32_t reading = flag_bit(flag::no_headers);
static constexpr uint32_t listing = reading | flag_bit(flag::sort_by) | flag_bit(flag::null_separated);
static constexpr uint32_t changing = flag_bit(flag::dry_run);
static constexpr uint32_t moving = flag_bit(flag::progress);

static constexpr word_row etl_word = {"ID", word_kind::etl, true, false};
static constexpr word_row object_word = {"BUCKET/OBJECT", word_kind::object, true, false};
static constexpr word_row out_word = {"OUT", word_kind::file, false, false};

static constexpr command_row commands[] = {
    {command::etl_init, "etl", "init", "", {{"SPEC", word_kind::file, false, false}},
        changing | flag_bit(flag::file) | flag_bit(flag::name) | flag_bit(flag::communication) | flag_bit(flag::init_timeout) |
            flag_bit(flag::obj_timeout),
        "Start an ETL from a spec; prints its id",
        "SPEC is a Kubernetes Pod (YAML or JSON), or an ETL with `runtime: {image, command}`. The id is printed when every target\n"
        "serves it. With --name, or with a runtime spec, the ETL is known by that name, and the name is printed.\n"
        "--dry-run checks the spec as a node does and sends nothing; --dry-run=server lets the node look, which starts nothing.\n",
        "  etlctl etl init -f spec.yaml\n  ID=$(etlctl transform init spec.yaml)\n"},
    {command::etl_ls, "etl", "ls", "list", {}, listing, "List ETLs", "", "  etlctl etl ls -o wide\n"},
    {command::etl_show, "etl", "show", "describe get info", {{"ID", word_kind::etl, false, false}}, listing,
        "Show an ETL: stage, spec, objects that failed",
        "Without ID it lists all. With -o yaml or -o json `spec` is the spec as it was given, and each target has the pod that it\n"
        "makes of it as `manifest`, with all that the node adds.\n",
        "  etlctl etl show JGHEoo89gg -o yaml\n"},
    {command::etl_logs, "etl", "logs", "log view-logs", {etl_word, {"TARGET", word_kind::target, false, false}},
        reading | flag_bit(flag::tail), "Print what the ETL's pods wrote",
        "With pods of several targets each line begins with the target's id.\n", "  etlctl etl logs JGHEoo89gg t1 --tail 20\n"},
    {command::etl_health, "etl", "health", "", {etl_word}, listing, "Show the state of the ETL's pods", "",
        "  etlctl etl health JGHEoo89gg\n"},
    {command::etl_errors, "etl", "errors", "failures view-errors", {etl_word}, listing, "List reads through the ETL that failed",
        "The last hundred of all targets, newest last, with object, status, request id and the reason; a read that was cut is among "
        "them.\n",
        "  etlctl etl errors JGHEoo89gg\n  etlctl etl errors JGHEoo89gg -o jsonl\n"},
    {command::etl_stop, "etl", "stop", "", {etl_word}, changing, "Stop an ETL: its pods are removed",
        "An ETL that was given a name stays in the list and can be started again; `etl rm` forgets it.\n",
        "  etlctl etl stop JGHEoo89gg\n"},
    {command::etl_start, "etl", "start", "", {etl_word}, changing, "Start an ETL that was stopped", "", "  etlctl etl start my-etl\n"},
    {command::etl_rm, "etl", "rm", "remove delete del", {etl_word}, changing | flag_bit(flag::ignore_not_found),
        "Stop an ETL and forget it", "", "  etlctl etl rm my-etl\n"},
    {command::etl_object, "etl", "object", "", {etl_word, object_word, out_word}, moving | flag_bit(flag::args) | flag_bit(flag::range),
        "Read an object through an ETL",
        "OUT is a file, a directory or - for standard output, which is the default.\n"
        "A result that was cut in the middle is an error and leaves no file.\n",
        "  etlctl etl object JGHEoo89gg transform/shard.in -\n  etlctl etl object resize photos/cat.jpg cat.png --args 64x64\n"},

    {command::object_get, "object", "get", "read cat download", {object_word, out_word}, moving | flag_bit(flag::range), "Read an object",
        "OUT is a file, a directory or - for standard output, which is the default; on a terminal binary bytes need the -.\n"
        "Called as `ais`, it writes a file named as the object when OUT is left out. The checksum of a whole object is verified.\n"
        "A read that was cut in the middle is an error and leaves no file.\n",
        "  etlctl object get transform/shard.in shard.in\n  etlctl get transform/shard.in - --range 0-99\n"},
    {command::object_put, "object", "put", "write upload",
        {{"FILE", word_kind::file, true, false}, {"BUCKET/OBJECT", word_kind::object_or_bucket, true, false}}, changing | moving,
        "Store an object", "FILE is - for standard input. With a file, the object's name may be left out: it is the file's.\n",
        "  echo \"some text :)\" | etlctl put - transform/shard.in\n  etlctl object put cat.jpg photos\n"},
    {command::object_ls, "object", "ls", "list", {{"BUCKET", word_kind::object_or_bucket, true, false}},
        listing | flag_bit(flag::prefix) | flag_bit(flag::limit), "List the objects of a bucket",
        "BUCKET/PREFIX is the same as BUCKET --prefix PREFIX.\n",
        "  etlctl object ls transform --prefix shard --limit 10\n  etlctl ls transform -o name\n"},
    {command::object_head, "object", "head", "show describe info stat", {object_word}, reading,
        "Show an object's size, checksum, version and times", "", "  etlctl object head transform/shard.in -o json\n"},
    {command::object_rm, "object", "rm", "remove delete del", {{"BUCKET/OBJECT", word_kind::object, true, true}},
        changing | moving | flag_bit(flag::ignore_not_found), "Remove objects", "", "  etlctl object rm transform/a transform/b\n"},

    {command::bucket_create, "bucket", "create", "make", {{"BUCKET", word_kind::none, true, true}}, changing | flag_bit(flag::exist_ok),
        "Create buckets", "", "  etlctl bucket create transform\n  etlctl create bucket transform\n"},
    {command::bucket_ls, "bucket", "ls", "list", {}, listing, "List buckets", "", "  etlctl bucket ls\n  etlctl ls -o json\n"},
    {command::bucket_rm, "bucket", "rm", "remove delete del destroy", {{"BUCKET", word_kind::bucket, true, false}},
        changing | flag_bit(flag::yes) | flag_bit(flag::ignore_not_found), "Remove a bucket and all its objects",
        "A bucket that holds objects is removed only after a question, or with --yes.\n", "  etlctl bucket rm transform --yes\n"},

    {command::target_ls, "target", "ls", "list show", {}, listing, "List the targets", "", "  etlctl target ls\n"},
    {command::target_rm, "target", "rm", "remove decommission", {{"TARGET", word_kind::target, true, false}},
        changing | flag_bit(flag::yes), "Take a target out of the cluster that will not come back",
        "It must have been silent for ten seconds. What only it held is gone; all other objects stay where they are. The command says how "
        "many\n"
        "objects the target held when it was last heard, and asks, unless --yes is given. Should the target come back with its data after "
        "all, it is\n"
        "placed again as long as nothing was written, deleted or destroyed meanwhile.\n",
        "  etlctl target rm t1a2b3c4d --dry-run\n  etlctl target rm t1a2b3c4d --yes\n"},
    {command::cluster_show, "cluster", "show", "ls list", {}, listing, "Show the cluster's nodes", "", "  etlctl cluster show\n"},
    {command::cluster_health, "cluster", "health", "", {}, listing, "Ask every node whether it is well", "Exit code 6 when one is not.\n",
        "  etlctl cluster health --timeout 2s\n"},

    {command::version, "", "version", "", {}, reading | flag_bit(flag::client), "Show the version of this program and of the server", "",
        "  etlctl version --client -o json\n"},
    {command::help, "", "help", "", {{"TOPIC", word_kind::topic, false, true}}, 0,
        "Explain a command; `help exit-codes`, `help environment`", "", "  etlctl help etl object\n  etlctl help exit-codes\n"},
    {command::completion, "", "completion", "", {{"SHELL", word_kind::shell, true, false}}, 0, "Print the completion script of bash or zsh",
        "bash: source <(etlctl completion bash). zsh: the same, after compinit.\n",
        "  etlctl completion bash > ~/.local/share/bash-completion/completions/etlctl\n"},
};

std::span<const flag_row> grammar_flags() { return flags; }
std::span<const command_row> grammar_commands() { return commands; }

} // namespace etlnode::etlctl
