// SPDX-License-Identifier: MIT
// role/proxy/routes.cc: the lists of routes that the proxy serves. The rows are beside their handlers.
//
// Known by  proxy.cc.
#include "role/proxy/proxy.h"

namespace etlnode {

extern const std::span<const route> proxy_health_routes, proxy_cluster_routes, proxy_membership_routes, proxy_recover_routes,
    proxy_backup_routes, proxy_register_routes, proxy_bucket_routes, proxy_object_routes, proxy_etl_start_routes, proxy_etl_routes,
    proxy_etl_error_routes, proxy_found_routes, proxy_job_routes, proxy_reverse_routes, proxy_names_routes, proxy_not_implemented_routes,
    proxy_batch_routes, proxy_archive_job_routes, proxy_download_routes, proxy_promote_routes;

route_table proxy_routes()
{
    return route_table_make({proxy_health_routes, proxy_cluster_routes, proxy_membership_routes, proxy_recover_routes, proxy_backup_routes,
        proxy_register_routes, proxy_bucket_routes, proxy_object_routes, proxy_etl_start_routes, proxy_etl_routes, proxy_etl_error_routes,
        proxy_found_routes, proxy_job_routes, proxy_reverse_routes, proxy_names_routes, proxy_not_implemented_routes, proxy_batch_routes,
        proxy_archive_job_routes, proxy_download_routes, proxy_promote_routes});
}

} // namespace etlnode
