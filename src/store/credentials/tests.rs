use std::{
    future::{pending, ready},
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::{future::join_all, poll};
use tokio::{sync::oneshot, time::advance};

use crate::store::credentials::*;

/// A source, and the number of its calls.
fn counted<R>(call: impl Fn(usize) -> R + Send + Sync + 'static) -> (CredentialSource, Count)
where
    R: Future<Output = Result<ServerCredentials, Error>> + Send + 'static,
{
    let count = Count::default();
    let calls = Arc::clone(&count);
    (CredentialSource::new(move || call(calls.fetch_add(1, Ordering::SeqCst) + 1)), count)
}

type Count = Arc<AtomicUsize>;

fn numbered(number: usize) -> Result<ServerCredentials, Error> {
    Ok(ServerCredentials::new(format!("secret {number}")))
}

#[tokio::test(start_paused = true)]
async fn connections_opened_together_share_a_call_and_later_ones_do_not() {
    let (source, calls) = counted(|number| async move {
        tokio::task::yield_now().await;
        numbered(number)
    });
    let all = join_all((0..32).map(|_| source.obtain("redis")));
    let obtained = tokio::time::timeout(LIMIT, all).await.unwrap();
    assert!(obtained.iter().all(|given| given.as_ref().unwrap().password == "secret 1"));
    advance(REUSED).await;
    assert_eq!(source.obtain("redis").await.unwrap().password, "secret 2");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_call_that_is_slower_than_its_caller_serves_the_next_one() {
    let (reply, wait) = oneshot::channel();
    let wait = Mutex::new(Some(wait));
    let (source, calls) = counted(move |number| {
        let wait = wait.lock().unwrap().take();
        async move {
            let _ = wait.unwrap().await;
            numbered(number)
        }
    });
    let mut first = Box::pin(source.obtain("redis"));
    assert!(poll!(&mut first).is_pending() && source.is_called());
    drop(first);
    let mut second = Box::pin(source.obtain("redis"));
    assert!(poll!(&mut second).is_pending());
    reply.send(()).unwrap();
    assert_eq!(second.await.unwrap().password, "secret 1");
    assert!(calls.load(Ordering::SeqCst) == 1 && !source.is_called());
}

#[tokio::test(start_paused = true)]
async fn a_result_that_no_caller_has_received_is_kept_for_one() {
    for (expires_in, reused) in [(None, true), (Some(Duration::from_millis(1)), false)] {
        let (reply, wait) = oneshot::channel();
        let wait = Mutex::new(Some(wait));
        let (source, calls) = counted(move |number| {
            let wait = wait.lock().unwrap().take();
            async move {
                if let Some(wait) = wait {
                    let _ = wait.await;
                }
                let mut credentials = numbered(number)?;
                credentials.expires_in = expires_in;
                Ok(credentials)
            }
        });
        let mut slow = Box::pin(source.obtain("redis"));
        assert!(poll!(&mut slow).is_pending());
        drop(slow);
        reply.send(()).unwrap();
        while source.is_called() {
            tokio::task::yield_now().await;
        }
        // Longer than any result is reused.
        advance(3 * REUSED).await;
        let first = source.obtain("redis").await.unwrap().password;
        assert_eq!(first, if reused { "secret 1" } else { "secret 2" });
        // One caller has it now.
        advance(REUSED).await;
        let calls_before = calls.load(Ordering::SeqCst);
        source.obtain("redis").await.unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), calls_before + 1);
    }
}

#[tokio::test]
async fn a_call_that_panics_is_a_failed_one() {
    let (source, calls) = counted(|number| async move {
        assert_eq!(number, 0, "a fault of the function");
        numbered(number)
    });
    let other = source.clone();
    let panicked = tokio::spawn(async move { other.obtain("redis").await.map(drop) }).await;
    assert!(panicked.unwrap_err().is_panic());
    let error = source.obtain("redis").await.map(drop).unwrap_err();
    assert_eq!((error.kind(), calls.load(Ordering::SeqCst)), (ErrorKind::Unavailable, 1));
    assert!(error.source().unwrap().to_string().contains("panicked") && !source.is_called());
}

#[tokio::test]
async fn a_call_whose_runtime_has_ended_keeps_no_caller_waiting() {
    let (source, _) = counted(|number| async move {
        if number == 1 {
            pending::<()>().await;
        }
        numbered(number)
    });
    let other = source.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert!(poll!(Box::pin(other.obtain("redis"))).is_pending());
        });
    });
    ended.await.unwrap();
    let obtained = tokio::time::timeout(LIMIT / 2, source.obtain("redis")).await;
    assert_eq!(obtained.unwrap().unwrap().password, "secret 2");
}

#[tokio::test]
async fn a_failed_call_is_typed_named_and_prints_its_cause() {
    let failing = |error: fn() -> Box<dyn StdError + Send + Sync>| {
        CredentialSource::new(move || ready(Err(error())))
    };
    for (source, kind, cause) in [
        (failing(|| io::Error::other("no route").into()), ErrorKind::Unavailable, "no route"),
        (
            failing(|| Error::new(ErrorKind::Misconfigured, "no such role").into()),
            ErrorKind::Misconfigured,
            "no such role",
        ),
        // They would be read as a statement about the session.
        (
            failing(|| Error::new(ErrorKind::Corrupt, "no token").into()),
            ErrorKind::Unavailable,
            "no token",
        ),
        (
            failing(|| Error::new(ErrorKind::Unsupported, "no vault").into()),
            ErrorKind::Unavailable,
            "no vault",
        ),
    ] {
        let error = source.obtain("redis").await.map(drop).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(error.to_string(), "the function for the redis credentials failed");
        assert_eq!(error.source().unwrap().to_string(), cause);
    }
    let source = CredentialSource::new(|| ready(numbered(1)));
    assert_eq!(format!("{source:?}"), "CredentialSource(..)");
}
