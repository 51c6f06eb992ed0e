// SPDX-License-Identifier: MIT
// kubectl_local/help.h: the help pages.
#pragma once

namespace etlnode::kubectl_local {

extern const char *const help_main;
extern const char *const help_create;
extern const char *const help_get;
extern const char *const help_delete;
extern const char *const help_logs;
extern const char *const help_wait;
extern const char *const help_describe;
extern const char *const help_version;
extern const char *const help_image;

} // namespace etlnode::kubectl_local
