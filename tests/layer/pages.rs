//! A list of sessions in pages: each session once, the latest first, and a place that can stand in
//! an address.
//!
//! To see these fail: leave the cursor out; take the size of a page for a wish.

use std::collections::BTreeSet;

use http::{Request, Response, header};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_redis_session::{
    Error, ErrorKind, MemoryStore, RedisSessionLayer, SessionContext, session_api::SessionApi,
};

async fn signed_in(layer: &RedisSessionLayer, number: usize) -> String {
    let service = layer.layer(service_fn(async |request: Request<String>| {
        let session = request.extensions().get::<SessionContext>().unwrap();
        session.login("alice").await?;
        Ok::<_, Error>(Response::new(String::new()))
    }));
    let mut cookie = String::new();
    for _ in 0..number {
        let response = service.clone().oneshot(Request::new(String::new())).await.unwrap();
        let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
        cookie = set.split(';').next().unwrap().to_owned();
    }
    cookie
}

#[tokio::test]
async fn the_pages_of_a_list_are_the_list() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let _ = signed_in(&layer, 25).await;
    let whole: BTreeSet<_> =
        layer.admin().sessions_of("alice").await.unwrap().into_iter().map(|one| one.id).collect();
    let (mut next, mut paged, mut sizes) = (None, Vec::new(), Vec::new());
    loop {
        let page = layer.admin().sessions_page_of("alice", next.as_ref(), 10).await.unwrap();
        sizes.push(page.sessions.len());
        paged.extend(page.sessions);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert!(paged.windows(2).all(|two| two[0].created_at >= two[1].created_at));
    assert_eq!(paged.into_iter().map(|one| one.id).collect::<BTreeSet<_>>(), whole);
    for limit in [0, 1_001] {
        let error = layer.admin().sessions_page_of("alice", None, limit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{limit}");
    }
}

#[tokio::test]
async fn the_session_api_lists_page_by_page() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let cookie = signed_in(&layer, 5).await;
    let api = layer.layer(SessionApi::new());
    let get = async |query: &str| {
        let request = Request::get(format!("/sessions{query}")).header("cookie", &cookie);
        let response = api.clone().oneshot(request.body(String::new()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok().unwrap().to_bytes();
        (status, serde_json::from_slice::<serde_json::Value>(&body).unwrap())
    };
    let (mut query, mut current, mut sizes) = ("?limit=2".to_owned(), 0, Vec::new());
    loop {
        let (status, page) = get(&query).await;
        assert_eq!(status, 200);
        let sessions = page["sessions"].as_array().unwrap();
        sizes.push(sessions.len());
        current += sessions.iter().filter(|one| one["current"] == true).count();
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&after={next}");
    }
    assert_eq!((sizes, current), (vec![2, 2, 1], 1));
    assert_eq!(get("").await.1["sessions"].as_array().unwrap().len(), 5);
    for wrong in ["?limit=0", "?limit=x", "?limit=-1", "?after=x", "?limit=2&after=1."] {
        let (status, said) = get(wrong).await;
        assert_eq!((status, &said["error"]), (400, &"invalid_page".into()), "{wrong}");
    }
}
