// SPDX-License-Identifier: MIT
// etlctl/grammar_table.cc: the tables of options and commands. grammar.cc interprets them.
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
    TEXT_FLAG(output, "-o,--output", "FORMAT", "table, wide, json, jsonl, yaml, name or jsonpath=TEMPLATE", "ETLNODE_OUTPUT"),
    SWITCH_FLAG(no_headers, "--no-headers", "print tables without the header line"),
    TEXT_FLAG(sort_by, "--sort-by", "COLUMN", "sort a list by a column (its header or its JSON key)", nullptr),
    TEXT_FLAG(timeout, "--timeout", "DURATION", "give up after this long (30s, 5m)", "ETLNODE_TIMEOUT"),
    TEXT_FLAG(request_id, "--request-id", "ID", "the X-Request-Id to send (default: random)", nullptr),
    TEXT_FLAG(progress, "--progress", "MODE", "auto, plain (one line per second) or none", "ETLNODE_PROGRESS"),
    SWITCH_FLAG(verbose, "-v,--verbose", "print requests, redirects and statuses on stderr"),
    SWITCH_FLAG(trace_http, "--trace-http", "like -v, with all headers; secrets are masked"),
    SWITCH_FLAG(dry_run, "--dry-run", "print what would be sent, but send nothing"),
    LIST_FLAG(file, "-f,--from-file,--file", "FILE", "the spec, or - for standard input; repeat it to start several ETLs", files),
    TEXT_FLAG(name, "--name", "NAME", "the ETL's name", nullptr),
    TEXT_FLAG(communication, "--comm-type", "TYPE", communication_help.data(), nullptr),
    TEXT_FLAG(init_timeout, "--init-timeout", "DURATION", "how long pods may take to become Ready; overrides the spec", nullptr),
    TEXT_FLAG(obj_timeout, "--object-timeout", "DURATION", "how long a transform may go without progress; overrides the spec", nullptr),
    TEXT_FLAG(args, "--args", "TEXT", "an argument for the transform (etl_args)", nullptr),
    TEXT_FLAG(
        range, "--range", "FIRST-LAST", "only bytes FIRST to LAST, counted from 0; FIRST-: to the end; -COUNT: the last COUNT", nullptr),
    TEXT_FLAG(prefix, "--prefix", "TEXT", "only names that begin with this", nullptr),
    TEXT_FLAG(limit, "--limit", "N", "at most this many", nullptr),
    TEXT_FLAG(tail, "--tail", "N", "only the last N lines of each pod", nullptr),
    TEXT_FLAG(rate, "--rate", "BYTES", "read at most this much a second on each target (50MiB; the default)", nullptr),
    TEXT_FLAG(prepend, "--prepend", "TEXT", "put this in front of each name at the destination", nullptr),
    LIST_FLAG(extension, "--ext", "FORMER=NEW", "change this extension of names at the destination; repeat it for several", extensions),
    TEXT_FLAG(pattern, "--template", "TEXT", "only the names that it spells: shard-{0001..0100}.tar", nullptr),
    TEXT_FLAG(num_workers, "--num-workers", "N", "how many objects at a time (of a job: on each target)", nullptr),
    SWITCH_FLAG(force, "--force", "also objects whose result is there already"),
    SWITCH_FLAG(wait, "--wait", "wait until the job has ended"),
    SWITCH_FLAG(yes, "-y,--yes", "do not ask for confirmation"),
    SWITCH_FLAG(exist_ok, "--exist-ok", "do not fail if the bucket exists"),
    SWITCH_FLAG(ignore_not_found, "--ignore-not-found", "do not fail if it does not exist"),
    SWITCH_FLAG(null_separated, "-0,--null", "with -o name: end each name with a NUL byte, not a newline"),
    SWITCH_FLAG(client, "--client", "print only this program's version; do not contact the server"),
    TEXT_FLAG(secret_file, "--cluster-secret-file", "FILE", "the secret that the cluster's nodes share (default: where nodes look for it)",
        "ETLNODE_CLUSTER_SECRET_FILE"),
    LIST_FLAG(from, "--from", "URL", "a node that holds the cluster document; repeat it for several", from),
    LIST_FLAG(without, "--without", "TARGET", "go on without this target, which does not answer; repeat it for several", without),
    TEXT_FLAG(take, "--take", "WHICH", "if documents have diverged: the node whose document goes on", nullptr),
    SWITCH_FLAG(force_old, "--force-old", "restore although targets hold a newer document"),
    SWITCH_FLAG(take_found, "--give", "give these objects to the targets that own them"),
    SWITCH_FLAG(recursive, "-r,-R,--recursive", "a whole folder: all that is in it, at any depth"),
    LIST_FLAG(include, "--include", "PATTERN", "only names that match; repeat it for several", includes),
    LIST_FLAG(exclude, "--exclude", "PATTERN", "no names that match; repeat it for several", excludes),
    SWITCH_FLAG(skip_existing, "--skip-existing", "leave out what is there already, whatever its contents"),
    SWITCH_FLAG(checksum, "--checksum", "leave out what is there already with the same contents"),
    SWITCH_FLAG(size_only, "--size-only", "what has the same size counts as the same; nothing is read to find out"),
    SWITCH_FLAG(goes_on, "--continue,--cont-on-err", "go on behind failures, and say at the end how many there were"),
    SWITCH_FLAG(append, "--append", "if there is a .tar of this name, append to it"),
    SWITCH_FLAG(deletes, "--delete", "remove what the source does not have"),
    TEXT_FLAG(failed_to, "--failed-to", "FILE", "write the names that failed to this file; implies --continue", nullptr),
    TEXT_FLAG(names_from, "--names-from", "FILE",
        "only the names in this file, one a line, as --failed-to writes them; - for standard input", nullptr),
    SWITCH_FLAG(watch, "-w,--watch", "show the list again every two seconds, until Ctrl-C"),
    SWITCH_FLAG(retry_failed, "--retry-failed", "begin a new job for what failed, and print its id"),
    SWITCH_FLAG(leave_damaged, "--leave-damaged", "do not wait for damaged objects: they move without their content, and cannot be read"),
};

