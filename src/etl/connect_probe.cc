// SPDX-License-Identifier: MIT
// etl/connect_probe.cc: one connect that only finds out whether a server answers.
//
// Owns     the connect.              Knows  port.            Known by  pod_machine, node_port_machine.
// Limits   none of its own: the machine's timer cancels it.
#include "etl/connect_probe.h"

#include "base/check.h"

namespace etlnode {

static void connect_ended(void *arg, error err, net_conn *conn)
{
    auto &probe = *static_cast<connect_probe *>(arg);
    probe.call = nullptr;
    if (conn != nullptr)
        net_close(*probe.e, conn);
    probe.on_end(probe.arg, !err);
}

bool connect_probe_start(connect_probe &probe, const std::string &host, uint16_t port)
{
    CHECK(probe.call == nullptr);
    probe.open = true;
    if (!net_connect(*probe.e, host.c_str(), port, connect_ended, &probe, &probe.call))
        return true;
    probe.call = nullptr;
    return false;
}

void connect_probe_cancel(connect_probe &probe)
{
    if (probe.call != nullptr)
        net_connect_cancel(*probe.e, probe.call);
    probe.call = nullptr;
    probe.open = false;
}

} // namespace etlnode
