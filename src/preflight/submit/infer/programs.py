"""Which commands start a program of the user's, which only prepare one, and which ask a question by their status."""

import re

from preflight.submit.infer.words import Word, names

# What a command line of its own would be read for; as a later word of another command it may be started by that.
STARTED = names(
    "srun mpirun mpiexec apptainer singularity podman podman-hpc docker enroot shifter sarus ch-run uenv udocker "
    "nerdctl nvidia-docker module ml "
    "conda mamba micromamba torchrun"
)
# Commands that start nothing, whatever their words are.
SILENT = names(
    "echo printf cat tee grep egrep fgrep sed awk gawk ls ll cp mv rm ln mkdir rmdir touch chmod chown which whereis "
    "type command hash test [ [[ : true false exit return export set unset declare typeset local readonly read cd "
    "pushd popd date hostname sleep wait kill scancel scontrol squeue sacct sinfo sstat sbatch salloc du df "
    "head tail sort uniq wc cut tr basename dirname realpath readlink stat file tar gzip zip unzip rsync scp wget "
    "curl git pip pip3 make cmake nvidia-smi module ml logger mail shopt ulimit umask alias trap ps top free uname "
    "lscpu jobs shift let getopts break continue"
)
# Of these and of what is read, what may put another program where one was, by itself or by what it writes to a file.
_MAKES = names("cp mv ln tar unzip rsync scp wget curl git pip pip3 make cmake")
_COPIES = names("cat head tail cut tr sed awk gawk")
_READ = names(
    "srun mpirun mpiexec mpiexec.hydra mpiexec.slurm orterun prterun prun mpirun_rsh sh bash dash ksh mksh zsh ash env "
    "nohup time nice taskset exec builtin setsid ionice chrt sudo timeout stdbuf numactl catchsegv unbuffer sbcast "
    "gmx gmx_mpi lmp vasp_std pw.x ph.x namd3 namd2 cp2k.psmp lfs ldd nm readelf objdump nproc lspci ibstat "
    "ibv_devinfo numastat printenv clear stty mkfifo cmp diff md5sum sha256sum less more dirs column paste od xxd "
    "rocm-smi dcgmi"
)
_ASKING = ("--version", "-V", "-version", "--help", "-h")
# Beside those: they change the shell or the environment, and run no program of the user's.
_PREPARE = names("source . eval conda mamba micromamba spack pwd mktemp module-info seq id whoami squeue expr")
# Commands that ask no question: that they succeed is expected, or the job is lost anyway.
_EXPECTED = names(
    "true : cd pushd popd echo printf date hostname export set shopt ulimit umask sleep source . conda mamba "
    "micromamba pwd unset touch cp rsync tar gzip gunzip zip unzip chmod make cmake tee wait"
)
_FORCED = names("rm ln mv")  # without -f they may be a lock, or a claim
_MODULE = names("load add switch swap unload rm del purge use unuse reset restore list")
# Programs that start the job's work: a failure is the job's.
_WORK = names(
    "srun mpirun mpiexec mpiexec.hydra orterun prun torchrun accelerate deepspeed apptainer singularity podman docker "
    "shifter sarus ch-run podman-hpc enroot julia Rscript matlab octave gmx gmx_mpi lmp vasp_std pw.x ph.x namd3 namd2 "
    "cp2k.psmp snakemake nextflow"
)
_PYTHON = re.compile(r"python[\d.]*")
_QUESTION = re.compile(
    r"(?:^|[/_.-])(?:check|test|is|has|have|can|need|needs|probe|verify|valid|validate|detect|query|exists?|diff|cmp|"
    r"compare|smoke|ping|wants?|should|supports?)(?:[/_.-]|$)|^(?:\[|\[\[|grep|egrep|fgrep|command|which|type|hash|"
    r"false|nvidia-smi|rocm-smi|bash|sh|find|ls|stat|-c)$"
)


def starts(name: str) -> bool:
    """Tell whether a command may be the user's own work; "" is one whose name is not known."""
    return name not in SILENT and name not in _PREPARE


def known(name: str) -> bool:
    """Tell whether a word is surely a command, by its name."""
    return name in STARTED or name in SILENT or name in _PREPARE or name in _READ


def remakes(words: "tuple[Word, ...]", writes: bool) -> bool:
    """Tell whether a command may put other files where programs and environments are: builds, copies, installs, and
    what is not known. ``writes``: its standard output goes to a file."""
    name = words[0].name
    if len(words) == 2 and words[1].text in _ASKING:
        return False
    if name == "find":
        return any(word.text.startswith(("-exec", "-ok")) or not word.known for word in words)
    if name == "sed" and any(word.text.startswith(("-i", "--in-place")) or not word.known for word in words[1:2]):
        return True
    if name in _MAKES:
        return True
    if name in SILENT or name in _PREPARE or name in _READ:
        return writes and name in _COPIES
    return True


def is_expected(words: "list[str]") -> bool:
    """Tell whether a command's success is expected: it prepares the job or does its work, and asks no question.

    ``words``: as they are written in the script.
    """
    if not words:
        return False
    name = words[0].rpartition("/")[2]
    plain = [word for word in words[1:] if not word.startswith(("-", "+"))]
    if name in ("module", "ml"):
        asks = plain[:1] and plain[0].startswith(("is-", "av", "sh", "try", "spider"))
        return bool(plain) and (plain[0] in _MODULE or (name == "ml" and not asks))
    if name == "mkdir":
        return "-p" in words
    if name in _FORCED:
        return any(word.startswith("-") and "f" in word for word in words[1:2])
    if name in _EXPECTED:
        return not (name == "make" and any(word.startswith("-q") or word == "--question" for word in words))
    is_work = name in _WORK or words[0].startswith(("./", "../", "/"))
    if _PYTHON.fullmatch(name):
        is_work = bool(plain) and plain[0].endswith(".py")
    return is_work and not any(_QUESTION.search(word.strip("\"'")) for word in words)
