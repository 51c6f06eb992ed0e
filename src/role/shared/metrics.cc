// SPDX-License-Identifier: MIT
// role/shared/metrics.cc: histogram and Prometheus text (exposition format 0.0.4); pure.
//
// Known by  metrics_page.cc.
#include "role/shared/metrics.h"

#include "base/text.h"

namespace etlnode {

void latency_add(latency_histogram &h, uint64_t ms)
{
    size_t i = 0;
    while (i < metric_latency_bounds_ms.size() && ms > metric_latency_bounds_ms[i])
        i++;
    h.count[i]++;
    h.sum_ms += ms;
    h.total++;
}

void metrics_label(std::string &labels, const char *key, std::string_view value)
{
    if (!labels.empty())
        labels += ',';
    labels += key;
    labels += "=\"";
    for (char c : value) {
        if (c == '\\' || c == '"')
            labels += '\\';
        if (c == '\n')
            labels += "\\n";
        else
            labels += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
    labels += '"';
}

// Integers in full, other numbers with the precision of a double.
static std::string number(double value)
{
    if (value >= 0 && value < 9007199254740992.0 && value == static_cast<double>(static_cast<uint64_t>(value)))
        return text_format("%llu", static_cast<unsigned long long>(value));
    return text_format("%.9g", value);
}

static void add_head(metrics_text &text, const char *name, const char *type, const char *help)
{
    if (text.last_name == name)
        return;
    text.last_name = name;
    text.out += text_format("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_sample(metrics_text &text, const std::string &name, const std::string &labels, const std::string &value)
{
    text.out += name;
    if (!labels.empty())
        text.out += "{" + labels + "}";
    text.out += " " + value + "\n";
}

void metrics_add(metrics_text &text, const char *name, const char *type, const char *help, const std::string &labels, double value)
{
    add_head(text, name, type, help);
    add_sample(text, name, labels, number(value));
}

void metrics_add_histogram(metrics_text &text, const char *name, const char *help, const std::string &labels, const latency_histogram &h)
{
    add_head(text, name, "histogram", help);
    std::string base = name;
    uint64_t below = 0;
    for (size_t i = 0; i < h.count.size(); i++) {
        below += h.count[i];
        std::string with_bound = labels;
        std::string bound = "+Inf";
        if (i < metric_latency_bounds_ms.size())
            bound = number(static_cast<double>(metric_latency_bounds_ms[i]) / 1000.0);
        metrics_label(with_bound, "le", bound);
        add_sample(text, base + "_bucket", with_bound, number(static_cast<double>(below)));
    }
    add_sample(text, base + "_sum", labels, number(static_cast<double>(h.sum_ms) / 1000.0));
    add_sample(text, base + "_count", labels, number(static_cast<double>(h.total)));
}

} // namespace etlnode
