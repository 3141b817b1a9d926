"""Generated from data/containers.toml by python -m preflight.catalog.compile; change that."""

from __future__ import annotations

S0 = 'https://github.com/triton-inference-server/server/blob/main/docs/introduction/compatibility.md (vllm-python-py3)'
S1 = 'https://docs.nvidia.com/deeplearning/frameworks/pytorch-release-notes/rel-25-12.html'
S2 = "https://docs.nvidia.com/deeplearning/frameworks/mxnet-release-notes/ (the release's page)"
S3 = "https://docs.nvidia.com/deeplearning/triton-inference-server/release-notes/ (the release's page)"

NGC_RELEASES: tuple[dict[str, object], ...] = (
    {"release": "26.08", "cuda": "13.4.1", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "26.07", "cuda": "13.3.0", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "26.06", "cuda": "13.3.0", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "26.05", "cuda": "13.2.1", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "26.04", "cuda": "13.2.1", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "26.03", "cuda": "13.2.0", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "26.02", "cuda": "13.1.1", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "26.01", "cuda": "13.1.1", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.12", "cuda": "13.1.0", "images": ("jax", "pytorch", "tritonserver",), "source": (S0, S1,)},
    {"release": "25.11", "cuda": "13.0.2", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.10", "cuda": "13.0.2", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.09", "cuda": "13.0.1", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.08", "cuda": "13.0.1", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.07", "cuda": "12.9.0", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.06", "cuda": "12.9.0", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.05", "cuda": "12.9.0", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.04", "cuda": "12.9.0", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.03", "cuda": "12.8.1", "images": ("jax", "pytorch", "tritonserver",), "source": (S0,)},
    {"release": "25.02", "cuda": "12.8.0", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "25.01", "cuda": "12.8.0", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "24.12", "cuda": "12.6.3", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "24.11", "cuda": "12.6.3", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "24.10", "cuda": "12.6.2", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "24.09", "cuda": "12.6.1", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "24.08", "cuda": "12.6.0", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "24.07", "cuda": "12.5.1", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "24.06", "cuda": "12.5.0", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "24.05", "cuda": "12.4.1", "images": ("jax", "mxnet", "pytorch", "tensorflow", "tritonserver",), "source": (S0, S2,)},
    {"release": "24.04", "cuda": "12.4.1", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S0,)},
    {"release": "24.03", "cuda": "12.4.0", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "24.01", "cuda": "12.3.2", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "23.12", "cuda": "12.3.2", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "23.11", "cuda": "12.3.0", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "23.10", "cuda": "12.2.2", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "23.08", "cuda": "12.2.1", "images": ("jax", "pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "23.07", "cuda": "12.1.1", "images": ("pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "23.05", "cuda": "12.1.1", "images": ("pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "23.04", "cuda": "12.1.0", "images": ("pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "23.03", "cuda": "12.1.0", "images": ("pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "22.12", "cuda": "11.8.0", "images": ("pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "22.10", "cuda": "11.8.0", "images": ("pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "22.08", "cuda": "11.7.1", "images": ("pytorch", "tensorflow", "tritonserver",), "source": (S3,)},
    {"release": "22.05", "cuda": "11.7.0", "images": ("mxnet", "pytorch", "tensorflow", "tritonserver",), "source": (S2,)},
    {"release": "22.03", "cuda": "11.6.1", "images": ("mxnet", "pytorch", "tensorflow", "tritonserver",), "source": (S3, S2,)},
)
