"""Generated from data/forward.toml by python -m preflight.catalog.compile; change that."""

from __future__ import annotations

S0 = 'NVIDIA driver redistrib_620.70.06.json (cuda_compat)'
S1 = 'CUDA 13.4 Update 1 release notes, copy'
S2 = 'NVIDIA driver redistrib_610.57.04.json (cuda_compat)'
S3 = 'nvidia/cuda 13.2 image ENV, re-typed copy'
S4 = 'nvidia/cuda 13.1.1 image ENV'
S5 = 'NVIDIA/nvidia-container-toolkit cmd/nvidia-cdi-hook/cudacompat @d34b304'
S6 = 'NVIDIA forward-compatibility matrix, secondary copies'
S7 = 'nvidia/cuda 12.4.1 image ENV'
S8 = 'nvidia/cuda 12.2 image ENV'
S9 = 'nvidia/cuda 12.1 image ENV NVIDIA_REQUIRE_CUDA'

FORWARD: tuple[dict[str, object], ...] = (
    {"cuda": "13.5", "native_from": 620, "source": (S0,)},
    {"cuda": "13.4", "native_from": 615, "source": (S1,)},
    {"cuda": "13.3", "native_from": 610, "source": (S2,)},
    {"cuda": "13.2", "native_from": 595, "hosts": (535, 570, 580, 590,), "uncertain": True, "note": "hosts from a re-typed image environment", "source": (S3,)},
    {"cuda": "13.1", "native_from": 590, "hosts": (535, 550, 570, 575, 580,), "source": (S4, S5,)},
    {"cuda": "13.0", "native_from": 580, "hosts": (535, 550, 570, 575,), "source": (S6,)},
    {"cuda": "12.9", "native_from": 575, "hosts": (535, 550, 560, 565, 570,), "note": "560 and 565 from the library's own note .note.cuda.fwd_compatibility", "source": (S6, S5,)},
    {"cuda": "12.8", "native_from": 570, "hosts": (535, 550,), "source": (S6,)},
    {"cuda": "12.4", "native_from": 550, "hosts": (470, 525, 535,), "note": "a copy of the matrix shows 535 only: older branches had ended by then", "source": (S6, S7,)},
    {"cuda": "12.2", "native_from": 535, "hosts": (450, 470, 525,), "tesla_only": (450,), "note": "450 for brand tesla only", "source": (S6, S8,)},
    {"cuda": "12.1", "native_from": 530, "hosts": (450, 470, 510, 515, 525,), "tesla_only": (450,), "note": "450 for brand tesla only", "source": (S9,)},
)
