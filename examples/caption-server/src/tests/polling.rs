//! A page that asks all the time, in Chromium, while its user signs in: whatever is under way when
//! the session moves to another id, the browser is left with the new one.
//!
//! To see this fail: clear the cookie of a request whose session is found no more; begin a session
//! over what one has moved away from.

use std::convert::Infallible;

use http::Response;
use test_support::{RedisServer, patient, serve};
use tower::{Layer as _, ServiceExt as _};
use tower_redis_session::{Error, RedisStore, SessionContext};

use super::{chrome::Chrome, *};

const SIGN_INS: u64 = 200;
/// As many as are done within the time that the driver gives a script.
const BATCH: u64 = 20;

/// Five requests are under way at all times, of the six that a browser sends at once. How long each
/// takes before, amid and after its work is drawn, from a seed.
const POLL: &str = r#"
    let drawn = 1;
    const delay = () => {
        drawn = (drawn * 48271) % 2147483647;
        return drawn % 16;
    };
    window.ask = async (what) => {
        const path = `/${what}/${delay()}/${delay()}/${delay()}`;
        return (await fetch(path, { method: "POST" })).text();
    };
    window.answered = 0;
    const polls = ["read", "write", "read", "write", "update"];
    window.pending = polls.map(() => Promise.resolve());
    polls.forEach(async (what, number) => {
        for (;;) {
            window.pending[number] = window.ask(what);
            await window.pending[number];
            window.answered += 1;
        }
    });
"#;

/// Signs in, and looks once more when all that was sent before is answered.
const SIGN_IN: &str = r#"
    const [from, to, done] = arguments;
    (async () => {
        const lost = [];
        for (let number = from; number < to; number += 1) {
            if (number % 10 == 9) {
                await window.ask("logout");
            } else if (number % 2 == 1) {
                await window.ask("renew");
            }
            const said = await window.ask("login");
            const before = [...window.pending];
            const seen = [await window.ask("read")];
            await Promise.all(before);
            seen.push(await window.ask("read"));
            if (said != "in" || seen.some((user) => user != "alice")) {
                lost.push(`${number}: ${said}, ${seen}`);
            }
        }
        done({ lost, answered: window.answered });
    })();
"#;

async fn act(session: &SessionContext, what: &str, amid: Duration) -> Result<String, Error> {
    let user = session.user_id().await?;
    tokio::time::sleep(amid).await;
    match what {
        "renew" => session.renew().await.map(|()| "renewed".to_owned()),
        "login" => session.login("alice").await.map(|()| "in".to_owned()),
        "logout" => session.logout().await.map(|()| "out".to_owned()),
        // As behind a guard: between a logout and a sign-in nothing begins a session of its own.
        "write" | "update" if user.is_none() => Ok("-".to_owned()),
        "write" => session.insert("seen", &true).await.map(|()| "written".to_owned()),
        "update" => {
            let more = |count: Option<u32>| count.unwrap_or(0) + 1;
            session.update("count", more).await.map(|count| count.to_string())
        }
        _ => Ok(user.unwrap_or_else(|| "-".to_owned())),
    }
}

/// `/what/before/amid/after`, in milliseconds.
async fn answer(sessions: RedisSessionLayer, request: Request<Incoming>) -> Response<String> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let mut parts = path.split('/');
    let what = parts.next().unwrap_or_default().to_owned();
    let delays: Vec<u64> = parts.filter_map(|part| part.parse().ok()).collect();
    let [before, amid, after] = *delays else { return Response::new("a page".to_owned()) };
    tokio::time::sleep(Duration::from_millis(before)).await;
    let inner = tower::service_fn(move |request: Request<Incoming>| {
        let what = what.clone();
        async move {
            let session = request.extensions().get::<SessionContext>().unwrap();
            let said = act(session, &what, Duration::from_millis(amid)).await;
            let said = said.unwrap_or_else(|error| format!("{:?}", error.kind()));
            Ok::<_, Infallible>(Response::new(said))
        }
    });
    let (head, body) = sessions.layer(inner).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    tokio::time::sleep(Duration::from_millis(after)).await;
    Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_asks_all_the_time_is_signed_in_after_each_sign_in() {
    let redis = RedisServer::start().await;
    let store = RedisStore::new(patient(&redis.url())).unwrap();
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    let running = serve(tower::service_fn(move |request: Request<Incoming>| {
        let answer = answer(sessions.clone(), request);
        async move { Ok::<_, Infallible>(answer.await) }
    }))
    .await;
    let browser = Chrome::at(running.addr).await;
    browser.go("/").await;
    browser.page.execute(POLL, vec![]).await.unwrap();
    let (mut lost, mut answered) = (Vec::new(), 0);
    for from in (0..SIGN_INS).step_by(BATCH as usize) {
        let batch = vec![from.into(), (from + BATCH).into()];
        let said = browser.page.execute_async(SIGN_IN, batch).await.unwrap();
        lost.extend(said["lost"].as_array().unwrap().clone());
        answered = said["answered"].as_u64().unwrap();
    }
    browser.end().await;
    let kept = SIGN_INS - lost.len() as u64;
    assert!(lost.is_empty(), "signed in after {kept} of {SIGN_INS}: {lost:?}");
    assert!(answered > SIGN_INS, "the page has asked {answered} times");
}
