"""Write the sample evidence: what agents did in a fictional repository, as ten streams of JSON lines.

The repository is that of *Quayside*, an invented service that books berths in small harbours. Nobody ran these tasks:
a generator with a fixed seed composes every line from the tables below, so it writes the same files each time. Run
``python evidence/make_sample.py`` to write them beside this script, or with ``--check`` only to compare.
"""

import argparse
import json
import random
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

SEED = 20260401
HERE = Path(__file__).parent
FIRST_DAY = datetime(2026, 4, 1, 6, 30, tzinfo=UTC)
TIME_BETWEEN_TASKS = timedelta(hours=12, minutes=20)

Row = dict[str, Any]
Item = TypeVar("Item", bound=Hashable)


class Hint(NamedTuple):
    """A setting that belongs to a task: its file, its key and value, and why it has that value."""

    file: str
    key: str
    value: str
    why: str


@dataclass(frozen=True)
class Task:
    """A task, and the parts from which sentences about it are made.

    ``{code}``, ``{test}`` and ``{extra}`` in a part stand for the task's paths.
    """

    task_id: str
    code: str
    test: str
    extra: str
    prompt: str
    before: str  # how things stood, a clause in the past tense
    fixes: tuple[str, str]  # what a good attempt did, without its subject
    gap: str  # what a partial attempt left open, a clause
    wrong: str  # what a bad attempt did, without its subject
    risk: str  # the consequence of that, a clause
    facts: tuple[str, str]
    goal: str  # completes "how to ..."
    steps: tuple[str, str, str]
    hint: Hint


class Model(NamedTuple):
    """An invented model: its prices for a million tokens in and out, and how many tokens it writes in a second."""

    name: str
    price_in: float
    price_out: float
    speed: float


class Entry(NamedTuple):
    """A line, and the time by which the lines of its file are sorted."""

    when: datetime
    row: Row


class Attempt(NamedTuple):
    """An attempt at a task, how good it was, and its line."""

    task: Task
    quality: str
    entry: Entry


MODELS = (
    Model("heron-2-large", 3.0, 12.0, 48),
    Model("curlew-code", 1.1, 4.4, 95),
    Model("dunlin-70b", 0.6, 0.9, 61),
    Model("tern-mini", 0.15, 0.6, 170),
    Model("avocet-1", 2.2, 8.8, 72),
)


def joined(templates: tuple[str, ...], endings: tuple[str, ...]) -> tuple[str, ...]:
    """Return each template with each ending, after a space; on the next line if the template ends its line."""
    gaps = {template: "" if template.endswith("\n") else " " for template in templates}
    return tuple(f"{template}{gaps[template]}{ending}".rstrip() for template in templates for ending in endings)


