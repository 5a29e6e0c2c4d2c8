//! Session API: endpoints for pages and their scripts, as a service for any router. Who is signed
//! in and until when, a heartbeat, the list of devices, and an event stream for other tabs.
//!
//! | request | response |
//! |---|---|
//! | `GET state` | who is signed in, since when, until when; 200 without a session too |
//! | `POST validate` | checks with the store: 200, or 401 with the reason |
//! | `POST heartbeat` | counts as activity; the new end |
//! | `GET sessions` | every session of the user |
//! | `GET sessions?limit=50&after=..` | a page of them, and the cursor of the next one as `next` |
//! | `DELETE sessions/{id}`, `POST sessions/{id}/revoke` | ends one of them |
//! | `POST sessions/revoke-others` | ends all but this one |
//! | `POST logout`, `POST logout-everywhere` | ends this one, or all |
//! | `POST end-impersonation` | back to the user who signed in: `ended`, `session` |
//! | `GET events` | server-sent events: `state` at each change, `ended` when this id ends |
//!
//! Only a heartbeat and requests that change something are activity: a page that polls the state
//! keeps no session alive.
//!
//! `state`, and `session` of the others, has these fields; events have the first five of them:
//!
//! | field | type |
//! |---|---|
//! | `signed_in` | whether there is a user; `false` without a session, which only adds a `reason` |
//! | `id` | the public id |
//! | `user_id` | the user as the application sees it, or null |
//! | `impersonator_id` | the [impersonator](crate::SessionContext::impersonate) of `user_id`, or null |
//! | `platform_id` | the active platform, or null |
//! | `created_at`, `last_activity`, `expires_at` | times |
//! | `expires_in` | seconds until `expires_at` |
//! | `authenticated_at` | a time, or null: also during an impersonation |
//!
//! Each of `sessions` has the fields of [`SessionInfo`](crate::context::SessionInfo), with
//! `acting_as` for the user that its owner acts as at present.
//!
//! The end of an impersonation gives the session another id, which invalidates the CSRF tokens of
//! open pages: reload them.
//!
//! All responses are JSON with public ids and no secret, and must not be cached. Times are RFC
//! 3339. A store outage is a 503 with `Retry-After` and never looks like "signed out". Only the end
//! of the path counts, so the service can be nested anywhere below the session layer:
//!
//! ```
//! use http::{Request, StatusCode};
//! use tower::{Layer, ServiceExt};
//! use tower_redis_session::{MemoryStore, RedisSessionLayer, session_api::SessionApi};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
//! let api = sessions.layer(SessionApi::new());
//! let response = api.oneshot(Request::get("/api/session/state").body(())?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! # Ok(())
//! # }
//! ```
//!
//! # Deployment caveat
//!
//! Put a [`CsrfLayer`](crate::csrf::CsrfLayer) in front of it, as of all endpoints that change
//! state. The service accepts requests that this layer has accepted. Without one it rejects changes
//! that come from another origin by `Sec-Fetch-Site` or else by `Origin`, sibling hosts of the same
//! site too; where the token comes in a header, only `Sec-Fetch-Site: cross-site`. When a session
//! gets a new id, by a sign-in, a renewal or an impersonation in another tab, streams of the old id
//! end with `ended` and the reason `moved`; a browser's `EventSource` reconnects by itself with the
//! new cookie after 5 s, and receives the current state. Streams are limited [per
//! session](SessionApi::streams_per_session) and [per user](SessionApi::streams_per_user); one more
//! receives `unavailable` and a time to retry. A graceful shutdown of the server waits for open
//! streams: call [`end_streams`](SessionApi::end_streams) before it.

// | file | holds |
// |---|---|
// | `service` | `SessionApi`: the service and its settings |
// | `route` | which request goes to which endpoint |
// | `query` | the page of a request, and its user |
// | `endpoints` | the response to each |
// | `answers` | responses of JSON endpoints |
// | `snapshot_json` | a session and a list of sessions as JSON |
// | `stream` | server-sent events |
// | `places` | limits of streams, in all and for each client |
// | `body` | `SessionApiBody`: a text, or the stream |

pub(crate) mod answers;
mod body;
mod endpoints;
mod places;
pub(crate) mod query;
mod route;
mod service;
mod snapshot_json;
mod stream;

pub use crate::session_api::body::SessionApiBody;
pub use crate::session_api::service::{SessionApi, SessionApiFuture};
