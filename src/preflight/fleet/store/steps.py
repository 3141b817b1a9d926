"""The tables by version of the schema. A version is never edited once released: a change is a further step.

``{bytes}`` and ``{serial}`` stand for the database's own types. What stands beside nodes, checks, profiles, tokens,
quarantine and days follows from the reports.
"""

from __future__ import annotations

_FIRST = (
    "CREATE TABLE nodes (node BIGINT PRIMARY KEY, cluster TEXT NOT NULL, name TEXT NOT NULL)",
    "CREATE TABLE checks (check_id BIGINT PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE TABLE profiles (hash {bytes} PRIMARY KEY, text {bytes} NOT NULL)",
    "CREATE TABLE node_profiles (node BIGINT, day INTEGER, hash {bytes}, first_ms BIGINT NOT NULL,"
    " last_ms BIGINT NOT NULL, runs BIGINT NOT NULL, PRIMARY KEY (node, day, hash))",
    "CREATE TABLE node_software (node BIGINT, day INTEGER, preflight TEXT, policy TEXT, first_ms BIGINT NOT NULL,"
    " last_ms BIGINT NOT NULL, runs BIGINT NOT NULL, PRIMARY KEY (node, day, preflight, policy))",
    "CREATE TABLE latest (node BIGINT PRIMARY KEY, started_ms BIGINT NOT NULL, report {bytes} NOT NULL,"
    " phase INTEGER NOT NULL, verdict INTEGER NOT NULL, action TEXT NOT NULL, enforced INTEGER NOT NULL, job BIGINT,"
    " failing TEXT NOT NULL, hash {bytes} NOT NULL, preflight TEXT NOT NULL, policy TEXT NOT NULL)",
    "CREATE TABLE node_days (node BIGINT, day INTEGER, phase INTEGER, verdict INTEGER, runs BIGINT NOT NULL,"
    " first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL, PRIMARY KEY (node, day, phase, verdict))",
    "CREATE TABLE hours (cluster TEXT, hour BIGINT, phase INTEGER, verdict INTEGER, runs BIGINT NOT NULL,"
    " PRIMARY KEY (cluster, hour, phase, verdict))",
    "CREATE TABLE durations (cluster TEXT, hour BIGINT, phase INTEGER, bucket INTEGER, runs BIGINT NOT NULL,"
    " PRIMARY KEY (cluster, hour, phase, bucket))",
    "CREATE TABLE check_days (day INTEGER, check_id BIGINT, node BIGINT, status INTEGER, blame TEXT,"
    " runs BIGINT NOT NULL, PRIMARY KEY (day, check_id, node, status, blame))",
    "CREATE TABLE actions (report {bytes} PRIMARY KEY, node BIGINT NOT NULL, at_ms BIGINT NOT NULL,"
    " phase INTEGER NOT NULL, kind TEXT NOT NULL, enforced INTEGER NOT NULL, check_name TEXT NOT NULL,"
    " detail TEXT NOT NULL, job BIGINT)",
    "CREATE TABLE jobs (cluster TEXT, job BIGINT, array_job BIGINT, array_task BIGINT, user_name TEXT NOT NULL,"
    " partition_name TEXT NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL, verdict INTEGER NOT NULL,"
    " restarts INTEGER NOT NULL, reports BIGINT NOT NULL, PRIMARY KEY (cluster, job))",
    "CREATE TABLE tokens (hash {bytes} PRIMARY KEY, cluster TEXT NOT NULL, node TEXT NOT NULL, made_ms BIGINT NOT NULL,"
    " until_ms BIGINT)",
    "CREATE TABLE days (day INTEGER PRIMARY KEY, seq BIGINT NOT NULL)",
    "CREATE TABLE quarantine (id {serial}, at_ms BIGINT NOT NULL, sender TEXT NOT NULL, reason TEXT NOT NULL,"
    " size BIGINT NOT NULL, head {bytes} NOT NULL)",
    "CREATE INDEX actions_at ON actions (at_ms)",
    "CREATE INDEX actions_node ON actions (node, at_ms)",
    "CREATE INDEX jobs_last ON jobs (last_ms)",
    "CREATE INDEX jobs_user ON jobs (user_name, last_ms)",
    "CREATE INDEX jobs_verdict ON jobs (verdict, last_ms)",
    "CREATE INDEX node_days_day ON node_days (day)",
    "CREATE INDEX node_profiles_day ON node_profiles (day)",
)
_FIRST_POSTGRES = (
    "CREATE TABLE dictionaries (number BIGINT PRIMARY KEY, content BYTEA NOT NULL,"
    " made BIGINT GENERATED ALWAYS AS IDENTITY)",
    "CREATE SEQUENCE reports_seq",  # partitions inherit a default, and before PostgreSQL 17 no identity
    "CREATE TABLE reports (day INTEGER NOT NULL, seq BIGINT NOT NULL DEFAULT nextval('reports_seq'),"
    " key BYTEA NOT NULL, node BIGINT NOT NULL, job BIGINT, phase INTEGER NOT NULL, started_ms BIGINT NOT NULL,"
    " verdict INTEGER NOT NULL, duration_ms DOUBLE PRECISION NOT NULL, hash BYTEA NOT NULL,"
    " dictionary BIGINT NOT NULL, frame BYTEA NOT NULL) PARTITION BY RANGE (day)",
    "CREATE TABLE findings (day INTEGER NOT NULL, seq BIGINT NOT NULL, check_id BIGINT NOT NULL,"
    " node BIGINT NOT NULL, status INTEGER NOT NULL, blame TEXT NOT NULL, subject TEXT NOT NULL)"
    " PARTITION BY RANGE (day)",
)

