// SPDX-License-Identifier: MIT
// role/target/routes.cc: the lists of routes that targets serve: one listener for clients and nodes, another for pods.
//
// Known by  target.cc.
#include "role/target/target.h"

namespace etlnode {

extern const std::span<const route> target_health_routes, target_object_routes, target_pod_object_routes, target_node_routes,
    target_held_routes, target_list_routes, target_job_routes, target_job_copy_routes, target_job_follow_routes, target_usage_routes,
    target_move_routes, target_found_routes, target_batch_routes, target_share_routes, target_promote_routes;

route_table target_routes()
{
    return route_table_make({target_health_routes, target_object_routes, target_node_routes, target_held_routes, target_list_routes,
        target_job_routes, target_job_copy_routes, target_job_follow_routes, target_usage_routes, target_move_routes, target_found_routes,
        target_batch_routes, target_share_routes, target_promote_routes});
}

route_table target_pod_routes() { return route_table_make({target_pod_object_routes}); }

} // namespace etlnode
