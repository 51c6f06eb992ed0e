// SPDX-License-Identifier: MIT
// role/target/routes.cc: the files whose routes targets serve, to clients and nodes on one listener, to pods on another. Each has its rows
// beside their handlers.
//
// Known by  target.cc.
#include "role/target/target.h"

namespace etlnode {

extern const std::span<const route> target_health_routes, target_object_routes, target_pod_object_routes, target_node_routes,
    target_held_routes, target_list_routes;

route_table target_routes()
{
    return route_table_make({target_health_routes, target_object_routes, target_node_routes, target_held_routes, target_list_routes});
}

route_table target_pod_routes() { return route_table_make({target_pod_object_routes}); }

} // namespace etlnode
