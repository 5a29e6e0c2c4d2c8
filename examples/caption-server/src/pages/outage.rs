//! The guided outage: buttons that break the demonstration's Redis, and what the session store
//! makes of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{StatusCode, request::Parts};
use minijinja::{context, value::Serde};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    app::App,
    failure::Failure,
    pages::visitor::{Visitor, notice, session},
    sessions::outage::Outage,
    web::reply::{self, Answer},
};

const INTERVAL: Duration = Duration::from_millis(500);

/// `GET /outage`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let outage = found(app)?;
    let visitor = Visitor::of(app, parts).await?;
    let shown = shown(app, outage).await;
    let values = context! { title => "Outage", shown => Serde(&shown) };
    Ok(reply::html(StatusCode::OK, app.pages.render("outage.html", &visitor, values)?))
}

/// `POST /outage/{deed}`
pub(crate) async fn act(app: &App, parts: &Parts, deed: &str) -> Result<Answer, Failure> {
    let outage = found(app)?;
    let (done, text) = match deed {
        "kill" => (outage.kill().await, "Redis was killed."),
        "hang" => (outage.hang().await, "Redis hangs: it listens, and does not respond."),
        "resume" => (outage.resume().await, "Redis continues with its data."),
        "restart" => (outage.restart().await, "A new, empty Redis was started."),
        _ => return Err(Failure::NotFound("There is no page at this address.")),
    };
    done.map_err(|error| {
        tracing::error!(%error, deed, "demonstration failed");
        Failure::Internal
    })?;
    // With Redis just gone this very write shows that the session does not need it.
    notice(parts, text).await?;
    Ok(reply::see_other("/outage"))
}

/// `GET /outage/events`
pub(crate) fn events(app: &Arc<App>, parts: &Parts) -> Result<Answer, Failure> {
    let _ = found(app)?;
    let session = session(parts)?;
    // To listen is no activity.
    session.mark_passive();
    let place = app.streams.clone().try_acquire_owned().map_err(|_| Failure::Busy)?;
    let (ending, app) = (app.ending.clone().cancelled_owned(), app.clone());
    let state = (app, session, place, 0_u32);
    let events = stream::unfold(state, |(app, session, place, count)| async move {
        if count > 0 {
            sleep(INTERVAL).await;
        }
        if count % 4 == 3 && session.validate().await.is_err_and(|e| e.status() != 503) {
            return None;
        }
        let outage = app.outage.as_ref()?;
        let event = Bytes::from(format!("event: status\ndata: {}\n\n", shown(&app, outage).await));
        Some((event, (app, session, place, count + 1)))
    });
    Ok(reply::events(events.take(600).take_until(ending)))
}

/// The process and what the session store thinks of it.
async fn shown(app: &App, outage: &Outage) -> Value {
    let report =
        serde_json::from_str(&app.sessions.admin().report().to_json()).unwrap_or(Value::Null);
    json!({ "process": outage.state().await, "report": report })
}

fn found(app: &App) -> Result<&Outage, Failure> {
    let without = Failure::NotFound("The server was started without --demo-outage.");
    app.outage.as_ref().ok_or(without)
}
