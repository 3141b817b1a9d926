"""Where the prolog leaves the task prolog's note; shared by root's side and the user's."""

RUN_DIR = "/run/preflight"


def note_path(run_dir: str, node: str, job_id: int) -> str:
    """Return where the task prolog of a job finds its note."""
    return f"{run_dir}/task/{node}.{job_id}"
