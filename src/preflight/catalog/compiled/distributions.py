"""Generated from data/distributions.toml by python -m preflight.catalog.compile; change that."""

from __future__ import annotations

S0 = 'endoflife-date/endoflife.date products/*.md @a70eca3 (2026-08-22)'
S1 = 'mayeut/pep600_compliance cache/x86_64/*.json @2d70275'
S2 = 'which-distro/os-release (2026-01-26)'
S3 = 'distribution tables in cuda_toolkits.toml'
S4 = 'https://docs.aws.amazon.com/linux/al2/ug/aml2-kernel.html'
S5 = 'https://docs.amazonaws.cn/linux/al2023/release-notes/ (2023.11.20260511)'
S6 = 'https://github.com/Azure/Guest-Configuration-Extension/issues/175 (release tag 3.0.20240727)'
S7 = 'https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/620/'
S8 = 'microsoft/trident'
S9 = 'Debian package distro-info-data 0.58+deb12u7 (ubuntu.csv, debian.csv)'
S10 = 'Debian archive through apt, 2026-11-24'
S11 = 'https://github.com/Azure/azure-cli/pull/31545'
S12 = 'Oracle Linux kernel table, copy'
S13 = 'EPEL package pages (secondary)'
S14 = 'Ubuntu archive (jammy, noble, resolute), package slurm-wlm'
S15 = 'NVIDIA JetPack/L4T release notes (secondary copies)'

