"""The dashboard in a real Chromium: what its pages look like to axe-core, say on the console, and do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import urllib3
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from fleet import generator, samples
from fleet.browser import DESK, PHONE, Browser, missing
from fleet.collector import Collector
from preflight.fleet.entry import EntryReader
from preflight.fleet.pages import access
from preflight.fleet.pages.ask import link
from preflight.fleet.store.open import open_store
from report_samples import HOSTILE

NODES, DAYS = 24, 6
STRANGE = "<img src=x onerror=\"document.title='owned'\">'\"&{{7*7}}=1+1"
ODD_NODE = "n\"'<b>&amp;é"
PAGES = (
    *("/fleet", "/fleet?since=7d", "/nodes", "/nodes?verdict=ready&sort=last", "/node?name=gpu0005", "/jobs?since=7d"),
    *("/checks", "/check?name=requirement", "/check?name=gpu.ecc.uncorrected", "/drift", "/lifecycle"),
    *("/job?id=1005", "/job?id=77", link("/node", cluster=STRANGE, name=ODD_NODE), link("/check", name=STRANGE)),
    *("/job?id=999999", "/nodes?size=-1", "/jobs?node=nowhere", "/nodes?q=nowhere"),
)
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")


class Site:
    """A collector on a seeded store, with a browser that is logged in as an admin."""

    def __init__(self, top: Path) -> None:
        self.store_url = f"sqlite:///{top}/fleet.db"
        self.store = open_store(self.store_url)
        read = EntryReader().read
        self.store.add([read(raw) for raw in generator.month(NODES, DAYS, 3, gpus=2)])
        self.store.add([read(raw) for raw in hostile()])
        self.token = access.make(self.store, "carol", "admin")
        self.collector = Collector(self.store_url).start()
        self.url = self.collector.url
        self.browser = Browser()

    def close(self) -> None:
        self.browser.driver.quit()
        self.collector.kill()
        self.store.close()

    def open(self, path: str) -> Any:
        self.browser.driver.get(urljoin(self.url, path))
        return self.browser.driver

    def login(self) -> None:
        driver = self.open("/login")
        driver.find_element(By.ID, "token").send_keys(self.token)
        driver.find_element(By.CSS_SELECTOR, ".login button").click()
        wait(lambda: urlsplit(driver.current_url).path == "/fleet")


def hostile() -> Iterator[bytes]:
    """Yield reports whose every text would be markup, script or a formula elsewhere."""
    now = time.time()
    for at, text in enumerate((STRANGE, HOSTILE)):
        found = samples.finding(text[:100], "fail", "node", subject=text, expected=text, observed=text, message=text)
        yield samples.report(
            ODD_NODE,
            now - 600 + at,
            77 + at,
            user=text,
            cluster=STRANGE,
            verdict="unhealthy",
            action=("drain", f"preflight:x:{text}: {text}", True),
            found=[found],
            gpus=1,
            driver=text,
        )


def wait(answer: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        made.login()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    ("size", "dark"), [(DESK, False), (DESK, True), (PHONE, False)], ids=["light", "dark", "phone"]
)
def test_every_page_is_sound(site: Site, size: tuple[int, int], dark: bool) -> None:
    site.browser.size(size, dark)
    site.browser.console()
    for path in PAGES:
        driver = site.open(path)
        wide = driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
        refused = "size=-1" in path or "999999" in path
        said = [line for line in site.browser.console() if not (refused and "Failed to load resource" in line)]
        assert (path, said, site.browser.violations(), wide) == (path, [], [], 0)
        assert driver.title.endswith("Preflight"), path
        assert len(driver.find_elements(By.TAG_NAME, "h1")) == 1
    site.browser.size(DESK)


def test_every_link_leads_somewhere(site: Site) -> None:
    pool = urllib3.PoolManager(headers={"authorization": f"Bearer {site.token}"})
    seen, todo, kinds = set(), list(PAGES[:-4]), {}
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = pool.request("GET", urljoin(site.url, path), redirect=False)
        assert answer.status in (200, 303), (path, answer.data[:300])
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        for one in set(map(unescape, re.findall(r'<a[^>]* href="([^"]*)"', answer.data.decode()))):
            assert one.startswith(("/", "#")), (path, one)
            kind = (urlsplit(one).path, "format=" in one, urlsplit(path).path)
            kinds[kind] = kinds.get(kind, 0) + 1
            if one.startswith("/") and kinds[kind] < 4:
                todo.append(one)
    assert len(seen) > 60


def test_hostile_text_is_text(site: Site) -> None:
    driver = site.open("/job?id=77")
    body = driver.find_element(By.TAG_NAME, "body").text
    assert "<img src=x onerror=" in body
    assert "{{7*7}}" in body
    assert driver.title != "owned"
    for path in PAGES:
        driver = site.open(path)
        assert driver.title != "owned"
        assert not driver.find_elements(By.CSS_SELECTOR, "img, script:not([src]), [onerror], bdi b"), path


def test_an_open_page_changes_by_itself_and_keeps_its_place(site: Site) -> None:
    driver = site.open("/fleet")
    wait(lambda: driver.execute_script("return document.getElementById('live').dataset.state") == "on")
    driver.execute_script("window.here = 1; document.querySelectorAll('.map a.n')[7].focus(); scrollTo(0, 120)")
    focused = driver.execute_script("return document.activeElement.getAttribute('href')")
    assert "new-in-this-test" not in driver.page_source
    fault = samples.finding("gpu.ecc.uncorrected", "fail", "node", subject="gpu 1")
    why = ("drain", "preflight:gpu.ecc.uncorrected:gpu 1: new-in-this-test", True)

    def send() -> bool:
        raw = samples.report("late1", time.time(), 5, verdict="unhealthy", found=[fault], action=why, gpus=2)
        site.store.add([EntryReader().read(raw)])
        end = time.monotonic() + 6
        while time.monotonic() < end:
            if "new-in-this-test" in driver.page_source:
                return True
            time.sleep(0.2)
        return False

    wait(send)
    assert driver.execute_script("return [window.here, scrollY]") == [1, 120]
    assert driver.execute_script("return document.activeElement.getAttribute('href')") == focused
    assert driver.find_elements(By.CSS_SELECTOR, ".map a[title^='late1: unhealthy']")
    assert "Updated" in driver.find_element(By.CSS_SELECTOR, "#live [role=status]").get_attribute("textContent")


def test_search_the_back_button_and_the_keyboard(site: Site) -> None:
    driver = site.open("/fleet?since=7d")
    driver.find_element(By.ID, "find").send_keys("gpu0005", Keys.ENTER)
    wait(lambda: urlsplit(driver.current_url).path == "/node")
    assert driver.find_element(By.TAG_NAME, "h1").text.startswith("gpu0005")
    driver.find_element(By.CSS_SELECTOR, "#t-jobs a").click()
    wait(lambda: urlsplit(driver.current_url).path == "/job")
    driver.back()
    driver.back()
    wait(lambda: "/fleet?since=7d" in driver.current_url)
    assert "Checks that did not pass since 7d" in driver.find_element(By.ID, "failing").text
    driver.execute_script("document.activeElement.blur()")
    body = driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert driver.execute_script("return document.activeElement.className") == "skip"
    driver.execute_script("document.querySelector('.map a.n').focus()")
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    second = driver.execute_script("return document.querySelectorAll('.map a.n')[1] === document.activeElement")
    assert second
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    wait(lambda: urlsplit(driver.current_url).path == "/node")


def test_without_script_the_pages_are_complete(site: Site) -> None:
    driver = site.browser.driver
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver = site.open("/nodes")
        field = driver.find_element(By.NAME, "q")
        field.send_keys("gpu[0003-0004]", Keys.ENTER)
        wait(lambda: "q=" in driver.current_url)
        names = [one.text for one in driver.find_elements(By.CSS_SELECTOR, "#t-nodes tbody th")]
        assert names == ["gpu0003", "gpu0004"]
        assert not driver.find_element(By.ID, "live").is_displayed()
        driver.find_element(By.CSS_SELECTOR, ".out button").click()
        wait(lambda: urlsplit(driver.current_url).path == "/login")
        site.login()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
