"""Generated from data/libraries.toml by python -m preflight.catalog.compile; change that."""

from __future__ import annotations

S0 = 'PyPI package metadata, November 2026'
S1 = 'https://docs.nvidia.com/deeplearning/cudnn/archives/cudnn-896/support-matrix'
S2 = 'https://docs.nvidia.com/deeplearning/cudnn/backend/v9.0.0/reference/support-matrix.html'
S3 = 'https://docs.nvidia.com/deeplearning/cudnn/backend/v9.5.1/reference/support-matrix.html'
S4 = 'https://docs.nvidia.com/deeplearning/cudnn/latest/support-matrix/index.html (copy at 9.10.2)'
S5 = 'https://docs.nvidia.com/deeplearning/sdk/cudnn-support-matrix/index.html (copy at 9.17.0)'

FRAMEWORKS: tuple[dict[str, object], ...] = (
    {"framework": "torch", "version": "2.0.1", "cuda": "11.7.99", "cudnn": "8.5.0.96", "nccl": "2.14.3", "source": (S0,)},
    {"framework": "torch", "version": "2.1.2", "cuda": "12.1.105", "cudnn": "8.9.2.26", "nccl": "2.18.1", "source": (S0,)},
    {"framework": "torch", "version": "2.2.2", "cuda": "12.1.105", "cudnn": "8.9.2.26", "nccl": "2.19.3", "source": (S0,)},
    {"framework": "torch", "version": "2.3.1", "cuda": "12.1.105", "cudnn": "8.9.2.26", "nccl": "2.20.5", "source": (S0,)},
    {"framework": "torch", "version": "2.4.1", "cuda": "12.1.105", "cudnn": "9.1.0.70", "nccl": "2.20.5", "source": (S0,)},
    {"framework": "torch", "version": "2.5.1", "cuda": "12.4.127", "cudnn": "9.1.0.70", "nccl": "2.21.5", "source": (S0,)},
    {"framework": "torch", "version": "2.6.0", "cuda": "12.4.127", "cudnn": "9.1.0.70", "nccl": "2.21.5", "python_min": "3.9", "source": (S0,)},
    {"framework": "torch", "version": "2.7.1", "cuda": "12.6.77", "cudnn": "9.5.1.17", "nccl": "2.26.2", "python_min": "3.9", "note": "wheels need glibc 2.28 (manylinux_2_28) from here", "source": (S0,)},
    {"framework": "torch", "version": "2.8.0", "cuda": "12.8.90", "cudnn": "9.10.2.21", "nccl": "2.27.3", "python_min": "3.9", "source": (S0,)},
    {"framework": "torch", "version": "2.9.1", "cuda": "12.8.90", "cudnn": "9.10.2.21", "nccl": "2.27.5", "python_min": "3.10", "source": (S0,)},
    {"framework": "torch", "version": "2.10.0", "cuda": "12.8.90", "cudnn": "9.10.2.21", "nccl": "2.27.5", "python_min": "3.10", "source": (S0,)},
    {"framework": "torch", "version": "2.11.0", "cuda": "13.0.2", "cudnn": "9.19.0.56", "nccl": "2.28.9", "python_min": "3.10", "note": "default moves to CUDA 13: needs driver >= 580, Turing or newer; cu126 and cu128 wheels on download.pytorch.org", "source": (S0,)},
    {"framework": "torch", "version": "2.12.1", "cuda": "13.0.2", "cudnn": "9.20.0.48", "nccl": "2.29.7", "python_min": "3.10", "source": (S0,)},
    {"framework": "torch", "version": "2.14.1", "cuda": "13.0.3", "cudnn": "9.24.0.43", "nccl": "2.30.7", "python_min": "3.10", "source": (S0,)},
    {"framework": "torch", "version": "2.15.0", "cuda": "13.2.2", "cudnn": "9.26.0.51", "nccl": "2.30.7", "python_min": "3.11", "source": (S0,)},
    {"framework": "jax", "version": "0.4.20", "cuda": "11.8, 12", "source": (S0,)},
    {"framework": "jax", "version": "0.4.26", "cuda": ">=12.1", "note": "CUDA 11 gone", "source": (S0,)},
    {"framework": "jax", "version": "0.7.2", "cuda": "12, 13", "python_min": "3.11", "note": "first with cuda13", "source": (S0,)},
    {"framework": "jax", "version": "0.10.2", "cuda": "12 (runtime >=12.1.105, nvcc >=12.6.85), 13 (runtime >=13.0.48)", "cudnn": "cu12 >=9.8,<10; cu13 >=9.12.0.46", "nccl": "cu12 >=2.18.1; cu13 >=2.27.7", "python_min": "3.11", "note": "extra 'cuda' = cuda12", "source": (S0,)},
    {"framework": "tensorflow", "version": "2.14", "cuda": "11.8.89", "cudnn": "8.7", "source": (S0,)},
    {"framework": "tensorflow", "version": "2.15.1", "cuda": "12.2.140", "cudnn": "8.9.4", "source": (S0,)},
    {"framework": "tensorflow", "version": "2.16.2", "cuda": "12.3", "cudnn": "8.9.7", "source": (S0,)},
    {"framework": "tensorflow", "version": "2.17.1", "cuda": "12.3", "cudnn": "8.9.7", "source": (S0,)},
    {"framework": "tensorflow", "version": "2.18.1", "cuda": "12.5.82", "cudnn": "9.3", "source": (S0,)},
    {"framework": "tensorflow", "version": "2.19.1", "cuda": "12.5.82", "cudnn": "9.3", "source": (S0,)},
    {"framework": "tensorflow", "version": "2.20.0", "cuda": ">=12.5.82,<13", "cudnn": ">=9.3,<10", "source": (S0,)},
    {"framework": "tensorflow", "version": "2.21.0", "cuda": ">=12.5.82,<13", "cudnn": ">=9.3,<10", "note": "no CUDA 13 extra seen", "source": (S0,)},
)

CUDNN: tuple[dict[str, object], ...] = (
    {"version": "8.9.6", "cuda": "11.0-11.8, 12.0-12.2", "driver": "11: 450.80.02; 12: 525.60.13", "capability_min": "5.0", "capability_max": "9.0", "source": (S1,)},
    {"version": "9.0.0", "cuda": "11.0-11.8, 12.0-12.3", "driver": "11: 450.80.02; 12: 525.60.13", "capability_min": "5.0", "capability_max": "9.0", "source": (S2,)},
    {"version": "9.5.1", "cuda": "11.0-11.8, 12.0-12.6", "driver": "11: 450.80.02; 12: 525.60.13", "capability_min": "5.0", "capability_max": "9.0", "source": (S3,)},
    {"version": "9.10.2", "cuda": "11.8 (and older), 12.0-12.9", "driver": "11: 450.80.02; 12: 525.60.13; 12.8/12.9 with Blackwell: 570.26", "capability_min": "5.0", "capability_max": "12.0", "note": "last for CUDA 11; last seen for Maxwell, Pascal, Volta", "source": (S4,)},
    {"version": "9.17.0", "cuda": "12.0-12.9, 13.0-13.1", "driver": "12: 525.60.13; 13: 580.65.06", "capability_min": "7.5", "capability_max": "12.0", "source": (S5,)},
)
