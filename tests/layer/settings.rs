//! What the environment of a process says, and what the log says about it. Each test asks a process
//! of its own: the variables, and warnings that come once, are a process'.
//!
//! To see these fail: warn of no name; count a cookie that comes back as one that does not; make
//! the cookie `Secure` whatever the variables say.

use std::process::Command;

use http::{Request, Response};
use test_support::{Client, LogCapture, serve};
use tower::{Layer, service_fn};
use tower_redis_session::{EnvConfig, Error, SessionContext};

const CHILD: &str = "SESSION_TEST_CHILD";

/// What the test `name` prints in a process with these variables beside those of this one.
fn said_by(name: &str, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("settings::{name}"), "--nocapture"])
        .env(CHILD, "yes")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn print(log: &LogCapture) {
    for captured in log.events() {
        if captured.target.starts_with("tower_redis_session") {
            println!("{}: {}", captured.level, captured.text);
        }
    }
}

#[test]
fn a_misspelt_variable_is_told_with_the_likely_name() {
    if is_child() {
        let (log, _guard) = LogCapture::on_this_thread();
        println!("kept in {}", EnvConfig::from_env().unwrap().storage());
        return print(&log);
    }
    let name = "a_misspelt_variable_is_told_with_the_likely_name";
    let said = said_by(name, &[("SESSION_STROAGE", "hunter2"), ("REDIS_SERVICE_HOST", "10.0.0.1")]);
    assert!(said.contains("kept in memory"), "{said}");
    assert!(said.contains("WARN: ") && said.contains("SESSION_STROAGE"), "{said}");
    assert!(said.contains("similar to SESSION_STORAGE"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("SERVICE_HOST"), "{said}");
}

#[tokio::test]
async fn a_cookie_that_does_not_come_back_over_plain_http_is_told_once() {
    if is_child() {
        let (log, _guard) = LogCapture::on_this_thread();
        visit_as_a_program_does().await;
        return print(&log);
    }
    let name = "a_cookie_that_does_not_come_back_over_plain_http_is_told_once";
    let said = said_by(name, &[]);
    assert_eq!(said.matches("not sent back").count(), 1, "{said}");
    assert!(said.contains("SESSION_INSECURE_HTTP=true"), "{said}");
    assert!(said.contains("visits: 1 1 1"), "{said}");
    let said = said_by(name, &[("SESSION_INSECURE_HTTP", "true")]);
    assert!(said.contains("visits: 1 2 3"), "{said}");
    assert!(!said.contains("not sent back") && said.contains("sent over plain HTTP"), "{said}");
}

/// Three visits of a client that sends `Secure` cookies over TLS only, as Python's requests does.
async fn visit_as_a_program_does() {
    let layer = EnvConfig::from_env().unwrap().layer().unwrap();
    let visits = service_fn(async |request: Request<hyper::body::Incoming>| {
        let session = request.extensions().get::<SessionContext>().unwrap().clone();
        let visits = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
        Ok::<_, Error>(Response::new(visits.to_string()))
    });
    let running = serve(layer.layer(visits)).await;
    let (mut cookie, mut counted) = (String::new(), Vec::new());
    for _ in 0..3 {
        let reply = Client::connect(running.addr).await.get_with("/", &cookie).await;
        let set = reply.set_cookies().pop().filter(|set| !set.contains("Secure"));
        cookie = set.map_or(cookie, |set| set.split(';').next().unwrap().to_owned());
        counted.push(reply.text());
    }
    println!("visits: {}", counted.join(" "));
}
