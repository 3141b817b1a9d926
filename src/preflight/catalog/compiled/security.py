"""Generated from data/security.toml by python -m preflight.catalog.compile; change that."""

from __future__ import annotations

S0 = 'NVIDIA/product-security <year>/<id>/<id>.md @dbb4ada (2026-08-18)'
S1 = 'NVIDIA security bulletin 5861, GPU Display Driver - September 2026 (nvidia.custhelp.com a_id 5861)'

FIXES: tuple[dict[str, object], ...] = (
    {"branch": 390, "fixed": "390.157", "bulletin": 5415, "date": "2022-11-28", "source": (S0,)},
    {"branch": 450, "fixed": "450.248.02", "bulletin": 5468, "date": "2023-06-26", "source": (S0,)},
    {"branch": 470, "fixed": "470.256.02", "bulletin": 5551, "date": "2024-06-06", "source": (S0,)},
    {"branch": 510, "fixed": "510.108.03", "bulletin": 5415, "date": "2022-11-28", "source": (S0,)},
    {"branch": 515, "fixed": "515.105.01", "bulletin": 5452, "date": "2023-03-30", "source": (S0,)},
    {"branch": 525, "fixed": "525.147.05", "bulletin": 5491, "date": "2023-10-31", "source": (S0,)},
    {"branch": 530, "fixed": "530.41.03", "bulletin": 5452, "date": "2023-03-30", "source": (S0,)},
    {"branch": 535, "fixed": "535.309.01", "bulletin": 5821, "date": "2026-05-19", "source": (S0,)},
    {"branch": 545, "fixed": "545.29.02", "bulletin": 5491, "date": "2023-10-31", "source": (S0,)},
    {"branch": 550, "fixed": "550.163.01", "bulletin": 5630, "date": "2025-04-24", "source": (S0,)},
    {"branch": 555, "fixed": "555.52.04", "bulletin": 5551, "date": "2024-06-06", "source": (S0,)},
    {"branch": 565, "fixed": "565.57.01", "bulletin": 5586, "date": "2024-10-22", "source": (S0,)},
    {"branch": 570, "fixed": "570.211.01", "bulletin": 5747, "date": "2026-01-28", "source": (S0,)},
    {"branch": 575, "fixed": "575.51.02", "bulletin": 5630, "date": "2025-04-24", "source": (S0,)},
    {"branch": 580, "fixed": "580.178.04", "bulletin": 5861, "date": "2026-09-30", "source": (S1,)},
    {"branch": 590, "fixed": "590.48.01", "bulletin": 5747, "date": "2026-01-28", "source": (S0,)},
    {"branch": 595, "fixed": "595.91.07", "bulletin": 5861, "date": "2026-09-30", "source": (S1,)},
    {"branch": 610, "fixed": "610.57.04", "bulletin": 5861, "date": "2026-09-30", "source": (S1,)},
    {"branch": 615, "fixed": "615.71.09", "bulletin": 5861, "date": "2026-09-30", "source": (S1,)},
)

BULLETINS: tuple[dict[str, object], ...] = (
    {"bulletin": 5415, "date": "2022-11-28", "worst": 8.8, "fixed": ("390.157", "450.216.04", "470.161.03", "510.108.03", "515.86.01",), "note": "390 for GeForce", "source": (S0,)},
    {"bulletin": 5452, "date": "2023-03-30", "worst": 8.8, "fixed": ("450.236.01", "470.182.03", "515.105.01", "525.105.17", "530.41.03",), "note": "530 for GeForce/RTX", "source": (S0,)},
    {"bulletin": 5468, "date": "2023-06-26", "worst": 8.5, "fixed": ("450.248.02", "470.199.02", "525.125.06", "535.54.03",), "source": (S0,)},
    {"bulletin": 5491, "date": "2023-10-31", "worst": 8.2, "fixed": ("470.223.02", "525.147.05", "535.129.03", "545.29.02",), "note": "545 for GeForce/RTX", "source": (S0,)},
    {"bulletin": 5520, "date": "2024-02-28", "worst": 7.8, "fixed": ("470.239.06", "535.161.07", "550.54.14",), "source": (S0,)},
    {"bulletin": 5551, "date": "2024-06-06", "worst": 7.8, "fixed": ("470.256.02", "535.183.01", "550.90.07", "555.52.04",), "note": "555 for GeForce/RTX", "source": (S0,)},
    {"bulletin": 5557, "date": "2024-07-09", "worst": 7.8, "note": "Windows only", "source": (S0,)},
    {"bulletin": 5586, "date": "2024-10-22", "worst": 8.2, "fixed": ("535.216.01", "550.127.05", "565.57.01",), "note": "565 for GeForce/RTX", "source": (S0,)},
    {"bulletin": 5614, "date": "2025-01-16", "worst": 7.8, "fixed": ("535.230.02", "550.144.03", "570.86.15",), "note": "570: 570.86.16 for GeForce/RTX, 570.86.15 for data-center", "source": (S0,)},
    {"bulletin": 5630, "date": "2025-04-24", "worst": 7.8, "fixed": ("535.247.01", "550.163.01", "570.133.07", "575.51.02",), "source": (S0,)},
    {"bulletin": 5670, "date": "2025-07-24", "worst": 7.8, "fixed": ("535.261.03", "570.172.08",), "source": (S0,)},
    {"bulletin": 5703, "date": "2025-10-09", "worst": 8.2, "fixed": ("535.274.02", "570.195.03", "580.95.05",), "source": (S0,)},
    {"bulletin": 5747, "date": "2026-01-28", "worst": 7.8, "fixed": ("535.288.01", "570.211.01", "580.126.09", "590.48.01",), "source": (S0,)},
    {"bulletin": 5821, "date": "2026-05-19", "worst": 8.8, "fixed": ("535.309.01", "580.159.03", "595.71.05",), "note": "590: move to 595; 570 no longer listed", "source": (S0,)},
    {"bulletin": 5861, "date": "2026-09-30", "worst": 7.8, "fixed": ("580.178.04", "595.91.07", "610.57.04", "615.71.09",), "note": "CVE count not taken (long list); 535 no longer listed; page says earlier branches may be affected", "source": (S1,)},
)

