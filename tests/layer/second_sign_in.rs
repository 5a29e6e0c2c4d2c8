//! Two sign-ins from one browser at the same time: the second one finds the session moved.

use test_support::faulty_store::{FaultyStore, Gate};

use crate::overlap::{LOGIN, LOGOUT, START, look, visitor_with};

/// It takes along what the session was when it moved, unless that has ended since it was read.
#[tokio::test]
async fn a_second_sign_in_takes_nothing_from_a_session_that_was_logged_out_meanwhile() {
    for logged_out in [false, true] {
        let store = FaultyStore::new();
        let mut visitor = visitor_with(&store, START).await;
        let mut first = visitor.clone();
        assert_eq!(first.ask(LOGIN).await.status(), 200);
        let gate = Gate::new();
        let held = gate.clone();
        let second = visitor.ask(move |s| async move {
            assert_eq!(s.keys().await?, ["n"], "what has moved is read for a while");
            held.pass().await;
            s.login("alice").await.map(|()| "in".into())
        });
        let meanwhile = async {
            gate.arrived().await;
            if logged_out {
                assert_eq!(first.ask(LOGOUT).await.status(), 200);
            }
            gate.open();
        };
        let (second, ()) = tokio::join!(second, meanwhile);
        assert_eq!(second.status(), 200);
        let expected = if logged_out { "-  alice" } else { "1 n alice" };
        assert_eq!(visitor.ask(look).await.text(), expected, "logged out: {logged_out}");
    }
}
