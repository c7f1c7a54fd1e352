//! The usage of an invocation, for callers that receive its response before its
//! end.

use tokio::sync::watch;

use crate::outcome::Usage;

/// The [`Usage`] of an invocation once it has ended, with any outcome. It is in
/// the extensions of every response of
/// [`Runtime::invoke_streaming`](crate::Runtime::invoke_streaming).
///
/// Take it out before the body, which may then be read or dropped:
///
/// ```no_run
/// # async fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use hourglass::{Context, FinalUsage};
///
/// let request = http::Request::new(());
/// let mut response = runtime.invoke_streaming(&Context::background(), "ticker", request).await?;
/// let usage = response.extensions_mut().remove::<FinalUsage>();
/// let body = response.into_body().bytes().await?;
/// if let Some(usage) = usage.as_ref() {
///     println!("{} bytes took {:?}", body.len(), usage.get().await);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FinalUsage(watch::Receiver<Option<Usage>>);

/// The sender. It sends once.
pub(super) struct Ends(watch::Sender<Option<Usage>>);

impl FinalUsage {
    pub(super) fn new() -> (Ends, Self) {
        let (sender, receiver) = watch::channel(None);
        (Ends(sender), Self(receiver))
    }

    /// Waits until the invocation has ended. Returns `None` if its end is
    /// unknown because the tokio runtime that it ran on has shut down.
    ///
    /// If the response is not read, the invocation waits for a reader until its
    /// context is done, and so does this future.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn get(&self) -> Option<Usage> {
        let mut receiver = self.0.clone();
        let usage = receiver.wait_for(Option::is_some).await;
        usage.ok().and_then(|usage| *usage)
    }
}

impl Ends {
    pub(super) fn tell(self, usage: Usage) {
        // An error means that the receiver was dropped.
        let _ = self.0.send(Some(usage));
    }
}