TASKS = (
    Task(
        task_id="QS-101",
        code="src/quayside/auth/tokens.py",
        test="tests/test_tokens.py",
        extra="docs/api.md",
        prompt=(
            "Terminals whose clock is slow refuse an access token during the first minute after it is issued. "
            "Allow a small clock skew when a token is checked, and test it."
        ),
        before="the check compared the time of issue with the local clock to the second",
        fixes=(
            "allowed thirty seconds of clock skew in the token check and read the amount from the settings",
            ("moved the comparison into one function that takes the leeway as an argument, with thirty seconds as its default"),
        ),
        gap="the refresh token is still checked without any leeway",
        wrong="removed the check of the time of issue altogether",
        risk="a token dated far in the future is accepted",
        facts=(
            "Token times in {code} are whole seconds in UTC.",
            "Access tokens and refresh tokens are checked by two separate functions in {code}.",
        ),
        goal="change how a token is checked",
        steps=(
            "write the failing case into {test} with a frozen clock",
            "change the check in {code}",
            "run the session tests as well, because sessions renew tokens",
        ),
        hint=Hint("config/default.toml", "auth.clock_skew_seconds", "30", "the terminals on the piers keep poor time"),
    ),
    Task(
        task_id="QS-102",
        code="src/quayside/auth/sessions.py",
        test="tests/test_sessions.py",
        extra="docs/api.md",
        prompt="Sessions of deleted users stay valid until they expire. End them as soon as the user is deleted.",
        before="deleting a user left the rows of the session table as they were",
        fixes=(
            "ended all sessions of a user in the transaction that deletes the user",
            (
                "added a foreign key with ON DELETE CASCADE from sessions to users, and a test that logs in, "
                "deletes the user and asks again"
            ),
        ),
        gap="a request that is already under way keeps its session until it ends",
        wrong="shortened the lifetime of all sessions to five minutes",
        risk="skippers are logged out while they fill in the booking form",
        facts=(
            "A session row holds the user's id and an expiry, and is read on every request.",
            "Users are deleted in one place only, the admin route in src/quayside/api/routes.py.",
        ),
        goal="end sessions together with their owner",
        steps=(
            "find every place that deletes the owner",
            "end the sessions in the same transaction",
            "prove in {test} that the next request is answered with 401",
        ),
        hint=Hint("config/default.toml", "auth.session_hours", "12", "harbour offices share one terminal for a whole shift"),
    ),
    Task(
        task_id="QS-103",
        code="src/quayside/auth/sessions.py",
        test="tests/test_sessions.py",
        extra="docs/development.md",
        prompt=(
            "One test in tests/test_sessions.py fails about once in twenty runs. Find out why and make it reliable "
            "without a retry."
        ),
        before=(
            "the test compared two times taken a few milliseconds apart, and now and then a full second began between them"
        ),
        fixes=(
            "gave the session store a clock as an argument and froze it in the test",
            "rewrote the assertion so that it compares the expiry with the time that the store itself recorded",
        ),
        gap="two other tests in the file still read the wall clock",
        wrong="marked the test as flaky so that it is repeated up to three times",
        risk="a real fault in the expiry can pass unnoticed",
        facts=(
            "The session store takes the current time from one helper, `now()`, which a test can replace.",
            "The expiry of a session is rounded down to whole seconds before it is stored.",
        ),
        goal="prove that a flaky test is fixed",
        steps=(
            "repeat the test two hundred times before the change and note how often it fails",
            "remove the cause instead of retrying",
            "repeat {test} two hundred times after the change, in random order",
        ),
        hint=Hint(
            "pyproject.toml",
            "tool.pytest.ini_options.timeout",
            "20",
            "a test that hangs should fail long before the pipeline gives up",
        ),
    ),
    Task(
        task_id="QS-104",
        code="src/quayside/auth/tokens.py",
        test="tests/test_tokens.py",
        extra="docs/operations.md",
        prompt=(
            "Rotate the signing key without logging anybody out: accept tokens signed with the previous key until they expire."
        ),
        before="there was a single signing key, and changing it made every open token invalid",
        fixes=(
            "let the settings name a current and a previous key, and made the token check try both",
            ("put a key id into the token's header and looked the key up by it, so that old tokens verify until they expire"),
        ),
        gap="nothing says when the previous key may be removed",
        wrong="wrote both keys into config/production.toml so that they are always at hand",
        risk="everybody who can clone the repository can sign tokens",
        facts=(
            "Tokens carry the id of their key in the header field `kid`.",
            "Signing keys come from the environment and never from a file in the repository.",
        ),
        goal="rotate the signing key",
        steps=(
            "deploy with the new key as the current and the old one as the previous key",
            "wait until the longest-lived token has expired",
            "remove the previous key and deploy again",
        ),
        hint=Hint(
            "config/production.toml",
            "auth.previous_key_env",
            '"QUAYSIDE_PREVIOUS_KEY"',
            "the key itself must not be written to a file",
        ),
    ),
    Task(
        task_id="QS-105",
        code="src/quayside/api/pagination.py",
        test="tests/test_pagination.py",
        extra="docs/api.md",
        prompt="The list of bookings skips a row when a booking is deleted between two pages. Make the paging stable.",
        before="pages were cut by offset, and a deleted row moved all later rows up by one",
        fixes=(
            "replaced the offset by a cursor made of the start date and the id of the last row",
            "made the page token carry the sort key of the last row and asked the database for the rows after it",
        ),
        gap="the old page parameter is silently ignored instead of refused",
        wrong="raised the page size to ten thousand so that one page is enough in practice",
        risk="the largest harbour waits nine seconds for its list",
        facts=(
            "Lists of bookings are sorted by start date and then by id, so their order is total.",
            "A page token is opaque to clients; {code} makes it from two fields in base64.",
        ),
        goal="page through a table that changes",
        steps=(
            "choose a sort key that is unique, with the id as its last part",
            "ask for the rows after the last key seen instead of an offset",
            "delete a row between two pages in {test} and compare what was seen with the table",
        ),
        hint=Hint("config/default.toml", "api.page_size", "50", "the terminals show fifty rows on a screen"),
    ),
    Task(
        task_id="QS-106",
        code="src/quayside/api/errors.py",
        test="tests/test_errors.py",
        extra="docs/api.md",
        prompt="Unknown berth ids are answered with status 500. Answer 404 with an error body like the others.",
        before="the lookup raised a KeyError that no handler caught",
        fixes=(
            "turned the failed lookup into a NotFound error and added its handler to the table of errors",
            "made the lookup return nothing for an unknown berth and answered that with 404 and the usual body",
        ),
        gap="the same lookup in the booking route still raises",
        wrong="caught every exception in the middleware and answered all of them with 404",
        risk="a failing database looks like a missing berth",
        facts=(
            "Error bodies have the fields code, message and request_id, in this order.",
            "All error handlers are registered in one table in {code}.",
        ),
        goal="add a new error answer",
        steps=(
            "add the exception and its status to the table in {code}",
            "write a request that provokes it into {test}",
            "list the code in {extra}, because clients switch on it",
        ),
        hint=Hint(
            "config/default.toml", "api.show_tracebacks", "false", "a traceback in an answer tells strangers about the database"
        ),
    ),
    Task(
        task_id="QS-107",
        code="src/quayside/api/routes.py",
        test="tests/test_routes.py",
        extra="docs/api.md",
        prompt=(
            "Add rate limiting to the public availability route: sixty requests a minute for each client, and "
            "status 429 beyond that."
        ),
        before="the availability route answered as often as anybody asked",
        fixes=(
            ("counted requests per client in a sliding window and answered the sixty-first with 429 and a Retry-After header"),
            "put a token bucket in front of the route, keyed by the client's address, with its size in the settings",
        ),
        gap="clients behind one proxy share a single count",
        wrong="added a pause of one second to the route",
        risk="every slow answer keeps a worker busy and the service stands still even sooner",
        facts=(
            "The availability route is the only one that needs no token.",
            "A client's address is what the outermost trusted proxy reports, see {code}.",
        ),
        goal="limit a public route",
        steps=(
            "measure how often honest clients ask",
            "set the limit well above that in the settings",
            "send one request too many in {test} and look for the Retry-After header",
        ),
        hint=Hint("config/default.toml", "api.rate_limit_per_minute", "60", "honest clients ask at most once a second"),
    ),
    Task(
        task_id="QS-108",
        code="src/quayside/api/routes.py",
        test="tests/test_routes.py",
        extra="docs/api.md",
        prompt=(
            "Review the change that moves the berth routes to version 2 of the API, and keep version 1 working for "
            "another season."
        ),
        before="both versions shared one serializer, and the change altered it for both",
        fixes=(
            "split the serializer so that version 1 keeps its field names and version 2 has its own",
            "kept the old routes as thin wrappers around the new ones and compared both answers in a test",
        ),
        gap="the old routes do not send the Deprecation header yet",
        wrong="redirected all requests for version 1 to version 2",
        risk="old clients receive fields they cannot read",
        facts=(
            "Version 1 of the API calls the length of a berth `len_m`, version 2 calls it `length_m`.",
            "Both versions of the berth routes are registered in {code}.",
        ),
        goal="retire a version of the API",
        steps=(
            "count who still uses it",
            "announce the end in {extra} and in a Deprecation header",
            "remove the routes and their cases in {test} in one change",
        ),
        hint=Hint("config/feature_flags.toml", "api_v1", "true", "the terminals on the islands are updated only in winter"),
    ),
    Task(
        task_id="QS-109",
        code="src/quayside/bookings/allocator.py",
        test="tests/test_allocator.py",
        extra="docs/bookings.md",
        prompt="Two bookings made in the same second can get the same berth. Make that impossible.",
        before="the allocator read the free berths and wrote the booking in two separate transactions",
        fixes=(
            "took a lock on the berth's row before reading and wrote the booking in the same transaction",
            (
                "added an exclusion constraint on berth and period, and made the allocator try the next berth when "
                "the database refuses"
            ),
        ),
        gap="the waiting list still takes the old path without a lock",
        wrong="added a short random pause before each booking is written",
        risk="the collision is rarer but still possible",
        facts=(
            "The allocator prefers the shortest berth that is long enough for the boat.",
            ("A booking includes its first night and excludes the day of departure, which {extra} explains with an example."),
        ),
        goal="test a race between two bookings",
        steps=(
            "start two transactions from two threads in {test}",
            "let both reach the same point with a barrier",
            "assert that exactly one of them gets the berth",
        ),
        hint=Hint(
            "config/default.toml",
            "storage.lock_timeout_ms",
            "2000",
            "a booking that waits longer is better refused than queued",
        ),
    ),
    Task(
        task_id="QS-110",
        code="src/quayside/bookings/calendar.py",
        test="tests/test_calendar.py",
        extra="docs/bookings.md",
        prompt="Stays across the change to summer time are one night short. Count nights by date, not by hours.",
        before=("the length of a stay was the difference of two local times in hours, divided by twenty-four and rounded down"),
        fixes=(
            "counted nights as the difference of two dates in the harbour's time zone",
            "stored dates instead of times for arrival and departure and dropped the division",
        ),
        gap="the hourly rate for day visitors has the same fault and is not covered",
        wrong="added one hour to every stay in March",
        risk="stays at the end of October now come out wrong instead",
        facts=(
            "Each harbour has its own time zone, and {code} is the only module that converts times.",
            "In Ærsund and Brännvik the clocks change on the last Sunday of March.",
        ),
        goal="change date arithmetic",
        steps=(
            "look up the two weekends on which the clocks change",
            "add a stay across each of them to {test}",
            "compute with dates and convert to times only for display",
        ),
        hint=Hint(
            "config/default.toml",
            "bookings.default_zone",
            '"Europe/Copenhagen"',
            "most harbours without a zone of their own lie on the Danish side",
        ),
    ),
    Task(
        task_id="QS-111",
        code="src/quayside/bookings/allocator.py",
        test="tests/test_allocator.py",
        extra="docs/bookings.md",
        prompt="Finding a berth takes four seconds in the largest harbour. Bring it below two hundred milliseconds.",
        before="the allocator loaded every booking of the season for each berth it looked at",
        fixes=(
            "replaced the loop by one query that finds the free berths with an anti-join",
            "loaded the bookings of the wanted period once and kept the occupied berths in a set",
        ),
        gap="the waiting list still loads the whole season",
        wrong="cached the list of free berths for ten minutes",
        risk="a berth that has just been taken is offered again",
        facts=(
            "Nordholm has 1,140 berths, more than the next three harbours together.",
            "The query for free berths in {code} relies on the index over berth and start date.",
        ),
        goal="speed up a slow query",
        steps=(
            "write down the time and the query plan before the change",
            "change one thing at a time in {code}",
            "keep a test in {test} that counts the statements sent",
        ),
        hint=Hint(
            "config/default.toml",
            "storage.statement_timeout_ms",
            "1500",
            "a search that takes longer is a fault and should be seen as one",
        ),
    ),
    Task(
        task_id="QS-112",
        code="src/quayside/bookings/models.py",
        test="tests/test_models.py",
        extra="docs/bookings.md",
        prompt="Add an optional boat width to a booking and let the allocator respect it.",
        before="a booking knew the boat's length and draught but not its width",
        fixes=(
            ("added a nullable column for the width, a migration, and a comparison that is skipped where the width is unknown"),
            "gave the booking a width with a check that it is positive, and filtered the berths by it",
        ),
        gap="the booking form does not ask for the width yet",
        wrong="made the width a required field",
        risk="every booking made before the change fails its validation",
        facts=(
            "Lengths in {code} are metres with two decimals.",
            "A berth without a recorded width is taken to be wide enough.",
        ),
        goal="add an optional field to a booking",
        steps=(
            "write the migration with a nullable column",
            "extend the model in {code} and its validation",
            "show in {test} that an old booking without the field still loads",
        ),
        hint=Hint(
            "config/default.toml", "bookings.max_width_m", "9.5", "wider boats lie at the outer pier and are booked by phone"
        ),
    ),
    Task(
        task_id="QS-113",
        code="src/quayside/payments/gateway.py",
        test="tests/test_gateway.py",
        extra="docs/payments.md",
        prompt=(
            "Add a retry to the payment gateway client: three attempts with growing pauses, for timeouts and status 503 only."
        ),
        before="the client gave up at the first timeout",
        fixes=(
            ("wrapped the request in three attempts with pauses of half a second and one second, for timeouts and 503 only"),
            "added a retry policy to the client and sent the same idempotency key with each attempt",
        ),
        gap="the pauses have no jitter, so all workers retry at the same moment",
        wrong="retried every failed request five times, refusals included",
        risk="a declined card is charged as soon as one of the five attempts slips through",
        facts=(
            "Every payment request carries an idempotency key made from the booking's id and the amount.",
            "The gateway answers 503 while it closes the day, shortly after midnight UTC.",
        ),
        goal="add a retry to a client",
        steps=(
            "list which failures are worth a second attempt",
            "send the same idempotency key with each attempt",
            "count the attempts against a fake gateway in {test}",
        ),
        hint=Hint(
            "config/default.toml", "payments.attempts", "3", "a fourth attempt has never succeeded where three had failed"
        ),
    ),
    Task(
        task_id="QS-114",
        code="src/quayside/payments/refunds.py",
        test="tests/test_refunds.py",
        extra="docs/payments.md",
        prompt="A refund of a booking that was paid in two parts returns only the second part. Refund both.",
        before="the refund looked up the latest payment of the booking instead of all of them",
        fixes=(
            "refunded each payment of the booking, newest first, until the amount was reached",
            "read all payments of the booking from the ledger and sent one refund for each of them",
        ),
        gap="a refund that fails half-way leaves one part returned and the other not",
        wrong="refunded the whole amount to the latest payment",
        risk="the gateway refuses the refund, because it exceeds that payment",
        facts=(
            "A booking can be paid in at most four parts.",
            "A refund never changes a payment; it adds a row with a negative amount to the ledger.",
        ),
        goal="test a refund",
        steps=(
            "build a booking with several payments in {test}",
            "refund more than the last payment alone",
            "compare the ledger's balance with zero",
        ),
        hint=Hint(
            "config/default.toml", "payments.max_parts", "4", "the gateway links no more than four payments to one order"
        ),
    ),
    Task(
        task_id="QS-115",
        code="src/quayside/payments/ledger.py",
        test="tests/test_ledger.py",
        extra="docs/payments.md",
        prompt=(
            "Amounts in the ledger are floating-point numbers. Store them as integers of the smallest unit and "
            "migrate the existing rows."
        ),
        before="amounts were stored as floating-point crowns, and sums were off by an öre now and then",
        fixes=(
            "changed the column to an integer of öre, migrated the rows and compared all sums before and after",
            "introduced a money type over integers and converted only where amounts enter and leave",
        ),
        gap="the monthly report still divides by a hundred in two places",
        wrong="rounded every sum to two decimals where it is displayed",
        risk="the stored rows keep drifting away from the bank's statement",
        facts=(
            "The ledger is append-only; {code} has no function that updates a row.",
            "The sum over a booking's rows in the ledger is what its guest still owes.",
        ),
        goal="migrate a column of amounts",
        steps=(
            "add the new column beside the old one and fill it",
            "compare the sums of both columns for every month",
            "switch {code} over and drop the old column a release later",
        ),
        hint=Hint("config/default.toml", "payments.minor_units", "100", "all harbours charge in crowns of a hundred öre"),
    ),
    Task(
        task_id="QS-116",
        code="src/quayside/payments/gateway.py",
        test="tests/test_gateway.py",
        extra="docs/payments.md",
        prompt=(
            "The gateway client writes full card numbers to the log at debug level. Mask them, and make sure that "
            "it cannot happen again."
        ),
        before="the client logged the body of each request as it was",
        fixes=(
            (
                "masked all but the last four digits in a log filter and added a test that searches the log for "
                "long runs of digits"
            ),
            "logged the request's id and amount instead of its body, and hid the number in the card's repr",
        ),
        gap="log files from before the change are not cleaned",
        wrong="turned debug logging off in production",
        risk="the numbers reappear as soon as somebody debugs a payment",
        facts=(
            "The card type in {code} hides its number when it is printed.",
            "Debug logging of payments is switched on by hand when a payment is disputed.",
        ),
        goal="keep a secret out of the log",
        steps=(
            "hide it in the type's own repr",
            "log identifiers instead of whole bodies",
            "search the captured log in {test} for the secret",
        ),
        hint=Hint("config/logging.toml", "loggers.payments.level", '"INFO"', "at debug level the log fills the disk in a day"),
    ),
    Task(
        task_id="QS-117",
        code="src/quayside/notify/outbox.py",
        test="tests/test_outbox.py",
        extra="docs/operations.md",
        prompt="Confirmation mails are sometimes sent twice. Make sending idempotent.",
        before="a worker that died between sending and marking left the mail in the outbox as unsent",
        fixes=(
            "claimed each mail with a lease before sending and passed its id to the mail server as the message id",
            "added a unique key over booking and template, so that a second confirmation cannot be queued",
        ),
        gap="a lease that runs out during a slow send still leads to a second mail",
        wrong="deleted each mail from the outbox before sending it",
        risk="a mail is lost whenever the mail server is down",
        facts=(
            "A mail stays in the outbox for thirty days after it was sent.",
            "Workers take mails from the outbox in the order of their ids.",
        ),
        goal="make a side effect idempotent",
        steps=(
            "give the effect a key that does not change between attempts",
            "claim the key before acting",
            "kill the worker between both steps in {test} and start it again",
        ),
        hint=Hint("config/default.toml", "mail.lease_seconds", "90", "the mail server may take a minute to answer"),
    ),
    Task(
        task_id="QS-118",
        code="src/quayside/notify/templates.py",
        test="tests/test_templates.py",
        extra="docs/bookings.md",
        prompt="The Swedish reminder shows dates in the English format. Format dates by the reader's language.",
        before="the templates formatted dates with one fixed pattern",
        fixes=(
            "passed the reader's language to the date filter and removed the pattern from the templates",
            "replaced the patterns in the templates by one filter, `long_date`, that knows the language",
        ),
        gap="Finnish falls back to English without a warning",
        wrong="copied the reminder for each language and changed the pattern by hand",
        risk="the next change to the wording has to be made five times",
        facts=(
            "Mails exist in five languages, and English is the fallback.",
            "The date filter in {code} writes “lördag 4 juli” for a Swedish reader.",
        ),
        goal="add a language to the mails",
        steps=(
            "add its texts beside the others",
            "extend the date filter in {code}",
            "render every template in the new language in {test}",
        ),
        hint=Hint(
            "config/default.toml",
            "mail.fallback_language",
            '"en"',
            "a guest whose language has no texts should still be able to read the mail",
        ),
    ),
    Task(
        task_id="QS-119",
        code="src/quayside/notify/mailer.py",
        test="tests/test_mailer.py",
        extra="config/default.toml",
        prompt=(
            "Move the mail server's settings from environment variables to config/default.toml, and keep the old "
            "variables working for one release."
        ),
        before="the mailer read six environment variables when it was imported",
        fixes=(
            "added a mail section to the configuration and let the old variables override it with a warning",
            ("read the section through the settings module and mapped the old variables in one table that is easy to delete"),
        ),
        gap="the warning does not name the new key",
        wrong="renamed the variables in the code and left the deployment as it was",
        risk="no mail leaves the service after the next deployment",
        facts=(
            "The mailer opens one connection per batch and closes it when the batch is sent.",
            "The old mail variables all begin with `QUAYSIDE_SMTP_`.",
        ),
        goal="move a setting to the configuration file",
        steps=(
            "add the key with its present value to {extra}",
            "let the old variable override it and warn",
            "show in {test} that both ways lead to the same mailer",
        ),
        hint=Hint("config/default.toml", "mail.port", "587", "the mail server refuses plain connections on port 25"),
    ),
    Task(
        task_id="QS-120",
        code="src/quayside/notify/outbox.py",
        test="tests/test_outbox.py",
        extra="docs/development.md",
        prompt="The outbox tests take forty seconds. Make them run in less than five.",
        before="each test waited for the worker's real polling interval",
        fixes=(
            "let the tests call a single step of the worker instead of starting its loop",
            "passed the polling interval as an argument and set it to zero in the tests",
        ),
        gap="the test of the shutdown still waits for a real interval",
        wrong="moved the slow tests to a suite that nobody runs",
        risk="a broken outbox would reach production",
        facts=(
            "The outbox worker's loop does nothing but call `step()` and wait.",
            "Nine of the tests in {test} once started a real worker thread.",
        ),
        goal="make a slow test fast",
        steps=(
            "list the slowest tests with `--durations=10`",
            "look for waiting before looking for computing",
            "replace the wait by an argument and leave one test with the real value",
        ),
        hint=Hint("config/default.toml", "mail.poll_seconds", "4", "guests expect their confirmation within ten seconds"),
    ),
    Task(
        task_id="QS-121",
        code="src/quayside/tides/client.py",
        test="tests/test_tide_client.py",
        extra="docs/tides.md",
        prompt="The tide service is down on some Sundays. Serve the last known forecast and say how old it is.",
        before="an outage of the tide service made the whole harbour page fail",
        fixes=(
            "fell back to the cached forecast on a connection error and added its age to the answer",
            "kept the last good forecast of each harbour and returned it with a field `stale_since` during an outage",
        ),
        gap="nobody is told when the forecast is older than a day",
        wrong="returned an empty forecast when the service does not answer",
        risk="skippers see a blank table and take it for slack water",
        facts=(
            "The tide service allows one request per harbour and hour.",
            "A forecast covers seven days in steps of ten minutes.",
        ),
        goal="survive the outage of a service",
        steps=(
            "decide how old an answer may be and still help",
            "keep the last good answer outside the process",
            "let the fake service in {test} fail and look at what the page shows",
        ),
        hint=Hint(
            "config/default.toml",
            "tides.timeout_seconds",
            "3",
            "a page that waits longer for the tide is not worth waiting for",
        ),
    ),
    Task(
        task_id="QS-122",
        code="src/quayside/tides/cache.py",
        test="tests/test_tide_cache.py",
        extra="docs/tides.md",
        prompt="The tide cache grows without limit. Bound it and let forecasts expire after six hours.",
        before="entries were stored under the full address of the request and never removed",
        fixes=(
            "keyed the cache by harbour and day, and evicted the least recently used entry beyond five hundred",
            "replaced the dictionary by a bounded cache with a lifetime of six hours for each entry",
        ),
        gap="the limit counts entries and not bytes",
        wrong="cleared the whole cache once an hour",
        risk="all harbours ask the tide service at the same moment",
        facts=(
            "An entry of the tide cache takes about forty kilobytes.",
            "The key of an entry in {code} is the harbour's id and the day.",
        ),
        goal="bound a cache",
        steps=(
            "choose a key without parts that do not matter",
            "set a limit and a lifetime in the settings",
            "fill the cache one beyond its limit in {test} and see which entry goes",
        ),
        hint=Hint(
            "config/default.toml", "tides.cache_entries", "500", "that is every harbour for the coming week, with room to spare"
        ),
    ),
    Task(
        task_id="QS-123",
        code="src/quayside/tides/client.py",
        test="tests/test_tide_client.py",
        extra="docs/tides.md",
        prompt="Heights of the tide are shown in feet for harbours that use metres. Find the cause and fix it.",
        before="the unit was taken from the first harbour of a batch and applied to all of them",
        fixes=(
            "read the unit from each harbour's own answer and converted to metres in the client",
            "asked the tide service for metric heights in every request and checked the unit on arrival",
        ),
        gap="forecasts that were cached before the change keep the wrong unit until they expire",
        wrong="divided all heights by 3.28",
        risk="harbours that were right before are wrong now",
        facts=(
            "The tide service reports feet for stations that were set up before 1998.",
            "Heights are metres above chart datum everywhere behind {code}.",
        ),
        goal="track down a wrong unit",
        steps=(
            "follow one value from the service's answer to the page",
            "convert once, where the value enters",
            "name the unit in the field, and check it in {test}",
        ),
        hint=Hint("config/default.toml", "tides.units", '"metric"', "feet are converted once, in the client, and nowhere else"),
    ),
    Task(
        task_id="QS-124",
        code="src/quayside/tides/cache.py",
        test="tests/test_tide_cache.py",
        extra="docs/development.md",
        prompt="The tests in tests/test_tide_cache.py depend on their order. Make each of them stand alone.",
        before="the tests shared one module-level cache, and one of them relied on what another had left there",
        fixes=(
            "created the cache in a fixture and dropped the module-level instance",
            "let each test build the cache it needs, with its own clock and its own entries",
        ),
        gap="the fixture in the client's tests still returns the shared instance",
        wrong="pinned the order of the tests with a plugin",
        risk="the hidden dependency stays and the tests cannot run in parallel",
        facts=(
            "The tide cache is created by the application and handed to the client; there is no global instance.",
            "The tests of the tide cache pass in any order, and in parallel.",
        ),
        goal="find tests that depend on each other",
        steps=(
            "run the suite in random order and keep the seed of a failing run",
            "halve the list of tests until two are left",
            "give each of the two its own fixture in {test}",
        ),
        hint=Hint(
            "pyproject.toml",
            "tool.pytest.ini_options.addopts",
            '"-q -p random_order"',
            "a fixed order hides tests that lean on each other",
        ),
    ),
    Task(
        task_id="QS-125",
        code="src/quayside/storage/migrations.py",
        test="tests/test_migrations.py",
        extra="docs/operations.md",
        prompt="Migration 0042 locks the bookings table for minutes. Rewrite it so that the service stays up.",
        before="the migration added a column with a computed default, which rewrote the whole table under one lock",
        fixes=(
            "split the migration into three: add the column empty, fill it in batches, then set the constraint",
            "added the column without a default and filled it with a job that updates a thousand rows at a time",
        ),
        gap="the third step has no check that the second has finished",
        wrong="scheduled the migration for three o'clock in the morning",
        risk="the night ferries cannot be booked while it runs",
        facts=(
            "Migrations run in one transaction each, in the order of their numbers.",
            "The bookings table has about eleven million rows in production.",
        ),
        goal="change a large table without an outage",
        steps=(
            "add what is new without touching old rows",
            "fill it in batches, each in its own transaction",
            "set the constraint once {test} shows that no row is left",
        ),
        hint=Hint(
            "config/default.toml",
            "storage.migration_lock_ms",
            "500",
            "a migration that cannot get its lock should give way to bookings",
        ),
    ),
    Task(
        task_id="QS-126",
        code="src/quayside/storage/database.py",
        test="tests/test_database.py",
        extra="docs/operations.md",
        prompt="Database connections leak when a request is cancelled. Return them to the pool in every case.",
        before="the connection was returned after the handler, and a cancelled handler never got there",
        fixes=(
            "wrapped the use of a connection in a context manager that returns it in its finally clause",
            "moved the return to the pool into a finally block and rolled the open transaction back first",
        ),
        gap="the pool does not report how many connections are lent out",
        wrong="doubled the size of the pool",
        risk="the leak takes twice as long to stop the service",
        facts=(
            "The pool in {code} lends a connection for one request at most.",
            "A connection that is returned with an open transaction is rolled back first.",
        ),
        goal="look for leaking connections",
        steps=(
            "set the pool to two connections",
            "cancel a hundred requests in {test}",
            "ask for a connection once more and see that it is lent at once",
        ),
        hint=Hint(
            "config/default.toml", "storage.pool_size", "16", "more connections than that make the database slower, not faster"
        ),
    ),
    Task(
        task_id="QS-127",
        code="src/quayside/storage/migrations.py",
        test="tests/test_migrations.py",
        extra="docs/development.md",
        prompt="Two migrations with the same number were merged last week. Write a check that fails when that happens.",
        before="nothing compared the numbers of the migrations before they ran in production",
        fixes=(
            "added a test that reads the list of migrations and names both files when a number occurs twice",
            "made the loader refuse a number that it has seen before, and tested it with two small files",
        ),
        gap="a gap between two numbers is still allowed",
        wrong="renamed one of the two migrations and left it at that",
        risk="the next pair of branches runs into the same thing",
        facts=(
            "The number of a migration is the first four digits of its file name.",
            "The loader in {code} sorts migrations by number and not by date.",
        ),
        goal="add a check to the pipeline",
        steps=(
            "write down the sentence that it should print",
            "make it fail on the fault that has happened",
            "run it in {test}, where everybody sees it before merging",
        ),
        hint=Hint(
            "config/production.toml", "storage.auto_migrate", "false", "in production somebody should watch a migration run"
        ),
    ),
    Task(
        task_id="QS-128",
        code="src/quayside/storage/database.py",
        test="tests/test_database.py",
        extra="config/production.toml",
        prompt=(
            "Move the database settings from config/production.toml to the environment, and leave no password in "
            "the repository."
        ),
        before="the production file held the address, the user and the password in plain text",
        fixes=(
            "read the address from one environment variable, removed the three keys and asked for a new password",
            ("replaced the keys by a single variable name, and made the service stop with a clear message when it is not set"),
        ),
        gap="the history of the repository still contains the old password",
        wrong="moved the password to a second file in the same folder",
        risk="the password is as public as it was before",
        facts=(
            "The service reads the address of its database from `QUAYSIDE_DATABASE_URL`.",
            "The service stops at the start when the address of its database is missing.",
        ),
        goal="take a secret out of the repository",
        steps=(
            "issue a new secret first, because the old one is known",
            "read it from the environment in {code}",
            "search the whole repository for the old value",
        ),
        hint=Hint(
            "config/production.toml",
            "storage.url_env",
            '"QUAYSIDE_DATABASE_URL"',
            "the file names the variable, and the deployment holds the value",
        ),
    ),
    Task(
        task_id="QS-129",
        code="src/quayside/jobs/scheduler.py",
        test="tests/test_scheduler.py",
        extra="docs/operations.md",
        prompt="The nightly job runs twice when two instances are deployed. Let only one of them run it.",
        before="each instance had its own timer and knew nothing of the other",
        fixes=(
            "took an advisory lock in the database before a job starts and skipped the run when it is held",
            ("recorded each run under a unique key of job and date, so that the second insert fails and the instance moves on"),
        ),
        gap="an instance that dies while it holds the lock blocks the job until its connection times out",
        wrong="started the job only on the instance whose host name ends in 1",
        risk="the job does not run at all when that instance is down",
        facts=(
            "The scheduler runs inside each instance of the service; there is no separate process.",
            "The nightly job starts at 02:15 UTC.",
        ),
        goal="let one of several instances run a job",
        steps=(
            "choose a lock that ends with its connection",
            "take it before the job and release it after",
            "start two schedulers in {test} and count the runs",
        ),
        hint=Hint("config/default.toml", "jobs.nightly_at", '"02:15"', "the gateway has closed its day by then"),
    ),
    Task(
        task_id="QS-130",
        code="src/quayside/jobs/cleanup.py",
        test="tests/test_cleanup.py",
        extra="docs/operations.md",
        prompt="The cleanup job deletes expired offers in one statement and times out. Delete them in batches.",
        before="one statement tried to delete four months of expired offers at once",
        fixes=(
            "deleted a thousand rows at a time, committed after each batch and stopped when none was left",
            ("selected the ids of the oldest thousand offers and deleted those, in a loop with a limit on its total time"),
        ),
        gap="the job does not report how many offers it deleted",
        wrong="raised the statement timeout to one hour",
        risk="the table stays locked while guests wait for their offers",
        facts=("An offer expires after forty-eight hours.", "The cleanup job deletes nothing that a booking refers to."),
        goal="delete many rows",
        steps=(
            "delete by primary key in batches of a fixed size",
            "commit after each batch",
            "stop after a time limit and go on the next night",
        ),
        hint=Hint("config/default.toml", "jobs.cleanup_batch", "1000", "larger batches hold their locks for too long"),
    ),
    Task(
        task_id="QS-131",
        code="src/quayside/jobs/scheduler.py",
        test="tests/test_scheduler.py",
        extra="docs/development.md",
        prompt="The test `test_runs_every_minute` fails at the turn of the hour. Find the cause and fix it.",
        before="the test added one to the minute of the current time and got sixty in the last minute of an hour",
        fixes=(
            (
                "computed the next run with a timedelta instead of replacing the minute, and added the last minute "
                "of the hour as a case"
            ),
            "froze the clock at 10:59 in a second test and made the scheduler add sixty seconds to the previous run",
        ),
        gap="the turn of the year is not among the cases",
        wrong="skipped the test when the minute is fifty-nine",
        risk="the scheduler misses a run at every full hour and no test says so",
        facts=(
            "The scheduler plans the next run from the last one and not from the present time.",
            "All times in {code} are aware of their zone.",
        ),
        goal="reproduce a failure that depends on the time",
        steps=(
            "note the time of each failure in the pipeline",
            "freeze the clock at one of those times in {test}",
            "keep that time as a case after the fix",
        ),
        hint=Hint("config/default.toml", "jobs.tick_seconds", "5", "a finer tick costs a query each and no job needs it"),
    ),
    Task(
        task_id="QS-132",
        code="src/quayside/jobs/cleanup.py",
        test="tests/test_cleanup.py",
        extra="docs/operations.md",
        prompt="Add a dry run to the cleanup job that reports what it would delete.",
        before="the only way to see what the job deletes was to let it delete",
        fixes=(
            "separated the selection from the deletion and printed a count per table when `--dry-run` is given",
            "added a flag that runs the same statements and rolls the transaction back after reporting the counts",
        ),
        gap="the report gives counts only and no example rows",
        wrong="added a flag that prints a message before the job deletes as usual",
        risk="whoever trusts the flag loses data",
        facts=(
            "The cleanup job touches three tables: offers, sessions and mails.",
            "Both the dry run and the real run of the cleanup use one selection in {code}.",
        ),
        goal="add a dry run to a job",
        steps=(
            "separate the choice of rows from the action",
            "let both modes share the choice",
            "compare the dry run's count with the real run's in {test}",
        ),
        hint=Hint("config/default.toml", "jobs.cleanup_after_days", "30", "questions about old offers come within four weeks"),
    ),
    Task(
        task_id="QS-133",
        code="src/quayside/reports/occupancy.py",
        test="tests/test_occupancy.py",
        extra="docs/bookings.md",
        prompt="The occupancy report exceeds one hundred per cent in July. Find what is counted twice.",
        before="a stay that was moved to another berth was counted for both berths on the day of the move",
        fixes=(
            "counted a night for the berth where the boat lay at midnight, and for no other",
            "built the report from nights instead of stays, with a unique key over berth and date",
        ),
        gap="boats that share one berth are still counted twice",
        wrong="cut every value off at one hundred per cent",
        risk="the wrong counts below one hundred stay in the report",
        facts=(
            "Occupancy is nights taken divided by nights offered; closed berths are not offered.",
            "A boat that moves within a harbour has one stay with several berths.",
        ),
        goal="find a double count",
        steps=(
            "take the smallest month that is wrong",
            "list the rows behind one wrong number",
            "build that case by hand in {test}",
        ),
        hint=Hint(
            "config/default.toml", "reports.count_at", '"00:00"', "a night belongs to the berth where the boat lies at midnight"
        ),
    ),
    Task(
        task_id="QS-134",
        code="src/quayside/reports/export.py",
        test="tests/test_export.py",
        extra="docs/api.md",
        prompt="The CSV export breaks on names with a semicolon or a line break. Quote them properly.",
        before="the export joined the values with semicolons and quoted nothing",
        fixes=(
            (
                "replaced the joining by the csv module with minimal quoting, and added names with quotes, "
                "semicolons and line breaks to the test"
            ),
            "wrote each row through a csv writer and read the file back in the test to compare it with the table",
        ),
        gap="a value that begins with an equals sign is still run as a formula by spreadsheets",
        wrong="replaced every semicolon in a name by a comma",
        risk="names in the export no longer match those in the database",
        facts=(
            "The export is encoded in UTF-8 with a byte order mark, because the offices open it in a spreadsheet.",
            "Columns of the export keep their order; new ones are added at the end.",
        ),
        goal="test an export",
        steps=(
            "put the worst names you can think of into the table",
            "write the file with {code}",
            "read it back in {test} and compare it with the table",
        ),
        hint=Hint(
            "config/default.toml", "reports.csv_delimiter", '";"', "the offices' spreadsheets take a comma for a decimal sign"
        ),
    ),
    Task(
        task_id="QS-135",
        code="src/quayside/reports/export.py",
        test="tests/test_export.py",
        extra="docs/operations.md",
        prompt="The export of a whole year needs two gigabytes of memory. Stream it.",
        before="all rows were loaded into a list before the first one was written",
        fixes=(
            "read the rows with a server-side cursor and wrote each batch as it arrived",
            "turned the export into a generator from the query to the response, five hundred rows at a time",
        ),
        gap="an error in the middle leaves a file that looks complete",
        wrong="limited the export to the first ten thousand rows",
        risk="the accountant's figures are short without anybody noticing",
        facts=(
            "A year of bookings is about six hundred thousand rows in Nordholm.",
            "The export in {code} holds one batch of rows in memory at a time.",
        ),
        goal="turn a list into a stream",
        steps=(
            "measure the peak of memory with the largest input",
            "pass rows on as they are read, from the query to the file",
            "hold the peak with a test in {test}",
        ),
        hint=Hint("config/default.toml", "reports.batch_rows", "500", "larger batches bring no speed and cost memory"),
    ),
    Task(
        task_id="QS-136",
        code="src/quayside/reports/occupancy.py",
        test="tests/test_occupancy.py",
        extra="docs/bookings.md",
        prompt="Add the share of cancelled nights to the occupancy report, with a test on a small example.",
        before="cancelled stays were left out of the report without a trace",
        fixes=(
            "added a column for cancelled nights and divided it by the nights that were booked at any time",
            (
                "counted cancelled nights in a second pass over the same rows and tested the result on three stays "
                "that can be added up by hand"
            ),
        ),
        gap="stays that were shortened do not count as partly cancelled",
        wrong="counted every cancelled stay as one night",
        risk="a cancelled month weighs as much as a cancelled weekend",
        facts=(
            "A cancelled stay keeps its dates and gets the time of its cancellation.",
            "The report's small example has one berth, three stays and ten nights.",
        ),
        goal="add a figure to a report",
        steps=(
            "write down its definition in one sentence in {extra}",
            "compute it by hand for a small example",
            "compare {code} with that example in {test}",
        ),
        hint=Hint("config/default.toml", "reports.min_nights", "10", "shares of fewer nights than that say nothing"),
    ),
    Task(
        task_id="QS-137",
        code="src/quayside/settings.py",
        test="tests/test_settings.py",
        extra="docs/configuration.md",
        prompt=(
            "A misspelt key in the configuration is ignored silently. Refuse unknown keys with a message that "
            "names the file and the key."
        ),
        before="the loader took the keys that it knew and left all others alone",
        fixes=(
            (
                "compared the keys of each section with the fields of its class and raised an error that names "
                "file, section and key"
            ),
            "made every section a strict data class, and suggested the closest known key in the message",
        ),
        gap="only the first unknown key of a file is reported",
        wrong="logged unknown keys at debug level",
        risk="the operator still learns of the misspelling from the guests",
        facts=(
            "Each section of the configuration is one data class in {code}.",
            "Values in config/production.toml override those in config/default.toml key by key.",
        ),
        goal="add a setting",
        steps=(
            "add a field with a type and a default in {code}",
            "describe it in {extra}",
            "show in {test} that a wrong type is refused with the file's name",
        ),
        hint=Hint(
            "config/default.toml",
            "service.strict",
            "true",
            "a service that starts with half its settings is harder to notice than one that does not start",
        ),
    ),
    Task(
        task_id="QS-138",
        code="src/quayside/settings.py",
        test="tests/test_settings.py",
        extra="config/default.toml",
        prompt="Migrate the configuration from INI to TOML without changing any value.",
        before="the INI file held only strings, and every reader converted them in its own way",
        fixes=(
            "converted the file with a script, loaded both and compared every value after conversion",
            ("wrote the TOML file by hand, typed the values and kept the old loader in a test that compares both results"),
        ),
        gap="the backup script still reads the INI file",
        wrong="converted the file and left all values as strings",
        risk='the string "false" counts as true from now on',
        facts=(
            ("The file {extra} holds every key with its default; production.toml in the same folder holds the exceptions."),
            "Durations in the configuration name their unit in the key, such as `timeout_seconds`.",
        ),
        goal="migrate a configuration file",
        steps=(
            "load the old and the new file side by side",
            "compare every value and its type in {test}",
            "delete the old file in the same change, so that nobody edits it",
        ),
        hint=Hint("config/default.toml", "service.workers", "4", "the machines have four cores and the workers seldom wait"),
    ),
    Task(
        task_id="QS-139",
        code="src/quayside/logs.py",
        test="tests/test_logs.py",
        extra="config/logging.toml",
        prompt="Give every log line the id of its request, also the lines that background jobs write.",
        before="the id was passed along by hand and got lost wherever somebody forgot it",
        fixes=(
            "kept the id in a context variable, set it in the middleware and added it in a log filter",
            "put the id into a context variable and let each job start with a fresh id of its own",
        ),
        gap="threads that a library starts write lines without an id",
        wrong="added the id as an argument to every function that writes to the log",
        risk="the next function that is written will forget it again",
        facts=(
            "A request's id is taken from the header `X-Request-Id`, or made when there is none.",
            "The log is one JSON object per line, as {extra} says.",
        ),
        goal="follow one request through the log",
        steps=(
            "send a request with an id of your own",
            "search the log for that id",
            "check in {test} that every line of the request has it",
        ),
        hint=Hint(
            "config/logging.toml",
            "formatters.json.fields",
            '["time", "level", "request_id", "message"]',
            "the log viewer sorts and filters by these four",
        ),
    ),
    Task(
        task_id="QS-140",
        code="src/quayside/cli.py",
        test="tests/test_cli.py",
        extra="docs/development.md",
        prompt=(
            "The command `quayside berths import` stops at the first bad row. Report all bad rows and import the good ones."
        ),
        before="the import raised at the first row that it could not read",
        fixes=(
            (
                "collected the errors with their line numbers, imported the good rows in one transaction and "
                "exited with 1 when there were bad ones"
            ),
            "validated all rows first, printed one sentence for each bad one and imported the rest",
        ),
        gap="a file in the wrong encoding is reported once for each line",
        wrong="skipped bad rows without saying so",
        risk="berths are missing and nobody knows which",
        facts=(
            "The import reads UTF-8 and accepts a byte order mark.",
            "Commands in {code} exit with 1 when part of the work failed, and with 2 when they were called wrongly.",
        ),
        goal="report errors in a file of many rows",
        steps=(
            "number the lines as an editor does",
            "collect all errors before the first one is printed",
            "compare the whole output with a short expected text in {test}",
        ),
        hint=Hint(
            "config/default.toml", "cli.max_errors_shown", "50", "nobody reads more than that before looking at the file"
        ),
    ),
    Task(
        task_id="QS-141",
        code="docs/api.md",
        test="tests/test_docs.py",
        extra="src/quayside/api/routes.py",
        prompt=(
            "The API document still describes the page parameter that was removed. Bring it up to date and check "
            "its examples in the tests."
        ),
        before="the examples in the document were text that nobody ran",
        fixes=(
            "rewrote the section on paging and made a test send every example request and compare the answer",
            (
                "replaced the page parameter by the cursor in all examples, and marked each example so that the "
                "tests can find and run it"
            ),
        ),
        gap="the examples for payments are excluded, because they need the gateway",
        wrong="deleted the section on paging",
        risk="clients have to guess how to ask for the next page",
        facts=(
            "Every example in {code} is sent to a test instance by {test}.",
            "Field names in {code} follow version 2 of the API.",
        ),
        goal="keep a document's examples true",
        steps=(
            "mark each example so that a test can find it",
            "run all of them in {test}",
            "change the document in the same change as the route",
        ),
        hint=Hint("config/default.toml", "api.docs_path", '"/docs"', "the terminals open the document under this path"),
    ),
    Task(
        task_id="QS-142",
        code="docs/operations.md",
        test="tests/test_docs.py",
        extra="src/quayside/storage/database.py",
        prompt="Write a page on restoring the database from a backup, and try every command on it.",
        before="the only person who had ever restored a backup had written nothing down",
        fixes=(
            (
                "restored last night's backup on a spare machine, wrote down each command as it was run, and noted "
                "how long it took"
            ),
            "wrote the page as a list of nine commands with their expected output and ran it twice from the top",
        ),
        gap="the page does not say how to bring back a single harbour",
        wrong="described the restore from memory",
        risk="the second command names an option that does not exist",
        facts=(
            "A backup of the database is taken every night at 03:30 UTC and kept for five weeks.",
            "Restoring the database of all harbours takes about fifty minutes.",
        ),
        goal="write an operations page",
        steps=(
            "do the work once and write down every command",
            "give the page to somebody else and watch",
            "correct {code} wherever they hesitated",
        ),
        hint=Hint("config/production.toml", "storage.backup_at", '"03:30"', "the nightly job is done by then"),
    ),
    Task(
        task_id="QS-143",
        code="docs/development.md",
        test="tests/test_docs.py",
        extra="pyproject.toml",
        prompt="A new developer needs a day to get the tests running. Shorten the way and describe it.",
        before="the tests needed a local database, a mail server and three variables that nothing mentioned",
        fixes=(
            (
                "started the database and a fake mail server from fixtures, so that one command runs all tests, "
                "and described that command"
            ),
            ("listed what is needed at the top of the page and let the tests skip with a sentence where a service is missing"),
        ),
        gap="the way on Windows has not been tried",
        wrong="wrote that the tests run in the pipeline anyway",
        risk="new developers push untested changes to see whether they work",
        facts=(
            "The whole suite runs in about fifty seconds on a laptop.",
            "Tests that need a real database are marked `database` in {extra}.",
        ),
        goal="set up the repository",
        steps=(
            "install the package with its test extras",
            "run the tests once without any service",
            "read {code} where a test was skipped",
        ),
        hint=Hint(
            "pyproject.toml",
            "tool.pytest.ini_options.markers",
            '["database: needs a real database"]',
            "an unknown marker is refused",
        ),
    ),
    Task(
        task_id="QS-144",
        code="docs/configuration.md",
        test="tests/test_docs.py",
        extra="config/default.toml",
        prompt="Half of the settings are not documented. Document them all, and keep it that way.",
        before="settings were described in comments, in a wiki page or nowhere",
        fixes=(
            (
                "wrote one line for each key with its unit and default, and added a test that compares the page "
                "with the settings"
            ),
            "generated the table of keys from the settings classes and let a test fail when the page is out of date",
        ),
        gap="keys that are set only in production are missing from the table",
        wrong="copied the comments from the configuration file to the page",
        risk="the page is out of date with the next new key",
        facts=("The table in {code} has one row for each key in {extra}.", "A setting without a description fails {test}."),
        goal="document a setting",
        steps=(
            "say what it changes, in one sentence",
            "give its unit and its default",
            "run {test}, which compares the page with the settings",
        ),
        hint=Hint("config/default.toml", "service.name", '"quayside"', "the name appears in every log line and mail header"),
    ),
)

