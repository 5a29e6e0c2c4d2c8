//! The steps of a trace, and their words.

use super::{
    Change, Durable,
    state::{Command, Sent, Waiter},
};

/// One step. Numbers are those of instances, writes, fills, nodes and generations, in the order of
/// the words.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Label {
    Tick,
    Poll(u8),
    PollStart(u8),
    Load(u8),
    Commit(u8),
    CommitUnknown(u8),
    Conflict(u8),
    Gone(u8),
    CommitRefused(u8),
    ReadGeneration(u8),
    Send(u8),
    CannotSend(u8),
    Refused(u8),
    Execute(Sent),
    Timeout(Sent),
    Bump(u8),
    BumpUnknown(u8),
    BumpRefused(u8),
    AcknowledgeUnpushed(u8),
    Clear(u8),
    Read(u8),
    ReadPast(u8),
    FillStart(u8, u8, u8),
    FillRead(u8),
    FillSend(u8),
    FillDrop(u8),
    SweepRead(u8, u8),
    SweepClear(u8),
    Sync,
    Restart(u8),
    RedisDown(u8),
    RedisEmpty(u8),
    RedisRestore(u8),
    Failover,
    Reconnect(u8, u8),
    HandshakeUnknown(u8, u8),
    Crash(u8),
    Evict(u8, u8, u8),
    ExpireLease(u8, u8, u8),
    DatabaseCut(u8),
    DatabaseBack(u8),
}

/// A step in words.
pub fn words(model: &Durable, label: &Label) -> String {
    let i = |instance: u8| ["A", "B"][instance as usize];
    let w = |write: u8| write_name(model, write);
    let c = |sent: &Sent| sent_words(model, sent);
    match *label {
        Label::Load(a) => format!("{} starts (loads)", w(a)),
        Label::Commit(a) => format!("{}: the database commits", w(a)),
        Label::CommitUnknown(a) => {
            format!("{}: the database commits, the reply is lost; client told 503", w(a))
        }
        Label::Conflict(a) => format!("{}: conflict, rebased", w(a)),
        Label::Gone(a) => format!("{}: the row is dead already", w(a)),
        Label::CommitRefused(a) => format!("{}: database away; client told 503", w(a)),
        Label::ReadGeneration(a) => format!("{}: reads the generation after its commit", w(a)),
        Label::Send(a) => format!("{}: sends its Redis write", w(a)),
        Label::CannotSend(a) => {
            format!("{}: cannot read the generation, or has no usable Redis connection", w(a))
        }
        Label::Refused(a) => format!("{}: Redis refuses the connection", w(a)),
        Label::Execute(sent) => format!("Redis executes: {}", c(&sent)),
        Label::Timeout(sent) => format!("time-out, the command stays on its way: {}", c(&sent)),
        Label::Bump(a) => format!("{}: bumps the generation, acknowledged", w(a)),
        Label::BumpUnknown(a) => {
            format!("{}: bump committed, reply lost; client told 503", w(a))
        }
        Label::BumpRefused(a) => {
            format!("{}: bump impossible, database away; client told 503", w(a))
        }
        Label::AcknowledgeUnpushed(a) => {
            format!("{}: acknowledged although Redis was not written", w(a))
        }
        Label::Clear(a) => format!("{}: journal row cleared", w(a)),
        Label::Read(a) => format!("{} answers: ended", i(a)),
        Label::ReadPast(a) => {
            format!("Redis does not answer {}, which asks the database: ended", i(a))
        }
        Label::FillStart(a, f, id) => {
            format!("a read{} on {} misses (fill {f})", of(1 << id), i(a))
        }
        Label::FillRead(f) => format!("fill {f} reads the database"),
        Label::FillSend(f) => format!("fill {f} sends its command"),
        Label::FillDrop(f) => format!("fill {f} given up"),
        Label::SweepRead(a, id) => {
            format!("sweeper on {} reads the journal and sends{}", i(a), of(1 << id))
        }
        Label::SweepClear(a) => format!("sweeper on {} clears the journal row", i(a)),
        _ => world_words(label),
    }
}

/// Steps of no write, no fill and no sweeper.
fn world_words(label: &Label) -> String {
    let i = |instance: u8| ["A", "B"][instance as usize];
    match *label {
        Label::Tick => "-- a tick passes".into(),
        Label::Poll(a) => format!("{} polls the database", i(a)),
        Label::PollStart(a) => format!("{} begins to poll", i(a)),
        Label::Sync => "(the snapshot / the replica is up to date at this moment)".into(),
        Label::Restart(a) => format!("the process of {} starts again", i(a)),
        Label::RedisDown(_) => "the old primary is stopped".into(),
        Label::RedisEmpty(_) => "Redis crashes and comes back empty".into(),
        Label::RedisRestore(_) => "Redis crashes and comes back from the snapshot".into(),
        Label::Failover => {
            "the replica is promoted; the old primary still serves who is connected to it".into()
        }
        Label::Reconnect(a, n) => format!("{} connects to node {n}", i(a)),
        Label::HandshakeUnknown(a, n) => {
            format!("{} connects to node {n}, its bump is committed, the reply lost", i(a))
        }
        Label::Crash(a) => format!("the process of {} dies", i(a)),
        Label::Evict(n, g, id) => {
            format!("Redis node {n} evicts the entry of generation {g}{}", of(1 << id))
        }
        Label::ExpireLease(n, g, id) => {
            format!("the lease at node {n}, generation {g}{} expires", of(1 << id))
        }
        Label::DatabaseCut(a) => format!("{} is cut from the database", i(a)),
        Label::DatabaseBack(a) => format!("{} reaches the database again", i(a)),
        ref other => format!("{other:?}"),
    }
}

/// Of which ids, where there are two.
fn of(ids: u8) -> &'static str {
    match ids {
        0b10 => " of the heir",
        0b11 => " of both ids",
        _ => "",
    }
}

fn write_name(model: &Durable, write: u8) -> String {
    let (change, instance) = model.writes[write as usize];
    let instance = ["A", "B"][instance as usize];
    match change {
        Change::Save(bit) => format!("save{bit} on {instance}"),
        Change::Logout => format!("logout on {instance}"),
        Change::Move => format!("move on {instance}"),
        Change::LogoutHeir => format!("logout of the heir on {instance}"),
    }
}

fn sent_words(model: &Durable, sent: &Sent) -> String {
    let who = match sent.waiter {
        Waiter::Write(write) => format!("of {}", write_name(model, write)),
        Waiter::Sweeper(instance) => {
            format!("of the sweeper on {}", ["A", "B"][instance as usize])
        }
        Waiter::Nobody => "that nobody waits for".into(),
    };
    let what = match sent.command {
        Command::Put { version, .. } => format!("set v{version}"),
        Command::Kill { ids, version } => format!("delete/tombstone v{version}{}", of(ids)),
        Command::Fill { id, version, .. } => format!("fill v{version}{}", of(1 << id)),
        Command::Absent { .. } => "fill: nothing".into(),
    };
    let Sent { generation, node, incarnation, .. } = sent;
    format!("{what} at generation {generation} {who} (node {node}, run {incarnation})")
}
