//! The steps of a trace.

use super::Kind;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    Send,
    Load,
    LoadStale,
    /// With the new cookie, of a session whose second step has not happened.
    LoadHalf,
    /// The second step, by whoever comes first.
    FinishFirst,
    Save,
    Begin,
    Finish,
    FinishReplyLost,
    FinishFails,
    Create,
    End,
    Revoke,
    Nothing,
    Arrive,
}

/// A step of the request of that number and kind, or of the clock.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Label {
    Of(u8, Kind, Step),
    Unpushed(u8, Kind, Step),
    LeaseEnds,
    GraceEnds(u8),
}
