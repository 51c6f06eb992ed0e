#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""webdataset, unmodified from PyPI and without torch, writes shards and reads them, plain, through an ETL and from a bucket that a job transformed."""
import importlib.metadata
import io
import os
import pathlib
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e")]

import harness  # noqa: E402
import verdicts  # noqa: E402

try:
    import webdataset
    from aistore.sdk import Client
    from aistore.sdk.dataset.data_attribute import DataAttribute
    from aistore.sdk.dataset.dataset_config import DatasetConfig
    from aistore.sdk.etl import ETLConfig
except ImportError as missing:
    sys.exit(f"this test needs the packages webdataset and aistore: {missing}")

# Contents change and keep their size, so that a shard stays a tar.
SERVER = '''#!/usr/bin/env python3
import http.server

class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).replace(b"sample", b"SAMPLE")
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)

    do_POST = do_PUT

http.server.ThreadingHTTPServer(("0.0.0.0", 8000), H).serve_forever()
'''
world = {}


def shards():
    return world["client"].bucket("shards")


def shard(first):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for i in range(first, first + 8):
            member = tarfile.TarInfo(f"{i:04}.txt")
            member.size = len(b"sample %04d" % i)
            tar.addfile(member, io.BytesIO(b"sample %04d" % i))
    return held.getvalue()


def read(urls):
    return sorted(sample["txt"] for sample in webdataset.WebDataset([f"pipe:curl -fsSL '{url}'" for url in urls], shardshuffle=False, empty_check=False))


def wanted(word):
    return [b"%s %04d" % (word, i) for i in range(32)]


def plain():
    assert read(shards().list_urls()) == wanted(b"sample")


def through_an_etl():
    assert read(shards().list_urls(etl=ETLConfig(name="wds-upper"))) == wanted(b"SAMPLE")


def transformed():
    to = world["client"].bucket("transformed")
    world["client"].job(shards().transform(to_bck=to, etl_name="wds-upper")).wait(timeout=60)
    assert read(to.list_urls()) == wanted(b"SAMPLE")


def written():
    where = os.path.join(world["dir"], "images")
    os.makedirs(where)
    for i in range(6):
        with open(os.path.join(where, f"{i}.jpg"), "wb") as file:
            file.write(b"picture %d" % i)
    bucket = world["client"].bucket("written").create()
    os.chdir(world["dir"])
    bucket.write_dataset(DatasetConfig(primary_attribute=DataAttribute(path=pathlib.Path(where), file_type="jpg", name="image")), pattern="set", maxcount=4)
    urls = [f"pipe:curl -fsSL '{url}'" for url in bucket.list_urls()]
    assert len(urls) == 2, urls
    assert sorted(sample["image.jpg"] for sample in webdataset.WebDataset(urls, shardshuffle=False)) == [b"picture %d" % i for i in range(6)]


with harness.Cluster(targets=2) as made:
    version = importlib.metadata.version("webdataset")
    print(f"# webdataset {version}, Python {sys.version.split()[0]}")
    made.image("wds/upper:1", {"srv.py": SERVER}, ["/srv.py"])
    world.update(client=Client(made.proxy.url), dir=made.dir)
    shards().create()
    for start in range(0, 32, 8):
        shards().object(f"set-{start:02}.tar").get_writer().put_content(shard(start))
    world["client"].etl("wds-upper").init(image="wds/upper:1", command=["/srv.py"], init_timeout="2m")
    harness.run(verdicts.cases(f"webdataset {version}", [
        ("webdataset", "reads shards", plain),
        ("webdataset", "reads shards through an ETL", through_an_etl),
        ("webdataset", "reads a bucket that a job transformed", transformed),
        ("webdataset", "shards that `Bucket.write_dataset` wrote", written),
    ]), limit=120)
