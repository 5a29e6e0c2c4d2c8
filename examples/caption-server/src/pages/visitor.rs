//! Who is signed in, with which platform.

use http::{Method, request::Parts};
use tower_redis_session::{
    SessionContext,
    csrf::CsrfToken,
    directory::{Directory as _, PlatformInfo, UserInfo, active_platform},
};

use crate::{app::App, failure::Failure, pages::templates::Frame};

/// Somebody who is signed in, with their session.
pub(crate) struct Visitor<'a> {
    pub(crate) app: &'a App,
    pub(crate) session: SessionContext,
    pub(crate) user: UserInfo,
    /// In the order in which they were added.
    pub(crate) platforms: Vec<PlatformInfo>,
    /// The session's, else the user's default, else the first.
    pub(crate) platform: Option<PlatformInfo>,
    chosen: Option<String>,
    csrf: CsrfToken,
    notice: Option<String>,
}

/// The name in the session of what the next page has to tell.
const NOTICE: &str = "notice";

impl<'a> Visitor<'a> {
    /// The visitor, or the failure that leads to the sign-in form. A store that cannot be reached
    /// is a third thing: it must not look as if nobody were signed in.
    pub(crate) async fn of(app: &'a App, parts: &Parts) -> Result<Self, Failure> {
        let session = session(parts)?;
        let id = session.user_id().await?.ok_or_else(Failure::sign_in_first)?;
        let Some(user) = session.user_info(&app.people).await? else {
            // Deactivated or deleted since.
            session.logout().await?;
            return Err(Failure::sign_in_first());
        };
        let platforms = app.people.platforms(&id).await?;
        let chosen = session.platform_id().await?;
        let platform = active_platform(&platforms, chosen.as_deref()).cloned();
        let csrf = session.csrf_token().await?;
        let mut notice = None;
        if parts.method == Method::GET && !parts.uri.path().starts_with("/api/") {
            notice = session.get(NOTICE).await?;
            if notice.is_some() {
                let _ = session.remove(NOTICE).await?;
            }
        }
        Ok(Self { app, session, user, platforms, platform, chosen, csrf, notice })
    }

    /// One of the user's platforms; somebody else's is not found.
    pub(crate) fn platform(&self, id: &str) -> Result<&PlatformInfo, Failure> {
        let own = self.platforms.iter().find(|own| own.id == id);
        own.ok_or(Failure::NotFound("You have no such platform."))
    }

    pub(crate) fn frame(&self) -> Frame {
        Frame {
            user: Some(self.user.username.clone()),
            user_id: Some(self.user.id.clone()),
            chosen: self.chosen.clone(),
            admin: self.user.role == "admin",
            csrf: self.csrf.to_string(),
            outage: self.user.role == "admin" && self.app.outage.is_some(),
            notice: self.notice.clone(),
        }
    }
}

pub(crate) fn session(parts: &Parts) -> Result<SessionContext, Failure> {
    parts.extensions.get::<SessionContext>().cloned().ok_or(Failure::Internal)
}

/// Has the next page tell what was done.
pub(crate) async fn notice(parts: &Parts, text: &str) -> Result<(), Failure> {
    Ok(session(parts)?.insert(NOTICE, &text).await?)
}
