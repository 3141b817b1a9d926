"""The clauses of the job's requirement and of the site's expectations."""

from __future__ import annotations

from preflight.checks.finding import Finding, failed, passed, untold
from preflight.checks.registry import ENVIRONMENT, Context, check

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator


@check(
    "requirement",
    reads=(),
    phases=("prolog",),
    action="move",
    remedy="ask for what a node has: preflight facts",
    blame="job",
)
def requirement(context: Context, limit: float | None) -> Iterator[Finding]:
    """What the job asked for with --require or in its comment, judged on the job's own GPUs."""
    for text, source, why in context.broken:
        if source == ENVIRONMENT:
            continue
        written = "write it as in: preflight require --help"
        subject = text[:80].replace(":", " ")
        yield untold(f"cannot be read: {why}", subject=subject, expected=text, remedy=written, source=source)
    yield from _clauses(context, ours=False)


USED_UP = "look for what users and ended jobs left there; what users can use up drains no node"
REPAIR = "repair the node, or correct [[expect]] in the policy"


@check("expectation", reads=(), remedy=REPAIR)
def expectation(context: Context, limit: float | None) -> Iterator[Finding]:
    """What the site expects of this node ([[expect]] in the policy), judged on the whole node."""
    yield from _clauses(context, ours=True)
    for paths, number, at in context.held:
        hold = "expectations hold" if number > 1 else "expectation holds"
        yield passed(
            f"{number} {hold}, as judged at {at}: what they read is the same",
            subject=", ".join(paths),
            blame="node",
            source="policy",
        )


OTHER_GPUS = "choose GPUs that it has code for (preflight plan SCRIPT), or builds for these (preflight code PATH)"
NO_IMAGE = "CUDA answers 'no kernel image is available for execution on the device'"
NO_COMPILER = "CUDA answers that the PTX is of an unsupported toolchain"


@check(
    "gpu.code",
    reads=(),
    phases=("prolog",),
    action="warn",
    remedy=OTHER_GPUS,
    blame="job",
    subject=ENVIRONMENT,
    source=ENVIRONMENT,
)
def gpu_code(context: Context, limit: float | None) -> Iterator[Finding]:
    """The job's GPUs run the GPU code of its environment, where that was looked into at submit (preflight sbatch)."""
    if context.gpus is not None and not context.gpus.some:
        return  # none, or another vendor's
    for _, source, why in context.broken:
        if source == ENVIRONMENT:
            yield untold(f"what the job's environment has code for cannot be read: {why}")
    for asked in context.asked:
        if asked.stated:
            continue
        from preflight.requirements.evaluate import evaluate
        from preflight.requirements.summary import span

        results = evaluate(asked.requirement, context.job, tables=context.policy.tables())
        worst = next((one for word in ("fail", "unknown") for one in results if one.status == word), results[0])
        code, _, cuda = worst.text.partition("driver.cuda>=")
        targets = span(code.removeprefix("gpu.code=").rstrip("| ").split("+"))
        needs = " or ".join(filter(None, (targets, f"a driver of CUDA {cuda}" if cuda else "")))
        about = {"subject": asked.source, "expected": needs, "observed": worst.observed, "source": asked.source}
        if worst.status == "fail":
            answer = NO_COMPILER if cuda else NO_IMAGE
            yield failed(f"the job's environment needs {needs}; the job has {worst.observed}: {answer}", **about)
        elif worst.status == "unknown":
            yield untold(f"whether the job's GPUs run its environment's code ({needs}) is not known", **about)
        else:
            yield passed("the job's GPUs run the GPU code of its environment", **about)


def _clauses(context: Context, ours: bool) -> Iterator[Finding]:
    """Judge the site's clauses (``ours``) or the job's; who is to blame follows from where a clause comes from."""
    view = context.node if ours else context.job
    minor = context.policy.cuda.minor_version_compatibility
    tables = context.policy.tables()
    for asked in context.asked:
        if (asked.source == "policy") is not ours or not asked.stated:
            continue
        from preflight.requirements.evaluate import consumable, evaluate  # only where something is asked

        results = evaluate(asked.requirement, view, cuda_minor=minor, tables=tables)
        for clause, result in zip(asked.requirement.clauses, results):
            # A user can fill /dev/shm; were that the node's fault, any user could have it drained.
            used_up = ours and consumable(clause)
            remedy = (USED_UP if used_up else REPAIR) if ours else result.remedy
            yield Finding(
                check="",
                status=result.status,
                blame="user" if used_up else asked.blame,
                subject=result.text.replace(":", " "),
                expected=result.text,
                observed=result.observed,
                message=result.message,
                remedy=None if result.status == "pass" else remedy,
                source=asked.source,
            )
