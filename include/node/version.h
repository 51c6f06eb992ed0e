// SPDX-License-Identifier: MIT
// node/version.h: the version that this build reports.
#pragma once

#define NODE_VERSION "0.1.0"

// Reported as `ais_version` by GET /v1/health and the cluster map. AIStore's CLI warns if major.minor differs from its own.
#define NODE_AIS_VERSION "5.0.0"
