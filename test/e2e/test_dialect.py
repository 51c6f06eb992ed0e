#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What AIStore's clients, and people who mistype, are told: queries, buckets, configuration, messages, failed starts, lists of failures."""
import json

import harness
from harness import Cluster, request

world = {}


def cluster():
    return world["cluster"]


def action(method, path, act, **more):
    return request(method, cluster().url(path), json.dumps({"action": act, "name": "", "value": None, **more}))


def case_misspelt_queries_never_give_the_plain_object():
    c = cluster()
    c.bucket("queries")
    c.put("queries", "o.tar", b"the plain bytes")
    target = c.holder("queries", "o.tar")
    for base in (c.proxy.url, target.url):
        path = base + "/v1/objects/queries/o.tar?"
        for query, word in (("etl=thumbs", "did you mean etl_name?"), ("etlname=thumbs", "did you mean etl_name?"), ("uid=x", "did you mean uuid?"), ("etl_nam=x", "did you mean etl_name?"),
                            ("etl_name=a&etl_arg=x", "did you mean etl_args?"), ("etl_name=", "is empty"), ("uuid=", "is empty"), ("etl_name=%zz", "percent-encoded"), ("etl_args=x", "which ETL")):
            answer = request("GET", path + query, follow=False)
            assert answer.status == 400 and word in answer.json["message"], (base, query, answer)
            head = request("HEAD", path + query, follow=False)
            assert head.status == 400 and word in json.loads(head.headers["Hdr-Error"])["message"], (base, query, head.headers)
        for query in ("archpath=1.txt&archregx=", "archregx=.*&archmode=regexp"):
            answer = request("GET", path + query, follow=False)
            assert answer.status == 501 and "archives" in answer.json["message"], (base, query, answer)
        answer = request("GET", path + "etl_name=a&etl_pipeline=b", follow=False)
        assert answer.status == 501, answer
        put = request("PUT", path + "etl_name=thumbs&pid=p&utm=1", b"changed", follow=False)
        assert put.status == 501, put
        # What others call their parameters is theirs; and so are AIStore's own, empty ones included.
        for query in ("width=10&title=a", "archpath=&archregx=", "latest-ver=false&provider=ais", "etl_pipeline="):
            answer = request("GET", path + query)
            assert answer.status == 200 and answer.body == b"the plain bytes", (base, query, answer)


def case_buckets_as_aistores_clients_ask():
    c = cluster()
    c.bucket("here")
    named = action("GET", "/v1/buckets?provider=ais", "list", name="here").json
    assert [b["name"] for b in named] == ["here"], named
    assert action("GET", "/v1/buckets?provider=ais", "list", name="zz").json == []
    for provider, text in (("s3", "failed to lookup bucket s3://x, err: AWS backend is missing in the cluster configuration"), ("gcp", "failed to lookup bucket gs://x")):
        answer = request("GET", c.url(f"/v1/objects/x/o?provider={provider}"), follow=False)
        assert answer.status == 404 and text in answer.json["message"], answer
        assert action("GET", f"/v1/buckets/x?provider={provider}", "list").status == 404
    assert action("POST", "/v1/buckets/x?provider=aws", "create-bck").status == 501
    refused = action("POST", "/v1/buckets/props", "create-bck", value={"mirror": {"enabled": True}})
    assert refused.status == 501 and "properties" in refused.json["message"], refused
    assert action("POST", "/v1/buckets/props", "create-bck", value={}).status == 200
    assert request("HEAD", c.url("/v1/buckets/here?bsumm_remote=True&presence=2")).status == 501
    assert action("GET", "/v1/buckets/nowhere", "summary-bck").status == 404
    assert action("GET", "/v1/buckets/here", "summary-bck").status == 501
    for name in ("a/1", "a/2", "b"):
        c.put("here", name, b"x")
    for flags, names in ((1 << 11, ["a/", "b"]), (1 << 11 | 1 << 13, ["a/", "b"]), (0, ["a/1", "a/2", "b"])):
        page = request("GET", c.url("/v1/buckets/here"), json.dumps({"action": "list", "value": {"flags": str(flags)}})).json
        assert [e["name"] for e in page["entries"]] == names, (flags, page)
    members = request("GET", c.url("/v1/buckets/here"), json.dumps({"action": "list", "value": {"flags": str(1 << 3)}}))
    assert members.status == 501 and "archives" in members.json["message"], members
    head = request("HEAD", c.url("/v1/objects/here/b?props=nosuch"))
    assert head.status == 400 and "invalid property" in json.loads(head.headers["Hdr-Error"])["message"], head.headers


def case_configuration_has_every_section_that_clients_read():
    """AIStore's command dereferences these without looking: kinds of values count."""
    c = cluster()
    c.bucket("props-of")
    config = request("GET", c.url("/v1/cluster?what=cluster_config")).json
    props = json.loads(request("HEAD", c.url("/v1/buckets/props-of")).headers["Ais-Bucket-Props"])
    for tree in (config, props):
        for section in ("checksum", "mirror", "ec", "chunks", "write_policy", "rate_limit", "lru", "versioning"):
            assert isinstance(tree[section], dict) and tree[section], (section, tree)
        assert not tree["mirror"]["enabled"] and not tree["ec"]["enabled"] and not tree["lru"]["enabled"] and tree["checksum"]["type"] == "xxhash2", tree
        assert tree["rate_limit"]["backend"]["enabled"] is False and tree["rate_limit"]["frontend"]["enabled"] is False, tree
    for section in ("rebalance", "space", "net", "memsys", "auth", "backend", "timeout", "proxy"):
        assert isinstance(config[section], dict), (section, config)
    assert config["rebalance"]["enabled"] is False and config["auth"]["enabled"] is False and config["proxy"]["primary_url"] == c.proxy.url, config
    assert config["features"] == "0" and config["config_version"] == "0" and config["uuid"], config
    assert all(isinstance(props[key], str) for key in ("access", "features", "bid", "created")), props
    assert request("GET", c.url("/v1/cluster?what=remote")).json == {"a": None, "ver": 0}


with Cluster(targets=2) as made:
    world["cluster"] = made
    harness.run([(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")])
