// SPDX-License-Identifier: MIT
// kube/pod_schema.h: the fields of a Pod in Kubernetes 1.33, with names and types, for code that judges or explains a spec.
//
// A type is "string", "bool", "int32", "int64", "quantity", "intOrString", "time", "any", the name of another row ("Container"), "[]" and a
// type, or "map " and the type of the values (keys are strings).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode {

// The version of Kubernetes that has these Pods; kubectl-local reports the same version.
inline constexpr unsigned pod_schema_major = 1;
inline constexpr unsigned pod_schema_minor = 33;

struct pod_field {
    std::string_view name;
    std::string_view type;
};

// A type's fields in the order of the API; empty if the type has none.
std::vector<pod_field> pod_schema_fields(std::string_view type);
// The type of one field; empty if there is no such field. Names match exactly, as in Kubernetes.
std::string_view pod_schema_type(std::string_view type, std::string_view name);
// The type of the elements of a list or map; empty for any other type.
std::string_view pod_schema_element(std::string_view type);
// The type's field with the name most similar to `name`, or empty if none is similar: "img" in a Container gives "image".
std::string_view pod_schema_nearest(std::string_view type, std::string_view name);
// All type names, for tests and for the comparison with an API server.
std::vector<std::string_view> pod_schema_types();

// The type of the field that a path such as "spec.containers[0].env[2].valueFrom" denotes; empty if there is none.
std::string_view pod_schema_type_at(std::string_view path);

} // namespace etlnode
