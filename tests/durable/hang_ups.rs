//! Clients that hang up cost the others nothing, and what they have begun is done.

use std::sync::Arc;

use http::Request;
use tower::{Layer, ServiceExt};
use tower_redis_session::{RedisSessionLayer, hooks::Hooks};

use crate::two_instances::{Settings, TwoInstances, is_dead, layer, learn_again, learn_nothing};
use test_support::{Browser, Inside, eventually, handle};

/// An instance in this process, whose requests can be dropped at any moment, and which learns
/// nothing from now on.
struct Here {
    layer: RedisSessionLayer,
    hooks: Hooks,
}

fn patient(settings: &mut Settings) {
    (settings.lease, settings.poll_interval) = (20_000, 100);
}

impl Here {
    async fn start(duo: &TwoInstances, change: impl Fn(&mut Settings)) -> Self {
        let (hooks, mut settings) = (Hooks::default(), duo.a.settings.clone());
        change(&mut settings);
        let here = Self { layer: layer(&settings, &hooks), hooks };
        eventually("it believes redis", async || {
            let _ = here.ask(&Browser::new(duo.a.process.addr()).await, "/get:n").await;
            here.believes()
        })
        .await;
        here.hooks.hold("poll-answer");
        here.hooks.reached("poll-answer").await;
        here
    }

    fn set_aside(&self) -> usize {
        self.layer.admin().health().copies.unwrap().bypassed
    }

    fn believes(&self) -> bool {
        self.layer.admin().health().copies.unwrap().trusted
    }

    async fn ask(&self, browser: &Browser, path: &str) -> u16 {
        let mut request = Request::get(path);
        if let Some(cookie) = browser.cookie(test_support::COOKIE) {
            request = request.header("cookie", format!("{}={cookie}", test_support::COOKIE));
        } else {
            request =
                request.header("cookie", format!("{}={}", test_support::COOKIE, "A".repeat(43)));
        }
        let inside = Arc::new(Inside::default());
        let site = self.layer.layer(tower::service_fn(move |request: Request<()>| {
            handle(request, Arc::clone(&inside))
        }));
        site.oneshot(request.body(()).unwrap()).await.unwrap().status().as_u16()
    }

    /// Hangs up when the database has committed what `path` asks for.
    async fn hang_up_after_the_commit(&self, browser: &Browser, path: &str) {
        self.hooks.hold("after-commit");
        tokio::select! {
            biased;
            () = self.hooks.reached("after-commit") => {}
            _ = self.ask(browser, path) => panic!("an answer before the commit"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_or_logout_whose_client_hangs_up_is_done_and_no_copy_is_given_up() {
    let duo = TwoInstances::with(patient).await;
    let here = Here::start(&duo, |_| {}).await;
    for (path, ends) in [("/revoke_others", "another"), ("/logout", "its own")] {
        let before = here.set_aside();
        let (alice, own) = duo.settled().await;
        let mut phone = duo.b.browser().await;
        phone.get("/update:n,login:alice").await.expect(200);
        duo.is_copied(&mut phone).await;
        let other = duo.id(&mut phone).await;
        learn_nothing(&[&duo.a, &duo.b]).await;
        let (id, browser) = if ends == "its own" { (&own, &alice) } else { (&other, &phone) };
        here.hang_up_after_the_commit(&alice, path).await;
        assert!(here.believes(), "{path}: a client that hangs up");
        assert!(duo.is_in_redis(id).await, "{path}: there was to be something left to do");
        here.hooks.release("after-commit");
        eventually("redis was told", async || !duo.is_in_redis(id).await).await;
        assert!(here.believes(), "{path}");
        assert_eq!(here.set_aside(), before, "{path}");
        assert!(is_dead(&duo.a, browser).await && is_dead(&duo.b, browser).await, "{path}");
        // Cleared, and not swept.
        duo.journal_is_empty().await;
        learn_again(&[&duo.a, &duo.b]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_that_takes_longer_than_its_budget_is_done_all_the_same() {
    let duo = TwoInstances::with(patient).await;
    let here = Here::start(&duo, |settings| settings.budget = 300).await;
    let (before, (alice, id)) = (here.set_aside(), duo.settled().await);
    learn_nothing(&[&duo.a, &duo.b]).await;
    here.hooks.hold("after-commit");
    assert_eq!(here.ask(&alice, "/logout").await, 503);
    assert!(duo.is_in_redis(&id).await, "there was to be something left to do");
    here.hooks.release("after-commit");
    eventually("redis was told", async || !duo.is_in_redis(&id).await).await;
    assert_eq!(here.set_aside(), before);
    assert!(is_dead(&duo.a, &alice).await && is_dead(&duo.b, &alice).await);
    learn_again(&[&duo.a, &duo.b]).await;
}
