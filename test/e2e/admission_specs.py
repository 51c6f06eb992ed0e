# SPDX-License-Identifier: MIT
"""Pods on the edge of what Kubernetes accepts. Each row: a name, where its YAML goes, the YAML. The verdicts of an API server are in
test/golden/admission/verdicts.json; test_admission.py plays the rows against kubectl-local, test_kubernetes.py against a cluster."""

import re

BASE = """apiVersion: v1
kind: Pod
metadata:
  name: {name}
{metadata}
spec:
{spec}
  containers:
  - name: c
{image}
{container}
"""


def pod(metadata="", spec="", container="", name="p", image="image: i"):
    def indented(text, by):
        return "\n".join(" " * by + line for line in text.splitlines())
    return BASE.format(name=name, metadata=indented(metadata, 2), spec=indented(spec, 2), image=indented(image, 4), container=indented(container, 4))


def c(text):
    return pod(container=text)


def s(text):
    return pod(spec=text)


def m(text):
    return pod(metadata=text)


def mounted(mount, volumes="- {name: v, emptyDir: {}}"):
    return pod(spec="volumes:\n" + volumes, container="volumeMounts:\n" + mount)


def readiness(text):
    return c("readinessProbe: " + text)


def init(text):
    return s("initContainers:\n- {name: i, image: i, " + text + "}")


LONG = "a" * 63
# What a cluster accepts and kubectl-local refuses, because it can never run it: the fields that it names.
HERE = {
    "resource of a domain": ["spec.containers[0].resources.limits[example.com/dongle]"],
    "secretKeyRef": ["spec.containers[0].env[0].valueFrom.secretKeyRef"],
    "configMapKeyRef": ["spec.containers[0].env[0].valueFrom.configMapKeyRef"],
    "envFrom": ["spec.containers[0].envFrom[0].configMapRef"],
    "configMap volume": ["spec.volumes[0].configMap"],
    "persistent volume claim": ["spec.volumes[0].persistentVolumeClaim"],
    "downwardAPI volume": ["spec.volumes[0].downwardAPI"],
    "probe by HTTPS": ["spec.containers[0].readinessProbe.httpGet.scheme"],
    "probe by exec": ["spec.containers[0].readinessProbe.exec"],
    "probe by grpc": ["spec.containers[0].readinessProbe.grpc"],
    "hook by exec": ["spec.containers[0].lifecycle.preStop"],
    "two containers": ["spec.containers[1]"],
    "sidecar": ["spec.initContainers[0].restartPolicy"],
    "activeDeadlineSeconds": ["spec.activeDeadlineSeconds"],
    "hostAliases": ["spec.hostAliases"],
    "scheduling gate": ["spec.schedulingGates"],
    "mount path with ..": ["spec.containers[0].volumeMounts[0].mountPath"],
}

