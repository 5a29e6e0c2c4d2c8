//! TLS to Redis verifies, and never falls back to plain (bar 58).
use std::{fs, path::Path, process::Command};

use tempfile::TempDir;
use test_support::{Authority, Identity, RedisServer};
use tower_redis_session::{Error, ErrorKind, RedisConfig, RedisStore, store::Store as _};

/// The TLS port of a server, for the child process of the last test.
const TRUSTED_PORT: &str = "SESSION_TEST_TRUSTED_PORT";

async fn check(port: u16) -> Result<(), Error> {
    let url = format!("rediss://localhost:{port}");
    RedisStore::new(RedisConfig::new(url)).unwrap().check().await
}

/// A server with a certificate of its own making for `name`, up to the end of that year; its TLS
/// port, and the folder.
async fn encrypted_server(name: &str, year: i32) -> (RedisServer, u16, TempDir) {
    encrypted_server_that(name, year, "no").await
}

/// The same, which may ask for a client's certificate: its own will do.
async fn encrypted_server_that(
    name: &str,
    year: i32,
    asks_clients: &str,
) -> (RedisServer, u16, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    wanted.not_after = rcgen::date_time_ymd(year, 12, 31);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let made = wanted.self_signed(&signing_key).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, made.pem()).unwrap();
    fs::write(&key, signing_key.serialize_pem()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let server = RedisServer::builder()
        .arg("--tls-port", &port.to_string())
        .arg("--tls-cert-file", &text(&certificate))
        .arg("--tls-key-file", &text(&key))
        .arg("--tls-ca-cert-file", &text(&certificate))
        .arg("--tls-auth-clients", asks_clients)
        .start()
        .await;
    (server, port, folder)
}

async fn assert_no_command_of_ours(server: &RedisServer) {
    let counts = server.command_counts().await;
    for command in ["time", "get", "script|load", "auth", "evalsha"] {
        assert!(!counts.contains_key(command), "{command} in {counts:?}");
    }
}

#[tokio::test]
async fn an_encrypted_address_never_talks_to_a_plain_port() {
    let server = RedisServer::start().await;
    server.reset_stats().await;
    check(server.port()).await.expect_err("a plain server is no encrypted one");
    assert_no_command_of_ours(&server).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (server, port, _folder) = encrypted_server("localhost", 2999).await;
    server.reset_stats().await;
    let error = check(port).await.expect_err("nobody vouches for it");
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert_no_command_of_ours(&server).await;
}

#[tokio::test]
async fn a_trusted_certificate_works_and_one_for_another_name_or_time_does_not() {
    if let Ok(port) = std::env::var(TRUSTED_PORT) {
        // In the child process, which trusts that certificate.
        let checked = check(port.parse().unwrap()).await;
        println!("checked: {:?}", checked.map_err(|error| error.kind()));
        return;
    }
    for (name, year, trusted, expected) in [
        ("localhost", 2999, "cert.pem", "Ok(())"),
        ("elsewhere.example", 2999, "cert.pem", "Err(Misconfigured)"),
        ("localhost", 2020, "cert.pem", "Err(Misconfigured)"),
        ("localhost", 2999, "no-such-file", "Err(Misconfigured)"),
    ] {
        let (server, port, folder) = encrypted_server(name, year).await;
        server.reset_stats().await;
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tls::a_trusted_certificate_works_and_one_for_another_name_or_time_does_not",
            ])
            .arg("--nocapture")
            .env("SSL_CERT_FILE", folder.path().join(trusted))
            .env(TRUSTED_PORT, port.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("checked: {expected}")), "{name}, {year}: {said}");
        if expected != "Ok(())" {
            assert_no_command_of_ours(&server).await;
        }
    }
}