DISTRIBUTIONS: tuple[dict[str, object], ...] = (
    {"os": "almalinux", "version": "8", "released": "2021-03-30", "full_support_end": "2024-05-31", "eol": "2029-05-31", "latest": "8.10", "kernel": "4.18", "glibc": "2.28", "gcc": "8.5.0", "source": (S0, S1, S2, S3,)},
    {"os": "almalinux", "version": "9", "released": "2022-05-26", "full_support_end": "2027-05-31", "eol": "2032-05-31", "latest": "9.8", "kernel": "5.14", "glibc": "2.34", "gcc": "11.5.0", "source": (S0, S1, S2, S3,)},
    {"os": "almalinux", "version": "10", "released": "2025-05-27", "full_support_end": "2030-05-31", "eol": "2035-05-31", "latest": "10.2", "kernel": "6.12", "glibc": "2.39", "gcc": "14.3.1", "source": (S0, S1, S2, S3,)},
    {"os": "alpine", "version": "3.19", "released": "2023-12-07", "eol": "2025-11-01", "latest": "3.19.9", "source": (S0, S2,)},
    {"os": "alpine", "version": "3.20", "released": "2024-05-22", "eol": "2026-04-01", "latest": "3.20.10", "source": (S0, S2,)},
    {"os": "alpine", "version": "3.21", "released": "2024-12-05", "eol": "2026-11-01", "latest": "3.21.7", "source": (S0, S2,)},
    {"os": "alpine", "version": "3.22", "released": "2025-05-30", "eol": "2027-05-01", "latest": "3.22.5", "source": (S0, S2,)},
    {"os": "alpine", "version": "3.23", "released": "2025-12-04", "eol": "2027-11-01", "latest": "3.23.5", "source": (S0, S2,)},
    {"os": "alpine", "version": "3.24", "released": "2026-06-09", "eol": "2028-06-01", "latest": "3.24.1", "note": "musl libc, no CUDA toolkit, driver or manylinux wheels; containers only", "source": (S0, S2,)},
    {"os": "amzn", "version": "2", "released": "2018-06-26", "full_support_end": "2026-06-30", "eol": "2026-06-30", "latest": "2.0.20260817", "kernel": "5.10", "glibc": "2.26", "source": (S0, S1, S2, S4,)},
    {"os": "amzn", "version": "2023", "released": "2023-03-01", "full_support_end": "2027-06-30", "eol": "2029-06-30", "latest": "2023.12.20260817", "kernel": "6.1", "glibc": "2.34", "gcc": "11.4.1", "note": "kernels 6.12 and 6.18 also offered; SUPPORT_END of older images says 2028-03-01, endoflife.date 2029-06-30", "source": (S0, S1, S2, S3, S5,)},
    {"os": "azurelinux", "version": "3.0", "released": "2024-07", "kernel": "6.6", "glibc": "2.38", "gcc": "13.2.0", "note": "no ID_LIKE; 6.12 HWE kernel for aarch64 (cuda-open-hwe packages); end date not seen", "source": (S2, S3, S6,)},
    {"os": "azurelinux", "version": "4.0", "note": "listed as Azure Linux 4 by the R620 driver guide (Nov 2026); previews seen July 2026; no dates seen", "source": (S7, S8,)},
    {"os": "centos", "version": "7", "released": "2014-07-07", "full_support_end": "2020-08-06", "eol": "2024-06-30", "latest": "7 (2009)", "kernel": "3.10", "glibc": "2.17", "gcc": "4.8.5", "source": (S0, S2, S3,)},
    {"os": "centos", "version": "8", "released": "2019-09-24", "full_support_end": "2021-12-31", "eol": "2021-12-31", "latest": "8 (2111)", "kernel": "4.18", "note": "CentOS Linux 8, not Stream", "source": (S0, S2,)},
    {"os": "centos", "version": "8", "stream": True, "released": "2019-09-24", "full_support_end": "2024-05-31", "eol": "2024-05-31", "kernel": "4.18", "glibc": "2.28", "gcc": "8", "note": "tell Stream by REDHAT_SUPPORT_PRODUCT_VERSION=\"CentOS Stream\"; not in CUDA tables", "source": (S0, S2,)},
    {"os": "centos", "version": "9", "stream": True, "released": "2021-09-15", "full_support_end": "2027-05-31", "eol": "2027-05-31", "kernel": "5.14", "glibc": "2.34", "gcc": "11", "note": "tell Stream by REDHAT_SUPPORT_PRODUCT_VERSION=\"CentOS Stream\"; not in CUDA tables", "source": (S0, S2, S1,)},
    {"os": "centos", "version": "10", "stream": True, "released": "2024-12-12", "full_support_end": "2030-05-31", "eol": "2030-05-31", "kernel": "6.12", "glibc": "2.39", "gcc": "14", "note": "tell Stream by REDHAT_SUPPORT_PRODUCT_VERSION=\"CentOS Stream\"; not in CUDA tables; os-release of 10 not seen", "source": (S0, S2, S1,)},
    {"os": "debian", "version": "10", "released": "2019-07-06", "eol": "2022-09-10", "lts_end": "2024-06-30", "extended_eol": "2029-06-30", "latest": "10.13", "kernel": "4.19", "glibc": "2.28", "gcc": "8.3.0", "source": (S9, S1, S2, S3,)},
    {"os": "debian", "version": "11", "released": "2021-08-14", "eol": "2024-08-14", "lts_end": "2026-08-31", "extended_eol": "2031-06-30", "latest": "11.11", "kernel": "5.10", "glibc": "2.31", "gcc": "10.2.1", "source": (S9, S1, S2, S10,)},
    {"os": "debian", "version": "12", "released": "2023-06-10", "eol": "2026-07-11", "lts_end": "2028-06-30", "extended_eol": "2033-06-30", "latest": "12.15", "kernel": "6.1", "glibc": "2.36", "gcc": "12.2.0", "source": (S9, S1, S2, S10,)},
    {"os": "debian", "version": "13", "released": "2025-08-09", "eol": "2028-08-09", "lts_end": "2030-06-30", "extended_eol": "2035-06-30", "latest": "13.6", "kernel": "6.12", "glibc": "2.41", "gcc": "14.2.0", "note": "extended_end = paid ELTS (Freexian); no ID_LIKE in os-release", "source": (S9, S1, S2, S10,)},
    {"os": "fedora", "version": "39", "released": "2023-11-07", "eol": "2024-11-26", "latest": "39", "kernel": "6.5", "glibc": "2.38", "gcc": "13.2.1", "source": (S0, S1, S3,)},
    {"os": "fedora", "version": "40", "released": "2024-04-23", "eol": "2025-05-13", "latest": "40", "glibc": "2.39", "source": (S0, S1,)},
    {"os": "fedora", "version": "41", "released": "2024-10-29", "eol": "2025-12-15", "latest": "41", "glibc": "2.40", "source": (S0, S1,)},
    {"os": "fedora", "version": "42", "released": "2025-04-15", "eol": "2026-05-27", "latest": "42", "kernel": "6.14", "glibc": "2.41", "gcc": "15.1.1", "note": "SUPPORT_END of a container image; endoflife.date later moved to 2026-05-27", "source": (S0, S1, S3,)},
    {"os": "fedora", "version": "43", "released": "2025-10-28", "eol": "2026-12-09", "latest": "43", "kernel": "6.17", "glibc": "2.42", "gcc": "15.2.1", "source": (S0, S1, S3,)},
    {"os": "fedora", "version": "44", "released": "2026-04-28", "eol": "2027-06-02", "latest": "44", "kernel": "6.19", "glibc": "2.43", "gcc": "16.0.1", "note": "gcc 16.0.1 in the 13.4 table, 15.2.1 in a 13.3 copy", "source": (S0, S1, S3,)},
    {"os": "mariner", "version": "2.0", "eol": "2025-07", "kernel": "5.15", "glibc": "2.35", "note": "CBL-Mariner 2.0; last in the CUDA 13.0.1 table", "source": (S2, S3, S11,)},
    {"os": "ol", "version": "7", "released": "2014-07-23", "eol": "2024-12-31", "extended_eol": "2028-06-30", "latest": "7.9", "kernel": "3.10", "glibc": "2.17", "gcc": "4.8.5", "note": "RHCK 3.10; gcc as RHEL 7", "source": (S0, S1, S2,)},
    {"os": "ol", "version": "8", "released": "2019-07-19", "eol": "2029-07-31", "extended_eol": "2032-07-31", "latest": "8.10", "kernel": "4.18", "glibc": "2.28", "gcc": "8.5.0", "note": "RHCK 4.18; default UEK 5.4/5.15", "source": (S0, S1, S2, S3, S12,)},
    {"os": "ol", "version": "9", "released": "2022-07-06", "eol": "2032-06-30", "extended_eol": "2035-06-30", "latest": "9.8", "kernel": "5.14", "glibc": "2.34", "gcc": "11.5.0", "note": "RHCK 5.14; default UEK 5.15 (UEK7)", "source": (S0, S1, S2, S3, S12,)},
    {"os": "ol", "version": "10", "released": "2025-06-26", "latest": "10.1", "kernel": "6.12", "glibc": "2.39", "gcc": "14.3.1", "note": "end dates not in endoflife.date; kernel is RHCK, the default may be UEK", "source": (S0, S1, S3,)},
    {"os": "opensuse-leap", "version": "15.5", "released": "2023-06-07", "eol": "2024-12-31", "kernel": "5.14", "glibc": "2.31", "gcc": "7.5.0", "source": (S0, S1, S2, S3,)},
    {"os": "opensuse-leap", "version": "15.6", "released": "2024-06-12", "eol": "2026-04-30", "kernel": "6.4", "glibc": "2.38", "gcc": "7.5.0", "source": (S0, S1, S2, S3,)},
    {"os": "opensuse-leap", "version": "16.0", "released": "2025-10-01", "eol": "2027-10-31", "kernel": "6.12", "glibc": "2.40", "gcc": "15.1.1", "source": (S0, S1, S2, S3,)},
    {"os": "rhel", "version": "7", "released": "2014-06-10", "full_support_end": "2019-08-06", "eol": "2024-06-30", "extended_eol": "2029-05-31", "latest": "7.9", "kernel": "3.10", "glibc": "2.17", "gcc": "4.8.5", "note": "extended_end = ELS add-on", "source": (S0, S1, S2, S3,)},
    {"os": "rhel", "version": "8", "released": "2019-05-07", "full_support_end": "2024-05-31", "eol": "2029-05-31", "extended_eol": "2033-05-31", "latest": "8.10", "kernel": "4.18", "glibc": "2.28", "gcc": "8.5.0", "note": "VERSION_ID carries the minor (8.10)", "source": (S0, S1, S2, S3, S13,)},
    {"os": "rhel", "version": "9", "released": "2022-05-18", "full_support_end": "2027-05-31", "eol": "2032-05-31", "extended_eol": "2036-05-31", "latest": "9.8", "kernel": "5.14", "glibc": "2.34", "gcc": "11.5.0", "source": (S0, S1, S2, S3, S13,)},
    {"os": "rhel", "version": "10", "released": "2025-05-20", "full_support_end": "2030-05-31", "eol": "2035-05-31", "extended_eol": "2039-05-31", "latest": "10.2", "kernel": "6.12", "glibc": "2.39", "gcc": "14.3.1", "source": (S0, S1, S2, S3, S13,)},
    {"os": "rocky", "version": "8", "released": "2021-05-01", "full_support_end": "2024-05-31", "eol": "2029-05-31", "latest": "8.10", "kernel": "4.18", "glibc": "2.28", "gcc": "8.5.0", "source": (S0, S1, S2, S3,)},
    {"os": "rocky", "version": "9", "released": "2022-07-14", "full_support_end": "2027-05-31", "eol": "2032-05-31", "latest": "9.8", "kernel": "5.14", "glibc": "2.34", "gcc": "11.5.0", "source": (S0, S1, S2, S3,)},
    {"os": "rocky", "version": "10", "released": "2025-06-11", "full_support_end": "2030-05-31", "eol": "2035-05-31", "latest": "10.2", "kernel": "6.12", "glibc": "2.39", "gcc": "14.3.1", "source": (S0, S1, S2, S3,)},
    {"os": "sles", "version": "12.5", "released": "2019-12-09", "eol": "2024-10-31", "extended_eol": "2027-10-31", "source": (S0, S2,)},
    {"os": "sles", "version": "15.3", "released": "2021-06-22", "eol": "2022-12-31", "extended_eol": "2025-12-31", "kernel": "5.3", "glibc": "2.31", "gcc": "7.5.0", "source": (S0, S3, S2,)},
    {"os": "sles", "version": "15.4", "released": "2022-06-21", "eol": "2023-12-31", "extended_eol": "2026-12-31", "kernel": "5.14", "source": (S0, S2,)},
    {"os": "sles", "version": "15.5", "released": "2023-06-20", "eol": "2024-12-31", "extended_eol": "2027-12-31", "kernel": "5.14", "glibc": "2.31", "gcc": "7.5.0", "source": (S0, S3, S2,)},
    {"os": "sles", "version": "15.6", "released": "2024-06-26", "eol": "2025-12-31", "extended_eol": "2028-12-31", "kernel": "6.4", "glibc": "2.38", "gcc": "7.5.0", "source": (S0, S3, S2,)},
    {"os": "sles", "version": "15.7", "released": "2025-06-17", "eol": "2031-07-31", "extended_eol": "2034-07-31", "kernel": "6.4", "glibc": "2.38", "gcc": "7.5.0", "note": "kernel stream 150700 is also 6.4", "source": (S0, S3, S2,)},
    {"os": "sles", "version": "16.0", "released": "2025-11-04", "eol": "2027-11-30", "extended_eol": "2030-11-30", "kernel": "6.12", "glibc": "2.40", "gcc": "15.1.1", "note": "os-release not seen; default gcc 15 per CUDA table", "source": (S0, S3,)},
    {"os": "ubuntu", "version": "16.04", "released": "2016-04-21", "eol": "2021-04-30", "extended_eol": "2026-04-23", "latest": "16.04.7", "glibc": "2.23", "gcc": "5.4.0", "source": (S9, S0, S2, S3,)},
    {"os": "ubuntu", "version": "18.04", "released": "2018-04-26", "eol": "2023-05-31", "extended_eol": "2028-04-26", "latest": "18.04.6", "kernel": "4.15", "glibc": "2.27", "gcc": "7.5.0", "source": (S9, S0, S1, S2, S3,)},
    {"os": "ubuntu", "version": "20.04", "released": "2020-04-23", "eol": "2025-05-29", "extended_eol": "2030-04-23", "latest": "20.04.6", "kernel": "5.4", "glibc": "2.31", "gcc": "9.4.0", "source": (S9, S0, S1, S2, S3,)},
    {"os": "ubuntu", "version": "22.04", "released": "2022-04-21", "eol": "2027-06-01", "extended_eol": "2032-04-21", "latest": "22.04.5", "kernel": "5.15", "glibc": "2.35", "gcc": "11.4.0", "note": "endoflife.date: eol 2027-04-01; HWE 6.5/6.8; CUDA tables give gcc 12.3.0, the default package is 11.4", "source": (S9, S0, S1, S2, S3, S14,)},
    {"os": "ubuntu", "version": "24.04", "released": "2024-04-25", "eol": "2029-05-31", "extended_eol": "2034-04-25", "latest": "24.04.4", "kernel": "6.8", "glibc": "2.39", "gcc": "13.3.0", "note": "HWE kernels 6.11/6.14/6.17; CUDA tables name those and gcc 13.3/14.3", "source": (S9, S0, S1, S2, S3, S14,)},
    {"os": "ubuntu", "version": "24.10", "released": "2024-10-10", "eol": "2025-07-10", "latest": "24.10", "glibc": "2.40", "source": (S9, S0, S1,)},
    {"os": "ubuntu", "version": "25.04", "released": "2025-04-17", "eol": "2026-01-15", "latest": "25.04", "glibc": "2.41", "source": (S9, S0, S1, S2,)},
    {"os": "ubuntu", "version": "25.10", "released": "2025-10-09", "eol": "2026-07-09", "latest": "25.10", "glibc": "2.42", "source": (S9, S0, S1, S2,)},
    {"os": "ubuntu", "version": "26.04", "released": "2026-04-23", "eol": "2031-05-29", "extended_eol": "2036-04-23", "latest": "26.04", "kernel": "7.0", "glibc": "2.43", "gcc": "15.2.0", "note": "endoflife.date: eol 2031-04-30", "source": (S9, S0, S1, S3, S14,)},
    {"os": "ubuntu", "version": "26.10", "released": "2026-10-15", "eol": "2027-07-15", "source": (S9,)},
)