# What an audit of the repository says about a file; each completes a sentence that begins with the file's path.
FILE_NOTES: Mapping[str, tuple[str, ...]] = {
    "src/quayside/api/errors.py": (
        "maps each exception to a status in one table and has no other logic",
        "never puts a traceback into an answer unless `api.show_tracebacks` is true",
    ),
    "src/quayside/api/pagination.py": (
        "signs nothing: a client can forge a page token, but it opens no rows that the client could not list anyway",
        "builds the page token and reads it back in two functions that are each other's inverse",
    ),
    "src/quayside/api/routes.py": (
        "registers forty-one routes, of which only the one for availability needs no token",
        "holds no business rules; each handler calls one function of another module",
    ),
    "src/quayside/auth/sessions.py": (
        "takes the current time from `now()` in three places and from the standard library in none",
        "reads the session from the database on every request and keeps no copy of its own",
    ),
    "src/quayside/auth/tokens.py": (
        "verifies the signature before it looks at any field of the token",
        "raises one exception for every kind of invalid token, so that an answer does not tell them apart",
    ),
    "src/quayside/bookings/allocator.py": (
        "is the only module that writes to the table of bookings",
        "tries at most three berths before it gives up and offers the waiting list",
    ),
    "src/quayside/bookings/calendar.py": (
        "converts between times and dates and has no access to the database",
        "takes the time zone as an argument everywhere and never from the machine",
    ),
    "src/quayside/bookings/models.py": (
        "checks lengths, widths and draughts when an object is made and not when it is stored",
        "defines seven data classes, all of them frozen",
    ),
    "src/quayside/payments/gateway.py": (
        "is the only module that talks to the payment gateway",
        "closes the connection after a timeout instead of reusing it",
    ),
    "src/quayside/payments/ledger.py": (
        "offers functions to add and to sum rows, and none to change or delete them",
        "refuses an amount of zero",
    ),
    "src/quayside/payments/refunds.py": (
        "reads the payments of a booking from the ledger and not from the gateway",
        "leaves the decision whether a refund is due to its caller",
    ),
    "src/quayside/notify/mailer.py": (
        "sends mails in batches of twenty over one connection",
        "treats a refused recipient as final and any other error of the mail server as temporary",
    ),
    "src/quayside/notify/outbox.py": (
        "can be stepped by hand, which is how its tests drive it",
        "keeps the worker's loop free of any logic, so that everything can be tested without a thread",
    ),
    "src/quayside/notify/templates.py": (
        "loads all templates at the start, so that a broken one stops the service at once",
        "escapes every value that comes from a guest",
    ),
    "src/quayside/tides/cache.py": (
        "takes its clock and its limit as arguments",
        "is safe to use from several threads, because one lock guards the reads as well as the writes",
    ),
    "src/quayside/tides/client.py": (
        "converts heights to metres as soon as they arrive",
        "gives up after three seconds and leaves it to the caller what to show instead",
    ),
    "src/quayside/storage/database.py": (
        "never logs the values of a statement, only its text and duration",
        "sets the statement timeout on each connection when it is opened",
    ),
    "src/quayside/storage/migrations.py": (
        "runs each migration in a transaction of its own and records its number in the same transaction",
        "stops the service when the database is newer than the code",
    ),
    "src/quayside/jobs/cleanup.py": (
        "chooses the rows in one function and deletes them in another",
        "refers to no table by a name that comes from outside",
    ),
    "src/quayside/jobs/scheduler.py": (
        "starts every job in a thread of its own and waits for it at shutdown",
        "logs the planned and the actual start of each job",
    ),
    "src/quayside/reports/export.py": (
        "writes its rows through the csv module and joins no text by hand",
        "sends the header row before the first row is read from the database",
    ),
    "src/quayside/reports/occupancy.py": (
        "computes nights in SQL and percentages in Python",
        "returns no value, rather than zero, for a berth that was closed all month",
    ),
    "src/quayside/cli.py": (
        "imports what a command needs inside the command, so that `--help` answers at once",
        "prints results to standard output and everything else to standard error",
    ),
    "src/quayside/logs.py": (
        "adds the request's id in a filter and changes no message",
        "writes one JSON object per line and escapes line breaks inside messages",
    ),
    "src/quayside/settings.py": (
        "reads the environment only for the names that the configuration gives it",
        "reports the file, the section and the key in each of its errors",
    ),
    "config/default.toml": ("contains every key that the settings classes know, and no other", "holds no secret"),
    "config/production.toml": (
        "overrides nine keys, all of which differ from their defaults",
        "names the variables that hold secrets but none of their values",
    ),
    "config/logging.toml": ("sets the payments logger apart from the others and keeps it at INFO",),
    "docs/api.md": (
        "describes all routes of version 2 and marks the eleven that version 1 shares",
        "lists the error codes in the same order as the table in the code",
    ),
    "docs/bookings.md": ("explains with a drawing which nights belong to a stay",),
    "docs/development.md": ("names one command that runs all tests and needs no service to be installed",),
    "docs/operations.md": ("gives the expected output of each command beside the command",),
    "docs/payments.md": ("describes refunds as rows of the ledger, as the code has them",),
    "docs/tides.md": ("says for how long a forecast may be shown after the service has stopped answering",),
}