# 2: who may see the pages, and an array's tasks by its number.
_SECOND = (
    "CREATE TABLE readers (hash {bytes} PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, made_ms BIGINT NOT NULL)",
    "CREATE INDEX jobs_array ON jobs (array_job) WHERE array_job IS NOT NULL",
)
# 3: drains and boots are rows; which nodes a check failed on is known without counting them anew.
_THIRD = (
    "CREATE TABLE drains (node BIGINT, begin_ms BIGINT, end_ms BIGINT NOT NULL, ended_by TEXT NOT NULL,"
    " check_name TEXT NOT NULL, reason TEXT NOT NULL, job BIGINT, PRIMARY KEY (node, begin_ms)){clustered}",
    "CREATE INDEX drains_begin ON drains (begin_ms)",
    "CREATE INDEX drains_end ON drains (end_ms)",
    "CREATE TABLE node_boots (node BIGINT, boot TEXT, up_ms BIGINT NOT NULL, first_ms BIGINT NOT NULL,"
    " last_ms BIGINT NOT NULL, runs BIGINT NOT NULL, PRIMARY KEY (node, boot)){clustered}",
    "CREATE TABLE check_nodes (check_id BIGINT, status INTEGER, node BIGINT, blame TEXT, last_day INTEGER NOT NULL,"
    " PRIMARY KEY (check_id, status, node, blame)){clustered}",
    "CREATE TABLE check_totals (day INTEGER, check_id BIGINT, status INTEGER, blame TEXT, runs BIGINT NOT NULL,"
    " PRIMARY KEY (day, check_id, status, blame)){clustered}",
    "INSERT INTO check_nodes SELECT check_id, status, node, blame, max(day) FROM check_days"
    " GROUP BY check_id, status, node, blame",
    "INSERT INTO check_totals SELECT day, check_id, status, blame, sum(runs) FROM check_days"
    " GROUP BY day, check_id, status, blame",
    "DROP INDEX actions_at",
    "CREATE INDEX actions_at ON actions (enforced, at_ms)",
    "DROP INDEX node_days_day",
    "DROP INDEX node_profiles_day",
)
# 4: what has ever come, counted by cluster, for those who ask every few seconds; and what others are still to be told.
# `a`, `b` and `c` are labels: names, and the numbers of phase, verdict, status and bucket.
_FOURTH = (
    "CREATE TABLE totals (name TEXT, cluster TEXT, a TEXT, b TEXT, c TEXT, runs BIGINT NOT NULL,"
    " PRIMARY KEY (name, cluster, a, b, c)){clustered}",
    "INSERT INTO totals SELECT 'runs', cluster, CAST(phase AS TEXT), CAST(verdict AS TEXT), '', sum(runs) FROM hours"
    " GROUP BY cluster, phase, verdict",
    "INSERT INTO totals SELECT 'durations', cluster, CAST(phase AS TEXT), CAST(bucket AS TEXT), '', sum(runs)"
    " FROM durations GROUP BY cluster, phase, bucket",
    "INSERT INTO totals SELECT 'findings', n.cluster, c.name, CAST(d.status AS TEXT), d.blame, sum(d.runs)"
    " FROM check_days d JOIN nodes n ON n.node = d.node JOIN checks c ON c.check_id = d.check_id"
    " GROUP BY n.cluster, c.name, d.status, d.blame",
    "INSERT INTO totals SELECT 'actions', n.cluster, a.kind, a.check_name, CAST(a.enforced AS TEXT), count(*)"
    " FROM actions a JOIN nodes n ON n.node = a.node GROUP BY n.cluster, a.kind, a.check_name, a.enforced",
    "INSERT INTO totals SELECT 'breaker', n.cluster, '', '', '', count(*) FROM actions a"
    " JOIN nodes n ON n.node = a.node WHERE a.enforced = 0 AND a.kind = 'drain' AND a.detail LIKE 'drain breaker%'"
    " GROUP BY n.cluster",
    "CREATE TABLE events (id {serial}, report {bytes} NOT NULL UNIQUE, node BIGINT NOT NULL, at_ms BIGINT NOT NULL,"
    " phase INTEGER NOT NULL, kind TEXT NOT NULL, check_name TEXT NOT NULL, detail TEXT NOT NULL, job BIGINT)",
    "CREATE TABLE sinks (name TEXT PRIMARY KEY, since_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL)",
)
# 5: a health check looks at the whole node, a job's prolog at its GPUs: the latest of either is kept. `resumed`: when
# the collector saw in Slurm that a node gets jobs again whose last drain that was known then is of `drained_ms`.
_FIFTH = (
    "ALTER TABLE latest ADD COLUMN health_ms BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE latest ADD COLUMN health_report {bytes} NOT NULL DEFAULT ''",
    "ALTER TABLE latest ADD COLUMN health_verdict INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE latest ADD COLUMN health_failing TEXT NOT NULL DEFAULT ''",
    "UPDATE latest SET health_ms = started_ms, health_report = report, health_verdict = verdict,"
    " health_failing = failing WHERE phase = 2",
    "CREATE TABLE resumed (node BIGINT, drained_ms BIGINT, at_ms BIGINT NOT NULL, PRIMARY KEY (node, drained_ms))"
    "{clustered}",
    "CREATE INDEX nodes_name ON nodes (name)",
)
# 6: what was to do and was not done is counted by hour, and by cause and node when it was last: a bad policy makes as
# much of it as there are reports. What a window's drains are counted by stands in their index.
_SIXTH = (
    "CREATE TABLE withheld_hours (hour BIGINT, cluster TEXT, kind TEXT, check_name TEXT, runs BIGINT NOT NULL,"
    " trips BIGINT NOT NULL, last_ms BIGINT NOT NULL, PRIMARY KEY (hour, cluster, kind, check_name)){clustered}",
    "CREATE TABLE withheld_nodes (kind TEXT, check_name TEXT, node BIGINT, last_ms BIGINT NOT NULL,"
    " PRIMARY KEY (kind, check_name, node)){clustered}",
    "INSERT INTO withheld_hours SELECT a.at_ms / 3600000, n.cluster, a.kind, a.check_name, count(*),"
    " sum(CASE WHEN a.kind = 'drain' AND substr(a.detail, 1, 15) = 'drain breaker: ' AND substr(a.detail, 16, 1) IN"
    " ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9') THEN 1 ELSE 0 END), max(a.at_ms)"
    " FROM actions a JOIN nodes n ON n.node = a.node WHERE a.enforced = 0"
    " GROUP BY a.at_ms / 3600000, n.cluster, a.kind, a.check_name",
    "INSERT INTO withheld_nodes SELECT kind, check_name, node, max(at_ms) FROM actions WHERE enforced = 0"
    " GROUP BY kind, check_name, node",
    "CREATE INDEX withheld_nodes_last ON withheld_nodes (last_ms, kind, check_name)",
    "DROP INDEX actions_at",
    "CREATE INDEX actions_at ON actions (enforced, at_ms, kind, check_name)",
    "DROP INDEX drains_begin",
    "CREATE INDEX drains_begin ON drains (begin_ms, check_name, node)",
)
# Small rows lie in their key's own tree, once instead of twice; and keys begin with what is asked for.
_REBUILT = {
    "node_profiles": "node BIGINT, day INTEGER, hash BLOB, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL,"
    " runs BIGINT NOT NULL, PRIMARY KEY (node, day, hash)",
    "node_software": "node BIGINT, day INTEGER, preflight TEXT, policy TEXT, first_ms BIGINT NOT NULL,"
    " last_ms BIGINT NOT NULL, runs BIGINT NOT NULL, PRIMARY KEY (node, day, preflight, policy)",
    "node_days": "node BIGINT, day INTEGER, phase INTEGER, verdict INTEGER, runs BIGINT NOT NULL,"
    " first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL, PRIMARY KEY (node, day, phase, verdict)",
    "hours": "cluster TEXT, hour BIGINT, phase INTEGER, verdict INTEGER, runs BIGINT NOT NULL,"
    " PRIMARY KEY (cluster, hour, phase, verdict)",
    "durations": "cluster TEXT, hour BIGINT, phase INTEGER, bucket INTEGER, runs BIGINT NOT NULL,"
    " PRIMARY KEY (cluster, hour, phase, bucket)",
    "check_days": "day INTEGER, check_id BIGINT, node BIGINT, status INTEGER, blame TEXT, runs BIGINT NOT NULL,"
    " PRIMARY KEY (check_id, status, node, blame, day)",
    "jobs": "cluster TEXT, job BIGINT, array_job BIGINT, array_task BIGINT, user_name TEXT NOT NULL,"
    " partition_name TEXT NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL, verdict INTEGER NOT NULL,"
    " restarts INTEGER NOT NULL, reports BIGINT NOT NULL, PRIMARY KEY (job, cluster)",
}
_JOB_INDEXES = (
    "CREATE INDEX jobs_last ON jobs (last_ms)",
    "CREATE INDEX jobs_user ON jobs (user_name, last_ms)",
    "CREATE INDEX jobs_verdict ON jobs (verdict, last_ms)",
    "CREATE INDEX jobs_array ON jobs (array_job) WHERE array_job IS NOT NULL",
)


