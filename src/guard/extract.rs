//! axum extractors of the session and of the guards.

use std::fmt;

use axum_core::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header::CACHE_CONTROL, request::Parts};

use crate::{
    context::SessionContext,
    error::Error,
    guard::{
        denied::{Denied, DeniedKind},
        deny_with::told_as_json,
        service::no_layer,
    },
    telemetry::instruments::rejected,
};

/// The signed-in user, as an argument of an axum handler; without one the handler is not called and
/// the response is that of [`DenyWith`](crate::guard::DenyWith) in JSON.
///
/// ```
/// use axum::{Router, body::Body, routing::get};
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
/// use tower_redis_session::{MemoryStore, RedisSessionLayer, guard::SignedIn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// async fn account(SignedIn { user, .. }: SignedIn) -> String {
///     format!("the account of {user}")
/// }
///
/// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
/// let app: Router = Router::new().route("/account", get(account)).layer(layer);
/// let response = app.oneshot(Request::get("/account").body(Body::empty())?).await?;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedIn {
    /// The session.
    pub session: SessionContext,
    /// The user's id.
    pub user: String,
}

/// The signed-in user and the active platform, as an argument of an axum handler; otherwise as
/// [`SignedIn`].
///
/// ```
/// use tower_redis_session::guard::OnPlatform;
///
/// async fn captions(OnPlatform { user, platform, .. }: OnPlatform) -> String {
///     format!("the captions of {user} on {platform}")
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(captions));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnPlatform {
    /// The session.
    pub session: SessionContext,
    /// The user's id.
    pub user: String,
    /// The platform's id.
    pub platform: String,
}

/// Why an extractor rejected the request.
///
/// ```
/// use tower_redis_session::guard::{DeniedKind, Rejection, SignedIn};
///
/// async fn greeting(visitor: Result<SignedIn, Rejection>) -> Result<String, Rejection> {
///     match visitor {
///         Ok(SignedIn { user, .. }) => Ok(format!("hello, {user}")),
///         Err(rejection) if rejection.denied().kind() == DeniedKind::Unauthenticated => {
///             Ok("hello, stranger".to_owned())
///         }
///         Err(rejection) => Err(rejection),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(greeting));
/// ```
#[derive(Clone)]
pub struct Rejection {
    denied: Denied,
    session: Option<SessionContext>,
}

impl Rejection {
    /// The condition that the request does not meet.
    ///
    /// ```
    /// # use tower_redis_session::guard::Rejection;
    /// fn is_an_outage(rejection: &Rejection) -> bool {
    ///     rejection.denied().status() == 503
    /// }
    /// ```
    #[must_use]
    pub const fn denied(&self) -> &Denied {
        &self.denied
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.denied.fmt(f)
    }
}

impl std::error::Error for Rejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.denied.source()
    }
}

impl<S: Sync> FromRequestParts<S> for SessionContext {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let session = parts.extensions.get::<Self>().cloned();
        session.ok_or_else(|| Rejection { denied: no_layer(), session: None })
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let session = SessionContext::from_request_parts(parts, state).await?;
        match session.signed_in().await {
            Ok(user) => Ok(Self { session, user }),
            Err(error) => Err(Rejection { denied: Denied::from(error), session: Some(session) }),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for OnPlatform {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let SignedIn { session, user } = SignedIn::from_request_parts(parts, state).await?;
        let denied = match session.platform_id().await {
            Ok(Some(platform)) => return Ok(Self { session, user, platform }),
            Ok(None) => Denied::new(DeniedKind::NoPlatform),
            Err(error) => Denied::from(error),
        };
        Err(Rejection { denied, session: Some(session) })
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        rejected("guard", self.denied.code());
        let mut response = told_as_json(&self.denied, self.session.as_ref()).map(Body::from);
        let no_store = HeaderValue::from_static("no-store");
        let _ = response.headers_mut().insert(CACHE_CONTROL, no_store);
        response
    }
}

/// Responds with the error's [status](Error::status), `Retry-After` where there is one, and no
/// body.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.response()
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection").field("denied", &self.denied).finish_non_exhaustive()
    }
}
