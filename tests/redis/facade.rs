//! What is recorded through the `metrics` facade, as an exporter for Prometheus shows it.
//!
//! To see these fail: record a load that no token asked for; take a time-out for a reply; leave a
//! metric undescribed; count a rejection that was none.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use http::{Request, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use test_support::{
    COOKIE, FaultProxy, Mode, RedisServer, Site, eventually, patient, promtool, signed_in,
};
use tower::{ServiceBuilder, ServiceExt as _};
use tower_redis_session::{
    DatabaseConfig, DurableStore, MemoryStore, RedisConfig, RedisSessionLayer, csrf::CsrfLayer,
    guard::RequireLayer, store::Store as _,
};

fn recorder() -> (PrometheusRecorder, PrometheusHandle) {
    let buckets = [0.001, 0.01, 0.1, 1.0];
    let builder = PrometheusBuilder::new().with_recommended_naming(true);
    let recorder = builder.set_buckets(&buckets).unwrap().build_recorder();
    let handle = recorder.handle();
    (recorder, handle)
}

/// The number of a series, by name and labels in any order; 0 without one.
fn number(handle: &PrometheusHandle, name: &str, labels: &[(&str, &str)]) -> u64 {
    let text = handle.render();
    let wanted: BTreeSet<_> = labels.iter().map(|(key, is)| format!("{key}=\"{is}\"")).collect();
    let found = text.lines().find_map(|line| {
        let (series, number) = line.rsplit_once(' ')?;
        let (family, rest) = series.split_once('{').unwrap_or((series, "}"));
        let rest: BTreeSet<_> =
            rest.trim_end_matches('}').split(',').filter(|one| !one.is_empty()).collect();
        let same = rest.iter().copied().eq(wanted.iter().map(String::as_str));
        (family == name && same).then(|| number.parse().unwrap())
    });
    found.unwrap_or_default()
}

fn operations(handle: &PrometheusHandle, operation: &str, error: Option<&str>) -> u64 {
    let labels = [("session_store", "redis"), ("session_operation", operation)];
    let error = error.map(|error| ("error_type", error));
    let labels: Vec<_> = labels.into_iter().chain(error).collect();
    number(handle, "session_operation_duration_seconds_count", &labels)
}

fn calls(handle: &PrometheusHandle, command: &str, error: Option<&str>) -> u64 {
    let labels = [("db_system_name", "redis"), ("db_operation_name", command)];
    let error = error.map(|error| ("error_type", error));
    let labels: Vec<_> = labels.into_iter().chain(error).collect();
    number(handle, "db_client_operation_duration_seconds_count", &labels)
}

#[tokio::test]
async fn a_request_is_measured_once_by_what_it_does_and_how_it_ends() {
    let (recorder, handle) = recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let limit = Duration::from_millis(150);
    let config = RedisConfig::new(redis.url_at(proxy.port()));
    let config = config.connect_timeout(limit).command_timeout(limit);
    let site = Site::on(config, |builder| builder.budget(Duration::from_millis(400))).await;
    let browser = signed_in(&site).await;
    let cookie = browser.cookie_header();
    let visit = async |path: &str, cookie: &str| site.visit(path, cookie).await.status().as_u16();
    let counts = || {
        let done = ["load", "commit", "update"].map(|name| operations(&handle, name, None));
        let redis = ["GET", "EVALSHA"].map(|command| calls(&handle, command, None));
        (done, redis)
    };

    for (path, cookie, done, redis) in [
        ("/say:hello", &*cookie, [0, 0, 0], [0, 0]),
        ("/get:cart", "", [0, 0, 0], [0, 0]),
        ("/get:cart,user", &cookie, [1, 0, 0], [1, 0]),
        ("/insert:a:1", &cookie, [1, 1, 0], [1, 1]),
        ("/update:n", &cookie, [1, 0, 1], [1, 1]),
    ] {
        let before = counts();
        assert_eq!(visit(path, cookie).await, 200, "{path}");
        let now = counts();
        let since = |now: &[u64], before: &[u64]| {
            now.iter().zip(before).map(|(now, before)| now - before).collect::<Vec<_>>()
        };
        assert_eq!(since(&now.0, &before.0), done, "{path} {cookie}");
        assert_eq!(since(&now.1, &before.1), redis, "{path} {cookie}");
    }

    // It hangs: the command's own limit ends the first wait, and the next ones get no connection.
    proxy.set(Mode::BlackHole);
    for _ in 0..3 {
        assert_eq!(visit("/get:cart", &cookie).await, 503);
    }
    assert_eq!(operations(&handle, "load", Some("unavailable")), 3);
    assert!(calls(&handle, "GET", Some("timeout")) >= 1, "{}", handle.render());
    let pool = [("db_client_connection_pool_name", "redis")];
    assert!(number(&handle, "db_client_connection_wait_time_seconds_count", &pool) >= 2);
    let down = [("session_event", "store_down")];
    assert_eq!(number(&handle, "session_events_total", &down), 1);
    proxy.set(Mode::Pass);
    eventually("the return", async || visit("/get:cart", &cookie).await == 200).await;

    // It is slow: only the budget ends the wait.
    let slow = Site::on(patient(&redis.url_at(proxy.port())), |builder| {
        builder.budget(Duration::from_millis(50))
    })
    .await;
    assert_eq!(slow.visit("/get:cart", &cookie).await.status(), 200);
    proxy.set(Mode::HoldRequests);
    assert_eq!(slow.visit("/get:cart", &cookie).await.status(), 503);
    let exceeded = [("session_store", "redis")];
    assert_eq!(number(&handle, "session_budget_exceeded_total", &exceeded), 1);
    proxy.set(Mode::Pass);
}