fn config(port: u16) -> RedisConfig {
    RedisConfig::new(format!("rediss://localhost:{port}"))
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_given_one_and_otherwise_told_of() {
    for version in ["TLSv1.2", "TLSv1.3"] {
        let (server, port, folder) = encrypted_server_that("localhost", 2999, "yes").await;
        server.config_set("tls-protocols", version).await;
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let nobody = config(port).ca_file(&certificate);
        let store = RedisStore::new(nobody.clone()).unwrap();
        for error in [
            store.check().await.unwrap_err(),
            store.load(&"A".repeat(43).parse().unwrap()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{version}: {error:?}");
            assert!(error.to_string().contains("client certificate"), "{version}: {error:?}");
        }
        let known = nobody.client_certificate(&certificate, &key);
        let store = RedisStore::new(known).unwrap();
        store.check().await.unwrap_or_else(|error| panic!("{version}: {error:?}"));
        // The files are read by each connection: one that has gone is told of, and no outage.
        fs::remove_file(&certificate).unwrap();
        let error = store.check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{version}: {error:?}");
    }
}

#[test]
fn a_certificate_file_that_cannot_be_used_makes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let wanted = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let good = file("good", &wanted.self_signed(&signing_key).unwrap().pem());
    let key = file("key", &signing_key.serialize_pem());
    let other_key = file("other", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    let (empty, text, missing) =
        (file("empty", ""), file("text", "no PEM"), "/no/such/file".into());
    for bad in [&empty, &text, &missing, &key] {
        for (setting, config) in [
            ("redis ca file", config(1).ca_file(bad)),
            ("redis client certificate", config(1).client_certificate(bad, &key)),
        ] {
            let error = RedisStore::new(config).unwrap_err();
            assert_eq!(error.setting(), setting, "{}: {error:?}", bad.display());
        }
    }
    for bad in [&empty, &good, &other_key] {
        let error = RedisStore::new(config(1).client_certificate(&good, bad)).unwrap_err();
        assert_eq!(error.setting(), "redis client certificate", "{}: {error:?}", bad.display());
    }
    RedisStore::new(config(1).ca_file(&good).client_certificate(&good, &key)).unwrap();
    // Without TLS they would protect nothing.
    RedisStore::new(RedisConfig::from_host("localhost", 1).ca_file(&good)).unwrap_err();
}

#[tokio::test]
async fn the_process_default_of_rustls_is_the_applications() {
    use rustls::crypto::CryptoProvider;
    let (_server, port, folder) = encrypted_server("localhost", 2999).await;
    let store = RedisStore::new(config(port).ca_file(folder.path().join("cert.pem"))).unwrap();
    store.check().await.unwrap();
    assert!(CryptoProvider::get_default().is_none());
}

/// A server that has this certificate, and requires one of `clients`; its TLS port.
async fn mutual(identity: &Identity, clients: &Authority) -> (RedisServer, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let builder = RedisServer::builder()
        .arg("--tls-port", &port.to_string())
        .arg("--tls-cert-file", &text(&identity.certificate_file))
        .arg("--tls-key-file", &text(&identity.key_file))
        .arg("--tls-ca-cert-file", &text(&clients.file()));
    (builder.start().await, port)
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_file_and_by_value_and_each_fault_is_named() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (server, port) = mutual(&ours.issue("localhost", 2999), &ours).await;
    let (client, strange) = (ours.issue("sessions", 2999), other.issue("sessions", 2999));
    let expired = ours.issue("sessions", 2020);
    let with_files = |config: RedisConfig, client: &Identity| {
        config.client_certificate(&client.certificate_file, &client.key_file)
    };
    let with_texts = |config: RedisConfig, client: &Identity| {
        config.client_certificate_pem(client.certificate.clone(), client.key.clone())
    };
    let elsewhere = RedisConfig::new(format!("rediss://127.0.0.1:{port}"));
    for (name, config, expected) in [
        ("files", with_files(config(port).ca_file(ours.file()), &client), None),
        ("texts", with_texts(config(port).ca_pem(ours.pem()), &client), None),
        (
            "another authority",
            with_texts(config(port).ca_pem(other.pem()), &client),
            Some("its issuer is none of the trusted authorities"),
        ),
        (
            "another name",
            with_files(elsewhere.ca_file(ours.file()), &client),
            Some("certificate is for another host name"),
        ),
        (
            "no client certificate",
            config(port).ca_file(ours.file()),
            Some("may require a client certificate"),
        ),
        (
            "a client of another authority",
            with_files(config(port).ca_file(ours.file()), &strange),
            Some("does not trust the client certificate"),
        ),
        (
            "an expired client certificate",
            with_files(config(port).ca_file(ours.file()), &expired),
            Some("rejects the client certificate: it has expired"),
        ),
    ] {
        server.reset_stats().await;
        assert!(!format!("{config:?}").contains("PRIVATE KEY"), "{name}");
        let checked = RedisStore::new(config).unwrap().check().await;
        let Some(expected) = expected else {
            checked.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            continue;
        };
        let error = checked.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{name}: {error:?}");
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert_no_command_of_ours(&server).await;
    }
    let (_server, port) = mutual(&ours.issue("localhost", 2020), &ours).await;
    let config = with_files(config(port).ca_file(ours.file()), &client);
    let error = RedisStore::new(config).unwrap().check().await.unwrap_err();
    assert!(error.to_string().contains("certificate has expired"), "{error}");
}
