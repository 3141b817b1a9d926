"""Questions to the catalog with their answers as literals, each with the document that it came from.

They are written from the documents, not read back from the catalog's data. TODAY is the day that dates are judged on.
"""

TODAY = "2026-11-24"

MVC = "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
FWD = "https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html"
NOTES = "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ (CUDA Toolkit and Corresponding Driver Versions)"
MATRIX = "https://docs.nvidia.com/datacenter/tesla/drivers/cuda-toolkit-driver-and-architecture-matrix.html"
PTX = "https://docs.nvidia.com/cuda/blackwell-compatibility-guide/ and https://docs.nvidia.com/cuda/hopper-compatibility-guide/"
GPUS = "https://developer.nvidia.com/cuda-gpus"
LEGACY = "https://developer.nvidia.com/cuda-legacy-gpus"
NVCC = "https://docs.nvidia.com/cuda/archive/VERSION/cuda-compiler-driver-nvcc/ (GPU feature list)"
HEADER = "crt/host_config.h of the toolkit: #error -- unsupported GNU version"
SPACK = "spack/spack-packages build_systems/cuda.py (conflicts)"
GUIDE = "https://docs.nvidia.com/cuda/archive/VERSION/cuda-installation-guide-linux/ (Linux system requirements)"
REPOS = "https://developer.download.nvidia.com/compute/cuda/repos/"
EOL = "https://endoflife.date"
UBUNTU = "Debian package distro-info-data, ubuntu.csv"
DEBIAN = "Debian package distro-info-data, debian.csv"
DRIVERS = "https://docs.nvidia.com/datacenter/tesla/drivers/ (supported drivers)"
EOL_DRIVER = "https://endoflife.date/nvidia"
BULLETINS = "https://www.nvidia.com/en-us/security/ (GPU Display Driver bulletins)"
OPEN = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/ (kernel modules)"
OPEN_README = "https://github.com/NVIDIA/open-gpu-kernel-modules (README.md, nv-linux.h)"
XID = "https://docs.nvidia.com/deploy/xid-errors/"
MUSL = "https://docs.nvidia.com/cuda/cuda-installation-guide-linux/ (no musl distribution is listed)"
ELF = "NVIDIA/nvidia-container-toolkit, note .note.cuda.fwd_compatibility of libcuda"

