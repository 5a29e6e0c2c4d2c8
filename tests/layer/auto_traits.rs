//! What can be sent to another thread and shared with it: every public type, by the listing of the
//! public API (C-SEND-SYNC of the API guidelines).
//!
//! To see these fail: put an `Rc` or a `Cell` into any of them; add a type and bless the listing.

use std::{convert::Infallible, future::Ready, sync::Arc};

use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower_redis_session::{
    ConfigError, CookieConfig, DatabaseConfig, DatabaseStore, DurableStore, DurableStoreBuilder,
    EnvConfig, Error, ErrorKind, Key, MemoryStore, RedisConfig, RedisSessionLayer,
    RedisSessionLayerBuilder, RedisStore, SameSite, SessionContext, SessionExpiry, SessionId,
    Timestamp, Transport, admin_api, clock, context, csrf, directory, encryption, guard, import,
    layer, limiter, response, session_api, store, telemetry, testing,
};

type Lookup = fn(String) -> Ready<Result<Option<String>, Error>>;
type Inner = BoxCloneSyncService<Request<String>, Response<String>, Infallible>;
type Checked = BoxCloneSyncService<Request<csrf::CsrfBody<String>>, Response<String>, Infallible>;

/// Asserts that each is `Send` and `Sync`, or `Send` alone; their names without parameters.
macro_rules! names {
    (both: $($both:ty),*; send: $($send:ty),* $(;)?) => {{
        fn both<T: Send + Sync>() {}
        fn send<T: Send>() {}
        $(both::<$both>();)*
        $(send::<$send>();)*
        [$(stringify!($both),)* $(stringify!($send),)*].map(|name| {
            name.split('<').next().unwrap().replace(' ', "")
        })
    }};
}

#[test]
#[allow(deprecated, reason = "deprecated from the start, and public")]
fn every_public_type_can_be_sent_and_all_but_those_of_one_task_shared() {
    let asserted = names! {
        both: ConfigError, CookieConfig, DatabaseConfig, DatabaseStore, DurableStore,
            DurableStoreBuilder, EnvConfig, Error, ErrorKind, Key<String>, MemoryStore,
            RedisConfig, RedisSessionLayer, RedisSessionLayerBuilder, RedisStore, SameSite,
            SessionContext, SessionExpiry, SessionId, Timestamp, Transport,
            admin_api::AdminApi<guard::Role<Lookup>>, clock::Clock, clock::ManualClock,
            context::EndReason, context::LiveSession, context::LoginAttempt,
            context::SessionCursor, context::SessionEnd, context::SessionInfo,
            context::SessionPage, context::SessionSnapshot,
            csrf::CsrfBody<String>, csrf::CsrfBuilder, csrf::CsrfError, csrf::CsrfErrorKind,
            csrf::CsrfLayer, csrf::CsrfService<()>, csrf::CsrfToken,
            directory::CachedDirectory<testing::Accounts>,
            directory::CachedDirectoryBuilder<testing::Accounts>, directory::Credentials,
            directory::DirectoryPart, directory::PlatformInfo, directory::UserInfo,
            directory::UserValidation, directory::ValidUser<testing::Accounts>,
            encryption::KeyRing, encryption::UnsealError, encryption::UnsealedRecords,
            guard::Denied, guard::DeniedKind, guard::DenyWith, guard::Fresh,
            guard::HasPermissions<Lookup>, guard::OnPlatform, guard::Permissions<Lookup>,
            guard::Platform, guard::Predicate<Lookup>, guard::Rejection,
            guard::RequireLayer<guard::User>, guard::RequireService<(), guard::User, ()>,
            guard::Role<Lookup>, guard::Session, guard::SignedIn, guard::User,
            import::ClientPart, import::Format, import::ImportError, import::ImportErrorKind,
            import::Imported, import::ImportedLine, import::Importer, import::ImporterBuilder,
            import::OldRedis, import::StoredSession, import::TakeOver,
            import::OldSession,
            layer::DatabaseSessionLayer, layer::DeviceConfig, layer::PeerAddress,
            layer::RedisSessionService<()>, layer::SavepointFuture<()>, layer::SavepointLayer,
            layer::SavepointService<()>, layer::SessionAdmin, layer::Success,
            limiter::Attempt, limiter::AttemptError, limiter::AttemptLimit,
            limiter::NetworkLimitLayer, limiter::NetworkLimitService<(), ()>,
            limiter::SignInLimiter, limiter::SignInLimiterBuilder, limiter::Throttled,
            limiter::ThrottledBy,
            response::BodyError, response::EitherBody<String>, response::PlainErrorResponse,
            session_api::SessionApi,
            store::AttemptOutcome, store::AttemptTable, store::AttemptWrite,
            store::DatabasePool,
            store::Expected, store::LoginWrite<'static>, store::Record, store::SaveOutcome,
            store::Placement, store::ServerCredentials, store::Touch, store::WithoutUsers<Arc<MemoryStore>>,
            telemetry::BackendHealth, telemetry::CacheHealth, telemetry::Cause, telemetry::Event,
            telemetry::EventDevice, telemetry::EventStream, telemetry::Events, telemetry::Health,
            telemetry::Report,
            telemetry::Serving, telemetry::ThrottledBy,
            testing::Accounts, testing::TestClient<()>, testing::TestResponse,
            testing::TestSessions;
        send: csrf::CsrfFuture<Checked, String>,
            guard::RequireFuture<Inner, String, guard::DenyWith>,
            limiter::NetworkLimitFuture<Inner, String, response::PlainErrorResponse>,
            layer::ResponseFuture<Ready<Result<Response<String>, Infallible>>>,
            layer::SessionBody<String>, session_api::SessionApiBody, testing::TestBody,
            testing::TestRequest<'static, (), ()>;
    };
    let listing = include_str!("../../docs/public-api.txt");
    let listed = listing.lines().filter_map(|line| {
        let line = line.trim_start_matches("#[non_exhaustive] ");
        let name = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))?;
        name.split(['<', '(', ' ']).next()
    });
    let missing: Vec<_> = listed.filter(|name| !asserted.iter().any(|one| one == name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
