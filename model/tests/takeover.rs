//! The take-over of an old session keeps its promises, and each part that is taken out is missed.

use session_protocol_model::{explore::explore, takeover::TakeOver};

const LIMIT: usize = 4_000_000;

fn all() -> TakeOver {
    TakeOver {
        requests: 2,
        crashes: 1,
        logout: true,
        revoke: true,
        written_back: true,
        fresh_nonce: true,
        confirm: true,
        keep: true,
        bar: true,
        bar_first: true,
        epoch_first: true,
    }
}

#[test]
fn every_interleaving_keeps_the_promises() {
    let quiet = TakeOver { revoke: false, logout: false, ..all() };
    for (name, model) in [
        ("two requests", all()),
        ("three requests", TakeOver { requests: 3, ..all() }),
        ("three requests of which none ends", TakeOver { requests: 3, ..quiet }),
    ] {
        let report = explore(&model, LIMIT, &[]);
        println!("{name}: {} states, {} transitions", report.states, report.transitions);
        assert!(report.exhausted, "{name}: more than {LIMIT} states");
        assert!(report.violations.is_empty(), "{name}: {:?}", report.broken());
    }
}

#[test]
fn each_part_that_is_taken_out_is_missed() {
    for (name, model, broken) in [
        ("the new nonce", TakeOver { fresh_nonce: false, ..all() }, "logout-undone"),
        ("the confirmation", TakeOver { confirm: false, ..all() }, "two-sessions"),
        ("the claim after the take-over", TakeOver { keep: false, ..all() }, "two-sessions"),
        ("the bar", TakeOver { bar: false, ..all() }, "survives-revoke-all"),
        ("the order of the writer", TakeOver { bar_first: false, ..all() }, "survives-revoke-all"),
        (
            "the order of the reader",
            TakeOver { epoch_first: false, ..all() },
            "survives-revoke-all",
        ),
    ] {
        let report = explore(&model, LIMIT, &[broken]);
        let depth = report.depth_of(broken);
        println!("without {name}: {broken} after {depth:?} steps");
        assert!(depth.is_some(), "without {name}: {:?}", report.broken());
    }
}
