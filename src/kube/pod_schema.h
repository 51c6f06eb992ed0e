// SPDX-License-Identifier: MIT
// kube/pod_schema.h: the fields of a Pod as Kubernetes 1.33 knows them: names and types, for whoever judges or explains a spec.
//
// A type is written "string", "bool", "int32", "int64", "quantity", "intOrString", "time", "any", the name of another row ("Container"),
// "[]" and a type, or "map " and the type of the values (keys are strings).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode {

// The Kubernetes whose Pods these are; kubectl-local's version says the same.
inline constexpr unsigned pod_schema_major = 1;
inline constexpr unsigned pod_schema_minor = 33;

struct pod_field {
    std::string_view name;
    std::string_view type;
};

// The fields of a type in the order of the API; empty for a type that has none.
std::vector<pod_field> pod_schema_fields(std::string_view type);
// The type of one field; empty when the type has no such field. Names match exactly, as in Kubernetes.
std::string_view pod_schema_type(std::string_view type, std::string_view name);
// What the elements of a list or map are; empty for everything else.
std::string_view pod_schema_element(std::string_view type);
// The field of that type whose name is nearest to `name`, or empty when none is near: "img" in a Container is "image".
std::string_view pod_schema_nearest(std::string_view type, std::string_view name);
// Every name of a type, for tests and for the comparison with an API server.
std::vector<std::string_view> pod_schema_types();

// The type of what a path such as "spec.containers[0].env[2].valueFrom" leads to; empty when it leads nowhere.
std::string_view pod_schema_type_at(std::string_view path);

} // namespace etlnode
