//! The cookie of each sample opens the session that is taken over, and nothing after the grace.
//!
//! To see it fail: leave the signed parts of a request out of `import/library.rs`, or the grace out
//! of `request/take_over/steps.rs`.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response, header::SET_COOKIE};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{
    MemoryStore, RedisSessionLayer, SessionContext, clock::ManualClock, import::tests::*,
    store::StoreFuture,
};

/// The old stores of all samples, Redis and Django's table.
#[derive(Clone, Default)]
struct Old(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl OldSessions for Old {
    fn load<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, Option<StoredSession>> {
        let found = self.0.lock().unwrap().get(old.key()).cloned();
        Box::pin(async { Ok(found.map(StoredSession::new)) })
    }

    fn delete<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, ()> {
        let _ = self.0.lock().unwrap().remove(old.key());
        Box::pin(async { Ok(()) })
    }
}

/// User and values of the request's session, and the pairs of the cookies that were set.
async fn ask(
    layer: &RedisSessionLayer,
    headers: HeaderMap,
) -> (Option<String>, Value, Vec<String>) {
    let handler = service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<SessionContext>().unwrap();
        let mut values = serde_json::Map::new();
        for name in session.keys().await.unwrap() {
            let value = session.get(&*name).await.unwrap().unwrap();
            let _ = values.insert(name, value);
        }
        let user = session.user_id().await.unwrap();
        Ok::<_, Infallible>(Response::new(json!([user, values]).to_string()))
    });
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    let response = layer.layer(handler).oneshot(request).await.unwrap();
    let lines = response.headers().get_all(SET_COOKIE).iter();
    let pairs = lines.map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned());
    let pairs = pairs.collect();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let user = body[0].as_str().map(str::to_owned);
    (user, body[1].clone(), pairs)
}

#[tokio::test]
async fn the_cookie_of_each_sample_opens_the_new_session_once_and_never_again() {
    let samples: Vec<_> = samples().into_iter().filter(|sample| !sample.is_executable()).collect();
    for sample in samples {
        let (name, clock, old) = (sample.name.as_str(), ManualClock::new(), Old::default());
        let store = MemoryStore::with_clock(clock.clock());
        let layer = || {
            let import = TakeOver::new(sample.importer(), old.clone()).take_over_key([7; 32]);
            RedisSessionLayer::builder(store.clone()).import(import).build().unwrap()
        };
        let (one, other) = (layer(), layer());
        let put = || old.0.lock().unwrap().insert(sample.key.clone(), sample.bytes());
        let _ = put();
        let (user, held) = expected(name);
        let (user, nobody) = (user.map(str::to_owned), (None, json!({})));
        let removal = format!("{}=", sample.cookie.split('=').next().unwrap());

        let (who, values, pairs) = ask(&one, sample.headers()).await;
        assert_eq!((&who, &values), (&user, &held), "{name}");
        let [new, removed] = pairs.as_slice() else { panic!("{name}: {pairs:?}") };
        assert!(*removed == removal && new.starts_with("__Host-session="), "{name}: {pairs:?}");
        // Within the grace at another instance: the same session and cookie.
        assert_eq!(ask(&other, sample.headers()).await, (who, values, pairs.clone()), "{name}");
        one.shutdown().await;
        assert!(old.0.lock().unwrap().is_empty(), "{name}");

        clock.advance(Duration::from_secs(60));
        let _ = put();
        for layer in [&one, &other] {
            let (who, values, pairs) = ask(layer, sample.headers()).await;
            assert_eq!((who, values), nobody, "{name}");
            assert_eq!(pairs, [removal.as_str()], "{name}");
        }
        let (who, values, pairs) = ask(&other, headers(new.as_bytes()).unwrap()).await;
        assert_eq!((who, values, pairs.len()), (user, held, 0), "{name}");
    }
}
