"""The options that sbatch takes, of Slurm 22.05 to 26.05, and the variables that stand for them.

A table because each row is a fact of Slurm's: tests/lab/test_sbatch_table.py holds it against the sbatch in use.
"""

from preflight.tuples import NamedTuple


class Row(NamedTuple):
    """One option: ``takes`` is "flag", "value" or "optional" (a value only in --name=value and -xvalue).

    ``canonical``: the option that this is another spelling of, its own name else. ``each``: every component of a
    heterogeneous job begins without it; the others carry over from the component before. ``early``: sbatch obeys it on
    the command line only, never in a script.
    """

    name: str
    short: str
    takes: str
    canonical: str
    each: bool
    early: bool


# Name, letter, what it takes; then "each", "early", or the option that it is another name of.
_SBATCH = """
account              A value
acctg-freq           - value
array                a value
autocomplete         - value
batch                - value
bb                   - value    each
bbf                  - value
begin                b value
chdir                D value
cluster              - value    clusters
cluster-constraint   - value
clusters             M value
comment              - value
consolidate-segments - flag     each
constraint           C value    each
container            - value
container-id         - value
container-type       - value
context              - value
contiguous           - flag     each
core-spec            S value    each
cores-per-socket     - value    each
cpu-freq             - value    each
cpus-per-gpu         - value    each
cpus-per-task        c value    each
deadline             - value
delay-boot           - value
dependency           d value
distribution         m value    each
error                e value
exclude              x value
exclusive            - optional each
export               - value
export-file          - value
external             - flag     each
extra                - value
extra-node-info      B value    each
get-user-env         - optional
gid                  - value
gpu-bind             - value    each
gpu-freq             - value    each
gpus                 G value    each
gpus-per-node        - value    each
gpus-per-socket      - value    each
gpus-per-task        - value    each
gres                 - value    each
gres-flags           - value    each
help                 h flag     early
hint                 - value    each
hold                 H flag
ignore-pbs           - flag
input                i value
job-name             J value
kill-on-invalid-dep  - value
licenses             L value    each
mail-type            - value    each
mail-user            - value    each
mcs-label            - value
mem                  - value
mem-bind             - value    each
mem-per-cpu          - value    each
mem-per-gpu          - value    each
mem-update           - value
mincpus              - value    each
network              - value    each
nice                 - optional
no-kill              k optional
no-requeue           - flag
nodefile             F value    each
nodelist             w value    each
nodes                N value    each
ntasks               n value    each
ntasks-per-core      - value    each
ntasks-per-gpu       - value    each
ntasks-per-node      - value    each
ntasks-per-socket    - value    each
ntasks-per-tres      - value    each
oom-kill-step        - optional
open-mode            - value
output               o value
overcommit           O flag     each
oversubscribe        s flag     each
parsable             - flag
partition            p value    each
power                - value    each
prefer               - value
priority             - value
profile              - value
propagate            - optional
qos                  q value
quiet                Q flag     early
reboot               - flag
requeue              - optional
reservation          - value
resources            - value    each
resv-ports           - optional each
runtime              - value
segment              - value    each
signal               - value
sockets-per-node     - value    each
spread-job           - flag     each
spread-segments      - flag     each
stepmgr              - flag
switches             - value    each
tasks-per-node       - value    each ntasks-per-node
test-only            - flag
thread-spec          - value    each
threads-per-core     - value    each
time                 t value
time-min             - value
tmp                  - value    each
tres-bind            - value    each
tres-per-task        - value    each
uid                  - value
usage                - flag     early
use-min-nodes        - flag     each
verbose              v flag     early
version              V flag     early
wait                 W flag
wait-all-nodes       - value
wckey                - value
wrap                 - value    early
"""

# Options of SPANK plugins: ours, and those of pyxis 0.20 (github.com/NVIDIA/pyxis, args.c).
_PLUGINS = """
require              value
container-image      value
container-mounts     value
container-workdir    value
container-name       value
container-save       value
container-env        value
container-mount-home flag
no-container-mount-home flag
container-remap-root flag
no-container-remap-root flag
container-entrypoint flag
no-container-entrypoint flag
container-entrypoint-log flag
container-writable   flag
container-readonly   flag
image                value
module               value
volume               value
environment          value
uenv                 value
view                 value
"""


def _row(line: str, plugin: bool) -> Row:
    words = line.split()
    name, rest = words[0], words[1:]
    short = "" if plugin or rest[0] == "-" else rest[0]
    takes, *more = rest if plugin else rest[1:]
    canonical = next((word for word in more if word not in ("each", "early")), name)
    return Row(name, short, takes, canonical, "each" in more, "early" in more)


ROWS = {row.name: row for row in (_row(line, False) for line in _SBATCH.split("\n") if line)}
PLUGIN_ROWS = {row.name: row for row in (_row(line, True) for line in _PLUGINS.split("\n") if line)}
LETTERS = {row.short: row for row in ROWS.values() if row.short}
