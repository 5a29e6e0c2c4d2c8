//! A caption server: signs people in, lets them choose a platform, takes a picture and answers with
//! its caption. It shows `tower-redis-session` in a whole program on plain hyper.
//!
//! ```text
//! cargo run -p caption-server
//! SESSION_STORAGE=redis SESSION_DATABASE_URL=sqlite:caption_server.db cargo run -p caption-server
//! ```
//!
//! Sessions are in the file `caption_server.db`, unless the environment says otherwise, and
//! outlive a restart; with Redis and a database they outlive Redis too.
//!
//! Captions come from measurements of the pixels, or, with `CAPTION_MODEL_URL`, from a vision model
//! behind the Ollama API. The cookie is `Secure`, which browsers accept without TLS on
//! `http://127.0.0.1` and `http://localhost` only: elsewhere put a TLS proxy in front.
//!
//! A request comes in through [`web::server`], passes the middleware of [`stack`], which has the
//! session layer in it, and is led by [`routes`] to a handler in [`pages`]. Handlers share [`app`],
//! read and write [`data`], and leave pictures to [`captions`]. What goes wrong is a [`failure`].
//! `tests` walks through the whole of it, over HTTP and in a browser.

mod app;
mod arguments;
mod captions;
mod data;
mod failure;
mod logging;
mod pages;
mod routes;
mod sessions;
mod stack;
mod web;

#[cfg(test)]
mod tests;

use std::{
    error::Error,
    io::{self, IsTerminal as _},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
};

use clap::Parser as _;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::{
    app::App,
    arguments::Arguments,
    data::{DEMO_CREDENTIALS, Data, People, keys},
    sessions::{outage::Outage, start, storage},
    web::server::{Patience, Server},
};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too, and are no failure.
            let failed = error.use_stderr();
            let _ = error.print();
            return if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = io::stderr().is_terminal();
    let subscriber = logging::subscriber(arguments.log_format, filter, io::stderr, ansi);
    if let Err(error) = tracing::subscriber::set_global_default(subscriber) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    match serve(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let outage = if arguments.demo_outage {
        let outage = Outage::start().await;
        Some(outage.map_err(|error| format!("redis-server cannot be started: {error}"))?)
    } else {
        None
    };
    let config = storage::config(outage.as_ref().map(Outage::url))?;
    tracing::info!("sessions are kept in {}", config.storage());
    let sessions = config.layer()?;
    let captioner = arguments.captioner()?;
    let keys = keys::ring(arguments.keys.as_deref(), &arguments.keys_file)?;
    let data = Data::open(&arguments.database, keys).await.map_err(|error| error.to_string())?;
    data.add_demonstration().await.map_err(|error| error.to_string())?;
    data.check_keys()
        .await
        .map_err(|error| format!("the keys do not match the stored data: {error}"))?;
    start::check(&sessions).await?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    let people = People::new(data.clone(), config.redis())?;
    let app = App::new(data, people, captioner, sessions.clone(), outage);
    let app = Arc::new(app.map_err(|error| error.to_string())?);
    let server = Server::new(stack::stack(Arc::clone(&app), sessions)?, Patience::default());
    greet(listener.local_addr()?);
    let ends = async {
        asked_to_end().await;
        app.end_streams();
    };
    server.run(listener, ends).await;
    app.shutdown().await;
    tracing::info!("ended");
    Ok(())
}

fn greet(address: SocketAddr) {
    tracing::info!("listening on http://{address}");
    if !address.ip().is_loopback() {
        tracing::warn!("browsers keep the session cookie only on loopback addresses or with TLS");
    }
    for (name, password) in DEMO_CREDENTIALS {
        tracing::info!("demonstration user: {name}, password: {password}");
    }
}

/// Completes at Ctrl-C, and at the signal by which service managers end a program.
async fn asked_to_end() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "no handler for Ctrl-C");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(error) => {
                tracing::warn!(%error, "no handler for SIGTERM");
                std::future::pending().await
            }
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

/// An error and what caused it, on one line.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Many errors print their cause themselves.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