static constexpr uint64_t reading = flag_bit(flag::no_headers);
static constexpr uint64_t listing = reading | flag_bit(flag::sort_by) | flag_bit(flag::null_separated);
static constexpr uint64_t watching = listing | flag_bit(flag::watch);
static constexpr uint64_t changing = flag_bit(flag::dry_run);
static constexpr uint64_t moving = flag_bit(flag::progress);
static constexpr uint64_t copying = flag_bit(flag::prefix) | flag_bit(flag::prepend) | flag_bit(flag::extension) | flag_bit(flag::pattern) |
                                    flag_bit(flag::num_workers) | flag_bit(flag::force) | flag_bit(flag::wait);

static constexpr uint64_t selecting = flag_bit(flag::include) | flag_bit(flag::exclude) | flag_bit(flag::num_workers) |
                                      flag_bit(flag::goes_on) | flag_bit(flag::failed_to) | flag_bit(flag::names_from);
static constexpr uint64_t skipping = flag_bit(flag::skip_existing) | flag_bit(flag::checksum) | flag_bit(flag::size_only);
static constexpr uint64_t foldering = selecting | flag_bit(flag::recursive) | changing | reading;

static constexpr word_row etl_word = {"ID", word_kind::etl, true, false};
static constexpr word_row job_word = {"ID", word_kind::job, true, false};
static constexpr word_row scope_word = {"BUCKET/PREFIX", word_kind::object_or_bucket, false, false};
static constexpr word_row object_word = {"BUCKET/OBJECT", word_kind::object, true, false};
static constexpr word_row out_word = {"OUT", word_kind::file, false, false};

