//! One caption task: its page, its state for programs, its progress as a stream, its end.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{StatusCode, request::Parts};
use minijinja::{Value, context, value::Serde};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tower_redis_session::SessionContext;

use crate::{
    app::App,
    data::{
        Data,
        tasks::{Task, TaskResult},
    },
    failure::Failure,
    pages::visitor::Visitor,
    web::reply::{self, Answer},
};

/// How often a stream looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often it asks whether the session is still good.
const SESSION_INTERVAL: Duration = Duration::from_secs(2);
/// Then a browser comes back by itself.
const STREAM_LIFE: Duration = Duration::from_secs(300);

/// A task as programs see it.
#[derive(Serialize)]
struct State<'a> {
    success: bool,
    #[serde(flatten)]
    task: &'a Task,
    results: &'a [TaskResult],
}

/// `GET /caption_tasks/{id}`
pub(crate) async fn page(app: &App, parts: &Parts, id: &str) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let task = found(&app.data, &visitor.user.id, id).await?;
    let over = task.status.is_over();
    let results = app.data.results_of(&visitor.user.id, id, true).await?;
    let results: Vec<_> = results
        .iter()
        .map(|result| {
            context! { thumbnail => result.thumbnail.as_deref(), ..Value::from(Serde(result)) }
        })
        .collect();
    let source = app.tasks.source();
    let task = Value::from(Serde(&task));
    let values = context! { title => "Caption task", task, over, results, source };
    Ok(reply::html(StatusCode::OK, app.pages.render("task.html", &visitor, values)?))
}

/// `GET /api/caption_tasks`: the last five.
pub(crate) async fn list(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    #[derive(Serialize)]
    struct List {
        success: bool,
        tasks: Vec<Task>,
    }
    let visitor = Visitor::of(app, parts).await?;
    let tasks = app.data.tasks_of(&visitor.user.id, 5).await?;
    Ok(reply::json(StatusCode::OK, &List { success: true, tasks }))
}

/// `GET /api/caption_tasks/{id}` and `/results`
pub(crate) async fn state(app: &App, parts: &Parts, id: &str) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let task = found(&app.data, &visitor.user.id, id).await?;
    let results = app.data.results_of(&visitor.user.id, id, false).await?;
    Ok(reply::json(StatusCode::OK, &State { success: true, task: &task, results: &results }))
}

/// `POST /caption_tasks/{id}/cancel` and the same below `/api`
pub(crate) async fn cancel(app: &App, parts: &Parts, id: &str) -> Result<Answer, Failure> {
    #[derive(Serialize)]
    struct Cancelled {
        success: bool,
        /// False for a task that was over already.
        cancelled: bool,
    }
    let visitor = Visitor::of(app, parts).await?;
    let _ = found(&app.data, &visitor.user.id, id).await?;
    let cancelled = app.tasks.cancel(&visitor.user.id, id).await?;
    if reply::wants_json(parts) {
        return Ok(reply::json(StatusCode::OK, &Cancelled { success: true, cancelled }));
    }
    Ok(reply::see_other(&format!("/caption_tasks/{id}")))
}

/// `GET /api/caption_tasks/{id}/events`: the state, whenever it changes, until the task is over or
/// the session ends.
pub(crate) async fn events(app: &App, parts: &Parts, id: &str) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let _ = found(&app.data, &visitor.user.id, id).await?;
    // To listen is no activity.
    visitor.session.mark_passive();
    let place = app.streams.clone().try_acquire_owned().map_err(|_| Failure::Busy)?;
    let watch = Watch {
        data: app.data.clone(),
        user: visitor.user.id,
        task: id.to_owned(),
        session: visitor.session,
        ends: Instant::now() + STREAM_LIFE,
        asked: Instant::now(),
        last: None,
    };
    let ending = app.ending.clone().cancelled_owned();
    let events = stream::unfold((watch, place), |(mut watch, place)| async {
        Some((watch.next().await?, (watch, place)))
    });
    Ok(reply::events(futures_util::StreamExt::take_until(events, ending)))
}

struct Watch {
    data: Data,
    user: String,
    task: String,
    session: SessionContext,
    ends: Instant,
    asked: Instant,
    last: Option<Task>,
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        let is_over = |task: &Task| task.status.is_over();
        while !self.last.as_ref().is_some_and(is_over) && Instant::now() < self.ends {
            if self.asked.elapsed() >= SESSION_INTERVAL {
                self.asked = Instant::now();
                match self.session.validate().await {
                    // Nobody knows just now: a stream that listens does no harm.
                    Err(error) if error.status() == StatusCode::SERVICE_UNAVAILABLE => {}
                    Err(_) => return None,
                    Ok(()) => {}
                }
            }
            // A database that is away for a moment is asked again.
            if let Ok(Some(event)) = self.look().await {
                return Some(event);
            }
            sleep(INTERVAL).await;
        }
        None
    }

    /// The task, if it has moved.
    async fn look(&mut self) -> Result<Option<Bytes>, Failure> {
        let task = found(&self.data, &self.user, &self.task).await?;
        if self.last.as_ref() == Some(&task) {
            return Ok(None);
        }
        let results = self.data.results_of(&self.user, &self.task, false).await?;
        let state = State { success: true, task: &task, results: &results };
        let state = serde_json::to_string(&state).map_err(|_| Failure::Internal)?;
        self.last = Some(task);
        Ok(Some(format!("event: task\ndata: {state}\n\n").into()))
    }
}

/// Somebody else's task and one that does not exist get the same answer.
async fn found(data: &Data, user: &str, id: &str) -> Result<Task, Failure> {
    let task = data.task(user, id).await?;
    task.ok_or(Failure::NotFound("You have no such caption task."))
}
