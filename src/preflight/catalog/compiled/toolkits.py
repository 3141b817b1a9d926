"""Generated from data/toolkits.toml by python -m preflight.catalog.compile; change that."""

from __future__ import annotations

S0 = 'PyPI project cuda-toolkit (release list)'
S1 = 'https://developer.download.nvidia.com/compute/nvidia-driver/redist/ redistrib_620.70.06.json'
S2 = 'PyPI nvidia-cuda-crt 13.5.37: crt/host_config.h'
S3 = 'ptxas --help / nvcc --list-gpu-code of the same PyPI wheels'
S4 = 'CUDA 13.4 Update 1 release notes, copy; https://docs.nvidia.com/cuda/archive/13.4.2/cuda-toolkit-release-notes/'
S5 = 'NixOS/nixpkgs CUDA redistrib manifest 13.4.2'
S6 = 'PyPI nvidia-cuda-crt 13.4.59: crt/host_config.h'
S7 = 'CUDA 13.4 Installation Guide for Linux, copy; https://docs.nvidia.com/cuda/archive/13.4.2/cuda-installation-guide-linux/'
S8 = 'https://developer.download.nvidia.com/compute/cuda/repos/kylin11/x86_64/'
S9 = 'https://developer.nvidia.com/cuda-toolkit-archive (copies read)'
S10 = 'https://developer.download.nvidia.com/compute/cuda/repos/fedora44/x86_64/'
S11 = 'PyPI nvidia-cuda-crt 13.3.33: crt/host_config.h'
S12 = 'https://developer.download.nvidia.com/compute/cuda/repos/fedora43/x86_64/'
S13 = 'PyPI nvidia-cuda-crt 13.2.51: crt/host_config.h'
S14 = 'CUDA 13.2 Installation Guide for Linux, copies'
S15 = 'CUDA 13.1 release notes, copy'
S16 = 'PyPI nvidia-cuda-crt 13.1.80: crt/host_config.h'
S17 = 'https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html'
S18 = 'PyPI nvidia-cuda-crt 13.0.48: crt/host_config.h'
S19 = 'CUDA 13.0 U1 Installation Guide for Linux, copy'
S20 = 'https://developer.download.nvidia.com/compute/cuda/repos/kylin10/x86_64/'
S21 = 'PyPI nvidia-cuda-nvcc-cu12 12.9.86: crt/host_config.h'
S22 = 'https://docs.nvidia.com/datacenter/tesla/drivers/cuda-toolkit-driver-and-architecture-matrix.html'
S23 = 'PyPI nvidia-cuda-nvcc-cu12 12.8.93: crt/host_config.h'
S24 = 'PyPI nvidia-cuda-nvcc-cu12 12.6.85: crt/host_config.h'
S25 = 'PyPI nvidia-cuda-nvcc-cu12 12.5.82: crt/host_config.h'
S26 = 'PyPI nvidia-cuda-nvcc-cu12 12.4.131: crt/host_config.h'
S27 = 'PyPI nvidia-cuda-nvcc-cu12 12.3.107: crt/host_config.h'
S28 = 'PyPI nvidia-cuda-nvcc-cu12 12.2.140: crt/host_config.h'
S29 = 'PyPI nvidia-cuda-nvcc-cu12 12.1.105: crt/host_config.h'
S30 = 'PyPI nvidia-cuda-nvcc-cu12 12.0.76: crt/host_config.h'
S31 = 'PyPI nvidia-cuda-nvcc-cu11 11.8.89: crt/host_config.h'
S32 = 'https://developer.download.nvidia.com/compute/cuda/repos/rhel8/ppc64le'
S33 = 'PyPI nvidia-cuda-nvcc-cu11 11.7.99: crt/host_config.h'
S34 = 'spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8'
S35 = 'https://developer.download.nvidia.com/compute/cuda/redist/ (upload dates)'
S36 = 'CUDA 11.5 Installation Guide for Linux, copy'
S37 = 'CUDA 11.2 Installation Guide for Linux, copy'
S38 = 'https://developer.download.nvidia.com/compute/cuda/repos/rhel7/ppc64le'

