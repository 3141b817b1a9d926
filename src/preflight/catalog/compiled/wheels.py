"""Generated from data/wheels.toml by python -m preflight.catalog.compile; change that."""

from __future__ import annotations

S0 = 'https://github.com/pytorch/pytorch/blob/main/RELEASE.md (PyTorch CUDA Support Matrix, for 2.12, 2.13 and 2.14)'
S1 = 'https://github.com/pytorch/pytorch/issues/172663 (PyTorch 2.11), and .ci/manywheel/build_cuda.sh at v2.11.0'
S2 = 'https://github.com/pytorch/pytorch/issues/157517 (releases 2.8 and 2.9)'
S3 = 'https://github.com/pytorch/pytorch/blob/main/RELEASE.md (2.7: CUDA and cuDNN) and CUDA_UPGRADE_GUIDE.md in pytorch/builder (architectures of these)'
S4 = 'the wheel on PyPI, read by scripts/wheel_row.py on 2026-11-30'

WHEELS: tuple[dict[str, object], ...] = (
    {"family": "torch", "version": "2.14", "build": "cu126", "arch": "x86_64", "cuda": "12.6", "targets": ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90",), "python": "3.10", "source": (S0,)},
    {"family": "torch", "version": "2.14", "build": "cu130", "arch": "x86_64", "cuda": "13.0", "targets": ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120",), "python": "3.10", "source": (S0,)},
    {"family": "torch", "version": "2.14", "build": "cu132", "arch": "x86_64", "cuda": "13.2", "targets": ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120",), "python": "3.10", "source": (S0,)},
    {"family": "torch", "version": "2.14", "build": "cu126", "arch": "aarch64", "cuda": "12.6", "targets": ("sm_80", "sm_90",), "python": "3.10", "source": (S0,)},
    {"family": "torch", "version": "2.14", "build": "cu130", "arch": "aarch64", "cuda": "13.0", "targets": ("sm_80", "sm_90", "sm_100", "sm_110", "sm_120", "compute_120",), "python": "3.10", "source": (S0,)},
    {"family": "torch", "version": "2.14", "build": "cu132", "arch": "aarch64", "cuda": "13.2", "targets": ("sm_80", "sm_90", "sm_100", "sm_110", "sm_120", "compute_120",), "python": "3.10", "source": (S0,)},
    {"family": "torch", "version": "2.11", "build": "cu126", "arch": "x86_64", "cuda": "12.6", "targets": ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90",), "python": "3.10", "source": (S1,)},
    {"family": "torch", "version": "2.11", "build": "cu128", "arch": "x86_64", "cuda": "12.8", "targets": ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120",), "python": "3.10", "source": (S1,)},
    {"family": "torch", "version": "2.11", "build": "cu130", "arch": "x86_64", "cuda": "13.0", "targets": ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120",), "python": "3.10", "source": (S1,)},
    {"family": "torch", "version": "2.8", "build": "cu126", "arch": "x86_64", "cuda": "12.6", "targets": ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90",), "source": (S2,)},
    {"family": "torch", "version": "2.7", "build": "cu118", "arch": "x86_64", "cuda": "11.8", "targets": ("sm_37", "sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90",), "source": (S3,)},
    {"family": "torch", "version": "2.7", "build": "cu126", "arch": "x86_64", "cuda": "12.6", "targets": ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90",), "source": (S3,)},
    {"family": "torch", "version": "2.7", "build": "cu128", "arch": "x86_64", "cuda": "12.8", "targets": ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120",), "source": (S3,)},
    {"family": "bitsandbytes", "version": "0.50.2", "build": "cu118", "arch": "x86_64", "cuda": "11.8", "targets": ("sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90",), "glibc": "2.32", "python": "3.10", "source": (S4,)},
    {"family": "bitsandbytes", "version": "0.50.2", "build": "cu121", "arch": "x86_64", "cuda": "12.1", "targets": ("sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90",), "glibc": "2.32", "python": "3.10", "source": (S4,)},
    {"family": "bitsandbytes", "version": "0.50.2", "build": "cu124", "arch": "x86_64", "cuda": "12.4", "targets": ("sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90",), "glibc": "2.32", "python": "3.10", "source": (S4,)},
    {"family": "bitsandbytes", "version": "0.50.2", "build": "cu126", "arch": "x86_64", "cuda": "12.6", "targets": ("sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90",), "glibc": "2.32", "python": "3.10", "source": (S4,)},
    {"family": "bitsandbytes", "version": "0.50.2", "build": "cu128", "arch": "x86_64", "cuda": "12.8", "targets": ("sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120",), "glibc": "2.32", "python": "3.10", "source": (S4,)},
    {"family": "bitsandbytes", "version": "0.50.2", "build": "cu130", "arch": "x86_64", "cuda": "13.0", "targets": ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120",), "glibc": "2.32", "python": "3.10", "source": (S4,)},
    {"family": "bitsandbytes", "version": "0.50.2", "build": "cu132", "arch": "x86_64", "cuda": "13.2", "targets": ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120",), "glibc": "2.32", "python": "3.10", "source": (S4,)},
    {"family": "ctranslate2", "version": "4.8.5", "build": "default", "arch": "x86_64", "cuda": "12.8", "targets": ("sm_53", "sm_60", "sm_61", "sm_70", "sm_75", "sm_80", "sm_86", "compute_86",), "glibc": "2.27", "python": "3.9", "source": (S4,)},
    {"family": "cupy", "version": "13.6.0", "build": "cupy-cuda11x", "arch": "x86_64", "cuda": "11.8", "targets": ("sm_35", "sm_37", "sm_50", "sm_52", "sm_60", "sm_61", "sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "compute_90",), "glibc": "2.16", "python": "3.9", "source": (S4,)},
    {"family": "cupy", "version": "14.2.0", "build": "cupy-cuda12x", "arch": "x86_64", "cuda": "12.9", "targets": ("sm_50", "sm_52", "sm_60", "sm_61", "sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100f", "sm_120f", "compute_100",), "glibc": "2.17", "python": "3.10", "source": (S4,)},
    {"family": "cupy", "version": "14.2.0", "build": "cupy-cuda13x", "arch": "x86_64", "cuda": "13.2", "targets": ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100f", "sm_120f", "compute_120",), "glibc": "2.17", "python": "3.10", "source": (S4,)},
    {"family": "faiss", "version": "1.14.1", "build": "faiss-gpu-cu11", "arch": "x86_64", "cuda": "11.0", "targets": ("sm_70", "sm_80",), "glibc": "2.17", "python": "3.10", "source": (S4,)},
    {"family": "faiss", "version": "1.14.1", "build": "faiss-gpu-cu12", "arch": "x86_64", "cuda": "12.0", "targets": ("sm_70", "sm_80",), "glibc": "2.17", "python": "3.10", "source": (S4,)},
    {"family": "jax", "version": "0.10.2", "build": "jax-cuda12-plugin", "arch": "x86_64", "cuda": "12.9", "targets": ("sm_50", "sm_60", "sm_70", "sm_80", "sm_90", "sm_100", "sm_101", "sm_120", "compute_120",), "glibc": "2.16", "python": "3.11", "source": (S4,)},
    {"family": "jax", "version": "0.7.2", "build": "jax-cuda12-plugin", "arch": "x86_64", "cuda": "12.9", "targets": ("sm_50", "sm_60", "sm_70", "sm_80", "sm_90", "sm_100", "sm_120", "compute_120",), "glibc": "2.16", "python": "3.11", "source": (S4,)},
    {"family": "jax", "version": "0.10.2", "build": "jax-cuda13-plugin", "arch": "x86_64", "cuda": "13.0", "targets": ("sm_75", "sm_80", "sm_90", "sm_100", "sm_110", "sm_120", "compute_120",), "glibc": "2.16", "python": "3.11", "source": (S4,)},
    {"family": "onnxruntime", "version": "1.31.1", "build": "onnxruntime-gpu", "arch": "x86_64", "cuda": "13.0", "targets": ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_120a",), "glibc": "2.28", "python": "3.11", "source": (S4,)},
    {"family": "tensorflow", "version": "2.21.0", "build": "default", "arch": "x86_64", "cuda": "12.3", "targets": ("sm_60", "sm_70", "sm_80", "sm_89", "sm_90", "compute_90",), "glibc": "2.27", "python": "3.10", "source": (S4,)},
    {"family": "torchaudio", "version": "2.11.1", "build": "default", "arch": "x86_64", "cuda": "13.0", "targets": ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120",), "glibc": "2.27", "source": (S4,)},
    {"family": "torchaudio", "version": "2.8.0", "build": "default", "arch": "x86_64", "cuda": "12.8", "targets": ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_50",), "glibc": "2.27", "source": (S4,)},
    {"family": "torchaudio", "version": "2.9.1", "build": "default", "arch": "x86_64", "cuda": "12.8", "targets": ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120",), "glibc": "2.27", "source": (S4,)},
    {"family": "torchvision", "version": "0.22.1", "build": "default", "arch": "x86_64", "cuda": "12.6", "targets": ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "compute_50",), "glibc": "2.17", "source": (S4,)},
    {"family": "torchvision", "version": "0.23.0", "build": "default", "arch": "x86_64", "cuda": "12.8", "targets": ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_50",), "glibc": "2.17", "source": (S4,)},
    {"family": "torchvision", "version": "0.24.1", "build": "default", "arch": "x86_64", "cuda": "12.8", "targets": ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120",), "glibc": "2.17", "source": (S4,)},
    {"family": "torchvision", "version": "0.29.2", "build": "default", "arch": "x86_64", "cuda": "13.0", "targets": ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120",), "glibc": "2.27", "source": (S4,)},
    {"family": "vllm", "version": "0.33.0", "build": "default", "arch": "x86_64", "cuda": "13.0", "targets": ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_100f", "sm_120", "sm_120f", "compute_80", "compute_89", "compute_90",), "glibc": "2.28", "source": (S4,)},
    {"family": "xgboost", "version": "3.2.0", "build": "default", "arch": "x86_64", "cuda": "12.9", "targets": ("sm_50", "sm_60", "sm_70", "sm_80", "sm_90", "sm_100", "sm_120", "compute_120",), "glibc": "2.27", "source": (S4,)},
)
