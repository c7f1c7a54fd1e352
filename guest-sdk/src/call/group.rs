//! Groups of calls that succeed or fail together.

use super::CallError;
use crate::context::CancelOnDrop;
use crate::pending::select_under;
use crate::{Body, Cause, Context, Pending, Request, Response};

/// A group of calls that succeed or fail together. All of them have ended when the wait for the
/// group returns, and a failure of one cancels the others.
///
/// ```
/// use hourglass_sdk::{Context, Group, Request, Result};
///
/// fn handler(ctx: &Context, _: Request) -> Result<String> {
///     let mut group = Group::new(ctx).limit(2);
///     for page in 1..=3 {
///         group.start("page", Request::get(format!("/page/{page}")).body(())?);
///     }
///     let mut book = String::new();
///     for page in group.wait()? {
///         book += page.body().text()?;
///     }
///     Ok(book)
/// }
/// # let ctx = Context::background();
/// # let ctx = ctx.with_function("page", |_, req: Request| req.uri().path().to_owned());
/// # assert_eq!(handler(&ctx, Request::default()).unwrap(), "/page/1/page/2/page/3");
/// ```
///
/// The calls run under the group's own context, a child of the one that the group was created with.
/// The first call that fails cancels it, with a [`Cause::Custom`] whose message names the
/// outcome. With [`collect_all`](Self::collect_all) the others continue instead. A failure is a
/// [`CallError`]; a response is a success, whatever its status. A function has a single thread, so
/// failures are noticed only in [`start`](Self::start), if it waits, and in [`wait`](Self::wait).
///
/// Dropping a group cancels the calls that have not ended, without waiting for them.
#[derive(Debug)]
#[must_use = "dropping a group cancels its calls: wait for it"]
pub struct Group {
    /// The context to wait under: the group's own context is done before its calls have ended.
    parent: Context,
    ctx: Context,
    cancel: CancelOnDrop,
    limit: usize,
    collect_all: bool,
    running: Vec<Pending>,
    /// For each running call, its index among all started calls.
    places: Vec<usize>,
    /// One for each started call: `None` while it is running.
    results: Vec<Option<Result<Response, CallError>>>,
    failure: Option<CallError>,
}

impl Group {
    /// Creates a group without calls, under a child of this context.
    pub fn new(ctx: &Context) -> Self {
        let parent = ctx.clone();
        let (ctx, cancel) = ctx.with_cancel();
        Self {
            parent,
            ctx,
            cancel: CancelOnDrop(cancel),
            limit: usize::MAX,
            collect_all: false,
            running: Vec::new(),
            places: Vec::new(),
            results: Vec::new(),
            failure: None,
        }
    }

    /// Limits the number of calls that run at once: [`start`](Self::start) waits until a running
    /// call ends. The default is no limit, and 0 is treated as 1.
    pub fn limit(self, calls: usize) -> Self {
        Self { limit: calls.max(1), ..self }
    }

    /// Lets the other calls continue after a failure. By default, the first failure cancels them.
    pub fn collect_all(self) -> Self {
        Self { collect_all: true, ..self }
    }

    /// Returns the context of the group's calls. It is done once one of them has failed, the
    /// context that the group was created with is done, or the group is dropped.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.ctx
    }

    /// Starts a call. If the limit is reached, it first waits for a running call to end.
    ///
    /// After a failure that canceled the others, a new call fails like those, with
    /// [`CallError::Done`].
    pub fn start<B: Into<Body>>(&mut self, function: &str, request: Request<B>) {
        while self.running.len() >= self.limit {
            self.wait_for_one();
        }
        self.places.push(self.results.len());
        self.results.push(None);
        self.running.push(self.ctx.start(function, request));
    }

    /// Waits until all calls have ended, and returns their responses in the order in which they
    /// were started.
    ///
    /// If the context that the group was created with is done, this returns without waiting for the
    /// callees that are thereby canceled.
    ///
    /// # Errors
    ///
    /// The failure that happened first.
    pub fn wait(mut self) -> Result<Vec<Response>, CallError> {
        while self.wait_for_one() {}
        match self.failure {
            Some(failure) => Err(failure),
            None => self.results.into_iter().flatten().collect(),
        }
    }

    /// Waits as [`wait`](Self::wait) does, and returns all results in the order in which the calls
    /// were started. Useful for a group that [collects all](Self::collect_all).
    pub fn wait_all(mut self) -> Vec<Result<Response, CallError>> {
        while self.wait_for_one() {}
        self.results.into_iter().flatten().collect()
    }

    /// Waits for one of the calls to end, and stores its result. Returns whether there was one.
    fn wait_for_one(&mut self) -> bool {
        let Some((at, result)) = select_under(&self.parent, &mut self.running) else {
            return false;
        };
        if let Err(error) = &result
            && self.failure.is_none()
        {
            self.failure = Some(error.clone());
            if !self.collect_all {
                let text = format!("another call of the group failed: {}", error.name());
                self.cancel.0.cancel_with(Cause::Custom(text));
            }
        }
        let place = self.places.remove(at);
        self.results[place] = Some(result);
        true
    }
}

#[cfg(test)]
mod tests;