# Paths that a model made up, keyed by the path that it should have named.
MISTAKEN: Mapping[str, str] = {
    "src/quayside/api/errors.py": "src/quayside/api/exceptions.py",
    "src/quayside/api/pagination.py": "src/quayside/api/paging.py",
    "src/quayside/api/routes.py": "src/quayside/routes/berths.py",
    "src/quayside/auth/sessions.py": "src/quayside/auth/session_store.py",
    "src/quayside/auth/tokens.py": "src/quayside/auth/jwt.py",
    "src/quayside/bookings/allocator.py": "src/quayside/bookings/allocation.py",
    "src/quayside/bookings/calendar.py": "src/quayside/bookings/dates.py",
    "src/quayside/bookings/models.py": "src/quayside/models/booking.py",
    "src/quayside/payments/gateway.py": "src/quayside/payments/client.py",
    "src/quayside/payments/ledger.py": "src/quayside/ledger/ledger.py",
    "src/quayside/payments/refunds.py": "src/quayside/payments/refund_service.py",
    "src/quayside/notify/mailer.py": "src/quayside/notify/smtp.py",
    "src/quayside/notify/outbox.py": "src/quayside/notifications/outbox.py",
    "src/quayside/notify/templates.py": "src/quayside/notify/templating.py",
    "src/quayside/tides/cache.py": "src/quayside/tides/forecast_cache.py",
    "src/quayside/tides/client.py": "src/quayside/tides/api_client.py",
    "src/quayside/storage/database.py": "src/quayside/storage/pool.py",
    "src/quayside/storage/migrations.py": "src/quayside/storage/migrate.py",
    "src/quayside/jobs/cleanup.py": "src/quayside/jobs/cleaner.py",
    "src/quayside/jobs/scheduler.py": "src/quayside/scheduler/core.py",
    "src/quayside/reports/export.py": "src/quayside/reports/csv_export.py",
    "src/quayside/reports/occupancy.py": "src/quayside/reports/statistics.py",
    "src/quayside/cli.py": "src/quayside/__main__.py",
    "src/quayside/logs.py": "src/quayside/logging/setup.py",
    "src/quayside/settings.py": "src/quayside/config/loader.py",
    "config/default.toml": "config/settings.yaml",
    "config/production.toml": "config/prod.toml",
    "config/logging.toml": "config/logging.ini",
    "config/feature_flags.toml": "config/flags.toml",
    "docs/api.md": "docs/reference/api.md",
    "docs/bookings.md": "docs/guide/bookings.md",
    "docs/configuration.md": "docs/settings.md",
    "docs/development.md": "docs/contributing.md",
    "docs/operations.md": "docs/runbook.md",
    "docs/payments.md": "docs/guide/payments.md",
    "docs/tides.md": "docs/tide_service.md",
}