# (CUDA of the program, driver, GPU, driver version of a cuda-compat or "none" or None: not asked, answer, document)
RUNS = [
    ("12.4", "525.60.13", None, None, "minor", MVC),
    ("12.4", "525.60.13", "NVIDIA A100-SXM4-40GB", None, "minor", MVC),
    ("12.4", "525.60.12", None, None, "no", MVC),
    ("12.4", "525", None, None, "unknown", MVC),
    ("12.0", "525.60.13", "a100", None, "native", NOTES),
    ("12.0", "525.53", None, None, "no", MVC),
    ("12.0", "525", "a100", None, "unknown", MVC),
    ("11.0", "450.51.05", "a100", None, "native", NOTES),
    ("12.4", "550.54.14", "h100", None, "native", NOTES),
    ("12.4", "550.54.15", "NVIDIA H100 80GB HBM3", None, "native", NOTES),
    ("12.4.1", "550.54.14", "h100", None, "native", MVC),
    ("12.4", "550.127.05", "h100", None, "native", NOTES),
    ("12.5", "550.127.05", "h100", None, "minor", MVC),
    ("12.10", "550.54.15", "h100", None, "minor", MVC),
    ("12.2", "550.54.15", "h100", None, "native", NOTES),
    ("11.8", "550.54.15", "a100", None, "native", MVC),
    ("10.2", "550.54.15", "Tesla V100-SXM2-32GB", None, "native", MVC),
    ("12.8", "535.183.01", "a100", None, "minor", MVC),
    ("12.9", "535.183.01", "Tesla T4", None, "minor", MVC),
    ("12.8", "570.26", "a100", None, "native", NOTES),
    ("12.9", "570.124.06", "a100", None, "minor", MVC),
    ("12.7", "565.57.01", "a100", None, "native", EOL_DRIVER),
    ("13.0", "580.65.06", "a100", None, "native", NOTES),
    ("13.4", "580.65.06", "a100", None, "minor", MVC),
    ("13.0", "580.65.05", "NVIDIA GeForce RTX 4090", None, "no", MVC),
    ("12.9", "620.70.06", "h100", None, "native", MVC),
    ("11.8", "450.80.02", "a100", None, "minor", MVC),
    ("11.8", "450.80.02", "h100", None, "no", MATRIX),
    ("11.4", "450.36.06", "NVIDIA GeForce RTX 2080 Ti", None, "no", MVC),
    ("11.8", "470.256.02", "a100", None, "minor", MVC),
    ("11.4", "470.57.02", "a100", None, "native", NOTES),
    # forward compatibility
    ("12.4", "470.256.02", "NVIDIA A100-SXM4-80GB", "550.54.15", "forward", FWD),
    ("12.4", "470.256.02", "a100", None, "forward", FWD),
    ("12.4", "470.256.02", "a100", "none", "no", FWD),
    ("12.4", "470.256.02", "NVIDIA GeForce RTX 3090", "550.54.15", "no", FWD),
    ("12.4", "470.256.02", "geforce", None, "no", FWD),
    ("12.4", "470.256.02", "NVIDIA TITAN RTX", "550.54.15", "no", FWD),
    ("12.4", "470.256.02", "NVIDIA RTX A6000", None, "unknown", FWD),
    ("12.4", "470.256.02", "a100", "470.256.02", "no", FWD),
    ("12.4", "470.256.02", "h100", "550.54.15", "no", MATRIX),
    ("12.2", "470.256.02", "a100", None, "forward", FWD),
    ("13.0", "535.183.01", "a100", None, "forward", FWD),
    ("13.0", "550.54.15", "NVIDIA H100 80GB HBM3", "580.95.05", "forward", FWD),
    ("13.0", "550.54.15", "NVIDIA GeForce RTX 4090", "580.95.05", "no", FWD),
    ("13.0", "545.23.08", "a100", "580.95.05", "no", FWD),
    ("13.0", "555.42.06", "a100", None, "no", FWD),
    ("13.0", "535.183.01", None, None, "no", MVC),
    ("13.1", "580.65.06", "a100", None, "minor", MVC),
    ("13.1", "550.163.01", "l40s", None, "forward", ELF),
    ("12.4", "390.157", "v100", None, "no", FWD),
    (
        "12.5",
        "470.256.02",
        "a100",
        None,
        "unknown",
        "the host branches of cuda-compat-12-5 are in no copy of the matrix",
    ),
    ("13.5", "550.54.15", "a100", None, "unknown", "the host branches of cuda-compat-13-5 were not seen"),
    # the GPU decides
    ("11.0", "550.54.15", "NVIDIA H100 80GB HBM3", None, "ptx", PTX),
    ("11.8", "550.54.15", "NVIDIA H100 80GB HBM3", None, "native", MATRIX),
    ("13.0", "580.65.06", "Tesla V100-SXM2-32GB", None, "no", MATRIX),
    ("12.9", "580.65.06", "Tesla V100-SXM2-32GB", None, "native", MATRIX),
    ("12.9", "590.48.01", "Tesla V100-SXM2-32GB", None, "no", MATRIX),
    ("12.9", "590.48.01", "Tesla P100-PCIE-16GB", None, "no", MATRIX),
    ("12.9", "590.48.01", "Tesla T4", None, "native", MATRIX),
    ("12.8", "535.183.01", "NVIDIA B200", None, "no", MATRIX),
    ("12.8", "570.124.06", "NVIDIA B200", None, "native", MATRIX),
    ("12.4", "570.124.06", "NVIDIA B200", None, "ptx", PTX),
    ("11.0", "450.80.02", "NVIDIA A40", None, "unknown", MATRIX),
    ("11.8", "470.256.02", "Tesla K80", None, "minor", MATRIX),
    ("12.0", "525.60.13", "Tesla K80", None, "no", MATRIX),
    ("12.4", "550.54.15", "NVIDIA Nonesuch 9000", None, "unknown", "no such product is in NVIDIA's lists"),
    ("14.0", "580.65.06", "h100", None, "unknown", "no CUDA 14 is known"),
]

