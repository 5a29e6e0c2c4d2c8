//! A vision model behind the Ollama API, as offered by `ollama serve` and compatible servers.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Uri, header, uri::Scheme};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize};
use tokio::{task::spawn_blocking, time::timeout};

use crate::captions::{CaptionError, Captioner, fit, picture::Picture, settings::Settings};

/// Models look at a picture in few, coarse patches; a larger one only takes longer to send.
const SIDE: u32 = 1024;
/// Far above any caption, far below what would hurt.
const MAX_ANSWER: usize = 256 * 1024;
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// Asks a model over HTTP.
#[derive(Debug)]
pub(crate) struct Ollama {
    client: Client<HttpConnector, Full<Bytes>>,
    generate: Uri,
    model: String,
    patience: Duration,
}

impl Ollama {
    /// A client of the server at `base`, such as `http://127.0.0.1:11434`; connects nothing yet.
    /// The whole exchange takes at most `patience`.
    pub(crate) fn new(base: &str, model: &str, patience: Duration) -> Result<Self, String> {
        let generate = generate_address(base)
            .map_err(|reason| format!("CAPTION_MODEL_URL cannot be used: {reason}"))?;
        if model.trim().is_empty() {
            return Err("CAPTION_MODEL cannot be used: it is empty".to_owned());
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_PATIENCE));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, generate, model: model.trim().to_owned(), patience })
    }

    async fn ask(
        &self,
        picture: Arc<Picture>,
        settings: &Settings,
    ) -> Result<String, CaptionError> {
        let jpeg = spawn_blocking(move || picture.jpeg(SIDE))
            .await
            .map_err(|_| CaptionError::Failed)?
            .map_err(|_| CaptionError::Failed)?;
        let question = Question {
            model: &self.model,
            prompt: prompt(settings),
            images: [BASE64.encode(jpeg)],
            stream: false,
        };
        let question = serde_json::to_vec(&question).map_err(|_| CaptionError::Failed)?;
        let request = Request::post(self.generate.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(question))
            .map_err(|_| CaptionError::Failed)?;
        let response = self.client.request(request).await.map_err(|error| {
            tracing::warn!(%error, "caption model unreachable");
            CaptionError::Unreachable
        })?;
        if !response.status().is_success() {
            return Err(CaptionError::Refused(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|e| {
            if e.is::<LengthLimitError>() {
                CaptionError::Oversized
            } else {
                CaptionError::Unreachable
            }
        })?;
        let answer: Answer =
            serde_json::from_slice(&body.to_bytes()).map_err(|_| CaptionError::Garbled)?;
        caption(&answer.response, settings).ok_or(CaptionError::Garbled)
    }
}

impl Captioner for Ollama {
    fn source(&self) -> String {
        format!("Written by the model {}.", self.model)
    }

    fn caption<'a>(
        &'a self,
        picture: Arc<Picture>,
        settings: &'a Settings,
    ) -> BoxFuture<'a, Result<String, CaptionError>> {
        Box::pin(async move {
            let answer = timeout(self.patience, self.ask(picture, settings)).await;
            let answer = answer.unwrap_or(Err(CaptionError::TimedOut));
            if let Err(error) = &answer {
                tracing::warn!(?error, model = self.model, "caption model returned no caption");
            }
            answer
        })
    }
}

#[derive(Serialize)]
struct Question<'a> {
    model: &'a str,
    prompt: String,
    images: [String; 1],
    stream: bool,
}

#[derive(Deserialize)]
struct Answer {
    response: String,
}

fn generate_address(base: &str) -> Result<Uri, &'static str> {
    let uri: Uri = base.trim().parse().map_err(|_| "it is not an address")?;
    if uri.scheme() != Some(&Scheme::HTTP) {
        return Err("it does not begin with http://");
    }
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it contains a user name or password");
    }
    if uri.query().is_some() {
        return Err("it contains a query");
    }
    let path = format!("{}/api/generate", uri.path().trim_end_matches('/'));
    Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(authority.clone())
        .path_and_query(path)
        .build()
        .map_err(|_| "it is not an address")
}

fn prompt(settings: &Settings) -> String {
    format!(
        "Write the alternative text of this picture for people who cannot see it: what it shows, \
         in plain sentences, between {} and {} characters. Do not begin with \"image of\" or \
         \"picture of\". Answer with the text alone.",
        settings.optimal_min_length, settings.optimal_max_length
    )
}

fn caption(answer: &str, settings: &Settings) -> Option<String> {
    // Models like to put the whole answer into quotation marks.
    let text = answer.trim();
    let text = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|inside| !inside.contains('"'))
        .unwrap_or(text);
    let text: String = text.chars().filter(|c| !c.is_control() || c.is_whitespace()).collect();
    let text = fit(&text, usize::from(settings.max_caption_length));
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
