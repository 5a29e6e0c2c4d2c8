//! A caption server: signs people in, lets them choose a platform, takes a picture and answers with
//! its caption. It shows `tower-redis-session` in a whole program on plain hyper.
//!
//! ```text
//! cargo run -p caption-server
//! SESSION_STORAGE=redis DATABASE_URL=sqlite:caption_server.db cargo run -p caption-server
//! ```
//!
//! Sessions are in the file `caption_server.db`, unless the environment says otherwise, and
//! outlive a restart; with Redis and a database they outlive Redis too.
//!
//! Captions come from measurements of the pixels, or, with `CAPTION_MODEL_URL`, from a vision model
//! behind the Ollama API. The cookie is `Secure`, which browsers accept without TLS on
//! `http://127.0.0.1` and `http://localhost` only: elsewhere put a TLS proxy in front.

mod app;
mod captions;
mod data;
mod failure;
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
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use tokio::net::TcpListener;
use tower_redis_session::{Error as SessionError, ErrorKind, RedisSessionLayer};
use tracing_subscriber::EnvFilter;

use crate::{
    app::App,
    captions::{Captioner, Describer, Ollama},
    data::{DEMO_CREDENTIALS, Data, People},
    sessions::outage::Outage,
    web::server::{Patience, Server},
};

/// A caption server with sessions. The sessions are configured by SESSION_STORAGE, REDIS_URL and
/// their kin.
#[derive(Debug, Parser)]
#[command(name = "caption-server", version)]
struct Arguments {
    /// Address and port to listen on
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Server of a vision model (Ollama API), such as http://127.0.0.1:11434; without it, captions
    /// are measured from the pixels
    #[arg(long, env = "CAPTION_MODEL_URL", hide_env_values = true)]
    caption_model_url: Option<String>,
    /// Name of the vision model
    #[arg(long, env = "CAPTION_MODEL", default_value = "llava")]
    caption_model: String,
    /// Seconds to wait for the vision model
    #[arg(
        long,
        env = "CAPTION_MODEL_TIMEOUT",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=600)
    )]
    caption_model_timeout: u64,
    /// Database for users, platforms, settings and tasks: sqlite:FILE or postgres://...
    #[arg(
        long,
        env = "CAPTION_DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite:captions.db"
    )]
    database: String,
    /// File with the keys that platform tokens are sealed with; made at the first start
    #[arg(long, env = "CAPTION_KEYS_FILE", default_value = "captions.keys")]
    keys_file: PathBuf,
    /// The keys themselves, as id:key,id:key with 32 bytes in base64url each
    #[arg(long, env = "CAPTION_KEYS", hide_env_values = true)]
    keys: Option<String>,
    /// Starts a redis-server of its own, and shows a page that kills, hangs and restarts it
    #[arg(long)]
    demo_outage: bool,
}

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
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
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
    let config = sessions::storage::config(outage.as_ref().map(Outage::url))?;
    tracing::info!("sessions are kept in {}", config.storage());
    let sessions = config.layer()?;
    let captioner = captioner(&arguments)?;
    let keys = data::keys::ring(arguments.keys.as_deref(), &arguments.keys_file)?;
    let data = Data::open(&arguments.database, keys).await.map_err(|error| error.to_string())?;
    data.add_demonstration().await.map_err(|error| error.to_string())?;
    data.check_keys().await.map_err(|error| format!("the keys do not fit: {error}"))?;
    check(&sessions).await?;
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

/// A store that is down is no reason not to start: it may come back, and until then people get a
/// page that says so. One that can never work is told at once.
async fn check(sessions: &RedisSessionLayer) -> Result<(), Box<dyn Error>> {
    match prepare(sessions).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let error = with_causes(&error);
            tracing::warn!(error, "the session store cannot be reached; starting without it");
            drop(tokio::spawn(prepare_later(sessions.clone())));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// A database that comes up after the server has no tables yet.
async fn prepare_later(sessions: RedisSessionLayer) {
    while let Err(error) = prepare(&sessions).await {
        if error.kind() != ErrorKind::Unavailable {
            tracing::error!(error = with_causes(&error), "the session store will not do");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tracing::info!("the session store is there");
}

async fn prepare(sessions: &RedisSessionLayer) -> Result<(), SessionError> {
    sessions.migrate().await?;
    sessions.check().await
}

fn captioner(arguments: &Arguments) -> Result<Box<dyn Captioner>, String> {
    let Some(url) = arguments.caption_model_url.as_deref().filter(|url| !url.trim().is_empty())
    else {
        return Ok(Box::new(Describer));
    };
    let patience = Duration::from_secs(arguments.caption_model_timeout);
    Ok(Box::new(Ollama::new(url, &arguments.caption_model, patience)?))
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
            tracing::warn!(%error, "Ctrl-C cannot be heard");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be heard");
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
