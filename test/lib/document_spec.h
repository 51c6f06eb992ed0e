// SPDX-License-Identifier: MIT
// test/lib/document_spec.h: the spec of the seed document's example.
#pragma once

namespace etlnode {

inline constexpr const char *document_spec = R"(apiVersion: v1
kind: Pod
metadata:
  name: transformer-md5
  annotations:
    communication_type: hpush://
    wait_timeout: 1m
spec:
  containers:
    - name: server
      image: quay.io/user/md5_server:v1
      ports:
        - containerPort: 80
      command: ['/code/server.py', '--listen', '0.0.0.0', '--port', '80']
)";

} // namespace etlnode
