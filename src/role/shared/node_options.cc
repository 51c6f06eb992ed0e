// SPDX-License-Identifier: MIT
// role/shared/node_options.cc: which options a node of either role accepts.
#include <utility>

#include "codec/url.h"
#include "role/shared/node.h"

namespace etlnode {

static error check_url(std::string &url, bool may_be_empty, const char *refusal)
{
    url_base base;
    if (!(may_be_empty && url.empty()) && !url_parse_base(url, base))
        return make_error(error_code::invalid_argument, refusal);
    while (url.ends_with("/"))
        url.pop_back();
    return no_error;
}

error node_options_check(const node_options &options, node_options &out)
{
    if (options.cluster_secret.empty()) // otherwise anyone who can reach this node could pose as one of its cluster
        return make_error(error_code::invalid_argument, "a node needs a cluster secret");
    node_options good = options;
    error err;
    if (good.is_target)
        err = check_url(good.proxy_url, false, "the proxy's URL must be http://host:port");
    if (!err)
        err = check_url(good.advertise_url, true, "the advertised URL must be http://host:port");
    if (!err && good.is_target)
        err = check_url(good.pod_url, true, "the URL for pods must be http://host:port");
    if (!err)
        out = std::move(good);
    return err;
}

} // namespace etlnode
