//! The command line, and the variables that stand in for it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;

use crate::{
    captions::{Captioner, Describer, Ollama},
    logging::LogFormat,
};

/// A caption server with sessions. SESSION_STORAGE, REDIS_URL, SESSION_DATABASE_URL and the
/// other variables of the session library say where the sessions are kept.
#[derive(Debug, Parser)]
#[command(name = "caption-server", version)]
pub(crate) struct Arguments {
    /// Address and port to listen on
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,
    /// Server of a vision model (Ollama API), such as http://127.0.0.1:11434; without it, captions
    /// are measured from the pixels
    #[arg(long, env = "CAPTION_MODEL_URL", hide_env_values = true)]
    pub(crate) caption_model_url: Option<String>,
    /// Name of the vision model
    #[arg(long, env = "CAPTION_MODEL", default_value = "llava")]
    pub(crate) caption_model: String,
    /// Seconds to wait for the vision model
    #[arg(
        long,
        env = "CAPTION_MODEL_TIMEOUT",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=600)
    )]
    pub(crate) caption_model_timeout: u64,
    /// Database for users, platforms, settings and tasks: sqlite:FILE or postgres://...
    #[arg(
        long,
        env = "CAPTION_DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite:captions.db"
    )]
    pub(crate) database: String,
    /// File with the keys that platform tokens are sealed with; made at the first start
    #[arg(long, env = "CAPTION_KEYS_FILE", default_value = "captions.keys")]
    pub(crate) keys_file: PathBuf,
    /// The keys themselves, as id:key,id:key with 32 bytes in base64url each
    #[arg(long, env = "CAPTION_KEYS", hide_env_values = true)]
    pub(crate) keys: Option<String>,
    /// Format of log lines
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Starts a redis-server of its own, and shows a page that kills, hangs and restarts it
    #[arg(long)]
    pub(crate) demo_outage: bool,
}

impl Arguments {
    /// The captioner that was chosen.
    pub(crate) fn captioner(&self) -> Result<Box<dyn Captioner>, String> {
        let url = self.caption_model_url.as_deref().filter(|url| !url.trim().is_empty());
        let Some(url) = url else {
            return Ok(Box::new(Describer));
        };
        let patience = Duration::from_secs(self.caption_model_timeout);
        Ok(Box::new(Ollama::new(url, &self.caption_model, patience)?))
    }
}
