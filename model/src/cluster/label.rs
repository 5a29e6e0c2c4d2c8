//! The steps of a trace, and their words.

use super::{
    Change, Cluster,
    state::{Command, Sent, Waiter},
};

/// One step. Numbers are those of instances, writes, nodes and generations, in the order of the
/// words.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Label {
    Tick,
    Poll(u8),
    Bump(u8, u8),
    BumpUnknown(u8, u8),
    Restart(u8),
    Crash(u8),
    DatabaseCut(u8),
    DatabaseBack(u8),
    Load(u8),
    Commit(u8),
    CommitUnknown(u8),
    Conflict(u8),
    Gone(u8),
    CommitRefused(u8),
    ReadGeneration(u8),
    CannotSend(u8),
    Refused(u8),
    Execute(Sent),
    ExecuteMoving(Sent),
    Moved(Sent),
    Ask(Sent),
    Timeout(Sent),
    AcknowledgeUnpushed(u8),
    Clear(u8),
    FillStart(u8, u8),
    FillRead,
    SweepRead(u8),
    SweepClear(u8),
    Sync(u8),
    Failover(u8),
    Down(u8),
    Evict(u8, u8),
    ExpireLease(u8, u8),
    Start(u8, u8),
    Migrate(u8, u8),
    MigrateLate(u8, u8),
    LateCopy,
    Finish(u8, u8),
    Abort(u8, u8),
}

fn instance(number: u8) -> &'static str {
    ["A", "B"][number as usize]
}

fn node(number: u8) -> &'static str {
    ["X", "Y", "Z"][number as usize]
}

/// A step in words.
pub fn words(model: &Cluster, label: &Label) -> String {
    let (i, n) = (instance, node);
    let w = |write: u8| write_name(model, write);
    let c = |sent: &Sent| sent_words(model, sent);
    match *label {
        Label::Load(a) => format!("{} loads", w(a)),
        Label::Commit(a) => format!("{}: the database commits", w(a)),
        Label::CommitUnknown(a) => format!("{}: the database commits, the reply is lost", w(a)),
        Label::Conflict(a) => format!("{}: conflict, rebased", w(a)),
        Label::Gone(a) => format!("{}: the row is dead already", w(a)),
        Label::CommitRefused(a) => format!("{}: database away", w(a)),
        Label::ReadGeneration(a) => format!("{}: reads the generation and sends", w(a)),
        Label::CannotSend(a) => format!("{}: no node that is vouched for", w(a)),
        Label::Refused(a) => format!("{}: Redis refuses", w(a)),
        Label::Execute(sent) => format!("{} executes {}", n(sent.node), c(&sent)),
        Label::ExecuteMoving(sent) => {
            let text = "and tells that the slot moves, or has moved";
            format!("{} executes {}, {text}", n(sent.node), c(&sent))
        }
        Label::Moved(sent) => format!("{} answers MOVED, or is gone: {}", n(sent.node), c(&sent)),
        Label::Ask(sent) => format!("{} answers ASK: {}", n(sent.node), c(&sent)),
        Label::Timeout(sent) => {
            format!("time-out, still on its way to {}: {}", n(sent.node), c(&sent))
        }
        Label::AcknowledgeUnpushed(a) => format!("{}: acknowledged, not pushed", w(a)),
        Label::Clear(a) => format!("{}: journal row cleared", w(a)),
        Label::FillStart(a, k) => format!("a read on {} misses at {} and leases", i(a), n(k)),
        Label::FillRead => "the fill reads the database and sends".into(),
        Label::SweepRead(a) => format!("sweeper on {} reads and sends", i(a)),
        Label::SweepClear(a) => format!("sweeper on {} clears the journal row", i(a)),
        _ => world_words(label),
    }
}

/// Steps of no write, no fill and no sweeper.
fn world_words(label: &Label) -> String {
    let (i, n) = (instance, node);
    match *label {
        Label::Tick => "-- a tick passes".into(),
        Label::Poll(a) => format!("{} polls", i(a)),
        Label::Bump(a, k) => format!("{} makes a new generation for the slot at {}", i(a), n(k)),
        Label::BumpUnknown(a, k) => {
            format!("{} makes a new generation for the slot at {}, reply lost", i(a), n(k))
        }
        Label::Restart(a) => format!("{} starts again", i(a)),
        Label::Crash(a) => format!("{} dies", i(a)),
        Label::DatabaseCut(a) => format!("{} is cut from the database", i(a)),
        Label::DatabaseBack(a) => format!("{} reaches the database again", i(a)),
        Label::Sync(k) => format!("(the replica of {} is up to date at this moment)", n(k)),
        Label::Failover(k) => {
            format!("Z is promoted in place of {}, which still serves who reaches it", n(k))
        }
        Label::Down(k) => format!("{} is stopped", n(k)),
        Label::Evict(k, g) => format!("{} evicts generation {g}", n(k)),
        Label::ExpireLease(k, g) => format!("the lease at {}, generation {g} expires", n(k)),
        Label::Start(a, b) => format!("the slot starts to move from {} to {}", n(a), n(b)),
        Label::Migrate(a, g) => format!("MIGRATE of the key of generation {g} from {}", n(a)),
        Label::MigrateLate(a, g) => format!(
            "MIGRATE of the key of generation {g} from {} times out: the key stays, the copy is \
             on its way",
            n(a)
        ),
        Label::LateCopy => "the late copy arrives".into(),
        Label::Finish(a, b) => format!("the slot is handed over from {} to {}", n(a), n(b)),
        Label::Abort(a, b) => format!("the move from {} to {} is given up", n(a), n(b)),
        ref other => format!("{other:?}"),
    }
}

fn write_name(model: &Cluster, write: u8) -> String {
    let (change, at) = model.writes[write as usize];
    match change {
        Change::Save(bit) => format!("save{bit} on {}", instance(at)),
        Change::Logout => format!("logout on {}", instance(at)),
    }
}

fn sent_words(model: &Cluster, sent: &Sent) -> String {
    let who = match sent.waiter {
        Waiter::Write(write) => format!("of {}", write_name(model, write)),
        Waiter::Sweeper(at) => format!("of the sweeper on {}", instance(at)),
        Waiter::Nobody => "that nobody waits for".into(),
    };
    let what = match sent.command {
        Command::Put { version, .. } => format!("PUT v{version}"),
        Command::Kill { version } => format!("KILL v{version}"),
        Command::Fill { version, .. } => format!("FILL v{version}"),
    };
    format!("{what} at generation {} {who}", sent.generation)
}
