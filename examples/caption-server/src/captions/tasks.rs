//! Works on caption tasks: at most three at once, in the order in which they were started.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use image::GenericImageView as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_redis_session::directory::PlatformInfo;

use crate::{
    captions::{
        Captioner,
        picture::Picture,
        settings::{Rejected, Settings},
    },
    data::{
        Data, DataError,
        tasks::{Started, TaskResult, TaskStatus},
    },
    failure::Failure,
    web::upload::{Sent, Upload},
};

const AT_ONCE: usize = 3;
/// Each has its pictures on the disk: 64 MiB at most.
const WAITING: usize = 32;
/// For a place among those that wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a task says that it is worked on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// The tasks of this process. Clones share them.
#[derive(Clone)]
pub(crate) struct Tasks(Arc<Inner>);

struct Inner {
    data: Data,
    captioner: Box<dyn Captioner>,
    running: Semaphore,
    /// Pictures in memory: also those of tasks that were cancelled, until their work is done.
    decoded: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    cancels: Mutex<HashMap<String, CancellationToken>>,
    tracker: TaskTracker,
    ending: CancellationToken,
}

/// One task under way.
struct Work {
    user: String,
    task: String,
    upload: Upload,
    settings: Settings,
    cancel: CancellationToken,
    _place: OwnedSemaphorePermit,
}

/// How the work on a task came to its end.
enum End {
    Completed(String),
    Failed(String),
    /// Somebody has ended it meanwhile.
    Over,
}

impl Tasks {
    pub(crate) fn new(data: Data, captioner: Box<dyn Captioner>) -> Self {
        Self(Arc::new(Inner {
            data,
            captioner,
            running: Semaphore::new(AT_ONCE),
            decoded: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            cancels: Mutex::default(),
            tracker: TaskTracker::new(),
            ending: CancellationToken::new(),
        }))
    }

    /// Where captions come from.
    pub(crate) fn source(&self) -> String {
        self.0.captioner.source()
    }

    /// Queues a task for the pictures of an upload.
    pub(crate) async fn start(
        &self,
        user: &str,
        platform: &PlatformInfo,
        upload: Upload,
        settings: Settings,
    ) -> Result<Started, Failure> {
        let count = upload.pictures.len();
        if count == 0 {
            let rejected = Rejected::one("pictures", "must be chosen first");
            return Err(Failure::Rejected(rejected));
        }
        if count > usize::from(settings.max_posts_per_run) {
            let most = format!("may be {} in one run at most", settings.max_posts_per_run);
            return Err(Failure::Rejected(Rejected::one("pictures", &most)));
        }
        let place = timeout(PATIENCE, Arc::clone(&self.0.waiting).acquire_owned()).await;
        let place = place.map_err(|_| Failure::Busy)?.map_err(|_| Failure::Busy)?;
        if self.0.ending.is_cancelled() {
            return Err(Failure::Busy);
        }
        let (sender, receiver) = oneshot::channel();
        let (tasks, user, platform) = (self.clone(), user.to_owned(), platform.clone());
        // Cancellation safety: a client that leaves now leaves a task that is worked on.
        drop(self.0.tracker.spawn(async move {
            let started = tasks.0.data.start_task(&user, &platform, count, &settings).await;
            let task = match &started {
                Ok(Started::Queued(task)) => Some(task.id.clone()),
                _ => None,
            };
            let cancel = CancellationToken::new();
            if let Some(task) = &task {
                let _ = tasks.cancels().insert(task.clone(), cancel.clone());
            }
            let _ = sender.send(started);
            if let Some(task) = task {
                tasks.work(Work { user, task, upload, settings, cancel, _place: place }).await;
            }
        }));
        Ok(receiver.await.map_err(|_| Failure::Internal)??)
    }

    /// Looks now and then for tasks that no server works on any more.
    pub(crate) fn watch(&self) {
        let tasks = self.clone();
        drop(self.0.tracker.spawn(async move {
            while timeout(SIGN_OF_LIFE, tasks.0.ending.cancelled()).await.is_err() {
                if let Err(error) = tasks.0.data.fail_lost_tasks().await {
                    tracing::warn!(%error, "search for lost tasks failed");
                }
            }
        }));
    }

    /// Ends a task of the user's before its time; false if it was over, or there is none.
    pub(crate) async fn cancel(&self, user: &str, task: &str) -> Result<bool, Failure> {
        if self.0.data.task(user, task).await?.is_none() {
            return Ok(false);
        }
        let ended = self.0.data.end_task(task, TaskStatus::Cancelled, "Cancelled").await?;
        // Its own process learns of it at once, another one at the next picture.
        if let Some(cancel) = self.cancels().get(task) {
            cancel.cancel();
        }
        Ok(ended)
    }

    /// Takes no more and ends what is under way.
    pub(crate) async fn shutdown(&self) {
        self.0.ending.cancel();
        let _ = self.0.tracker.close();
        if timeout(PATIENCE, self.0.tracker.wait()).await.is_err() {
            tracing::warn!("tasks not ended in time");
        }
    }

