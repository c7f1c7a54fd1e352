// Says hello, how much time is left, and what it was sent.

// The context's functions are imported as they are; handle 0 is the invocation's own.
// @ts-ignore: decorator
@external("hourglass_v1", "context_remaining")
declare function remaining(context: i32): i64;

let bytes = 0;
const room = new ArrayBuffer(4096);
for (let read = process.stdin.read(room); read > 0; read = process.stdin.read(room)) {
  bytes += read;
}

const path = process.env.has("PATH_INFO") ? process.env.get("PATH_INFO") : "";
const name = path.length > 1 ? path.substring(1) : "world";
let answer = `Content-Type: text/plain; charset=utf-8\n\nhello ${name}, from AssemblyScript\n`;
const nanos = remaining(0);
if (nanos >= 0) answer += `${nanos / 1_000_000} ms left\n`;
if (process.env.has("HOURGLASS_REQUEST_ID")) {
  answer += `request ${process.env.get("HOURGLASS_REQUEST_ID")}\n`;
}
process.stdout.write(answer + `${bytes} bytes\n`);