TOOLKITS: tuple[dict[str, object], ...] = (
    {"version": "13.5.0", "released": "2026-11", "branch": 620, "capabilities": ("7.5", "8.0", "8.6", "8.7", "8.8", "8.9", "9.0", "10.0", "10.3", "10.7", "11.0", "12.0", "12.1",), "gcc_max": 16, "clang_max": 22, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-crt 13.5.37: crt/host_config.h", "note": "no release notes seen; month from PyPI wheels; the driver's branch is that of redistrib_620.70.06.json (cuda13.5)", "source": (S0, S1, S2, S3,)},
    {"version": "13.4.3", "released": "2026-10", "branch": 615, "note": "seen only as a PyPI cuda-toolkit version", "source": (S0,)},
    {"version": "13.4.2", "released": "2026-09-16", "branch": 615, "note": "this is '13.4 Update 1'; Linux driver no longer bundled", "source": (S4, S5,)},
    {"version": "13.4.1", "branch": 615, "capabilities": ("7.5", "8.0", "8.6", "8.7", "8.8", "8.9", "9.0", "10.0", "10.3", "10.7", "11.0", "12.0", "12.1",), "gcc_min": 6, "gcc_max": 16, "clang_min": 7, "clang_max": 22, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-crt 13.4.59: crt/host_config.h", "note": "this is 13.4 GA (13.4.0 was a preview); sm_107 = Rubin", "source": (S4, S0, S6, S3, S7,)},
    {"version": "13.4.0", "released": "2026-07", "branch": 616, "preview": True, "note": "developer preview, needs R616 (>=616.00)", "source": (S4,)},
    {"version": "13.3.1", "released": "2026-06", "packaged": "2026-06-23", "driver": "610.43.02", "branch": 610, "source": (S4, S8, S9,)},
    {"version": "13.3.0", "released": "2026-05", "packaged": "2026-05-19", "driver": "610.43.02", "branch": 610, "capabilities": ("7.5", "8.0", "8.6", "8.7", "8.8", "8.9", "9.0", "10.0", "10.3", "11.0", "12.0", "12.1",), "gcc_min": 6, "gcc_max": 15, "clang_min": 7, "clang_max": 21, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-crt 13.3.33: crt/host_config.h", "source": (S4, S10, S9, S11, S3,)},
    {"version": "13.2.2", "released": "2026-07", "packaged": "2026-06-23", "branch": 595, "note": "driver pair not seen; >= branch 595", "source": (S9, S12,)},
    {"version": "13.2.1", "released": "2026-04", "packaged": "2026-04-07", "driver": "595.58.03", "branch": 595, "source": (S4, S9, S12,)},
    {"version": "13.2.0", "released": "2026-03-09", "packaged": "2026-03-03", "driver": "595.45.04", "branch": 595, "capabilities": ("7.5", "8.0", "8.6", "8.7", "8.8", "8.9", "9.0", "10.0", "10.3", "11.0", "12.0", "12.1",), "gcc_min": 6, "gcc_max": 15, "clang_min": 7, "clang_max": 21, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-crt 13.2.51: crt/host_config.h", "source": (S4, S9, S12, S13, S3, S14,)},
    {"version": "13.1.2", "released": "2026-04", "branch": 590, "note": "driver pair not seen; >= branch 590", "source": (S9, S0,)},
    {"version": "13.1.1", "released": "2026-01-12", "driver": "590.48.01", "branch": 590, "note": "from 13.1 no Windows driver in the installer", "source": (S15, S9,)},
    {"version": "13.1.0", "released": "2025-12-04", "driver": "590.44.01", "branch": 590, "capabilities": ("7.5", "8.0", "8.6", "8.7", "8.8", "8.9", "9.0", "10.0", "10.3", "11.0", "12.0", "12.1",), "gcc_min": 6, "gcc_max": 15, "clang_min": 7, "clang_max": 21, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-crt 13.1.80: crt/host_config.h", "source": (S15, S9, S16, S3,)},
    {"version": "13.0.3", "branch": 580, "note": "seen only as PyPI cuda-toolkit 13.0.3.0", "source": (S0,)},
    {"version": "13.0.2", "released": "2025-10", "driver": "580.95.05", "branch": 580, "source": (S15, S9,)},
    {"version": "13.0.1", "released": "2025-09-04", "driver": "580.82.07", "branch": 580, "source": (S15, S9,)},
    {"version": "13.0.0", "released": "2025-08-04", "driver": "580.65.06", "branch": 580, "minimum_driver": "580.65.06", "capabilities": ("7.5", "8.0", "8.6", "8.7", "8.8", "8.9", "9.0", "10.0", "10.3", "11.0", "12.0", "12.1",), "gcc_min": 6, "gcc_max": 15, "clang_min": 7, "clang_max": 20, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-crt 13.0.48: crt/host_config.h", "note": "ICC rejected from 13.0; a copy of the 13.0 U2 guide says gcc 6-14, the header and the U1 guide say 15", "source": (S17, S15, S9, S18, S3, S19,)},
    {"version": "12.9.2", "branch": 575, "note": "seen only as PyPI cuda-toolkit 12.9.2.0", "source": (S0,)},
    {"version": "12.9.1", "released": "2025-06-05", "packaged": "2025-05-31", "driver": "575.57.08", "branch": 575, "source": (S4, S9, S20,)},
    {"version": "12.9.0", "released": "2025-05-01", "packaged": "2025-04-26", "driver": "575.51.03", "branch": 575, "capabilities": ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "10.0", "10.1", "10.3", "12.0", "12.1",), "gcc_min": 6, "gcc_max": 14, "clang_min": 7, "clang_max": 19, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-nvcc-cu12 12.9.86: crt/host_config.h", "note": "last for Maxwell, Pascal, Volta; family targets (suffix f) start here", "source": (S4, S9, S20, S21, S3, S22,)},
    {"version": "12.8.2", "branch": 570, "note": "seen only as PyPI cuda-toolkit 12.8.2.0", "source": (S0,)},
    {"version": "12.8.1", "released": "2025-03-06", "packaged": "2025-03-04", "driver": "570.124.06", "branch": 570, "source": (S4, S9, S20,)},
    {"version": "12.8.0", "released": "2025-01-23", "packaged": "2025-01-17", "driver": "570.26", "branch": 570, "capabilities": ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "10.0", "10.1", "12.0",), "gcc_min": 6, "gcc_max": 14, "clang_min": 7, "clang_max": 19, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-nvcc-cu12 12.8.93: crt/host_config.h", "note": "first Blackwell", "source": (S4, S9, S20, S23, S3,)},
    {"version": "12.6.3", "released": "2024-11", "packaged": "2024-11-15", "driver": "560.35.05", "branch": 560, "source": (S4, S9, S20,)},
    {"version": "12.6.2", "released": "2024-10", "packaged": "2024-09-19", "driver": "560.35.03", "branch": 560, "source": (S4, S9, S20,)},
    {"version": "12.6.1", "released": "2024-08-29", "packaged": "2024-08-22", "driver": "560.35.03", "branch": 560, "source": (S4, S9, S20,)},
    {"version": "12.6.0", "released": "2024-08-01", "packaged": "2024-07-26", "driver": "560.28.03", "branch": 560, "capabilities": ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0",), "gcc_min": 6, "gcc_max": 13, "clang_min": 7, "clang_max": 18, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-nvcc-cu12 12.6.85: crt/host_config.h", "note": "there is no CUDA 12.7 toolkit", "source": (S4, S9, S20, S24, S3,)},
    {"version": "12.5.1", "released": "2024-07-01", "packaged": "2024-06-25", "driver": "555.42.06", "branch": 555, "source": (S4, S9, S20,)},
    {"version": "12.5.0", "released": "2024-05-21", "packaged": "2024-05-15", "driver": "555.42.02", "branch": 555, "capabilities": ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0",), "gcc_min": 6, "gcc_max": 13, "clang_min": 7, "clang_max": 17, "ppc64le": False, "compiler_source": "PyPI nvidia-cuda-nvcc-cu12 12.5.82: crt/host_config.h", "note": "ppc64le dropped", "source": (S4, S9, S20, S25, S3,)},
    {"version": "12.4.1", "released": "2024-04-03", "packaged": "2024-03-28", "driver": "550.54.15", "branch": 550, "source": (S4, S9, S20,)},
    {"version": "12.4.0", "released": "2024-03-05", "packaged": "2024-02-29", "driver": "550.54.14", "branch": 550, "capabilities": ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0",), "gcc_min": 6, "gcc_max": 13, "clang_min": 7, "clang_max": 17, "ppc64le": True, "compiler_source": "PyPI nvidia-cuda-nvcc-cu12 12.4.131: crt/host_config.h", "note": "last with a RHEL 7 / CentOS 7 section in the guide", "source": (S4, S9, S20, S26, S3,)},
    {"version": "12.3.2", "released": "2024-01", "packaged": "2023-11-29", "driver": "545.23.08", "branch": 545, "note": "same driver as Update 1 (table lists 12.3 U1)", "source": (S4, S9, S20,)},
    {"version": "12.3.1", "released": "2023-11", "packaged": "2023-11-09", "driver": "545.23.08", "branch": 545, "source": (S4, S9, S20,)},
    {"version": "12.3.0", "released": "2023-10", "packaged": "2023-10-16", "driver": "545.23.06", "branch": 545, "capabilities": ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0",), "gcc_min": 6, "gcc_max": 12, "clang_min": 7, "clang_max": 16, "ppc64le": True, "compiler_source": "PyPI nvidia-cuda-nvcc-cu12 12.3.107: crt/host_config.h", "source": (S4, S9, S20, S27, S3,)},
    {"version": "12.2.2", "released": "2023-08", "packaged": "2023-08-23", "driver": "535.104.05", "branch": 535, "source": (S4, S9, S20,)},
    {"version": "12.2.1", "released": "2023-07", "packaged": "2023-07-27", "driver": "535.86.09", "branch": 535, "source": (S4, S9, S20,)},
    {"version": "12.2.0", "released": "2023-06", "packaged": "2023-06-26", "driver": "535.54.03", "branch": 535, "capabilities": ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0",), "gcc_min": 6, "gcc_max": 12, "clang_min": 7, "clang_max": 16, "ppc64le": True, "compiler_source": "PyPI nvidia-cuda-nvcc-cu12 12.2.140: crt/host_config.h", "note": "clang minimum 7 from here (Spack)", "source": (S4, S9, S20, S28, S3,)},
    {"version": "12.1.1", "released": "2023-04", "packaged": "2023-04-17", "driver": "530.30.02", "branch": 530, "source": (S4, S9, S20,)},
    {"version": "12.1.0", "released": "2023-02", "packaged": "2023-02-23", "driver": "530.30.02", "branch": 530, "capabilities": ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0",), "gcc_min": 6, "gcc_max": 12, "clang_max": 15, "ppc64le": True, "compiler_source": "PyPI nvidia-cuda-nvcc-cu12 12.1.105: crt/host_config.h", "source": (S4, S9, S20, S29, S3,)},
    {"version": "12.0.1", "released": "2023-01", "packaged": "2023-01-28", "driver": "525.85.12", "branch": 525, "source": (S4, S9, S20,)},
    {"version": "12.0.0", "released": "2022-12", "packaged": "2022-12-03", "driver": "525.60.13", "branch": 525, "minimum_driver": "525.60.13", "capabilities": ("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0",), "gcc_min": 6, "gcc_max": 12, "clang_max": 14, "ppc64le": True, "compiler_source": "PyPI nvidia-cuda-nvcc-cu12 12.0.76: crt/host_config.h", "note": "Kepler dropped", "source": (S17, S4, S9, S20, S30, S3,)},
    {"version": "11.8.0", "released": "2022-10", "packaged": "2022-09-29", "driver": "520.61.05", "branch": 520, "capabilities": ("3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0",), "gcc_min": 6, "gcc_max": 11, "clang_max": 14, "ppc64le": True, "compiler_source": "PyPI nvidia-cuda-nvcc-cu11 11.8.89: crt/host_config.h", "note": "last for Kepler 3.5/3.7; adds 8.9 and 9.0", "source": (S4, S9, S20, S31, S3, S22,)},
    {"version": "11.7.1", "released": "2022-08", "packaged": "2022-07-29", "driver": "515.48.07", "branch": 515, "source": (S4, S9, S32,)},
    {"version": "11.7.0", "released": "2022-05", "packaged": "2022-05-04", "driver": "515.43.04", "branch": 515, "capabilities": ("3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7",), "gcc_min": 6, "gcc_max": 11, "clang_max": 13, "ppc64le": True, "compiler_source": "PyPI nvidia-cuda-nvcc-cu11 11.7.99: crt/host_config.h", "source": (S4, S9, S32, S33, S3,)},
    {"version": "11.6.2", "released": "2022-03", "packaged": "2022-03-18", "driver": "510.47.03", "branch": 510, "source": (S4, S9, S32,)},
    {"version": "11.6.1", "released": "2022-02", "packaged": "2022-02-14", "driver": "510.47.03", "branch": 510, "source": (S4, S9, S32,)},
    {"version": "11.6.0", "released": "2022-01", "packaged": "2022-01-11", "driver": "510.39.01", "branch": 510, "gcc_min": 6, "gcc_max": 11, "clang_max": 13, "ppc64le": True, "compiler_source": "spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8", "source": (S4, S9, S32, S34,)},
    {"version": "11.5.2", "released": "2022-02-02", "packaged": "2022-01-28", "driver": "495.29.05", "branch": 495, "source": (S4, S35, S32,)},
    {"version": "11.5.1", "released": "2021-11-23", "packaged": "2021-11-19", "driver": "495.29.05", "branch": 495, "source": (S4, S35, S32,)},
    {"version": "11.5.0", "released": "2021-10-20", "packaged": "2021-10-16", "driver": "495.29.05", "branch": 495, "capabilities": ("3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7",), "gcc_min": 6, "gcc_max": 11, "clang_max": 12, "ppc64le": True, "compiler_source": "spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8", "note": "Spack: gcc below 11.2 only", "source": (S4, S35, S32, S34, S36,)},
    {"version": "11.4.4", "released": "2022-02-01", "packaged": "2022-01-27", "driver": "470.82.01", "branch": 470, "source": (S4, S35, S32,)},
    {"version": "11.4.3", "released": "2021-11-03", "packaged": "2021-10-29", "driver": "470.82.01", "branch": 470, "source": (S4, S35, S32,)},
    {"version": "11.4.2", "released": "2021-09-07", "packaged": "2021-08-30", "driver": "470.57.02", "branch": 470, "source": (S4, S35, S32,)},
    {"version": "11.4.1", "released": "2021-07-28", "packaged": "2021-07-28", "driver": "470.57.02", "branch": 470, "gcc_min": 6, "gcc_max": 11, "clang_max": 12, "compiler_source": "spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8", "source": (S4, S35, S32, S34,)},
    {"version": "11.4.0", "released": "2021-06-24", "packaged": "2021-06-24", "driver": "470.42.01", "branch": 470, "capabilities": ("3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7",), "gcc_min": 6, "gcc_max": 10, "clang_max": 11, "ppc64le": True, "compiler_source": "spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8", "source": (S4, S35, S32, S34,)},
    {"version": "11.3.1", "released": "2021-05-14", "packaged": "2021-05-14", "driver": "465.19.01", "branch": 465, "source": (S4, S35, S32,)},
    {"version": "11.3.0", "packaged": "2021-03-26", "driver": "465.19.01", "branch": 465, "capabilities": ("3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6",), "gcc_min": 5, "gcc_max": 10, "clang_max": 11, "ppc64le": True, "compiler_source": "spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8", "note": "Spack also blocks gcc 10 up to 11.4.0 (known build failure)", "source": (S4, S32, S34,)},
    {"version": "11.2.2", "packaged": "2021-02-26", "driver": "460.32.03", "branch": 460, "source": (S4, S32,)},
    {"version": "11.2.1", "packaged": "2021-02-09", "driver": "460.32.03", "branch": 460, "source": (S4, S32,)},
    {"version": "11.2.0", "packaged": "2020-12-15", "driver": "460.27.03", "branch": 460, "capabilities": ("3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6",), "gcc_min": 5, "gcc_max": 10, "clang_max": 11, "ppc64le": True, "compiler_source": "spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8", "source": (S4, S32, S34, S37,)},
    {"version": "11.1.1", "packaged": "2020-10-16", "driver": "455.32", "branch": 455, "source": (S4, S32,)},
    {"version": "11.1.0", "packaged": "2020-09-20", "driver": "455.23", "branch": 455, "capabilities": ("3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6",), "gcc_min": 5, "gcc_max": 10, "clang_max": 11, "ppc64le": True, "compiler_source": "spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8", "source": (S4, S32, S34,)},
    {"version": "11.0.3", "packaged": "2020-08-04", "driver": "450.51.06", "branch": 450, "source": (S4, S32,)},
    {"version": "11.0.2", "packaged": "2020-07-02", "driver": "450.51.05", "branch": 450, "minimum_driver": "450.80.02", "capabilities": ("3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0",), "gcc_min": 5, "gcc_max": 9, "clang_max": 9, "ppc64le": True, "compiler_source": "spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8", "note": "GA of 11.0; macOS dropped", "source": (S17, S4, S32, S34,)},
    {"version": "11.0.1", "packaged": "2020-06-03", "driver": "450.36.06", "branch": 450, "preview": True, "note": "release candidate", "source": (S4, S32,)},
    {"version": "10.2.89", "packaged": "2019-11-15", "driver": "440.33", "branch": 440, "capabilities": ("3.0", "3.2", "3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5",), "gcc_max": 8, "clang_max": 8, "ppc64le": True, "compiler_source": "spack/spack-packages repos/spack_repo/builtin/build_systems/cuda.py @1d335f8", "note": "last release for macOS hosts and for Kepler 3.0/3.2", "source": (S4, S38, S34,)},
)
