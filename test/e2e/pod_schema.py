# SPDX-License-Identifier: MIT
"""Converts the table of src/kube/pod_schema.cc and an API server's published schema to one form: {type: {field: type}}."""
import os
import re

import harness

SPECIAL = {"Quantity": "quantity", "IntOrString": "intOrString", "Time": "time", "MicroTime": "time", "FieldsV1": "any"}


def ours():
    with open(os.path.join(harness.ROOT, "src/kube/pod_schema.cc"), encoding="utf-8") as file:
        table = file.read().split("static constexpr type_row types[] = {")[1].split("\n};")[0]
    out = {}
    for row in re.findall(r'\{("[^{}]*)\}', table):
        texts = re.findall(r'"([^"]*)"', row)
        out[texts[0]] = dict(field.split(" ", 1) for field in "".join(texts[1:]).split(", "))
    return out


def _type(schema):
    if "allOf" in schema:
        schema = schema["allOf"][0]
    if "$ref" in schema:
        name = schema["$ref"].rsplit(".", 1)[1]
        return SPECIAL.get(name, name)
    kind = schema.get("type")
    if kind == "array":
        return "[]" + _type(schema["items"])
    if kind == "object":
        return "map " + _type(schema["additionalProperties"])
    return {"boolean": "bool", "integer": schema.get("format")}.get(kind, kind)


def published(openapi):
    """The types of a Pod, from the answer of /openapi/v3/api/v1."""
    by_name = {name.rsplit(".", 1)[1]: schema for name, schema in openapi["components"]["schemas"].items()}
    out, todo = {}, ["Pod"]
    while todo:
        name = todo.pop()
        if name in out or name in SPECIAL.values():
            continue
        out[name] = {field: _type(schema) for field, schema in by_name[name].get("properties", {}).items()}
        todo += [kind.split(" ")[-1].lstrip("[]") for kind in out[name].values() if re.search(r"[A-Z]\w*$", kind) and "intOr" not in kind]
    return out
