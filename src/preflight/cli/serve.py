"""`preflight serve`: the collector and the dashboard."""

from __future__ import annotations

import gc
import ipaddress
import os
import sys
import time
from collections.abc import Callable

import click

from preflight.cli.common import config_option, fail, policy_for, secret_of, write_out
from preflight.cli.stores import NEEDS, opened, store_option
from preflight.digits import is_whole
from preflight.slurm.commands import Slurm

TYPE_CHECKING = False  # as typing's: what the extra brings is imported when it is needed
if TYPE_CHECKING:
    from preflight.fleet.tell.otlp import OtlpLogs
    from preflight.fleet.tell.webhook import Target

LEAST_SECRET = 16
WHY_S = 15.0  # seconds that Slurm has to say why a job waits


@click.command()
@store_option
@click.option("--listen", default="127.0.0.1:8470", show_default=True, metavar="HOST:PORT", help="Where shippers send.")
@click.option("--tls-cert", metavar="FILE", help="The certificate (PEM), with --tls-key.")
@click.option("--tls-key", metavar="FILE", help="Its key (PEM).")
@click.option(
    "--keep-days",
    default=400,
    show_default=True,
    type=click.IntRange(0, 36500),
    help="Forget reports of earlier days, not what was counted of them; 0 keeps all.",
)
@click.option("--proxy-user-header", metavar="NAME", help="A reverse proxy's header that names who looks.")
@click.option("--proxy-from", "proxy_from", multiple=True, metavar="ADDRESS", help="Believe it from here alone.")
@click.option("--admin", "admins", multiple=True, metavar="USER", help="Of those, who may see every job.")
@click.option("--public-url", metavar="URL", help="How browsers reach it, where a proxy before it speaks TLS.")
@click.option("--frame-from", "frames", multiple=True, metavar="ORIGIN", help="Whose pages may show a job in a frame.")
@click.option("--webhook", metavar="URL", help="Who is told of drains, resumes and the breaker (docs/monitoring.md).")
@click.option("--webhook-secret", metavar="FILE", help="What signs that, 0600.")
@click.option("--otlp", metavar="URL", help="Where reports go as OpenTelemetry's logs: http://127.0.0.1:4318/v1/logs.")
@click.option("--no-slurm", is_flag=True, help="Do not ask Slurm for the nodes' states.")
@config_option
def serve(
    store_url: str,
    listen: str,
    tls_cert: str | None,
    tls_key: str | None,
    keep_days: int,
    proxy_user_header: str | None,
    proxy_from: tuple[str, ...],
    admins: tuple[str, ...],
    public_url: str | None,
    frames: tuple[str, ...],
    webhook: str | None,
    webhook_secret: str | None,
    otlp: str | None,
    no_slurm: bool,
    config: str | None,
) -> None:
    """Take reports from `preflight ship`, keep them in the store, and show the dashboard, until ended by a signal."""
    try:
        import uvicorn

        from preflight.fleet.pages import access, embed
        from preflight.fleet.pages.app import Options
        from preflight.fleet.pages.states import Watch
        from preflight.fleet.web.app import make_app
        from preflight.fleet.web.connections import Patient
    except ImportError as error:
        fail(f"{error.name} is not installed: {NEEDS}")
    host, port = _address(listen)
    if bool(tls_cert) != bool(tls_key):
        fail("--tls-cert and --tls-key belong together")
    if bool(proxy_user_header) != bool(proxy_from) or (admins and not proxy_user_header):
        fail("--proxy-user-header and --proxy-from belong together; --admin names users of that header")
    try:
        proxy = access.proxy(proxy_user_header, proxy_from, admins) if proxy_user_header else None
    except ValueError as error:
        fail(f"--proxy-from: {error}")
    try:
        frames = tuple(embed.origin(one) for one in frames)
    except ValueError as error:
        fail(f"--frame-from: {error}")
    if public_url and not public_url.startswith(("https://", "http://")):
        fail(f"--public-url: no address such as https://preflight.example.org: {public_url[:80]!r}")
    target, logs = _target(webhook, webhook_secret), _logs(otlp)
    watch = Watch(None) if no_slurm else Watch(_slurm(config), policy_for(config).cluster)
    _alone(store_url)
    store = opened(store_url, alone=True)
    scheme = "https" if tls_cert else "http"
    write_out(f"Collector on {scheme}://{listen}, store {_shown(store_url)}")
    write_out(f"A node's token: preflight fleet token NODE --store {_shown(store_url)}")
    write_out(f"Dashboard: {public_url or f'{scheme}://{listen}/'}")
    if "JOURNAL_STREAM" in os.environ and not access.any_reader(store) and proxy is None:  # a journal has many readers
        write_out(f"No reader yet: preflight fleet reader NAME --admin --store {_shown(store_url)}")
    elif not access.any_reader(store) and proxy is None:
        write_out(f"The first reader's token (an admin's), shown this once: {access.make(store, 'admin', 'admin')}")
    else:
        write_out(f"A reader's token: preflight fleet reader NAME --store {_shown(store_url)}")
    sys.stdout.flush()
    _audit()
    if not tls_cert and not _is_loopback(host):
        click.echo("preflight: without --tls-cert tokens and reports cross the network in the clear", err=True)
    secure = bool(tls_cert) or (public_url or "").startswith("https://")
    why = None if no_slurm else _why(config)
    app = make_app(store, keep_days, Options(proxy, watch, secure, why, target, logs, frames))
    its = uvicorn.Config(
        app,
        http=Patient,
        host=host,
        port=port,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the address of a connection is whose it is, not what a header says
        limit_concurrency=1024,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=20,
        backlog=2048,
    )
    server = uvicorn.Server(its)
    app.state.pages.hub.stopping = lambda: server.should_exit
    # A page of 10,000 nodes makes tens of thousands of tuples: collecting all that lives after each few costs a third.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        server.run()
    finally:
        if logs is not None:
            logs.close()
        store.close()


