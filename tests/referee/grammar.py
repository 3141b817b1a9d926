"""A grammar of batch scripts: what users write around the programs that they start. ``pick(n)`` chooses below n."""

from collections.abc import Callable, Sequence

_DEPTH = 3
_CONDITIONS = (
    "[ -f f1 ]", "[ -f f2 ]", '[ "$DEVICE" = gpu ]', "[[ -f f3 ]]", "grep -q x y", "true", "false", "./check_gpu",
    "command -v nothing > /dev/null", "! [ -f f1 ]", "module is-avail x", "nvidia-smi > /dev/null",
)  # fmt: skip
_PREPARING = ("cd .", "mkdir -p d", "export X=1", "touch t", "true", ":", "echo text", "date", "rm -f t", "ulimit -c 0")
_NAMES = ("V1", "V2", "E1", "X1", "I1", "O1", "R1", "A1", "B1", "C1", "T1")
_REDIRECTS = ("", "", "", "", " > log", " 2>&1", " < /dev/null", " &> log", " >> log 2>&1")


class Grammar:
    """Makes one script. It ends with `true`, so that a failing status is one that the script chose, or `set -e`."""

    def __init__(self, pick: Callable[[int], int]) -> None:
        self.pick = pick
        self.functions: list[str] = []
        self.counter = 0

    def one(self, options: Sequence[str]) -> str:
        """Choose one of several texts."""
        return options[self.pick(len(options))]

    def script(self) -> str:
        """Return a whole script."""
        head = self.one(("", "", "set -e\n", "set -euo pipefail\n".replace("u", ""), "set -o errexit\n"))
        known = "" if self.pick(3) == 0 else "".join(f"{self.known(name)}\n" for name in _NAMES)
        return f"#!/bin/bash\n#SBATCH --gres=gpu:1\n{head}{known}{self.block(0, 2, 9)}\ntrue\n"

    def known(self, name: str) -> str:
        """Return an assignment whose value is certain: without it most of what follows would not be."""
        options = {
            "V1": self.module(), "V2": self.module(), "E1": "", "X1": "", "I1": self.image("docker://"),
            "O1": f'"{self.option()}"', "R1": f'"{self.prefix()}"', "A1": f"({self.option()} {self.option()})",
            "B1": f"({self.module()} {self.module()})", "C1": f"({self.prefix()})", "T1": "12.3.1-base",
        }  # fmt: skip
        return f"{name}={options[name]}"

    def block(self, depth: int, least: int = 1, most: int = 4) -> str:
        """Return several statements, each on lines of its own."""
        return "\n".join(self.statement(depth) for _ in range(least + self.pick(most - least + 1)))

    def statement(self, depth: int) -> str:
        """Return one statement."""
        simple = (
            self.command,
            self.command,
            self.command,
            self.assignment,
            self.assignment,
            self.assignment,
            self.chain,
            self.other,
        )
        nested = (
            self.condition, self.case, self.loop, self.function, self.call, self.call, self.subshell, self.text,
            self.shell, self.trap, self.background, self.guard,
        )  # fmt: skip
        makers = simple if depth >= _DEPTH else (*simple, *nested)
        return makers[self.pick(len(makers))](depth)

    # Words

    def module(self) -> str:
        return f"m{self.pick(6)}"

    def image(self, scheme: str = "") -> str:
        return self.one([*(f"{scheme}nvidia/cuda:12.{number}.1-base" for number in range(5)), "lab/x.sif", "lab/y.sif"])

    def option(self) -> str:
        return self.one((f"--container-image={self.image()}", "-n 1", "--label", "-w host1"))

    def prefix(self) -> str:
        return self.one((
            "srun", "srun -n 1", f"srun --container-image={self.image()}", "mpirun -np 2", "nohup",
            f"apptainer exec --nv {self.image('docker://')}", f"apptainer exec {self.image('docker://')}",
        ))  # fmt: skip

    def program(self) -> str:
        return self.one(("./p0", "./p1 -x 1", "./p2", "python train.py", "./p3 --in=a", "./run.sh"))

    def modules(self) -> str:
        """Return words that name modules."""
        return self.one((
            self.module(), f"{self.module()} {self.module()}", "$V1", '"$V1"', "${V2}", "$V2", '"${B1[@]}"', "${B1[@]}",
            "${B1[0]}", "$B1", f"'{self.module()}'", "${V1:-m9}", "$1", '"$@"', f"{self.module()}$E1",
        ))  # fmt: skip

    def plain(self) -> str:
        """Return a command line without redirections."""
        return self.one((
            f"module load {self.modules()}",
            f"module load {self.modules()}",
            f"ml {self.modules()}",
            f"{self.prefix()} {self.program()}",
            f"srun {self.option()} {self.program()}",
            f"srun $O1 {self.program()}",
            f'srun "${{A1[@]}}" {self.program()}',
            f"srun ${{A1[@]}} {self.option()} {self.program()}",
            f'srun "$O1" {self.program()}',
            f"$R1 {self.program()}",
            f'"${{C1[@]}}" {self.program()}',
            f"srun apptainer exec --nv {self.image('docker://')} ./p1",
            f'apptainer exec --nv "$I1" {self.program()}',
            f"apptainer exec --nv $I1 {self.program()}",
            self.program(),
            f"X=1 {self.program()}",
            f"srun \\\n  {self.option()} \\\n  {self.program()}",
        ))  # fmt: skip

    def line(self) -> str:
        """Return a command on one line: of one that goes on within $(…) bash tells other lines."""
        return self.plain().replace("\\\n", "")

    # Statements

    def command(self, depth: int) -> str:
        del depth
        return self.plain() + self.one(_REDIRECTS)

    def assignment(self, depth: int) -> str:
        """Return an assignment: of names of modules, options, the begin of a command, and arrays of these."""
        del depth
        name, sign = self.one(("V1", "V2", "O1", "O1", "R1", "A1", "B1", "C1", "I1")), self.one(("=", "=", "=", "+="))
        declare = self.one(("", "", "", "export ", "declare ")) if sign == "=" else ""
        module, option, prefix = self.module(), self.option(), self.prefix()
        blank = " " if sign == "+=" else ""
        words = {
            "V": (module, f'"{module}"', "$V2", "$(echo m1)", f"{module}$E1", "", "${V1}", "`echo m2`"),
            "O": tuple(
                f'"{blank}{text}"'
                for text in (option, f"{option} {self.option()}", f"$O1 {option}", f"$X1 {option}", "--label")
            ),
            "R": (f'"{prefix}"', f'"{prefix} $(hostname)"', '"srun $O1"', '"srun -w $(hostname)"'),
            "A": (f"({option})", f"({option} {self.option()})", '("$X1")', "()", '(--label "--container-image=$I1")'),
            "B": (f"({module})", f"({module} {self.module()})", "($V1)", "()", "($(echo m1))"),
            "C": (f"({prefix})", "(srun -n 1)", "(srun $O1)", '(mpirun "${A1[@]}")', "(nohup srun -n 1)"),
            "I": (self.image("docker://"), "docker://nvidia/cuda:$T1", "$(echo lab/x.sif)"),
        }
        # What is appended to the begin of a command or to an image makes neither.
        return f"{declare}{name}{'=' if name[0] in 'RCI' else sign}{self.one(words[name[0]])}"

    def other(self, depth: int) -> str:
        """What changes variables in other ways, or the shell."""
        del depth
        return self.one((
            "read V1 < f1", "read -r V2 <<< m3", "printf -v V1 m4", "unset V1", "unset B1", "(( N1++ ))", "B1[0]=m5",
            "set +e", "set -e", "shift", "set -- m1 m2", "IFS=,", "E1=", "E1=s", "T1=12.1.1-base", ": ${V1:=m5}",
            "V1=${V1:-m0}", "V2=${V2:+m1}", "eval 'module load m2'", 'eval "V1=m1"', "eval $R1 ./p0", "local_=1",
            "module purge", "module use /nowhere", "declare -a B1=(m1 m2)", "export V1", "wait", "let N1=1",
            "mapfile -t B1 < f1", "V1=$V2", 'V1="$1"', "unset A1 O1", "declare V1", "typeset V2=m1",
            "module load $V1 || true",
            "V1=a V2=b ./p0", "PATH=$PATH", "[ -f f1 ] && V1=m3", "cd d 2> /dev/null || true", "O1=",
        ))  # fmt: skip

    def chain(self, depth: int) -> str:
        del depth
        parts = [self.one((self.plain(), self.one(_CONDITIONS), self.one(_PREPARING), self.plain()))]
        for _ in range(1 + self.pick(3)):
            parts.append(self.one(("&&", "&&", "||", ";", "|")))
            parts.append(
                self.one(
                    (
                        self.plain(),
                        self.plain(),
                        "exit 1",
                        "true",
                        self.one(_PREPARING),
                        "{ echo no; exit 1; }",
                        "tee log",
                    )
                )
            )
        return " ".join(parts)

    def guard(self, depth: int) -> str:
        del depth
        return self.one((
            "[ -f f1 ] && exit 0", "if [ -f f2 ]; then exit 0; fi", "[[ -f f3 ]] && { echo done; exit 0; }",
            "[ -f f1 ] || exit 1", "if ! ./check_gpu; then echo no; exit 1; fi", "[ -f f1 ] && exit", "exit 0",
            "[ -f f2 ] && exec ./p0", "[ -f f1 ] && return 0 2> /dev/null", "grep -q x z || exit 2",
        ))  # fmt: skip

    def condition(self, depth: int) -> str:
        head = self.one((*_CONDITIONS, *_CONDITIONS, self.plain()))
        other = self.pick(3)
        tail = (
            ""
            if other == 0
            else f"\nelse\n{self.block(depth + 1)}"
            if other == 1
            else (f"\nelif {self.one(_CONDITIONS)}; then\n{self.block(depth + 1)}")
        )
        return f"if {head}; then\n{self.block(depth + 1)}{tail}\nfi"

    def case(self, depth: int) -> str:
        return f"case $DEVICE in\n  gpu)\n{self.block(depth + 1)}\n  ;;\n  *) {self.one(_PREPARING)} ;;\nesac"

    def loop(self, depth: int) -> str:
        body = self.block(depth + 1)
        return self.one((
            f"for i in 1 2; do\n{body}\ndone", f"for V1 in m1 m2; do\n{body}\ndone",
            f"while [ -f f1 ]; do\n{body}\nbreak\ndone", f"for i in $X1; do\n{body}\ndone",
            f"for ((j=0; j<2; j++)); do\n{body}\ndone", f"until [ -f f2 ]; do\n{body}\nbreak\ndone",
            f"while read -r V2; do\n{body}\ndone < f1",
            f"for i in 1 2; do\n{body}\n[ -f f1 ] && continue\n{body}\ndone",
        ))  # fmt: skip

    def function(self, depth: int) -> str:
        """Return a function. Its name is new, so that none can call itself (in the background that would be without
        end), or that of an earlier one, which it takes the place of: then it calls none."""
        if self.functions and self.pick(6) == 0:
            return f"{self.one(self.functions)}() {{\n{self.command(depth)}\n}}"
        first = ("", "local V1=m3\n", "local V2=$1\n", "shift\n", "[ -f f1 ] && return 0\n", "local -a B1=(m1)\n")
        body = self.one(first) + self.block(depth + 1)
        self.counter += 1
        name = f"fn{self.counter}"
        self.functions.append(name)
        return self.one((f"{name}() {{\n{body}\n}}", f"function {name} {{\n{body}\n}}", f"{name}() (\n{body}\n)"))

    def call(self, depth: int) -> str:
        if not self.functions:
            return self.command(depth)
        name = self.one(self.functions)
        return name + self.one(("", "", " m1", " $V1", " m1 m2", " || exit 1", " && module load m5", ' "$@"', " &"))

    def subshell(self, depth: int) -> str:
        body = self.block(depth + 1)
        return self.one(
            (
                f"(\n{body}\n)",
                f"{{\n{body}\n}} > log 2>&1",
                f"{{\n{body}\n}}",
                f"{{\n{body}\n}} | tee log",
                f"X1=$({self.line()})",
                f"! {{\n{body}\n}}",
            )
        )

    def text(self, depth: int) -> str:
        """A here-document: text, commands in it, or the input of a shell."""
        del depth
        return self.one((
            f"cat > t <<EOF\nmodule load m1\n{self.one(('', '$(module load m2)', 'EOFX', ' EOF'))}\nEOF",
            f"cat <<'EOF'\n$(module load m3)\n{self.plain()}\nEOF",
            f"bash <<'EOF'\n{self.plain()}\nEOF",
            "cat <<-EOF\n\tmodule load m4\n\tEOF",
            f"bash <<< '{self.module()}; module load m1'",
            f"echo 'module load {self.module()}' | bash",
        ))  # fmt: skip

    def shell(self, depth: int) -> str:
        del depth
        inner = self.one(
            (
                f"module load {self.module()}",
                "module load $V1",
                "./p0",
                f"[ -f f1 ] && exit 0; module load {self.module()}",
                "srun $O1 ./p1",
            )
        )
        return self.one(
            (f"bash -c '{inner}'", f'bash -c "{inner}"', f"srun bash -c '{inner}'", f"srun $O1 bash -c '{inner}'")
        )

    def trap(self, depth: int) -> str:
        inner = self.one((f"module load {self.module()}", "rm -f t", "./p0", "V1=m5", *(self.functions or ["true"])))
        del depth
        return f"trap '{inner}' {self.one(('EXIT', 'USR1', 'TERM', 'ERR'))}"

    def background(self, depth: int) -> str:
        del depth
        return f"{self.plain()} &{self.one((chr(10) + 'wait', '', chr(10) + 'wait'))}"