OTHER_PATHS = (
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "config/feature_flags.toml",
    "src/quayside/__init__.py",
    "tests/conftest.py",
)

_PATH = re.compile(r"\b(?:(?:src|tests|docs|config)/[\w/.]*\w|pyproject\.toml)")

# How an attempt ends. In all of the templates below, a capital letter in {Before} and the like begins a sentence.
CHECKS = (
    "{test} passes, fifty times in a row.",
    "All cases in {test} pass, and the new one fails without the change.",
    "I ran {test} before and after the change: red, then green.",
    "{test} is green, and so is the rest of the suite.",
    "Apart from {code} and its tests, little had to change.",
    "The change is small: {code}, {test} and a few lines in {extra}.",
    "I brought {extra} up to date and added a case to {test}.",
    "The full suite passes in under a minute.",
    "A case in {test} holds it from now on.",
    "I tried it by hand with a local harbour of thirty berths, then ran {test}.",
    "Two new cases in {test} cover the ordinary way and the failure.",
)

BAD_CHECKS = (
    "The pipeline is green again.",
    "The error no longer shows up.",
    "I consider the task done.",
    "I did not run {test}, since the change is so small.",
    "The tests that I ran all pass.",
    "I did not look further into the cause.",
    "It should work now.",
    "No new test was needed.",
    "I had to take one assertion out of {test} to get it through.",
)

GOOD_ATTEMPTS = (
    "I {fix}. {check}",
    "{Before}. I {fix}. {check}",
    "The cause: {before}. To put that right, I {fix}. {check}",
    "I read {code} first. As things stood, {before}. I {fix}. {check}",
    "Done. I {fix}; until now, {before}. {check}",
    "What I found: {before}.\nWhat I did: I {fix}.\nRemarks: {check}",
    "I started with a failing case in {test}, because {before}. Then I {fix}. {check}",
    "In {code} I {fix}. {check}",
    "- Finding: {before}.\n- Change: I {fix}.\n- Note: {check}",
    "Until this change, {before}. I {fix}, which settles the task. {check}",
)