    fn cancels(&self) -> std::sync::MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.cancels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self, work: Work) {
        let data = &self.0.data;
        let ended = tokio::select! {
            () = work.cancel.cancelled() => Ok(End::Over),
            () = self.0.ending.cancelled() => {
                Ok(End::Failed("The server was stopped. Please start again.".to_owned()))
            }
            () = self.say_that_it_lives(&work.task) => Ok(End::Over),
            ended = self.caption(&work) => ended,
        };
        let _ = self.cancels().remove(&work.task);
        let (status, step) = match ended {
            Ok(End::Over) => return,
            Ok(End::Completed(step)) => (TaskStatus::Completed, step),
            Ok(End::Failed(step)) => (TaskStatus::Failed, step),
            Err(error) => {
                tracing::error!(%error, task = work.task, "task failed");
                (TaskStatus::Failed, "Something went wrong on the server.".to_owned())
            }
        };
        while let Err(error) = data.end_task(&work.task, status, &step).await {
            tracing::error!(%error, task = work.task, "end of the task not stored");
            if timeout(SIGN_OF_LIFE, self.0.ending.cancelled()).await.is_ok() {
                // It counts as lost soon.
                return;
            }
        }
    }

    /// Never ends.
    async fn say_that_it_lives(&self, task: &str) {
        loop {
            sleep(SIGN_OF_LIFE).await;
            if let Err(error) = self.0.data.keep_task(task).await {
                tracing::warn!(%error, "heartbeat of the task not stored");
            }
        }
    }

    async fn caption(&self, work: &Work) -> Result<End, DataError> {
        // Never closed, so the error does not occur.
        let Ok(_slot) = self.0.running.acquire().await else { return Ok(End::Over) };
        let (pictures, mut captions) = (&work.upload.pictures, 0);
        let delay = Duration::try_from_secs_f64(work.settings.processing_delay).unwrap_or_default();
        for (at, sent) in pictures.iter().enumerate() {
            let number = format!("Picture {} of {}", at + 1, pictures.len());
            if !self.advance(work, at, &format!("{number}: {}", sent.file_name)).await? {
                return Ok(End::Over);
            }
            let result = self.result(work, at, sent).await?;
            captions += usize::from(result.caption.is_some());
            self.0.data.add_result(&work.user, &work.task, &result).await?;
            if at + 1 < pictures.len() {
                if !self.advance(work, at + 1, &format!("{number} is done")).await? {
                    return Ok(End::Over);
                }
                sleep(delay).await;
            }
        }
        Ok(match (captions, pictures.len() - captions) {
            (0, _) => End::Failed("No picture could be captioned".to_owned()),
            (captions, 0) => End::Completed(format!("Done: {captions} of {captions} captioned")),
            (captions, failed) => End::Completed(format!(
                "Done: {captions} of {} captioned, {failed} with problems",
                pictures.len()
            )),
        })
    }

    async fn advance(&self, work: &Work, done: usize, step: &str) -> Result<bool, DataError> {
        let percent = done * 100 / work.upload.pictures.len().max(1);
        self.0.data.advance_task(&work.task, i64::try_from(percent).unwrap_or(0), step).await
    }

    /// A caption, or a sentence on why there is none: one bad picture stops no other.
    async fn result(&self, work: &Work, at: usize, sent: &Sent) -> Result<TaskResult, DataError> {
        let mut result = TaskResult {
            place: i64::try_from(at).unwrap_or(i64::MAX),
            file_name: sent.file_name.clone(),
            digest: sent.digest.clone(),
            caption: None,
            problem: None,
            about: String::new(),
            thumbnail: None,
        };
        let before = if work.settings.reprocess_existing {
            None
        } else {
            let longest = usize::from(work.settings.max_caption_length);
            let kept = self.0.data.caption_of(&work.user, &sent.digest).await?;
            kept.filter(|caption| caption.chars().count() <= longest)
        };
        match self.captioned(work, sent, before, &mut result).await {
            Ok(caption) => result.caption = Some(caption),
            Err(failure) => result.problem = Some(failure.to_string()),
        }
        Ok(result)
    }

    async fn captioned(
        &self,
        work: &Work,
        sent: &Sent,
        before: Option<String>,
        result: &mut TaskResult,
    ) -> Result<String, Failure> {
        let path = sent.path.clone();
        let place = Arc::clone(&self.0.decoded).acquire_owned().await;
        let place = place.map_err(|_| Failure::Busy)?;
        // Cancellation safety: what was begun is finished unseen, and keeps its place until then.
        let decode = move || {
            let bytes = std::fs::read(path).map_err(|_| Failure::Internal)?;
            let picture = Picture::decode(&bytes)?.in_place(place);
            let thumbnail = picture.thumbnail().ok();
            Ok::<_, Failure>((picture, thumbnail))
        };
        let (picture, thumbnail) =
            spawn_blocking(decode).await.map_err(|_| Failure::Internal)??;
        let (width, height) = picture.image().dimensions();
        result.about = format!("{}, {width} by {height}", picture.format().name());
        result.thumbnail = thumbnail;
        if let Some(caption) = before {
            result.about.push_str(", captioned before");
            return Ok(caption);
        }
        Ok(self.0.captioner.caption(Arc::new(picture), &work.settings).await?)
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tasks(..)")
    }
}