static constexpr command_row commands[] = {
    {command::etl_init, "etl", "init", "", {{"SPEC", word_kind::file, false, false}},
        changing | flag_bit(flag::file) | flag_bit(flag::name) | flag_bit(flag::communication) | flag_bit(flag::init_timeout) |
            flag_bit(flag::obj_timeout),
        "Start an ETL from a spec, and print its id",
        "SPEC is a Kubernetes Pod (YAML or JSON), or an ETL with `runtime: {image, command}`. The command prints the id once\n"
        "every target serves the ETL. With --name, or with a runtime spec, it prints the ETL's name instead.\n"
        "--dry-run checks the spec as a node does and sends nothing. --dry-run=server lets a node check it without starting anything.\n",
        "  etlctl etl init -f spec.yaml\n  ID=$(etlctl transform init spec.yaml)\n"},
    {command::etl_ls, "etl", "ls", "list", {}, watching, "List ETLs", "", "  etlctl etl ls -o wide\n"},
    {command::etl_show, "etl", "show", "describe get info", {{"ID", word_kind::etl, false, false}}, watching,
        "Show an ETL: its stage, its spec, and objects that failed",
        "Without ID it lists all ETLs. With -o yaml or -o json, `spec` is the spec as submitted, and `manifest` of each target\n"
        "is the pod that the target creates from it, with everything that the node adds.\n",
        "  etlctl etl show JGHEoo89gg -o yaml\n"},
    {command::etl_logs, "etl", "logs", "log view-logs", {etl_word, {"TARGET", word_kind::target, false, false}},
        reading | flag_bit(flag::tail), "Print the logs of the ETL's pods",
        "If several targets have a pod, each line begins with the target's id.\n", "  etlctl etl logs JGHEoo89gg t1 --tail 20\n"},
    {command::etl_health, "etl", "health", "", {etl_word}, watching, "Show the state of the ETL's pods", "",
        "  etlctl etl health JGHEoo89gg\n"},
    {command::etl_errors, "etl", "errors", "failures view-errors", {etl_word}, listing, "List failed reads through the ETL",
        "It lists the last hundred errors of all targets, newest last, with object, status, request id and reason.\n"
        "Truncated reads are included.\n",
        "  etlctl etl errors JGHEoo89gg\n  etlctl etl errors JGHEoo89gg -o jsonl\n"},
    {command::etl_stop, "etl", "stop", "", {etl_word}, changing, "Stop an ETL and remove its pods",
        "An ETL with a name stays in the list and can be started again; `etl rm` removes it for good.\n", "  etlctl etl stop JGHEoo89gg\n"},
    {command::etl_start, "etl", "start", "", {etl_word}, changing, "Start a stopped ETL", "", "  etlctl etl start my-etl\n"},
    {command::etl_rm, "etl", "rm", "remove delete del", {etl_word}, changing | flag_bit(flag::ignore_not_found),
        "Stop an ETL and remove it from the list", "", "  etlctl etl rm my-etl\n"},
    {command::etl_object, "etl", "object", "", {etl_word, object_word, out_word},
        moving | foldering | flag_bit(flag::args) | flag_bit(flag::range) | flag_bit(flag::prefix) | flag_bit(flag::skip_existing),
        "Read an object, or a whole folder, through an ETL",
        "OUT is a file, a directory, or - for standard output (the default).\n"
        "A truncated result is an error and leaves no file. With -r, `etl get` is another word for it: each object of BUCKET/PREFIX is "
        "read\n"
        "through the ETL into the folder OUT; `object get --help` says what the options do.\n"
        "'FIRST>>SECOND' (in quotes) goes through several ETLs, one after the other.\n",
        "  etlctl etl object JGHEoo89gg transform/shard.in -\n  etlctl etl object resize photos/cat.jpg cat.png --args 64x64\n"
        "  etlctl etl get -r resize photos/2026 ./small\n"
        "  etlctl etl object 'decode>>resize' photos/cat.heic cat.png\n"},
    {command::etl_bucket, "etl", "bucket", "",
        {etl_word, {"SRC[/PREFIX]", word_kind::object_or_bucket, true, false}, {"DST", word_kind::bucket, true, false}},
        changing | moving | copying | flag_bit(flag::args), "Transform a bucket into another one, and print the job's id",
        "Every target transforms the objects that it holds. A bucket DST that does not exist is made. What an earlier run made of the "
        "same\n"
        "object with the same ETL is skipped, so a repeated job does only what is missing. `job report ID` lists the objects that "
        "failed. 'FIRST>>SECOND' (in quotes) sends each object through several ETLs.\n",
        "  etlctl etl bucket resize photos thumbs --ext jpg=webp --wait\n  etlctl etl bucket JGHEoo89gg shards/train- out --num-workers "
        "4\n"},

    {command::object_get, "object", "get", "read cat download", {object_word, out_word},
        moving | foldering | skipping | flag_bit(flag::range) | flag_bit(flag::prefix), "Read an object, or a whole folder",
        "OUT is a file, a directory, or - for standard output (the default). On a terminal, binary data needs an explicit -.\n"
        "Called as `ais`, it writes a file with the object's name if OUT is missing. The checksum of a whole object is verified.\n"
        "A truncated read is an error and leaves no file. `--range 0-99` reads the first 100 bytes, because LAST is included.\n"
        "With -r, or with a pattern in quotes, OUT is a folder, and is made if it does not exist: BUCKET/PREFIX means the objects below\n"
        "`PREFIX/`, and each becomes a file below OUT. A name that cannot be a path there, or would leave OUT, fails.\n"
        "Patterns: * and ? stop at a slash, ** does not, [a-z] is one of a set. One without a slash is compared with the last part of a "
        "name.\n"
        "To keep what an ETL makes of a whole bucket: `etl bucket`; of one object: PUT with object_to= (see docs/PROTOCOL.md).\n",
        "  etlctl object get transform/shard.in shard.in\n  etlctl get transform/shard.in - --range 0-99\n"
        "  etlctl get -r photos/2026 ./photos --exclude '*.tmp'\n  etlctl get 'shards/train-*.tar' ./shards --skip-existing\n"},
    {command::object_put, "object", "put", "write upload",
        {{"FILE", word_kind::file, true, true}, {"BUCKET/OBJECT", word_kind::object_or_bucket, true, false}}, moving | foldering | skipping,
        "Store an object, several files, or a whole folder",
        "FILE is a file, or - for standard input. Without OBJECT, the object gets the file's name.\n"
        "With -r, FILE is a folder: each file in it becomes the object BUCKET/PREFIX/NAME, where NAME is its path below the folder. "
        "Several\n"
        "files become objects below BUCKET/PREFIX, too. Symbolic links are followed; pipes, sockets and devices are left out; empty "
        "folders\n"
        "have no object. It stops at the first failure, unless --continue is given; then the exit code is 8.\n"
        "Uploads are stored as they are. To keep what an ETL makes of a stored object, send PUT with object_to=: see docs/PROTOCOL.md.\n",
        "  echo \"some text :)\" | etlctl put - transform/shard.in\n  etlctl object put cat.jpg photos\n"
        "  etlctl put -r ./photos photos/2026 --include '*.jpg'\n  etlctl put -r ./data b --continue --failed-to failed.txt\n"},
    {command::object_ls, "object", "ls", "list", {{"BUCKET", word_kind::object_or_bucket, true, false}},
        watching | flag_bit(flag::prefix) | flag_bit(flag::limit), "List the objects of a bucket",
        "BUCKET/PREFIX means the same as BUCKET --prefix PREFIX: names that begin with it. BUCKET/PATTERN, in quotes, means those that "
        "match.\n",
        "  etlctl object ls transform --prefix shard --limit 10\n  etlctl ls transform -o name\n  etlctl ls 'shards/train-*.tar'\n"},
    {command::object_head, "object", "head", "show describe info stat", {object_word}, reading,
        "Show an object's size, checksum, version and times", "", "  etlctl object head transform/shard.in -o json\n"},
    {command::object_rm, "object", "rm", "remove delete del", {{"BUCKET/OBJECT", word_kind::object, true, true}},
        changing | moving | foldering | flag_bit(flag::prefix) | flag_bit(flag::yes) | flag_bit(flag::ignore_not_found), "Remove objects",
        "With -r, BUCKET/PREFIX means all objects below `PREFIX/`; a pattern in quotes means those that match. Then the command asks, "
        "unless\n"
        "--yes is given. An object whose own name has the characters of a pattern is meant itself.\n",
        "  etlctl object rm transform/a transform/b\n  etlctl rm -r photos/2025 --dry-run\n  etlctl rm 'photos/2026/*.tmp' --yes\n"},
    {command::object_cp, "object", "cp", "copy",
        {{"BUCKET/OBJECT", word_kind::object, true, false}, {"DST", word_kind::object_or_bucket, true, false}}, moving | foldering,
        "Copy an object, or a whole folder, inside the cluster",
        "DST is BUCKET/OBJECT; if it is a bucket or ends with a slash, the copy keeps the object's own name there. With -r, or with a "
        "pattern\n"
        "in quotes, each object below `PREFIX/` is copied below DST. To copy a bucket by a job that outlives this command: `bucket cp`.\n",
        "  etlctl cp photos/cat.jpg backup\n  etlctl cp -r photos/2025 archive/photos/2025\n"},

    {command::bucket_create, "bucket", "create", "make", {{"BUCKET", word_kind::none, true, true}}, changing | flag_bit(flag::exist_ok),
        "Create buckets", "", "  etlctl bucket create transform\n  etlctl create bucket transform\n"},
    {command::bucket_ls, "bucket", "ls", "list", {}, watching, "List buckets", "", "  etlctl bucket ls\n  etlctl ls -o json\n"},
    {command::bucket_rm, "bucket", "rm", "remove delete del destroy", {{"BUCKET", word_kind::bucket, true, false}},
        changing | flag_bit(flag::yes) | flag_bit(flag::ignore_not_found), "Remove a bucket and all its objects",
        "If the bucket holds objects, the command asks first, unless --yes is given.\n", "  etlctl bucket rm transform --yes\n"},
    {command::bucket_cp, "bucket", "cp", "copy",
        {{"SRC[/PREFIX]", word_kind::object_or_bucket, true, false}, {"DST", word_kind::bucket, true, false}}, changing | moving | copying,
        "Copy a bucket into another one, and print the job's id",
        "A bucket DST that does not exist is made. What has been copied already and has not changed is skipped.\n",
        "  etlctl bucket cp photos backup --wait\n  etlctl bucket cp shards out --template 'train-{000..099}.tar' --prepend old/\n"},
    {command::bucket_mv, "bucket", "mv", "move rename", {{"SRC", word_kind::bucket, true, false}, {"DST", word_kind::none, true, false}},
        changing | moving | flag_bit(flag::wait), "Give a bucket another name, and print the job's id",
        "DST must not exist. A job copies everything and then removes SRC. Until it is over, read SRC: it is whole, and DST is not.\n"
        "Neither of them takes writes or deletes meanwhile.\n",
        "  etlctl bucket mv photos pictures --wait\n"},
    {command::bucket_archive, "bucket", "archive", "",
        {{"SRC", word_kind::bucket, true, false}, {"BUCKET/ARCHIVE", word_kind::object, true, false}},
        changing | moving | flag_bit(flag::pattern) | flag_bit(flag::append) | flag_bit(flag::goes_on) | flag_bit(flag::wait),
        "Make an archive of objects of a bucket, and print the job's id",
        "ARCHIVE ends with .tar, .tgz, .tar.gz, .tar.lz4 or .zip. It has the objects in the order of the template, and appears when it is "
        "done.\n"
        "With --continue, objects that cannot be read are left out.\n",
        "  etlctl bucket archive photos shards/train-000.tar --template 'train-{000..099}.jpg' --wait\n"},

    {command::target_ls, "target", "ls", "list show", {}, watching, "List the targets", "", "  etlctl target ls\n"},
    {command::target_drain, "target", "drain", "start-maintenance", {{"TARGET", word_kind::target, true, false}},
        changing | flag_bit(flag::leave_damaged), "Move a target's objects to the others",
        "The target stays in the cluster without objects, until it is activated or removed. Reads and writes go on meanwhile.\n"
        "The command prints the id of the rebalance; `job wait` waits for it. The rebalance waits until damaged objects are stored again\n"
        "or deleted; with --leave-damaged, also given later, it does not. What is left of them is kept in the target's data directory.\n",
        "  etlctl target drain t1a2b3c4d\n  etlctl job wait \"$(etlctl target drain t1a2b3c4d)\"\n"},
    {command::target_activate, "target", "activate", "stop-maintenance undrain", {{"TARGET", word_kind::target, true, false}}, changing,
        "Let a drained target take objects again", "The command prints the id of the rebalance.\n", "  etlctl target activate t1a2b3c4d\n"},
    {command::target_rm, "target", "rm", "remove decommission", {{"TARGET", word_kind::target, true, false}},
        changing | flag_bit(flag::yes), "Remove a target",
        "A target that lives must be drained first. When it is in maintenance, it leaves: stop it, and it is forgotten.\n"
        "A target that will not come back must have been silent for 70 seconds. Objects that only it holds are lost, unless it returns\n"
        "with its data. The command prints how many objects it held at its last heartbeat, and asks unless --yes is given.\n",
        "  etlctl target rm t1a2b3c4d --dry-run\n  etlctl target rm t1a2b3c4d --yes\n"},
    {command::target_replace, "target", "replace", "", {{"TARGET", word_kind::target, true, false}}, changing | flag_bit(flag::yes),
        "Give up a target's lost data directory",
        "Start the target with an empty directory and its former id; it is refused, because its objects are missing. This command accepts\n"
        "the new directory and gives up what only the former one held.\n",
        "  etlctl target replace t1a2b3c4d\n"},
    {command::target_forget, "target", "forget", "", {{"TARGET", word_kind::target, true, false}}, changing | flag_bit(flag::yes),
        "Forget a lost target that will not come back",
        "What only it held is given up for good. If it returns, it is refused until its data directory is emptied.\n",
        "  etlctl target forget t1a2b3c4d\n"},
    {command::target_found, "target", "found", "", {{"TARGET", word_kind::target, true, false}},
        listing | changing | flag_bit(flag::yes) | flag_bit(flag::take_found),
        "List objects of a target that belong to other targets, or give them away",
        "While nothing moves there are none. If there are, `cluster health` says so. They "
        "are\n"
        "kept, and not served. --give sends each to its owner, unless that has the same or a newer version. Objects that were deleted\n"
        "meanwhile come back, so the command asks.\n",
        "  etlctl target found t1a2b3c4d\n  etlctl target found t1a2b3c4d --give\n"},
    {command::cluster_show, "cluster", "show", "ls list", {}, watching, "Show the cluster's nodes", "", "  etlctl cluster show\n"},
    {command::cluster_health, "cluster", "health", "", {}, listing, "Ask every node whether it is well",
        "The exit code is 6 if a node is not well.\n", "  etlctl cluster health --timeout 2s\n"},

    {command::cluster_recover, "cluster", "recover", "", {},
        changing | flag_bit(flag::yes) | flag_bit(flag::from) | flag_bit(flag::without) | flag_bit(flag::take) |
            flag_bit(flag::secret_file),
        "Give the proxy the cluster document that the targets hold",
        "For a proxy that has lost its data directory, whose directory is an old copy, or whose document has diverged.\n"
        "The command shows the documents that it finds, and asks before the proxy takes one. Objects are not touched.\n"
        "--from names one of the targets; without it, those that try to register are asked. All targets that the document names must\n"
        "answer, except those given by --without. If documents have diverged, --take chooses the node whose document goes on.\n",
        "  etlctl cluster recover --from http://10.0.0.11:8081\n  etlctl cluster recover --take t1a2b3c4d --yes\n"},
    {command::cluster_backup, "cluster", "backup", "", {{"FILE", word_kind::file, false, false}}, flag_bit(flag::secret_file),
        "Write the cluster document to a file",
        "The file has the nodes, the buckets, and the ETLs with their secrets; its mode is 0600. It has no objects.\n"
        "FILE, or -o FILE, is a file, or - for standard output.\n",
        "  etlctl cluster backup -o cluster.json\n"},
    {command::cluster_restore, "cluster", "restore", "", {{"FILE", word_kind::file, true, false}},
        changing | flag_bit(flag::yes) | flag_bit(flag::force_old) | flag_bit(flag::take) | flag_bit(flag::secret_file),
        "Give the proxy a cluster document from a backup",
        "This is refused if a target holds a newer document: etlctl cluster recover then loses nothing. With --force-old, the backup's "
        "ETLs\n"
        "replace those of the newest document, and buckets that are missing come back. No objects are deleted, unless a bucket was\n"
        "destroyed and made again after the backup; --take newest or --take backup then says which of the two goes on.\n",
        "  etlctl cluster restore cluster.json\n"},
    {command::df, "", "df", "", {}, watching, "Show how full the targets' disks are",
        "OBJECTS and BYTES are what the target holds; SIZE, USED and FREE are of the file system of its data directory, whoever uses it.\n"
        "In the total, a disk that several targets share counts once. From LIMIT (etlnode --out-of-space) a target refuses writes.\n",
        "  etlctl df\n  etlctl df -o json\n"},
    {command::du, "", "du", "", {{"BUCKET[/PREFIX]", word_kind::object_or_bucket, true, true}}, listing,
        "Show how many objects and bytes a bucket has, or those whose names start with PREFIX",
        "For a whole bucket the targets know the sums; for a prefix they go through its names.\n"
        "If a target cannot be heard, the command fails, because the sums would be too small.\n",
        "  etlctl du transform\n  etlctl du transform/2026/ transform/2025/\n"},

    {command::job_ls, "job", "ls", "list", {}, watching, "List jobs, also those that have ended",
        "A job that has ended is listed for seven days, and at most the last hundred are.\n", "  etlctl job ls -o wide\n"},
    {command::job_show, "job", "show", "describe get info status", {job_word}, reading | flag_bit(flag::watch),
        "Show a job, and each target's share of it", "", "  etlctl job show bqvIEUAyI\n"},
    {command::job_watch, "job", "watch", "follow", {job_word}, moving, "Show the progress of a job until it ends",
        "Ctrl-C leaves the job running. The exit status is that of `job wait`.\n", "  etlctl job watch bqvIEUAyI\n"},
    {command::job_wait, "job", "wait", "", {job_word}, moving, "Wait until a job has ended",
        "It exits with 0 if nothing failed, 8 if objects failed, 1 if the job was cancelled, 7 if --timeout passes first.\n"
        "Ctrl-C leaves the job running, and says how to return.\n",
        "  etlctl job wait bqvIEUAyI --timeout 10m\n"},
    {command::job_cancel, "job", "cancel", "stop abort", {job_word}, changing, "End a job before it is done",
        "What it has done stays done.\n", "  etlctl job cancel bqvIEUAyI\n"},
    {command::job_report, "job", "report", "errors failures", {job_word},
        listing | moving | changing | flag_bit(flag::retry_failed) | flag_bit(flag::wait),
        "List every object that failed in a job, and why",
        "With --retry-failed it begins a new job for these objects, with the options of the former one, and prints its id.\n",
        "  etlctl job report bqvIEUAyI\n  etlctl job report bqvIEUAyI -o name\n  etlctl job report bqvIEUAyI --retry-failed --wait\n"},
    {command::job_download, "job", "download", "fetch",
        {{"LINK", word_kind::none, true, false}, {"BUCKET[/NAME]", word_kind::object_or_bucket, true, false}},
        changing | moving | flag_bit(flag::num_workers) | flag_bit(flag::wait),
        "Let the targets download from the web, and print the job's id",
        "LINK begins with http:// or https://. With ranges, as in https://example.org/train-{000..099}.tar, it spells many links; put it "
        "in\n"
        "quotes because of the shell. Without NAME an object is called like the last part of its link. A NAME that ends with / is a "
        "folder\n"
        "for it. What was downloaded from the same link before is skipped. From where targets may download, each of them decides\n"
        "(etlnode --download-from).\n",
        "  etlctl job download https://example.org/train-000.tar photos --wait\n"
        "  etlctl job download 'https://example.org/train-{000..099}.tar' photos/train/ --wait\n"},
    {command::job_start, "job", "start", "", {{"KIND", word_kind::job_kind, true, false}, scope_word},
        changing | moving | flag_bit(flag::prefix) | flag_bit(flag::rate) | flag_bit(flag::wait), "Start a job, and print its id",
        "KIND is scrub, or rebalance, which lets a rebalance go on that `job cancel` has paused.\n", "  etlctl job start scrub photos\n"},
    {command::scrub, "", "scrub", "", {scope_word},
        changing | moving | flag_bit(flag::prefix) | flag_bit(flag::rate) | flag_bit(flag::wait),
        "Read every object and compare it with its checksums",
        "It starts a job and prints its id. Without an argument all buckets are read. Nothing is changed: `job report ID` lists what\n"
        "is damaged. While clients are served, a target reads at a quarter of the rate.\n",
        "  etlctl scrub --wait\n  etlctl scrub photos/2026 --rate 200MiB\n"},
    {command::sync, "", "sync", "", {{"SRC", word_kind::folder, true, false}, {"DST", word_kind::folder, true, false}},
        moving | (foldering & ~flag_bit(flag::recursive) & ~flag_bit(flag::names_from)) | skipping | flag_bit(flag::deletes) |
            flag_bit(flag::yes),
        "Make a bucket, or a folder of it, like a folder of this machine, or the other way round",
        "One of SRC and DST is BUCKET/PREFIX, the other a folder. If it is not clear which is which, write ais://BUCKET/PREFIX or "
        "./FOLDER.\n"
        "What is there with the same contents is left alone: sizes are compared first, then checksums, for which the file is read. With\n"
        "--size-only it is not. --delete removes what SRC does not have; what a filter leaves out stays. If SRC has no files at all, "
        "--delete\n"
        "needs --yes. Nothing is removed below a folder that could not be read.\n",
        "  etlctl sync ./photos ais://photos/2026 --dry-run\n  etlctl sync ais://photos ./photos --delete\n"},
    {command::version, "", "version", "", {}, reading | flag_bit(flag::client), "Show the version of this program and of the server", "",
        "  etlctl version --client -o json\n"},
    {command::help, "", "help", "", {{"TOPIC", word_kind::topic, false, true}}, 0, "Explain a command, or a topic: exit-codes, environment",
        "", "  etlctl help etl object\n  etlctl help exit-codes\n"},
    {command::completion, "", "completion", "", {{"SHELL", word_kind::shell, true, false}}, 0, "Print the completion script of bash or zsh",
        "In bash: source <(etlctl completion bash). In zsh: the same with zsh, after compinit.\n",
        "  etlctl completion bash > ~/.local/share/bash-completion/completions/etlctl\n"},
};

std::span<const flag_row> grammar_flags() { return flags; }
std::span<const command_row> grammar_commands() { return commands; }

} // namespace etlnode::etlctl