JETPACKS: tuple[dict[str, object], ...] = (
    {"jetpack": "7.2", "l4t": "39.2", "ubuntu": "24.04", "cuda": "13", "released": "2026-06", "note": "adds Orin to the 7 line", "source": (S15,)},
    {"jetpack": "7.1", "l4t": "38.4", "ubuntu": "24.04", "cuda": "13.0", "released": "2025-12", "source": (S15,)},
    {"jetpack": "7.0", "l4t": "38.2", "ubuntu": "24.04", "cuda": "13.0", "released": "2025-08", "note": "Thor, SBSA", "source": (S15,)},
    {"jetpack": "6.2.2", "l4t": "36.5", "ubuntu": "22.04", "cuda": "12", "source": (S15,)},
    {"jetpack": "6.2.1", "l4t": "36.4.4", "ubuntu": "22.04", "cuda": "12", "source": (S15,)},
    {"jetpack": "6.2", "l4t": "36.4.3", "ubuntu": "22.04", "cuda": "12", "source": (S15,)},
    {"jetpack": "6.1", "l4t": "36.4", "ubuntu": "22.04", "cuda": "12", "source": (S15,)},
    {"jetpack": "6.0", "l4t": "36.3", "ubuntu": "22.04", "cuda": "12", "source": (S15,)},
    {"jetpack": "5.1", "l4t": "35", "ubuntu": "20.04", "cuda": "11.4", "source": (S15,)},
    {"jetpack": "4.6", "l4t": "32.6", "ubuntu": "18.04", "cuda": "10.2", "note": "last for Nano, TX1, TX2", "source": (S15,)},
    {"jetpack": "4.6", "l4t": "32.7", "ubuntu": "18.04", "cuda": "10.2", "note": "last for Nano, TX1, TX2", "source": (S15,)},
)
