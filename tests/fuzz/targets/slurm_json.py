"""The JSON of squeue and of scontrol."""

import json

from preflight.slurm import job_json, node_json
from preflight.slurm.commands import SlurmError

ERRORS = (SlurmError,)
TOKENS = (
    b'{"set":true,"infinite":false,"number":1}', b"null", b"true", b"[]", b"{}", b"1e999", b"-1", b'"', b"1e308",
    b"Infinity",
)  # fmt: skip
LONGEST = 16384


def seeds() -> list[bytes]:
    """Return a job and a node as data_parser writes them."""
    number = {"set": True, "infinite": False, "number": 7}
    unset = {"set": False, "infinite": False, "number": 0}
    texts = (
        "array_task_string", "state_description", "required_nodes", "excluded_nodes", "features", "prefer", "extra",
        "comment", "admin_comment", "dependency", "resv_name",
    )  # fmt: skip
    numbers = ("priority", "node_count", "submit_time", "eligible_time", "start_time")
    none = ("array_job_id", "array_task_id", "het_job_id", "het_job_offset", "end_time")
    job = {
        **dict.fromkeys(texts, ""), **dict.fromkeys(numbers, number), **dict.fromkeys(none, unset), "job_id": 7,
        "name": "x", "user_name": "ann", "user_id": 1000, "partition": "main", "job_state": ["RUNNING"],
        "state_reason": "None", "requeue": True, "batch_flag": True, "restart_cnt": 0, "nodes": "n1",
        "tres_per_node": "gres/gpu:1", "exit_code": {"return_code": number, "signal": {"id": unset}},
    }  # fmt: skip
    node = {
        "name": "n1", "state": ["IDLE"], "reason": "", "partitions": ["main"], "features": ["a"],
        "active_features": ["a"], "extra": "{}", "gres": "gpu:1", "cpus": 4, "real_memory": 4096,
    }  # fmt: skip
    documents = ({"jobs": [job], "errors": []}, {"nodes": [node]}, {"jobs": [], "errors": [{"description": "no"}]})
    return [json.dumps(one).encode() for one in documents]


def check(data: bytes) -> None:
    """Read the text as jobs and as nodes; what is read has the types of the models."""
    text = data.decode("utf-8", "surrogateescape")
    first: SlurmError | None = None
    for read in (job_json.parsed, node_json.parsed):
        try:
            read(text)
        except SlurmError as error:
            first = first or error
    if first is not None:
        raise first
