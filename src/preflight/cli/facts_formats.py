"""What a node is, for other programs: a feature file of Node Feature Discovery, and Ansible's local facts."""

from __future__ import annotations

import json
import re

from preflight.facts.document import FactsDocument
from preflight.policy.model import Policy
from preflight.requirements.encode import PARTS, extra_of, features_of

PREFIX = "preflight-"  # behind feature.node.kubernetes.io/, which NFD puts before a name without a namespace
MOST_BYTES = 65536  # a larger feature file is ignored (Node Feature Discovery 0.14 and later)
# Kubernetes: the name of a label, and a value that is not empty, are at most 63 of these, the ends a letter or digit.
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)


def nfd(document: FactsDocument, policy: Policy) -> str:
    """Return a feature file: what Preflight publishes to Slurm as labels, without what no label can hold.

    Each word of the node's Features has the value "true"; each key of its Extra its value, numbers as whole numbers, so
    that an affinity's Gt and Lt compare versions (12.4 is 12004000) and sizes in MiB.
    """
    view, minor, tables = document.view(), policy.cuda.minor_version_compatibility, policy.tables()
    values = dict.fromkeys(features_of(view, minor, tables), "true")
    extra = extra_of(view, minor, tables)
    values |= {key: str(value) for key, value in extra.items() if not key.endswith(PARTS)}
    text = "# Made by preflight facts --format nfd\n"
    for key, value in sorted(values.items()):
        line = f"{PREFIX}{key}={value}\n"
        if _LABEL.fullmatch(f"{PREFIX}{key}") and _LABEL.fullmatch(value) and len(text) + len(line) <= MOST_BYTES:
            text += line
    return text


def ansible(document: FactsDocument) -> str:
    """Return the facts as /etc/ansible/facts.d/preflight.fact prints them: ``ansible_local.preflight.cuda.version``.

    Unknown facts stand below ``unknown``, "subject" or "subject.key" -> reason.
    """
    found = document.to_dict()
    return json.dumps({**found["facts"], "unknown": found["unknown"], "collected": found["collected"]})
