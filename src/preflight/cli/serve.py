"""`preflight serve`: the collector."""

from __future__ import annotations

import ipaddress

import click

from preflight.cli.common import fail, write_out
from preflight.cli.stores import NEEDS, opened, store_option
from preflight.digits import is_whole


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
def serve(store_url: str, listen: str, tls_cert: str | None, tls_key: str | None, keep_days: int) -> None:
    """Take reports from `preflight ship` and keep them in the store, until ended by a signal."""
    try:
        import uvicorn

        from preflight.fleet.web.app import make_app
    except ImportError as error:
        fail(f"{error.name} is not installed: {NEEDS}")
    host, port = _address(listen)
    if bool(tls_cert) != bool(tls_key):
        fail("--tls-cert and --tls-key belong together")
    store = opened(store_url, make=True)
    scheme = "https" if tls_cert else "http"
    write_out(f"Collector on {scheme}://{listen}, store {_shown(store_url)}")
    write_out(f"A node's token: preflight fleet token NODE --store {_shown(store_url)}")
    if not tls_cert and not _is_loopback(host):
        click.echo("preflight: without --tls-cert tokens and reports cross the network in the clear", err=True)
    config = uvicorn.Config(
        make_app(store, keep_days),
        host=host,
        port=port,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=512,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=20,
        backlog=2048,
    )
    try:
        uvicorn.Server(config).run()
    finally:
        store.close()


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