#[tokio::test]
async fn rejections_and_conflicts_are_counted_by_cause() {
    let (recorder, handle) = recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let inner = tower::service_fn(async |_: Request<_>| {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let guarded = ServiceBuilder::new().layer(layer.clone()).layer(RequireLayer::user());
    let denied = guarded.service(inner).oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!(denied.status(), 401);
    let by_guard = [("session_rejected_by", "guard"), ("error_type", "unauthenticated")];
    assert_eq!(number(&handle, "session_rejections_total", &by_guard), 1);

    let inner = tower::service_fn(async |_: Request<_>| {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let csrf = CsrfLayer::builder().build().unwrap();
    let checked = ServiceBuilder::new().layer(layer).layer(csrf).service(inner);
    let forged = Request::post("/").header("sec-fetch-site", "cross-site");
    let forged = forged.body(String::new()).unwrap();
    assert_eq!(checked.oneshot(forged).await.unwrap().status(), 403);
    let by_csrf = [("session_rejected_by", "csrf"), ("error_type", "csrf_failed")];
    assert_eq!(number(&handle, "session_rejections_total", &by_csrf), 1);
}

/// Every metric there is, from a durable store whose Redis dies.
#[tokio::test]
async fn every_metric_is_described_documented_and_valid_and_the_dashboard_shows_no_other() {
    let (recorder, handle) = recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let redis_config = RedisConfig::new(redis.durable_url());
    let store = DurableStore::builder(redis_config, DatabaseConfig::new(file)).build().unwrap();
    store.migrate().await.unwrap();
    let site = Site::on_store(store, |builder| builder).await;
    let browser = signed_in(&site).await;
    let cookie = browser.cookie_header();
    let trusted = || site.layer.admin().health().copies.unwrap().trusted;
    eventually("trust", async || trusted()).await;
    let read =
        |result| number(&handle, "session_copy_reads_total", &[("session_copy_result", result)]);
    let hits = read("hit");
    join_all((0..4).map(|_| site.visit("/get:cart", &cookie))).await;
    eventually("a hit", async || {
        site.visit("/get:cart", &cookie).await.status() == 200 && read("hit") > hits
    })
    .await;
    redis.kill();
    eventually("the fallback", async || {
        site.visit("/update:n", &cookie).await.status() == 200 && read("bypassed") > 0
    })
    .await;
    for (by, code) in [("guard", "unauthenticated"), ("csrf", "csrf_failed")] {
        metrics::counter!("session.rejections", "session.rejected_by" => by, "error.type" => code)
            .increment(1);
    }
    let text = handle.render();
    let said = promtool(&["check", "metrics"], &text);
    assert_eq!(said, (true, String::new()), "{text}");
    assert!(!text.contains(cookie.trim_start_matches(&format!("{COOKIE}="))), "no token");

    let report = site.layer.admin().report().to_metrics();
    let families: BTreeMap<&str, &str> = text
        .lines()
        .chain(report.lines())
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let run_book = std::fs::read_to_string(root.join("docs/run-book.md")).unwrap();
    for family in families.keys() {
        let described = |text: &str| text.contains(&format!("# HELP {family} "));
        assert!(described(&text) || described(&report), "{family} is not described");
        assert!(run_book.contains(&format!("`{family}")), "the run-book lacks {family}");
    }
    let names = |text: &str| -> BTreeSet<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.split(|c: char| !is_part(c));
        let named = words.filter(|word| {
            ["session_", "db_client_"].iter().any(|prefix| word.starts_with(prefix))
        });
        named.map(str::to_owned).collect()
    };
    // Labels, and metrics that come only after a time-out.
    let others = [
        "session_event",
        "session_operation",
        "session_store",
        "session_copy_result",
        "session_rejected_by",
        "session_budget_exceeded_total",
        "db_client_connection_timeouts_total",
        "db_client_connection_pool_name",
    ];
    for file in ["alerts.yml", "dashboard.json"] {
        let file = std::fs::read_to_string(root.join("docs/monitoring").join(file)).unwrap();
        for name in names(&file) {
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
            let known = families.contains_key(name.as_str())
                || base.is_some_and(|base| families.contains_key(base))
                || others.contains(&name.as_str());
            assert!(known, "{name} is no metric");
        }
    }
}