# (GPU, CUDA, answer, first, last, document)
GPU = [
    ("v100", "13.0", "dropped", "9.0", "12.9", MATRIX),
    ("Tesla V100-PCIE-16GB", "12.9", "supported", "9.0", "12.9", MATRIX),
    ("Tesla P100-SXM2-16GB", "13.2", "dropped", "8.0", "12.9", MATRIX),
    ("Tesla P40", "12.4", "supported", "8.0", "12.9", MATRIX),
    ("Tesla M60", "13.0", "dropped", "6.5", "12.9", LEGACY),
    ("Tesla K80", "11.8", "supported", "6.5", "11.8", LEGACY),
    ("Tesla K80", "12.0", "dropped", "6.5", "11.8", MATRIX),
    ("Tesla T4", "13.4", "supported", "10.0", None, MATRIX),
    ("Tesla T4", "9.2", "too_new", "10.0", None, MATRIX),
    ("NVIDIA A100-SXM4-40GB", "10.2", "too_new", "11.0", None, MATRIX),
    ("NVIDIA A100-SXM4-40GB", "11.0", "supported", "11.0", None, MATRIX),
    ("NVIDIA A10", "11.0", "too_new", "11.1", None, SPACK),
    ("NVIDIA A10G", "11.1", "supported", "11.1", None, SPACK),
    ("NVIDIA L4", "11.7", "too_new", "11.8", None, MATRIX),
    ("NVIDIA L40S", "12.4", "supported", "11.8", None, MATRIX),
    ("NVIDIA H100 PCIe", "11.7", "too_new", "11.8", None, MATRIX),
    ("NVIDIA H200", "12.8", "supported", "11.8", None, MATRIX),
    ("NVIDIA GH200 480GB", "12.2", "supported", "11.8", None, GPUS),
    ("NVIDIA B200", "12.6", "too_new", "12.8", None, MATRIX),
    ("NVIDIA B300 SXM6 AC", "12.8", "too_new", "12.9", None, GPUS),
    ("NVIDIA GB200", "13.0", "supported", "12.8", None, GPUS),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.6", "too_new", "12.8", None, GPUS),
    ("NVIDIA GeForce RTX 5090", "12.8", "supported", "12.8", None, GPUS),
    ("NVIDIA GeForce GTX 1080 Ti", "13.0", "dropped", "8.0", "12.9", LEGACY),
    ("NVIDIA GeForce RTX 3090", "11.0", "too_new", "11.1", None, GPUS),
    ("NVIDIA GB10", "12.8", "too_new", "12.9", None, GPUS),
    ("Jetson AGX Orin", "11.4", "supported", "11.4", None, SPACK),
    ("NVIDIA H100 80GB HBM3", "14.0", "unknown", "11.8", None, "no CUDA 14 is known"),
    ("NVIDIA A100X", "12.4", "unknown", None, None, "not among the products seen"),
]

# (reported or written name, compute capability, kind, document)
LOOKUP = [
    ("NVIDIA A100-SXM4-40GB", "8.0", "datacenter", GPUS),
    ("NVIDIA A10", "8.6", "datacenter", GPUS),
    ("a10", "8.6", "datacenter", GPUS),
    ("NVIDIA L4", "8.9", "datacenter", GPUS),
    ("NVIDIA L40", "8.9", "datacenter", GPUS),
    ("Quadro RTX 6000", "7.5", "workstation", GPUS),
    ("NVIDIA RTX 6000 Ada Generation", "8.9", "workstation", GPUS),
    ("NVIDIA GeForce RTX 4090", "8.9", "geforce", GPUS),
    ("4090", "8.9", "geforce", GPUS),
    ("rtx 6000", None, None, "Quadro RTX 6000, RTX 6000 Ada and RTX PRO 6000 are three products"),
    ("NVIDIA GH200 144G HBM3e", "9.0", "superchip", GPUS),
    ("orin", "8.7", "jetson", "https://developer.nvidia.com/cuda-gpus (Jetson)"),
]

