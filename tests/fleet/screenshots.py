"""The pictures of docs/dashboard.md: each page of a seeded fleet. scripts/screenshots starts it."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from itertools import chain, islice
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.by import By

from fleet import demo, generator, samples
from fleet.browser import DESK, PHONE, Browser
from fleet.collector import Collector
from preflight.fleet.entry import EntryReader
from preflight.fleet.pages import access
from preflight.fleet.store.open import open_store

NODES, DAYS, EACH_DAY = 640, 30, 4
BATCH = 2000
LARGEST = 60_000  # bytes of a picture
TALLEST = 1100  # pixels: the top of a page says what it is for
PICTURES = (
    ("fleet", "/fleet", DESK, False),
    ("fleet-dark", "/fleet", DESK, True),
    ("fleet-phone", "/fleet", PHONE, False),
    ("nodes", "/nodes?sort=verdict", DESK, False),
    ("node", "/node?name=gpu0102", DESK, False),
    ("jobs", "/jobs?verdict=mismatch&since=7d", DESK, False),
    ("job", "/job?id=424242", DESK, False),
    ("checks", "/checks?since=4w", DESK, False),
    ("check", "/check?name=gpu.ecc.uncorrected", DESK, False),
    ("drift", "/drift", DESK, False),
    ("lifecycle", "/lifecycle", DESK, False),
)


def main(target: Path) -> int:
    """Fill a store, take the pictures into ``target``; 1 where one is too large."""
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="preflight-pictures-") as top:
        url = f"sqlite:///{top}/fleet.db"
        store = open_store(url)
        read = EntryReader().read
        raws = chain(generator.month(NODES, DAYS, EACH_DAY, gpus=2), moved())
        while batch := [read(raw) for raw in islice(raws, BATCH)]:
            store.add(batch)
        demo.check_now(store, NODES)
        store.add([read(raw) for raw in drained()])
        token = access.make(store, "carol", "admin")
        collector = Collector(url).start()
        try:
            with Browser() as browser:
                driver = browser.driver
                driver.get(f"{collector.url}/login")
                driver.find_element(By.ID, "token").send_keys(token)
                driver.find_element(By.CSS_SELECTOR, ".login button").click()
                sizes = [take(browser, collector.url, target, *one) for one in PICTURES]
        finally:
            collector.kill()
            store.close()
    return int(max(sizes) > LARGEST)


def drained() -> list[bytes]:
    """Return the health checks that drained three nodes, two of them for one reason."""
    faults = (
        ("gpu0211", "gpu.ecc.uncorrected", "gpu 3", "2 uncorrected errors"),
        ("gpu0307", "gpu.bus", "gpu 5", "GPU 5 is lost: Xid 79"),
        ("gpu0308", "gpu.bus", "gpu 5", "GPU 5 is lost: Xid 79"),
    )
    found = []
    for at, (node, check, gpu, why) in enumerate(faults):
        fault = samples.finding(check, "fail", "node", subject=gpu, message=why)
        action = ("drain", f"preflight:{check}:{gpu}: {why}", True)
        began = time.time() - 5000 + 1900 * at
        for when in (began, time.time() - 30):
            its = action if when == began else ("none", "", True)
            found.append(samples.report(node, when, None, "health", "unhealthy", its, [fault], gpus=2))
    return found


def moved() -> list[bytes]:
    """Return the reports of a job that met a driver that was too old and ran elsewhere."""
    at = time.time() - 5400
    asked = samples.finding(
        "requirement", "fail", "job", subject="cuda>=12.8", expected="12.8 or later", observed="12.4",
        message="CUDA 12.8 needs a newer driver than 550.54.15", remedy="ask for cuda<=12.4, or another node",
    )  # fmt: skip
    why = ("requeue", "cuda>=12.8: 12.4 here", True)
    common = {"job": 424242, "user": "alice", "gpus": 2}
    return [
        samples.report("gpu0002", at, verdict="mismatch", found=[asked], action=why, restart=0, **common),
        samples.report("gpu0003", at + 95, restart=1, driver="570.10.01", **common),
        samples.report("gpu0003", at + 2890, restart=1, driver="570.10.01", phase="epilog", **common),
    ]


def take(browser: Browser, url: str, target: Path, name: str, path: str, size: tuple[int, int], dark: bool) -> int:
    """Take one picture, as many colours as its size allows, and return its bytes."""
    browser.size(size, dark)
    browser.driver.get(url + path)
    with tempfile.NamedTemporaryFile(suffix=".png") as whole:
        browser.picture(Path(whole.name))
        image = Image.open(whole.name).convert("RGB")
    image = image.crop((0, 0, image.width, min(image.height, TALLEST)))
    for colours in (256, 128, 64, 32):  # text stays sharp, which lossy compression would not leave it
        written = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).convert("RGB").save(written, "WEBP", lossless=True, method=6)
        if written.tell() <= LARGEST:
            break
    (target / f"{name}.webp").write_bytes(written.getvalue())
    print(f"{name}.webp  {written.tell():,} bytes, {colours} colours", flush=True)
    return written.tell()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
