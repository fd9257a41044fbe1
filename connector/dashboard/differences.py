"""Where our view and the accounting systems' differ: each with its cause, before and after, and its fixes."""

from __future__ import annotations

import re

from flask import flash, redirect
from flask.typing import ResponseReturnValue

from connector.dashboard.frame import act, merchant_id, show, staff_blueprint, user_id
from connector.errors import ConnectorError, NotFound
from connector.journeys import fix_difference, fix_record, review
from connector.reading import differences
from connector.web.context import wiring

blueprint = staff_blueprint("differences")
_PAGE = "/differences"
_LEFT = "It is left as it is. You find it under Ignored."
_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)
_GIVE = re.compile(r"give-([0-9]{1,15})", re.ASCII)


@blueprint.get("/differences")
def page() -> ResponseReturnValue:
    """What waits for a decision, what was left as it is, and what was put right lately."""
    return show(
        "differences",
        "differences",
        waiting=differences.waiting(wiring(), merchant_id()),
        total=differences.count(wiring(), merchant_id()),
        ignored=differences.ignored(wiring(), merchant_id()),
        put_right=differences.put_right(wiring(), merchant_id()),
        titles={name: system.manifest.title for name, system in wiring().systems.items()},
    )


@blueprint.post("/differences/postings/<key>/<fix>")
def fix_posting(key: str, fix: str) -> ResponseReturnValue:
    """A decision about a payment that waits for review."""
    if not _KEY.fullmatch(key):
        raise NotFound("This payment does not exist.")
    mine = (wiring(), merchant_id(), key)
    if fix == "retry":
        done = "It is tried again: we look it up first, so it is never recorded twice."
        return act(lambda: review.retry(*mine, user_id()), done=done, back=_PAGE)
    if fix == "today":
        done = "It is being recorded with today's date."
        return act(lambda: fix_difference.record_today(*mine, user_id()), done=done, back=_PAGE)
    if fix == "ignore":
        done = "It is left unrecorded. You find it under Ignored."
        return act(lambda: fix_difference.ignore_posting(*mine, user_id()), done=done, back=_PAGE)
    if given := _GIVE.fullmatch(fix):
        done = "What was paid counts for the new invoice now, and is being recorded there."
        return act(lambda: fix_difference.give_to(*mine, int(given[1]), user_id()), done=done, back=_PAGE)
    raise NotFound("There is no such fix.")


@blueprint.post("/differences/records/<row:problem_id>/<fix>")
def fix_unread(problem_id: int, fix: str) -> ResponseReturnValue:
    """A decision about a record that could not be read."""
    mine = (wiring(), merchant_id(), problem_id, user_id())
    if fix == "ignore":
        return act(lambda: fix_record.ignore_record(*mine), done=_LEFT, back=_PAGE)
    if fix != "read":
        raise NotFound("There is no such fix.")
    try:
        read = fix_record.read_again(*mine)
    except NotFound:
        raise
    except ConnectorError as error:
        flash(error.message, "bad")
    else:
        asked = "What has changed there is being read. The record leaves this page once it was read."
        flash("It could be read now." if read else asked, "good")
    return redirect(_PAGE, 303)


@blueprint.post("/differences/links/<row:placement_id>/<fix>")
def fix_refused_link(placement_id: int, fix: str) -> ResponseReturnValue:
    """A decision about a link that could not be placed."""
    mine = (wiring(), merchant_id(), placement_id, user_id())
    if fix == "place":
        return act(lambda: fix_record.place_link(*mine), done="The link is being placed again.", back=_PAGE)
    if fix == "ignore":
        return act(lambda: fix_record.ignore_link(*mine), done=_LEFT, back=_PAGE)
    raise NotFound("There is no such fix.")


@blueprint.post("/differences/<row:difference_id>/<fix>")
def fix_row(difference_id: int, fix: str) -> ResponseReturnValue:
    """A decision about any other difference."""
    if fix == "check":
        return _check(difference_id)
    fixes = {
        "place": (fix_difference.place_link, "The link is being placed again."),
        "anew": (fix_difference.record_anew, "The record is taken back and made again as it was paid."),
        "back": (fix_difference.take_back, "The record is being taken back."),
        "ignore": (fix_difference.ignore, _LEFT),
        "bring-back": (fix_difference.bring_back, "It is shown again."),
    }
    if fix not in fixes:
        raise NotFound("There is no such fix.")
    action, done = fixes[fix]
    return act(lambda: action(wiring(), merchant_id(), difference_id, user_id()), done=done, back=_PAGE)


def _check(difference_id: int) -> ResponseReturnValue:
    try:
        agrees = fix_difference.check_again(wiring(), merchant_id(), difference_id)
    except NotFound:
        raise
    except ConnectorError as error:
        flash(error.message, "bad")
    else:
        flash("It agrees now." if agrees else "Asked again: it still differs.", "good" if agrees else "bad")
    return redirect(_PAGE, 303)
