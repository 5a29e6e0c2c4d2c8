use crate::{request::write_queue::*, session::token::Token};

const LIMIT: Duration = Duration::from_millis(500);

fn id() -> SessionId {
    Token::generate().unwrap().id()
}

/// A write of version 1 in progress.
fn begun() -> (Arc<WriteQueues>, SessionId, WriteInProgress) {
    let (queues, id) = (Arc::<WriteQueues>::default(), id());
    let write = queues.begin(id, &Arc::new(Record::example()), LIMIT).unwrap();
    (queues, id, write)
}

fn join(queues: &WriteQueues, id: &SessionId, user: &str) -> Joining {
    let base = queues.latest(id).unwrap();
    let record = Record { user: Some(user.into()), version: 77, ..Record::clone(&base) };
    queues.join(id, &base, record).unwrap()
}

fn user(record: &Record) -> &str {
    record.user().unwrap()
}

#[test]
fn all_that_joined_is_one_write_of_the_next_version_and_then_there_is_none() {
    let (queues, id, write) = begun();
    assert!(queues.begin(id, &Arc::new(Record::example()), LIMIT).is_none(), "one is in progress");
    let (mut bob, mut carol) = (join(&queues, &id, "bob"), join(&queues, &id, "carol"));
    let (write, batch) = write.saved(LIMIT).unwrap();
    assert_eq!((batch.record.version, user(&batch.record)), (2, "carol"));
    let mut dave = join(&queues, &id, "dave");
    assert!(bob.joined.try_recv().is_err(), "told before it is stored");
    let (write, next) = write.saved(LIMIT).unwrap();
    let record = Arc::clone(&batch.record);
    batch.notify(&Joined::Saved(record));
    for joined in [&mut bob, &mut carol] {
        assert!(
            matches!(joined.joined.try_recv(), Ok(Joined::Saved(record)) if user(&record) == "carol")
        );
    }
    assert_eq!((next.record.version, user(&next.record)), (3, "dave"));
    assert!(write.saved(LIMIT).is_none() && queues.latest(&id).is_none());
    drop(next);
    assert!(dave.joined.try_recv().is_err(), "neither stored nor not");
}

#[test]
fn a_change_joins_only_on_top_of_all_that_joined_before() {
    let (queues, id, _write) = begun();
    let base = queues.latest(&id).unwrap();
    let _bob = join(&queues, &id, "bob");
    assert!(queues.join(&id, &base, Record::example()).is_none());
    assert_eq!(user(&queues.latest(&id).unwrap()), "bob");
    assert!(queues.join(&self::id(), &base, Record::example()).is_none(), "another session");
}

#[test]
fn what_joined_a_write_that_failed_was_not_saved() {
    let current = Arc::new(Record::example());
    for (name, known) in [("a conflict", Some(current)), ("dropped", None)] {
        let (queues, id, write) = begun();
        let mut bob = join(&queues, &id, "bob");
        match &known {
            Some(current) => write.not_saved(Some(Arc::clone(current))),
            None => drop(write),
        }
        let Ok(Joined::NotSaved(found)) = bob.joined.try_recv() else { panic!("{name}") };
        assert_eq!(found.is_some(), known.is_some(), "{name}");
        assert!(queues.latest(&id).is_none(), "{name}");
    }
}

#[test]
fn a_write_that_has_ended_takes_no_later_one_along() {
    let (queues, id, write) = begun();
    assert!(write.saved(LIMIT).is_none());
    let later = queues.begin(id, &Arc::new(Record::example()), LIMIT).unwrap();
    assert!(queues.latest(&id).is_some());
    later.not_saved(None);
    assert!(queues.latest(&id).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_takes_too_long_is_abandoned_with_what_is_not_in_it() {
    let (queues, id, write) = begun();
    let (mut bob, mut carol) = (join(&queues, &id, "bob"), join(&queues, &id, "carol"));
    queues.abandon(&id, &bob);
    assert!(bob.joined.try_recv().is_err(), "it has time left");
    tokio::time::advance(LIMIT).await;
    queues.abandon(&id, &bob);
    for joining in [&mut bob, &mut carol] {
        assert!(matches!(joining.joined.try_recv(), Ok(Joined::NotSaved(None))));
    }
    let later = queues.begin(id, &Arc::new(Record::example()), LIMIT).unwrap();
    assert!(write.saved(LIMIT).is_none(), "abandoned");
    let mut dave = join(&queues, &id, "dave");
    queues.abandon(&id, &bob);
    let (task, batch) = later.saved(LIMIT).unwrap();
    let mut erin = join(&queues, &id, "erin");
    tokio::time::advance(LIMIT).await;
    assert!(queues.latest(&id).is_none(), "joined after its time");
    assert!(matches!(erin.joined.try_recv(), Ok(Joined::NotSaved(None))));
    assert!(dave.joined.try_recv().is_err(), "it may be stored");
    assert!(task.saved(LIMIT).is_none());
    batch.notify(&Joined::NotSaved(None));
}
