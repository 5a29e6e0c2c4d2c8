//! Caption tasks and their results. Which task may run, and what becomes of it, is decided here by
//! statements, so that it holds with any number of requests and instances at once.

use serde::Serialize;
use sqlx::{Row as _, any::AnyRow};
use tower_redis_session::directory::PlatformInfo;

use super::{Data, DataError, is_taken, new_id, now};
use crate::captions::settings::Settings;

/// A task that nobody has worked on for that long has lost its server.
const LOST_AFTER_MS: i64 = 15_000;

/// What a task is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TaskStatus {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl TaskStatus {
    pub(crate) fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "queued" => Self::Queued,
            "running" => Self::Running,
            "completed" => Self::Completed,
            "cancelled" => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

/// A row of `caption_tasks`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Task {
    #[serde(rename = "task_id")]
    pub(crate) id: String,
    pub(crate) status: TaskStatus,
    pub(crate) progress_percent: i64,
    pub(crate) current_step: String,
    pub(crate) pictures: i64,
    pub(crate) platform_id: String,
    pub(crate) platform_name: String,
    pub(crate) created: i64,
    pub(crate) finished: Option<i64>,
}

/// A row of `caption_results`: a caption, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TaskResult {
    pub(crate) place: i64,
    pub(crate) file_name: String,
    #[serde(skip)]
    pub(crate) digest: String,
    pub(crate) caption: Option<String>,
    pub(crate) problem: Option<String>,
    pub(crate) about: String,
    /// For pages only; a program has the picture already.
    #[serde(skip)]
    pub(crate) thumbnail: Option<String>,
}

/// What became of a start.
#[derive(Debug)]
pub(crate) enum Started {
    Queued(Task),
    /// The user has an active task already: this one.
    Active(Option<Task>),
}

impl Data {
    /// Queues a task, unless the user has one that is active.
    pub(crate) async fn start_task(
        &self,
        user: &str,
        platform: &PlatformInfo,
        pictures: usize,
        settings: &Settings,
    ) -> Result<Started, DataError> {
        self.fail_lost_tasks().await?;
        let task = Task {
            id: new_id()?,
            status: TaskStatus::Queued,
            progress_percent: 0,
            current_step: "Waiting for its turn".to_owned(),
            pictures: i64::try_from(pictures).unwrap_or(i64::MAX),
            platform_id: platform.id.clone(),
            platform_name: platform.name.clone(),
            created: now(),
            finished: None,
        };
        let row = sqlx::query(
            "INSERT INTO caption_tasks (id, user_id, platform_id, platform_name, status, \
             progress_percent, current_step, pictures, settings, created, alive) \
             VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $9)",
        );
        let row = row.bind(&task.id).bind(user).bind(&task.platform_id).bind(&task.platform_name);
        let row = row.bind(task.status.name()).bind(&task.current_step).bind(task.pictures);
        let row = row.bind(serde_json::to_string(settings)?).bind(task.created);
        match row.execute(&self.pool).await {
            Ok(_) => Ok(Started::Queued(task)),
            Err(error) if is_taken(&error) => Ok(Started::Active(self.active_task(user).await?)),
            Err(error) => Err(error.into()),
        }
    }

    /// A task of the user's.
    pub(crate) async fn task(&self, user: &str, id: &str) -> Result<Option<Task>, DataError> {
        let row = sqlx::query(
            "SELECT id, status, progress_percent, current_step, pictures, platform_id, \
             platform_name, created, finished FROM caption_tasks WHERE id = $1 AND user_id = $2",
        );
        let row = row.bind(id).bind(user).fetch_optional(&self.pool).await?;
        row.as_ref().map(task).transpose()
    }

    pub(crate) async fn active_task(&self, user: &str) -> Result<Option<Task>, DataError> {
        let row = sqlx::query(
            "SELECT id, status, progress_percent, current_step, pictures, platform_id, \
             platform_name, created, finished FROM caption_tasks \
             WHERE user_id = $1 AND status IN ('queued', 'running')",
        );
        row.bind(user).fetch_optional(&self.pool).await?.as_ref().map(task).transpose()
    }

    /// The latest ones, the newest first.
    pub(crate) async fn tasks_of(&self, user: &str, count: i64) -> Result<Vec<Task>, DataError> {
        let rows = sqlx::query(
            "SELECT id, status, progress_percent, current_step, pictures, platform_id, \
             platform_name, created, finished FROM caption_tasks WHERE user_id = $1 \
             ORDER BY created DESC, id LIMIT $2",
        );
        rows.bind(user).bind(count).fetch_all(&self.pool).await?.iter().map(task).collect()
    }

