"""GPU code in files: which architectures a program, a library, a wheel or an environment holds code for.

The file itself says it: nothing is run, loaded or unpacked, because kind, architecture and PTX ISA always stand in
clear. How the format was seen, and what follows from it: docs/gpu-code.md.
"""

from preflight.artifacts.gpu_code.model import Code, CodeError, Container, Needs, Part
from preflight.artifacts.gpu_code.read import read, read_bytes

__all__ = ["Code", "CodeError", "Container", "Needs", "Part", "read", "read_bytes"]
