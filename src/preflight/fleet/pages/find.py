"""Where a text of the search field leads."""

from __future__ import annotations

from preflight.digits import is_whole
from preflight.fleet.pages.ask import Ask, link
from preflight.fleet.query import node


def place_of(ask: Ask) -> str:
    """Return the URL of the node, job or check named ``q``, else of nodes of such names; for a user of jobs alone."""
    text = ask.text("q")
    number, _, task = text.partition("_")
    if is_whole(number) and (not task or is_whole(task)):
        return link("/job", id=text)
    if not ask.reader.admin:
        return link("/jobs", partition=text)
    its = node.find(ask.store, text)
    if len(its) == 1:
        return link("/node", cluster=its[0][0], name=its[0][1])
    if ask.store.rows("SELECT 1 FROM checks WHERE name = ?", (text,)):
        return link("/check", name=text)
    if text and ask.store.rows("SELECT 1 FROM jobs WHERE user_name = ? LIMIT 1", (text,)):
        return link("/jobs", user=text, since="30d")
    return link("/nodes", q=text)
