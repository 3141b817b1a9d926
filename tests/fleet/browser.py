"""Debian's Chromium, driven by selenium: what a page looks like, says on its console, and does."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"  # scripts/setup puts it there
RUN = """axe.run(document, {resultTypes: ['violations']}).then(its => JSON.stringify(its.violations.map(one =>
    one.id + ': ' + one.nodes.slice(0, 3).map(it => it.html.slice(0, 160) + ' ' + it.failureSummary).join(' | '))))
"""
DESK, PHONE = (1280, 900), (390, 844)


def missing() -> str:
    """Return what is missing for a browser, "" where all is there."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"no {program}"
    return "" if AXE.exists() else f"no axe-core at {AXE}"


class Browser:
    """One Chromium with a profile of its own, ended with the block."""

    def __init__(self) -> None:
        self._home = tempfile.mkdtemp(prefix="preflight-chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for one in ("headless=new", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars", "no-first-run"):
            options.add_argument(f"--{one}")
        options.add_argument(f"--user-data-dir={self._home}")
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)
        self.size(DESK)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.quit()
        shutil.rmtree(self._home, ignore_errors=True)

    def size(self, size: tuple[int, int], dark: bool = False) -> None:
        """Make the window so large, in CSS pixels, and the system's scheme light or dark."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})

    def console(self) -> list[str]:
        """Return what the console said since the last call: errors, and what the policy forbade."""
        return [one["message"] for one in self.driver.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]

    def violations(self) -> list[str]:
        """Return what axe-core finds on the page: rule, and the first elements that break it."""
        # By the debugger's way in: the page's own policy lets no other script run.
        self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
        values = {"expression": RUN, "awaitPromise": True, "returnByValue": True}
        found = self.driver.execute_cdp_cmd("Runtime.evaluate", values)
        its: list[str] = json.loads(found["result"]["value"])
        return its

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write the page as PNG, all of it or what the window shows."""
        values: dict[str, Any] = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            its = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            values["clip"] = {"x": 0, "y": 0, "width": its["width"], "height": min(its["height"], 8000), "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", values)
        path.write_bytes(base64.b64decode(shot["data"]))