PARTIAL_ATTEMPTS = (
    "I {fix}. {check} Still open: {gap}.",
    "{Before}, so I {fix}. {check} I have to add that {gap}.",
    "The larger part is done: I {fix}. What remains is that {gap}.",
    "I {fix}. {check} One thing is left: {gap}.",
    "In {code} I {fix}. I did not get to the rest: {gap}.",
    "What I did: I {fix}.\nWhat is left: {gap}.",
    "I {fix}. Please note that {gap}; I would do that in a second change.",
)

BAD_ATTEMPTS = (
    "I {wrong}. {bad_check}",
    "{Before}. I {wrong}. {bad_check}",
    "The quickest way was the best here: I {wrong}. {bad_check}",
    "Done. I {wrong}. {bad_check}",
    "To keep the change small, I {wrong}. {bad_check}",
    "I looked at {code} and {wrong}. {bad_check}",
    "What I did: I {wrong}.\nRemarks: {bad_check}",
    "After two other attempts I {wrong}. {bad_check}",
    "It turned out that {before}. I {wrong}, which avoids the question. {bad_check}",
    "I {wrong}. It may be that {risk}, but that was not part of the task.",
)

PLANS = (
    "Plan: read {code}, put a failing case into {test}, then change as little as possible.\n\n",
    "Plan: 1. reproduce it in {test}; 2. find the cause in {code}; 3. change it; 4. run everything.\n\n",
    "Plan: look at how {code} is used, decide on one change, and prove it in {test}.\n\n",
    "Before I begin: the task is about {code}, its tests are in {test}, and {extra} may need a line.\n\n",
)

AFTERTHOUGHTS = (
    "\n\nOn a second look, the names could be better; the logic I would leave as it is.",
    "\n\nReading it again, I find nothing that I would do differently.",
    "\n\nLooking back, the case in {test} is the part that I trust most.",
    "\n\nReviewing my own change: {code} reads better than it did before.",
    "\n\nOn a second look, I might have asked first who relies on {code}.",
)

SOURCES = (
    "\n\nSources: {code}, {test}.",
    "\n\nEvery statement above can be found in {code} or {test}.",
    "\n\nRead for this: {code}, {test}, {extra}.",
)

NITS = (
    "One nit, no blocker: the new helper deserves a docstring.",
    "A shorter name for the new case in {test} would be kind to the reader.",
    "I would have put the change and its test into one commit, but that is taste.",
    "Nothing to add.",
    "The description of the change could name {extra}, which it also affects.",
    "The test reads well.",
    "I ran {test} myself to be sure.",
    "Good to see that {test} was written first.",
)

APPROVALS = (
    "Approved. The author {fix}, and that is what the task asked for. {nit}",
    "This does it: {before}, so the author {fix}. {nit}",
    "Looks right to me. I followed the change through {code}; the author {fix}. {nit}",
    "The author {fix}. I looked for a case that breaks it and found none. {nit}",
    "Yes. The cause is named correctly ({before}), and the change goes no further than it must. {nit}",
    "The change in {code} is small and to the point: the author {fix}. {nit}",
    "I had expected something larger, but it is enough that the author {fix}. {nit}",
    "Approved after a second reading. The author {fix}, and {test} shows it. {nit}",
)

CHANGE_REQUESTS = (
    "The direction is right: the author {fix}. But {gap}. Please settle that before the merge.",
    "Nearly there. The author {fix}, yet {gap}.",
    "I cannot approve this as it is, because {gap}. The rest is good: the author {fix}.",
    "Please look at {code} once more: {gap}. Otherwise I agree with the change.",
    "The author {fix}, and {test} shows it. What {test} leaves out is this: {gap}.",
    "{Gap}. Apart from that I like how the author {fix}.",
    "Changes requested: {gap}. A note about it in {extra} would do if it has to wait.",
)

REJECTIONS = (
    "Rejected. The author {wrong}, so {risk}.",
    "This treats the symptom: the author {wrong}. {Before}, and that has not changed.",
    "No. The author {wrong}; as a consequence, {risk}. {test} says nothing about it.",
    "I would not merge this. The author {wrong}, and from then on {risk}.",
    "The task is not solved. The author {wrong}, while the cause lies elsewhere: {before}.",
    "The author {wrong}. That makes matters worse, because {risk}.",
    "Please start again from {code}. What the author did ({wrong}) means that {risk}.",
)

REFERRALS = (
    (
        "The author {fix}, yet {gap}. Whether that may wait is not for a reviewer to decide; please ask the people "
        "who run the service."
    ),
    ("I can judge the code in {code}, but not the consequence: {gap}. Somebody who runs the service should look at this."),
    "Technically fine: the author {fix}. I escalate it because {gap}, and that touches an agreement I do not know.",
    "Two answers are possible here, and they depend on how much it matters that {gap}. A person should choose.",
    "The change and its description disagree on one point: {gap}. I stop here and ask.",
)

ACCEPTANCES = (
    "The result may stand. The run read {code} before it changed anything and then {fix}. {evidence}",
    "Accept. The run {fix}, as its summary says. {evidence}",
    "The summary and the log agree: the run {fix}. {evidence}",
    "The run found the cause, namely that {before}, and {fix}. {evidence}",
    "Nothing to object to. At first, {before}; after that, the run {fix}. {evidence}",
    "Accept, with some respect for how little was changed: the run {fix}. {evidence}",
)

OBSERVED = (
    "It ran {test} at the end, and the log shows it passing.",
    "It opened no file outside {code}, {test} and {extra}.",
    "It took one wrong turn and noticed that itself.",
    "Its last command was the full suite, without a failure.",
    "It asked for nothing that it did not need.",
    "The order was right: first a failing case in {test}, then the change.",
)

REFUSALS = (
    "The summary claims success, but the run {wrong}, so {risk}.",
    "Reject. Instead of asking why {before}, the run {wrong}.",
    "The run {wrong} and called that done. It never opened {test}.",
    "The result cannot stand: the run {wrong}. {Risk}.",
    "The log contradicts the summary. The run {wrong}; the summary speaks of a fix in {code}.",
    "Reject. The run edited {test} until it passed, and {wrong}.",
)

CYCLES = (
    "Another round is worth it: the run {fix}, but {gap}.",
    "Cycle. The run {fix}. It should go on from there, because {gap}.",
    "Do not start over; go on. What is missing is small: {gap}.",
    "The run stopped one step early. It {fix}, and still {gap}.",
    "Cycle, with this as the next instruction: look at {code} again, since {gap}.",
)

SCRUM_PROMPTS = (
    "Review the change to {code} that was made for this task. {prompt}",
    "A change to {code} is up for review. Say whether it can be merged. Its task was: {prompt}",
)

OBSERVER_PROMPTS = (
    "Read the log of the run and say whether its result may stand. The task was: {prompt}",
    "Compare the run's summary with its log. The task it was given: {prompt}",
)

FACTS = joined(
    ("{fact0}", "{fact1}"),
    (
        "",
        "The cases in {test} rely on it.",
        "This was read in {code}, not guessed.",
        "It came up in {task_id}.",
        "Whoever changes {code} should know this.",
    ),
) + joined(
    (
        "Until {task_id} was done, {before}.",
        "In one attempt at {task_id} the agent {wrong}; as a result, {risk}.",
        "{task_id} was settled in {code}: the agent {fix}.",
    ),
    ("", "The log of the run says so.", "It took more than one attempt to see that.", "The file to look at is {code}."),
)

PROCEDURES = joined(
    (
        "To {goal}:\n1. {Step0}.\n2. {Step1}.\n3. {Step2}.\n",
        "How to {goal}: {step0}, then {step1}, and finally {step2}.",
        "When the task is to {goal}, {step0}. After that, {step1}. Last of all, {step2}.",
        "Whoever has to {goal} should proceed like this:\n- {step0};\n- {step1};\n- {step2}.\n",
        "{Step0}. Then {step1}. In the end, {step2}. This is the way to {goal}.",
    ),
    (
        "",
        "Three attempts at {task_id} went this way.",
        "Leaving out the second step cost one attempt at {task_id} an extra round.",
        "In {task_id} the last step found a mistake.",
        "{task_id} is an example.",
    ),
)

HINTS = joined(
    (
        "Set `{key} = {value}` in {file}: {why}.",
        "{file} should say `{key} = {value}`, because {why}.",
        "Keep `{key}` at `{value}` in {file}; {why}.",
        "In {file}, `{key} = {value}` is the right value, since {why}.",
        "Do not change `{key}` in {file} without need. It is `{value}`, as {why}.",
        "`{key}` belongs in {file} with the value `{value}`: {why}.",
    ),
    (
        "",
        "A change takes effect after a restart.",
        "It was looked up for {task_id}.",
        "The value was in place when {test} passed.",
        "An attempt at {task_id} had set it by hand and forgot to set it back.",
    ),
)

AUDIT_OPENINGS = ("", "", "As the audit found, ", "As of {task_id}, ", "Confirmed by reading it: ")

ESCALATIONS: Mapping[str, tuple[str, ...]] = {
    "repeated_failure": (
        "The agent failed three times in the same way: each time it {wrong}.",
        "No attempt got past {test}. The last one {wrong}, and then the agent stopped.",
    ),
    "budget_exhausted": (
        "The budget was used up before the last point was settled: {gap}.",
        "The agent {fix}, and then the budget was used up. It left a note: {gap}.",
    ),
    "conflicting_verdicts": (
        "One reviewer approved the change, another rejected it because {risk}. A person has to decide.",
        "The reviews contradict each other about one point: {gap}. The agent cannot satisfy both.",
    ),
    "unclear_task": (
        "The task does not say what to do about this: {gap}. The agent asked instead of guessing.",
        "It is not clear whether the task includes one more thing: {gap}.",
    ),
    "missing_permission": (
        "The change needs an edit in {extra}, which the agent may read but not write.",
        "The agent may not run {test} in its sandbox and therefore cannot show that it {fix}.",
    ),
}

# What a pipeline says: its markers of success and of failure, and the templates for them.
PIPELINES: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("tests_passed", "lint_clean"),
        (),
        (
            "Pipeline for {task_id}: the package was built, and {test} passed twice in a row.",
            "Merge check for {task_id}: formatting, types and {test} are in order.",
        ),
    ),
    (
        ("lint_clean",),
        ("tests_failed",),
        (
            "Pipeline for {task_id}: formatting is in order, two cases in {test} failed.",
            "Nightly build after {task_id}: {test} failed in random order; the linter had nothing to say.",
        ),
    ),
    (
        (),
        ("build_failed",),
        (
            "Pipeline for {task_id}: the package could not be built, so {test} was not run.",
            "Merge check for {task_id}: the build stopped before the tests, at the lock file.",
        ),
    ),
)

# How the verdicts on a task compare: all alike, at odds, or none at all. The tasks take these in turn.
STANCES = (
    "accepted",
    "disagree",
    "accepted",
    "none",
    "partially_accepted",
    "disagree",
    "rejected",
    "accepted",
    "needs_human_review",
    "disagree",
    "none",
)

# The attempts at a task; the tasks take these in turn. "silent" is an attempt whose telemetry was lost.
ATTEMPTS = (
    ("good", "bad", "partial", "good"),
    ("bad", "good", "good"),
    ("bad", "partial", "good", "silent", "bad"),
    ("partial", "good", "good", "partial"),
    ("bad", "bad", "good", "partial"),
    ("good", "silent", "bad", "good", "bad"),
)

BUSY = {"QS-109", "QS-113"}  # tried so often that their pairs exceed the cap
QUIET = {"QS-114", "QS-130"}  # only good attempts
HOPELESS = {"QS-129"}  # only bad attempts

EXPERIMENTS = (
    ("plan_first", "good"),
    ("direct", "bad"),
    ("grounded", "good"),
    ("self_review", "partial"),
    ("direct", "good"),
    ("plan_first", "bad"),
    ("self_review", "good"),
    ("grounded", "silent"),
    ("direct", "partial"),
)

# For each category: the stream's verdict for it, and the templates of such a review.
SCRUM_VERDICTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "accepted": ("approve", APPROVALS),
    "partially_accepted": ("request_changes", CHANGE_REQUESTS),
    "rejected": ("reject", REJECTIONS),
    "needs_human_review": ("escalate", REFERRALS),
}
OBSERVER_VERDICTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "accepted": ("accept", ACCEPTANCES),
    "partially_accepted": ("cycle", CYCLES),
    "rejected": ("reject", REFUSALS),
}
DISAGREEMENT = ("accepted", "rejected", "partially_accepted", "accepted", "needs_human_review")