def _target(url: str | None, secret_file: str | None) -> Target | None:
    """Return the webhook's target, with the secret of its file."""
    from preflight.fleet.tell.webhook import Target

    if not url and not secret_file:
        return None
    if not url or not secret_file:
        fail("--webhook and --webhook-secret belong together")
    if not url.startswith(("https://", "http://")) or not url.partition("://")[2].partition("/")[0]:
        fail("--webhook: no address such as https://hooks.example.org/preflight")
    secret = secret_of(secret_file, "make one: openssl rand -hex 32 > FILE; chmod 600 FILE")
    if len(secret) < LEAST_SECRET:
        fail(f"{secret_file}: fewer than {LEAST_SECRET} characters sign nothing well: openssl rand -hex 32")
    return Target(url, secret.encode())


def _logs(endpoint: str | None) -> OtlpLogs | None:
    """Return what sends reports as logs, None where nobody asked for it."""
    if not endpoint:
        return None
    if not endpoint.startswith(("https://", "http://")):
        fail("--otlp: no address such as http://127.0.0.1:4318/v1/logs")
    try:
        from preflight.fleet.tell.otlp import OtlpLogs
    except ImportError as error:
        fail(f"{error.name} is not installed: pip install 'slurm-preflight[otlp]'")
    return OtlpLogs(endpoint)


def _alone(url: str) -> None:
    """Take a store on SQLite for this process, and say where its file system is no place for it."""
    from preflight.fleet.store import place
    from preflight.fleet.store.interface import StoreError

    try:
        place.claim(url)
    except StoreError as error:
        fail(f"--store: {error}")
    if kind := place.network(url):
        click.echo(
            f"preflight: {_shown(url)} lies on {kind}: SQLite needs a local disk; take one, or PostgreSQL", err=True
        )


def _slurm(config: str | None) -> Callable[[float], Slurm]:
    """Return the way to the cluster of the policy, or of SLURM_CONF."""
    from preflight.slurm.cluster import slurm_for

    policy = policy_for(config)
    return lambda deadline: slurm_for(policy, deadline)


def _why(config: str | None) -> Callable[[str], str]:
    """Return what says of a job what `preflight why` says; it raises ValueError with one line."""
    policy = policy_for(config)

    def why(text: str) -> str:
        from preflight.report.find import ReportPlaces
        from preflight.slurm.cluster import cluster_for
        from preflight.submit.why.fits import Fitting
        from preflight.submit.why.gather import Reader, parse
        from preflight.submit.why.several import tell
        from preflight.submit.why.text import render

        asked = parse(text)
        cluster = cluster_for(policy, time.monotonic() + WHY_S)
        places = ReportPlaces(policy.report.spool, policy.report.dir, policy.report.search)
        return render(tell(Reader(cluster, places, Fitting(cluster.slurm, policy)), asked), time.time())

    return why


def _audit() -> None:
    """Write the audit's lines, and what went wrong, to stderr, where the journal takes them."""
    import logging

    for name, form in (("preflight.audit", "%(message)s"), ("preflight.serve", "preflight serve: %(message)s")):
        logger = logging.getLogger(name)
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(form))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not (is_whole(port)) or not 0 < int(port) < 65536:
        fail(f"--listen: not HOST:PORT: {listen!r}")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(url: str) -> str:
    """Return a store's URL without its password."""
    head, at, tail = url.rpartition("@")
    scheme, separator, account = head.partition("://")
    return f"{scheme}{separator}{account.partition(':')[0]}{at}{tail}"
