//! A client of tonic's walks through the example over TCP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use std::time::Duration;

use example_tonic::{account_client::AccountClient, sessions_client::SessionsClient};
use futures_util::{future::join_all, stream};
use test_support::{Example, RedisServer, bounded};
use tokio::sync::mpsc;
use tonic::{Code, IntoRequest, Request, Response, Status, transport::Channel};

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-tonic");

/// A client that keeps the token of its session.
#[derive(Clone)]
struct Client {
    channel: Channel,
    token: String,
}

impl Client {
    async fn of(example: &Example) -> Self {
        let address = format!("http://{}", example.addr());
        let channel = Channel::from_shared(address).unwrap().timeout(Duration::from_secs(20));
        Self { channel: channel.connect().await.unwrap(), token: String::new() }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = message.into_request();
        if !self.token.is_empty() {
            let token = format!("Bearer {}", self.token).parse().unwrap();
            let _ = request.metadata_mut().insert("authorization", token);
        }
        request
    }

    fn sessions(&self) -> SessionsClient<Channel> {
        SessionsClient::new(self.channel.clone())
    }

    /// What a call returns, or its code.
    fn keep<T>(&mut self, answer: Result<Response<T>, Status>) -> Result<T, Code> {
        let response = answer.map_err(|status| status.code())?;
        if let Some(token) = response.metadata().get("session-token") {
            self.token = token.to_str().unwrap().to_owned();
        }
        Ok(response.into_inner())
    }

    async fn visit(&mut self) -> Result<u32, Code> {
        let answer = self.sessions().visit(self.request(())).await;
        self.keep(answer)
    }

    async fn sign_in(&mut self, password: &str) -> Result<(), Code> {
        let answer = self.sessions().sign_in(self.request(password.to_owned())).await;
        self.keep(answer)
    }

    async fn note(&mut self, note: &str) -> Result<(), Code> {
        let answer = self.sessions().note(self.request(note.to_owned())).await;
        self.keep(answer)
    }

    async fn account(&mut self) -> Result<String, Code> {
        let answer = AccountClient::new(self.channel.clone()).show(self.request(())).await;
        self.keep(answer)
    }
}

#[tokio::test]
async fn a_client_signs_in_counts_uploads_and_signs_out() {
    // A store that takes its time, so that what comes at once overlaps.
    let redis = RedisServer::start().await;
    let url = redis.url();
    let store = [("SESSION_STORAGE", "redis"), ("REDIS_URL", &url)];
    let example = Example::start(PROGRAM, &store).await;
    let mut client = Client::of(&example).await;
    assert_eq!((client.visit().await, client.visit().await), (Ok(1), Ok(2)));
    assert_eq!(client.account().await, Err(Code::Unauthenticated), "the guard's answer");
    let before = client.token.clone();
    assert_eq!(client.sign_in("guess").await, Err(Code::PermissionDenied));
    assert_eq!(client.sign_in("wonderland").await, Ok(()));
    assert_ne!(client.token, before, "a sign-in gives a new id");

    assert_eq!(client.note("short").await, Ok(()));
    assert_eq!(client.note("a note that is too long").await, Err(Code::InvalidArgument));
    let told = client.account().await.unwrap();
    assert_eq!(told, "alice: \"short\", 0 bytes", "a failed call stores nothing");

    bounded("an upload that is answered while it goes on", async {
        let (pieces, body) = mpsc::unbounded_channel::<String>();
        let body = stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
        pieces.send("first".to_owned()).unwrap();
        let answer = client.sessions().upload(client.request(Box::pin(body))).await;
        let mut totals = client.keep(answer).unwrap();
        assert_eq!(totals.message().await.unwrap(), Some(5));
        pieces.send("second".to_owned()).unwrap();
        assert_eq!(totals.message().await.unwrap(), Some(11));
        drop(pieces);
        assert_eq!(totals.message().await.unwrap(), None);
    })
    .await;
    assert_eq!(client.account().await.unwrap(), "alice: \"short\", 11 bytes");

    let at_once = join_all((0..20).map(|_| client.clone()).map(async |mut c| c.visit().await));
    let mut counts: Vec<_> = at_once.await.into_iter().map(Result::unwrap).collect();
    counts.sort_unstable();
    assert_eq!(counts, (3..=22).collect::<Vec<_>>(), "20 at once are 20");

    let mut thief = client.clone();
    let answer = client.sessions().sign_out(client.request(())).await;
    assert_eq!(client.keep(answer), Ok(()));
    assert_eq!(thief.account().await, Err(Code::Unauthenticated));
    assert_eq!(thief.visit().await, Ok(1), "the old token opens nothing");
}

#[tokio::test]
async fn while_the_store_is_away_every_call_is_unavailable() {
    let nobody = [("SESSION_STORAGE", "redis"), ("REDIS_URL", "redis://127.0.0.1:1")];
    let example = Example::start(PROGRAM, &nobody).await;
    let mut client = Client::of(&example).await;
    let status = client.sessions().note("short".to_owned()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "unavailable"), "the commit");
    assert_eq!(client.visit().await, Err(Code::Unavailable), "the handler");
    client.token = "A".repeat(43);
    assert_eq!(client.account().await, Err(Code::Unavailable), "the guard");
}