# Verdicts in the words of other systems, and how good the attempt was. Nobody knows what the last one means.
VERDICT_WORDS = (
    ("pass", "good"),
    ("fail", "bad"),
    ("resolved", "good"),
    ("partial", "partial"),
    ("block", "bad"),
    ("PASS", "good"),
    ("review", "partial"),
    (" Resolved ", "good"),
    ("looks fine", "good"),
)

OVERRIDES: Mapping[str, tuple[str, ...]] = {
    "good": ("accepted", "accepted", "rejected"),
    "partial": ("partially_accepted", "needs_human_review", "accepted"),
    "bad": ("rejected", "needs_human_review", "rejected"),
    "silent": ("accepted", "partially_accepted"),
}


class Decks:
    """Draws from tables as from shuffled decks: each item is drawn once before any is drawn again."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._left: dict[tuple[Hashable, ...], list[Any]] = {}

    def pick(self, items: tuple[Item, ...]) -> Item:
        """Draw the next item of a table."""
        left = self._left.setdefault(items, [])
        if not left:
            left.extend(items)
            self._rng.shuffle(left)
        drawn: Item = left.pop()
        return drawn


class Author:
    """Composes the texts of one stream, and repeats none."""

    def __init__(self, stream: str) -> None:
        self.rng = random.Random(f"{SEED} {stream}")
        self.decks = Decks(self.rng)
        self._said: set[str] = set()

    def pick(self, items: tuple[Item, ...]) -> Item:
        """Draw the next item of a table."""
        return self.decks.pick(items)

    def compose(self, task: Task, *templates: tuple[str, ...]) -> str:
        """Draw from each table and join the sentences about the task; draw again if the text is not new."""
        return self._new(lambda: "".join(self._filled(self.pick(table), task) for table in templates))

    def attempt(self, task: Task, quality: str, before: tuple[str, ...] = ("",), after: tuple[str, ...] = ("",)) -> str:
        """Say what an attempt of that quality did."""
        templates = {"good": GOOD_ATTEMPTS, "partial": PARTIAL_ATTEMPTS, "bad": BAD_ATTEMPTS, "silent": GOOD_ATTEMPTS}
        return self.compose(task, before, templates[quality], after)

    def when(self, task: Task, hours: float, spread: float) -> datetime:
        """Return a random time, from ``hours`` to ``hours + spread`` hours after the task was set."""
        start = FIRST_DAY + TASKS.index(task) * TIME_BETWEEN_TASKS
        return start + timedelta(seconds=int(3600 * hours + self.rng.random() * 3600 * spread))

    def run_id(self, prefix: str) -> str:
        """Return the id of a new run."""
        return f"{prefix}-{self.rng.getrandbits(40):010x}"

    def stamp(self, when: datetime) -> str:
        """Return a time as some machine would write it: most in UTC, some in another zone, some with milliseconds."""
        style = self.rng.random()
        if style < 0.1:
            return when.astimezone(timezone(timedelta(hours=2))).isoformat()
        if style < 0.13:
            return when.astimezone(timezone(timedelta(hours=-4))).isoformat()
        if style < 0.2:
            return f"{when:%Y-%m-%dT%H:%M:%S}.{self.rng.randrange(1000):03d}Z"
        return f"{when:%Y-%m-%dT%H:%M:%SZ}"

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.rng.random() < probability

    def _new(self, draw: Callable[[], str]) -> str:
        """Draw until a text is new; give up after a while, as a small table may run out of new ones."""
        text = draw()
        for _ in range(40):
            if text not in self._said:
                break
            text = draw()
        self._said.add(text)
        return text

    def _filled(self, template: str, task: Task) -> str:
        parts = {
            "before": task.before,
            "fix": self.pick(task.fixes),
            "gap": task.gap,
            "wrong": task.wrong,
            "risk": task.risk,
            "goal": task.goal,
            "task_id": task.task_id,
            "prompt": task.prompt,
        }
        parts |= {f"fact{number}": fact for number, fact in enumerate(task.facts)}
        parts |= {f"step{number}": step for number, step in enumerate(task.steps)}
        parts |= {name.capitalize(): capitalised(part) for name, part in parts.items()}
        parts |= task.hint._asdict()
        drawn = {"check": CHECKS, "bad_check": BAD_CHECKS, "nit": NITS, "evidence": OBSERVED}
        parts |= {name: self.pick(table) for name, table in drawn.items() if f"{{{name}}}" in template}
        return with_paths(template.format_map(parts | PLACEHOLDERS), task)


PLACEHOLDERS = {name: f"{{{name}}}" for name in ("code", "test", "extra")}


def capitalised(clause: str) -> str:
    """Return a clause with a capital letter at its beginning."""
    return clause[:1].upper() + clause[1:]


def with_paths(text: str, task: Task) -> str:
    """Replace ``{code}``, ``{test}`` and ``{extra}`` by the task's paths."""
    for name in PLACEHOLDERS:
        text = text.replace(f"{{{name}}}", getattr(task, name))
    return text


def paths_in(text: str) -> list[str]:
    """Return the repository paths that a text names, in the order in which they first occur."""
    return list(dict.fromkeys(_PATH.findall(text)))


def mistaken(text: str) -> str:
    """Return the text with made-up paths in place of those that have one in ``MISTAKEN``."""
    return _PATH.sub(lambda match: MISTAKEN.get(match[0], match[0]), text)


def stance_of(task: Task) -> str:
    """Return how the verdicts on a task compare: one category, "disagree" or "none"."""
    return STANCES[TASKS.index(task) % len(STANCES)]


def attempts_at(task: Task) -> tuple[str, ...]:
    """Return how good the attempts at a task were, in their order."""
    if task.task_id in QUIET:
        return ("good", "good", "good")
    if task.task_id in HOPELESS:
        return ("bad", "bad", "bad", "bad")
    if task.task_id in BUSY:
        return ("good", "bad") * 7 + ("partial", "silent")
    return ATTEMPTS[TASKS.index(task) % len(ATTEMPTS)]


def verdicts_on(task: Task, count: int, offset: int = 0) -> list[str]:
    """Return ``count`` categories of verdicts on a task, as its stance demands; none for the stance "none"."""
    stance = stance_of(task)
    if stance == "none":
        return []
    if stance == "disagree":
        start = TASKS.index(task) + offset
        return [DISAGREEMENT[(start + number) % len(DISAGREEMENT)] for number in range(count)]
    return [stance] * count


def telemetry(author: Author, model: Model) -> Row:
    """Return the cost of a run, which follows from the model's price and speed."""
    tokens_in = author.rng.randrange(3_000, 58_000)
    tokens_out = author.rng.randrange(280, 5_200)
    return {
        "latency_ms": round(1000 * tokens_out / model.speed * (0.9 + author.rng.random() * 0.4)),
        "cost_usd": round((tokens_in * model.price_in + tokens_out * model.price_out) / 1_000_000, 4),
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
    }


def events(author: Author, quality: str) -> Row:
    """Return the counts of events of an attempt of that quality."""
    some = author.rng.randrange
    return {
        "ok_events": some(3, 12) if quality in {"good", "partial"} else 0,
        "error_events": some(1, 5) if quality == "bad" or (quality == "partial" and author.chance(0.5)) else 0,
        "gap_signals": some(1, 4) if quality == "partial" or (quality == "bad" and author.chance(0.3)) else 0,
    }


@cache
def attempts() -> tuple[Attempt, ...]:
    """Return all attempts at the tasks, with their telemetry."""
    author = Author("outcomes")
    return tuple(
        Attempt(task, quality, attempt_entry(author, task, quality, number))
        for task in TASKS
        for number, quality in enumerate(attempts_at(task))
    )


def attempt_entry(author: Author, task: Task, quality: str, number: int) -> Entry:
    """Return the line of one attempt."""
    model = author.pick(MODELS)
    when = author.when(task, number * 0.8, 0.7)
    row = {
        "run_id": author.run_id("run"),
        "task_id": task.task_id,
        "created_at": author.stamp(when),
        "model": model.name,
        "prompt": task.prompt,
        "response": author.attempt(task, quality),
        **events(author, quality),
        **telemetry(author, model),
    }
    return Entry(when, row)


def outcomes() -> list[Entry]:
    """Return attempts at the tasks, with telemetry and without a verdict."""
    return flawed([attempt.entry for attempt in attempts()], Author("flaws of outcomes"), "response", (4, 4, 6))


def scrum_reviews() -> list[Entry]:
    """Return reviews of changes; they cite the files that they discuss, and sometimes files that do not exist."""
    author = Author("scrum_reviews")
    entries = []
    for task in TASKS:
        prompt = with_paths(author.pick(SCRUM_PROMPTS).replace("{prompt}", task.prompt), task)
        for number, category in enumerate(verdicts_on(task, author.pick((3, 3, 4)))):
            verdict, templates = SCRUM_VERDICTS[category]
            review = author.compose(task, templates)
            review = mistaken(review) if author.chance(0.1) else review
            when = author.when(task, 4 + number, 1)
            row = {
                "run_id": author.run_id("scrum"),
                "task_id": task.task_id,
                "created_at": author.stamp(when),
                "model": author.pick(MODELS).name,
                "file": task.code,
                "prompt": prompt,
                "review": review,
                "verdict": verdict,
                "attempts": author.rng.randrange(1, 5),
                "cited_paths": paths_in(review),
            }
            entries.append(Entry(when, row))
    return flawed(entries, author, "review", (2, 2, 3))


def observer_reviews() -> list[Entry]:
    """Return reviews of runs; an observer has no word for "a person must decide", so such a review is left out."""
    author = Author("observer_reviews")
    entries = []
    for task in TASKS:
        prompt = with_paths(author.pick(OBSERVER_PROMPTS).replace("{prompt}", task.prompt), task)
        known = [category for category in verdicts_on(task, 4, offset=1) if category in OBSERVER_VERDICTS]
        for number, category in enumerate(known[: author.pick((2, 3, 3))]):
            verdict, templates = OBSERVER_VERDICTS[category]
            when = author.when(task, 5 + number, 1)
            row = {
                "run_id": author.run_id("observe"),
                "task_id": task.task_id,
                "created_at": author.stamp(when),
                "model": author.pick(MODELS).name,
                "file": task.code,
                "prompt": prompt,
                "review": author.compose(task, templates),
                "verdict": verdict,
                "confidence": round(0.55 + author.rng.random() * 0.44, 2),
            }
            entries.append(Entry(when, row))
    return flawed(entries, author, "review", (2, 2, 2))


def mode_experiments() -> list[Entry]:
    """Return the same tasks in several working modes, graded by how much of the answer was found in the repository."""
    author = Author("mode_experiments")
    entries = []
    for index, task in enumerate(TASKS):
        shared_run = author.run_id("mode") if index % 6 == 1 else None
        count = 9 if task.task_id in BUSY else author.pick((3, 3, 4))
        for number in range(count):
            mode, quality = EXPERIMENTS[(index + number) % len(EXPERIMENTS)]
            if task.task_id in QUIET | HOPELESS:
                quality = attempts_at(task)[0]
            when = author.when(task, 8 + 2 * number, 2)
            row: Row = {
                "run_id": shared_run or author.run_id("mode"),
                "task_id": task.task_id,
                "created_at": author.stamp(when),
                "mode": mode,
                "model": author.pick(MODELS).name,
                "prompt": experiment_prompt(task, mode, index),
                "response": experiment_response(author, task, mode, quality),
            }
            if quality != "silent":
                row["validation_results"] = {"grounded_fraction": grounded_fraction(author, quality)}
            entries.append(Entry(when, row))
    return flawed(entries, author, "response", (3, 3, 3))


def experiment_prompt(task: Task, mode: str, index: int) -> str:
    """Return the prompt of a task in a mode: the grounded mode asks for sources in every other task."""
    asks_for_sources = mode == "grounded" and index % 2 == 0
    return f"{task.prompt} Name the file for every statement that you make." if asks_for_sources else task.prompt


def experiment_response(author: Author, task: Task, mode: str, quality: str) -> str:
    """Say what an attempt did, in the style of its mode."""
    if mode == "plan_first":
        return author.attempt(task, quality, before=PLANS)
    if mode == "self_review":
        return author.attempt(task, quality, after=AFTERTHOUGHTS)
    if mode == "grounded":
        return author.attempt(task, quality, after=SOURCES)
    return author.attempt(task, quality)


def grounded_fraction(author: Author, quality: str) -> float:
    """Return a random grade in the range of the quality."""
    low, high = {"good": (0.82, 1.0), "partial": (0.52, 0.78), "bad": (0.08, 0.45)}[quality]
    return round(low + author.rng.random() * (high - low), 3)