# (CUDA, os-release ID, VERSION_ID, what more is known, answer, document)
TOOLKIT_OS = [
    ("13.0", "amzn", "2", {}, "unsupported", GUIDE),
    ("13.4", "amzn", "2", {}, "unsupported", GUIDE),
    ("13.0", "amzn", "2023", {}, "supported", GUIDE),
    ("12.5", "centos", "7", {}, "unsupported", GUIDE),
    ("12.5", "rhel", "7.9", {}, "unsupported", GUIDE),
    ("11.5", "centos", "7", {}, "supported", GUIDE),
    ("11.2", "rhel", "7.9", {}, "supported", GUIDE),
    ("12.5", "rhel", "9.4", {}, "supported", GUIDE),
    ("12.5", "rhel", "9.6", {}, "unknown", GUIDE),
    ("12.8", "rhel", "9.4", {}, "supported", "https://docs.nvda.net.cn/datacenter/tesla/tesla-installation-notes/"),
    ("13.0", "rhel", "10.0", {}, "supported", GUIDE),
    ("12.5", "rhel", "10.0", {}, "unsupported", GUIDE),
    ("13.4", "almalinux", "9.8", {}, "supported", GUIDE),
    ("13.2", "almalinux", "9.7", {}, "unsupported", GUIDE),
    ("13.2", "ol", "9.4", {}, "supported", GUIDE),
    ("13.4", "rocky", "10.2", {}, "supported", GUIDE),
    ("13.2", "centos", "9", {"stream": True}, "unsupported", GUIDE),
    ("13.2", "ubuntu", "22.04", {"kernel": "6.8.0-45-generic"}, "supported", GUIDE),
    ("13.2", "ubuntu", "22.04", {"kernel": "5.15.0-91-generic"}, "supported", GUIDE),
    ("12.5", "ubuntu", "22.04", {"gcc": "11.4.0"}, "supported", GUIDE),
    ("12.5", "ubuntu", "22.04", {"gcc": "14.2.0"}, "unsupported", HEADER),
    ("12.5", "ubuntu", "24.04", {}, "supported", GUIDE),
    ("12.5", "ubuntu", "26.04", {}, "unsupported", GUIDE),
    ("13.0", "ubuntu", "20.04", {}, "unsupported", GUIDE),
    ("12.5", "ubuntu", "20.04", {}, "supported", GUIDE),
    ("13.4", "debian", "13", {}, "supported", GUIDE),
    ("13.4", "debian", "11", {}, "unsupported", GUIDE),
    ("12.5", "debian", "12", {}, "supported", GUIDE),
    ("12.5", "debian", "12", {"musl": True}, "unsupported", MUSL),
    ("13.4", "sles", "15.7", {}, "supported", GUIDE),
    ("13.4", "opensuse-leap", "15.6", {}, "supported", GUIDE),
    ("13.4", "azurelinux", "3.0", {}, "supported", GUIDE),
    ("13.0", "mariner", "2.0", {}, "supported", GUIDE),
    ("13.4", "mariner", "2.0", {}, "unsupported", GUIDE),
    ("12.4", "fedora", "39", {}, "packaged", REPOS + "fedora39/x86_64/"),
    ("12.9", "fedora", "41", {}, "packaged", REPOS + "fedora41/x86_64/"),
    ("13.0", "fedora", "42", {}, "supported", GUIDE),
    ("13.0", "fedora", "41", {}, "unsupported", GUIDE),
    ("11.6", "debian", "10", {}, "unknown", REPOS + "debian10/x86_64/ (11.5 to 11.8 are not in it)"),
    ("13.4", "alpine", "3.20.7", {}, "unsupported", MUSL),
    ("12.6", "rhel", "9.4", {}, "unknown", "no table of CUDA 12.6 was seen"),
    ("13.4", "debian", None, {}, "unknown", "Debian testing states no VERSION_ID"),
    ("13.2", "rhel", "9.7", {"arch": "aarch64"}, "supported", GUIDE),
    ("13.2", "fedora", "43", {"arch": "aarch64"}, "unsupported", GUIDE),
    ("13.4", "ubuntu", "24.04", {"arch": "aarch64", "l4t": "39.2"}, "supported", GUIDE),
]

# (CUDA, gcc or None, clang or None, answer, highest gcc, highest clang, document)
COMPILERS = [
    ("12.0", "12.3", None, "ok", 12, 14, HEADER),
    ("12.3", "13.2", None, "too_new", 12, 16, HEADER),
    ("12.4", "13.2", None, "ok", 13, 17, HEADER),
    ("12.6", "14.1", None, "too_new", 13, 18, HEADER),
    ("12.8", "14.2", None, "ok", 14, 19, HEADER),
    ("12.9", None, "20.1", "too_new", 14, 19, HEADER),
    ("13.0", "15.1", None, "ok", 15, 20, HEADER),
    ("13.3", "16.0", None, "too_new", 15, 21, HEADER),
    ("13.4", "16.0", None, "ok", 16, 22, HEADER),
    ("11.8", "11.4.1", None, "ok", 11, 14, HEADER),
    ("11.8", "5.4", None, "too_old", 11, 14, HEADER),
    ("11.0", "11.4.1", None, "too_new", 9, 9, SPACK),
    ("11.4.0", "11.1", None, "too_new", 10, 11, SPACK),
    ("11.4.1", "11.1", None, "ok", 11, 12, SPACK),
    ("10.2", "8.5", None, "ok", 8, 8, SPACK),
    ("14.0", "15.1", None, "unknown", None, None, "no CUDA 14 is known"),
]

