//! The metrics of the report, and the alert rules on them, judged by Prometheus' `promtool`.
//!
//! To see these fail: leave out a help line; let two layers share a series; report a store that
//! does not reply as up.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use test_support::{RedisServer, Site, eventually, promtool, signed_in};
use tower_redis_session::{
    DatabaseConfig, DurableStore, RedisConfig, RedisSessionLayer, RedisStore, store::Store as _,
    telemetry::Report,
};

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring/alerts.yml")
}

fn report(site: &Site) -> Report {
    site.layer.admin().report().named("pages")
}

/// The value of each series.
fn series(text: &str) -> BTreeMap<String, String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = samples.map(|line| line.rsplit_once(' ').unwrap());
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The alerts that fire, by name and store, in an outage of three minutes: one minute in advance,
/// at its end, and two minutes later. Prometheus scrapes what the reports say.
fn test_of_rules(phases: [&Report; 3], firing: &[(&str, &str)]) -> Value {
    let texts = phases.map(Report::to_metrics);
    for text in &texts {
        let said = promtool(&["check", "metrics"], text);
        assert_eq!(said, (true, String::new()), "{text}");
    }
    let [before, during, after] = texts.map(|text| series(&text));
    let input: Vec<_> = during
        .iter()
        .map(|(key, value)| {
            let of = |phase: &BTreeMap<String, String>| phase.get(key).unwrap_or(value).clone();
            let (before, after) = (of(&before), of(&after));
            let name = match key.split_once('{') {
                Some((name, labels)) => format!("{name}{{instance=\"a\",job=\"shop\",{labels}"),
                None => format!("{key}{{instance=\"a\",job=\"shop\"}}"),
            };
            json!({"series": name, "values": format!("{before}+0x3 {value}+0x11 {after}+0x7")})
        })
        .collect();
    let at = |time: &str, samples: &[(&str, &str)]| {
        let samples = samples.iter().map(|(name, store)| {
            let store = if store.is_empty() { "" } else { &format!(", store=\"{store}\"") };
            json!({"labels": format!("{{alertname=\"{name}\"{store}}}"), "value": 1})
        });
        let samples: Vec<_> = samples.collect();
        let expr = "count by (alertname, store) (ALERTS{alertstate=\"firing\"})";
        json!({"expr": expr, "eval_time": time, "exp_samples": samples})
    };
    let tests = [at("45s", &[]), at("3m45s", firing), at("5m45s", &[])];
    json!({"interval": "15s", "input_series": input, "promql_expr_test": tests})
}

fn holds(tests: &[Value]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.yml");
    let content =
        json!({"rule_files": [rules()], "evaluation_interval": "15s", "tests": tests}).to_string();
    std::fs::write(&file, &content).unwrap();
    let words = ["test".as_ref(), "rules".as_ref(), file.as_os_str()];
    let (fine, said) = promtool(&words, "");
    assert!(fine, "{said}\n{content}");
}

#[tokio::test]
async fn a_killed_redis_fires_the_alert_that_tells_users_are_affected_only_where_they_are() {
    let (alone, cache) = (RedisServer::start().await, RedisServer::start().await);
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let durable =
        DurableStore::builder(RedisConfig::new(cache.durable_url()), DatabaseConfig::new(database));
    let durable = durable.build().unwrap();
    durable.migrate().await.unwrap();
    let store = RedisStore::new(RedisConfig::new(alone.url())).unwrap();
    let sites = [
        Site::on_store(store, |builder| builder).await,
        Site::on_store(durable, |builder| builder).await,
    ];
    let browsers = [signed_in(&sites[0]).await, signed_in(&sites[1]).await];
    let trusted = || report(&sites[1]).health().copies.as_ref().unwrap().trusted;
    eventually("trust", async || trusted()).await;
    let before = [report(&sites[0]), report(&sites[1])];

    alone.kill();
    cache.kill();
    for (site, browser, status) in [(&sites[0], &browsers[0], 503), (&sites[1], &browsers[1], 200)]
    {
        eventually("the outage", async || {
            let visit = site.visit("/get:cart", &browser.cookie_header()).await;
            assert!(visit.status() == 200 || status == 503, "{}", visit.status());
            let redis = site.layer.admin().health().redis.unwrap();
            visit.status() == status && redis.unavailable_for.is_some()
        })
        .await;
    }
    let during = [report(&sites[0]), report(&sites[1])];

    alone.restart().await;
    cache.restart().await;
    for (site, browser) in sites.iter().zip(&browsers) {
        eventually("the return", async || {
            let visit = site.visit("/get:cart", &browser.cookie_header()).await;
            let redis = site.layer.admin().health().redis.unwrap();
            visit.status() == 200 && redis.unavailable_for.is_none()
        })
        .await;
    }
    eventually("trust", async || trusted()).await;
    let after = [report(&sites[0]), report(&sites[1])];

    let phases = |of: usize| [&before[of], &during[of], &after[of]];
    holds(&[
        test_of_rules(phases(0), &[("SessionStoreDown", "redis"), ("SessionsUnavailable", "")]),
        test_of_rules(phases(1), &[("SessionStoreDown", "redis")]),
    ]);
}

#[tokio::test]
async fn promtool_has_no_word_to_say_about_the_metrics_of_two_layers_over_one_store() {
    let redis = RedisServer::start().await;
    let store = Arc::new(RedisStore::new(RedisConfig::new(redis.url())).unwrap());
    let layer = |store: &Arc<RedisStore>| RedisSessionLayer::builder(Arc::clone(store)).build();
    let (pages, api) = (layer(&store).unwrap(), layer(&store).unwrap());
    pages.check().await.unwrap();
    let reports = |names: [&str; 2]| {
        let reports = [pages.admin().report(), api.admin().report()];
        let [pages, api] = reports;
        [pages.named(names[0]), api.named(names[1])]
    };
    for names in [["pages", "api"], ["same", "same"], ["\"quoted\\\n", ""]] {
        let text = Report::to_metrics_of(&reports(names));
        assert_eq!(promtool(&["check", "metrics"], &text), (true, String::new()), "{text}");
    }
}

#[test]
fn the_alert_rules_are_valid() {
    let (fine, said) = promtool(&["check".as_ref(), "rules".as_ref(), rules().as_os_str()], "");
    assert!(fine, "{said}");
}