    /// Moves a task on; false if it is over, by a cancel for one, and nothing changes then.
    pub(crate) async fn advance_task(
        &self,
        id: &str,
        percent: i64,
        step: &str,
    ) -> Result<bool, DataError> {
        let row = sqlx::query(
            "UPDATE caption_tasks SET status = 'running', progress_percent = $1, \
             current_step = $2, alive = $3 WHERE id = $4 AND status IN ('queued', 'running')",
        );
        let row = row.bind(percent).bind(step).bind(now()).bind(id);
        Ok(row.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Says that somebody still works on these.
    pub(crate) async fn keep_task(&self, id: &str) -> Result<(), DataError> {
        let row = sqlx::query("UPDATE caption_tasks SET alive = $1 WHERE id = $2");
        row.bind(now()).bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// Ends a task; false if it was over already.
    pub(crate) async fn end_task(
        &self,
        id: &str,
        status: TaskStatus,
        step: &str,
    ) -> Result<bool, DataError> {
        let row = sqlx::query(
            "UPDATE caption_tasks SET status = $1, current_step = $2, finished = $3, \
             progress_percent = CASE WHEN $1 = 'completed' THEN 100 ELSE progress_percent END \
             WHERE id = $4 AND status IN ('queued', 'running')",
        );
        let row = row.bind(status.name()).bind(step).bind(now()).bind(id);
        Ok(row.execute(&self.pool).await?.rows_affected() > 0)
    }

    pub(crate) async fn add_result(
        &self,
        user: &str,
        task: &str,
        result: &TaskResult,
    ) -> Result<(), DataError> {
        let row = sqlx::query(
            "INSERT INTO caption_results (task_id, place, user_id, file_name, digest, caption, \
             problem, about, thumbnail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let row = row.bind(task).bind(result.place).bind(user).bind(&result.file_name);
        let row = row.bind(&result.digest).bind(&result.caption).bind(&result.problem);
        row.bind(&result.about).bind(&result.thumbnail).execute(&self.pool).await?;
        Ok(())
    }

    /// Of a task of the user's, in the order of its pictures; thumbnails are large, so only if
    /// asked for.
    pub(crate) async fn results_of(
        &self,
        user: &str,
        task: &str,
        thumbnails: bool,
    ) -> Result<Vec<TaskResult>, DataError> {
        let rows = if thumbnails {
            sqlx::query(
                "SELECT place, file_name, digest, caption, problem, about, thumbnail \
                 FROM caption_results WHERE task_id = $1 AND user_id = $2 ORDER BY place",
            )
        } else {
            sqlx::query(
                "SELECT place, file_name, digest, caption, problem, about, NULL AS thumbnail \
                 FROM caption_results WHERE task_id = $1 AND user_id = $2 ORDER BY place",
            )
        };
        rows.bind(task).bind(user).fetch_all(&self.pool).await?.iter().map(result).collect()
    }

    /// The latest caption that a user got for this very picture.
    pub(crate) async fn caption_of(
        &self,
        user: &str,
        digest: &str,
    ) -> Result<Option<String>, DataError> {
        let row = sqlx::query(
            "SELECT r.caption FROM caption_results r JOIN caption_tasks t ON t.id = r.task_id \
             WHERE r.user_id = $1 AND r.digest = $2 AND r.caption IS NOT NULL \
             ORDER BY t.created DESC, r.task_id LIMIT 1",
        );
        let row = row.bind(user).bind(digest).fetch_optional(&self.pool).await?;
        row.map(|row| Ok(row.try_get("caption")?)).transpose()
    }

    /// A server that died takes its pictures along; whoever started them may start anew.
    pub(crate) async fn fail_lost_tasks(&self) -> Result<u64, DataError> {
        let rows = sqlx::query(
            "UPDATE caption_tasks SET status = 'failed', finished = $1, \
             current_step = 'The server that worked on it has stopped. Please start again.' \
             WHERE status IN ('queued', 'running') AND alive < $2",
        );
        let (now, lost) = (now(), now() - LOST_AFTER_MS);
        Ok(rows.bind(now).bind(lost).execute(&self.pool).await?.rows_affected())
    }
}

fn task(row: &AnyRow) -> Result<Task, DataError> {
    Ok(Task {
        id: row.try_get("id")?,
        status: TaskStatus::named(&row.try_get::<String, _>("status")?),
        progress_percent: row.try_get("progress_percent")?,
        current_step: row.try_get("current_step")?,
        pictures: row.try_get("pictures")?,
        platform_id: row.try_get("platform_id")?,
        platform_name: row.try_get("platform_name")?,
        created: row.try_get("created")?,
        finished: row.try_get("finished")?,
    })
}

fn result(row: &AnyRow) -> Result<TaskResult, DataError> {
    Ok(TaskResult {
        place: row.try_get("place")?,
        file_name: row.try_get("file_name")?,
        digest: row.try_get("digest")?,
        caption: row.try_get("caption")?,
        problem: row.try_get("problem")?,
        about: row.try_get("about")?,
        thumbnail: row.try_get("thumbnail")?,
    })
}