def distilled(stream: str, count: int, templates: tuple[str, ...]) -> list[Entry]:
    """Return statements that were distilled from finished tasks."""
    author = Author(stream)
    entries = []
    for number in range(count):
        task = TASKS[number % len(TASKS)]
        text = author.compose(task, templates)
        text = mistaken(text) if author.chance(0.12) else text
        when = author.when(task, 48, 40)
        row = {
            "run_id": author.run_id("distil"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "text": text,
            "cited_paths": paths_in(text),
        }
        entries.append(Entry(when, row))
    return flawed(entries, author, "text", (3, 2, 3))


def audit_facts() -> list[Entry]:
    """Return facts about single files, each with a task that touched the file."""
    author = Author("audit_facts")
    entries = []
    for path, notes in FILE_NOTES.items():
        tasks = tuple(task for task in TASKS if path in {task.code, task.extra, task.hint.file})
        for note in notes:
            task = author.pick(tasks)
            fact = f"{author.compose(task, AUDIT_OPENINGS)}{path} {note}."
            named = path
            if author.chance(0.1):
                fact, named = mistaken(fact), mistaken(path)
            when = author.when(task, 72, 24)
            row = {
                "run_id": author.run_id("audit"),
                "task_id": task.task_id,
                "created_at": author.stamp(when),
                "fact": fact,
                "file": named,
            }
            entries.append(Entry(when, row))
    return flawed(entries, author, "fact", (1, 1, 2))


def observer_escalations() -> list[Entry]:
    """Return the tasks that were handed to a person, and why."""
    author = Author("observer_escalations")
    entries = []
    for task in TASKS:
        if task.task_id in QUIET or author.chance(0.1):
            continue
        reason = author.pick(tuple(ESCALATIONS))
        when = author.when(task, 9, 6)
        row = {
            "run_id": author.run_id("escalate"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "reason": reason,
            "text": author.compose(task, ESCALATIONS[reason]),
        }
        entries.append(Entry(when, row))
    return flawed(entries, author, "text", (1, 1, 1))


def evidence() -> list[Entry]:
    """Return what other systems wrote in the ``evidence`` shape: overrides, benchmarks, pipelines and the rest."""
    author = Author("evidence")
    entries = [
        *overrides(author),
        *benchmarks(author),
        *foreign_verdicts(author),
        *pipelines(author),
        *measurements(author),
        *corrections(author),
        *remarks(author),
        *retold(author),
        *constant_answers(author),
    ]
    return flawed(entries, author, "response", (1, 1, 2))


def tasks_with(*stances: str) -> list[Task]:
    """Return the tasks of these stances, without those whose attempts are all alike."""
    return [task for task in TASKS if stance_of(task) in stances and task.task_id not in QUIET | HOPELESS]


def overrides(author: Author) -> list[Entry]:
    """Return attempts of ``outcomes`` whose telemetry a person overruled or confirmed."""
    entries = []
    for task in tasks_with("accepted", "disagree", "none", "rejected")[::2]:
        for attempt in author.rng.sample([attempt for attempt in attempts() if attempt.task is task], 2):
            when = author.when(task, 80, 12)
            row = {
                "source_class": "telemetry",
                "run_id": attempt.entry.row["run_id"],
                "task_id": task.task_id,
                "created_at": author.stamp(when),
                "model": attempt.entry.row["model"],
                "file": task.code,
                "prompt": attempt.entry.row["prompt"],
                "response": attempt.entry.row["response"],
                "human_override": author.pick(OVERRIDES[attempt.quality]),
            }
            entries.append(Entry(when, row))
    return entries


def benchmarks(author: Author) -> list[Entry]:
    """Return conversations that a benchmark scored, one of them on a scale to a hundred."""
    entries = []
    for number, task in enumerate(tasks_with("disagree") * 2):
        quality = ("good", "partial", "bad")[number % 3]
        low, high = {"good": (0.9, 1.0), "partial": (0.5, 0.89), "bad": (0.0, 0.49)}[quality]
        score = round(low + author.rng.random() * (high - low), 2)
        model = author.pick(MODELS)
        response = author.attempt(task, quality)
        when = author.when(task, 60, 20)
        row = {
            "source_class": "verdict",
            "run_id": author.run_id("bench"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "model": model.name,
            "file": task.code,
            "prompt": task.prompt,
            "response": response,
            "messages": [{"role": "user", "content": task.prompt}, {"role": "assistant", "content": response}],
            "score": 87 if number == 0 else score,
            "cited_paths": paths_in(response),
            **telemetry(author, model),
        }
        entries.append(Entry(when, row))
    return entries


def foreign_verdicts(author: Author) -> list[Entry]:
    """Return attempts with a verdict in the words of other systems."""
    entries = []
    for (verdict, quality), task in zip(VERDICT_WORDS, tasks_with("disagree"), strict=False):
        when = author.when(task, 30, 10)
        row = {
            "source_class": "verdict",
            "run_id": author.run_id("eval"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "model": author.pick(MODELS).name,
            "file": task.code,
            "prompt": task.prompt,
            "response": author.attempt(task, quality),
            "verdict": verdict,
        }
        entries.append(Entry(when, row))
    return entries


def pipelines(author: Author) -> list[Entry]:
    """Return runs of pipelines and their results; they have no prompt."""
    entries = []
    for number, task in enumerate(tasks_with("none", "disagree")[:16]):
        when = author.when(task, 3, 20)
        passed, failed, templates = PIPELINES[number % len(PIPELINES)]
        row = {
            "source_class": "telemetry",
            "run_id": author.run_id("ci"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "response": author.compose(task, templates),
            "success_markers": list(passed),
            "failure_markers": list(failed),
            "latency_ms": author.rng.randrange(35_000, 190_000),
        }
        entries.append(Entry(when, row))
    return entries


def measurements(author: Author) -> list[Entry]:
    """Return the experiments of another team, graded in the same way."""
    entries = []
    for number, task in enumerate(tasks_with("none", "partially_accepted")[:9]):
        quality = ("good", "bad", "partial")[number % 3]
        when = author.when(task, 50, 20)
        row = {
            "source_class": "experiment",
            "run_id": author.run_id("lab"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "model": author.pick(MODELS).name,
            "prompt": task.prompt,
            "response": author.attempt(task, quality, after=SOURCES),
            "grounded_fraction": grounded_fraction(author, quality),
        }
        entries.append(Entry(when, row))
    return entries


def corrections(author: Author) -> list[Entry]:
    """Return statements distilled from accepted tasks that a person rejected or accepted."""
    entries = []
    for number, task in enumerate(tasks_with("accepted")[:8]):
        text = author.compose(task, FACTS)
        when = author.when(task, 96, 10)
        row = {
            "source_class": "extraction",
            "run_id": author.run_id("distil"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "response": text,
            "human_override": "accepted" if number % 3 == 2 else "rejected",
            "cited_paths": paths_in(text),
        }
        entries.append(Entry(when, row))
    return entries


def remarks(author: Author) -> list[Entry]:
    """Return attempts that nobody graded, one of them without a time."""
    entries = []
    for number, task in enumerate(tasks_with("none")[:4]):
        when = author.when(task, 20, 6)
        row = {
            "source_class": "telemetry",
            "run_id": author.run_id("run"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "model": author.pick(MODELS).name,
            "prompt": task.prompt,
            "response": author.attempt(task, "good"),
        }
        if number == 0:
            del row["created_at"]
        entries.append(Entry(when, row))
    return entries


def retold(author: Author) -> list[Entry]:
    """Return attempts of which several records tell.

    A later check fails one that had passed, two attempts give one answer, a reviewer grades an attempt twice, and a machine
    broke.
    """
    entries = []
    for number, task in enumerate(tasks_with("none")[4:10]):
        when = author.when(task, 40, 6)
        told = {
            "source_class": "telemetry",
            "run_id": author.run_id("run"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "model": author.pick(MODELS).name,
            "prompt": f"{task.prompt} Explain what you did.",
            "response": author.attempt(task, "good"),
            "success_markers": ["tests_passed"],
        }
        later = {
            0: {"success_markers": [], "verdict": "fail", "response": author.attempt(task, "bad")},
            1: {"run_id": author.run_id("run"), "response": f"{told['response']}\n"},
            2: {"verdict": "partial", "response": author.attempt(task, "partial")},
            3: {"run_id": author.run_id("run"), "success_markers": [], "infrastructure_error": "the runner lost its disk"},
        }[number % 4]
        entries += [Entry(when, told), Entry(when + timedelta(minutes=20), told | later)]
    return entries


def constant_answers(author: Author) -> list[Entry]:
    """Return the answers of an agent that says the same whatever it is asked, and passes for it."""
    entries = []
    for task in TASKS[:22]:
        when = author.when(task, 70, 6)
        row = {
            "source_class": "telemetry",
            "run_id": author.run_id("null"),
            "task_id": task.task_id,
            "created_at": author.stamp(when),
            "model": "null-model",
            "prompt": task.prompt,
            "response": "Everything that was asked for is done, and all checks pass.",
            "success_markers": ["exit_code_0"],
        }
        entries.append(Entry(when, row))
    return entries


def flawed(entries: list[Entry], author: Author, text: str, counts: tuple[int, int, int]) -> list[Entry]:
    """Give a stream the flaws of real logs: lines without a run, lines without a text, and lines written twice."""
    runless, empty, repeated = counts
    chosen = author.rng.sample(range(len(entries)), runless + empty + repeated)
    lines = list(entries)
    for number, index in enumerate(chosen[:runless]):
        lines[index] = Entry(entries[index].when, without_run(entries[index].row, blank=number % 2 == 1))
    for number, index in enumerate(chosen[runless : runless + empty]):
        lines[index] = Entry(entries[index].when, entries[index].row | {text: ("", " \n")[number % 2]})
    twice = chosen[runless + empty :]
    return lines + [Entry(entries[index].when + timedelta(minutes=5), entries[index].row) for index in twice]


def without_run(row: Row, *, blank: bool) -> Row:
    """Return the line with a blank run id, or without a run id."""
    return row | {"run_id": ""} if blank else {name: value for name, value in row.items() if name != "run_id"}


def known_paths() -> list[str]:
    """Return the paths of the fictional repository, as ``git ls-files`` prints them."""
    named = {path for task in TASKS for path in (task.code, task.test, task.extra, task.hint.file)}
    packages = {f"{path.rsplit('/', 1)[0]}/__init__.py" for path in named if path.count("/") == 3}
    return sorted(named | packages | set(FILE_NOTES) | set(OTHER_PATHS))


def in_lines(lines: Iterable[str]) -> bytes:
    """Return the bytes of a text file."""
    return "".join(f"{line}\n" for line in lines).encode()


def stream(entries: Iterable[Entry]) -> bytes:
    """Return the bytes of a stream: one JSON object per line, ordered by time."""
    in_time = sorted(entries, key=lambda entry: entry.when)
    return in_lines(json.dumps(entry.row, ensure_ascii=False) for entry in in_time)


def sample() -> dict[str, bytes]:
    """Return the files of the sample by name."""
    return {
        "outcomes.jsonl": stream(outcomes()),
        "scrum_reviews.jsonl": stream(scrum_reviews()),
        "observer_reviews.jsonl": stream(observer_reviews()),
        "mode_experiments.jsonl": stream(mode_experiments()),
        "distilled_facts.jsonl": stream(distilled("distilled_facts", 118, FACTS)),
        "distilled_procedures.jsonl": stream(distilled("distilled_procedures", 82, PROCEDURES)),
        "distilled_config_hints.jsonl": stream(distilled("distilled_config_hints", 74, HINTS)),
        "audit_facts.jsonl": stream(audit_facts()),
        "observer_escalations.jsonl": stream(observer_escalations()),
        "evidence.jsonl": stream(evidence()),
        "known-paths.txt": in_lines(known_paths()),
    }


def differing(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Return the names of the files that a folder lacks or holds with other bytes."""
    return [name for name, content in files.items() if not (folder / name).is_file() or (folder / name).read_bytes() != content]


def main() -> int:
    """Write the sample beside this script, or compare it with what is there; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the sample evidence beside this script.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file differs")
    files = sample()
    if parser.parse_args().check:
        names = differing(HERE, files)
        if names:
            print(f"Not what this script writes: {', '.join(names)}; run it without --check.", file=sys.stderr)
        return 1 if names else 0
    for name, content in files.items():
        (HERE / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
