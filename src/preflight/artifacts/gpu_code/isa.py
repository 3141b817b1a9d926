"""Which CUDA brought a PTX ISA: a driver compiles the PTX of its own CUDA and of older ones.

Sources: PTX ISA, "PTX ISA release notes" (docs.nvidia.com/cuda/parallel-thread-execution), to 9.1; 9.2 to 9.5 as
ptxas of CUDA 13.2 to 13.5 writes them.
"""

# Each PTX ISA -> the first CUDA that has it.
from __future__ import annotations

CUDA_OF_ISA: dict[tuple[int, int], tuple[int, int]] = {
    (3, 0): (4, 1),
    (3, 1): (5, 0),
    (3, 2): (5, 5),
    (4, 0): (6, 0),
    (4, 1): (6, 5),
    (4, 2): (7, 0),
    (4, 3): (7, 5),
    (5, 0): (8, 0),
    (6, 0): (9, 0),
    (6, 1): (9, 1),
    (6, 2): (9, 2),
    (6, 3): (10, 0),
    (6, 4): (10, 1),
    (6, 5): (10, 2),
    (7, 0): (11, 0),
    (7, 1): (11, 1),
    (7, 2): (11, 2),
    (7, 3): (11, 3),
    (7, 4): (11, 4),
    (7, 5): (11, 5),
    (7, 6): (11, 6),
    (7, 7): (11, 7),
    (7, 8): (11, 8),
    (8, 0): (12, 0),
    (8, 1): (12, 1),
    (8, 2): (12, 2),
    (8, 3): (12, 3),
    (8, 4): (12, 4),
    (8, 5): (12, 5),
    (8, 6): (12, 7),
    (8, 7): (12, 8),
    (8, 8): (12, 9),
    (9, 0): (13, 0),
    (9, 1): (13, 1),
    (9, 2): (13, 2),
    (9, 3): (13, 3),
    (9, 4): (13, 4),
    (9, 5): (13, 5),
}


def cuda_of(isa: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the first CUDA with a PTX ISA, None where that is not known."""
    return CUDA_OF_ISA.get(isa) if isa else None
