//! Names of the reasons why a context is done. The first two also say how it is done.

/// It was canceled.
pub const CANCELED: &str = "canceled";
/// Its deadline passed.
pub const DEADLINE_EXCEEDED: &str = "deadline-exceeded";
/// The client disconnected.
pub const CLIENT_DISCONNECTED: &str = "client-disconnected";
/// The operation that the invocation was part of has ended.
pub const PARENT_DONE: &str = "parent-done";
/// The host shuts down.
pub const SHUTDOWN: &str = "shutdown";
/// An operator ended it.
pub const OPERATOR: &str = "operator";
/// A limit was exceeded. The message says which.
pub const LIMIT_EXCEEDED: &str = "limit-exceeded";
/// The embedder's own cause, with a message.
pub const CUSTOM: &str = "custom";
