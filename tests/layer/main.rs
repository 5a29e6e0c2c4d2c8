//! The layer, its bodies and its tasks, on stores in memory. Needs no server.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

/// The end points of administrators: who reaches them, and what they end.
mod admin_api;
/// What the answers of the layer are, and which bodies fit around it.
mod answers;
/// Which public types are `Send` and `Sync`.
mod auto_traits;
/// The example on axum: a new installation works at its first start.
mod axum_example;
/// Handlers of axum take the session, its user and its platform as arguments.
mod axum_extractors;
/// Changes that a streaming body makes, handlers that fail, responses that are no 200.
mod bodies;
/// A client that leaves at any moment leaves nothing half-written.
mod cancel;
/// The cookie's domain by the host of the request, for tenants.
mod cookie_domains;
/// The CSRF layer with bodies of every kind, transports and frameworks.
mod csrf_stack;
/// What serialises, and how; streams.
mod data;
/// Error responses: one function for layer, guards and CSRF, or one line of text.
mod error_responses;
/// A logout by the identity provider, by the name that was given at the sign-in.
mod external_id;
/// A cookie under its former name, domain or prefix.
mod former_cookie;
/// Any inner service, any body, any buffer.
mod generic;
/// Which responses are a success, and what gRPC calls are told.
mod grpc;
/// Where a guard sends a browser, and how a client is asked for its token.
mod guard_places;
/// The harness for handlers: a client that keeps cookies as a browser does.
mod harness;
/// The example on plain hyper: counts, signs in, and drains at the end.
mod hyper_example;
/// A user acts as another one, and everybody can see who it is.
mod impersonation;
/// Changes of one session that are stored by one write.
mod joined_writes;
/// One budget bounds all waits of a request; nobody moves an end; no clock goes back.
mod limits;
/// A session in a connection that outlives its request.
mod live;
/// What a router strips from a path is known all the same.
mod nested;
/// Two requests of one session in every order, and writes whose answer is lost.
mod overlap;
/// The application's own user, loaded once a request.
mod own_user;
/// A list of sessions comes in pages.
mod pages;
/// Guards by what a user may do, asked for once a request.
mod permissions;
/// What handlers and clients are told is what the store has.
mod reported_state;
/// What a failed attempt leaves behind under a retry layer: nothing.
mod retry;
/// Two sign-ins at the same time: the second finds the session moved.
mod second_sign_in;
/// Layers of different kinds on one store open each their own sessions.
mod session_kinds;
/// What the environment says, and what the log says about it.
mod settings;
/// Failed sign-ins have to wait: by account and by network.
mod sign_in_limit;
/// A session ends when the stamp of its user changes elsewhere.
mod stamp;
/// A session and a user have a share each of the streams of events.
mod streams;
/// Sessions of another library are taken over at their first request.
mod take_over;
/// Several tasks of one request act on its session.
mod tasks;
/// Several cookies of our name in one request, and what a sign-in leaves of their sessions.
mod twin_cookies;
/// Typed keys, values of an older shape, values that are taken.
mod values;