PRODUCT_FIXES: tuple[dict[str, object], ...] = (
    {"product": "cuda-toolkit", "fixed": "12.1.0", "bulletin": 5446, "date": "2023-03-01", "worst": 4.4, "source": (S0,)},
    {"product": "dcgm", "fixed": "3.1.7", "bulletin": 5453, "date": "2023-03-31", "worst": 8.4, "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "12.1.1", "bulletin": 5456, "date": "2023-04-21", "worst": 5.3, "note": "parts fixed in 12.0.1 and 12.1.0", "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "12.2.0", "bulletin": 5469, "date": "2023-06-29", "worst": 3.3, "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "12.4.1", "bulletin": 5517, "date": "2024-04-03", "worst": 3.3, "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "12.6.0", "bulletin": 5548, "date": "2024-07-11", "worst": 3.3, "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "12.6.1", "bulletin": 5564, "date": "2024-08-29", "worst": 4.4, "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "12.6.2", "bulletin": 5577, "date": "2024-10-02", "worst": 3.3, "source": (S0,)},
    {"product": "nvidia-container-toolkit", "fixed": "1.16.2", "bulletin": 5582, "date": "2024-09-25", "worst": 9.0, "note": "CVE-2024-0132, -0133; GPU Operator 24.6.2", "source": (S0,)},
    {"product": "nvidia-container-toolkit", "fixed": "1.17.0", "bulletin": 5585, "date": "2024-11-05", "worst": 4.1, "note": "CVE-2024-0134", "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "12.8.0", "bulletin": 5594, "date": "2025-02-18", "worst": 3.3, "source": (S0,)},
    {"product": "nvidia-container-toolkit", "fixed": "1.17.1", "bulletin": 5599, "date": "2025-01-14", "worst": 7.6, "note": "CVE-2024-0135, -0136, -0137", "source": (S0,)},
    {"product": "nvidia-container-toolkit", "fixed": "1.17.4", "bulletin": 5616, "date": "2025-02-11", "worst": 8.3, "note": "CVE-2025-23359", "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "12.9.0", "bulletin": 5643, "date": "2025-05-27", "worst": 4.4, "source": (S0,)},
    {"product": "nvidia-container-toolkit", "fixed": "1.17.8", "bulletin": 5659, "date": "2025-07-15", "worst": 9.0, "note": "CVE-2025-23266, -23267; also GPU Operator 25.3.2; updated 2025-08-12", "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "13.0.0", "bulletin": 5661, "date": "2025-09-23", "worst": 5.7, "note": "12.x line: part fixed in 12.9.1", "source": (S0,)},
    {"product": "cuda-toolkit", "fixed": "13.1.0", "bulletin": 5755, "date": "2026-01-20", "worst": 7.3, "source": (S0,)},
    {"product": "nvidia-container-toolkit", "fixed": "1.19.1", "bulletin": 5850, "date": "2026-06-30", "worst": 8.5, "note": "CVE-2026-24260; GPU Operator 26.3.2", "source": (S0,)},
    {"product": "dcgm", "fixed": "4.5.3", "bulletin": 5857, "date": "2026-07-28", "worst": 8.2, "note": "DCGM Exporter 4.8.2", "source": (S0,)},
)
