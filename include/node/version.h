// SPDX-License-Identifier: MIT
// node/version.h: what this build calls itself.
#pragma once

#define NODE_VERSION "0.1.0"

// What GET /v1/health and the cluster map report as `ais_version`: AIStore's CLI warns when major.minor differs from its own.
#define NODE_AIS_VERSION "5.0.0"
