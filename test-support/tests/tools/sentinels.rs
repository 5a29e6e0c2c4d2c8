//! Sentinels of each version that agree on another primary.

use std::time::Instant;

use redis::cmd;
use test_support::{Authority, Sentinels};

async fn switch_twice(sentinels: Sentinels) {
    assert_eq!(sentinels.primary().await, 0);
    let mut connection = sentinels.server(0).connection().await;
    let mut set = cmd("SET");
    let () =
        set.arg("name").arg("value").arg("EX").arg(60).query_async(&mut connection).await.unwrap();
    assert_eq!(sentinels.fail_over().await, 1);
    assert_eq!(sentinels.primary_addr().await, sentinels.server(1).addr());
    let mut connection = sentinels.server(1).connection().await;
    let value: String = cmd("GET").arg("name").query_async(&mut connection).await.unwrap();
    assert_eq!(value, "value");
}

#[tokio::test]
async fn sentinels_switch_as_planned_and_after_a_loss() {
    let started = Instant::now();
    let sentinels = Sentinels::start().await;
    println!("usable after {:?}", started.elapsed());
    assert_eq!(sentinels.primary().await, 0);
    let killed = Instant::now();
    assert_eq!(sentinels.kill_primary().await, 1);
    println!("usable again after {:?}", killed.elapsed());
    switch_twice(Sentinels::start().await).await;
}

#[tokio::test]
async fn so_do_those_of_other_versions() {
    for version in ["redis-6.2", "valkey-8.1", "valkey-9.1"] {
        switch_twice(Sentinels::builder().version(version).start().await).await;
    }
}

#[tokio::test]
async fn sentinels_have_users_passwords_and_certificates_of_their_own() {
    let authority = Authority::new();
    let sentinels = Sentinels::builder()
        .server_password("the-password-of-the-servers")
        .requirepass("the-password-of-the-sentinels")
        .arg("--user", "app on >secret +sentinel|master")
        .tls(&authority.issue("localhost", 2999), &authority)
        .start()
        .await;
    let url = format!("redis://app:secret@{}/", sentinels.addrs()[0]);
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut ask = cmd("SENTINEL");
    ask.arg("MASTER").arg(sentinels.name());
    let () = ask.query_async(&mut connection).await.unwrap();
    assert!(cmd("PING").exec_async(&mut connection).await.is_err());
    for addr in sentinels.tls_addrs() {
        tokio::net::TcpStream::connect(addr).await.unwrap();
    }
    assert_eq!(sentinels.kill_primary().await, 1);
}
