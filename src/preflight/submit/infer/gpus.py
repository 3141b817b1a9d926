"""How many GPUs a job asks Slurm for, and how many processes torchrun starts on a node."""

from collections.abc import Sequence

from preflight.digits import is_whole
from preflight.submit.gpu_types import is_counted
from preflight.submit.infer.model import Collector, Command
from preflight.submit.infer.session import Session
from preflight.submit.infer.words import Word, arguments, names
from preflight.submit.options import Option
from preflight.submit.options_asked import Component, asked
from preflight.submit.options_values import gres_counts, with_type

# torchrun's options that take a value; all are written with - or _ between their words. Source: torchrun --help.
_TORCH_WORDS = names(
    "--nnodes --nproc_per_node --rdzv_backend --rdzv_endpoint --rdzv_id --rdzv_conf --max_restarts --monitor_interval "
    "--start_method --role --log_dir -r --redirects -t --tee --local_ranks_filter --node_rank --master_addr "
    "--master_port --local_addr --logs_specs --numa_binding --event_log_handler --duplicate_stdout_filters "
    "--duplicate_stderr_filters --signals_to_handle"
)
_TORCH = _TORCH_WORDS | {name.replace("_", "-") for name in _TORCH_WORDS}
_WAYS = {
    "gres": (gres_counts, True),
    "gpus-per-node": (with_type, True),
    "gpus-per-task": (with_type, True),
    "tres-per-task": (gres_counts, True),
    "gpus-per-socket": (with_type, False),
}


def wanted(components: Sequence[Component], cwd: str) -> list[bool]:
    """Whether each component asks Slurm for GPUs; raises OptionError for a value that sbatch refuses."""
    return [asked(one, cwd).gpus is not None for one in components]


def _whole(by_type: "dict[str, int]") -> int:
    """Return how many GPUs of NVIDIA are asked for: a MIG slice is none, and another vendor's are not counted here."""
    return sum(number for kind, number in by_type.items() if is_counted(kind))


def counts(collector: Collector, components: Sequence[Component], cwd: str) -> None:
    """Add the counts that a job's options state of each node."""
    for place, component in enumerate(components):
        given = asked(component, cwd)
        for name, (read, stated) in _WAYS.items():
            option = component.options.get(name)
            number = _whole(read(option.value)) if option is not None and option.value else 0
            if option is not None and number:
                why = "asks for that many GPUs" if stated else "asks for GPUs"
                _count(collector, option, number if stated else 1, why, place)
        total = component.options.get("gpus")
        whole = _whole(with_type(total.value)) if total is not None and total.value else 0
        if total is not None and whole and given.gpus is not None and given.gpus.total:
            own = given.nodes == (1, 1)
            why = f"asks for {whole} GPUs, on how many nodes is not said here"
            why = "asks for that many GPUs on one node" if own else why
            _count(collector, total, whole if own else 1, why, place)


def _count(collector: Collector, option: Option, number: int, why: str, place: int) -> None:
    text = None if option.line else option.text
    collector.need(f"gpu.count>={number}", option.line, f"{option.text} {why}", text=text, groups=(place,), binds=False)


def torchrun(session: Session, command: Command) -> None:
    """`torchrun --nproc_per_node=N`: each of the N processes takes a GPU of the node."""
    processes(session, command, command.words[1:])


def processes(session: Session, command: Command, words: Sequence[Word]) -> None:
    """Add a GPU for each process of a node, where their number is written; ``words`` are torchrun's arguments."""
    value = arguments(words, _TORCH, clusters=False).value("--nproc_per_node", "--nproc-per-node")
    if value is not None and is_whole(value.text) and 0 < int(value.text[:6]) < 1000:
        why = f"torchrun starts {int(value.text)} processes on a node, one a GPU"
        session.need(command, f"gpu.count>={int(value.text)}", value.line, why, binds=False)
