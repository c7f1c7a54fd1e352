//! What an invocation used, for those who get its response before its end.

use tokio::sync::watch;

use crate::outcome::Usage;

/// The [`Usage`] of an invocation once it has ended, whichever way: in the
/// extensions of every response of
/// [`Runtime::invoke_streaming`](crate::Runtime::invoke_streaming).
///
/// Take it out before the body, which may be read or dropped meanwhile:
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

/// Tells it, once.
pub(super) struct Ends(watch::Sender<Option<Usage>>);

impl FinalUsage {
    pub(super) fn new() -> (Ends, Self) {
        let (sender, receiver) = watch::channel(None);
        (Ends(sender), Self(receiver))
    }

    /// Waits until the invocation has ended. `None` where its end is unknown, as
    /// the tokio runtime that it ran on has shut down.
    ///
    /// An invocation whose response is not read waits for that until it is done,
    /// and so does this.
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
