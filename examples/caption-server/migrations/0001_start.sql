-- Users, their platforms and settings, and what was captioned. The same text for SQLite and PostgreSQL:
-- times are milliseconds since 1970, yes and no are 1 and 0.
CREATE TABLE caption_users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    email TEXT,
    role TEXT NOT NULL,
    active BIGINT NOT NULL,
    password_hash TEXT NOT NULL
);

-- `token` is sealed for this row, in base64.
CREATE TABLE caption_platforms (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES caption_users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    instance_url TEXT NOT NULL,
    username TEXT NOT NULL,
    active BIGINT NOT NULL,
    is_default BIGINT NOT NULL,
    token TEXT,
    created BIGINT NOT NULL
);
CREATE INDEX caption_platforms_of_user ON caption_platforms (user_id);
CREATE UNIQUE INDEX caption_platforms_one_default ON caption_platforms (user_id) WHERE is_default = 1;

CREATE TABLE caption_settings (
    user_id TEXT PRIMARY KEY REFERENCES caption_users (id) ON DELETE CASCADE,
    settings TEXT NOT NULL
);

CREATE TABLE caption_tasks (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES caption_users (id) ON DELETE CASCADE,
    platform_id TEXT NOT NULL,
    platform_name TEXT NOT NULL,
    status TEXT NOT NULL,
    progress_percent BIGINT NOT NULL,
    current_step TEXT NOT NULL,
    pictures BIGINT NOT NULL,
    settings TEXT NOT NULL,
    created BIGINT NOT NULL,
    alive BIGINT NOT NULL,
    finished BIGINT
);
CREATE INDEX caption_tasks_of_user ON caption_tasks (user_id, created);
-- One active task a user, whoever starts two at the same moment.
CREATE UNIQUE INDEX caption_tasks_one_active ON caption_tasks (user_id)
    WHERE status IN ('queued', 'running');

CREATE TABLE caption_results (
    task_id TEXT NOT NULL REFERENCES caption_tasks (id) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    file_name TEXT NOT NULL,
    digest TEXT NOT NULL,
    caption TEXT,
    problem TEXT,
    about TEXT NOT NULL,
    thumbnail TEXT,
    PRIMARY KEY (task_id, place)
);
CREATE INDEX caption_results_of_picture ON caption_results (user_id, digest);
