"""Who sees what: a user their own jobs by no way but their own, an admin all; and everybody's texts as text."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import time
from collections.abc import Iterator
from html import unescape

import pytest
from starlette.testclient import TestClient

from fleet import samples
from preflight.checks.finding import Finding
from preflight.fleet import tokens
from preflight.fleet.entry import EntryReader
from preflight.fleet.pages import access, app, make, show
from preflight.fleet.store.interface import Store
from preflight.fleet.web.app import make_app

MINE, OTHERS, SHARED = 101, 202, 303
FORMS = ("html", "json", "csv")
SECRET = "secret-of-bob"


@pytest.fixture
def filled(store: Store) -> Store:
    at = time.time() - 3600
    reports = [
        samples.report("n1", at, MINE, user="alice", gpus=2),
        samples.report("n1", at + 1, OTHERS, user="bob", gpus=2, found=[_secret()]),
        # Slurm gave the number again after its counter was set back: first alice's, then bob's.
        samples.report("n1", at + 2, SHARED, user="alice", gpus=2),
        samples.report("n2", at + 3, SHARED, user="bob", gpus=2, found=[_secret()]),
    ]
    for raw in reports:
        store.add([EntryReader().read(raw)])
    return store


def _secret() -> Finding:
    return samples.finding("requirement", "fail", "job", subject="node", expected=SECRET)


def client_of(store: Store, options: app.Options | None = None, peer: str = "testclient") -> TestClient:
    return TestClient(make_app(store, options=options), follow_redirects=False, client=(peer, 50000))


@pytest.fixture
def client(filled: Store) -> Iterator[TestClient]:
    with client_of(filled) as made:
        yield made


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def every_url() -> list[str]:
    its = []
    for path in app.VIEWS:
        for values in ("", f"id={OTHERS}", f"id={SHARED}", f"id={MINE}", "name=n1", "user=bob", "q=bob", "since=30d"):
            its += [f"{path}?{values}&format={form}" for form in FORMS]
    its += [f"{path}?id={OTHERS}" for path in ("/report", "/why")]
    its += [f"/search?q={text}" for text in ("bob", str(OTHERS), "n1", "requirement")]
    return [*its, "/", f"/job?id={OTHERS}&cluster=lab", "/jobs?node=n2&since=30d", "/jobs?partition=gpu&size=500"]


def test_without_a_token_there_is_nothing(client: TestClient, filled: Store) -> None:
    node = tokens.make(filled, samples.CLUSTER, "n1")
    for headers in ({}, bearer(access.PREFIX + "a" * 43), bearer(node), {"cookie": f"{access.COOKIE}={node}"}):
        for url in every_url():
            answer = client.get(url, headers=headers)
            assert answer.status_code in (303, 401), url
            assert "n1" not in re.sub(r"next=[^\"]*", "", answer.text), url
        assert client.get("/live", headers=headers).status_code == 401


def test_a_user_sees_their_own_jobs_and_no_other(client: TestClient, filled: Store) -> None:
    headers = bearer(access.make(filled, "alice", "user"))
    for url in every_url():
        answer = client.get(url, headers=headers)
        text = unescape(answer.text)
        assert SECRET not in text, url
        assert "bob" not in text.replace("&user=bob", "").replace("?user=bob", "").replace("q=bob", ""), url
        if answer.status_code == 200 and "/jobs" in url and "csv" in url:
            assert {row["user"] for row in csv.DictReader(io.StringIO(answer.text))} <= {"alice"}, url
    own = client.get(f"/job?id={MINE}", headers=headers)
    assert own.status_code == 200
    shared = client.get(f"/job?id={SHARED}&format=json", headers=headers).json()
    assert shared["figures"]["nodes"] == ["n1"]
    listed = client.get("/jobs?since=30d&format=json", headers=headers).json()["tables"]["jobs"]
    assert sorted(row["job"] for row in listed) == [str(MINE), str(SHARED)]
    assert client.get("/fleet", headers=headers).status_code == 403
    assert client.get("/", headers=headers).headers["location"] == "/jobs"


def test_another_users_job_is_as_one_that_there_is_not(client: TestClient, filled: Store) -> None:
    headers = bearer(access.make(filled, "alice", "user"))
    for path in ("/job", "/report"):
        his, none = (client.get(f"{path}?id={number}", headers=headers) for number in (OTHERS, 999))
        assert his.status_code == none.status_code == 404
        assert his.text.replace(str(OTHERS), "999") == none.text


def test_the_jobs_on_a_nodes_page_are_looked_at_too(
    client: TestClient, filled: Store, caplog: pytest.LogCaptureFixture
) -> None:
    headers = bearer(access.make(filled, "carol", "admin"))
    ((name,),) = filled.rows(
        "SELECT n.name FROM latest l JOIN nodes n ON n.node = l.node WHERE l.job IS NOT NULL ORDER BY 1 LIMIT 1"
    )
    with caplog.at_level(logging.INFO, "preflight.audit"):
        figures = client.get(f"/node?name={name}&since=30d&format=json", headers=headers).json()
    lines = [one.getMessage() for one in caplog.records if one.name == "preflight.audit"]
    assert figures["tables"]["jobs"]
    assert len(lines) == 1


def test_an_admin_sees_all_and_one_line_says_so(
    client: TestClient, filled: Store, caplog: pytest.LogCaptureFixture
) -> None:
    headers = bearer(access.make(filled, "carol", "admin"))
    with caplog.at_level(logging.INFO, "preflight.audit"):
        for _ in range(2):
            answer = client.get(f"/job?id={OTHERS}&format=json", headers=headers)
            assert answer.json()["tables"]["findings"][0]["check"] == "requirement"
    lines = [one.getMessage() for one in caplog.records if one.name == "preflight.audit"]
    assert lines == [f"preflight serve: reader=carol by=token from=testclient looked at jobs={OTHERS} of users=bob"]
    assert client.get("/jobs?since=30d&user=bob&format=json", headers=headers).json()["figures"]["shown"] == 1


def test_a_token_ends_when_it_is_revoked(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "FRESH_S", 0.0)
    with client_of(filled) as client:
        headers = bearer(access.make(filled, "carol", "admin"))
        assert client.get("/fleet", headers=headers).status_code == 200
        assert access.revoke(filled, "carol") == 1
        assert client.get("/fleet", headers=headers).status_code == 401


def test_the_form_gives_a_cookie_that_no_script_and_no_other_site_has(client: TestClient, filled: Store) -> None:
    token = access.make(filled, "carol", "admin")
    assert client.get("/fleet?since=7d").headers["location"] == "/login?next=%2Ffleet%3Fsince%3D7d"
    wrong = client.post("/login", data={"token": "nonsense"})
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    answer = client.post("/login?next=/fleet%3Fsince%3D7d", data={"token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/fleet?since=7d")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/fleet").status_code == 200
    for onward in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
        again = client.post("/login", params={"next": onward}, data={"token": token})
        assert again.headers["location"] == "/"
    out = client.post("/logout", headers={"sec-fetch-site": "same-origin"})
    assert out.status_code == 303
    assert client.get("/fleet").status_code == 303


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "http://evil.example"}]
)
def test_a_form_of_another_site_does_nothing(client: TestClient, filled: Store, headers: dict[str, str]) -> None:
    token = access.make(filled, "carol", "admin")
    answer = client.post("/login", data={"token": token}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    client.cookies.set(access.COOKIE, token)
    assert client.post("/logout", headers=headers).status_code == 403
    assert client.get("/fleet").status_code == 200


@pytest.mark.parametrize(
    ("options", "headers", "secure"),
    [
        (app.Options(), {}, False),
        (app.Options(secure=True), {}, True),
        (app.Options(), {"x-forwarded-proto": "https"}, False),  # anybody can say that
        (app.Options(access.proxy("x-user", ["127.0.0.9"], [])), {"x-forwarded-proto": "https"}, True),
        (app.Options(access.proxy("x-user", ["127.0.0.9"], [])), {"x-forwarded-proto": "http"}, False),
    ],
)
def test_behind_tls_the_cookie_goes_over_tls_alone(
    filled: Store, options: app.Options, headers: dict[str, str], secure: bool
) -> None:
    token = access.make(filled, "alice", "user")
    with client_of(filled, options, "127.0.0.9") as client:
        for answer in (
            client.post("/login", content=f"token={token}", headers=headers),
            client.post("/logout", headers=headers),
        ):
            assert answer.status_code == 303
            assert ("secure" in answer.headers["set-cookie"].lower().split("; ")) == secure


def test_a_link_from_elsewhere_asks_again_with_the_cookie(client: TestClient) -> None:
    answer = client.get('/job?id=1&x="><script>', headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert 'content="0; url=/job?id=1' in answer.text
    assert "<script>" not in answer.text


def proxied(filled: Store) -> app.Options:
    return app.Options(access.proxy("X-Remote-User", ["10.1.0.0/24", "::1"], ["carol"]))


@pytest.mark.parametrize("peer", ["10.1.0.9", "::1", "::ffff:10.1.0.9"])
def test_a_proxy_is_believed(filled: Store, peer: str) -> None:
    with client_of(filled, proxied(filled), peer) as client:
        assert client.get("/fleet", headers={"x-remote-user": "carol"}).status_code == 200
        assert client.get("/fleet", headers={"x-remote-user": "alice"}).status_code == 403
        assert client.get(f"/job?id={MINE}", headers={"x-remote-user": "alice"}).status_code == 200
        assert client.get(f"/job?id={OTHERS}", headers={"x-remote-user": "alice"}).status_code == 404
        twice = [("x-remote-user", "carol"), ("x-remote-user", "alice")]
        assert client.get("/fleet", headers=twice).status_code == 303
        assert client.get("/fleet", headers={"x-remote-user": ""}).status_code == 303


@pytest.mark.parametrize("peer", ["10.2.0.1", "127.0.0.1", "testclient"])
def test_a_forged_user_header_is_nobodys(filled: Store, peer: str) -> None:
    with client_of(filled, proxied(filled), peer) as client:
        forged = {"x-remote-user": "carol", "x-forwarded-for": "10.1.0.9", "forwarded": "for=10.1.0.9"}
        for url in every_url():
            assert client.get(url, headers=forged).status_code in (303, 401)


SIZES = ("-1", "0", "501", "99999999999999999999", "1e3", "x", "²", "0x10", " 1", "1 ", "NaN")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["size", "page"])
def test_a_size_that_is_none_is_refused(client: TestClient, filled: Store, size: str, name: str) -> None:
    headers = bearer(access.make(filled, "carol", "admin"))
    for path in ("/jobs", "/nodes"):
        for form in FORMS:
            answer = client.get(path, params={name: size, "format": form}, headers=headers)
            assert answer.status_code == 400, (path, form)
            assert "is not a number from" in unescape(answer.text)


def test_every_answer_lets_no_other_script_or_frame_in(client: TestClient, filled: Store) -> None:
    headers = bearer(access.make(filled, "carol", "admin"))
    for url in [*every_url(), *(one.url for one in show.assets().values()), "/login"]:
        answer = client.get(url, headers=headers)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        if "static" not in url:
            assert answer.headers["cache-control"] == "no-store"
        if "text/html" in answer.headers.get("content-type", "") and "/report" not in url:
            assert not re.search(r"<script(?! src=\"/static/)|<style|\sstyle=|\son[a-z]+=|https?://", answer.text), url


def test_json_and_csv_have_what_the_page_has(client: TestClient, filled: Store) -> None:
    headers = bearer(access.make(filled, "carol", "admin"))
    for path in app.VIEWS:
        url = {"/node": "/node?name=n1&x=", "/job": f"/job?id={MINE}&x=", "/check": "/check?name=requirement&x="}.get(
            path, f"{path}?since=30d"
        )
        document = client.get(f"{url}&format=json", headers=headers).json()
        assert document["format"] == make.FORMAT
        for name, rows in document["tables"].items():
            text = client.get(f"{url}&format=csv&table={name}", headers=headers)
            assert text.headers["content-disposition"].startswith("attachment")
            assert len(list(csv.reader(io.StringIO(text.text)))) == len(rows) + 1, (path, name)
        assert json.dumps(document["figures"])
