//! Says hello, how much time is left, and how much it was sent.

const std = @import("std");
const hourglass = @import("hourglass.zig");

pub fn main(init: std.process.Init) !void {
    var in_room: [4096]u8 = undefined;
    var in = std.Io.File.stdin().readerStreaming(init.io, &in_room);
    const bytes = try in.interface.discardRemaining();

    var out_room: [4096]u8 = undefined;
    var out = std.Io.File.stdout().writerStreaming(init.io, &out_room);
    const print = &out.interface;
    try print.writeAll("Content-Type: text/plain; charset=utf-8\n\n");
    const path = init.environ_map.get("PATH_INFO") orelse "";
    const name = std.mem.trimStart(u8, path, "/");
    try print.print("hello {s}, from Zig\n", .{if (name.len > 0) name else "world"});
    if (hourglass.remaining()) |nanos| {
        try print.print("{d} ms left\n", .{nanos / std.time.ns_per_ms});
    }
    try print.print("{d} bytes\n", .{bytes});
    try print.flush();
}
