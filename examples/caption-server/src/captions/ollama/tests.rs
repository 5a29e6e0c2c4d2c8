//! Tests against a real server on a loopback port.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{convert::Infallible, net::SocketAddr, sync::Mutex};

use http::{Response, StatusCode};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{rt::TokioIo, server::conn::auto};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::captions::picture::samples::{RED, flat, jpeg};

/// What the stand-in for the model does with a question.
#[derive(Clone)]
enum Behaviour {
    Answer(StatusCode, String),
    Hang,
    HangUp,
    Drip,
}

/// Serves until the test ends; keeps the last question.
async fn model(behaviour: Behaviour) -> (SocketAddr, Arc<Mutex<Option<(String, Value)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if matches!(behaviour, Behaviour::HangUp) {
                continue;
            }
            let (behaviour, seen) = (behaviour.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    answer(request, behaviour.clone(), Arc::clone(&seen))
                });
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, asked)
}

type Streamed = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(
    request: Request<Incoming>,
    behaviour: Behaviour,
    seen: Arc<Mutex<Option<(String, Value)>>>,
) -> Result<Response<Streamed>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    *seen.lock().unwrap() = Some((path, serde_json::from_slice(&body).unwrap()));
    let body: Streamed = match &behaviour {
        Behaviour::Answer(_, text) => Full::from(text.clone()).boxed(),
        // A head at once, and then a body that never ends.
        Behaviour::Drip => http_body_util::StreamBody::new(futures_util::stream::pending()).boxed(),
        Behaviour::Hang | Behaviour::HangUp => std::future::pending().await,
    };
    let mut response = Response::new(body);
    if let Behaviour::Answer(status, _) = behaviour {
        *response.status_mut() = status;
    }
    Ok(response)
}

async fn ask(behaviour: Behaviour) -> Result<String, CaptionError> {
    let silent = matches!(behaviour, Behaviour::Hang | Behaviour::Drip);
    let (address, _) = model(behaviour).await;
    let patience = Duration::from_millis(if silent { 300 } else { 30_000 });
    let ollama = Ollama::new(&format!("http://{address}"), "llava", patience).unwrap();
    ollama.caption(picture(8, 8), &Settings::default()).await
}

fn picture(width: u32, height: u32) -> Arc<Picture> {
    Arc::new(Picture::decode(&jpeg(&flat(width, height, RED))).unwrap())
}

fn answered(text: &str) -> Behaviour {
    let answer = json!({ "model": "llava", "response": text, "done": true });
    Behaviour::Answer(StatusCode::OK, answer.to_string())
}

#[tokio::test]
async fn the_model_is_asked_with_the_picture_and_its_answer_is_the_caption() {
    let (address, asked) = model(answered("  \"A red\nfield.\" ")).await;
    let base = format!("http://{address}/behind/a/proxy/");
    let ollama = Ollama::new(&base, "llava", Duration::from_secs(30)).unwrap();
    let caption = ollama.caption(picture(1600, 800), &Settings::default()).await.unwrap();
    assert_eq!(caption, "A red field.");

    let (path, question) = asked.lock().unwrap().take().unwrap();
    assert_eq!(path, "/behind/a/proxy/api/generate");
    assert_eq!(question.get("model"), Some(&json!("llava")));
    assert_eq!(question.get("stream"), Some(&json!(false)));
    assert!(question.get("prompt").unwrap().as_str().unwrap().contains("between 80 and 200"));
    let sent = question.pointer("/images/0").unwrap().as_str().unwrap();
    let sent = image::load_from_memory(&BASE64.decode(sent).unwrap()).unwrap();
    assert_eq!((sent.width(), sent.height()), (1024, 512));
}

#[tokio::test]
async fn a_long_answer_is_cut_between_words() {
    let caption = ask(answered(&"word ".repeat(300))).await.unwrap();
    assert_eq!(caption.chars().count(), 500);
    assert!(caption.ends_with(" word\u{2026}"), "{caption}");
}

#[tokio::test]
async fn whatever_goes_wrong_has_a_name() {
    let error = |status| Behaviour::Answer(status, "{\"error\":\"secret detail\"}".to_owned());
    let garbage = |text: &str| Behaviour::Answer(StatusCode::OK, text.to_owned());
    let oversized = "x".repeat(MAX_ANSWER + 1);
    for (name, behaviour, expected) in [
        ("500", error(StatusCode::INTERNAL_SERVER_ERROR), "Refused(500)"),
        ("no such model", error(StatusCode::NOT_FOUND), "Refused(404)"),
        ("a redirect", error(StatusCode::FOUND), "Refused(302)"),
        ("not JSON", garbage("<html>"), "Garbled"),
        ("other JSON", garbage("{\"text\":\"hello\"}"), "Garbled"),
        ("an empty body", garbage(""), "Garbled"),
        ("an empty caption", answered(" \n "), "Garbled"),
        ("too much", garbage(&oversized), "Oversized"),
        ("silence", Behaviour::Hang, "TimedOut"),
        ("a body without end", Behaviour::Drip, "TimedOut"),
        ("a closed connection", Behaviour::HangUp, "Unreachable"),
    ] {
        let error = ask(behaviour).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected, "{name}");
        assert!(!error.to_string().contains("secret"), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let ollama = Ollama::new(&format!("http://{closed}"), "m", Duration::from_secs(5)).unwrap();
    let error = ollama.caption(picture(8, 8), &Settings::default()).await.unwrap_err();
    assert_eq!(error, CaptionError::Unreachable);
}

#[test]
fn addresses_that_cannot_work_are_refused_without_repeating_them() {
    for address in [
        "",
        "127.0.0.1:11434",
        "https://models.example",
        "ftp://models.example",
        "http://user:hush@models.example",
        "http://models.example/?key=hush",
        "http://",
        "not an address hush",
    ] {
        let error = Ollama::new(address, "m", Duration::from_secs(1)).unwrap_err();
        assert!(error.starts_with("CAPTION_MODEL_URL cannot be used: "), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
    let error = Ollama::new("http://127.0.0.1", " ", Duration::from_secs(1)).unwrap_err();
    assert_eq!(error, "CAPTION_MODEL cannot be used: it is empty");
}