# (os-release ID, VERSION_ID, its gcc, document)
GCC = [
    ("rhel", "9.4", "11.4.1", GUIDE),
    ("rhel", "9.6", "11.5.0", GUIDE),
    ("rhel", "8.10", "8.5.0", GUIDE),
    ("debian", "12", "12.2.0", "Debian archive"),
    ("ubuntu", "22.04", "11.4.0", "Ubuntu archive"),
    ("opensuse-leap", "15.6", "7.5.0", GUIDE),
]

# (os-release ID, VERSION_ID, Stream, answer, end, extended end, document)
SYSTEMS = [
    ("rhel", "7.9", False, "extended", "2024-06-30", "2029-05-31", EOL + "/rhel"),
    ("rhel", "8.10", False, "supported", "2029-05-31", "2033-05-31", EOL + "/rhel"),
    ("rhel", "9.4", False, "supported", "2032-05-31", "2036-05-31", EOL + "/rhel"),
    ("rhel", "10.0", False, "supported", "2035-05-31", "2039-05-31", EOL + "/rhel"),
    ("centos", "7", False, "eol", "2024-06-30", None, EOL + "/centos"),
    ("centos", "8", False, "eol", "2021-12-31", None, EOL + "/centos"),
    ("centos", "8", True, "eol", "2024-05-31", None, EOL + "/centos-stream"),
    ("centos", "9", True, "supported", "2027-05-31", None, EOL + "/centos-stream"),
    ("rocky", "8.10", False, "supported", "2029-05-31", None, EOL + "/rocky-linux"),
    ("almalinux", "9.4", False, "supported", "2032-05-31", None, EOL + "/almalinux"),
    ("ol", "7.9", False, "extended", "2024-12-31", "2028-06-30", EOL + "/oracle-linux"),
    ("oracle", "9.4", False, "supported", "2032-06-30", "2035-06-30", EOL + "/oracle-linux"),
    ("ubuntu", "18.04", False, "extended", "2023-05-31", "2028-04-26", UBUNTU),
    ("ubuntu", "20.04", False, "extended", "2025-05-29", "2030-04-23", UBUNTU),
    ("ubuntu", "22.04", False, "supported", "2027-06-01", "2032-04-21", UBUNTU),
    ("ubuntu", "24.04", False, "supported", "2029-05-31", "2034-04-25", UBUNTU),
    ("ubuntu", "25.10", False, "eol", "2026-07-09", None, UBUNTU),
    ("debian", "11", False, "extended", "2024-08-14", "2031-06-30", DEBIAN),
    ("debian", "12", False, "extended", "2026-07-11", "2033-06-30", DEBIAN),
    ("debian", "13", False, "supported", "2028-08-09", "2035-06-30", DEBIAN),
    ("debian", None, False, "unknown", None, None, "testing has no release"),
    ("fedora", "42", False, "eol", "2026-05-27", None, EOL + "/fedora"),
    ("fedora", "43", False, "supported", "2026-12-09", None, EOL + "/fedora"),
    ("sles", "15.6", False, "extended", "2025-12-31", "2028-12-31", EOL + "/sles"),
    ("sles", "15.7", False, "supported", "2031-07-31", "2034-07-31", EOL + "/sles"),
    ("opensuse-leap", "15.6", False, "eol", "2026-04-30", None, EOL + "/opensuse"),
    ("amzn", "2", False, "eol", "2026-06-30", None, EOL + "/amazon-linux"),
    ("amzn", "2023", False, "supported", "2029-06-30", None, EOL + "/amazon-linux"),
    ("alpine", "3.20.7", False, "eol", "2026-04-01", None, EOL + "/alpine"),
    ("alpine", "3.23.2", False, "supported", "2027-11-01", None, EOL + "/alpine"),
    ("azurelinux", "3.0", False, "unknown", None, None, "no end date was seen"),
    ("arch", None, False, "unknown", None, None, "a rolling release"),
]

