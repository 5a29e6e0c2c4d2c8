//! The main page: a picture in, its caption out.

use std::{sync::Arc, time::Duration};

use http::{StatusCode, request::Parts};
use image::GenericImageView as _;
use minijinja::{Value, context, value::Serde};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    accounts::Platform,
    failure::Failure,
    picture::Picture,
    reply::{self, Answer},
    routes::{App, Body},
    sign_in::Visitor,
    upload::{self, Upload},
};

/// The name in the session under which the latest captions are kept.
const RECENT: &str = "recent_captions";
/// A session is read whole at each request, so it holds a handful and no history.
const RECENT_KEPT: usize = 5;
const QUEUE_PATIENCE: Duration = Duration::from_secs(10);

/// A caption that was made, as the session remembers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Recent {
    file_name: String,
    caption: String,
}

/// A caption just made.
#[derive(Debug, Serialize)]
struct Captioned {
    success: bool,
    file_name: String,
    caption: String,
    length: usize,
    format: &'static str,
    width: u32,
    height: u32,
    source: String,
    /// For the page only; a program has the picture already.
    #[serde(skip)]
    thumbnail: Option<String>,
}

/// `GET /caption_generation`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let Some(platform) = active_platform(&visitor).await? else {
        return Ok(reply::see_other("/platforms"));
    };
    let recent = visitor.session.get(RECENT).await?.unwrap_or_default();
    show(app, &visitor, platform, StatusCode::OK, &Outcome { recent, ..Outcome::default() })
}

/// `POST /start_caption_generation`
pub(crate) async fn start(app: &App, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let visitor = Visitor::of(app, parts).await?;
    let json = reply::wants_json(&parts.headers);
    let Some(platform) = active_platform(&visitor).await? else {
        if json {
            return Err(Failure::Bad("Choose a platform first."));
        }
        return Ok(reply::see_other("/platforms"));
    };
    match captioned(app, parts, body).await {
        Ok(done) => {
            let recent = remember(&visitor, &done).await?;
            if json {
                return Ok(reply::json(StatusCode::OK, &done));
            }
            let outcome = Outcome { recent, done: Some(done), problem: None };
            show(app, &visitor, platform, StatusCode::OK, &outcome)
        }
        Err(failure) if !json && failure.belongs_beside_the_form() => {
            let recent = visitor.session.get(RECENT).await?.unwrap_or_default();
            let outcome = Outcome { recent, done: None, problem: Some(failure.to_string()) };
            show(app, &visitor, platform, failure.status(), &outcome)
        }
        Err(failure) => Err(failure),
    }
}

async fn captioned(app: &App, parts: &Parts, body: Body) -> Result<Captioned, Failure> {
    let slot = queue(&app.uploads).await?;
    let Upload { file_name, bytes } = upload::receive(&parts.headers, body).await?;
    drop(slot);
    let _slot = queue(&app.pictures).await?;
    let prepare = move || {
        let picture = Picture::decode(&bytes)?;
        let thumbnail = picture.thumbnail().ok();
        Ok::<_, Failure>((picture, thumbnail))
    };
    let (picture, thumbnail) = spawn_blocking(prepare).await.map_err(|_| Failure::Internal)??;
    let (width, height) = picture.image().dimensions();
    let format = picture.format().name();
    let caption = app.captioner.caption(Arc::new(picture), &app.settings).await?;
    Ok(Captioned {
        success: true,
        file_name,
        length: caption.chars().count(),
        caption,
        format,
        width,
        height,
        source: app.captioner.source(),
        thumbnail,
    })
}

async fn queue(slots: &Semaphore) -> Result<SemaphorePermit<'_>, Failure> {
    let slot = timeout(QUEUE_PATIENCE, slots.acquire()).await;
    // Never closed, so the inner error does not occur.
    slot.map_err(|_| Failure::Busy)?.map_err(|_| Failure::Busy)
}

/// The platform in the session, as long as it is still one of the user's.
async fn active_platform<'a>(visitor: &Visitor<'a>) -> Result<Option<&'a Platform>, Failure> {
    let id = visitor.session.platform_id().await?;
    Ok(id.and_then(|id| visitor.user.platform(&id)))
}

/// Puts the caption in front of the others. `update` is atomic, so of two uploads in two tabs
/// neither is forgotten.
async fn remember(visitor: &Visitor<'_>, done: &Captioned) -> Result<Vec<Recent>, Failure> {
    let new = Recent { file_name: done.file_name.clone(), caption: done.caption.clone() };
    let recent = visitor
        .session
        .update(RECENT, |old: Option<Vec<Recent>>| {
            let old = old.unwrap_or_default().into_iter();
            std::iter::once(new.clone()).chain(old).take(RECENT_KEPT).collect()
        })
        .await?;
    Ok(recent)
}

/// What the page tells besides the form.
#[derive(Debug, Default)]
struct Outcome {
    recent: Vec<Recent>,
    done: Option<Captioned>,
    problem: Option<String>,
}

fn show(
    app: &App,
    visitor: &Visitor<'_>,
    platform: &Platform,
    status: StatusCode,
    outcome: &Outcome,
) -> Result<Answer, Failure> {
    // The newest stands above as the result already.
    let recent = outcome.recent.iter().skip(usize::from(outcome.done.is_some()));
    let page = app.pages.render(
        "captions.html",
        context! {
            title => "Captions",
            user => visitor.user.display_name,
            platform => Serde(platform),
            settings => Serde(&app.settings),
            limit_megabytes => upload::MAX_PICTURE / (1024 * 1024),
            problem => outcome.problem.as_deref(),
            done => Serde(&outcome.done),
            thumbnail => outcome.done.as_ref().and_then(|done| done.thumbnail.as_deref()),
            recent => recent.map(|item| Value::from(Serde(item))).collect::<Vec<_>>(),
        },
    )?;
    Ok(reply::html(status, page))
}
