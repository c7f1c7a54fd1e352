//! Several calls that belong together.

use super::CallError;
use crate::context::CancelOnDrop;
use crate::pending::select_under;
use crate::{Body, Cause, Context, Pending, Request, Response};

/// Several calls that belong together: all of them have ended when it has been waited for, and one
/// that fails ends the others.
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
/// The calls are under a context of the group's own, a child of the one that it was made with. The
/// first call that fails cancels it, with a [`Cause::Custom`] that says so and names the outcome;
/// [`collect_all`](Self::collect_all) lets the others go on instead. A failure is a [`CallError`]: a
/// response is none, whatever its status. A function is a single thread, so it is in
/// [`start`](Self::start) (where that waits) and in [`wait`](Self::wait) that failures are noticed.
///
/// Dropping a group cancels what has not ended, and waits for nothing.
#[derive(Debug)]
#[must_use = "dropping a group cancels its calls: wait for it"]
pub struct Group {
    /// What ends are waited for under: the group's own context is done before its calls have ended.
    parent: Context,
    ctx: Context,
    cancel: CancelOnDrop,
    limit: usize,
    collect_all: bool,
    running: Vec<Pending>,
    /// Which of the calls begun each of those running is.
    places: Vec<usize>,
    /// One for each call begun: `None` while it is running.
    results: Vec<Option<Result<Response, CallError>>>,
    failure: Option<CallError>,
}

impl Group {
    /// A group without calls, under a child of this context.
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

    /// Lets no more than so many calls run at once: [`start`](Self::start) waits for a place. The
    /// default is no limit, and 0 is taken for 1.
    pub fn limit(self, calls: usize) -> Self {
        Self { limit: calls.max(1), ..self }
    }

    /// Lets a failure end no other call. The default is that the first one does.
    pub fn collect_all(self) -> Self {
        Self { collect_all: true, ..self }
    }

    /// The context of the group's calls: done once one of them has failed, the context that the
    /// group was made with is done, or the group is gone.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.ctx
    }

    /// Starts a call. When as many run as may, it waits for one of them to end first.
    ///
    /// After a failure that ends the others, a call is as one of those: [`CallError::Done`].
    pub fn start<B: Into<Body>>(&mut self, function: &str, request: Request<B>) {
        while self.running.len() >= self.limit {
            self.wait_for_one();
        }
        self.places.push(self.results.len());
        self.results.push(None);
        self.running.push(self.ctx.start(function, request));
    }

    /// Waits until all calls have ended, and gives their responses in the order in which they were
    /// started.
    ///
    /// When the context that the group was made with is done, it does not wait for callees that were
    /// told so to end.
    ///
    /// # Errors
    ///
    /// The first failure in time.
    pub fn wait(mut self) -> Result<Vec<Response>, CallError> {
        while self.wait_for_one() {}
        match self.failure {
            Some(failure) => Err(failure),
            None => self.results.into_iter().flatten().collect(),
        }
    }

    /// Waits as [`wait`](Self::wait) does, and gives all results in the order in which the calls
    /// were started. Mostly for a group that [collects all](Self::collect_all).
    pub fn wait_all(mut self) -> Vec<Result<Response, CallError>> {
        while self.wait_for_one() {}
        self.results.into_iter().flatten().collect()
    }

    /// Waits for one of the calls to end, and notes its result. Whether there was one.
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
