//! Explores the models and prints what was found. See the README for what each run shows.

use std::{env, process::ExitCode};

use session_protocol_model::{
    durable::{Durable, Fault},
    runs::{
        ablations::ablations, browser, case::Case, cluster, every_fault, holes::holes, report,
        sign_in, small, verification::configurations,
    },
};

const USAGE: &str = "\
holes [NAME]                                   the first design's holes, with traces
ablate [NAME]                                  the protocol without one of its parts
small                                          update, users, renewals, activity
browser                                        requests of one browser that overlap
verify NAME [FAULTS] [LIMIT]                   the protocol with every fault, or every pair
failover NAME [GENERATIONS] [LIMIT]            one failover, bounded bumps
sign-in                                        study: a sign-in on a cluster
cluster-bind [LIMIT] [traces]                  study: what a generation is bound to
cluster-ablate [LIMIT] [traces]                study: the protocol on a cluster, without a part
cluster-verify [LIMIT] [WRITES] [MOVES] [FAULTS]";

/// States of one exploration, unless told otherwise.
const LIMIT: usize = 60_000_000;
const CLUSTER_LIMIT: usize = 12_000_000;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), String> {
    let text = |at: usize| args.get(at).map(String::as_str).unwrap_or_default();
    let traces = text(2) == "traces";
    match text(0) {
        "holes" => print_cases(holes(), text(1), false),
        "ablate" => print_cases(ablations(), text(1), true),
        "small" => small::print(),
        "browser" => browser::print(),
        "verify" => verify(text(1), number(args, 2, 2)?, number(args, 3, LIMIT)?)?,
        "failover" => failover(text(1), number(args, 2, 2)?, number(args, 3, LIMIT)?)?,
        "sign-in" => sign_in::print(),
        "cluster-bind" => cluster::print_binds(number(args, 1, CLUSTER_LIMIT)?, traces),
        "cluster-ablate" => cluster::print_ablations(number(args, 1, CLUSTER_LIMIT)?, traces),
        "cluster-verify" => {
            let writes = if text(2).is_empty() { "logout" } else { text(2) };
            let limit = number(args, 1, CLUSTER_LIMIT)?;
            cluster::print_verification(limit, writes, number(args, 3, 2)?, number(args, 4, 1)?)?;
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

/// The argument at that place, or the default.
fn number<T: std::str::FromStr>(args: &[String], at: usize, default: T) -> Result<T, String> {
    let Some(text) = args.get(at) else { return Ok(default) };
    text.parse().map_err(|_| format!("not a number here: {text}"))
}

/// The cases whose name contains this, up to the violation that each is about, with its trace.
fn print_cases(cases: Vec<Case>, name: &str, lean: bool) {
    for case in cases.iter().filter(|case| case.name.contains(name)) {
        let model = Durable { lean, ..case.model() };
        report::print(case.name, &model, case.stop, LIMIT, case.stop);
    }
}

fn configuration(name: &str) -> Result<Case, String> {
    let all = configurations();
    let names: Vec<&str> = all.iter().map(|case| case.name).collect();
    all.iter()
        .find(|case| case.name == name)
        .cloned()
        .ok_or_else(|| format!("no such configuration; there are: {names:#?}"))
}

/// With more than two faults one exploration, in which each may happen as often as its case says.
fn verify(name: &str, faults: u8, limit: usize) -> Result<(), String> {
    let case = configuration(name)?;
    if faults <= 2 {
        every_fault::run(&case, faults, limit);
        return Ok(());
    }
    let fill_starts = if case.writes.len() > 1 { 1 } else { 2 };
    let model = Durable { total: faults, fill_starts, ..case.lean_model(&case.faults) };
    report::explore_and_print(case.name, &model, &[], limit);
    Ok(())
}

/// One failover, and so many generations in all, so that a war of bumps is bounded.
fn failover(name: &str, generations: u8, limit: usize) -> Result<(), String> {
    let case = configuration(name)?;
    let model = Durable { generations, ..case.lean_model(&[(Fault::Failover, 1)]) };
    let name = format!("{} | failover, {generations} generations", case.name);
    report::explore_and_print(&name, &model, &[], limit);
    Ok(())
}
