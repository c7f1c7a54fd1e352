//! How far a guest may reach beyond its own instance: what it may call, how
//! often, who does that for it, which folders it may read, and how much it may
//! log.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::admission::CallTree;
use crate::body::{Request, Response};
use crate::context::Context;
use crate::error::InvokeError;
use crate::limits::bytes::{Place, Room};
use crate::limits::fixed;
use crate::log::Rate;
use crate::mounts::Mount;
#[cfg(feature = "server")]
use crate::outbound::Outbound;
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace::Trace;
use crate::spawn::Run;

/// What a function may do beyond its instances; one for all of them.
pub(crate) struct Reach {
    /// The names of the functions that it may call.
    pub(crate) calls: Arc<[Arc<str>]>,
    pub(crate) max_calls: u32,
    pub(crate) detach: Duration,
    /// Its way to other hosts, where it has one.
    #[cfg(feature = "server")]
    pub(crate) outbound: Option<Arc<Outbound>>,
    pub(crate) rate: Rate,
    /// The folders that it may read.
    pub(crate) mounts: Box<[Mount]>,
    /// Who calls for it. Weak, as it is the one who has the function.
    pub(crate) callees: Weak<dyn Callees>,
}

/// Who finds and runs what guests call.
pub(crate) trait Callees: Send + Sync {
    /// Begins a call of a function under a child of `ctx`.
    ///
    /// # Errors
    /// The call is refused.
    fn call(
        self: Arc<Self>,
        caller: Caller,
        ctx: &Context,
        name: &str,
        request: Request,
    ) -> Result<Called, InvokeError>;

    /// The context under which there is what has no caller any more.
    fn root(&self) -> &Context;

    /// Where that is run which takes longer, where that is settled.
    fn tasks(&self) -> Option<Handle>;
}

/// Who makes a call.
pub(crate) struct Caller {
    /// The invocation's id.
    pub(crate) id: Option<u64>,
    /// How many callers it has itself.
    pub(crate) depth: u32,
    /// Its step of a trace.
    pub(crate) trace: Trace,
    /// The call tree that both are part of.
    pub(crate) tree: Arc<CallTree>,
    /// Where the response is held until the guest takes it.
    pub(crate) room: Arc<Room>,
    /// The reservation there for the request's head, for as long as the callee
    /// runs.
    pub(crate) head: Place,
}

/// A call that was let in.
pub(crate) struct Called {
    /// The callee's name.
    pub(crate) callee: Arc<str>,
    pub(crate) run: Run<Ended>,
    /// The callee's context.
    pub(crate) ctx: Context,
}

/// How a call ended.
pub(crate) type Ended = Result<Held, Failed>;

impl Reach {
    /// That of a function that reaches nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Arc<Self> {
        struct Nobody;
        impl Callees for Nobody {
            fn call(
                self: Arc<Self>,
                _: Caller,
                _: &Context,
                name: &str,
                _: Request,
            ) -> Result<Called, InvokeError> {
                Err(InvokeError::refused(name.into(), Outcome::NotFound))
            }

            fn root(&self) -> &Context {
                unreachable!("nobody is ever upgraded")
            }

            fn tasks(&self) -> Option<Handle> {
                None
            }
        }
        let callees: Weak<dyn Callees> = Weak::<Nobody>::new();
        Arc::new(Self {
            calls: Arc::new([]),
            max_calls: 0,
            detach: Duration::ZERO,
            #[cfg(feature = "server")]
            outbound: None,
            rate: Rate::of_output(),
            mounts: Box::default(),
            callees,
        })
    }

    /// The function of that name, where the guest may call it.
    pub(crate) fn callee(&self, name: &str) -> Option<&Arc<str>> {
        self.calls.iter().find(|allowed| ***allowed == *name)
    }

    /// Where that is run which takes longer. There is such a place wherever a
    /// guest is polled, but not wherever it is dropped.
    pub(crate) fn tasks(&self) -> Option<Handle> {
        let settled = self.callees.upgrade().and_then(|callees| callees.tasks());
        settled.or_else(|| Handle::try_current().ok())
    }

    /// Makes a call a task.
    ///
    /// # Panics
    /// Where no tokio runtime is current, which nobody may poll a guest without.
    pub(crate) fn spawn(&self, run: Run<Ended>) -> JoinHandle<Ended> {
        match self.tasks() {
            Some(tasks) => tasks.spawn(run),
            None => tokio::spawn(run),
        }
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("calls", &self.calls).finish_non_exhaustive()
    }
}

/// A response that waits to be taken.
pub(crate) struct Held {
    pub(crate) response: Response,
    /// The processor time that it took.
    pub(crate) cpu: Duration,
    _place: Place,
}

impl Held {
    /// Holds a response that took so much processor time, in the room for those
    /// that an invocation has not taken yet: it could start any number of calls
    /// and never take one.
    ///
    /// # Errors
    /// There is no room for it.
    pub(crate) fn new(
        room: &Arc<Room>,
        response: Response,
        cpu: Duration,
    ) -> Result<Self, Outcome> {
        // Only whole bodies come from functions; one that streams is held by
        // its sender.
        let body = response.body().len().unwrap_or(0);
        let place = room.take(body.saturating_add(fixed::held(response.headers())));
        let place = place.ok_or(Outcome::ResponseTooLarge { limit: room.limit })?;
        Ok(Self { response, cpu, _place: place })
    }
}

/// A failure that waits to be taken: what its caller may read of it.
pub(crate) struct Failed {
    pub(crate) outcome: &'static str,
    pub(crate) text: Box<str>,
    pub(crate) cause: Box<str>,
    pub(crate) usage: Usage,
    _place: Option<Place>,
}

impl Failed {
    /// Holds a failure in the room for responses. Where that is full, only the
    /// outcome's name is kept: a failure can't fail.
    pub(crate) fn new(room: &Arc<Room>, error: &InvokeError) -> Self {
        let outcome = error.outcome();
        let text = match outcome {
            // That text is for the operator.
            Outcome::Host(_) => "the host failed".into(),
            others => fixed::display(others, fixed::MESSAGE),
        };
        let cause = outcome.cause().map(|cause| fixed::display(cause, fixed::MESSAGE));
        let (text, cause) = (text.into_boxed_str(), cause.unwrap_or_default().into_boxed_str());
        let place = room.take((text.len() + cause.len()) as u64);
        let (text, cause) = if place.is_some() { (text, cause) } else { Default::default() };
        Self { outcome: outcome.name(), text, cause, usage: error.usage(), _place: place }
    }
}
