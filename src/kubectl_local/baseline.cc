// SPDX-License-Identifier: MIT
// kubectl_local/baseline.cc: the Pod Security standard "baseline", as the API server enforces it in a namespace that has its label.
//
// There is one function for each control of https://kubernetes.io/docs/concepts/security/pod-security-standards/ . The API server reports
// them in the order of their identifiers. Unlike in Kubernetes, the owner of the machine can permit two of them (allow.h).
#include "kubectl_local/baseline.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <vector>

#include "base/text.h"

namespace etlnode::kubectl_local {

struct check {
    const cJSON *pod;
    const cJSON *spec;
    const allow_list &allowed;
    std::vector<const cJSON *> containers; // in the order of Kubernetes: init containers first
    std::vector<std::string> violations;
    std::vector<std::string> flags; // flags that would allow the violations
    bool is_beyond_flags = false;   // some violations cannot be allowed
};

static const cJSON *field(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }
static std::string text_at(const cJSON *object, const char *key) { return text_escape(std::string(json_text(object, key)), 200); }
static const cJSON *context_of(const cJSON *item) { return field(item, "securityContext"); }

static std::string quoted(const std::vector<std::string> &list)
{
    std::string out;
    for (const std::string &one : list)
        out += (out.empty() ? "\"" : ", \"") + one + "\"";
    return out;
}

static std::string joined(const std::vector<std::string> &list)
{
    std::string out;
    for (const std::string &one : list)
        out += (out.empty() ? "" : ", ") + one;
    return out;
}

static std::string counted(const char *one, const char *many, const std::vector<std::string> &names)
{
    return (names.size() == 1 ? one : many) + (" " + quoted(names));
}

static void violate(check &j, const std::string &reason, const std::string &detail)
{
    j.violations.push_back(reason + " (" + detail + ")");
    j.is_beyond_flags = true;
}

// A violation that the owner can allow with `flag`.
static void violate_unless(check &j, const std::string &reason, const std::string &detail, const std::string &flag)
{
    j.violations.push_back(reason + " (" + detail + ")");
    j.flags.push_back(flag);
}

template <typename F> static std::vector<std::string> names_where(const check &j, F matches)
{
    std::vector<std::string> names;
    for (const cJSON *container : j.containers)
        if (matches(container))
            names.push_back(text_at(container, "name"));
    return names;
}

static void check_app_armor(check &j)
{
    std::vector<std::string> wrong;
    auto is_forbidden = [](const cJSON *item) {
        std::string type = text_at(field(context_of(item), "appArmorProfile"), "type");
        return !type.empty() && type != "RuntimeDefault" && type != "Localhost";
    };
    if (is_forbidden(j.spec))
        wrong.push_back(
            "pod must not set AppArmor profile type to \"" + text_at(field(context_of(j.spec), "appArmorProfile"), "type") + "\"");
    for (const cJSON *container : j.containers)
        if (is_forbidden(container))
            wrong.push_back(text_format("container \"%s\" must not set AppArmor profile type to \"%s\"", text_at(container, "name").c_str(),
                text_at(field(context_of(container), "appArmorProfile"), "type").c_str()));
    const cJSON *annotation;
    cJSON_ArrayForEach(annotation, field(field(j.pod, "metadata"), "annotations"))
    {
        std::string_view key = annotation->string;
        std::string_view value = cJSON_IsString(annotation) ? annotation->valuestring : "";
        if (key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !value.empty() && value != "runtime/default" &&
            !value.starts_with("localhost/"))
            wrong.push_back(text_escape(key, 200) + "=\"" + text_escape(value, 200) + "\"");
    }
    if (!wrong.empty())
        violate(j, wrong.size() == 1 ? "forbidden AppArmor profile" : "forbidden AppArmor profiles", joined(wrong));
}

static void check_capabilities(check &j)
{
    static constexpr std::string_view allowed[] = {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
        "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"};
    std::set<std::string> wrong;
    std::vector<std::string> names = names_where(j, [&](const cJSON *container) {
        bool found = false;
        const cJSON *one;
        cJSON_ArrayForEach(one, field(field(context_of(container), "capabilities"), "add"))
        {
            std::string_view name = cJSON_IsString(one) ? one->valuestring : "";
            if (std::find(std::begin(allowed), std::end(allowed), name) == std::end(allowed)) {
                wrong.insert(text_escape(name, 80));
                found = true;
            }
        }
        return found;
    });
    if (!names.empty())
        violate(j, "non-default capabilities",
            counted("container", "containers", names) + " must not include " + quoted({wrong.begin(), wrong.end()}) +
                " in securityContext.capabilities.add");
}

static void check_host_namespaces(check &j)
{
    std::vector<std::string> wrong;
    bool network = cJSON_IsTrue(field(j.spec, "hostNetwork"));
    if (network && !j.allowed.host_network)
        wrong.push_back("hostNetwork=true");
    bool more = false;
    for (const char *key : {"hostPID", "hostIPC"})
        if (cJSON_IsTrue(field(j.spec, key))) {
            wrong.push_back(std::string(key) + "=true");
            more = true;
        }
    if (more)
        violate(j, "host namespaces", joined(wrong));
    else if (!wrong.empty())
        violate_unless(j, "host namespaces", joined(wrong), "--allow-host-network");
}

// Whether some container mounts the volume writable.
static bool is_written(const check &j, const std::string &volume)
{
    for (const cJSON *container : j.containers) {
        const cJSON *mount;
        cJSON_ArrayForEach(mount, field(container, "volumeMounts")) if (json_text(mount, "name") == volume &&
                                                                        !cJSON_IsTrue(field(mount, "readOnly"))) return true;
    }
    return false;
}

static void check_host_paths(check &j)
{
    std::vector<std::string> wrong;
    std::vector<std::string> flags;
    const cJSON *volume;
    cJSON_ArrayForEach(volume, field(j.spec, "volumes"))
    {
        const cJSON *host = field(volume, "hostPath");
        if (host == nullptr || cJSON_IsNull(host))
            continue;
        std::string path;
        bool is_path = allow_normalize(std::string(json_text(host, "path")), path);
        const allow_path *entry = is_path ? allow_find(j.allowed, path) : nullptr;
        bool writes = is_written(j, std::string(json_text(volume, "name")));
        if (entry != nullptr && (entry->writable || !writes))
            continue;
        wrong.push_back(text_at(volume, "name"));
        if (is_path)
            flags.push_back("--allow-host-path " + text_escape(path, 400) + (writes ? ":rw" : ""));
    }
    if (wrong.empty())
        return;
    if (flags.size() < wrong.size())
        violate(j, "hostPath volumes", counted("volume", "volumes", wrong));
    else {
        std::string all;
        for (const std::string &flag : flags)
            all += (all.empty() ? "" : " ") + flag;
        violate_unless(j, "hostPath volumes", counted("volume", "volumes", wrong), all);
    }
}

static void check_host_ports(check &j)
{
    std::set<uint64_t> ports;
    std::vector<std::string> names = names_where(j, [&](const cJSON *container) {
        bool found = false;
        const cJSON *port;
        cJSON_ArrayForEach(port, field(container, "ports"))
        {
            uint64_t number = json_u64(port, "hostPort", 0);
            if (number == 0)
                continue;
            ports.insert(number);
            found = true;
        }
        return found;
    });
    if (names.empty())
        return;
    std::vector<std::string> texts;
    for (uint64_t port : ports)
        texts.push_back(std::to_string(port));
    violate(j, "hostPort",
        counted("container", "containers", names) + (names.size() == 1 ? " uses " : " use ") +
            (texts.size() == 1 ? "hostPort " : "hostPorts ") + joined(texts));
}

// New in Kubernetes 1.34: a host in a probe could direct the prober to any address.
static void check_probe_hosts(check &j)
{
    std::set<std::string> hosts;
    std::vector<std::string> names = names_where(j, [&](const cJSON *container) {
        bool found = false;
        const cJSON *lifecycle = field(container, "lifecycle");
        for (const cJSON *handler : {field(container, "livenessProbe"), field(container, "readinessProbe"),
                 field(container, "startupProbe"), field(lifecycle, "postStart"), field(lifecycle, "preStop")})
            for (const char *kind : {"httpGet", "tcpSocket"}) {
                std::string host = text_at(field(handler, kind), "host");
                if (host.empty())
                    continue;
                hosts.insert(host);
                found = true;
            }
        return found;
    });
    if (!names.empty())
        violate(j, "probe or lifecycle host",
            counted("container", "containers", names) + (names.size() == 1 ? " uses " : " use ") +
                counted("probe or lifecycle host", "probe or lifecycle hosts", {hosts.begin(), hosts.end()}));
}

static void check_privileged(check &j)
{
    std::vector<std::string> names = names_where(
        j, [](const cJSON *container) { return cJSON_IsTrue(field(context_of(container), "privileged")); });
    if (!names.empty())
        violate(j, "privileged", counted("container", "containers", names) + " must not set securityContext.privileged=true");
}

static void check_proc_mount(check &j)
{
    std::set<std::string> wrong;
    std::vector<std::string> names = names_where(j, [&](const cJSON *container) {
        std::string type = text_at(context_of(container), "procMount");
        if (type.empty() || type == "Default")
            return false;
        wrong.insert(type);
        return true;
    });
    if (!names.empty())
        violate(j, "procMount",
            counted("container", "containers", names) + " must not set securityContext.procMount to " +
                quoted({wrong.begin(), wrong.end()}));
}

// "pod and containers "a", "b"", or only one of the two.
static std::string subject_text(bool is_pod, const std::vector<std::string> &names)
{
    std::string subject = is_pod ? "pod" : "";
    return names.empty() ? subject : subject + (is_pod ? " and " : "") + counted("container", "containers", names);
}

static void check_selinux(check &j)
{
    static constexpr std::string_view allowed[] = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"};
    std::set<std::string> types;
    bool has_user = false;
    bool has_role = false;
    auto is_forbidden = [&](const cJSON *item) {
        const cJSON *options = field(context_of(item), "seLinuxOptions");
        std::string type = text_at(options, "type");
        bool bad_type = std::find(std::begin(allowed), std::end(allowed), type) == std::end(allowed);
        bool bad_user = !json_text(options, "user").empty();
        bool bad_role = !json_text(options, "role").empty();
        if (bad_type)
            types.insert(type);
        has_user = has_user || bad_user;
        has_role = has_role || bad_role;
        return bad_type || bad_user || bad_role;
    };
    bool pod = is_forbidden(j.spec);
    std::vector<std::string> names = names_where(j, is_forbidden);
    if (!pod && names.empty())
        return;
    std::vector<std::string> what;
    if (!types.empty())
        what.push_back(counted("type", "types", {types.begin(), types.end()}));
    if (has_user)
        what.push_back("user may not be set");
    if (has_role)
        what.push_back("role may not be set");
    std::string text;
    for (const std::string &one : what)
        text += (text.empty() ? "" : "; ") + one;
    violate(j, "seLinuxOptions", subject_text(pod, names) + " set forbidden securityContext.seLinuxOptions: " + text);
}

static void check_seccomp(check &j)
{
    auto is_forbidden = [](const cJSON *item) {
        std::string type = text_at(field(context_of(item), "seccompProfile"), "type");
        return !type.empty() && type != "RuntimeDefault" && type != "Localhost";
    };
    std::vector<std::string> names = names_where(j, is_forbidden);
    bool pod = is_forbidden(j.spec);
    if (!pod && names.empty())
        return;
    violate(j, "seccompProfile", subject_text(pod, names) + " must not set securityContext.seccompProfile.type to \"Unconfined\"");
}

static void check_sysctls(check &j)
{
    static constexpr std::string_view allowed[] = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem"};
    std::vector<std::string> wrong;
    const cJSON *one;
    cJSON_ArrayForEach(one, field(context_of(j.spec), "sysctls"))
    {
        std::string name = text_at(one, "name");
        if (std::find(std::begin(allowed), std::end(allowed), name) == std::end(allowed))
            wrong.push_back(name);
    }
    if (!wrong.empty())
        violate(j, "forbidden sysctls", joined(wrong));
}

static void check_windows(check &j)
{
    auto is_forbidden = [](const cJSON *item) {
        return cJSON_IsTrue(field(field(context_of(item), "windowsOptions"), "hostProcess")) != 0;
    };
    std::vector<std::string> names = names_where(j, is_forbidden);
    bool pod = is_forbidden(j.spec);
    if (!pod && names.empty())
        return;
    violate(j, "hostProcess", subject_text(pod, names) + " must not set securityContext.windowsOptions.hostProcess=true");
}

std::string baseline_violations(const cJSON *pod, const allow_list &allowed, std::string &out_hint)
{
    check j{pod, field(pod, "spec"), allowed, {}, {}, {}, false};
    out_hint.clear();
    for (const char *list : {"initContainers", "containers", "ephemeralContainers"}) {
        const cJSON *container;
        cJSON_ArrayForEach(container, field(j.spec, list)) j.containers.push_back(container);
    }
    for (auto *rule : {check_app_armor, check_capabilities, check_host_namespaces, check_host_paths, check_host_ports, check_probe_hosts,
             check_privileged, check_proc_mount, check_selinux, check_seccomp, check_sysctls, check_windows})
        rule(j);
    if (j.violations.empty())
        return "";
    if (!j.flags.empty() && !j.is_beyond_flags) {
        for (const std::string &flag : j.flags)
            out_hint += (out_hint.empty() ? "" : " ") + flag;
    }
    return "violates PodSecurity \"baseline:latest\": " + joined(j.violations);
}

} // namespace etlnode::kubectl_local
