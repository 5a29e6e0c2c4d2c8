//! The task that notices a switch, however quiet the connections to the old primary are.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use futures_core::Stream as _;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{
    error::{Causes, Error, ErrorKind},
    store::redis::client::sentinel::{
        line::{Line, Sentinel},
        question::{Group, silence},
    },
};

/// Interval of the questions: the longest time for which an old primary is used if announcements
/// are lost.
const INTERVAL: Duration = Duration::from_secs(1);
/// Pause after a look at all sentinels: announcements in between share one.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one subscription lasts: one that is silent because its connection is lost, and no
/// packet has reported it, is replaced.
const SUBSCRIPTION: Duration = Duration::from_secs(60);

/// Runs until it is aborted.
pub(super) async fn watch(group: Arc<Group>) {
    let announced = Notify::new();
    let _ = tokio::join!(subscribe(&group, &announced), poll(&group, &announced));
}

/// Queries one sentinel, each time another, and all of them once a primary other than the one in
/// use is named or announced.
async fn poll(group: &Arc<Group>, announced: &Notify) {
    let mut lines: Vec<(&Sentinel, Option<Line>)> =
        group.sentinels.iter().map(|sentinel| (sentinel, None)).collect();
    let mut are_silent = false;
    loop {
        let is_announced = timeout(INTERVAL, announced.notified()).await.is_ok();
        if !is_announced {
            let silent = match confirm(group, &mut lines).await {
                Ok(true) => None,
                Ok(false) => {
                    look(group).await;
                    None
                }
                Err(error) => Some(error),
            };
            note(&mut are_silent, silent.as_ref());
            continue;
        }
        look(group).await;
        sleep(PAUSE).await;
    }
}

/// Whether the next sentinel that replies names the primary in use.
async fn confirm(group: &Group, lines: &mut [(&Sentinel, Option<Line>)]) -> Result<bool, Error> {
    let mut failed = Vec::new();
    for _ in 0..lines.len() {
        lines.rotate_left(1);
        let Some((sentinel, line)) = lines.first_mut() else { break };
        match group.ask_over(sentinel, line).await {
            Ok(report) => return Ok(group.known.is_confirmed_by(&report)),
            Err(error) => failed.push(error),
        }
    }
    Err(silence(failed))
}

/// Takes the primary that all sentinels together name.
async fn look(group: &Arc<Group>) {
    let replies = group.ask_again().await;
    if let Some(newest) = &replies.choice.newest {
        let _ = group.known.settle(newest, replies.name(newest));
    }
}

/// One line a state.
fn note(are_silent: &mut bool, silent: Option<&Error>) {
    match silent {
        Some(error) if !std::mem::replace(are_silent, true) => {
            let error = Causes(error);
            tracing::warn!(%error, "redis sentinels unavailable: connections to the primary remain");
        }
        None if std::mem::replace(are_silent, false) => {
            tracing::info!("redis sentinels available: switches are noticed again");
        }
        _ => {}
    }
}

/// Wakes the other half when a sentinel announces a switch, and at the start of each subscription.
async fn subscribe(group: &Group, announced: &Notify) {
    let mut is_refused = false;
    for sentinel in group.sentinels.iter().cycle() {
        match timeout(group.limit, sentinel.announcements()).await {
            Ok(Ok(mut announcements)) => {
                is_refused = false;
                let heard = async {
                    loop {
                        announced.notify_one();
                        let next =
                            poll_fn(|context| Pin::new(&mut announcements).poll_next(context));
                        if next.await.is_none() {
                            return;
                        }
                    }
                };
                if timeout(SUBSCRIPTION, heard).await.is_err() {
                    continue;
                }
            }
            Ok(Err(error)) if error.kind() == ErrorKind::Misconfigured => {
                if !std::mem::replace(&mut is_refused, true) {
                    let error = Causes(&error);
                    tracing::warn!(%error, "redis sentinel rejects a subscription: switches are noticed within seconds");
                }
            }
            Ok(Err(_)) | Err(_) => {}
        }
        sleep(INTERVAL).await;
    }
}
