"""`preflight serve`: the collector and the dashboard."""

from __future__ import annotations

import gc
import ipaddress
import os
import sys
import time
from collections.abc import Callable

import click

from preflight.cli.common import config_option, fail, policy_for, write_out
from preflight.cli.stores import NEEDS, opened, store_option
from preflight.digits import is_whole
from preflight.slurm.commands import Slurm

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
    no_slurm: bool,
    config: str | None,
) -> None:
    """Take reports from `preflight ship`, keep them in the store, and show the dashboard, until ended by a signal."""
    try:
        import uvicorn

        from preflight.fleet.pages import access
        from preflight.fleet.pages.app import Options
        from preflight.fleet.pages.states import Watch
        from preflight.fleet.web.app import make_app
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
    watch = Watch(None if no_slurm else _slurm(config))
    store = opened(store_url)
    _alone(store_url)
    scheme = "https" if tls_cert else "http"
    write_out(f"Collector on {scheme}://{listen}, store {_shown(store_url)}")
    write_out(f"A node's token: preflight fleet token NODE --store {_shown(store_url)}")
    write_out(f"Dashboard: {scheme}://{listen}/")
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
    app = make_app(store, keep_days, Options(proxy, watch, bool(tls_cert), None if no_slurm else _why(config)))
    its = uvicorn.Config(
        app,
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
        store.close()


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
    """Write the audit's lines to stderr, where the journal takes them."""
    import logging

    logger = logging.getLogger("preflight.audit")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
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