# (driver, answer, type, end, last fixed version, behind, document)
DRIVERS_LIFE = [
    ("470.256.02", "eol", "lts", "2024-07-20", "470.256.02", False, EOL_DRIVER),
    ("525.147.05", "eol", "pb", "2023-12-01", "525.147.05", False, EOL_DRIVER),
    ("535.183.01", "eol", "lts", "2026-06", "535.309.01", True, DRIVERS),
    ("545.23.08", "eol", "nfb", "2024-10-01", "545.29.02", True, EOL_DRIVER),
    ("550.54.15", "eol", "pb", "2025-04-17", "550.163.01", True, EOL_DRIVER),
    ("550.127.05", "eol", "pb", "2025-04-17", "550.163.01", True, BULLETINS),
    ("550.163.01", "eol", "pb", "2025-04-17", "550.163.01", False, BULLETINS),
    ("570.124.06", "eol", "pb", "2026-02", "570.211.01", True, BULLETINS),
    ("580.95.05", "supported", "lts", "2028-06", "580.178.04", True, DRIVERS),
    ("580.178.04", "supported", "lts", "2028-06", "580.178.04", False, BULLETINS),
    ("590.48.01", "eol", "nfb", None, "590.48.01", False, BULLETINS),
    ("595.71.05", "supported", "pb", "2027-03", "595.91.07", True, DRIVERS),
    ("620.70.06", "supported", "lts", "2029-09", None, None, DRIVERS),
    ("580", "supported", "lts", "2028-06", "580.178.04", None, DRIVERS),
    ("616.00", "unknown", "dev", None, None, None, NOTES),
    ("999.1", "unknown", None, None, None, None, "no such branch"),
]

# (GPU or None, driver or None, open kernel module, document)
MODULES = [
    ("v100", None, "proprietary_only", OPEN),
    ("Tesla P100-PCIE-16GB", "580.95.05", "proprietary_only", OPEN),
    ("Tesla T4", "550.54.15", "either", OPEN),
    ("a100", "535.183.01", "either", OPEN),
    ("a100", "470.256.02", "proprietary_only", OPEN_README),
    ("h100", "595.71.05", "either", OPEN),
    ("h100", "620.70.06", "required", OPEN),
    ("NVIDIA B200", "570.124.06", "required", OPEN),
    ("NVIDIA GH200 480GB", "550.54.15", "required", OPEN),
    (None, "620.70.06", "required", OPEN),
    ("NVIDIA Nonesuch 9000", "550.54.15", "unknown", OPEN),
]

# (driver, kernel, does the branch take it, document)
KERNELS = [
    ("550.163.01", "3.10.0-1160.el7.x86_64", True, OPEN_README),
    ("555.42.06", "3.10.0-1160.el7.x86_64", False, OPEN_README),
    ("580.95.05", "4.18.0-553.el8_10.x86_64", True, OPEN_README),
    ("580.95.05", "4.14.336-253.554.amzn2.x86_64", False, OPEN_README),
    ("470.256.02", "5.14.0-427.el9", None, "the branch is older than the open modules' sources"),
]

# (Xid, what the name holds, whether an application can cause it, category, document)
XIDS = [
    (13, "Engine Exception", True, "application", XID),
    (31, "memory page fault", True, "application", XID),
    (48, "ECC", False, "memory", XID),
    (79, "fallen off the bus", False, "pcie", XID),
    (94, "Contained", False, "memory", XID),
    (95, "Uncontained", False, "memory", XID),
    (119, "GSP", False, "driver", XID),
]

# (L4T, JetPack, Ubuntu, document)
JETPACKS = [
    ("36.4.3", "6.2", "22.04", "NVIDIA JetPack release notes"),
    ("36.4", "6.1", "22.04", "NVIDIA JetPack release notes"),
    ("35.4.1", "5.1", "20.04", "NVIDIA JetPack release notes"),
    ("38.2", "7.0", "24.04", "NVIDIA JetPack release notes"),
    ("21.1", None, None, "not among the releases seen"),
]

# (older version, newer version, document)
ORDER = [
    ("12.4", "12.10", "numbers compare part by part"),
    ("550.54.15", "550.127.05", "driver 550.127.05 is of October 2024, 550.54.15 of March"),
    ("535.183.01", "535.309.01", BULLETINS),
    ("9.4", "9.10", "numbers compare part by part"),
]
TABLES = (RUNS, GPU, LOOKUP, TOOLKIT_OS, COMPILERS, GCC, SYSTEMS, DRIVERS_LIFE, MODULES, KERNELS, XIDS, JETPACKS, ORDER)