def _rebuilt() -> list[str]:
    made = []
    for table, columns in _REBUILT.items():
        made += [
            f"ALTER TABLE {table} RENAME TO before",
            f"CREATE TABLE {table} ({columns}) WITHOUT ROWID",
            f"INSERT INTO {table} SELECT * FROM before",
            "DROP TABLE before",
        ]
    return made


def _with(statements: tuple[str, ...], bytes_: str, serial: str, clustered: str) -> list[str]:
    return [one.format(bytes=bytes_, serial=serial, clustered=clustered) for one in statements]


_IN_SQLITE = ("BLOB", "INTEGER PRIMARY KEY", " WITHOUT ROWID")
_IN_POSTGRES = ("BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "")

SQLITE: tuple[list[str], ...] = (
    _with(_FIRST, *_IN_SQLITE),
    _with(_SECOND, *_IN_SQLITE),
    [*_with(_THIRD, *_IN_SQLITE), *_rebuilt(), *_JOB_INDEXES],
    _with(_FOURTH, *_IN_SQLITE),
    _with(_FIFTH, *_IN_SQLITE),
    _with(_SIXTH, *_IN_SQLITE),
)
POSTGRES: tuple[list[str], ...] = (
    [*_with(_FIRST, *_IN_POSTGRES), *_FIRST_POSTGRES],
    _with(_SECOND, *_IN_POSTGRES),
    [
        *_with(_THIRD, *_IN_POSTGRES),
        "ALTER TABLE check_days DROP CONSTRAINT check_days_pkey, ADD PRIMARY KEY (check_id, status, node, blame, day)",
        "ALTER TABLE jobs DROP CONSTRAINT jobs_pkey, ADD PRIMARY KEY (job, cluster)",
    ],
    _with(_FOURTH, *_IN_POSTGRES),
    _with(_FIFTH, *_IN_POSTGRES),
    _with(_SIXTH, *_IN_POSTGRES),
)
DRAINS_SINCE = 3  # the version from which on drains are rows: of an earlier store they are reckoned once
