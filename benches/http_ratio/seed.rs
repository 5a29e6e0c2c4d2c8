//! What the servers find in Redis: a session a connection, and beside it a plain key of the same
//! size and a name of the same length for the servers without the layer.

use http::{Request, Response, header::SET_COOKIE};
use tower::ServiceExt as _;
use tower_layer::Layer as _;
use tower_redis_session::{Error, SessionContext};

use crate::CONNECTIONS;
use crate::server::{layer, plain_key};
use test_support::RedisServer;

/// The Cookie header lines of the sessions.
pub async fn sessions(redis: &str) -> Vec<String> {
    let mut cookies = Vec::new();
    let layer = layer(redis);
    for _ in 0..CONNECTIONS {
        let create = layer.layer(tower::service_fn(create));
        let response = create.oneshot(Request::new(())).await.unwrap();
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        cookies.push(cookie.split(';').next().unwrap().to_owned());
    }
    cookies
}

/// A plain key for each of them.
pub async fn plain_keys(redis: &RedisServer, cookies: &[String]) {
    let mut connection = redis.connection().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let record: Vec<u8> =
        redis::cmd("GET").arg(&keys[0]).query_async(&mut connection).await.unwrap();
    for cookie in cookies {
        let key = plain_key(cookie.as_bytes());
        assert_eq!(key.len(), keys[0].len(), "names of the same length: {key}, {}", keys[0]);
        let () =
            redis::cmd("SET").arg(key).arg(&record).query_async(&mut connection).await.unwrap();
    }
}

/// A small cart, a preference and a counter: a record of about 400 bytes.
async fn create(request: Request<()>) -> Result<Response<String>, Error> {
    let session = request.extensions().get::<SessionContext>().unwrap();
    let cart: Vec<String> = (1..=8).map(|number| format!("article-{number:020}")).collect();
    session.insert("cart", &cart).await?;
    session.insert("theme", "dark").await?;
    session.insert("visits", &1_000_000).await?;
    Ok(Response::default())
}
