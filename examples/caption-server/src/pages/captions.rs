//! The main page: pictures in, their captions out.

use std::time::Duration;

use http::{StatusCode, request::Parts};
use minijinja::{Value, context, value::Serde};
use serde::Serialize;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tower_redis_session::directory::{Directory as _, DirectoryPart, PlatformInfo};

use crate::{
    app::App,
    captions::settings::{Rejected, Settings, SettingsPatch},
    data::tasks::{Started, Task},
    failure::Failure,
    pages::visitor::Visitor,
    web::{
        Body,
        reply::{self, Answer},
        upload,
    },
};

const QUEUE_PATIENCE: Duration = Duration::from_secs(10);
/// Tasks on the page.
const LATEST: i64 = 5;

/// The answer to a start.
#[derive(Serialize)]
struct StartedAnswer {
    success: bool,
    task_id: String,
    message: &'static str,
    redirect_url: String,
}

/// `GET /caption_generation`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let settings = settings_of(&visitor).await?;
    show(&visitor, &settings, &Rejected::default()).await
}

/// `POST /start_caption_generation`
pub(crate) async fn start(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let json = reply::wants_json(parts);
    match started(&visitor, parts, body).await {
        Ok(Started::Queued(task)) => {
            let redirect_url = format!("/caption_tasks/{}", task.id);
            if !json {
                return Ok(reply::see_other(&redirect_url));
            }
            let message = "The captions are on their way.";
            let answer = StartedAnswer { success: true, task_id: task.id, message, redirect_url };
            Ok(reply::json(StatusCode::OK, &answer))
        }
        Ok(Started::Active(task)) => Err(Failure::AlreadyActive(task.map(|task| task.id))),
        Err(Failure::Rejected(rejected)) if !json => {
            show(&visitor, &settings_of(&visitor).await?, &rejected).await
        }
        Err(failure) => Err(failure),
    }
}

async fn started(visitor: &Visitor<'_>, parts: &Parts, body: Body) -> Result<Started, Failure> {
    let app = visitor.app;
    let (slot, platform, verified) = match admitted(visitor, parts).await {
        Ok(admitted) => admitted,
        Err(failure) => {
            upload::discard(&parts.headers, body).await;
            return Err(failure);
        }
    };
    let upload = upload::receive(&parts.headers, body, &visitor.session, verified).await?;
    drop(slot);
    if upload.fields.get("platform_id").is_some_and(|shown| shown != platform.id) {
        let sentence = "has changed in another tab; please look and send it again";
        return Err(Failure::Rejected(Rejected::one("platform_id", sentence)));
    }
    let patch = SettingsPatch::of_form(&upload.fields);
    let settings = patch.applied_to(settings_of(visitor).await?)?;
    if upload.fields.get("save_settings").is_some() {
        let user = &*visitor.user.id;
        let saved = app.data.change_settings(user, &patch);
        let _ = app.people.change(user, DirectoryPart::Settings, saved).await??;
    }
    app.tasks.start(&visitor.user.id, platform, upload, settings).await
}

/// What can be said before the pictures are there.
async fn admitted<'a>(
    visitor: &'a Visitor<'_>,
    parts: &Parts,
) -> Result<(SemaphorePermit<'a>, &'a PlatformInfo, bool), Failure> {
    let platform = visitor.platform.as_ref().ok_or_else(Failure::no_platform)?;
    let verified = match parts.headers.get("x-csrf-token") {
        Some(token) => visitor.session.verify_csrf(token).await.map(|()| true)?,
        None => false,
    };
    if let Some(task) = visitor.app.data.active_task(&visitor.user.id).await? {
        return Err(Failure::AlreadyActive(Some(task.id)));
    }
    Ok((queue(&visitor.app.uploads).await?, platform, verified))
}

async fn queue(slots: &Semaphore) -> Result<SemaphorePermit<'_>, Failure> {
    let slot = timeout(QUEUE_PATIENCE, slots.acquire()).await;
    // Never closed, so the inner error does not occur.
    slot.map_err(|_| Failure::Busy)?.map_err(|_| Failure::Busy)
}

/// What the user has saved, else the defaults.
pub(crate) async fn settings_of(visitor: &Visitor<'_>) -> Result<Settings, Failure> {
    Ok(visitor.app.people.settings(&visitor.user.id).await?.unwrap_or_default())
}

async fn show(
    visitor: &Visitor<'_>,
    settings: &Settings,
    rejected: &Rejected,
) -> Result<Answer, Failure> {
    let (app, user) = (visitor.app, &visitor.user.id);
    let Some(platform) = &visitor.platform else { return Ok(reply::see_other("/platforms")) };
    let latest = app.data.tasks_of(user, LATEST).await?;
    let active = latest.iter().find(|task| !task.status.is_over());
    let values = context! {
        title => "Captions",
        platform => Serde(platform),
        settings => Serde(settings),
        source => app.tasks.source(),
        active => active.map(|task| Value::from(Serde(task))),
        latest => rows(&latest),
        problems => Serde(rejected),
    };
    let page = app.pages.render("captions.html", visitor, values)?;
    let bad = !rejected.0.is_empty();
    Ok(reply::html(if bad { StatusCode::BAD_REQUEST } else { StatusCode::OK }, page))
}

pub(crate) fn rows(tasks: &[Task]) -> Vec<Value> {
    tasks.iter().map(|task| Value::from(Serde(task))).collect()
}