ROWS = [
    ("plain", pod()),
    # Unknown fields.
    ("comand", c("comand: [x]")),
    ("readinesProbe", c("readinesProbe: {tcpSocket: {port: 80}}")),
    ("nodename", s("nodename: x")),
    ("img for image", pod(image="img: i")),
    ("resorces", c("resorces: {limits: {cpu: 1}}")),
    ("container for containers", pod().replace("  containers:", "  container:")),
    ("two unknown fields", pod(spec="restartpolicy: Never", container="imagepullPolicy: Never")),
    ("unknown field at the top", pod() + "foo: 1\n"),
    ("unknown field in metadata", m("lables: {a: b}")),
    ("unknown field in a probe", readiness("{tcpSocket: {port: 80}, periodSecond: 1}")),
    ("unknown field in a port", c("ports: [{containerPort: 80, prot: TCP}]")),
    ("unknown field in an env entry", c("env: [{name: A, val: x}]")),
    ("unknown field in a volume", mounted("- {name: v, mountPath: /v}", "- {name: v, emptydir: {}}")),
    ("unknown field in a mount", mounted("- {name: v, path: /v}")),
    ("unknown field in a null", c("resources: null\nlifecycle: null")),
    ("wrong case of a field", c("Image: j")),
    ("a field of today's Kubernetes", c("resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]")),
    # Types.
    ("env value true", c("env: [{name: A, value: true}]")),
    ("env value 8080", c("env: [{name: A, value: 8080}]")),
    ("env value yes", c("env: [{name: A, value: yes}]")),
    ("env value y", c("env: [{name: A, value: y}]")),
    ("env value 1_000", c("env: [{name: A, value: 1_000}]")),
    ("env value null", c("env: [{name: A, value: null}]")),
    ("env value 22:30", c("env: [{name: A, value: 22:30}]")),
    ("env value date", c("env: [{name: A, value: 2024-01-01}]")),
    ("env value map", c("env: [{name: A, value: {b: c}}]")),
    ("env is a map", c("env: {A: b}")),
    ("args with a number", c("args: [a, 1]")),
    ("command is text", c("command: sh -c true")),
    ("port is text", c('ports: [{containerPort: "80"}]')),
    ("port is a fraction", c("ports: [{containerPort: 80.5}]")),
    ("port is 80.0", c("ports: [{containerPort: 80.0}]")),
    ("port is huge", c("ports: [{containerPort: 99999999999}]")),
    ("ports is a map", c("ports: {containerPort: 80}")),
    ("a port is a number", c("ports: [80]")),
    ("hostNetwork is text", s('hostNetwork: "true"')),
    ("grace is text", s('terminationGracePeriodSeconds: "5"')),
    ("labels with a number", m("labels: {a: 1}")),
    ("annotations with a boolean", m("annotations: {a: true}")),
    ("labels is a list", m("labels: [a]")),
    ("resources is text", c("resources: small")),
    ("containers is a map", pod().replace("  - name: c", "    name: c")),
    ("a container is text", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [c]}\n"),
    ("a container is null", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [null]}\n"),
    ("spec is absent", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"),
    ("spec is text", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: x\n"),
    ("containers is empty", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: []}\n"),
    ("type before unknown field", c("comand: [x]\nargs: [1]")),
    ("wrong timestamp", m("creationTimestamp: yesterday")),
    ("null timestamp", m("creationTimestamp: null")),
    # Quantities.
    ("limits cpu 500m", c("resources: {limits: {cpu: 500m, memory: 16Mi}}")),
    ("limits as numbers", c("resources: {limits: {cpu: 1, memory: 16000000}}")),
    ("limits cpu 0.5", c("resources: {limits: {cpu: 0.5}}")),
    ("limits memory 16MB", c("resources: {limits: {memory: 16MB}}")),
    ("limits memory 16 Mi", c("resources: {limits: {memory: 16 Mi}}")),
    ("limits memory lots", c("resources: {limits: {memory: lots}}")),
    ("limits memory empty", c('resources: {limits: {memory: ""}}')),
    ("limits memory 1e3", c("resources: {limits: {memory: 1e3}}")),
    ("limits memory 1K", c("resources: {limits: {memory: 1K}}")),
    ("limits memory negative", c("resources: {limits: {memory: -1Mi}}")),
    ("requests above limits", c("resources: {limits: {cpu: 1}, requests: {cpu: 1500m}}")),
    ("requests equal limits", c("resources: {limits: {cpu: 1}, requests: {cpu: 1000m}}")),
    ("requests memory above limits", c("resources: {limits: {memory: 1Gi}, requests: {memory: 1025Mi}}")),
    ("requests alone", c("resources: {requests: {cpu: 10m}}")),
    ("unknown resource", c("resources: {limits: {cpus: 1}}")),
    ("resource of a domain", c("resources: {limits: {example.com/dongle: 1}}")),
    ("resource of a domain in parts", c("resources: {limits: {example.com/dongle: 500m}}")),
    ("resource of a domain requested", c("resources: {requests: {example.com/dongle: 1}}")),
    ("resource without name", c('resources: {limits: {"": 1}}')),
    ("limits is a list", c("resources: {limits: [cpu]}")),
    ("ephemeral storage", c("resources: {limits: {ephemeral-storage: 1Gi}}")),
    # Names.
    ("name with capitals", pod(name="Pod")),
    ("name with an underscore", pod(name="a_b")),
    ("name with dots", pod(name="a.b.c")),
    ("name of 253", pod(name=".".join([LONG, LONG, LONG, "a" * 61]))),
    ("name of 254", pod(name=".".join([LONG, LONG, LONG, "a" * 62]))),
    ("name of 64 in one part", pod(name="a" * 64)),
    ("name ends with a dash", pod(name="a-")),
    ("container name with a dot", pod().replace("name: c", "name: c.d")),
    ("container name with capitals", pod().replace("name: c", "name: C")),
    ("container name of 64", pod().replace("name: c", "name: " + "c" * 64)),
    ("container name absent", pod().replace("- name: c", "- tty: false")),
    ("image absent", pod(image="")),
    ("image empty", pod(image='image: ""')),
    ("image with a blank", pod(image='image: "i "')),
    ("generateName", pod().replace("name: p\n", "generateName: p-\n")),
    ("generateName with capitals", pod().replace("name: p\n", "generateName: P-\n")),
    ("label key with a blank", m('labels: {"a b": c}')),
    ("label key with a prefix", m("labels: {example.com/a: c}")),
    ("label key with two slashes", m("labels: {a/b/c: d}")),
    ("label key of 64", m("labels: {" + "a" * 64 + ": b}")),
    ("label value with a slash", m("labels: {a: b/c}")),
    ("label value of 64", m("labels: {a: " + "b" * 64 + "}")),
    ("label value empty", m('labels: {a: ""}')),
    ("annotation key with a blank", m('annotations: {"a b": c}')),
    ("annotation key with capitals", m("annotations: {Example.com/A: c}")),
    ("owner without uid", m("ownerReferences: [{apiVersion: v1, kind: Pod, name: o}]")),
    # Ports.
    ("port 0", c("ports: [{containerPort: 0}]")),
    ("port 65536", c("ports: [{containerPort: 65536}]")),
    ("port negative", c("ports: [{containerPort: -1}]")),
    ("port absent", c("ports: [{name: web}]")),
    ("port name with capitals", c("ports: [{containerPort: 80, name: Web}]")),
    ("port name of 16", c("ports: [{containerPort: 80, name: abcdefghijklmnop}]")),
    ("port name of digits", c('ports: [{containerPort: 80, name: "80"}]')),
    ("port name with two dashes", c("ports: [{containerPort: 80, name: a--b}]")),
    ("port names twice", c("ports: [{containerPort: 80, name: web}, {containerPort: 81, name: web}]")),
    ("ports twice", c("ports: [{containerPort: 80}, {containerPort: 80}]")),
    ("hostPorts twice", c("ports: [{containerPort: 80, hostPort: 80}, {containerPort: 81, hostPort: 80}]")),
    ("hostPort 70000", c("ports: [{containerPort: 80, hostPort: 70000}]")),
    ("protocol http", c("ports: [{containerPort: 80, protocol: http}]")),
    ("protocol tcp", c("ports: [{containerPort: 80, protocol: tcp}]")),
    ("protocol UDP", c("ports: [{containerPort: 80, protocol: UDP}]")),
    ("hostNetwork with another hostPort", pod(spec="hostNetwork: true", container="ports: [{containerPort: 80, hostPort: 81}]")),
    ("hostNetwork with ports twice", pod(spec="hostNetwork: true", container="ports: [{containerPort: 80}, {containerPort: 80}]")),
    # Environment.
    ("env name absent", c("env: [{value: x}]")),
    ("env name empty", c('env: [{name: "", value: x}]')),
    ("env name with =", c("env: [{name: A=B, value: x}]")),
    ("env name with a blank", c('env: [{name: "A B", value: x}]')),
    ("env name beginning with a digit", c("env: [{name: 1A, value: x}]")),
    ("env name not ASCII", c("env: [{name: Ä, value: x}]")),
    ("env twice", c("env: [{name: A, value: x}, {name: A, value: y}]")),
    ("env value and valueFrom", c("env: [{name: A, value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]")),
    ("env valueFrom empty", c("env: [{name: A, valueFrom: {}}]")),
    ("env valueFrom two", c("env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}, secretKeyRef: {name: s, key: k}}}]")),
    ("env from metadata.name", c("env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]")),
    ("env from a label", c("env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}}]")),
    ("env from all labels", c("env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}]")),
    ("env from status.phase", c("env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.phase}}}]")),
    ("env from metadata.nam", c("env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.nam}}}]")),
    ("env from nothing", c("env: [{name: A, valueFrom: {fieldRef: {}}}]")),
    ("env from a subscript that is none", c("env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"spec.x['y']\"}}}]")),
    ("env from limits.cpu", c("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]")),
    ("env from limits.disk", c("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.disk}}}]")),
    ("env from limits.cpu in fives", c("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 5m}}}]")),
    ("secretKeyRef", c("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]")),
    ("secretKeyRef optional", c("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k, optional: true}}}]")),
    ("secretKeyRef without key", c("env: [{name: A, valueFrom: {secretKeyRef: {name: s}}}]")),
    ("secretKeyRef with a strange key", c('env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: "a b"}}}]')),
    ("secretKeyRef without name", c("env: [{name: A, valueFrom: {secretKeyRef: {key: k}}}]")),
    ("configMapKeyRef", c("env: [{name: A, valueFrom: {configMapKeyRef: {name: s, key: k}}}]")),
    ("envFrom", c("envFrom: [{configMapRef: {name: m}}]")),
    ("envFrom optional", c("envFrom: [{configMapRef: {name: m, optional: true}}, {secretRef: {name: s, optional: true}}]")),
    ("env from limits.memory in Mi", c("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}]")),
    ("env from the service account", c("env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}]")),
    ("envFrom empty", c("envFrom: [{}]")),
    ("envFrom two", c("envFrom: [{configMapRef: {name: m}, secretRef: {name: s}}]")),
    ("envFrom without name", c("envFrom: [{configMapRef: {}}]")),
    # Volumes.
    ("mount of an undeclared volume", c("volumeMounts: [{name: nope, mountPath: /c}]")),
    ("mount", mounted("- {name: v, mountPath: /v}")),
    ("mount without path", mounted("- {name: v}")),
    ("mount without name", mounted("- {mountPath: /v}")),
    ("mount path relative", mounted("- {name: v, mountPath: v}")),
    ("mount path with ..", mounted("- {name: v, mountPath: /a/../b}")),
    ("mount path with a colon", mounted('- {name: v, mountPath: "/a:b"}')),
    ("mount paths twice", mounted("- {name: v, mountPath: /v}\n- {name: v, mountPath: /v}")),
    ("subPath with ..", mounted("- {name: v, mountPath: /v, subPath: a/../b}")),
    ("subPath ..", mounted("- {name: v, mountPath: /v, subPath: ..}")),
    ("subPath ..a", mounted("- {name: v, mountPath: /v, subPath: ..a}")),
    ("subPath absolute", mounted("- {name: v, mountPath: /v, subPath: /a}")),
    ("subPath and subPathExpr", mounted("- {name: v, mountPath: /v, subPath: a, subPathExpr: b}")),
    ("mountPropagation wrong", mounted("- {name: v, mountPath: /v, mountPropagation: Both}")),
    ("mountPropagation Bidirectional", mounted("- {name: v, mountPath: /v, mountPropagation: Bidirectional}")),
    ("recursiveReadOnly without readOnly", mounted("- {name: v, mountPath: /v, recursiveReadOnly: Enabled}")),
    ("volumes twice", mounted("- {name: v, mountPath: /v}", "- {name: v, emptyDir: {}}\n- {name: v, emptyDir: {}}")),
    ("volume without a kind", mounted("- {name: v, mountPath: /v}", "- {name: v}")),
    ("volume with two kinds", mounted("- {name: v, mountPath: /v}", "- {name: v, emptyDir: {}, hostPath: {path: /tmp}}")),
    ("volume without name", s("volumes: [{emptyDir: {}}]")),
    ("volume name with a dot", mounted("- {name: a.b, mountPath: /v}", "- {name: a.b, emptyDir: {}}")),
    ("emptyDir in memory", s("volumes: [{name: v, emptyDir: {medium: Memory, sizeLimit: 10Mi}}]")),
    ("emptyDir of another medium", s("volumes: [{name: v, emptyDir: {medium: Disk}}]")),
    ("emptyDir of negative size", s("volumes: [{name: v, emptyDir: {sizeLimit: -1}}]")),
    ("emptyDir of no size", s("volumes: [{name: v, emptyDir: {sizeLimit: ten}}]")),
    ("hostPath without path", s("volumes: [{name: v, hostPath: {}}]")),
    ("hostPath with ..", s("volumes: [{name: v, hostPath: {path: /a/../b}}]")),
    ("hostPath of a wrong type", s("volumes: [{name: v, hostPath: {path: /a, type: Folder}}]")),
    ("configMap volume", mounted("- {name: v, mountPath: /v}", "- {name: v, configMap: {name: m}}")),
    ("configMap volume optional", mounted("- {name: v, mountPath: /v}", "- {name: v, configMap: {name: m, optional: true}}")),
    ("configMap volume without name", s("volumes: [{name: v, configMap: {}}]")),
    ("secret volume with name", s("volumes: [{name: v, secret: {name: m}}]")),
    ("secret volume of mode 0888", s("volumes: [{name: v, secret: {secretName: m, defaultMode: 888}}]")),
    ("secret item without path", s("volumes: [{name: v, secret: {secretName: m, items: [{key: a}]}}]")),
    ("secret item with ..", s("volumes: [{name: v, secret: {secretName: m, items: [{key: a, path: ../b}]}}]")),
    ("persistent volume claim", s("volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]")),
    ("claim without name", s("volumes: [{name: v, persistentVolumeClaim: {}}]")),
    ("nfs with a relative path", s("volumes: [{name: v, nfs: {server: s, path: p}}]")),
    ("downwardAPI volume", s("volumes: [{name: v, downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}}]")),
    ("downwardAPI of status.podIP", s("volumes: [{name: v, downwardAPI: {items: [{path: l, fieldRef: {fieldPath: status.podIP}}]}}]")),
    ("downwardAPI without source", s("volumes: [{name: v, downwardAPI: {items: [{path: l}]}}]")),
    ("volumeDevices of an emptyDir", pod(spec="volumes: [{name: v, emptyDir: {}}]", container="volumeDevices: [{name: w, devicePath: /d}]")),
    # Probes.
    ("probe by tcp", readiness("{tcpSocket: {port: 80}}")),
    ("probe by name of a port", c("ports: [{containerPort: 80, name: web}]\nreadinessProbe: {httpGet: {path: /, port: web}}")),
    ("probe without handler", readiness("{}")),
    ("probe without port", readiness("{httpGet: {path: /health}}")),
    ("probe with two handlers", readiness("{httpGet: {port: 80}, tcpSocket: {port: 80}}")),
    ("probe with exec and tcp", readiness("{exec: {command: [x]}, tcpSocket: {port: 99999}}")),
    ("probe port 0", readiness("{tcpSocket: {port: 0}}")),
    ("probe port as text", readiness('{tcpSocket: {port: "80"}}')),
    ("probe port named badly", readiness("{tcpSocket: {port: Web}}")),
    ("probe port a fraction", readiness("{tcpSocket: {port: 80.5}}")),
    ("probe port a boolean", readiness("{tcpSocket: {port: true}}")),
    ("probe of an unknown scheme", readiness("{httpGet: {port: 80, scheme: http}}")),
    ("probe by HTTPS", readiness("{httpGet: {port: 80, scheme: HTTPS}}")),
    ("probe with a bad header", readiness('{httpGet: {port: 80, httpHeaders: [{name: "a b", value: x}]}}')),
    ("probe by exec", readiness("{exec: {command: ['true']}}")),
    ("probe by exec of nothing", readiness("{exec: {}}")),
    ("probe by grpc", readiness("{grpc: {port: 80}}")),
    ("probe by grpc without port", readiness("{grpc: {}}")),
    ("probe with negative period", readiness("{tcpSocket: {port: 80}, periodSeconds: -1}")),
    ("probe with period 0", readiness("{tcpSocket: {port: 80}, periodSeconds: 0}")),
    ("probe with period in words", readiness("{tcpSocket: {port: 80}, periodSeconds: 1s}")),
    ("probe with negative delay", readiness("{tcpSocket: {port: 80}, initialDelaySeconds: -1}")),
    ("readiness with grace", readiness("{tcpSocket: {port: 80}, terminationGracePeriodSeconds: 5}")),
    ("readiness with two successes", readiness("{tcpSocket: {port: 80}, successThreshold: 2}")),
    ("liveness with two successes", c("livenessProbe: {tcpSocket: {port: 80}, successThreshold: 2}")),
    ("liveness with grace 0", c("livenessProbe: {tcpSocket: {port: 80}, terminationGracePeriodSeconds: 0}")),
    ("startup with two successes", c("startupProbe: {tcpSocket: {port: 80}, successThreshold: 2}")),
    ("probe is null", c("readinessProbe: null")),
    ("hook without handler", c("lifecycle: {preStop: {}}")),
    ("hook by exec", c("lifecycle: {preStop: {exec: {command: [sleep, '1']}}}")),
    ("hook that sleeps too long", c("lifecycle: {preStop: {sleep: {seconds: 60}}}")),
    ("hook that is empty", c("lifecycle: {}")),
    # Containers.
    ("imagePullPolicy Sometimes", c("imagePullPolicy: Sometimes")),
    ("imagePullPolicy never", c("imagePullPolicy: never")),
    ("imagePullPolicy empty", c('imagePullPolicy: ""')),
    ("terminationMessagePolicy wrong", c("terminationMessagePolicy: Log")),
    ("restartPolicy of a container", c("restartPolicy: Always")),
    ("two containers", pod() + "  - name: d\n    image: i\n"),
    ("two containers of a name", pod() + "  - name: c\n    image: i\n"),
    ("init container", init("command: ['true']")),
    ("init container of the container's name", init("command: ['true']").replace("name: i,", "name: c,")),
    ("init container with a probe", init("readinessProbe: {tcpSocket: {port: 80}}")),
    ("init container with lifecycle", init("lifecycle: {}")),
    ("sidecar", init("restartPolicy: Always")),
    ("sidecar that restarts sometimes", init("restartPolicy: OnFailure")),
    ("ephemeral container", s("ephemeralContainers: [{name: e, image: i}]")),
    ("workingDir relative", c("workingDir: a/b")),
    # The pod.
    ("restartPolicy Maybe", s("restartPolicy: Maybe")),
    ("restartPolicy always", s("restartPolicy: always")),
    ("restartPolicy Never", s("restartPolicy: Never")),
    ("restartPolicy empty", s('restartPolicy: ""')),
    ("grace negative", s("terminationGracePeriodSeconds: -1")),
    ("grace 0", s("terminationGracePeriodSeconds: 0")),
    ("activeDeadlineSeconds 0", s("activeDeadlineSeconds: 0")),
    ("activeDeadlineSeconds", s("activeDeadlineSeconds: 60")),
    ("dnsPolicy wrong", s("dnsPolicy: Cluster")),
    ("dnsPolicy None without servers", s("dnsPolicy: None")),
    ("dnsConfig with a name", s("dnsConfig: {nameservers: [dns.example]}")),
    ("hostname with dots", s("hostname: a.b")),
    ("subdomain with capitals", s("subdomain: A")),
    ("nodeName with capitals", s("nodeName: A")),
    ("nodeSelector with a bad key", s('nodeSelector: {"a b": c}')),
    ("toleration without key", s("tolerations: [{operator: Equal, value: x}]")),
    ("toleration of an unknown operator", s("tolerations: [{key: a, operator: In}]")),
    ("toleration of an unknown effect", s("tolerations: [{key: a, operator: Exists, effect: Never}]")),
    ("affinity without terms", s("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {}}}")),
    ("affinity of an unknown operator", s("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Is}]}]}}}")),
    ("affinity by a field", s("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [node1]}]}]}}}")),
    ("affinity by an unknown field", s("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.uid, operator: In, values: [node1]}]}]}}}")),
    ("hostAliases", s("hostAliases: [{ip: 10.0.0.1, hostnames: [a]}]")),
    ("hostAliases without address", s("hostAliases: [{hostnames: [a]}]")),
    ("scheduling gate", s("schedulingGates: [{name: a.b/c}]")),
    ("os of another name", s("os: {name: plan9}")),
    ("topology without key", s("topologySpreadConstraints: [{maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]")),
    # Security.
    ("runAsUser negative", c("securityContext: {runAsUser: -1}")),
    ("runAsUser a name", c("securityContext: {runAsUser: nobody}")),
    ("runAsUser 2^31", c("securityContext: {runAsUser: 2147483648}")),
    ("runAsUser 1000", c("securityContext: {runAsUser: 1000}")),
    ("runAsNonRoot of the pod", s("securityContext: {runAsNonRoot: true}")),
    ("pod's runAsUser 1000, container's 0", pod(spec="securityContext: {runAsUser: 1000}", container="securityContext: {runAsUser: 0}")),
    ("runAsNonRoot text", c('securityContext: {runAsNonRoot: "true"}')),
    ("capabilities as text", c("securityContext: {capabilities: {add: NET_ADMIN}}")),
    ("capabilities dropped", c("securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}")),
    ("fsGroup of a container", c("securityContext: {fsGroup: 1}")),
    ("container's runAsUser 0, pod's 1000 and non-root", pod(spec="securityContext: {runAsUser: 1000, runAsNonRoot: true}", container="securityContext: {runAsUser: 0}")),
    ("fsGroup negative", s("securityContext: {fsGroup: -1}")),
    ("privileged of the pod", s("securityContext: {privileged: true}")),
    ("privileged without escalation", c("securityContext: {privileged: true, allowPrivilegeEscalation: false}")),
    ("seccomp without type", s("securityContext: {seccompProfile: {}}")),
    ("seccomp of another type", s("securityContext: {seccompProfile: {type: Default}}")),
    ("seccomp RuntimeDefault", s("securityContext: {seccompProfile: {type: RuntimeDefault}}")),
    ("seccomp Localhost without profile", s("securityContext: {seccompProfile: {type: Localhost}}")),
    ("procMount Unmasked", c("securityContext: {procMount: Unmasked}")),
    ("sysctl with capitals", s("securityContext: {sysctls: [{name: Net.x, value: '1'}]}")),
    ("sysctl with a number", s("securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: 0}]}")),
    ("sysctls twice", s("securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: '0'}, {name: net.ipv4.ip_unprivileged_port_start, value: '0'}]}")),
    # Found by comparing changed pods with a cluster.
    ("matchLabels with a blank", s('topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {a: "b c"}}}]')),
    ("topology without whenUnsatisfiable", s("topologySpreadConstraints: [{maxSkew: 1, topologyKey: z}]")),
    ("affinity by a node of no name", s('affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [""]}]}]}}}')),
    ("affinity by a value with a slash", s("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [b/c]}]}]}}}")),
    ("pod affinity without key", s("affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{labelSelector: {}}]}}")),
    ("seccomp profile with ..", c("securityContext: {seccompProfile: {type: Localhost, localhostProfile: a/../b}}")),
    ("an empty nameserver", s('dnsConfig: {nameservers: [""]}')),
    ("a host alias of no name", s('hostAliases: [{ip: 10.0.0.1, hostnames: [""]}]')),
    ("readiness gate without type", s("readinessGates: [{}]")),
    ("projected twice at a path", s("volumes: [{name: v, projected: {sources: [{secret: {name: s, items: [{key: k, path: p}]}}, {configMap: {name: s, items: [{key: k, path: p}]}}]}}]")),
    ("projected of two kinds", s("volumes: [{name: v, projected: {sources: [{secret: {name: s}, configMap: {name: s}}]}}]")),
    ("nfs without path", s("volumes: [{name: v, nfs: {server: s}}]")),
    ("quantity before types", c("env: [{name: A, value: 1}]\nresources: {limits: {cpu: lots}}")),
    ("mount of a volume that is wrong", mounted("- {name: v, mountPath: /v}", "- {name: v, hostPath: {path: /a/../b}}")),
    ("hostPorts twice in two containers", pod(container="ports: [{containerPort: 80, hostPort: 80}]") + "  - name: d\n    image: i\n    ports: [{containerPort: 80, hostPort: 80}]\n"),
    ("divisor of an unknown resource", c("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.disk, divisor: 5m}}}]")),
    ("divisor as a number", c("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 70000}}}]")),
]


def normalised(code, words):
    """What was said without the words that may differ: paths and kinds of refusals, unknown fields, what cannot be decoded."""
    if code == 0:
        return []
    out = []
    words = re.sub(r" \(did you mean \w+\?\)", "", words)
    for line in words.strip().splitlines():
        if line.startswith("Warning:"):
            continue
        line = re.sub(r'^The Pod "[^"]*" (is invalid|cannot run here[^:]*): ?', "", line).removeprefix("* ")
        line = re.sub(r'^(Error from server \(BadRequest\): error when creating "STDIN": Pod in version "v1" cannot be handled as a Pod|error: unable to decode "STDIN"): ', "", line)
        if line.startswith("strict decoding error: "):
            out += re.findall(r'unknown field "[^"]*"', line)
        elif line.startswith("json: "):
            out.append(line.split(" of type ")[0])
        elif line.startswith("parsing time "):
            out.append("parsing time")
        elif found := re.match(r"([\w.\[\]/ {},-]+): (Required value|Invalid value|Unsupported value|Duplicate value|Forbidden|Not found|Too long|Too many)\b", line):
            out.append(f"{found[1]}: {found[2]}")
        elif line:
            out.append(line)
    return sorted(out)


def legible(words):
    """The words for a reader of the table: without addresses and the insides of Go's structures."""
    words = re.sub(r"(core|resource)\.\w+\{.*\}: ", "...: ", words.strip())
    return re.sub(r", regex used for validation is '[^']*'", "", words)
