# SPDX-License-Identifier: MIT
"""Builders of the pods in admission_specs.py: each puts a piece of YAML into one position of a valid pod."""

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
