//! Log lines: for people, or as JSON for a log collector.

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, fmt},
};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line: `timestamp`, `level`, `target`, `message`, and each field under its name.
    Json,
}

/// Writes what `filter` admits to `writer`, with colors if `ansi`.
pub(crate) fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    writer: W,
    ansi: bool,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => Box::new(lines.with_ansi(ansi).finish()),
        LogFormat::Json => {
            Box::new(lines.json().flatten_event(true).with_span_list(false).finish())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use http::{Request, Response};
    use serde_json::Value;
    use tower::{Layer as _, ServiceExt as _, service_fn};
    use tower_redis_session::{MemoryStore, RedisSessionLayer, SessionContext};

    use crate::logging::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_json_line_has_each_field_of_an_event_under_its_name() {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = EnvFilter::new("info");
        let subscriber = subscriber(LogFormat::Json, filter, move || writer.clone(), true);
        let collected = tracing::subscriber::set_default(subscriber);
        let sessions = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
        let sign_in = service_fn(async |request: Request<String>| {
            let session = SessionContext::from_extensions(request.extensions()).unwrap();
            session.login("alice \"and\"\nbob").await.unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let _ = sessions.layer(sign_in).oneshot(Request::new(String::new())).await.unwrap();
        drop(collected);
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let objects: Vec<Value> =
            written.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let created = objects.iter().find(|line| line["message"] == "session created");
        let created = created.unwrap_or_else(|| panic!("{written}"));
        assert_eq!(
            (&created["level"], &created["user.id"]),
            (&"INFO".into(), &"alice \"and\"\nbob".into())
        );
        assert_eq!(created["session.id"].as_str().map(str::len), Some(43));
        assert!(created["timestamp"].is_string() && created["target"].is_string());
    }
}
