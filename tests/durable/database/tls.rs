//! TLS to PostgreSQL: private authorities, client certificates, and each fault by its name.
//!
//! To see these fail: leave the mode of TLS as the address has it; let a connection that was not
//! opened be any lost one; check no certificate, or not its name, where the address says `require`.

use std::fs;

use test_support::{Authority, Database, Identity, PostgresServer};
use tower_redis_session::{DatabaseConfig, DatabaseStore, Error, ErrorKind, store::Store as _};

use super::config;

async fn check(config: DatabaseConfig) -> Result<(), Error> {
    DatabaseStore::new(config).unwrap().check().await
}

/// The address by the name of the server's certificate, with these parameters.
fn address(database: &Database, port: u16, parameters: &str) -> String {
    format!("postgres://postgres@localhost:{port}/{}{parameters}", database.name())
}

fn files(client: &Identity) -> String {
    let (certificate, key) = (client.certificate_file.display(), client.key_file.display());
    format!("&sslcert={certificate}&sslkey={key}")
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_address_and_by_code_and_each_fault_is_named() {
    let (ours, other) = (Authority::new(), Authority::new());
    let identity = ours.issue("localhost", 2999);
    let server = PostgresServer::builder().tls(&identity, &ours).start().await;
    let database = server.database().await;
    let port = server.port();
    // Over TLS there is no way without a client certificate.
    let plain = format!("{}?sslmode=disable", database.url());
    DatabaseStore::new(config(&plain)).unwrap().migrate().await.unwrap();
    let (client, strange) = (ours.issue("sessions", 2999), other.issue("sessions", 2999));
    let expired = ours.issue("sessions", 2020);
    let by_url = |mode: &str, authority: &Authority, client: &str| {
        let root = authority.file();
        let parameters = format!("?sslmode={mode}&sslrootcert={}{client}", root.display());
        config(&address(&database, port, &parameters))
    };
    let by_code = || config(&address(&database, port, ""));
    let with_texts = |config: DatabaseConfig, client: &Identity| {
        config.client_certificate_pem(client.certificate.clone(), client.key.clone())
    };
    let with_files = |config: DatabaseConfig, client: &Identity| {
        config.client_certificate(&client.certificate_file, &client.key_file)
    };
    let elsewhere = || config(&address(&database, port, "").replace("localhost", "127.0.0.1"));
    let require =
        format!("?sslmode=require&sslrootcert={}{}", ours.file().display(), files(&client));
    let require = address(&database, port, &require);
    let untrusted = Some("its issuer is none of the trusted authorities");
    for (name, config, expected) in [
        ("address", by_url("verify-full", &ours, &files(&client)), None),
        ("files", with_files(by_code().ca_file(ours.file()), &client), None),
        ("texts", with_texts(by_code().ca_pem(ours.pem()), &client), None),
        ("another authority", with_texts(by_code().ca_pem(other.pem()), &client), untrusted),
        ("the same by address", by_url("verify-full", &other, &files(&client)), untrusted),
        ("require checks it, too", by_url("require", &other, &files(&client)), untrusted),
        (
            "another name",
            with_files(elsewhere().ca_file(ours.file()), &client),
            Some("certificate is for another host name"),
        ),
        (
            "require checks it, too, by address",
            config(&require.replace("localhost", "127.0.0.1")),
            Some("certificate is for another host name"),
        ),
        ("no client certificate", by_code().ca_file(ours.file()), Some("client certificate")),
        (
            "a client of another authority",
            with_files(by_code().ca_file(ours.file()), &strange),
            Some("does not trust the client certificate"),
        ),
        (
            "an expired client certificate",
            with_files(by_code().ca_file(ours.file()), &expired),
            Some("rejects the client certificate: it has expired"),
        ),
    ] {
        assert!(!format!("{config:?}").contains("PRIVATE KEY"), "{name}");
        let store = DatabaseStore::new(config).unwrap();
        let checked = store.check().await;
        let Some(expected) = expected else {
            checked.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                WHERE application_name = 'tower-redis-session' AND ssl \
                AND client_dn LIKE '%CN=sessions%'";
            assert_eq!(database.sql(encrypted).await, "1", "{name}");
            drop(store);
            test_support::eventually("its connection is closed", async || {
                database.sql(encrypted).await == "0"
            })
            .await;
            continue;
        };
        let error = checked.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{name}: {error:?}");
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    // The files are read by each connection.
    let config = by_url("verify-full", &ours, &files(&client));
    let store = DatabaseStore::new(config).unwrap();
    fs::remove_file(&client.key_file).unwrap();
    let error = store.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert!(error.to_string().contains("client key cannot be read"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_named() {
    let database = PostgresServer::shared().await.database().await;
    let url = format!("{}?sslmode=verify-full", database.url());
    let error = check(config(&url)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert!(error.to_string().contains("does not use TLS"), "{error}");
}

/// A certificate that is configured and would not be used protects nothing.
#[test]
fn certificates_that_would_not_be_used_make_no_store() {
    let ours = Authority::new();
    let client = ours.issue("sessions", 2999);
    let url = |parameters: &str| DatabaseConfig::new(format!("postgres://u@h/d{parameters}"));
    let file = ours.file().display().to_string();
    let (root, identity) = (format!("sslrootcert={file}"), files(&client));
    for (name, config, setting) in [
        ("root without mode", url(&format!("?{root}")), "database address"),
        ("root and prefer", url(&format!("?sslmode=prefer&{root}")), "database address"),
        ("root and disable", url(&format!("?sslmode=disable&{root}")), "database address"),
        (
            "certificate and disable",
            url(&format!("?sslmode=disable{identity}")),
            "database address",
        ),
        (
            "certificate without key",
            url(&format!("?sslmode=require&sslcert={file}")),
            "database address",
        ),
        ("any host passes", url(&format!("?sslmode=verify-ca&{root}")), "database address"),
        ("code and disable", url("?sslmode=disable").ca_file(ours.file()), "database address"),
        ("no such file", url("?sslmode=verify-full&sslrootcert=/no/such/file"), "database ca file"),
        ("no such file by code", url("").ca_file("/no/such/file"), "database ca file"),
        (
            "no key",
            url("").client_certificate_pem(client.certificate.clone(), ours.pem()),
            "database client certificate",
        ),
        (
            "a file has no TLS",
            DatabaseConfig::new("sqlite:x.db").ca_file(ours.file()),
            "database certificates",
        ),
    ] {
        let error = DatabaseStore::new(config).expect_err(name);
        assert_eq!(error.setting(), setting, "{name}: {error}");
    }
    let encoded = file.replace('/', "%2F");
    for parameters in [
        format!("?sslmode=verify-full&{root}{identity}"),
        format!("?sslmode=require&sslrootcert={encoded}"),
        format!("?sslmode=require{identity}"),
    ] {
        DatabaseStore::new(url(&parameters)).unwrap();
    }
}
