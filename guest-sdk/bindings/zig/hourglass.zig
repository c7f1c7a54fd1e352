//! The context of a Hourglass function, for Zig on wasm32-wasi.
//!
//! As in a CGI script, a function's request is its standard input and its environment, and its
//! response is its standard output. This file has the host functions beyond that. The reference is
//! the documentation of the Rust crate hourglass-sdk, module `abi`.

extern "hourglass_v1" fn context_err(ctx: u32) i32;
extern "hourglass_v1" fn context_remaining(ctx: u32) i64;
extern "hourglass_v1" fn context_sleep(ctx: u32, nanos: i64) i32;
extern "hourglass_v1" fn context_cause(ctx: u32, room: [*]u8, cap: u32) i32;
extern "hourglass_v1" fn context_value(ctx: u32, name: [*]const u8, name_len: u32, room: [*]u8, cap: u32) i32;

/// The invocation's own context.
const own = 0;

pub const Done = error{ Canceled, DeadlineExceeded };

/// Returns an error once the context is done.
pub fn check() Done!void {
    return done(context_err(own));
}

/// Nanoseconds until the deadline: 0 if it has passed, null if there is none.
pub fn remaining() ?u64 {
    const nanos = context_remaining(own);
    return if (nanos < 0) null else @intCast(nanos);
}

/// Waits for that time, or until the context is done, which returns an error.
pub fn sleep(nanos: u63) Done!void {
    return done(context_sleep(own, nanos));
}

/// Why the context is done, written to `room`; null while it is not, or if `room` is too small.
pub fn cause(room: []u8) ?[]const u8 {
    return text(room, context_cause(own, room.ptr, @intCast(room.len)));
}

/// The context's value with that name, such as "request-id", written to `room`; null if there is
/// none, or if `room` is too small.
pub fn value(name: []const u8, room: []u8) ?[]const u8 {
    const len = context_value(own, name.ptr, @intCast(name.len), room.ptr, @intCast(room.len));
    return text(room, len);
}

fn done(code: i32) Done!void {
    return switch (code) {
        -1 => error.Canceled,
        -2 => error.DeadlineExceeded,
        else => {},
    };
}

fn text(room: []u8, len: i32) ?[]const u8 {
    if (len < 0 or len > room.len) return null;
    return room[0..@intCast(len)];
}
